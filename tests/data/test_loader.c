/* The loader: who gets what, in which order, and the same images whoever and however many fetch
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pulmo/memory.h"

#include "loader_room.h"
#include "packing.h"

#define COUNT  53
#define FLOATS (3 * PACK_SIDE * PACK_SIDE)

static packing *pack;
static pulmo_dataset *data;

static int make(void **state)
{
    (void)state;
    pack = make_packing(1);
    if (write_packing(pack, "train", COUNT, 4) != PULMO_OK)
        return -1;
    return pulmo_dataset_open(pack->directory, "train", 0, &data) == PULMO_OK ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    pulmo_dataset_close(data);
    remove_packing(pack);
    return 0;
}

static pulmo_augment_spec rich_augment(void)
{
    pulmo_augment_spec a;
    pulmo_augment_spec_init(&a);
    a.crop_scale[0] = 0.5;
    a.crop_ratio[0] = 0.75;
    a.crop_ratio[1] = 1.33;
    a.hflip = 0.5;
    a.rotate_deg = 10;
    a.gamma[0] = 0.8;
    a.gamma[1] = 1.2;
    return a;
}

static pulmo_loader_spec plain_spec(void)
{
    pulmo_loader_spec spec;
    pulmo_loader_spec_init(&spec);
    spec.seed = 5;
    spec.batch = 16;
    spec.microbatch = 4;
    spec.shuffle = 1;
    return spec;
}

/* ---- arithmetic ---- */

/* Every sample belongs to one rank, in order; ranks' parts differ by at most one microbatch. */
static void microbatches_cover_the_batch(void **state)
{
    (void)state;
    for (uint32_t samples = 1; samples < 70; samples += 4)
        for (uint32_t microbatch = 1; microbatch <= 9; microbatch += 4)
            for (int size = 1; size <= 12; size++) {
                uint32_t next = 0, least = UINT32_MAX, most = 0;
                for (int rank = 0; rank < size; rank++) {
                    pulmo_microbatches s = pulmo_microbatches_of(samples, microbatch, rank, size);
                    assert_int_equal(s.first, next);
                    next += s.count;
                    least = s.count < least ? s.count : least;
                    most = s.count > most ? s.count : most;
                }
                assert_int_equal(next, (samples + microbatch - 1) / microbatch);
                assert_true(most - least <= 1);
            }
}

static void batches_cover_the_epoch(void **state)
{
    (void)state;
    static const uint32_t cases[][2] = {{0, 8},     {1, 8},           {8, 8}, {9, 8},
                                        {5216, 64}, {UINT32_MAX, 64}, {7, 1}, {3, 1000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t samples = cases[i][0], batch = cases[i][1], n = pulmo_batches(samples, batch);
        assert_int_equal(n, samples / batch + (samples % batch != 0));
        if (n == 0)
            continue;
        assert_int_equal(batch_size_of(samples, batch, 0), samples < batch ? samples : batch);
        assert_int_equal((uint64_t)(n - 1) * batch + batch_size_of(samples, batch, n - 1), samples);
    }
}

/* ---- epochs ---- */

/* Runs `epochs` on `size` ranks one after the other, and writes each sample's image where its place
 * in the epoch is: (epochs, COUNT). */
static void run(pulmo_loader_spec spec, uint32_t epochs, int size, uint32_t *samples, float *images)
{
    uint32_t batches = pulmo_batches(COUNT, spec.batch);
    for (int rank = 0; rank < size; rank++) {
        pulmo_loader *loader = NULL;
        spec.rank = rank;
        spec.size = size;
        assert_int_equal(pulmo_loader_create(data, &spec, &loader), PULMO_OK);
        for (uint32_t k = 0; k < epochs * batches; k++) {
            pulmo_batch b;
            assert_int_equal(pulmo_loader_next(loader, &b), PULMO_OK);
            assert_int_equal(b.epoch, k / batches);
            assert_int_equal(b.number, k % batches);
            assert_int_equal(b.global_count, batch_size_of(COUNT, spec.batch, b.number));
            size_t at = (size_t)b.epoch * COUNT + b.number * spec.batch +
                        b.first_microbatch * spec.microbatch;
            assert_true(b.first_microbatch * spec.microbatch + b.count <= b.global_count ||
                        b.count == 0);
            for (uint32_t i = 0; i < b.count; i++) {
                assert_int_equal(samples[at + i], UINT32_MAX); /* nobody was there before */
                samples[at + i] = b.samples[i];
                assert_int_equal(b.labels[i], pack->labels[b.samples[i]]);
                memcpy(images + (at + i) * FLOATS, b.images + (size_t)i * FLOATS,
                       FLOATS * sizeof(float));
            }
        }
        assert_true(pulmo_loader_waited_s(loader) >= 0);
        pulmo_loader_destroy(loader);
    }
}

typedef struct record {
    uint32_t samples[2 * COUNT];
    float images[2 * COUNT * FLOATS];
} record;

static record *run_new(pulmo_loader_spec spec, int size)
{
    record *r = malloc(sizeof *r);
    memset(r, 0xFF, sizeof *r);
    run(spec, 2, size, r->samples, r->images);
    return r;
}

static void check_permutation(const uint32_t *samples)
{
    int seen[COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        assert_true(samples[i] < COUNT);
        assert_int_equal(seen[samples[i]]++, 0);
    }
}

/* Every sample once an epoch, in another order each; the same bits for any ranks, threads, depth.
 */
static void independent_of_ranks_and_threads(void **state)
{
    (void)state;
    pulmo_augment_spec augment = rich_augment();
    pulmo_loader_spec spec = plain_spec();
    spec.augment = &augment;
    record *one = run_new(spec, 1);
    check_permutation(one->samples);
    check_permutation(one->samples + COUNT);
    assert_memory_not_equal(one->samples, one->samples + COUNT, COUNT * sizeof(uint32_t));
    static const int cases[][3] = {
        {2, 1, 1}, {3, 2, 2}, {7, 3, 3}, {1, 4, 5}}; /* ranks, threads, depth */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        spec.threads = cases[i][1];
        spec.depth = cases[i][2];
        record *other = run_new(spec, cases[i][0]);
        assert_memory_equal(one, other, sizeof *one);
        free(other);
    }
    spec.seed++;
    record *other = run_new(spec, 1);
    assert_memory_not_equal(one->samples, other->samples, sizeof one->samples);
    free(other);
    free(one);
}

