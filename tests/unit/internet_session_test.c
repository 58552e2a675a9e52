/* SPDX-License-Identifier: MIT */
/* A mail host's side of a session: the same whatever the pieces, and as odd as it was told to be.
 */
#include "bench/mx_session.h"
#include "bench/scenario.h"
#include "mta/base/mem.h"
#include "tests/unit/check.h"
#include <string.h>

struct fixture {
    struct world world;
    struct scenario scenario;
    struct ledger ledger;
    struct mx_common common;
    struct host *host;
    struct mx_session session;
    struct buf said, held;
    bool is_open;
};

static int set_up(void **state)
{
    struct fixture *f = mem_new(sizeof *f);
    struct buf error  = {0};
    world_init(&f->world);
    scenario_init(&f->scenario, &f->world, 0);
    ledger_init(&f->ledger, false);
    greylist_init(&f->common.greylist);
    f->common.world  = &f->world;
    f->common.ledger = &f->ledger;
    assert_true(scenario_read(&f->scenario, span_of("domain a.test\ndomain b.test\n"), &error));
    f->host = world_find_host(&f->world, span_of("mx.a.test"));
    *state  = f;
    return 0;
}

static void end(struct fixture *f)
{
    if (f->is_open) {
        mx_session_ended(&f->session);
        mx_session_release(&f->session);
    }
    f->is_open = false;
    buf_release(&f->held);
    buf_release(&f->said);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    end(f);
    greylist_release(&f->common.greylist);
    ledger_release(&f->ledger);
    scenario_release(&f->scenario);
    world_release(&f->world);
    mem_free(f);
    return 0;
}

static void collect(struct fixture *f)
{
    buf_put(&f->said, buf_span(&f->session.out));
    buf_clear(&f->session.out);
}

static void begin(struct fixture *f)
{
    end(f);
    mx_session_init(&f->session, &f->common, f->host, "127.0.0.1", 1000);
    f->is_open = true;
    collect(f);
}

static void be(struct fixture *f, const char *key)
{
    struct buf error = {0};
    if (!personality_set(&f->host->p, &f->world.arena, span_of(key), &error))
        fail_msg("%s", buf_text(&error));
}

/* Feeds what is held, and says how much was left. */
static size_t feed(struct fixture *f, struct span bytes, uint64_t now_ms)
{
    buf_put(&f->held, bytes);
    buf_drop(&f->held, mx_session_feed(&f->session, buf_span(&f->held), now_ms));
    collect(f);
    return f->held.len;
}

/* The codes of all replies since the last call, "220 250 ". */
static const char *codes(struct fixture *f)
{
    static char text[256];
    struct span rest = buf_span(&f->said), line;
    size_t len       = 0;
    while (span_cut(&rest, '\n', &line))
        if (line.len > 3 && line.at[3] == ' ' && len + 5 < sizeof text) {
            memcpy(text + len, line.at, 4);
            len += 4;
        }
    text[len] = '\0';
    buf_clear(&f->said);
    return text;
}

static void say(struct fixture *f, const char *text)
{
    assert_int_equal(feed(f, span_of(text), 2000), 0);
}

#define HELLO    "EHLO me\r\n"
#define ENVELOPE "MAIL FROM:<s@x>\r\nRCPT TO:<r@a.test>\r\nDATA\r\n"
#define CONTENT  "X-Mailrace-Id: i\r\n\r\nbody\r\n.\r\n"

static void a_session_is_the_same_in_pieces_of_every_size(void **state)
{
    struct fixture *f                = *state;
    static const char *const turns[] = {HELLO, ENVELOPE, CONTENT ENVELOPE, CONTENT "QUIT\r\n"};
    for (size_t piece = 1; piece < 80; piece++) {
        begin(f);
        for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++)
            for (struct span rest = span_of(turns[i]); rest.len > 0; rest = span_skip(rest, piece))
                (void)feed(f, span_first(rest, piece), 2000);
        assert_string_equal(codes(f), "220 250 250 250 354 250 250 250 354 250 221 ");
        assert_int_equal(f->session.phase, MX_CLOSED);
    }
    assert_int_equal(ledger_violations(&f->ledger), 0);
    assert_int_equal(f->ledger.receipt_count, 1);
    end(f);
    assert_int_equal(f->ledger.total.messages, 2 * 79);
    assert_int_equal(f->ledger.total.quit, f->ledger.total.connections);
    assert_int_equal(f->ledger.total.open, 0);
}

