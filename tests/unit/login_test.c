/* SPDX-License-Identifier: MIT */
/* The clock is the test's; only the hashes take the time they take. */
#include "check.h"
#include "mta/base/base64.h"
#include "mta/receive/login.h"
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, START_MS = 1000000, HOUR = 3600000 };

static struct loop *loop;
static struct porter *porter;
static struct check_done done;
static bool has_done;
static uint64_t deadline_ms;
static char usage[64];

static uint64_t turn(void *owner, uint64_t now_ms)
{
    (void)owner;
    has_done = checks_take(porter->checks, START_MS, &done);
    if (has_done || now_ms > deadline_ms)
        loop_stop(loop);
    return deadline_ms;
}

static int begin(void **state)
{
    (void)state;
    (void)snprintf(usage, sizeof usage, "/tmp/mailrace-login-%d", (int)getpid());
    loop                = loop_open(turn, NULL);
    porter              = porter_open(loop, usage);
    deadline_ms         = clock_now_ms() + PATIENCE_MS;
    struct users *users = users_new();
    user_set_password(users, users_add(users, "ann@x.example"), "sesame");
    struct user *gone = users_add(users, "gone");
    user_set_password(users, gone, "sesame");
    gone->is_disabled = true;
    porter_set_users(porter, users);
    return 0;
}

static int end(void **state)
{
    (void)state;
    porter_close(porter);
    loop_close(loop);
    (void)unlink(usage);
    return 0;
}

static void open_login(struct login *l, const char *from)
{
    struct net_address address;
    assert_int_equal(net_address_parse(span_of(from), &address), OK);
    login_init(l, porter, &address, false);
}

/* AUTH PLAIN with an initial response, to its verdict. */
static struct login_said try_plain(struct login *l, const char *user, const char *password,
                                   uint64_t now_ms)
{
    struct smtp_server_auth asked = {.mechanism = "PLAIN", .is_first = true, .has_response = true};
    struct login_said said;
    struct buf message = {0}, text = {0};
    buf_put_byte(&message, '\0');
    buf_put_text(&message, user);
    buf_put_byte(&message, '\0');
    buf_put_text(&message, password);
    base64_put(&text, buf_span(&message));
    asked.response = buf_span(&text);
    login_step(l, &asked, l, now_ms, &said);
    if (said.next == LOGIN_WAIT) {
        loop_run(loop);
        assert_true(has_done && done.owner == l);
        login_checked(l, done.is_right, now_ms, &said);
    }
    assert_int_equal(said.next, LOGIN_ANSWER);
    buf_release(&message);
    buf_release(&text);
    return said;
}

static void the_right_password_is_answered_at_once(void **state)
{
    struct login l;
    (void)state;
    open_login(&l, "192.0.2.1");
    struct login_said said = try_plain(&l, "Ann@X.example", "sesame", START_MS);
    assert_int_equal(said.answer.code, 235);
    assert_int_equal(said.delay_ms, 0);
    assert_string_equal(l.user, "ann@x.example");
    login_release(&l);
}

static void wrong_ones_are_all_answered_with_the_same_words_and_later_each_time(void **state)
{
    static const struct {
        const char *user, *password;
    } wrong[] = {
        {"ann@x.example", "Sesame"},
        {"nobody",        "sesame"},
        {"gone",          "sesame"},
    };
    struct login l;
    (void)state;
    open_login(&l, "192.0.2.1");
    for (unsigned i = 0; i < 3; i++) {
        struct login_said said = try_plain(&l, wrong[i].user, wrong[i].password, START_MS);
        assert_int_equal(said.answer.code, 535);
        assert_string_equal(said.answer.enhanced, "5.7.8");
        assert_string_equal(said.answer.text, "authentication failed");
        assert_int_equal(said.delay_ms, (i + 1) * LOGIN_DELAY_MS);
        assert_int_equal(said.is_last, i == 2);
        assert_string_equal(said.user, wrong[i].user);
        assert_string_equal(l.user, "");
    }
    login_release(&l);
}

static void a_guesser_is_turned_away_and_the_owner_is_not(void **state)
{
    struct login owner, guesser;
    unsigned looked_at = 0;
    (void)state;
    open_login(&owner, "203.0.113.5");
    assert_int_equal(try_plain(&owner, "ann@x.example", "sesame", START_MS).answer.code, 235);
    login_release(&owner);
    for (int i = 0; i < 40; i++) {
        open_login(&guesser, "192.0.2.1");
        struct login_said said = try_plain(&guesser, "ann@x.example", "x", START_MS + i);
        assert_true(said.answer.code == 535 || said.answer.code == 454);
        assert_true(said.delay_ms >= LOGIN_DELAY_MS);
        looked_at += said.answer.code == 535;
        login_release(&guesser);
    }
    assert_in_range(looked_at, 1, GUARD_ADDRESS_FREE + 1);
    /* the right one is turned away too, where it was guessed */
    open_login(&guesser, "192.0.2.1");
    assert_int_equal(try_plain(&guesser, "ann@x.example", "sesame", START_MS + 50).answer.code,
                     454);
    login_release(&guesser);
    open_login(&owner, "203.0.113.5");
    assert_int_equal(try_plain(&owner, "ann@x.example", "sesame", START_MS + 50).answer.code, 235);
    login_release(&owner);
    open_login(&guesser, "192.0.2.1");
    assert_int_equal(try_plain(&guesser, "ann@x.example", "sesame", START_MS + HOUR).answer.code,
                     235);
    login_release(&guesser);
}

