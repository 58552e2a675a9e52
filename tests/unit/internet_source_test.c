/* SPDX-License-Identifier: MIT */
/* The load source: whom it writes to, what it writes, and how it takes the answers. */
#include "bench/mx_body.h"
#include "bench/source_mail.h"
#include "bench/source_pace.h"
#include "bench/source_session.h"
#include "tests/unit/check.h"
#include <string.h>

static struct source_plan_config config_of(uint64_t recipients, uint64_t domains)
{
    return (struct source_plan_config){.recipients      = recipients,
                                       .domains         = domains,
                                       .per_transaction = 500,
                                       .user            = "user",
                                       .prefix          = "d",
                                       .suffix          = ".example",
                                       .order           = SOURCE_GIVEN,
                                       .zipf            = true};
}

static void every_recipient_is_in_exactly_one_parcel(void **state)
{
    (void)state;
    for (unsigned order = 0; order < SOURCE_ORDER_COUNT; order++) {
        struct source_plan_config config = config_of(1234, 50);
        struct source_plan plan;
        size_t next            = 0;
        config.order           = (enum source_order)order;
        config.per_transaction = 100;
        source_plan_init(&plan, &config);
        assert_int_equal(plan.rcpt_count, 1234);
        for (size_t i = 0; i < plan.parcel_count; i++) {
            assert_int_equal(plan.parcels[i].first, next);
            assert_true(plan.parcels[i].count <= 100);
            next += plan.parcels[i].count;
        }
        assert_int_equal(next, 1234);
        source_plan_release(&plan);
    }
}

static void zipf_gives_the_first_domain_most_and_the_last_some(void **state)
{
    (void)state;
    struct source_plan_config config = config_of(20000, 1000);
    struct source_plan plan;
    size_t first = 0, last = 0;
    source_plan_init(&plan, &config);
    for (size_t i = 0; i < plan.rcpt_count; i++) {
        first += span_ends_nocase(plan.rcpts[i], span_of("@d0.example"));
        last += span_ends_nocase(plan.rcpts[i], span_of("@d999.example"));
    }
    assert_in_range(first, 2650, 2690);
    assert_in_range(last, 2, 3);
    assert_true(span_is(plan.rcpts[0], "user0@d0.example"));
    source_plan_release(&plan);
}

static void mailman_never_mixes_its_buckets(void **state)
{
    (void)state;
    static const char list[] =
        "b@x.net\na@x.com\n\n c@x.de \r\na@x.org\nb@x.com\nc@x.com\na@x.fr\n";
    struct source_plan_config config = {.order = SOURCE_MAILMAN, .per_transaction = 2};
    struct source_plan plan;
    config.list = span_of(list);
    source_plan_init(&plan, &config);
    assert_int_equal(plan.rcpt_count, 7);
    assert_int_equal(plan.parcel_count, 4); /* com 2 + 1, net and org, the rest */
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < plan.parcels[i].count; j++)
            assert_true(span_ends_nocase(plan.rcpts[plan.parcels[i].first + j], span_of(".com")));
    assert_true(span_is(plan.rcpts[plan.parcels[2].first], "a@x.org"));
    assert_true(span_is(plan.rcpts[plan.parcels[3].first], "a@x.fr"));
    assert_true(span_is(plan.rcpts[plan.parcels[3].first + 1], "c@x.de"));
    source_plan_release(&plan);
}

static void shuffles_follow_their_seed(void **state)
{
    (void)state;
    struct source_plan_config config = config_of(300, 10);
    struct source_plan one, again, other;
    config.order = SOURCE_SHUFFLED;
    source_plan_init(&one, &config);
    source_plan_init(&again, &config);
    config.seed = 1;
    source_plan_init(&other, &config);
    size_t same = 0;
    for (size_t i = 0; i < one.rcpt_count; i++) {
        assert_true(span_equals(one.rcpts[i], again.rcpts[i]));
        same += span_equals(one.rcpts[i], other.rcpts[i]);
    }
    assert_true(same < 100);
    source_plan_release(&one);
    source_plan_release(&again);
    source_plan_release(&other);
}

