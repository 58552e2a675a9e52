/* SPDX-License-Identifier: MIT */
#include "tests/unit/queue_fixture.h"

/* --- mail comes in and goes out --- */

static void a_delivered_message_is_done_once_and_gone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "list", "a.example", 3);

    struct job *job = fixture_job(&f);
    assert_non_null(job);
    assert_int_equal(job->rcpt_count, 3);
    assert_string_equal(job->rcpts[2].envelope.address, "user2@a.example");
    assert_string_equal(job->target->name, "mx.a.example");
    assert_string_equal(job->envelope->sender, "owner@sender.example");
    assert_null(fixture_job(&f));

    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_int_equal(f.outcomes[OUTCOME_DELIVERED], 3);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    assert_int_equal(f.seen[f.seen_count - 1].kind, FACT_MESSAGE_DONE);
    assert_null(queue_find(f.q, 1));

    struct queue_stats stats;
    queue_stats(f.q, &stats);
    assert_int_equal(stats.messages + stats.recipients + stats.jobs + stats.flows, 0);
    fixture_close(&f);
}

static void recipients_are_gathered_by_domain_in_any_order_and_case(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "one@a.example", 0);
    fixture_rcpt(m, "two@b.example", 0);
    fixture_rcpt(m, "three@A.Example", 0);
    fixture_rcpt(m, "\"x@y\"@b.example", 0);
    fixture_accept(&f, m);
    assert_int_equal(fixture_route(&f), 2);

    struct job *first = fixture_job(&f), *second = fixture_job(&f);
    assert_int_equal(first->rcpt_count, 2);
    assert_int_equal(second->rcpt_count, 2);
    assert_string_equal(first->rcpts[1].envelope.address, "three@A.Example");
    fixture_end(&f, first, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_end(&f, second, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void fifty_thousand_unsorted_recipients_are_gathered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    char address[64];
    for (unsigned i = 0; i < 50000; i++) {
        (void)snprintf(address, sizeof address, "u%u@d%u.example", i, i * 7919 % 1000);
        fixture_rcpt(m, address, 0);
    }
    fixture_accept(&f, m);
    assert_int_equal(fixture_route(&f), 1000);
    size_t jobs = 0;
    for (struct job *job; (job = fixture_job(&f)) != NULL; jobs++)
        fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_int_equal(jobs, 1000);
    assert_int_equal(f.outcomes[OUTCOME_DELIVERED], 50000);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    fixture_close(&f);
}

static void individual_mail_leaves_one_by_one(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    f.policy.linger_ms = MINUTE_MS;
    queue_set_policy(f.q, &f.policy, f.now_ms);
    struct message *m = fixture_users(&f, "a.example", 0, 3);
    memcpy(m->envelope.verp, "+=", sizeof m->envelope.verp);
    m->is_open = m->may_linger = true; /* it need not wait for others: they could not ride along */
    fixture_accept(&f, m);
    (void)fixture_route(&f);
    fixture_append(&f, m, "a.example", 3, 1);
    struct job *job, *jobs[4];
    size_t count = 0;
    while (count < 4 && (job = fixture_job(&f)) != NULL) {
        assert_int_equal(job->rcpt_count, 1);
        assert_string_equal(job->envelope->verp, "+=");
        assert_true(job->has_siblings);
        jobs[count++] = job;
    }
    assert_int_equal(count, 2); /* the first window */
    fixture_end(&f, jobs[0], JOB_UNDECIDED, JOB_SITE_UNKNOWN);
    fixture_end(&f, jobs[1], JOB_DEFERRED, JOB_SITE_ANSWERED);
    for (count = 0; (job = fixture_job(&f)) != NULL; count++) {
        assert_int_equal(job->rcpt_count, 1);
        fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    }
    assert_int_equal(count, 3);
    assert_int_equal(m->live, 1);
    fixture_close(&f);
}

static void a_large_batch_leaves_in_full_transactions(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 250);
    size_t sizes[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        struct job *job = fixture_job(&f);
        sizes[i]        = job->rcpt_count;
        fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    }
    assert_int_equal(sizes[0], 100);
    assert_int_equal(sizes[1], 100);
    assert_int_equal(sizes[2], 50);
    fixture_close(&f);
}

