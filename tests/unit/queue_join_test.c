/* SPDX-License-Identifier: MIT */
/* Recipients that join a message which is in the queue already. */
#include "tests/unit/queue_fixture.h"

static struct queue_stats stats_of(const struct fixture *f)
{
    struct queue_stats stats;
    queue_stats(f->q, &stats);
    return stats;
}

static void those_who_join_go_out_with_what_still_waits(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 10, false);
    fixture_append(&f, m, "a.example", 10, 10);
    fixture_append(&f, m, "b.example", 20, 5);
    fixture_append(&f, m, "A.example", 25, 5);

    struct job *first = fixture_job(&f), *second = fixture_job(&f);
    assert_null(fixture_job(&f));
    assert_int_equal(first->rcpt_count, 25);
    assert_string_equal(first->rcpts[24].envelope.address, "user29@A.example");
    assert_int_equal(first->rcpts[24].recipient->index, 29);
    assert_int_equal(second->rcpt_count, 5);
    fixture_end(&f, first, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_end(&f, second, JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_int_equal(f.outcomes[OUTCOME_DELIVERED], 30);
    queue_close_message(f.q, m, f.now_ms);
    fixture_facts(&f);
    assert_int_equal(stats_of(&f).accepted, 30);
    fixture_close(&f);
}

static void an_open_message_stays_when_all_have_ended_and_goes_when_it_is_closed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 2, false);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 0);
    assert_ptr_equal(queue_find(f.q, m->id), m);
    assert_int_equal(stats_of(&f).messages, 0); /* nothing is left to do for it */

    fixture_append(&f, m, "a.example", 2, 1);
    assert_int_equal(stats_of(&f).messages, 1);
    struct job *job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 1);
    queue_close_message(f.q, m, f.now_ms);
    fixture_facts(&f);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 0); /* one is on its way */
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    assert_int_equal(stats_of(&f).messages + stats_of(&f).recipients, 0);
    fixture_close(&f);
}

static void a_message_without_anybody_left_is_done_when_it_is_closed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 1, false);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    queue_close_message(f.q, m, f.now_ms);
    fixture_facts(&f);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    fixture_close(&f);
}

/* What a connection carries is not touched; the next transaction takes all who came meanwhile. */
static void batches_grow_while_connections_are_busy(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.rules[0].limits.connections = 1;
    fixture_open(&f);
    struct message *m = fixture_open_post(&f, "a.example", 10, false);
    struct job *job   = fixture_job(&f);
    for (unsigned i = 1; i <= 9; i++)
        fixture_append(&f, m, "a.example", i * 10, 10);
    assert_null(fixture_job(&f));
    assert_int_equal(job->rcpt_count, 10);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 90);
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    queue_close_message(f.q, m, f.now_ms);
    fixture_close(&f);
}

static void deferred_ones_keep_their_time_when_others_join(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_open_post(&f, "a.example", 1, false);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_ANSWERED);
    fixture_append(&f, m, "a.example", 1, 1);
    struct job *job = fixture_job(&f);
    assert_int_equal(job->rcpt_count, 1);
    assert_string_equal(job->rcpts[0].envelope.address, "user1@a.example");
    fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    assert_null(fixture_job(&f));
    (void)fixture_wait(&f, HOUR_MS);
    fixture_end(&f, fixture_job(&f), JOB_DELIVERED, JOB_SITE_ANSWERED);
    queue_close_message(f.q, m, f.now_ms);
    fixture_facts(&f);
    assert_int_equal(f.kinds[FACT_MESSAGE_DONE], 1);
    fixture_close(&f);
}

static void a_delay_report_tells_of_those_who_joined_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.policy.retry.delay_report_ms = 4 * (uint64_t)HOUR_MS;
    fixture_open(&f);
    struct message *m    = fixture_open_post(&f, "a.example", 1, false);
    struct message *more = fixture_message(&f, "owner@sender.example", "list");
    fixture_rcpt(more, "late@a.example", NOTIFY_DELAY);
    queue_append(f.q, m, more, f.now_ms);
    message_free(more);
    fixture_end(&f, fixture_job(&f), JOB_DEFERRED, JOB_SITE_ANSWERED);
    (void)fixture_wait(&f, 4 * (uint64_t)HOUR_MS);
    assert_int_equal(f.kinds[FACT_DELAY_DUE], 1);
    assert_true(message_rcpt(m, 1)->is_late_told);
    assert_false(message_rcpt(m, 0)->is_late_told);
    fixture_close(&f);
}