static void take(struct mx_body *body, struct span bytes, bool is_chunk)
{
    mx_body_begin(body, true, true);
    if (is_chunk) {
        mx_body_feed_chunk(body, bytes);
        return;
    }
    assert_int_equal(mx_body_feed(body, bytes), bytes.len);
    assert_int_equal(body->state, MX_BODY_ENDED);
}

static void messages_say_who_when_and_what_in_either_form(void **state)
{
    (void)state;
    const struct source_mail_config config = {"post", "race", "Thu, 1 Jan 1970 00:00:00 +0000",
                                              4096};
    struct source_mail mail;
    struct buf out = {0};
    struct mx_body body;
    mx_body_init(&body);
    source_mail_init(&mail, &config);
    for (int form = 0; form < 4; form++) {
        bool is_personal = form & 1, is_chunk = form & 2;
        const struct source_letter letter = {span_of(is_personal ? "a@x.test" : ""), 17,
                                             1700000000123456, is_chunk};
        uint8_t sha256[LEDGER_SHA256_BYTES];
        char hex[2 * sizeof sha256 + 1];
        size_t bytes = source_mail_compose(&mail, &letter, &out);
        assert_in_range(bytes, 3900, 4300);
        take(&body, buf_span(&out), is_chunk);
        assert_int_equal(body.violations, 0);
        assert_int_equal(body.bytes, bytes);
        mx_body_end(&body, sha256);
        for (size_t j = 0; j < sizeof sha256; j++)
            (void)snprintf(hex + 2 * j, 3, "%02x", sha256[j]);
        assert_true(span_is(mx_body_field(&body, "X-Mailrace-Sha256"), hex));
        assert_true(span_is(mx_body_field(&body, "X-Mailrace-Sent"), "1700000000123456"));
        assert_true(
            span_is(mx_body_field(&body, "X-Mailrace-Id"), is_personal ? "post-17" : "post"));
    }
    source_mail_release(&mail);
    mx_body_release(&body);
    buf_release(&out);
}

/* ---- the pace ---- */

static void a_rate_is_kept_whatever_the_server_does(void **state)
{
    (void)state;
    const struct source_pace_config config = {.interval_ns = 10000000}; /* 100/s */
    struct source_pace pace;
    uint64_t due = 0;
    source_pace_init(&pace, &config);
    assert_int_equal(source_pace_ask(&pace, 5000, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 14999, &due), SOURCE_PACE_WAIT);
    assert_int_equal(due, 15000);
    for (int i = 0; i < 10; i++) /* late: those that were due are made up for */
        assert_int_equal(source_pace_ask(&pace, 105000, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 105000, &due), SOURCE_PACE_WAIT);
    assert_int_equal(due, 115000);
}

static void bursts_have_pauses_between_them(void **state)
{
    (void)state;
    const struct source_pace_config config = {.burst = 2, .burst_pause_us = 1000};
    struct source_pace pace;
    uint64_t due = 0;
    source_pace_init(&pace, &config);
    assert_int_equal(source_pace_ask(&pace, 10, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 500, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 501, &due), SOURCE_PACE_WAIT);
    assert_int_equal(due, 1500);
    assert_int_equal(source_pace_ask(&pace, 1500, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 1501, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 1502, &due), SOURCE_PACE_WAIT);
}

static void bounds_end_it(void **state)
{
    (void)state;
    const struct source_pace_config few   = {.messages = 2};
    const struct source_pace_config brief = {.time_us = 1000, .interval_ns = 400000};
    struct source_pace pace;
    uint64_t due = 0;
    source_pace_init(&pace, &few);
    assert_int_equal(source_pace_ask(&pace, 1, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 1, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 1, &due), SOURCE_PACE_OVER);
    source_pace_init(&pace, &brief);
    assert_int_equal(source_pace_ask(&pace, 10, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 410, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 810, &due), SOURCE_PACE_GO);
    assert_int_equal(source_pace_ask(&pace, 811, &due), SOURCE_PACE_OVER); /* due when it is over */
}