static void results_of_one_transaction_are_kept_apart(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m   = fixture_post(&f, "f", "a.example", 4);
    struct job *job     = fixture_job(&f);
    unsigned char ok[3] = {2, 1, 5}, bad[3] = {5, 1, 1}, later[3] = {4, 2, 2};
    job_settle(job, 0, JOB_DELIVERED, 250, ok, span_of("yes"), "mx");
    job_settle(job, 1, JOB_FAILED, 550, bad, span_of("no such user"), "mx");
    job_settle(job, 2, JOB_DEFERRED, 452, later, span_of("mailbox full"), "mx");
    fixture_home(&f, job, JOB_SITE_ANSWERED); /* the last one was not tried */

    assert_string_equal(fixture_row(&f, m, 0).status, "delivered");
    assert_string_equal(fixture_row(&f, m, 1).status, "failed");
    assert_string_equal(fixture_row(&f, m, 2).status, "deferred");
    assert_string_equal(fixture_row(&f, m, 3).status, "waiting");
    assert_int_equal(m->rcpts[2].attempts, 1);
    assert_int_equal(m->rcpts[3].attempts, 0);
    assert_int_equal(m->rcpts[2].last->attempt.code, 452);
    assert_string_equal(m->rcpts[2].last->attempt.text, "mailbox full");

    job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 1);
    assert_string_equal(job->rcpts[0].envelope.address, "user3@a.example");
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

/* --- the schedule --- */

static void deferred_recipients_come_back_when_due_and_not_before(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 2);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_ANSWERED);
    assert_int_equal(fixture_last(&f, FACT_RCPT)->next_in_ms, 5 * MINUTE_MS);

    assert_int_equal(fixture_turn(&f), f.now_ms + 5 * MINUTE_MS);
    (void)fixture_wait(&f, 5 * MINUTE_MS - 1);
    assert_null(fixture_job(&f));
    (void)fixture_wait(&f, 1);
    struct job *job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 2);
    fixture_end(&f, job, JOB_DEFERRED, JOB_SITE_ANSWERED);
    assert_int_equal(fixture_row(&f, m, 0).next_in_ms, 15 * MINUTE_MS);
    assert_int_equal(m->rcpts[0].attempts, 2);
    fixture_close(&f);
}

static void a_doubtful_delivery_is_said_and_waits_its_own_time(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 1);
    fixture_end(&f, fixture_job(&f), JOB_IN_DOUBT, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_DOUBT], 1);
    assert_int_equal(f.outcomes[OUTCOME_DEFERRED], 1);
    assert_int_equal(fixture_row(&f, m, 0).next_in_ms, 7 * MINUTE_MS);
    fixture_close(&f);
}

static void a_recovered_message_goes_on_where_it_was(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    for (size_t i = 0; i < 5; i++)
        fixture_rcpt(m, "u@a.example", 0);
    m->rcpts[0].state    = RCPT_ENDED;
    m->rcpts[1].attempts = 2;
    m->rcpts[2].state    = RCPT_HELD;
    m->rcpts[3].state    = RCPT_OWES_FAILURE;
    uint64_t due[]       = {0, 3 * MINUTE_MS, 0, 0, 0};
    queue_accept(f.q, m, HOUR_MS, due, f.now_ms);
    fixture_facts(&f);
    (void)fixture_route(&f);

    assert_int_equal(m->live, 4);
    assert_string_equal(fixture_row(&f, m, 1).status, "deferred");
    assert_int_equal(fixture_row(&f, m, 1).next_in_ms, 3 * MINUTE_MS);
    assert_string_equal(fixture_row(&f, m, 2).status, "held");
    struct job *job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 1);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 0);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1); /* what is left only rests */
    fixture_close(&f);
}

/* --- routes --- */

