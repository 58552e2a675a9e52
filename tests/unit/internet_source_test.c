/* SPDX-License-Identifier: MIT */
/* The load source: whom it writes to, what it writes, and how it takes the answers. */
#include "bench/mx_body.h"
#include "bench/source_mail.h"
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

static void messages_are_stuffed_and_know_their_hash(void **state)
{
    (void)state;
    const struct source_mail_config config = {"post", "race", "Thu, 1 Jan 1970 00:00:00 +0000",
                                              4096};
    struct source_mail mail;
    struct buf out = {0};
    struct mx_body body;
    mx_body_init(&body);
    source_mail_init(&mail, &config);
    static const char *const rcpts[] = {"", "a@x.test"};
    for (size_t i = 0; i < 2; i++) {
        uint8_t sha256[LEDGER_SHA256_BYTES];
        char hex[2 * sizeof sha256 + 1];
        size_t bytes = source_mail_compose(&mail, span_of(rcpts[i]), 17, &out);
        assert_in_range(bytes, 3900, 4300);
        mx_body_begin(&body, true, true);
        assert_int_equal(mx_body_feed(&body, buf_span(&out)), out.len);
        assert_int_equal(body.state, MX_BODY_ENDED);
        assert_int_equal(body.violations, 0);
        assert_int_equal(body.bytes, bytes);
        mx_body_end(&body, sha256);
        for (size_t j = 0; j < sizeof sha256; j++)
            (void)snprintf(hex + 2 * j, 3, "%02x", sha256[j]);
        assert_true(span_is(mx_body_field(&body, "X-Mailrace-Sha256"), hex));
        assert_true(span_is(mx_body_field(&body, "X-Mailrace-Id"), i == 0 ? "post" : "post-17"));
    }
    source_mail_release(&mail);
    mx_body_release(&body);
    buf_release(&out);
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
    t->config   = (struct source_session_config){"me", "s@x", wants_pipelining};
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
        cmocka_unit_test(messages_are_stuffed_and_know_their_hash),
        cmocka_unit_test(without_pipelining_it_waits_for_each_reply),
        cmocka_unit_test(with_pipelining_it_writes_the_envelope_at_once),
        cmocka_unit_test(a_refused_sender_refuses_everybody_once),
        cmocka_unit_test(a_broken_connection_leaves_recipients_unanswered),
        cmocka_unit_test(percentiles_are_of_all_times),
    };
    return RUN(tests);
}
