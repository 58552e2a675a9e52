/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/receive/guard.h"
#include <stdio.h>

enum { START_MS = 1000000, MINUTE = 60000, HOUR = 60 * MINUTE };

static struct guard guard;

static int begin(void **state)
{
    (void)state;
    guard_init(&guard, 7);
    return 0;
}

static int end(void **state)
{
    (void)state;
    guard_release(&guard);
    return 0;
}

static struct net_address at(const char *text)
{
    struct net_address address;
    assert_int_equal(net_address_parse(span_of(text), &address), OK);
    return address;
}

/* Tries once; returns whether it was looked at. */
static bool attempt(const char *from, const char *user, bool is_right, uint64_t now_ms)
{
    struct guard_try t;
    struct net_address address = at(from);
    if (guard_begin(&guard, &t, &address, span_of(user), false, now_ms) > 0)
        return false;
    guard_end(&guard, &t, is_right, now_ms);
    return true;
}

/* So many looked at, of many tried one a second. */
static unsigned looked_at(const char *from, const char *user, unsigned seconds, uint64_t start_ms)
{
    unsigned count = 0;
    for (unsigned i = 0; i < seconds; i++)
        count += attempt(from, user, false, start_ms + (uint64_t)i * 1000);
    return count;
}

static void a_few_wrong_attempts_are_free_then_they_get_rarer(void **state)
{
    (void)state;
    for (int i = 0; i < GUARD_ADDRESS_FREE; i++)
        assert_true(attempt("192.0.2.1", "ann", false, START_MS));
    assert_true(attempt("192.0.2.1", "ann", false, START_MS)); /* this one makes it pause */
    assert_false(attempt("192.0.2.1", "ann", false, START_MS + GUARD_PAUSE_MS - 1));
    assert_true(attempt("192.0.2.1", "ann", false, START_MS + GUARD_PAUSE_MS));
    assert_false(attempt("192.0.2.1", "ann", false, START_MS + 3 * GUARD_PAUSE_MS - 1));
    assert_true(attempt("192.0.2.1", "ann", false, START_MS + 3 * GUARD_PAUSE_MS));
    assert_in_range(looked_at("192.0.2.1", "ann", 3600, START_MS + 10000), 1, 20);
}

static void an_address_is_slowed_whatever_names_it_tries(void **state)
{
    char name[32];
    unsigned count = 0;
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof name, "user%u", i);
        count += attempt("192.0.2.1", name, false, START_MS + i * 100);
    }
    assert_in_range(count, GUARD_ADDRESS_FREE, GUARD_ADDRESS_FREE + 12);
}

static void an_ipv6_network_counts_as_one(void **state)
{
    char from[64];
    unsigned count = 0;
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(from, sizeof from, "2001:db8::%x:%x", i, i);
        count += attempt(from, "ann", false, START_MS);
    }
    assert_int_equal(count, GUARD_ADDRESS_FREE + 1);
    assert_false(attempt("2001:db8::1", "bob", false, START_MS));
    assert_true(attempt("2001:db8:0:1::1", "bob", false, START_MS));
}

static void an_embedded_ipv4_address_is_that_address(void **state)
{
    (void)state;
    for (int i = 0; i <= GUARD_ADDRESS_FREE; i++)
        assert_true(attempt("::ffff:192.0.2.1", "ann", false, START_MS));
    assert_false(attempt("192.0.2.1", "bob", false, START_MS));
}

static void a_name_is_slowed_wherever_it_is_tried_from(void **state)
{
    char from[32];
    unsigned count = 0;
    (void)state;
    for (unsigned i = 0; i < 60 * 60; i++) {
        (void)snprintf(from, sizeof from, "198.51.%u.%u", i / 200, i % 200);
        count += attempt(from, "ann", false, START_MS + i * 1000);
    }
    assert_in_range(count, 60, 100); /* about one a minute */
}

static void the_owner_is_not_slowed_where_he_is_known(void **state)
{
    char from[32];
    (void)state;
    assert_true(attempt("203.0.113.5", "ann", true, START_MS));
    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(from, sizeof from, "198.51.%u.%u", i / 200, i % 200);
        (void)attempt(from, "ann", false, START_MS + i * 10);
        assert_true(attempt("203.0.113.5", "ann", true, START_MS + i * 10));
    }
    /* nor by what others do at his address */
    for (unsigned i = 0; i < 100; i++)
        (void)attempt("203.0.113.5", "eve", false, START_MS + 30000);
    assert_false(attempt("203.0.113.5", "eve", false, START_MS + 30000));
    assert_true(attempt("203.0.113.5", "ann", true, START_MS + 30000));
}

static void the_owner_at_a_new_address_waits_a_minute_at_most(void **state)
{
    char from[32];
    struct guard_try t;
    struct net_address home = at("203.0.113.77");
    (void)state;
    for (unsigned i = 0; i < 3600; i++) {
        (void)snprintf(from, sizeof from, "198.51.%u.%u", i / 200, i % 200);
        (void)attempt(from, "ann", false, START_MS + i * 1000);
    }
    assert_in_range(guard_begin(&guard, &t, &home, span_of("ann"), false, START_MS + HOUR), 0,
                    GUARD_USER_MAX_MS);
    assert_true(attempt("203.0.113.77", "ann", true, START_MS + HOUR + GUARD_USER_MAX_MS));
    assert_true(attempt("203.0.113.77", "ann", true, START_MS + HOUR + GUARD_USER_MAX_MS));
}

