/* One fold's part of a split that was packed with folds. */
#include <stdlib.h>
#include <string.h>

#include "dataset_room.h"
#include "pulmo/memory.h"

static pulmo_status check_folds(pulmo_h5 *file, const int32_t *fold, uint64_t count, int64_t folds)
{
    for (uint64_t i = 0; i < count; i++)
        if (fold[i] < 0 || fold[i] >= folds)
            return packed_damaged(file, "/splits/train/folds has a number that is not a fold");
    return PULMO_OK;
}

static pulmo_status read_folds(pulmo_h5 *file, const pulmo_dataset *d, int64_t *folds,
                               int32_t *fold)
{
    const uint64_t count = d->cut.count;
    pulmo_h5_shape shape;
    if (!pulmo_h5_has_attribute(file, "splits/train", "folds"))
        return pulmo_fail(PULMO_CONFIG,
                          "data.fold: %d: %s was packed without folds; pack with pack.folds: 5",
                          d->fold, d->directory);
    PULMO_TRY(packed_get_int(file, "splits/train", "folds", 3, 1000, folds));
    if (d->fold >= *folds)
        return pulmo_fail(PULMO_CONFIG, "data.fold: %d: %s has %lld folds: 0 to %lld", d->fold,
                          d->directory, (long long)*folds, (long long)*folds - 1);
    PULMO_TRY(pulmo_h5_shape_of(file, "splits/train/folds", &shape));
    if (shape.rank != 1 || shape.dims[0] != count)
        return packed_damaged(file, "/splits/train/folds is not one number per image");
    PULMO_TRY(pulmo_h5_read(file, "splits/train/folds", PULMO_H5_I32, 1, &count, fold));
    return check_folds(file, fold, count, *folds);
}

/* The split that images of fold `fold` make when d->fold is tested on. */
static int split_of_fold(const pulmo_dataset *d, int fold, int folds)
{
    if (fold == d->fold)
        return PULMO_SPLIT_TEST;
    return fold == (d->fold + 1) % folds ? PULMO_SPLIT_VAL : PULMO_SPLIT_TRAIN;
}

/* Keeps the images of one part, in stored order. The names' characters stay where they are. */
static pulmo_status keep_part(pulmo_dataset *d, const int32_t *fold, int folds, int part)
{
    uint32_t kept = 0;
    d->index = malloc(((size_t)d->cut.count + 1) * sizeof *d->index);
    if (!d->index)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", d->directory);
    for (uint32_t i = 0; i < d->cut.count; i++) {
        if (split_of_fold(d, fold[i], folds) != part)
            continue;
        d->index[kept] = i;
        d->labels[kept] = d->labels[i];
        d->paths[kept] = d->paths[i];
        d->groups[kept] = d->groups[i];
        for (int c = 0; c < d->info.kept; c++)
            d->kept_columns[c][kept] = d->kept_columns[c][i];
        kept++;
    }
    d->info.count = kept;
    return PULMO_OK;
}

/* A digest of its own for each part of each fold: of the whole split's, and of what is in it. */
static pulmo_status digest_part(pulmo_dataset *d, int part)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    pulmo_digester_add(digester, d->digest_hex, strlen(d->digest_hex));
    pulmo_digester_add(digester, &part, sizeof part);
    pulmo_digester_add(digester, d->index, d->info.count * sizeof *d->index);
    pulmo_digest digest = pulmo_digester_end(digester);
    pulmo_digest_hex(&digest, hex);
    free(d->digest_hex);
    d->digest_hex = pulmo_strdup(hex);
    d->info.digest_hex = d->digest_hex;
    return d->digest_hex ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status choose_part(pulmo_dataset *d, const int32_t *fold, int folds, const char *split)
{
    int part = pulmo_split_find(split);
    if (part < 0)
        return pulmo_fail(PULMO_DATA, "%s: a fold has no split \"%s\"; there are: train, val, test",
                          d->directory, split);
    PULMO_TRY(keep_part(d, fold, folds, part));
    return digest_part(d, part);
}

pulmo_status dataset_choose_fold(pulmo_h5 *file, pulmo_dataset *d, const char *split)
{
    int64_t folds = 0;
    int32_t *fold = calloc((size_t)d->cut.count + 1, sizeof *fold);
    if (!fold)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", pulmo_h5_path(file));
    pulmo_status status = read_folds(file, d, &folds, fold);
    if (status == PULMO_OK)
        status = choose_part(d, fold, (int)folds, split);
    free(fold);
    return status;
}
