/* SPDX-License-Identifier: MIT */
#include "tests/unit/queue_fixture.h"

static void held_mail_stays_until_released(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 3);
    assert_int_equal(fixture_command(&f, QUEUE_HOLD, "to=user1@a.example"), 1);
    assert_int_equal(f.outcomes[OUTCOME_HELD], 1);
    assert_int_equal(fixture_last(&f, FACT_RCPT)->state, RCPT_HELD);
    struct job *job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 2);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    (void)fixture_wait(&f, HOUR_MS);
    assert_null(fixture_job(&f));
    assert_string_equal(fixture_row(&f, m, 1).status, "held");

    assert_int_equal(fixture_command(&f, QUEUE_RELEASE, "status=held"), 1);
    assert_int_equal(f.outcomes[OUTCOME_RELEASED], 1);
    job = fixture_job(&f);
    assert_string_equal(job->rcpts[0].envelope.address, "user1@a.example");
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void held_mail_expires(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 1);
    (void)fixture_command(&f, QUEUE_HOLD, "all");
    (void)fixture_wait(&f, f.policy.retry.expire_ms);
    assert_int_equal(f.outcomes[OUTCOME_EXPIRED], 1);
    fixture_close(&f);
}

static void retry_makes_deferred_mail_ready_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 1);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_ANSWERED);
    assert_null(fixture_job(&f));
    assert_int_equal(fixture_command(&f, QUEUE_RETRY, "domain=*.example"), 1);
    struct job *job = fixture_job(&f);
    assert_non_null(job);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void retry_probes_a_site_in_backoff_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 300);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_UNREACHABLE);
    assert_int_equal(fixture_command(&f, QUEUE_RETRY, "site=mx.a.example"), 300);
    struct job *job = fixture_job(&f);
    assert_true(job->is_probe);
    assert_null(fixture_job(&f));
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void cancelled_mail_ends_without_a_report(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 2);
    assert_int_equal(fixture_command(&f, QUEUE_CANCEL, "flow=f"), 2);
    assert_int_equal(f.outcomes[OUTCOME_CANCELLED], 2);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 0);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    assert_null(fixture_job(&f));
    fixture_close(&f);
}

static void a_dry_run_only_counts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 7);
    struct selector selector;
    selector_init(&selector);
    assert_int_equal(queue_command(f.q, QUEUE_CANCEL, &selector, true, f.now_ms, fixture_wall(&f)),
                     7);
    fixture_facts(&f);
    assert_int_equal(f.outcomes[OUTCOME_CANCELLED], 0);
    struct job *job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 7);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void a_command_reaches_those_in_jobs_when_they_come_home(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 4);
    struct job *job   = fixture_job(&f);
    assert_int_equal(fixture_command(&f, QUEUE_RETRY, "all"), 0);
    assert_int_equal(fixture_command(&f, QUEUE_CANCEL, "to=user0@a.example"), 1);
    assert_int_equal(fixture_command(&f, QUEUE_CANCEL, "to=user1@a.example"), 1);
    assert_int_equal(fixture_command(&f, QUEUE_HOLD, "to=user2@a.example"), 1);
    assert_int_equal(fixture_command(&f, QUEUE_HOLD, "to=user3@a.example"), 1);
    assert_int_equal(fixture_command(&f, QUEUE_RELEASE, "to=user3@a.example"), 1);
    assert_int_equal(f.outcomes[OUTCOME_CANCELLED] + f.outcomes[OUTCOME_HELD], 0);
    job->rcpts[0].verdict = JOB_DELIVERED; /* too late to cancel */
    job_settle_rest(job, JOB_DEFERRED, 450, NULL, span_of("later"), "mx");
    fixture_home(&f, job, JOB_SITE_ANSWERED);
    assert_string_equal(fixture_row(&f, m, 0).status, "delivered");
    assert_int_equal(m->rcpts[1].state, RCPT_ENDED);
    assert_string_equal(fixture_row(&f, m, 2).status, "held");
    assert_string_equal(fixture_row(&f, m, 3).status, "deferred");
    assert_int_equal(f.outcomes[OUTCOME_CANCELLED], 1);
    fixture_close(&f);
}

