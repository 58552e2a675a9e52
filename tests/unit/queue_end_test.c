/* SPDX-License-Identifier: MIT */
#include "tests/unit/queue_fixture.h"

static struct message *post_with(struct fixture *f, const char *sender, unsigned notify)
{
    struct message *m = fixture_message(f, sender, "f");
    fixture_rcpt(m, "u@a.example", notify);
    fixture_accept(f, m);
    (void)fixture_route(f);
    return m;
}

/* --- whom to tell --- */

static enum rcpt_state state_after(const char *sender, unsigned notify, enum job_verdict verdict,
                                   bool is_relayed)
{
    struct fixture f;
    fixture_start(&f);
    (void)post_with(&f, sender, notify);
    struct job *job          = fixture_job(&f);
    job->rcpts[0].is_relayed = is_relayed;
    fixture_end(&f, job, verdict, JOB_SITE_ANSWERED);
    enum rcpt_state state = fixture_last(&f, FACT_RCPT)->state;
    assert_int_equal(f.kinds[FACT_REPORT_DUE], state != RCPT_ENDED);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], state == RCPT_ENDED);
    fixture_close(&f);
    return state;
}

static void failures_are_told_unless_nobody_may_hear(void **state)
{
    (void)state;
    const char *s = "s@s.example";
    assert_int_equal(state_after(s, 0, JOB_FAILED, false), RCPT_OWES_FAILURE);
    assert_int_equal(state_after(s, NOTIFY_FAILURE, JOB_FAILED, false), RCPT_OWES_FAILURE);
    assert_int_equal(state_after(s, NOTIFY_SUCCESS, JOB_FAILED, false), RCPT_ENDED);
    assert_int_equal(state_after(s, NOTIFY_NEVER, JOB_FAILED, false), RCPT_ENDED);
    assert_int_equal(state_after("", NOTIFY_FAILURE, JOB_FAILED, false), RCPT_ENDED);
}

static void success_is_told_when_asked_and_when_nobody_else_will(void **state)
{
    (void)state;
    const char *s = "s@s.example";
    assert_int_equal(state_after(s, NOTIFY_SUCCESS, JOB_DELIVERED, true), RCPT_OWES_SUCCESS);
    assert_int_equal(state_after(s, NOTIFY_SUCCESS, JOB_DELIVERED, false), RCPT_ENDED);
    assert_int_equal(state_after(s, 0, JOB_DELIVERED, true), RCPT_ENDED);
    assert_int_equal(state_after("", NOTIFY_SUCCESS, JOB_DELIVERED, true), RCPT_ENDED);
}

static void lmtp_is_final_delivery(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@a.example", NOTIFY_SUCCESS);
    fixture_accept(&f, m);
    char domain[256];
    assert_true(queue_next_unrouted(f.q, domain));
    struct site_host hosts[] = {
        {.name = "127.0.0.1", .port = 8024}
    };
    struct queue_route route = {
        .is_found   = true,
        .expires_ms = f.now_ms + HOUR_MS,
        .target     = {
                       .key = "lmtp", .name = "lmtp", .hosts = hosts, .host_count = 1, .is_lmtp = true}
    };
    queue_route(f.q, span_of(domain), &route, f.now_ms);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_int_equal(m->rcpts[0].state, RCPT_OWES_SUCCESS);
    fixture_close(&f);
}

/* --- reports --- */

static void failures_that_come_together_are_told_together(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@a.example", 0);
    fixture_rcpt(m, "u@b.example", 0);
    fixture_accept(&f, m);
    (void)fixture_route(&f);
    fixture_end(&f, fixture_job(&f), JOB_FAILED, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 0);
    fixture_end(&f, fixture_job(&f), JOB_FAILED, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1);
    assert_ptr_equal(f.report, m);

    uint32_t both[] = {0, 1};
    queue_reported(f.q, m, both, 2, f.now_ms);
    fixture_facts(&f);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    fixture_close(&f);
}