static void a_domain_is_asked_for_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    char domain[256];
    for (size_t i = 0; i < 3; i++) {
        struct message *m = fixture_message(&f, "s@s.example", "f");
        fixture_rcpt(m, "u@a.example", 0);
        fixture_accept(&f, m);
    }
    assert_true(queue_next_unrouted(f.q, domain));
    assert_string_equal(domain, "a.example");
    assert_false(queue_next_unrouted(f.q, domain));
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@a.example", 0);
    fixture_accept(&f, m);
    assert_false(queue_next_unrouted(f.q, domain)); /* the answer is on its way */
    fixture_close(&f);
}

static void a_domain_that_does_not_exist_fails_its_recipients(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@gone.example", 0);
    fixture_accept(&f, m);
    char domain[256];
    assert_true(queue_next_unrouted(f.q, domain));
    struct queue_route route = {
        .is_permanent = true, .enhanced = {5, 1, 2},
             .text = "no such domain"
    };
    queue_route(f.q, span_of(domain), &route, f.now_ms);
    fixture_facts(&f);
    assert_int_equal(f.outcomes[OUTCOME_FAILED], 1);
    assert_int_equal(m->rcpts[0].state, RCPT_OWES_FAILURE);
    assert_int_equal(m->rcpts[0].last->attempt.enhanced[2], 2);
    assert_int_equal(f.kinds[FACT_REPORT_DUE], 1);
    fixture_close(&f);
}

static void a_domain_that_cannot_be_looked_up_is_asked_for_again_later(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@odd.example", 0);
    fixture_accept(&f, m);
    char domain[256];
    assert_true(queue_next_unrouted(f.q, domain));
    struct queue_route route = {
        .enhanced = {4, 4, 3},
          .text = "the name server failed"
    };
    queue_route(f.q, span_of(domain), &route, f.now_ms);
    fixture_facts(&f);
    assert_int_equal(f.outcomes[OUTCOME_DEFERRED], 1);
    assert_int_equal(m->rcpts[0].attempts, 1);
    assert_false(queue_next_unrouted(f.q, domain));
    (void)fixture_wait(&f, 5 * MINUTE_MS);
    assert_true(queue_next_unrouted(f.q, domain));
    fixture_close(&f);
}