/* ---- the session ---- */

struct talk {
    struct source_plan plan;
    struct source_report report;
    struct source_session session;
    struct source_session_config config;
};

static void talk_begin(struct talk *t, bool wants_pipelining)
{
    static const char list[]         = "a@x\nb@x\n";
    struct source_plan_config config = {.order = SOURCE_GIVEN};
    memset(t, 0, sizeof *t);
    config.list = span_of(list);
    t->config   = (struct source_session_config){
          .helo = "me", .sender = "s@x", .wants_pipelining = wants_pipelining};
    source_plan_init(&t->plan, &config);
    source_session_init(&t->session, &t->config, &t->plan, &t->report);
    t->report.recipients = 2;
}

static void talk_end(struct talk *t)
{
    source_session_release(&t->session);
    source_plan_release(&t->plan);
    source_report_release(&t->report);
}

/* The server says 'reply'; the client must write 'wanted'. */
static void hears(struct talk *t, const char *reply, const char *wanted)
{
    buf_clear(&t->session.out);
    source_session_feed(&t->session, span_of(reply), 10);
    assert_string_equal(buf_text(&t->session.out), wanted);
}

static void gets_work(struct talk *t, const char *wanted)
{
    assert_int_equal(t->session.phase, SOURCE_IDLE);
    buf_clear(&t->session.out);
    source_session_send(&t->session, t->plan.parcels[0], span_of("body\r\n.\r\n"), 5);
    assert_string_equal(buf_text(&t->session.out), wanted);
}

static void without_pipelining_it_waits_for_each_reply(void **state)
{
    (void)state;
    struct talk t;
    talk_begin(&t, false);
    hears(&t, "220 hi\r\n", "EHLO me\r\n");
    hears(&t, "250-hi\r\n250 PIPELINING\r\n", "");
    gets_work(&t, "MAIL FROM:<s@x>\r\n");
    hears(&t, "250 ok\r\n", "RCPT TO:<a@x>\r\n");
    hears(&t, "550 no\r\n", "RCPT TO:<b@x>\r\n");
    hears(&t, "250 ok\r\n", "DATA\r\n");
    hears(&t, "354 go\r\n", "body\r\n.\r\n");
    hears(&t, "250 ok\r\n", "");
    assert_int_equal(t.session.phase, SOURCE_IDLE);
    assert_int_equal(t.report.accepted, 1);
    assert_int_equal(t.report.refused, 1);
    assert_int_equal(t.report.transactions, 1);
    talk_end(&t);
}

static void with_pipelining_it_writes_the_envelope_at_once(void **state)
{
    (void)state;
    struct talk t;
    talk_begin(&t, true);
    hears(&t, "220 hi\r\n", "EHLO me\r\n");
    hears(&t, "250-hi\r\n250-PIPELINING\r\n250 SIZE\r\n", "");
    gets_work(&t, "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n");
    hears(&t, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "body\r\n.\r\n");
    hears(&t, "451 later\r\n", "");
    assert_int_equal(t.report.accepted, 0);
    assert_int_equal(t.report.refused, 2);
    gets_work(&t, "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n");
    hears(&t, "250 ok\r\n550 no\r\n550 no\r\n354 go\r\n", ".\r\n"); /* nobody, yet 354 */
    hears(&t, "554 no\r\n", "");
    assert_int_equal(t.session.phase, SOURCE_IDLE);
    assert_int_equal(t.report.refused, 4);
    talk_end(&t);
}

static void a_refused_sender_refuses_everybody_once(void **state)
{
    (void)state;
    for (int pipelining = 0; pipelining < 2; pipelining++) {
        struct talk t;
        talk_begin(&t, pipelining);
        hears(&t, "220 hi\r\n", "EHLO me\r\n");
        hears(&t, "250-hi\r\n250 PIPELINING\r\n", "");
        source_session_send(&t.session, t.plan.parcels[0], span_of(".\r\n"), 5);
        hears(&t, pipelining ? "451 no\r\n503 no\r\n503 no\r\n503 no\r\n" : "451 no\r\n",
              "RSET\r\n");
        hears(&t, "250 ok\r\n", "");
        assert_int_equal(t.session.phase, SOURCE_IDLE);
        assert_int_equal(t.report.refused, 2);
        talk_end(&t);
    }
}