/* Stored order, no augmentation: an image is its own pixels, normalised. */
static void plain_pixels_in_order(void **state)
{
    (void)state;
    pulmo_loader_spec spec = plain_spec();
    spec.shuffle = 0;
    spec.mean[1] = 0.5f;
    spec.std[2] = 0.25f;
    record *r = run_new(spec, 2);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(r->samples[i], i);
        for (int c = 0; c < 3; c++)
            for (size_t at = 0; at < PACK_SIDE * PACK_SIDE; at++) {
                float wanted = ((float)packed_pixel(i, at) / 255.0f - (c == 1 ? 0.5f : 0.0f)) /
                               (c == 2 ? 0.25f : 1.0f);
                assert_true(r->images[i * FLOATS + (size_t)c * PACK_SIDE * PACK_SIDE + at] ==
                            wanted);
            }
    }
    free(r);
}

static void augmentation_differs_by_epoch(void **state)
{
    (void)state;
    pulmo_augment_spec augment = rich_augment();
    pulmo_loader_spec spec = plain_spec();
    spec.augment = &augment;
    spec.shuffle = 0;
    record *r = run_new(spec, 1);
    memset(&augment, 0, sizeof augment); /* was copied, is not needed any more */
    for (int i = 0; i < COUNT; i++)
        assert_memory_not_equal(r->images + i * FLOATS, r->images + (COUNT + i) * FLOATS,
                                FLOATS * sizeof(float));
    free(r);
}

/* ---- seeking ---- */

/* From any state, seek then next gives what a run from the start would. */
static void seek_goes_anywhere(void **state)
{
    (void)state;
    pulmo_augment_spec augment = rich_augment();
    pulmo_loader_spec spec = plain_spec();
    spec.augment = &augment;
    record *straight = run_new(spec, 1);
    spec.threads = 2;
    spec.depth = 3;
    pulmo_loader *loader = NULL;
    pulmo_batch b;
    static const uint32_t places[][2] = {{1, 2}, {0, 0}, {0, 3}, {1, 0}, {0, 3}, {0, 4}, {0, 1}};
    assert_int_equal(pulmo_loader_create(data, &spec, &loader), PULMO_OK);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        assert_int_equal(pulmo_loader_seek(loader, places[i][0], places[i][1]), PULMO_OK);
        for (size_t k = 0; k < i % 3; k++) {
            assert_int_equal(pulmo_loader_next(loader, &b), PULMO_OK);
            uint32_t place = places[i][0] * 4 + places[i][1] +
                             (uint32_t)k; /* (0, 4) is (1, 0): 4 batches an epoch */
            assert_int_equal(b.epoch * 4 + b.number, place);
            if (b.epoch > 1)
                continue;
            size_t at = b.epoch * COUNT + b.number * spec.batch;
            assert_memory_equal(b.samples, straight->samples + at, b.count * sizeof(uint32_t));
            assert_memory_equal(b.images, straight->images + at * FLOATS,
                                b.count * FLOATS * sizeof(float));
        }
    }
    assert_int_equal(pulmo_loader_seek(loader, 0, 5), PULMO_DATA);
    pulmo_loader_destroy(loader);
    free(straight);
}