static void a_route_is_never_used_after_it_has_expired(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@a.example", 0);
    fixture_accept(&f, m);
    assert_int_equal(fixture_route_for(&f, 10 * MINUTE_MS), 1);
    (void)fixture_wait(&f, 10 * MINUTE_MS);
    assert_null(fixture_job(&f));
    assert_string_equal(fixture_row(&f, m, 0).status, "routing");
    assert_int_equal(fixture_route(&f), 1);
    struct job *job = fixture_job(&f);
    assert_non_null(job);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void a_domain_that_moves_takes_its_mail_to_the_new_site(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 2);
    struct site_host hosts[] = {
        {.name = "other.example", .port = 25}
    };
    struct queue_route route = {
        .is_found   = true,
        .expires_ms = f.now_ms + HOUR_MS,
        .target     = {.key = "other", .name = "other.example", .hosts = hosts, .host_count = 1}
    };
    queue_route(f.q, span_of("a.example"), &route, f.now_ms);
    struct job *job = fixture_job(&f);
    assert_string_equal(job->target->name, "other.example");
    assert_int_equal(fixture_site(&f, "mx.a.example").ready, 0);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void domains_with_one_target_are_one_site_but_not_one_transaction(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct site_host hosts[] = {
        {.name = "mx.host.example", .port = 25}
    };
    struct queue_route route = {
        .is_found   = true,
        .expires_ms = f.now_ms + HOUR_MS,
        .target     = {.key = "host", .name = "mx.host.example", .hosts = hosts, .host_count = 1}
    };
    struct message *m = fixture_message(&f, "s@s.example", "f");
    fixture_rcpt(m, "u@a.example", 0);
    fixture_rcpt(m, "u@b.example", 0);
    fixture_accept(&f, m);
    char domain[256];
    while (queue_next_unrouted(f.q, domain))
        queue_route(f.q, span_of(domain), &route, f.now_ms);
    struct job *first = fixture_job(&f), *second = fixture_job(&f);
    assert_ptr_equal(first->site, second->site);
    assert_int_equal(first->rcpt_count, 1);
    assert_int_equal(fixture_site(&f, "mx.host.example").domains, 2);
    fixture_end(&f, first, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_end(&f, second, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

/* --- sites that fail --- */

static void an_unreachable_site_backs_off_as_one_and_is_probed_by_one(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 300);
    struct job *first = fixture_job(&f), *second = fixture_job(&f);
    fixture_end(&f, first, JOB_DEFERRED, JOB_SITE_UNREACHABLE);
    assert_int_equal(f.kinds[FACT_SITE_BACKOFF], 1);
    fixture_end(&f, second, JOB_DEFERRED, JOB_SITE_UNREACHABLE);
    assert_int_equal(f.kinds[FACT_SITE_BACKOFF], 1);
    assert_int_equal(f.outcomes[OUTCOME_DEFERRED], 200);
    assert_string_equal(fixture_row(&f, m, 0).status, "deferred");
    assert_int_equal(fixture_row(&f, m, 0).next_in_ms, 5 * MINUTE_MS);
    assert_string_equal(fixture_row(&f, m, 299).status, "waiting");
    assert_null(fixture_job(&f));
    assert_string_equal(fixture_site(&f, "mx.a.example").state, "backoff");

    uint64_t next_ms = fixture_wait(&f, 5 * MINUTE_MS - 1);
    assert_int_equal(next_ms, f.now_ms + 1);
    assert_null(fixture_job(&f));
    (void)fixture_wait(&f, 1);
    struct job *probe = fixture_job(&f);
    assert_true(probe->is_probe);
    assert_null(fixture_job(&f));
    fixture_end(&f, probe, JOB_DEFERRED, JOB_SITE_UNREACHABLE);
    assert_int_equal(f.kinds[FACT_SITE_BACKOFF], 2);
    assert_int_equal(fixture_site(&f, "mx.a.example").next_in_ms, 15 * MINUTE_MS);

    (void)fixture_wait(&f, 15 * MINUTE_MS);
    probe = fixture_job(&f);
    fixture_end(&f, probe, JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_SITE_RECOVERED], 1);
    first = fixture_job(&f); /* all that waited may go at once */
    assert_non_null(first);
    assert_false(first->is_probe);
    fixture_end(&f, first, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void mail_that_comes_for_a_site_in_backoff_waits_with_the_rest(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 1);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_UNREACHABLE);
    struct message *m = fixture_post(&f, "f", "a.example", 1);
    assert_null(fixture_job(&f));
    assert_int_equal(fixture_row(&f, m, 0).next_in_ms, 5 * MINUTE_MS);
    fixture_close(&f);
}

static void a_busy_site_gets_fewer_connections_and_loses_no_attempt(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_post(&f, "f", "a.example", 400);
    struct job *first = fixture_job(&f), *second = fixture_job(&f);
    assert_null(fixture_job(&f)); /* two at first */
    fixture_end(&f, second, JOB_DEFERRED, JOB_SITE_BUSY);
    assert_int_equal(f.kinds[FACT_LIMIT_CHANGED], 1);
    assert_int_equal(fixture_last(&f, FACT_LIMIT_CHANGED)->window, 1);
    assert_int_equal(f.outcomes[OUTCOME_DEFERRED], 0);
    assert_int_equal(m->rcpts[100].attempts, 0);
    assert_null(fixture_job(&f));
    fixture_end(&f, first, JOB_DELIVERED, JOB_SITE_ANSWERED);
    second = fixture_job(&f);
    assert_string_equal(second->rcpts[0].envelope.address, "user100@a.example"); /* still first */
    fixture_end(&f, second, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void a_site_that_stays_busy_backs_off(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 100);
    (void)fixture_post(&f, "f", "a.example", 1);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    for (size_t i = 0; i < 3; i++)
        fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_BUSY);
    assert_int_equal(f.kinds[FACT_SITE_BACKOFF], 0);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_BUSY);
    assert_int_equal(f.kinds[FACT_SITE_BACKOFF], 1);
    assert_int_equal(f.outcomes[OUTCOME_DEFERRED], 1);
    assert_null(fixture_job(&f));
    fixture_close(&f);
}

/* --- limits --- */

static void never_more_jobs_than_limits_allow(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.rules[0].limits.connections = 1;
    fixture_open(&f);
    (void)fixture_post(&f, "f", "a.example", 300);
    struct job *job = fixture_job(&f);
    assert_null(fixture_job(&f));
    fixture_end(&f, job, JOB_UNDECIDED, JOB_SITE_UNKNOWN);
    job = fixture_job(&f);
    assert_non_null(job);
    assert_null(fixture_job(&f));
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void sites_of_one_operator_share_its_connections(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.rules[1] = (struct site_rule){
        .name     = "big",
        .match_mx = {"*.big.example"                   },
        .shared   = true,
        .limits   = { .connections = 2, .recipients_per_transaction = 100}
    };
    f.policy.rule_count = 2;
    fixture_open(&f);
    (void)fixture_post(&f, "f", "a.big.example", 400);
    (void)fixture_post(&f, "f", "b.big.example", 400);
    (void)fixture_post(&f, "f", "c.big.example", 400);
    (void)fixture_post(&f, "f", "small.example", 1);

    struct job *jobs[7]; /* two for the connections, four to follow them, and the other site's */
    for (size_t i = 0; i < 7; i++)
        assert_non_null(jobs[i] = fixture_job(&f));
    assert_null(fixture_job(&f));
    assert_int_equal(jobs[0]->group_id, jobs[1]->group_id);
    assert_int_equal(jobs[0]->shard, jobs[1]->shard);
    assert_int_not_equal(jobs[0]->site_id, jobs[1]->site_id);
    bool had_turn = false; /* the third site, though both others have more */
    for (size_t i = 0; i < 7; i++) {
        if (strcmp(jobs[i]->target->name, "mx.small.example") == 0)
            continue;
        fixture_end(&f, jobs[i], JOB_DELIVERED, JOB_SITE_ANSWERED);
        jobs[i] = fixture_job(&f);
        assert_non_null(jobs[i]);
        had_turn |= strcmp(jobs[i]->target->name, "mx.c.big.example") == 0;
        assert_null(fixture_job(&f));
    }
    assert_true(had_turn);
    for (size_t i = 0; i < 7; i++) {
        assert_in_range(jobs[i]->window, 1, 2);
        fixture_end(&f, jobs[i], JOB_DELIVERED, JOB_SITE_ANSWERED);
    }
    fixture_close(&f);
}

static void a_rate_spaces_transactions(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.rules[0].limits.rate_per_hour = 60;
    fixture_open(&f);
    (void)fixture_post(&f, "f", "a.example", 200);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_null(fixture_job(&f));
    assert_int_equal(fixture_turn(&f), f.now_ms + MINUTE_MS);
    (void)fixture_wait(&f, MINUTE_MS - 1);
    assert_null(fixture_job(&f));
    (void)fixture_wait(&f, 1);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void all_jobs_together_have_a_limit(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.policy.jobs_max = 1;
    fixture_open(&f);
    (void)fixture_post(&f, "f", "a.example", 1);
    (void)fixture_post(&f, "f", "b.example", 1);
    struct job *job = fixture_job(&f);
    assert_null(fixture_job(&f));
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void a_window_grows_while_it_is_used(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 4000);
    struct job *out[64];
    size_t count = 0, rounds = 0, window = 2;
    for (; window < 20 && rounds < 20; rounds++) {
        for (count = 0; (out[count] = fixture_job(&f)) != NULL; count++)
            window = out[count]->window;
        for (size_t i = 0; i < count; i++)
            fixture_end(&f, out[i], JOB_UNDECIDED, JOB_SITE_ANSWERED);
    }
    assert_int_equal(fixture_site(&f, "mx.a.example").window, 20);
    assert_in_range(rounds, 3, 16);
    fixture_close(&f);
}

static void a_site_that_answers_has_jobs_waiting_for_each_connection(void **state)
{
    (void)state;
    struct fixture f;
    struct job *out[6];
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 1000);
    for (size_t i = 0; i < 2; i++)
        out[i] = fixture_job(&f);
    assert_null(fixture_job(&f)); /* a stranger: who knows whether it takes mail */
    fixture_end(&f, out[0], JOB_DELIVERED, JOB_SITE_ANSWERED);
    out[0] = fixture_job(&f);
    for (size_t i = 2; i < 6; i++) {
        out[i] = fixture_job(&f);
        assert_int_equal(out[i]->window, 2);
    }
    assert_null(fixture_job(&f));
    fixture_end(&f, out[0], JOB_UNDECIDED, JOB_SITE_BUSY);
    assert_null(fixture_job(&f)); /* it has complained */
    for (size_t i = 1; i < 5; i++)
        fixture_end(&f, out[i], JOB_UNDECIDED, JOB_SITE_UNKNOWN);
    assert_null(fixture_job(&f));
    fixture_end(&f, out[5], JOB_UNDECIDED, JOB_SITE_UNKNOWN);
    out[0] = fixture_job(&f);
    assert_int_equal(out[0]->window, 1);
    assert_null(fixture_job(&f));
    fixture_end(&f, out[0], JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void a_probe_goes_alone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 1000);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_UNREACHABLE);
    (void)fixture_wait(&f, 5 * MINUTE_MS);
    struct job *probe = fixture_job(&f);
    assert_true(probe->is_probe);
    assert_int_equal(probe->window, 1);
    assert_null(fixture_job(&f));
    fixture_end(&f, probe, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void new_limits_count_for_what_starts_after(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 300);
    struct job *first = fixture_job(&f), *second = fixture_job(&f);
    f.rules[1] = (struct site_rule){
        .name         = "slow",
        .match_domain = {"a.example"                      },
        .limits       = { .connections = 1, .recipients_per_transaction = 10}
    };
    f.policy.rule_count = 2;
    queue_set_policy(f.q, &f.policy, f.now_ms);
    assert_string_equal(fixture_site(&f, "mx.a.example").operator_name, "slow");
    fixture_end(&f, first, JOB_UNDECIDED, JOB_SITE_UNKNOWN);
    assert_null(fixture_job(&f)); /* the second is one already */
    fixture_end(&f, second, JOB_UNDECIDED, JOB_SITE_UNKNOWN);
    assert_null(fixture_job(&f)); /* its route may be another now */
    assert_int_equal(fixture_route(&f), 1);
    first = fixture_job(&f);
    assert_int_equal(first->rcpt_count, 10);
    assert_null(fixture_job(&f));
    fixture_end(&f, first, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void a_changed_target_is_used_for_what_starts_after(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 300);
    struct job *old          = fixture_job(&f);
    struct site_host hosts[] = {
        {.name = "mx.a.example", .port = 25}
    };
    struct queue_route route = {
        .is_found   = true,
        .expires_ms = f.now_ms + HOUR_MS,
        .target     = {.key        = "mx.a.example",
                       .name       = "mx.a.example",
                       .hosts      = hosts,
                       .host_count = 1,
                       .is_mx      = true,
                       .user       = "me",
                       .password   = "secret"}
    };
    queue_route(f.q, span_of("a.example"), &route, f.now_ms);
    struct job *new_one = fixture_job(&f);
    assert_null(old->target->user);
    assert_string_equal(new_one->target->user, "me");
    assert_int_not_equal(old->site_id, new_one->site_id);
    fixture_end(&f, old, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_end(&f, new_one, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void idle_sites_and_domains_are_forgotten(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    (void)fixture_post(&f, "f", "a.example", 1);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    struct queue_stats stats;
    (void)fixture_wait(&f, 9 * MINUTE_MS);
    queue_stats(f.q, &stats);
    assert_int_equal(stats.sites, 1);
    assert_int_equal(fixture_wait(&f, MINUTE_MS), UINT64_MAX);
    queue_stats(f.q, &stats);
    assert_int_equal(stats.sites + stats.domains, 0);
    fixture_close(&f);
}

static void a_slow_rate_is_remembered_while_nothing_waits(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.rules[0].limits.rate_per_hour = 1;
    fixture_open(&f);
    (void)fixture_post(&f, "f", "a.example", 1);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    for (size_t i = 0; i < 59; i++)
        (void)fixture_wait(&f, MINUTE_MS);
    (void)fixture_post(&f, "f", "a.example", 1);
    assert_null(fixture_job(&f));
    (void)fixture_wait(&f, MINUTE_MS);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

/* --- fairness --- */

static void a_small_flow_does_not_wait_behind_a_big_one(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.rules[0].limits.connections = 1;
    fixture_open(&f);
    for (size_t i = 0; i < 20000; i++)
        (void)fixture_post(&f, "big", "a.example", 1);
    for (size_t i = 0; i < 50; i++)
        fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    struct message *small = fixture_post(&f, "small", "a.example", 1);
    struct job *job       = fixture_job(&f);
    assert_ptr_equal(job->message, small);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delivered_message_is_done_once_and_gone),
        cmocka_unit_test(recipients_are_gathered_by_domain_in_any_order_and_case),
        cmocka_unit_test(fifty_thousand_unsorted_recipients_are_gathered),
        cmocka_unit_test(individual_mail_leaves_one_by_one),
        cmocka_unit_test(a_large_batch_leaves_in_full_transactions),
        cmocka_unit_test(results_of_one_transaction_are_kept_apart),
        cmocka_unit_test(deferred_recipients_come_back_when_due_and_not_before),
        cmocka_unit_test(a_doubtful_delivery_is_said_and_waits_its_own_time),
        cmocka_unit_test(a_recovered_message_goes_on_where_it_was),
        cmocka_unit_test(a_domain_is_asked_for_once),
        cmocka_unit_test(a_domain_that_does_not_exist_fails_its_recipients),
        cmocka_unit_test(a_domain_that_cannot_be_looked_up_is_asked_for_again_later),
        cmocka_unit_test(a_route_is_never_used_after_it_has_expired),
        cmocka_unit_test(a_domain_that_moves_takes_its_mail_to_the_new_site),
        cmocka_unit_test(domains_with_one_target_are_one_site_but_not_one_transaction),
        cmocka_unit_test(an_unreachable_site_backs_off_as_one_and_is_probed_by_one),
        cmocka_unit_test(mail_that_comes_for_a_site_in_backoff_waits_with_the_rest),
        cmocka_unit_test(a_busy_site_gets_fewer_connections_and_loses_no_attempt),
        cmocka_unit_test(a_site_that_stays_busy_backs_off),
        cmocka_unit_test(never_more_jobs_than_limits_allow),
        cmocka_unit_test(sites_of_one_operator_share_its_connections),
        cmocka_unit_test(a_rate_spaces_transactions),
        cmocka_unit_test(all_jobs_together_have_a_limit),
        cmocka_unit_test(a_window_grows_while_it_is_used),
        cmocka_unit_test(a_site_that_answers_has_jobs_waiting_for_each_connection),
        cmocka_unit_test(a_probe_goes_alone),
        cmocka_unit_test(new_limits_count_for_what_starts_after),
        cmocka_unit_test(a_changed_target_is_used_for_what_starts_after),
        cmocka_unit_test(idle_sites_and_domains_are_forgotten),
        cmocka_unit_test(a_slow_rate_is_remembered_while_nothing_waits),
        cmocka_unit_test(a_small_flow_does_not_wait_behind_a_big_one),
    };
    return RUN(tests);
}
