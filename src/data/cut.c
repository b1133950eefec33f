/* How a split is cut into shards, as its manifest says. */
#include <stdio.h>
#include <stdlib.h>

#include "packed_room.h"

pulmo_status packed_damaged(const pulmo_h5 *file, const char *what)
{
    return pulmo_fail(PULMO_DATA,
                      "%s: %s; the data set is damaged or mixed up: pack again with --overwrite",
                      pulmo_h5_path(file), what);
}

pulmo_status packed_get_int(pulmo_h5 *file, const char *object, const char *name, int64_t low,
                            int64_t high, int64_t *out)
{
    char what[160];
    PULMO_TRY(pulmo_h5_get_int(file, object, name, out));
    if (*out >= low && *out <= high)
        return PULMO_OK;
    snprintf(what, sizeof what, "attribute %s is %lld, must be %lld to %lld", name, (long long)*out,
             (long long)low, (long long)high);
    return packed_damaged(file, what);
}

uint32_t pulmo_shard_first(uint32_t count, uint32_t shard, uint32_t shards)
{
    const uint64_t before = (uint64_t)count * shard;
    return (uint32_t)(before / shards);
}

uint32_t pulmo_cut_first(const pulmo_cut *cut, uint32_t shard)
{
    if (cut->first)
        return cut->first[shard];
    return pulmo_shard_first(cut->count, shard, cut->shards);
}

/* From 0 to the number of images, never falling. */
static pulmo_status take_first(const pulmo_h5 *file, const int64_t *stored, pulmo_cut *out)
{
    bool rising = stored[0] == 0 && stored[out->shards] == out->count;
    for (uint64_t i = 1; i <= out->shards; i++)
        rising = rising && stored[i - 1] <= stored[i];
    if (!rising)
        return packed_damaged(file, "first images of a split's shards are out of order");
    for (uint64_t i = 0; i <= out->shards; i++)
        out->first[i] = (uint32_t)stored[i];
    return PULMO_OK;
}

static pulmo_status read_first(pulmo_h5 *file, const char *name, pulmo_cut *out)
{
    const uint64_t count = (uint64_t)out->shards + 1;
    pulmo_h5_shape shape;
    PULMO_TRY(pulmo_h5_shape_of(file, name, &shape));
    if (shape.rank != 1 || shape.dims[0] != count)
        return packed_damaged(file,
                              "first images of a split's shards are not one per shard and the end");
    int64_t *stored = malloc(count * sizeof *stored);
    out->first = malloc(count * sizeof *out->first);
    pulmo_status status = PULMO_OK;
    if (!stored || !out->first)
        status = pulmo_fail(PULMO_MEMORY, "%s: out of memory", pulmo_h5_path(file));
    if (status == PULMO_OK)
        status = pulmo_h5_read(file, name, PULMO_H5_I64, 1, &count, stored);
    if (status == PULMO_OK)
        status = take_first(file, stored, out);
    free(stored);
    return status;
}

pulmo_status pulmo_cut_read(pulmo_h5 *manifest, const char *base, pulmo_cut *out)
{
    char name[128];
    int64_t count = 0, shards = 0;
    *out = (pulmo_cut){0};
    PULMO_TRY(packed_get_int(manifest, base, "count", 0, UINT32_MAX / 2, &count));
    PULMO_TRY(packed_get_int(manifest, base, "shards", 1, UINT32_MAX / 2, &shards));
    out->count = (uint32_t)count;
    out->shards = (uint32_t)shards;
    snprintf(name, sizeof name, "%s/first", base);
    if (!pulmo_h5_exists(manifest, name))
        return PULMO_OK;
    return read_first(manifest, name, out);
}