static void who_is_known_is_slowed_by_his_own_guesses(void **state)
{
    (void)state;
    assert_true(attempt("203.0.113.5", "ann", true, START_MS));
    assert_in_range(looked_at("203.0.113.5", "ann", 3600, START_MS + 1000), GUARD_KNOWN_FREE, 25);
    /* a pause, and he is in */
    assert_true(attempt("203.0.113.5", "ann", true, START_MS + 2 * HOUR));
    assert_true(attempt("203.0.113.5", "ann", false, START_MS + 2 * HOUR));
}

static void right_attempts_leave_no_mark(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        assert_true(attempt("192.0.2.1", i % 2 == 0 ? "ann" : "bob", true, START_MS + i));
    for (int i = 0; i < GUARD_ADDRESS_FREE; i++)
        assert_true(attempt("192.0.2.1", "eve", false, START_MS + 2000));
}

/* Who has an account of his own must not be able to guess another's beside it. */
static void a_right_attempt_does_not_pay_for_wrong_ones(void **state)
{
    unsigned count = 0;
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(attempt("192.0.2.1", "eve", true, START_MS + i * 100));
        count += attempt("192.0.2.1", "ann", false, START_MS + i * 100);
    }
    assert_in_range(count, GUARD_USER_FREE, GUARD_USER_FREE + 8);
}

static void many_at_once_are_no_way_around(void **state)
{
    struct guard_try tries[100];
    struct net_address from = at("192.0.2.1");
    unsigned count          = 0;
    (void)state;
    for (int i = 0; i < 100; i++)
        count += guard_begin(&guard, &tries[count], &from, span_of("ann"), false, START_MS) == 0;
    assert_int_equal(count, GUARD_ADDRESS_FREE + 1);
    for (unsigned i = 0; i < count; i++)
        guard_end(&guard, &tries[i], false, START_MS + 50);
}

static void what_was_not_looked_at_is_not_charged(void **state)
{
    struct guard_try t;
    struct net_address from = at("192.0.2.1");
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(guard_begin(&guard, &t, &from, span_of("ann"), false, START_MS), 0);
        guard_undo(&guard, &t);
    }
    assert_int_equal(guard.known.by_key.count, 0); /* nor is it right */
    assert_true(attempt("192.0.2.1", "ann", true, START_MS));
    assert_int_equal(guard_begin(&guard, &t, &from, span_of("ann"), false, START_MS), 0);
    guard_undo(&guard, &t);
    assert_true(attempt("192.0.2.1", "ann", true, START_MS));
}

static void an_address_that_many_share_is_not_slowed(void **state)
{
    char name[32];
    struct guard_try t;
    struct net_address from = at("127.0.0.1");
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "user%u", i);
        assert_int_equal(guard_begin(&guard, &t, &from, span_of(name), true, START_MS), 0);
        guard_end(&guard, &t, false, START_MS);
    }
    for (int i = 0; i <= GUARD_USER_FREE; i++)
        assert_int_equal(guard_begin(&guard, &t, &from, span_of("ann"), true, START_MS), 0);
    assert_int_not_equal(guard_begin(&guard, &t, &from, span_of("ann"), true, START_MS), 0);
}

static void time_heals(void **state)
{
    (void)state;
    (void)looked_at("192.0.2.1", "ann", 100, START_MS);
    assert_int_equal(
        looked_at("192.0.2.1", "ann", GUARD_ADDRESS_FREE, START_MS + 24 * (uint64_t)HOUR),
        GUARD_ADDRESS_FREE);
}

static void memory_is_bounded_and_the_known_stay(void **state)
{
    char from[32], name[32];
    (void)state;
    assert_true(attempt("203.0.113.5", "ann", true, START_MS));
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(from, sizeof from, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        (void)snprintf(name, sizeof name, "user%u", i);
        (void)attempt(from, name, false, START_MS);
    }
    assert_int_equal(guard.failed.by_key.count, GUARD_ENTRIES_MAX);
    assert_int_equal(guard.known.by_key.count, 1);
    for (unsigned i = 0; i < GUARD_KNOWN_MAX + 10; i++) {
        (void)snprintf(name, sizeof name, "user%u", i);
        (void)attempt("203.0.113.6", name, true, START_MS);
    }
    assert_int_equal(guard.known.by_key.count, GUARD_KNOWN_MAX);
}

#define GUARDED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARDED(a_few_wrong_attempts_are_free_then_they_get_rarer),
        GUARDED(an_address_is_slowed_whatever_names_it_tries),
        GUARDED(an_ipv6_network_counts_as_one),
        GUARDED(an_embedded_ipv4_address_is_that_address),
        GUARDED(a_name_is_slowed_wherever_it_is_tried_from),
        GUARDED(the_owner_is_not_slowed_where_he_is_known),
        GUARDED(the_owner_at_a_new_address_waits_a_minute_at_most),
        GUARDED(who_is_known_is_slowed_by_his_own_guesses),
        GUARDED(right_attempts_leave_no_mark),
        GUARDED(a_right_attempt_does_not_pay_for_wrong_ones),
        GUARDED(many_at_once_are_no_way_around),
        GUARDED(what_was_not_looked_at_is_not_charged),
        GUARDED(an_address_that_many_share_is_not_slowed),
        GUARDED(time_heals),
        GUARDED(memory_is_bounded_and_the_known_stay),
    };
    return RUN(tests);
}
