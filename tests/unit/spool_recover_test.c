/* SPDX-License-Identifier: MIT */
#include "tests/unit/spool_model.h"

enum { TRACE_STEPS = 700 };

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
    for (uint64_t seed = 1; seed <= 3; seed++) {
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
    uint64_t states = 0, checkpoints = 0;
    for (uint64_t seed = 100; seed < 140; seed++) {
        struct model *m = model_new(seed);
        if (getenv("SPOOL_TRACE") != NULL)
            print_message("seed %llu\n", (unsigned long long)seed);
        for (int crash = 0; crash < 25; crash++, states++) {
            fake_power_off_at(1 + rng_below(&m->rng, 400));
            model_run(m, 3000);
            model_reopen(m, (enum fake_survival)rng_below(&m->rng, FAKE_SURVIVALS));
        }
        checkpoints += m->checkpoints;
        model_free(m);
    }
    print_message("%llu states, %llu checkpoints\n", (unsigned long long)states,
                  (unsigned long long)checkpoints);
    assert_true(checkpoints > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_every_operation_keeps_every_promise),
        cmocka_unit_test(many_crashes_in_one_life_keep_every_promise)};
    return RUN(tests);
}