static void a_report_does_not_wait_longer_than_a_minute(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@a.example", 0);
    fixture_rcpt(m, "u@b.example", 0);
    fixture_accept(&f, m);
    (void)fixture_route(&f);
    fixture_end(&f, fixture_job(&f), JOB_FAILED, JOB_SITE_ANSWERED);
    struct job *slow = fixture_job(&f);
    (void)fixture_wait(&f, MINUTE_MS - 1);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 0);
    (void)fixture_wait(&f, 1);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1);
    (void)fixture_wait(&f, 10 * MINUTE_MS);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1); /* not again while it is being made */

    fixture_end(&f, slow, JOB_FAILED, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1);
    uint32_t first[] = {0};
    queue_reported(f.q, m, first, 1, f.now_ms);
    fixture_facts(&f);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 2); /* for the one that failed meanwhile */
    fixture_close(&f);
}

/* The last part leaves nobody to tell of; who fails later must still be heard of. */
static void parts_of_a_report_do_not_silence_the_next(void **state)
{
    (void)state;
    static const uint32_t parts[] = {0, 1};
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@a.example", 0);
    fixture_rcpt(m, "v@a.example", 0);
    fixture_rcpt(m, "u@b.example", 0);
    fixture_accept(&f, m);
    (void)fixture_route(&f);
    fixture_end(&f, fixture_job(&f), JOB_FAILED, JOB_SITE_ANSWERED);
    struct job *slow = fixture_job(&f);
    (void)fixture_wait(&f, MINUTE_MS);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1);
    queue_reported(f.q, m, &parts[0], 1, f.now_ms);
    queue_reported(f.q, m, &parts[1], 1, f.now_ms);
    (void)fixture_wait(&f, 2 * MINUTE_MS);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1);
    fixture_end(&f, slow, JOB_FAILED, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 2);
    fixture_close(&f);
}

static void a_report_that_could_not_be_written_comes_due_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = post_with(&f, "s@s.example", 0);
    fixture_end(&f, fixture_job(&f), JOB_FAILED, JOB_SITE_ANSWERED);
    queue_report_failed(f.q, m, f.now_ms);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1);
    assert_int_equal(fixture_turn(&f), f.now_ms + MINUTE_MS);
    (void)fixture_wait(&f, MINUTE_MS);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 2);
    fixture_close(&f);
}

static void a_report_may_be_answered_in_parts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 3);
    fixture_end(&f, fixture_job(&f), JOB_FAILED, JOB_SITE_ANSWERED);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 0);
        queue_reported(f.q, m, &i, 1, f.now_ms);
        fixture_facts(&f);
    }
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    fixture_close(&f);
}

static void a_delay_is_told_once_to_those_who_asked(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.policy.retry.delay_report_ms = 4 * HOUR_MS;
    fixture_open(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "asked@a.example", NOTIFY_DELAY | NOTIFY_FAILURE);
    fixture_rcpt(m, "plain@a.example", 0);
    fixture_accept(&f, m);
    (void)fixture_route(&f);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_UNREACHABLE);
    (void)fixture_wait(&f, 4 * HOUR_MS - 1);
    assert_int_equal(f.kinds[FACT_DELAY_DUE], 0);
    (void)fixture_wait(&f, 1);
    assert_int_equal(f.kinds[FACT_DELAY_DUE], 1);
    assert_true(m->rcpts[0].is_late_told);
    assert_false(m->rcpts[1].is_late_told);
    (void)fixture_wait(&f, 20 * HOUR_MS);
    assert_int_equal(f.kinds[FACT_DELAY_DUE], 1);
    fixture_close(&f);
}

