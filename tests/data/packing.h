/* A small packed data set for tests. Image i of a split is told by its pixels. */
#ifndef PULMO_TEST_PACKING_H
#define PULMO_TEST_PACKING_H

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/packed.h"

#define PACK_SIDE 32 /* the smallest there may be */
#define PACK_MOST 512

typedef struct packing {
    char directory[64];
    int channels;
    int folds; /* of the split; 0: none */
    int32_t labels[PACK_MOST], fold[PACK_MOST];
    char text[4][PACK_MOST][72]; /* paths, groups, digests, pixel digests */
    const char *names[4][PACK_MOST];
    const char *const *kept[2]; /* two columns of a table: digests and paths */
} packing;

static inline uint8_t packed_pixel(uint32_t image, size_t at)
{
    return (uint8_t)((image * 37u + at * 11u + at / 97u) & 255u);
}

static inline pulmo_packed_form packing_form(const packing *p)
{
    static const char *const classes[] = {"NORMAL", "PNEUMONIA", "OTHER"};
    return (pulmo_packed_form){.height_px = PACK_SIDE,
                               .width_px = PACK_SIDE,
                               .channels = p->channels,
                               .classes = 3,
                               .class_names = classes,
                               .resize = "bilinear",
                               .decode = "exact",
                               .formats = 1,
                               .is_demo = 1};
}

static inline pulmo_packed_split packing_split(packing *p, const char *name, uint32_t count,
                                               uint32_t shards)
{
    static const char *const what[4] = {"folder", "patient", "source", "pixels"};
    static const char *const kept[2] = {"Age", "AP/PA"};
    p->kept[0] = p->names[2];
    p->kept[1] = p->names[0];
    for (uint32_t i = 0; i < count; i++) {
        p->labels[i] = (int32_t)(i * 7 % 3);
        p->fold[i] = p->folds > 0 ? (int32_t)(i * 5 % 7) % p->folds : 0;
        for (int k = 0; k < 4; k++) {
            snprintf(p->text[k][i], sizeof p->text[k][i], "%s %s/%u", what[k], name,
                     k == 1 ? i / 2 : i);
            p->names[k][i] = p->text[k][i];
        }
    }
    return (pulmo_packed_split){.name = name,
                                .count = count,
                                .shards = shards,
                                .labels = p->labels,
                                .folds = p->folds,
                                .fold = p->folds > 0 ? p->fold : NULL,
                                .paths = p->names[0],
                                .groups = p->names[1],
                                .digests = p->names[2],
                                .pixel_digests = p->names[3],
                                .kept = 2,
                                .kept_names = kept,
                                .kept_columns = p->kept};
}

static inline pulmo_status write_shard(packing *p, const pulmo_packed_split *split, uint32_t shard)
{
    pulmo_shard_writer *writer = NULL;
    uint8_t pixels[PACK_SIDE * PACK_SIDE * 3];
    const pulmo_packed_form form = packing_form(p);
    PULMO_TRY(pulmo_shard_create(p->directory, &form, split, shard, &writer));
    for (uint32_t i = pulmo_shard_first(split->count, shard, split->shards);
         i < pulmo_shard_first(split->count, shard + 1, split->shards); i++) {
        for (size_t at = 0; at < sizeof pixels; at++)
            pixels[at] = packed_pixel(i, at);
        pulmo_status status = pulmo_shard_append(writer, 1, pixels);
        if (status == PULMO_OK)
            continue;
        pulmo_shard_abandon(writer);
        return status;
    }
    return pulmo_shard_commit(writer);
}

static inline pulmo_status write_packing(packing *p, const char *name, uint32_t count,
                                         uint32_t shards)
{
    const pulmo_packed_split split = packing_split(p, name, count, shards);
    static const char *const refused[] = {"a.jpeg", "b.jpeg"}, *const reasons[] = {"is empty",
                                                                                   "is truncated"};
    const pulmo_manifest manifest = {.form = packing_form(p),
                                     .splits = 1,
                                     .split = &split,
                                     .refused_paths = {2, refused},
                                     .refused_reasons = {2, reasons},
                                     .split_notes = "as given",
                                     .patients = "known",
                                     .patients_by = "a test",
                                     .options = "size 32",
                                     .config = "pack:\n"};
    for (uint32_t s = 0; s < shards; s++)
        PULMO_TRY(write_shard(p, &split, s));
    return pulmo_manifest_write(p->directory, &manifest);
}

static inline packing *make_packing(int channels)
{
    packing *p = calloc(1, sizeof *p);
    p->channels = channels;
    snprintf(p->directory, sizeof p->directory, "/tmp/pulmo-packed-XXXXXX");
    if (!mkdtemp(p->directory))
        abort();
    return p;
}

static inline int remove_entry(const char *path, const struct stat *about, int kind,
                               struct FTW *walk)
{
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

static inline void remove_packing(packing *p)
{
    nftw(p->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(p);
}

#endif