static void a_turn_is_what_the_client_waited_for(void **state)
{
    struct fixture *f = *state;
    begin(f);
    say(f, HELLO);
    say(f, ENVELOPE);
    say(f, CONTENT ENVELOPE);
    assert_int_equal(f->ledger.total.turns, 4); /* the greeting too */
}

static void hear(struct fixture *f, const char *text)
{
    mx_session_heard(&f->session);
    say(f, text);
    mx_session_flushed(&f->session);
}

static void a_round_trip_is_a_read_for_which_the_client_had_waited(void **state)
{
    struct fixture *f           = *state;
    const struct tally *counted = &f->ledger.total;
    begin(f);
    mx_session_flushed(&f->session); /* the greeting */
    hear(f, HELLO);
    hear(f, ENVELOPE);
    hear(f, CONTENT ENVELOPE);
    assert_int_equal(counted->round_trips, 3);
    assert_int_equal(counted->round_trips_warm, 0);
    hear(f, CONTENT ENVELOPE);
    mx_session_heard(&f->session);
    say(f, "X-Mailrace-Id: i\r\n");
    mx_session_heard(&f->session); /* the same body, in a second read */
    say(f, "\r\n.\r\n");
    mx_session_flushed(&f->session);
    assert_int_equal(counted->round_trips, 5);
    assert_int_equal(counted->round_trips_warm, 2);
    assert_int_equal(counted->messages_warm, 2);
    hear(f, "QUIT\r\n");
    assert_int_equal(counted->round_trips, 6);
    assert_int_equal(counted->round_trips_warm, 2);
}

static void mail_is_timed_from_its_stamp_to_its_dot(void **state)
{
    struct fixture *f = *state;
    begin(f);
    f->common.wall_us = 5000000;
    say(f, HELLO);
    say(f, ENVELOPE);
    say(f, "X-Mailrace-Sent: 4998766\r\nX-Mailrace-Id: i-1\r\n\r\n.\r\n");
    assert_int_equal(f->ledger.latency.all.spread.max, 1234);
    assert_int_equal(latency_find(&f->ledger.latency, span_of("i"))->recipients, 1);
}

static void latency_is_once_a_turn_and_a_tarpit_once_a_reply(void **state)
{
    struct fixture *f = *state;
    be(f, "latency=20ms");
    begin(f);
    assert_int_equal(f->session.due_ms, 1020);
    assert_int_equal(feed(f, span_of(HELLO), 1100), 0);
    assert_int_equal(feed(f, span_of(ENVELOPE), 2000), 0);
    assert_int_equal(f->session.due_ms, 2020);
    be(f, "latency=0");
    be(f, "tarpit=100ms");
    begin(f);
    assert_int_equal(feed(f, span_of(HELLO), 1100), 0);
    (void)codes(f);
    assert_true(feed(f, span_of(ENVELOPE), 2000) > 0);
    assert_string_equal(codes(f), "250 ");
    assert_int_equal(f->session.hold_ms, 2100);
    (void)feed(f, span_of(""), 2099);
    assert_string_equal(codes(f), "");
    (void)feed(f, span_of(""), 2100);
    assert_int_equal(feed(f, span_of(""), 2200), 0);
    assert_string_equal(codes(f), "250 354 ");
}

static void actions_count_their_uses(void **state)
{
    struct fixture *f = *state;
    be(f, "at-mail=451 4.3.0 not now");
    be(f, "every=2");
    be(f, "times=2");
    begin(f);
    say(f, HELLO);
    (void)codes(f);
    for (int i = 0; i < 6; i++) {
        say(f, "MAIL FROM:<>\r\n");
        say(f, "RSET\r\n");
    }
    assert_string_equal(codes(f), "250 250 451 250 250 250 451 250 250 250 250 250 ");
}

