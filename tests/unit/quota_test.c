/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/base/rng.h"
#include "mta/receive/quota.h"

enum { MINUTE = 60000, HOUR = 60 * MINUTE };
#define NOON 1795521600000ULL /* 2026-11-24 12:00 UTC */

static const struct quota_limits ten_an_hour = {.hour = 10};

static uint64_t wait(const struct quota_meter *m, struct quota_limits limits, uint32_t more,
                     uint64_t now)
{
    const char *window;
    return quota_wait_ms(m, &limits, more, now, &window);
}

static void send(struct quota_meter *m, uint32_t count, uint64_t now)
{
    quota_hold(m, count);
    quota_use(m, count, now);
}

static void what_fits_goes_and_what_does_not_is_told_when(void **state)
{
    struct quota_meter m = {0};
    const char *window   = "";
    (void)state;
    assert_int_equal(wait(&m, ten_an_hour, 10, NOON), 0);
    send(&m, 6, NOON);
    send(&m, 4, NOON + 20 * MINUTE);
    assert_int_equal(quota_hour(&m, NOON + 20 * MINUTE), 10);
    uint64_t until = quota_wait_ms(&m, &ten_an_hour, 1, NOON + 30 * MINUTE, &window);
    assert_string_equal(window, "hour");
    assert_int_equal(until, 35 * MINUTE); /* when the bucket of NOON has left */
    assert_int_equal(wait(&m, ten_an_hour, 6, NOON + 65 * MINUTE), 0);
    assert_int_not_equal(wait(&m, ten_an_hour, 7, NOON + 65 * MINUTE), 0);
    assert_int_equal(wait(&m, ten_an_hour, 10, NOON + 85 * MINUTE), 0);
}

static void what_never_fits_is_not_promised_at_once(void **state)
{
    struct quota_meter m = {0};
    (void)state;
    assert_int_not_equal(wait(&m, ten_an_hour, 11, NOON), 0);
    assert_int_equal(wait(&m, (struct quota_limits){0}, 1000000, NOON), 0);
}

static void what_is_held_counts_until_it_is_let_go(void **state)
{
    struct quota_meter m = {0};
    (void)state;
    quota_hold(&m, 10);
    assert_int_not_equal(wait(&m, ten_an_hour, 1, NOON), 0);
    quota_let_go(&m, 4);
    assert_int_equal(wait(&m, ten_an_hour, 4, NOON), 0);
    quota_use(&m, 6, NOON);
    assert_int_equal(m.held, 0);
    assert_int_equal(quota_hour(&m, NOON), 6);
    assert_int_equal(quota_day(&m, NOON), 6);
}

static void the_day_counts_beside_the_hour(void **state)
{
    static const struct quota_limits both = {.hour = 10, .day = 15};
    struct quota_meter m                  = {0};
    const char *window                    = "";
    (void)state;
    send(&m, 10, NOON);
    send(&m, 5, NOON + 2 * HOUR);
    assert_int_equal(quota_hour(&m, NOON + 2 * HOUR), 5);
    assert_int_equal(quota_day(&m, NOON + 2 * HOUR), 15);
    uint64_t until = quota_wait_ms(&m, &both, 1, NOON + 3 * HOUR, &window);
    assert_string_equal(window, "day");
    assert_int_equal(until, 22 * HOUR);
    assert_int_equal(wait(&m, both, 10, NOON + 25 * HOUR), 0);
    assert_int_equal(quota_day(&m, NOON + 27 * HOUR), 0);
}

/* In no hour and no day more than the limit, whatever the pattern. */
static void no_window_ever_holds_more_than_its_limit(void **state)
{
    enum { STEPS = 4000, STEP_MS = 97000 };
    static uint32_t sent[STEPS];
    static const struct quota_limits limits = {.hour = 20, .day = 100};
    struct quota_meter m                    = {0};
    struct rng rng;
    (void)state;
    rng_seed(&rng, 5);
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t now  = NOON + (uint64_t)i * STEP_MS;
        uint32_t want = (uint32_t)rng_below(&rng, 8);
        sent[i]       = wait(&m, limits, want, now) == 0 ? want : 0;
        send(&m, sent[i], now);
        uint32_t hour = 0, day = 0;
        for (unsigned k = 0; k <= i && (uint64_t)k * STEP_MS < 24 * (uint64_t)HOUR; k++) {
            day += sent[i - k];
            hour += (uint64_t)k * STEP_MS < HOUR ? sent[i - k] : 0;
        }
        assert_true(hour <= limits.hour && day <= limits.day);
    }
    assert_int_not_equal(quota_day(&m, NOON + (uint64_t)STEPS * STEP_MS), 0);
}

static void a_clock_that_steps_back_forgets_and_does_not_lock(void **state)
{
    struct quota_meter m = {0};
    (void)state;
    send(&m, 10, NOON);
    assert_int_not_equal(wait(&m, ten_an_hour, 1, NOON - MINUTE),
                         0); /* a little: it still counts */
    assert_int_equal(wait(&m, ten_an_hour, 1, NOON - 24 * HOUR), 0);
    send(&m, 3, NOON - 24 * HOUR);
    assert_int_equal(quota_hour(&m, NOON - 24 * HOUR), 3);
}

