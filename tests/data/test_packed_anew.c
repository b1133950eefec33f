/* A packed data set that is made anew while a program reads it: what was opened is read, or
 * nothing.
 */
#include "support.h"

#include "pulmo/dataset.h"

#include "packing.h"

static int make(void **state)
{
    *state = make_packing(1);
    return 0;
}

static int drop(void **state)
{
    remove_packing(*state);
    return 0;
}

/* Another image behind the same name and label, in a shard that is as whole as the first. */
static void pack_anew(packing *p, uint32_t count)
{
    pulmo_packed_split split = packing_split(p, "train", count, 2);
    for (uint32_t i = 0; i < count; i++)
        snprintf(p->text[2][i], sizeof p->text[2][i], "another source %u", i);
    for (uint32_t s = 0; s < split.shards; s++)
        assert_ok(write_shard(p, &split, s));
}

static void other_shards_are_refused(void **state)
{
    packing *p = *state;
    pulmo_dataset *dataset = NULL;
    uint8_t pixels[PACK_SIDE * PACK_SIDE];
    assert_ok(write_packing(p, "train", 10, 2));
    assert_ok(pulmo_dataset_open(p->directory, "train", 0, &dataset));
    assert_ok(pulmo_dataset_read(dataset, 0, pixels)); /* of the first shard, which is open now */
    pack_anew(p, 10);
    assert_ok(pulmo_dataset_read(dataset, 1, pixels));
    assert_refused(pulmo_dataset_read(dataset, 9, pixels), PULMO_DATA,
                   "train-00001-of-00002.h5: is another file than when this program began");
    pulmo_dataset_close(dataset);
}

/* The same sources packed again are the same bytes. */
static void the_same_shards_are_read(void **state)
{
    packing *p = *state;
    pulmo_dataset *dataset = NULL;
    uint8_t pixels[PACK_SIDE * PACK_SIDE];
    assert_ok(write_packing(p, "train", 10, 2));
    assert_ok(pulmo_dataset_open(p->directory, "train", 0, &dataset));
    assert_ok(write_packing(p, "train", 10, 2));
    for (uint32_t i = 0; i < 10; i++)
        assert_ok(pulmo_dataset_read(dataset, i, pixels));
    pulmo_dataset_close(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(other_shards_are_refused, make, drop),
        cmocka_unit_test_setup_teardown(the_same_shards_are_read, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