static void many_join_ten_by_ten_in_little_memory(void **state)
{
    enum { RCPTS = 200000, BYTES_MAX = 64 + 2 * 24 };
    (void)state;
    struct fixture f;
    char address[64];
    fixture_start(&f);
    struct message *m = fixture_open_post(&f, "d0.example", 10, false);
    for (unsigned i = 10; i < RCPTS; i += 10) {
        struct message *more = fixture_message(&f, "owner@sender.example", "list");
        for (unsigned r = i; r < i + 10; r++) {
            (void)snprintf(address, sizeof address, "user%u@d%u.example", r, r % 1000);
            fixture_rcpt(more, address, 0);
        }
        queue_append(f.q, m, more, f.now_ms);
        message_free(more);
    }
    assert_int_equal(m->rcpt_count, RCPTS);
    assert_string_equal(message_rcpt(m, RCPTS - 1)->address, "user199999@d999.example");
    assert_true(message_memory(m) < (size_t)RCPTS * BYTES_MAX);
    (void)fixture_route(&f);
    size_t jobs = 0;
    for (struct job *job; (job = fixture_job(&f)) != NULL; jobs++) {
        assert_true(job->rcpt_count <= 100);
        fixture_end(&f, job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    }
    assert_int_equal(jobs, RCPTS / 100 + 1); /* nine more than their share began in d0 */
    queue_close_message(f.q, m, f.now_ms);
    fixture_facts(&f);
    assert_int_equal(stats_of(&f).recipients, 0);
    fixture_close(&f);
}

/* A large message that is loaded again, piece by piece. */
static void a_recovered_message_goes_on_before_its_last_piece_is_in(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m             = fixture_open_post(&f, "a.example", 2, false);
    const uint64_t due_in[]       = {0, 0, 5000, 0, 7000, 0};
    const char *const addresses[] = {"u2@a.example", "u3@b.example", "u4@a.example",
                                     "u5@c.example", "u6@a.example", "u7@a.example"};
    queue_grow(f.q, m);
    for (size_t i = 0; i < 6; i++)
        fixture_rcpt(m, addresses[i], 0);
    message_rcpt(m, 5)->state = RCPT_HELD;
    message_rcpt(m, 7)->state = RCPT_ENDED;
    queue_restore(f.q, m, 2, due_in, f.now_ms);
    (void)fixture_route(&f);

    struct queue_stats stats = stats_of(&f);
    assert_int_equal(stats.recipients, 7);
    assert_int_equal(stats.deferred, 2);
    assert_int_equal(stats.held, 1);
    struct job *first = fixture_job(&f), *second = fixture_job(&f);
    assert_null(fixture_job(&f));
    assert_int_equal(first->rcpt_count, 3); /* at a.example: two from before, one of the new */
    assert_int_equal(second->rcpt_count, 1);
    fixture_end(&f, first, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_end(&f, second, JOB_DELIVERED, JOB_SITE_ANSWERED);
    queue_close_message(f.q, m, f.now_ms);
    f.now_ms += 5000;
    (void)queue_turn(f.q, f.now_ms, fixture_wall(&f));
    struct job *third = fixture_job(&f);
    assert_string_equal(third->rcpts[0].envelope.address, "u4@a.example");
    fixture_end(&f, third, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&f);
}

static void what_is_loaded_after_its_time_expires_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct message *m = fixture_users(&f, "a.example", 0, 1);
    m->is_open        = true;
    queue_accept(f.q, m, 1000, NULL, f.now_ms);
    f.now_ms += 2000;
    (void)queue_turn(f.q, f.now_ms, fixture_wall(&f));
    queue_grow(f.q, m);
    fixture_rcpt(m, "late@a.example", 0);
    queue_restore(f.q, m, 1, (const uint64_t[]){0}, f.now_ms);
    f.now_ms += 1;
    (void)queue_turn(f.q, f.now_ms, fixture_wall(&f));
    fixture_facts(&f);
    assert_int_equal(stats_of(&f).expired, 2);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recovered_message_goes_on_before_its_last_piece_is_in),
        cmocka_unit_test(what_is_loaded_after_its_time_expires_too),
        cmocka_unit_test(those_who_join_go_out_with_what_still_waits),
        cmocka_unit_test(an_open_message_stays_when_all_have_ended_and_goes_when_it_is_closed),
        cmocka_unit_test(a_message_without_anybody_left_is_done_when_it_is_closed),
        cmocka_unit_test(batches_grow_while_connections_are_busy),
        cmocka_unit_test(deferred_ones_keep_their_time_when_others_join),
        cmocka_unit_test(a_delay_report_tells_of_those_who_joined_too),
        cmocka_unit_test(many_join_ten_by_ten_in_little_memory),
    };
    return RUN(tests);
}