static void refused_commands_have_no_effect(void **state)
{
    struct fixture *f = *state;
    be(f, "at-rcpt=550 5.7.1 no");
    begin(f);
    say(f, HELLO ENVELOPE);
    assert_string_equal(codes(f), "220 250 250 550 554 ");
    assert_int_equal(f->ledger.refusal_count, 1);
    be(f, "at-rcpt=normal");
    be(f, "at-mail=450 4.3.0 no");
    say(f, "RSET\r\n" ENVELOPE);
    assert_string_equal(codes(f), "250 450 503 503 ");
    assert_int_equal(f->ledger.violations[VIOLATION_out_of_order].count, 0);
    assert_int_equal(f->ledger.total.transactions, 1);
}

static void a_swallowed_message_may_be_kept(void **state)
{
    struct fixture *f = *state;
    be(f, "at-dot=drop");
    begin(f);
    say(f, HELLO ENVELOPE);
    (void)feed(f, span_of(CONTENT), 2000);
    assert_int_equal(f->session.phase, MX_CLOSED);
    assert_int_equal(f->ledger.receipt_count, 0);
    be(f, "at-dot=drop-kept");
    begin(f);
    say(f, HELLO ENVELOPE);
    (void)feed(f, span_of(CONTENT), 2000);
    assert_int_equal(f->ledger.receipt_count, 1);
    assert_string_equal(codes(f), "220 250 250 250 354 ");
    end(f);
    assert_int_equal(f->ledger.total.aborted, 2);
}

static void lmtp_answers_each_recipient(void **state)
{
    struct fixture *f = *state;
    be(f, "lmtp");
    begin(f);
    say(f, "LHLO me\r\n");
    say(f, "MAIL FROM:<>\r\nRCPT TO:<a@a.test>\r\nRCPT TO:<dotfail-b@a.test>\r\n"
           "RCPT TO:<c@b.test>\r\nRCPT TO:<d@a.test>\r\nDATA\r\n");
    say(f, CONTENT);
    assert_string_equal(codes(f), "220 250 250 250 250 550 250 354 250 550 250 ");
    assert_int_equal(f->ledger.receipt_count, 2);
    assert_int_equal(f->ledger.violations[VIOLATION_misrouted].count, 1);
}

static void chunks_are_taken_in_pieces_of_every_size(void **state)
{
    struct fixture *f         = *state;
    static const char whole[] = HELLO "MAIL FROM:<>\r\nRCPT TO:<r@a.test>\r\nBDAT 6\r\nA: b\r\n"
                                      "BDAT 7 LAST\r\n\r\n.\r\nx\nNOOP\r\n";
    be(f, "chunking");
    for (size_t piece = 1; piece < sizeof whole; piece++) {
        begin(f);
        for (struct span rest = span_of(whole); rest.len > 0; rest = span_skip(rest, piece))
            (void)feed(f, span_first(rest, piece), 2000);
        assert_string_equal(codes(f), "220 250 250 250 250 250 250 ");
    }
    assert_int_equal(f->ledger.letter_count, 1);
}

static void an_envelope_with_its_chunk_comes_behind_a_body(void **state)
{
    struct fixture *f = *state;
    be(f, "chunking");
    begin(f);
    say(f, HELLO);
    say(f, ENVELOPE);
    say(f, CONTENT "MAIL FROM:<>\r\nRCPT TO:<r@a.test>\r\nBDAT 6 LAST\r\nA: b\r\n"
                   "MAIL FROM:<>\r\nRCPT TO:<r@a.test>\r\nDATA\r\n");
    assert_string_equal(codes(f), "220 250 250 250 354 250 250 250 250 250 250 354 ");
    assert_int_equal(f->ledger.violations[VIOLATION_pipelined].count, 0);
    assert_int_equal(f->ledger.violations[VIOLATION_past_sync].count, 0);
    assert_int_equal(f->ledger.total.messages, 2);
}

static void a_chunk_without_envelope_is_no_command(void **state)
{
    struct fixture *f = *state;
    be(f, "chunking");
    be(f, "at-mail=450 4.3.0 no");
    begin(f);
    say(f, HELLO);
    say(f, "MAIL FROM:<>\r\nRCPT TO:<r@a.test>\r\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\n");
    assert_string_equal(codes(f), "220 250 450 503 503 250 ");
    say(f, "RSET\r\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\n");
    assert_string_equal(codes(f), "250 503 250 ");
    assert_int_equal(f->ledger.violations[VIOLATION_out_of_order].count, 1);
}

