/* SPDX-License-Identifier: MIT */
/* A list post that comes in many transactions waits for the rest of itself. */
#include "tests/unit/queue_fixture.h"

enum { LINGER_MS = 100 };

static void start(struct fixture *f)
{
    fixture_init(f);
    f->policy.linger_ms = LINGER_MS;
    fixture_open(f);
}

static void finish(struct fixture *f, struct message *m, unsigned jobs)
{
    queue_close_message(f->q, m, f->now_ms);
    while (jobs-- > 0)
        fixture_end(f, fixture_job(f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_null(fixture_job(f));
    fixture_close(f);
}

static void a_post_waits_until_nobody_has_joined_it_for_a_while(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 10, true);
    assert_null(fixture_job(&f));
    (void)fixture_wait(&f, LINGER_MS - 1);
    fixture_append(&f, m, "a.example", 10, 5);
    fixture_append(&f, m, "b.example", 15, 5);
    uint64_t next_ms = fixture_wait(&f, LINGER_MS - 1);
    assert_int_equal(next_ms, f.now_ms + 1);
    assert_null(fixture_job(&f));

    (void)fixture_wait(&f, 1);
    struct job *a = fixture_job(&f), *b = fixture_job(&f);
    assert_int_equal(a->rcpt_count + b->rcpt_count, 20);
    assert_null(fixture_job(&f));
    fixture_end(&f, a, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_end(&f, b, JOB_DELIVERED, JOB_SITE_ANSWERED);
    finish(&f, m, 0);
}

static void a_full_transaction_does_not_wait(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 60, true);
    fixture_append(&f, m, "a.example", 60, 70);
    struct job *job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 100);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    (void)fixture_wait(&f, LINGER_MS);
    finish(&f, m, 1);
}

static void a_post_that_never_ends_starts_all_the_same(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 2, true);
    unsigned waited   = 0;
    struct job *job   = NULL;
    for (unsigned i = 2; job == NULL && i < 60; i++) {
        (void)fixture_wait(&f, LINGER_MS / 2);
        waited += LINGER_MS / 2;
        fixture_append(&f, m, "a.example", i, 1);
        job = fixture_job(&f);
    }
    assert_non_null(job);
    assert_int_equal(waited, QUEUE_LINGER_TIMES_MAX * LINGER_MS);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_append(&f, m, "a.example", 70, 1); /* from now on nothing waits */
    finish(&f, m, 1);
}

static void mail_that_is_no_post_starts_at_once_and_lingers_when_another_joins(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 1, false);
    struct job *job   = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 1);
    fixture_append(&f, m, "b.example", 1, 1);
    fixture_append(&f, m, "b.example", 2, 1);
    assert_null(fixture_job(&f));
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    (void)fixture_wait(&f, LINGER_MS);
    job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 2);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    finish(&f, m, 0);
}

static void closing_it_ends_the_wait(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 5, true);
    assert_null(fixture_job(&f));
    finish(&f, m, 1);
}

static void who_lingers_can_be_held_and_cancelled(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 5, true);
    assert_string_equal(fixture_row(&f, m, 0).status, "waiting");
    assert_int_equal(fixture_command(&f, QUEUE_HOLD, "to=user1@a.example"), 1);
    assert_int_equal(fixture_command(&f, QUEUE_CANCEL, "to=user2@a.example"), 1);
    assert_int_equal(fixture_command(&f, QUEUE_CANCEL, "to=user1@a.example"), 1);
    (void)fixture_wait(&f, LINGER_MS);
    struct job *job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 3);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    finish(&f, m, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_post_waits_until_nobody_has_joined_it_for_a_while),
        cmocka_unit_test(a_full_transaction_does_not_wait),
        cmocka_unit_test(a_post_that_never_ends_starts_all_the_same),
        cmocka_unit_test(mail_that_is_no_post_starts_at_once_and_lingers_when_another_joins),
        cmocka_unit_test(closing_it_ends_the_wait),
        cmocka_unit_test(who_lingers_can_be_held_and_cancelled),
    };
    return RUN(tests);
}