static void a_malformed_message_counts_as_a_wrong_one(void **state)
{
    struct smtp_server_auth asked = {.mechanism    = "SCRAM-SHA-256",
                                     .is_first     = true,
                                     .has_response = true,
                                     .response     = SPAN("YQ==")};
    struct login_said said;
    struct login l;
    (void)state;
    open_login(&l, "192.0.2.1");
    for (int i = 0; i < LOGIN_FAILURES_MAX; i++) {
        login_step(&l, &asked, &l, START_MS, &said);
        assert_int_equal(said.next, LOGIN_ANSWER);
        assert_int_equal(said.answer.code, 501);
    }
    assert_true(said.is_last);
    login_release(&l);
}

static void who_leaves_while_his_password_is_compared_is_forgotten(void **state)
{
    struct smtp_server_auth asked = {.mechanism    = "PLAIN",
                                     .is_first     = true,
                                     .has_response = true,
                                     .response     = SPAN("AGFubkB4LmV4YW1wbGUAeA==")};
    struct login_said said;
    struct login l;
    (void)state;
    open_login(&l, "192.0.2.1");
    login_step(&l, &asked, &l, START_MS, &said);
    assert_int_equal(said.next, LOGIN_WAIT);
    login_release(&l);
    loop_run(loop);
    assert_true(has_done && done.owner == NULL && !done.is_right);
}

static void many_logins_at_once_are_asked_to_come_again(void **state)
{
    static struct login l[CHECKS_WAITING_MAX + 1];
    struct smtp_server_auth asked = {
        .mechanism = "PLAIN", .is_first = true, .has_response = true, .response = SPAN("AGFubgB4")};
    struct login_said said;
    char from[32];
    (void)state;
    for (int i = 0; i <= CHECKS_WAITING_MAX; i++) {
        struct buf message = {0}, text = {0};
        (void)snprintf(from, sizeof from, "198.51.100.%d", i + 1);
        open_login(&l[i], from);
        buf_put_byte(&message, '\0');
        buf_printf(&message, "user%d", i);
        buf_put_byte(&message, '\0');
        buf_put_text(&message, "x");
        base64_put(&text, buf_span(&message));
        asked.response = buf_span(&text);
        login_step(&l[i], &asked, &l[i], START_MS, &said);
        buf_release(&message);
        buf_release(&text);
        assert_int_equal(said.next, i < CHECKS_WAITING_MAX ? LOGIN_WAIT : LOGIN_ANSWER);
    }
    assert_int_equal(said.answer.code, 454);
    assert_false(said.is_last);
    assert_int_equal(l[CHECKS_WAITING_MAX].failures, 0);
    for (int i = 0; i <= CHECKS_WAITING_MAX; i++)
        login_release(&l[i]);
}

static void counts_are_written_at_the_end_and_read_at_the_start(void **state)
{
    uint64_t wall = clock_wall_ms();
    (void)state;
    struct quota_use *use = quotas_of(&porter->quotas, span_of("ann@x.example"));
    quota_hold(&use->messages, 1);
    quota_use(&use->messages, 1, wall);
    porter_note_sent(porter);
    porter_close(porter);
    porter                        = porter_open(loop, usage);
    const struct quota_use *again = quotas_find(&porter->quotas, span_of("ann@x.example"));
    assert_non_null(again);
    assert_int_equal(quota_day(&again->messages, wall), 1);
}

static void a_file_that_cannot_be_written_is_told_once(void **state)
{
    struct buf sentence = {0};
    (void)state;
    struct porter *p = porter_open(loop, "/nowhere/at/all");
    assert_false(porter_take_warning(p, &sentence)); /* there is none yet, that is all */
    porter_note_sent(p);
    assert_true(porter_turn(p, START_MS, START_MS) > START_MS);
    porter_close(p);
    buf_release(&sentence);
}

#define OPENED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPENED(the_right_password_is_answered_at_once),
        OPENED(wrong_ones_are_all_answered_with_the_same_words_and_later_each_time),
        OPENED(a_guesser_is_turned_away_and_the_owner_is_not),
        OPENED(a_malformed_message_counts_as_a_wrong_one),
        OPENED(who_leaves_while_his_password_is_compared_is_forgotten),
        OPENED(many_logins_at_once_are_asked_to_come_again),
        OPENED(counts_are_written_at_the_end_and_read_at_the_start),
        OPENED(a_file_that_cannot_be_written_is_told_once),
    };
    return RUN(tests);
}
