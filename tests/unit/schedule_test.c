/* SPDX-License-Identifier: MIT */
#include "mta/queue/schedule.h"
#include "tests/unit/check.h"

static const struct retry_policy ladder = {
    .intervals_ms = {1000, 3000, 9000},
      .interval_count = 3, .in_doubt_ms = 500
};

static void each_failure_waits_for_its_interval_and_the_last_repeats(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    assert_int_equal(schedule_wait_ms(&ladder, 1, &rng), 1000);
    assert_int_equal(schedule_wait_ms(&ladder, 2, &rng), 3000);
    assert_int_equal(schedule_wait_ms(&ladder, 3, &rng), 9000);
    assert_int_equal(schedule_wait_ms(&ladder, 4, &rng), 9000);
    assert_int_equal(schedule_wait_ms(&ladder, 65535, &rng), 9000);
    assert_int_equal(schedule_doubt_ms(&ladder, &rng), 500);
}

static void jitter_spreads_both_ways_and_no_farther(void **state)
{
    (void)state;
    struct retry_policy retry = ladder;
    retry.jitter_percent      = 20;
    struct rng rng;
    rng_seed(&rng, 7);
    uint64_t least = UINT64_MAX, most = 0;
    for (size_t i = 0; i < 10000; i++) {
        uint64_t wait = schedule_wait_ms(&retry, 1, &rng);
        least         = wait < least ? wait : least;
        most          = wait > most ? wait : most;
    }
    assert_int_equal(least, 800);
    assert_int_equal(most, 1200);
}

static void a_wait_is_never_nothing(void **state)
{
    (void)state;
    struct retry_policy retry = {.intervals_ms = {1}, .interval_count = 1, .jitter_percent = 500};
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t i = 0; i < 100; i++)
        assert_true(schedule_wait_ms(&retry, 1, &rng) >= 1);
}

static void the_same_seed_gives_the_same_times(void **state)
{
    (void)state;
    struct retry_policy retry = ladder;
    retry.jitter_percent      = 20;
    struct rng a, b;
    rng_seed(&a, 99);
    rng_seed(&b, 99);
    for (unsigned i = 1; i < 50; i++)
        assert_int_equal(schedule_wait_ms(&retry, i, &a), schedule_wait_ms(&retry, i, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_waits_for_its_interval_and_the_last_repeats),
        cmocka_unit_test(jitter_spreads_both_ways_and_no_farther),
        cmocka_unit_test(a_wait_is_never_nothing),
        cmocka_unit_test(the_same_seed_gives_the_same_times),
    };
    return RUN(tests);
}
