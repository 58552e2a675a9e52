/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/receive/checks.h"
#include "mta/receive/password.h"
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"

enum { PATIENCE_MS = 60000, OWNERS = CHECKS_WAITING_MAX };

struct world {
    struct loop *loop;
    struct checks *checks;
    unsigned right, wrong, disowned, wanted;
    uint64_t deadline_ms;
    char hash[PASSWORD_HASH_BYTES];
};

static struct world w;

static uint64_t turn(void *owner, uint64_t now_ms)
{
    struct check_done done;
    (void)owner;
    while (checks_take(w.checks, now_ms, &done)) {
        w.disowned += done.owner == NULL;
        w.right += done.is_right;
        w.wrong += !done.is_right;
    }
    if (w.right + w.wrong >= w.wanted || now_ms >= w.deadline_ms)
        loop_stop(w.loop);
    return w.deadline_ms;
}

static int begin(void **state)
{
    (void)state;
    w             = (struct world){0};
    w.loop        = loop_open(turn, &w);
    w.checks      = checks_open(w.loop);
    w.deadline_ms = clock_now_ms() + PATIENCE_MS;
    password_hash("sesame", w.hash);
    return 0;
}

static int end(void **state)
{
    (void)state;
    checks_close(w.checks);
    loop_close(w.loop);
    return 0;
}

static enum check_start ask(const char *hash, const char *password, uint64_t now_ms)
{
    struct check *check;
    return checks_begin(w.checks, span_of("ann"), hash, password, &w, now_ms, &check);
}

static void wait_for(unsigned count)
{
    w.wanted = count;
    loop_run(w.loop);
    assert_int_equal(w.right + w.wrong, count);
}

static void a_password_is_compared(void **state)
{
    (void)state;
    uint64_t now = clock_now_ms();
    assert_int_equal(ask(w.hash, "sesame", now), CHECK_BEGUN);
    assert_int_equal(ask(w.hash, "Sesame", now), CHECK_BEGUN);
    assert_int_equal(ask(NULL, "sesame", now), CHECK_BEGUN);
    wait_for(3);
    assert_int_equal(w.right, 1);
    assert_int_equal(w.disowned, 0);
}

static void what_was_right_is_remembered_for_a_while(void **state)
{
    (void)state;
    uint64_t now = clock_now_ms();
    char other[PASSWORD_HASH_BYTES];
    assert_int_equal(ask(w.hash, "sesame", now), CHECK_BEGUN);
    wait_for(1);
    assert_int_equal(ask(w.hash, "sesame", now), CHECK_RIGHT);
    assert_int_equal(ask(w.hash, "sesame", now + CHECKS_REMEMBERED_MS - 1000), CHECK_RIGHT);
    assert_int_equal(ask(w.hash, "sesamE", now), CHECK_BEGUN);
    /* a new password makes the old one wrong at once; so does the end of the user */
    password_hash("open", other);
    assert_int_equal(ask(other, "sesame", now), CHECK_BEGUN);
    assert_int_equal(ask(NULL, "sesame", now), CHECK_BEGUN);
    assert_int_equal(ask(w.hash, "sesame", now + CHECKS_REMEMBERED_MS + PATIENCE_MS), CHECK_BEGUN);
    wait_for(5);
    assert_int_equal(w.right, 2);
}

static void what_was_wrong_is_compared_again(void **state)
{
    (void)state;
    uint64_t now = clock_now_ms();
    assert_int_equal(ask(w.hash, "x", now), CHECK_BEGUN);
    wait_for(1);
    assert_int_equal(ask(w.hash, "x", now), CHECK_BEGUN);
    wait_for(2);
    assert_int_equal(w.right, 0);
}

static void only_so_many_wait(void **state)
{
    (void)state;
    uint64_t now = clock_now_ms();
    for (int i = 0; i < CHECKS_WAITING_MAX; i++)
        assert_int_equal(ask(w.hash, "x", now), CHECK_BEGUN);
    assert_int_equal(ask(w.hash, "x", now), CHECK_FULL);
    /* closing drops those that have not begun */
}

static void an_owner_may_go_away(void **state)
{
    struct check *check;
    (void)state;
    assert_int_equal(
        checks_begin(w.checks, span_of("ann"), w.hash, "sesame", &w, clock_now_ms(), &check),
        CHECK_BEGUN);
    checks_disown(check);
    wait_for(1);
    assert_int_equal(w.disowned, 1);
}

#define CHECKED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECKED(a_password_is_compared),
        CHECKED(what_was_right_is_remembered_for_a_while),
        CHECKED(what_was_wrong_is_compared_again),
        CHECKED(only_so_many_wait),
        CHECKED(an_owner_may_go_away),
    };
    return RUN(tests);
}
