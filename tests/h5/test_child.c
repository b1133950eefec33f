/* What ends a child process that looks at a file is a refusal of the file. */
#include "cost.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "h5_room.h"

static void crash(void *context)
{
    (void)context;
    raise(SIGSEGV);
}

static void give_up(void *context)
{
    (void)context;
    abort();
}

static void take_memory(void *context)
{
    (void)context;
    for (;;) {
        void *block = malloc((size_t)1 << 24);
        if (!block)
            abort();
        memset(block, 1, (size_t)1 << 24);
    }
}

/* The lock is held by the thread that forks, whose number is another one in the child. */
static void look(void *context)
{
    pulmo_h5 *file = NULL;
    (void)context;
    if (pulmo_h5_create("/dev/null/none", &file) != PULMO_IO)
        abort();
}

static pulmo_status in_child(void (*work)(void *))
{
    bool lacked = false;
    h5_lock();
    pulmo_status status = h5_in_child("weights.h5", work, NULL, &lacked);
    h5_unlock();
    return status;
}

static void what_ends_the_child_is_refused(void **state)
{
    (void)state;
    assert_refused(in_child(crash), PULMO_DATA, "weights.h5: libhdf5 cannot walk through it");
    assert_refused(in_child(give_up), PULMO_DATA, "made to do harm");
    if (COST_FACTOR == 1) /* sanitizers have their own way with memory */
        assert_refused(in_child(take_memory), PULMO_DATA, "cannot walk through it");
    assert_ok(in_child(look));
}

/* What a child that was refused memory says is no end of its own. */
static void lack_memory(void *context)
{
    const struct rlimit none = {0};
    (void)context;
    if (setrlimit(RLIMIT_AS, &none) != 0)
        abort();
    while (H5Pcreate(H5P_DATASET_CREATE) >= 0)
        continue;
}

static void a_child_tells_that_it_was_refused_memory(void **state)
{
    bool lacked = false;
    (void)state;
    h5_lock();
    assert_ok(h5_in_child("weights.h5", look, NULL, &lacked));
    assert_false(lacked);
    if (COST_FACTOR == 1) {
        assert_ok(h5_in_child("weights.h5", lack_memory, NULL, &lacked));
        assert_true(lacked);
    }
    h5_unlock();
}

static void what_is_being_written_can_be_left(void **state)
{
    pulmo_h5 *first = NULL, *second = NULL;
    (void)state;
    assert_ok(pulmo_h5_create("left-first.h5", &first));
    assert_ok(pulmo_h5_create("left-second.h5", &second));
    assert_int_equal(access(first->temporary, F_OK), 0);
    pulmo_h5_close(first);
    pulmo_h5_leave();
    assert_int_not_equal(access(second->temporary, F_OK), 0);
    pulmo_h5_close(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_the_child_is_refused),
        cmocka_unit_test(a_child_tells_that_it_was_refused_memory),
        cmocka_unit_test(what_is_being_written_can_be_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