static void a_refused_chunk_voids_the_transaction(void **state)
{
    struct fixture *f = *state;
    be(f, "chunking");
    be(f, "at-bdat=502 5.5.1 no");
    begin(f);
    say(f, HELLO);
    say(f, "MAIL FROM:<>\r\nRCPT TO:<r@a.test>\r\nBDAT 3\r\nA:\nBDAT 3 LAST\r\nb\r\n");
    assert_string_equal(codes(f), "220 250 250 250 502 503 ");
    say(f, "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<r@a.test>\r\nBDAT 6 LAST\r\nA: b\r\n");
    assert_string_equal(codes(f), "250 250 250 502 ");
    assert_int_equal(f->ledger.receipt_count, 0);
    assert_int_equal(f->ledger.refusal_count, 1);
    be(f, "at-bdat=silent");
    say(f, "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<r@a.test>\r\nBDAT 6 LAST\r\nA: b\r\n");
    assert_string_equal(codes(f), "250 250 250 ");
    assert_int_equal(f->session.phase, MX_SILENT);
}

static void an_old_server_drops_what_came_behind_the_dot(void **state)
{
    struct fixture *f = *state;
    be(f, "drop-behind");
    begin(f);
    say(f, HELLO);
    say(f, ENVELOPE);
    say(f, CONTENT ENVELOPE);
    assert_string_equal(codes(f), "220 250 250 250 354 250 ");
    say(f, ENVELOPE);
    assert_string_equal(codes(f), "250 250 354 ");
}

static void who_has_had_enough_says_so_to_the_envelope_behind_the_body(void **state)
{
    struct fixture *f = *state;
    be(f, "messages=1");
    begin(f);
    say(f, HELLO);
    say(f, ENVELOPE);
    (void)feed(f, span_of(CONTENT ENVELOPE), 2000);
    assert_string_equal(codes(f), "220 250 250 250 354 250 421 ");
    assert_int_equal(f->session.phase, MX_CLOSED);
    assert_int_equal(f->ledger.receipt_count, 1);
}

static void each_group_is_late_by_itself_however_many_are_under_way(void **state)
{
    struct fixture *f = *state;
    be(f, "latency=20ms");
    begin(f);
    assert_int_equal(feed(f, span_of(HELLO), 1100), 0);
    assert_int_equal(f->session.due_ms, 1120);
    assert_int_equal(feed(f, span_of("MAIL FROM:<>\r\n"), 1105), 0);
    assert_int_equal(f->session.due_ms, 1125);
    assert_int_equal(feed(f, span_of("RCPT TO:<r@a.test>\r\nDATA\r\n"), 1110), 0);
    assert_int_equal(f->session.due_ms, 1130);
}

static void without_pipelining_early_commands_are_scolded(void **state)
{
    struct fixture *f = *state;
    be(f, "no-pipelining");
    begin(f);
    say(f, HELLO);
    say(f, ENVELOPE);
    assert_string_equal(codes(f), "220 250 250 503 503 ");
    say(f, "RCPT TO:<r@a.test>\r\n");
    assert_string_equal(codes(f), "250 ");
    assert_int_equal(f->ledger.violations[VIOLATION_pipelined].count, 2);
}

static void tls_makes_the_client_begin_again(void **state)
{
    struct fixture *f = *state;
    begin(f);
    say(f, HELLO "STARTTLS\r\n");
    assert_int_equal(f->session.phase, MX_HANDSHAKE);
    mx_session_secured(&f->session, "TLSv1.3", true);
    say(f, "MAIL FROM:<>\r\n");
    assert_string_equal(codes(f), "220 250 220 503 ");
    assert_int_equal(f->ledger.total.tls_resumed, 1);
    assert_int_equal(f->ledger.violations[VIOLATION_pipelined].count, 1); /* behind EHLO */
}

static void shake_hands(struct mx_session *s, bool is_resumed)
{
    mx_session_shakes_hands(s);
    mx_session_secured(s, "TLSv1.3", is_resumed);
}