static void destroyed_at_any_moment(void **state)
{
    (void)state;
    pulmo_loader_spec spec = plain_spec();
    pulmo_batch b;
    for (int i = 0; i < 24; i++) {
        pulmo_loader *loader = NULL;
        spec.threads = 1 + i % 3;
        spec.depth = 1 + i % 4;
        assert_int_equal(pulmo_loader_create(data, &spec, &loader), PULMO_OK);
        if (i % 5 == 1)
            assert_int_equal(pulmo_loader_seek(loader, (uint32_t)i, 1), PULMO_OK);
        for (int k = 0; k < i % 7; k++)
            assert_int_equal(pulmo_loader_next(loader, &b), PULMO_OK);
        pulmo_loader_destroy(loader);
    }
    pulmo_loader_destroy(NULL);
}

/* ---- ranks without work, data sets without images ---- */

static void an_empty_part(void **state)
{
    (void)state;
    pulmo_loader_spec spec = plain_spec();
    spec.rank = 0; /* of 9 ranks for 4 microbatches: 0 * 4 / 9 to 1 * 4 / 9 */
    spec.size = 9;
    pulmo_loader *loader = NULL;
    pulmo_batch b;
    assert_int_equal(pulmo_loader_create(data, &spec, &loader), PULMO_OK);
    for (uint32_t k = 0; k < 8; k++) {
        assert_int_equal(pulmo_loader_next(loader, &b), PULMO_OK);
        assert_int_equal(b.count, 0);
        assert_int_equal(b.number, k % 4);
        assert_int_equal(b.global_count, k % 4 == 3 ? 5 : 16);
    }
    pulmo_loader_destroy(loader);
}

static void an_empty_data_set(void **state)
{
    (void)state;
    pulmo_dataset *none = NULL;
    pulmo_loader *loader = NULL;
    pulmo_loader_spec spec = plain_spec();
    pulmo_batch b;
    assert_int_equal(pulmo_dataset_open(pack->directory, "val", 1, &none), PULMO_OK);
    assert_int_equal(pulmo_loader_create(none, &spec, &loader), PULMO_OK);
    assert_int_equal(pulmo_loader_seek(loader, 0, 0), PULMO_OK);
    assert_int_equal(pulmo_loader_next(loader, &b), PULMO_DATA);
    pulmo_loader_destroy(loader);
    pulmo_dataset_close(none);
}

/* ---- failures ---- */

/* A shard goes bad while it is in use: the batch that needs it fails, with its name, in the thread
 * that asks; other batches and the destroy work on. */
static void unreadable_image_is_reported(void **state)
{
    (void)state;
    packing *p = make_packing(1);
    pulmo_dataset *dataset = NULL;
    pulmo_loader *loader = NULL;
    pulmo_loader_spec spec = plain_spec();
    pulmo_batch b;
    spec.threads = 2;
    spec.shuffle = 0;
    assert_int_equal(write_packing(p, "train", 48, 3), PULMO_OK);
    assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_OK);
    char *path = pulmo_shard_path(p->directory, "train", 1, 3);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(pulmo_loader_create(dataset, &spec, &loader), PULMO_OK);
    for (int k = 0; k < 6; k++) {
        pulmo_error_clear();
        pulmo_status status = pulmo_loader_next(loader, &b);
        assert_int_equal(status, k % 3 == 1 ? PULMO_DATA : PULMO_OK);
        assert_int_equal(strstr(pulmo_error(), path) != NULL, k % 3 == 1);
    }
    pulmo_loader_destroy(loader);
    pulmo_dataset_close(dataset);
    free(path);
    remove_packing(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(microbatches_cover_the_batch),
        cmocka_unit_test(batches_cover_the_epoch),
        cmocka_unit_test(independent_of_ranks_and_threads),
        cmocka_unit_test(plain_pixels_in_order),
        cmocka_unit_test(augmentation_differs_by_epoch),
        cmocka_unit_test(seek_goes_anywhere),
        cmocka_unit_test(destroyed_at_any_moment),
        cmocka_unit_test(an_empty_part),
        cmocka_unit_test(an_empty_data_set),
        cmocka_unit_test(unreadable_image_is_reported),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