static void a_recovered_message_is_not_told_to_be_late_twice(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.policy.retry.delay_report_ms = 4 * HOUR_MS;
    fixture_open(&f);
    (void)fixture_wait(&f, 0); /* the queue knows the time */
    for (uint64_t age_h = 3; age_h <= 5; age_h += 2) {
        struct message *m = fixture_message(&f, "s@s.example", "f");
        fixture_rcpt(m, "u@a.example", NOTIFY_DELAY);
        m->arrival_wall_ms -= age_h * HOUR_MS;
        queue_accept(f.q, m, f.policy.retry.expire_ms - age_h * HOUR_MS, NULL, f.now_ms);
    }
    (void)fixture_wait(&f, HOUR_MS - 1);
    assert_int_equal(f.kinds[FACT_DELAY_DUE], 0);
    (void)fixture_wait(&f, 1);
    assert_int_equal(f.kinds[FACT_DELAY_DUE], 1);
    (void)fixture_wait(&f, 10 * HOUR_MS);
    assert_int_equal(f.kinds[FACT_DELAY_DUE], 1);
    fixture_close(&f);
}

/* --- expiry --- */

static void a_message_expires_with_the_words_of_the_last_try(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 2);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_ANSWERED);
    (void)fixture_wait(&f, f.policy.retry.expire_ms);
    assert_int_equal(f.outcomes[OUTCOME_EXPIRED], 2);
    assert_int_equal(m->rcpts[0].state, RCPT_OWES_FAILURE);
    assert_int_equal(m->rcpts[0].last->attempt.outcome, OUTCOME_EXPIRED);
    assert_string_equal(m->rcpts[0].last->attempt.text, "so it said");
    assert_ptr_equal(m->rcpts[0].last, m->rcpts[1].last);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1);
    fixture_close(&f);
}

static void mail_that_was_never_tried_expires_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "", "f");
    fixture_rcpt(m, "u@a.example", 0);
    fixture_accept(&f, m); /* nobody answers for its domain */
    (void)fixture_wait(&f, f.policy.retry.expire_ms);
    assert_int_equal(f.outcomes[OUTCOME_EXPIRED], 1);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 0);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    fixture_close(&f);
}

static void what_expires_in_a_job_ends_when_it_comes_home(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 4);
    struct job *job   = fixture_job(&f);
    (void)fixture_wait(&f, f.policy.retry.expire_ms);
    assert_int_equal(f.outcomes[OUTCOME_EXPIRED], 0);
    job->rcpts[0].verdict = JOB_DELIVERED;
    job_settle(job, 1, JOB_DEFERRED, 450, NULL, span_of("later"), "mx");
    job_settle(job, 2, JOB_IN_DOUBT, 0, NULL, span_of("lost"), "mx");
    fixture_home(&f, job, JOB_SITE_ANSWERED);
    assert_int_equal(f.outcomes[OUTCOME_DELIVERED], 1);
    assert_int_equal(f.outcomes[OUTCOME_EXPIRED], 3);
    assert_int_equal(f.kinds[FACT_DOUBT], 1);
    assert_string_equal(m->rcpts[1].last->attempt.text, "later");
    assert_int_equal(m->rcpts[1].last->attempt.outcome, OUTCOME_EXPIRED);
    assert_int_equal(m->owing, 3);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_are_told_unless_nobody_may_hear),
        cmocka_unit_test(success_is_told_when_asked_and_when_nobody_else_will),
        cmocka_unit_test(lmtp_is_final_delivery),
        cmocka_unit_test(failures_that_come_together_are_told_together),
        cmocka_unit_test(a_report_does_not_wait_longer_than_a_minute),
        cmocka_unit_test(parts_of_a_report_do_not_silence_the_next),
        cmocka_unit_test(a_report_that_could_not_be_written_comes_due_again),
        cmocka_unit_test(a_report_may_be_answered_in_parts),
        cmocka_unit_test(a_delay_is_told_once_to_those_who_asked),
        cmocka_unit_test(a_recovered_message_is_not_told_to_be_late_twice),
        cmocka_unit_test(a_message_expires_with_the_words_of_the_last_try),
        cmocka_unit_test(mail_that_was_never_tried_expires_too),
        cmocka_unit_test(what_expires_in_a_job_ends_when_it_comes_home),
    };
    return RUN(tests);
}