/* Whoever begins while the first is still at it can have no ticket. */
static void a_handshake_is_repeated_when_one_was_completed_before(void **state)
{
    struct fixture *f = *state;
    begin(f);
    struct mx_session side_by_side = f->session;
    mx_session_shakes_hands(&side_by_side);
    shake_hands(&f->session, false);
    mx_session_secured(&side_by_side, "TLSv1.3", false);
    assert_int_equal(f->ledger.total.tls_repeated, 0);
    begin(f);
    shake_hands(&f->session, true);
    begin(f);
    shake_hands(&f->session, false);
    assert_int_equal(f->host->tally.tls_repeated, 2);
    assert_int_equal(f->ledger.total.tls_repeated, 2);
    assert_int_equal(f->ledger.total.tls, 4);
}

static void a_line_without_end_is_cut_off(void **state)
{
    struct fixture *f = *state;
    char much[MX_AUTH_LINE_BYTES];
    memset(much, 'x', sizeof much);
    begin(f);
    (void)feed(f, span_make(much, sizeof much), 2000);
    assert_int_equal(f->session.phase, MX_CLOSED);
    assert_int_equal(f->ledger.violations[VIOLATION_line_too_long].count, 1);
}

static void limits_refuse_what_is_too_much(void **state)
{
    struct fixture *f = *state;
    be(f, "rcpts=1");
    be(f, "messages=1");
    begin(f);
    say(f, HELLO);
    say(f, "MAIL FROM:<>\r\nRCPT TO:<a@a.test>\r\nRCPT TO:<b@a.test>\r\nDATA\r\n");
    say(f, CONTENT);
    (void)feed(f, span_of("MAIL FROM:<>\r\n"), 2000);
    assert_string_equal(codes(f), "220 250 250 250 452 354 250 421 ");
    assert_int_equal(f->session.phase, MX_CLOSED);
}

static void random_bytes_do_no_harm(void **state)
{
    struct fixture *f                 = *state;
    static const char *const pieces[] = {HELLO,
                                         "MAIL FROM:<s@x>\r\n",
                                         "RCPT TO:<r@a.test>\r\n",
                                         "DATA\r\n",
                                         CONTENT,
                                         "BDAT 9 LAST\r\n",
                                         "RSET\r\n",
                                         "RCPT TO:<\"",
                                         "AUTH PLAIN AGFiYw==\r\n",
                                         "\xff\r\n",
                                         "MAIL FROM:<> SIZE=99 BODY=",
                                         "."};
    struct rng rng;
    rng_seed(&rng, 3);
    be(f, "chunking");
    be(f, "auth=a:b");
    be(f, "times=3");
    be(f, "at-rset=huge");
    for (int i = 0; i < 300; i++) {
        begin(f);
        for (int n = 0; n < 40; n++) {
            char byte = (char)rng_next(&rng);
            (void)feed(f, span_of(pieces[rng_below(&rng, sizeof pieces / sizeof pieces[0])]), 2000);
            if (rng_one_in(&rng, 5))
                (void)feed(f, span_make(&byte, 1), 2000);
            buf_clear(&f->said);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_session_is_the_same_in_pieces_of_every_size),
        TEST(a_turn_is_what_the_client_waited_for),
        TEST(a_round_trip_is_a_read_for_which_the_client_had_waited),
        TEST(mail_is_timed_from_its_stamp_to_its_dot),
        TEST(latency_is_once_a_turn_and_a_tarpit_once_a_reply),
        TEST(actions_count_their_uses),
        TEST(refused_commands_have_no_effect),
        TEST(a_swallowed_message_may_be_kept),
        TEST(lmtp_answers_each_recipient),
        TEST(chunks_are_taken_in_pieces_of_every_size),
        TEST(an_envelope_with_its_chunk_comes_behind_a_body),
        TEST(a_chunk_without_envelope_is_no_command),
        TEST(a_refused_chunk_voids_the_transaction),
        TEST(an_old_server_drops_what_came_behind_the_dot),
        TEST(who_has_had_enough_says_so_to_the_envelope_behind_the_body),
        TEST(each_group_is_late_by_itself_however_many_are_under_way),
        TEST(without_pipelining_early_commands_are_scolded),
        TEST(tls_makes_the_client_begin_again),
        TEST(a_handshake_is_repeated_when_one_was_completed_before),
        TEST(a_line_without_end_is_cut_off),
        TEST(limits_refuse_what_is_too_much),
        TEST(random_bytes_do_no_harm),
    };
    return RUN(tests);
}
