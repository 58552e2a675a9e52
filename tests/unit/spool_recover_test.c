/* SPDX-License-Identifier: MIT */
#include "tests/unit/spool_model.h"

enum { TRACE_STEPS = 600 };

/* SPOOL_ROUNDS=20 for the nights. */
static uint64_t rounds(uint64_t count)
{
    const char *more = getenv("SPOOL_ROUNDS");
    return count * (more == NULL ? 1 : strtoull(more, NULL, 10));
}

static uint64_t operations_of_a_run(uint64_t seed)
{
    struct model *m = model_new(seed);
    uint64_t before = fake.operations;
    model_run(m, TRACE_STEPS);
    uint64_t count = fake.operations - before;
    model_free(m);
    return count;
}

static void crash_at(uint64_t seed, uint64_t operation, enum fake_survival how)
{
    if (getenv("SPOOL_TRACE") != NULL)
        print_message("seed %llu operation %llu survival %d\n", (unsigned long long)seed,
                      (unsigned long long)operation, how);
    struct model *m = model_new(seed);
    fake_power_off_at(operation);
    model_run(m, TRACE_STEPS);
    model_reopen(m, how);
    model_free(m);
}

static void a_crash_at_every_operation_keeps_every_promise(void **state)
{
    (void)state;
    uint64_t states = 0;
    for (uint64_t seed = 1; seed < 1 + rounds(2); seed++) {
        uint64_t count = operations_of_a_run(seed);
        for (uint64_t k = 1; k <= count; k++)
            for (int how = 0; how < FAKE_SURVIVALS; how++, states++)
                crash_at(seed, k, (enum fake_survival)how);
    }
    print_message("%llu states\n", (unsigned long long)states);
}

static void many_crashes_in_one_life_keep_every_promise(void **state)
{
    (void)state;
    uint64_t states = 0, checkpoints = 0, joined = 0, recycled = 0;
    for (uint64_t seed = 1000; seed < 1000 + rounds(16); seed++) {
        struct model *m = model_new(seed);
        if (getenv("SPOOL_TRACE") != NULL)
            print_message("seed %llu\n", (unsigned long long)seed);
        for (int crash = 0; crash < 25; crash++, states++) {
            fake_power_off_at(1 + rng_below(&m->rng, 400));
            model_run(m, 3000);
            model_reopen(m, (enum fake_survival)rng_below(&m->rng, FAKE_SURVIVALS));
        }
        checkpoints += m->checkpoints;
        joined += m->joined;
        recycled += m->recycled;
        model_free(m);
    }
    print_message("%llu states, %llu checkpoints, %llu joins, %llu files used again\n",
                  (unsigned long long)states, (unsigned long long)checkpoints,
                  (unsigned long long)joined, (unsigned long long)recycled);
    assert_true(checkpoints > 100 && joined > 100 && recycled > 100);
}

/* The power goes again while what the first crash left is being read. */
static void reopen_with_crashes(struct model *m, enum fake_survival how)
{
    model_close(m);
    fake_power_on(how, rng_next(&m->rng));
    for (uint64_t k = 1; k < 12; k++) {
        fake_power_off_at(k);
        m->spool = open_spool(&m->config);
        if (m->spool != NULL)
            model_run_quietly(m);
        if (m->spool != NULL)
            spool_close(m->spool);
        m->spool = NULL;
        fake_power_on((enum fake_survival)rng_below(&m->rng, FAKE_SURVIVALS), rng_next(&m->rng));
    }
    m->spool = open_spool(&m->config);
    assert_non_null(m->spool);
    take_recovered(m);
}

static void recovery_may_be_cut_off_and_begun_again(void **state)
{
    (void)state;
    for (uint64_t seed = 2000; seed < 2000 + rounds(8); seed++) {
        struct model *m = model_new(seed);
        for (int crash = 0; crash < 4; crash++) {
            fake_power_off_at(1 + rng_below(&m->rng, 300));
            model_run(m, 2000);
            reopen_with_crashes(m, (enum fake_survival)rng_below(&m->rng, FAKE_SURVIVALS));
        }
        model_free(m);
    }
}

static void fail_at(uint64_t seed, uint64_t operation, enum status with, bool is_sticky)
{
    struct model *m = model_new(seed);
    if (getenv("SPOOL_TRACE") != NULL)
        print_message("seed %llu operation %llu fails with %s, %s\n", (unsigned long long)seed,
                      (unsigned long long)operation, status_text(with),
                      is_sticky ? "from then on" : "once");
    fake_fail_at(operation, with, is_sticky);
    model_run(m, TRACE_STEPS);
    fake_power_off_at(1 + rng_below(&m->rng, 20)); /* and a crash soon after */
    model_run(m, TRACE_STEPS / 2);
    if (!is_sticky && rng_one_in(&m->rng, 2))
        fake_fail_at(0, OK, false);
    model_reopen(m, (enum fake_survival)rng_below(&m->rng, FAKE_SURVIVALS));
    model_run(m, TRACE_STEPS / 2);
    model_free(m);
}

static void every_operation_may_fail(void **state)
{
    (void)state;
    for (uint64_t seed = 3000; seed < 3000 + rounds(1); seed++) {
        uint64_t count = operations_of_a_run(seed);
        for (uint64_t k = 1; k <= count; k++) {
            fail_at(seed, k, IO_ERROR, false);
            fail_at(seed, k, NO_SPACE, false);
            fail_at(seed, k, IO_ERROR, true);
            fail_at(seed, k, NO_SPACE, true);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_every_operation_keeps_every_promise),
        cmocka_unit_test(many_crashes_in_one_life_keep_every_promise),
        cmocka_unit_test(recovery_may_be_cut_off_and_begun_again),
        cmocka_unit_test(every_operation_may_fail)};
    return RUN(tests);
}