static void counts_survive_a_restart(void **state)
{
    struct quotas before, after;
    struct buf text = {0}, again = {0};
    (void)state;
    quotas_init(&before, 1);
    quotas_init(&after, 2);
    struct quota_use *ann = quotas_of(&before, span_of("ann@x.example"));
    assert_ptr_equal(quotas_of(&before, span_of("ann@x.example")), ann);
    send(&ann->messages, 3, NOON);
    send(&ann->messages, 2, NOON + 10 * MINUTE);
    send(&ann->recipients, 500, NOON);
    quota_hold(&ann->recipients, 7); /* what was underway is not sent */
    quotas_write(&before, &text);
    assert_true(quotas_read(&after, buf_span(&text)));
    const struct quota_use *use = quotas_find(&after, span_of("ann@x.example"));
    assert_non_null(use);
    assert_int_equal(use->messages.held, 0);
    assert_int_equal(use->recipients.held, 0);
    assert_int_equal(quota_hour(&use->messages, NOON + 10 * MINUTE), 5);
    assert_int_equal(quota_hour(&use->messages, NOON + 66 * MINUTE), 2);
    assert_int_equal(quota_day(&use->recipients, NOON + 10 * MINUTE), 500);
    quotas_write(&after, &again);
    assert_string_equal(buf_text(&again), buf_text(&text));
    buf_release(&text);
    buf_release(&again);
    quotas_release(&before);
    quotas_release(&after);
}

static void who_has_not_sent_for_a_day_is_forgotten(void **state)
{
    struct quotas q;
    (void)state;
    quotas_init(&q, 1);
    send(&quotas_of(&q, span_of("ann"))->messages, 1, NOON);
    quota_hold(&quotas_of(&q, span_of("bob"))->messages, 1);
    quotas_of(&q, span_of("eve"));
    quotas_forget(&q, NOON + HOUR);
    assert_non_null(quotas_find(&q, span_of("ann")));
    assert_null(quotas_find(&q, span_of("eve")));
    quotas_forget(&q, NOON + 26 * HOUR);
    assert_null(quotas_find(&q, span_of("ann")));
    assert_non_null(quotas_find(&q, span_of("bob")));
    quotas_release(&q);
}

static void damaged_lines_are_left_out(void **state)
{
    static const char *const bad[] = {
        "ann",
        "ann 1:1",
        "ann 1:1 1:1 1:1",
        "ann 1:1 1:1 1:1 1:1 1:1",
        "ann 1:x 1:1 1:1 1:1",
        "ann 99999999999:1 1:1 1:1 1:1",
        "ann 1:1 1:1 1:1 1:",
        "ann 1:4000000000 1:1 1:1 1:1",
        " 1:1 1:1 1:1 1:1",
        "ann 1:0,0,0,0,0,0,0,0,0,0,0,0,0,0 1:1 1:1 1:1",
    };
    struct quotas q;
    (void)state;
    quotas_init(&q, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(quotas_read(&q, span_of(bad[i])));
    assert_null(quotas_find(&q, span_of("ann")));
    assert_false(quotas_read(&q, span_of("ann x\nbob 1:1 1:1 1:1 1:1\n")));
    assert_non_null(quotas_find(&q, span_of("bob")));
    quotas_release(&q);
}

static void limits_are_written_as_they_are_read(void **state)
{
    static const char *const good[] = {"100/h", "1000/d", "100/h,1000/d", "none"};
    static const char *const bad[]  = {"",         "100",          "100/m", "0/h",    "/h",
                                       "1/h,2/h",  "1/h,1/d,1/h",  "x/h",   "-1/h",   "1/hd",
                                       "none,1/h", "1000000001/h", "1 /h",  "1/h 2/d"};
    struct quota_limits limits;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct buf text = {0};
        assert_true(quota_limits_parse(span_of(good[i]), &limits));
        quota_limits_put(&limits, &text);
        assert_string_equal(buf_text(&text), good[i]);
        buf_release(&text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(quota_limits_parse(span_of(bad[i]), &limits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_goes_and_what_does_not_is_told_when),
        cmocka_unit_test(what_never_fits_is_not_promised_at_once),
        cmocka_unit_test(what_is_held_counts_until_it_is_let_go),
        cmocka_unit_test(the_day_counts_beside_the_hour),
        cmocka_unit_test(no_window_ever_holds_more_than_its_limit),
        cmocka_unit_test(a_clock_that_steps_back_forgets_and_does_not_lock),
        cmocka_unit_test(counts_survive_a_restart),
        cmocka_unit_test(who_has_not_sent_for_a_day_is_forgotten),
        cmocka_unit_test(damaged_lines_are_left_out),
        cmocka_unit_test(limits_are_written_as_they_are_read),
    };
    return RUN(tests);
}
