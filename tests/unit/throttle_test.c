/* SPDX-License-Identifier: MIT */
#include "mta/base/rng.h"
#include "mta/queue/operator.h"
#include "mta/queue/throttle.h"
#include "tests/unit/check.h"

static void jobs_out_are_bounded(void **state)
{
    (void)state;
    struct site_limits limits = {.connections = 2};
    struct throttle t;
    throttle_init(&t, &limits, 0);
    for (size_t i = 0; i < 6; i++) { /* two to be sent, four to follow */
        assert_true(throttle_has_room(&t, &limits));
        throttle_start(&t, &limits, 0);
    }
    assert_false(throttle_has_room(&t, &limits));
    throttle_end(&t);
    assert_true(throttle_has_room(&t, &limits));
}

/* Those ahead may start on the wire at once, after the bucket has filled again. */
static void jobs_ahead_are_taken_out_of_the_burst(void **state)
{
    (void)state;
    struct site_limits limits = {.connections = 10, .rate_per_hour = 360000}; /* 100/s */
    struct throttle t;
    throttle_init(&t, &limits, 0);
    assert_int_equal(throttle_ahead(&limits), 20);
    assert_int_equal(t.credit / THROTTLE_TRANSACTION, 80);
    limits.bdat        = true;
    limits.bdat_window = 3;
    assert_int_equal(throttle_ahead(&limits), 40);
    limits.rate_per_hour = 72000; /* 20/s: half of a second's is one for each */
    assert_int_equal(throttle_ahead(&limits), 10);
    limits.rate_per_hour = 36000; /* 10/s: ten that wait would be all of a second's */
    assert_int_equal(throttle_ahead(&limits), 0);
    throttle_init(&t, &limits, 0);
    assert_int_equal(t.credit / THROTTLE_TRANSACTION, 10);
}

static void no_rate_is_no_limit(void **state)
{
    (void)state;
    struct site_limits limits = {.connections = 100000};
    struct throttle t;
    throttle_init(&t, &limits, 5);
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(throttle_next_ms(&t, &limits, 5), 5);
        throttle_start(&t, &limits, 5);
    }
}

/* How many start in 'ms', when one starts whenever it may. */
static uint64_t run(uint64_t rate_per_hour, uint64_t ms)
{
    struct site_limits limits = {.connections = UINT32_MAX, .rate_per_hour = rate_per_hour};
    struct throttle t;
    uint64_t started = 0, now_ms = 1000;
    throttle_init(&t, &limits, now_ms);
    while (now_ms < 1000 + ms) {
        uint64_t next_ms = throttle_next_ms(&t, &limits, now_ms);
        if (next_ms <= now_ms) {
            throttle_start(&t, &limits, now_ms);
            started++;
        } else {
            now_ms = next_ms;
        }
    }
    return started;
}

static void a_rate_is_kept_exactly(void **state)
{
    (void)state;
    enum { HOUR = 3600000 };
    assert_int_equal(run(1, 10 * (uint64_t)HOUR), 10);    /* one at once, then hourly */
    assert_int_equal(run(7, HOUR), 7);                    /* does not divide an hour */
    assert_int_equal(run(360000, 10000), 100 + 1000 - 1); /* 100/s: a second's worth, then */
    assert_int_equal(run(3600000, 1000), 1000 + 1000 - 1);
}

static void waiting_earns_no_more_than_a_second_is_worth(void **state)
{
    (void)state;
    struct site_limits limits = {.connections = 1000, .rate_per_hour = 36000}; /* 10/s */
    struct throttle t;
    throttle_init(&t, &limits, 0);
    uint64_t now_ms = UINT64_MAX / 2;
    unsigned count  = 0;
    while (throttle_next_ms(&t, &limits, now_ms) <= now_ms) {
        throttle_start(&t, &limits, now_ms);
        count++;
    }
    assert_int_equal(count, 10);
}

static void no_window_of_time_sees_more_than_the_rate(void **state)
{
    (void)state;
    enum { STARTS = 2000 };
    struct site_limits limits = {.connections = UINT32_MAX, .rate_per_hour = 18000}; /* 5/s */
    struct throttle t;
    struct rng rng;
    uint64_t at_ms[STARTS], now_ms = 0;
    rng_seed(&rng, 3);
    throttle_init(&t, &limits, 0);
    for (size_t i = 0; i < STARTS;) {
        now_ms += rng_below(&rng, 300);
        if (throttle_next_ms(&t, &limits, now_ms) > now_ms)
            continue;
        throttle_start(&t, &limits, now_ms);
        at_ms[i++] = now_ms;
    }
    for (size_t from = 0; from < STARTS; from += 13)
        for (size_t to = from; to < STARTS && to < from + 200; to++)
            assert_true((to - from + 1) * 1000 <= 5 * (at_ms[to] - at_ms[from]) + 5 * 1000);
}

static void a_lower_limit_cuts_what_was_saved(void **state)
{
    (void)state;
    struct site_limits fast = {.connections = 100, .rate_per_hour = 360000}, slow = fast;
    slow.rate_per_hour = 60;
    struct throttle t;
    throttle_init(&t, &fast, 0);
    throttle_start(&t, &slow, 0);
    assert_int_equal(throttle_next_ms(&t, &slow, 0), 60000);
}

static void an_operator_says_what_it_waits_for(void **state)
{
    (void)state;
    struct site_rule rule = {
        .name = "big", .limits = {.connections = 1, .rate_per_hour = 60}
    };
    struct site_operator *o = operator_new(&rule, 1, 0);
    assert_int_equal(operator_gate(o, 0), OPERATOR_OPEN);
    throttle_start(&o->throttle, &o->limits, 0);
    assert_int_equal(operator_gate(o, 0), OPERATOR_FULL);
    throttle_end(&o->throttle);
    assert_int_equal(operator_gate(o, 0), OPERATOR_PACED);
    assert_int_equal(operator_next_ms(o, 0), 60000);
    assert_int_equal(operator_gate(o, 60000), OPERATOR_OPEN);
    operator_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_out_are_bounded),
        cmocka_unit_test(jobs_ahead_are_taken_out_of_the_burst),
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(a_rate_is_kept_exactly),
        cmocka_unit_test(waiting_earns_no_more_than_a_second_is_worth),
        cmocka_unit_test(no_window_of_time_sees_more_than_the_rate),
        cmocka_unit_test(a_lower_limit_cuts_what_was_saved),
        cmocka_unit_test(an_operator_says_what_it_waits_for),
    };
    return RUN(tests);
}