static void a_broken_connection_leaves_recipients_unanswered(void **state)
{
    (void)state;
    struct talk t;
    struct buf json = {0};
    talk_begin(&t, false);
    hears(&t, "220 hi\r\n", "EHLO me\r\n");
    hears(&t, "250 hi\r\n", "");
    gets_work(&t, "MAIL FROM:<s@x>\r\n");
    source_session_lost(&t.session, "gone");
    assert_int_equal(t.session.phase, SOURCE_DONE);
    source_report_json(&t.report, "i", "", &json);
    assert_non_null(strstr(buf_text(&json), "\"unanswered\":2,"));
    assert_non_null(strstr(buf_text(&json), "\"lost_connections\":1,"));
    buf_release(&json);
    talk_end(&t);
}

static void tls_and_login_come_before_the_first_message(void **state)
{
    (void)state;
    struct talk t;
    talk_begin(&t, true);
    t.config.wants_tls = true;
    t.config.user      = span_of("joe");
    t.config.password  = span_of("secret");
    hears(&t, "220 hi\r\n", "EHLO me\r\n");
    hears(&t, "250-hi\r\n250-PIPELINING\r\n250 STARTTLS\r\n", "STARTTLS\r\n");
    hears(&t, "220 go\r\n250 injected\r\n", "");
    assert_int_equal(t.session.phase, SOURCE_HANDSHAKE);
    source_session_secured(&t.session);
    assert_string_equal(buf_text(&t.session.out), "EHLO me\r\n");
    hears(&t, "250-hi\r\n250 AUTH LOGIN PLAIN\r\n", "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n");
    hears(&t, "235 ok\r\n", "");
    assert_int_equal(t.session.phase, SOURCE_IDLE);
    assert_false(t.session.may_pipeline); /* what was said in the clear is forgotten */
    talk_end(&t);
}

static void login_is_asked_for_user_and_password(void **state)
{
    (void)state;
    struct talk t;
    talk_begin(&t, false);
    t.config.user     = span_of("joe");
    t.config.password = span_of("secret");
    hears(&t, "220 hi\r\n", "EHLO me\r\n");
    hears(&t, "250-hi\r\n250 AUTH CRAM-MD5 LOGIN\r\n", "AUTH LOGIN\r\n");
    hears(&t, "334 VXNlcm5hbWU6\r\n", "am9l\r\n");
    hears(&t, "334 UGFzc3dvcmQ6\r\n", "c2VjcmV0\r\n");
    hears(&t, "535 no\r\n", "");
    assert_int_equal(t.session.phase, SOURCE_DONE);
    assert_int_equal(t.report.lost, 1);
    talk_end(&t);
}

static void what_is_wanted_and_not_offered_ends_the_connection(void **state)
{
    (void)state;
    struct talk t;
    talk_begin(&t, false);
    t.config.wants_tls = true;
    hears(&t, "220 hi\r\n", "EHLO me\r\n");
    hears(&t, "250 hi\r\n", "");
    assert_int_equal(t.session.phase, SOURCE_DONE);
    assert_int_equal(t.report.lost, 1);
    talk_end(&t);
}