static void chosen_recipients_leave_their_batch_and_the_others_stay(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 5);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_ANSWERED);
    assert_int_equal(fixture_command(&f, QUEUE_CANCEL, "to=user2@a.example"), 1);
    assert_int_equal(fixture_command(&f, QUEUE_RETRY, "to=user4@a.example"), 1);
    assert_int_equal(fixture_row(&f, m, 1).next_in_ms, 5 * MINUTE_MS);
    struct job *job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 1);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    (void)fixture_wait(&f, 5 * MINUTE_MS);
    job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 3);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    fixture_close(&f);
}

static size_t count_matches(struct fixture *f, const char *term)
{
    struct selector selector;
    struct buf error = {0};
    selector_init(&selector);
    assert_true(selector_add(&selector, span_of(term), &error));
    struct message *m;
    size_t count = 0;
    for (size_t cursor = 0; (m = queue_each_message(f->q, &cursor)) != NULL;)
        for (uint32_t i = 0; i < m->rcpt_count; i++)
            count += queue_matches(f->q, &selector, m, i, f->now_ms, fixture_wall(f));
    return count;
}

static void selectors_match_what_they_say(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "one", "a.example", 2);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_ANSWERED);
    f.now_ms += HOUR_MS;
    (void)fixture_post(&f, "two", "b.other.example", 3);
    assert_int_equal(count_matches(&f, "all"), 5);
    assert_int_equal(count_matches(&f, "id=0000000000001"), 2);
    assert_int_equal(count_matches(&f, "to=user1@A.EXAMPLE"), 1);
    assert_int_equal(count_matches(&f, "domain=a.example"), 2);
    assert_int_equal(count_matches(&f, "domain=*.other.example"), 3);
    assert_int_equal(count_matches(&f, "site=*.a.example"), 2);
    assert_int_equal(count_matches(&f, "site=mx.b.other.example"), 3);
    assert_int_equal(count_matches(&f, "site=default"), 5);
    assert_int_equal(count_matches(&f, "flow=two"), 3);
    assert_int_equal(count_matches(&f, "list=one"), 2);
    assert_int_equal(count_matches(&f, "older=1h"), 2);
    assert_int_equal(count_matches(&f, "older=2h"), 0);
    assert_int_equal(count_matches(&f, "status=deferred"), 2);
    assert_int_equal(count_matches(&f, "status=waiting"), 3);
    fixture_close(&f);
}

static void statistics_add_up(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 10);
    (void)fixture_command(&f, QUEUE_HOLD, "to=user3@a.example");
    (void)fixture_command(&f, QUEUE_CANCEL, "to=user4@a.example");
    struct job *job   = fixture_job(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@unknown.example", 0);
    fixture_accept(&f, m);
    struct queue_stats s;
    queue_stats(f.q, &s);
    assert_int_equal(s.messages, 2);
    assert_int_equal(s.recipients, 10);
    assert_int_equal(s.busy, 8);
    assert_int_equal(s.held, 1);
    assert_int_equal(s.unrouted, 1);
    assert_int_equal(s.cancelled, 1);
    assert_int_equal(s.accepted, 11);
    assert_int_equal(s.jobs, 1);
    assert_in_range(s.memory_bytes, 1000, 100000);
    fixture_end(&f, job, JOB_FAILED, JOB_SITE_ANSWERED);
    queue_stats(f.q, &s);
    assert_int_equal(s.owing, 8);
    assert_int_equal(s.failed, 8);
    assert_int_equal(fixture_site(&f, "mx.a.example").failed, 8);
    assert_string_equal(fixture_site(&f, "mx.a.example").last_failure->text, "so it said");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_mail_stays_until_released),
        cmocka_unit_test(held_mail_expires),
        cmocka_unit_test(retry_makes_deferred_mail_ready_at_once),
        cmocka_unit_test(retry_probes_a_site_in_backoff_at_once),
        cmocka_unit_test(cancelled_mail_ends_without_a_report),
        cmocka_unit_test(a_dry_run_only_counts),
        cmocka_unit_test(a_command_reaches_those_in_jobs_when_they_come_home),
        cmocka_unit_test(chosen_recipients_leave_their_batch_and_the_others_stay),
        cmocka_unit_test(selectors_match_what_they_say),
        cmocka_unit_test(statistics_add_up),
    };
    return RUN(tests);
}