static void a_chunk_is_the_whole_message_in_one_round_trip(void **state)
{
    (void)state;
    struct talk t;
    talk_begin(&t, true);
    t.config.wants_chunking = true;
    hears(&t, "220 hi\r\n", "EHLO me\r\n");
    hears(&t, "250-hi\r\n250-PIPELINING\r\n250 CHUNKING\r\n", "");
    uint64_t before = t.report.round_trips;
    gets_work(&t, "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 9 LAST\r\n"
                  "body\r\n.\r\n");
    hears(&t, "250 ok\r\n250 ok\r\n", "");
    hears(&t, "550 no\r\n250 ok\r\n", "");
    assert_int_equal(t.session.phase, SOURCE_IDLE);
    assert_int_equal(t.report.accepted, 1);
    assert_int_equal(t.report.round_trips, before + 1);
    gets_work(&t, "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 9 LAST\r\n"
                  "body\r\n.\r\n");
    hears(&t, "250 ok\r\n250 ok\r\n250 ok\r\n451 later\r\n", "RSET\r\n");
    hears(&t, "250 ok\r\n", "");
    assert_int_equal(t.session.phase, SOURCE_IDLE);
    assert_int_equal(t.report.refused, 1 + 2);
    talk_end(&t);
}

static void the_hand_over_begins_when_the_content_has_left(void **state)
{
    (void)state;
    struct talk t;
    talk_begin(&t, true);
    hears(&t, "220 hi\r\n", "EHLO me\r\n");
    hears(&t, "250-hi\r\n250 PIPELINING\r\n", "");
    source_session_flushed(&t.session, 1);
    gets_work(&t, "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n");
    source_session_flushed(&t.session, 5);
    hears(&t, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "body\r\n.\r\n");
    source_session_flushed(&t.session, 300);
    source_session_feed(&t.session, span_of("250 ok\r\n"), 1000);
    assert_int_equal(t.report.handover.us[0], 700);
    assert_int_equal(t.report.whole.us[0], 995);
    talk_end(&t);
}

static void who_is_sent_away_has_refused_nobody(void **state)
{
    (void)state;
    struct talk t;
    talk_begin(&t, false);
    hears(&t, "220 hi\r\n", "EHLO me\r\n");
    hears(&t, "250 hi\r\n", "");
    gets_work(&t, "MAIL FROM:<s@x>\r\n");
    hears(&t, "421 enough\r\n", "");
    assert_int_equal(t.session.phase, SOURCE_DONE);
    assert_true(t.session.has_sent_away);
    assert_int_equal(t.report.refused, 0);
    talk_end(&t);
}

static void percentiles_are_of_all_times(void **state)
{
    (void)state;
    struct source_report report = {0};
    struct buf json             = {0};
    for (unsigned i = 100; i > 0; i--)
        source_times_add(&report.handover, i);
    source_report_json(&report, "i", "", &json);
    assert_non_null(
        strstr(buf_text(&json), "\"handover_us\":{\"p50\":50,\"p90\":90,\"p99\":99,\"max\":100}"));
    buf_release(&json);
    source_report_release(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recipient_is_in_exactly_one_parcel),
        cmocka_unit_test(zipf_gives_the_first_domain_most_and_the_last_some),
        cmocka_unit_test(mailman_never_mixes_its_buckets),
        cmocka_unit_test(shuffles_follow_their_seed),
        cmocka_unit_test(messages_say_who_when_and_what_in_either_form),
        cmocka_unit_test(a_rate_is_kept_whatever_the_server_does),
        cmocka_unit_test(bursts_have_pauses_between_them),
        cmocka_unit_test(bounds_end_it),
        cmocka_unit_test(tls_and_login_come_before_the_first_message),
        cmocka_unit_test(login_is_asked_for_user_and_password),
        cmocka_unit_test(what_is_wanted_and_not_offered_ends_the_connection),
        cmocka_unit_test(a_chunk_is_the_whole_message_in_one_round_trip),
        cmocka_unit_test(the_hand_over_begins_when_the_content_has_left),
        cmocka_unit_test(who_is_sent_away_has_refused_nobody),
        cmocka_unit_test(without_pipelining_it_waits_for_each_reply),
        cmocka_unit_test(with_pipelining_it_writes_the_envelope_at_once),
        cmocka_unit_test(a_refused_sender_refuses_everybody_once),
        cmocka_unit_test(a_broken_connection_leaves_recipients_unanswered),
        cmocka_unit_test(percentiles_are_of_all_times),
    };
    return RUN(tests);
}
