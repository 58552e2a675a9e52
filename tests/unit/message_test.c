/* SPDX-License-Identifier: MIT */
#include "mta/queue/job.h"
#include "mta/queue/message.h"
#include "mta/queue/recipient.h"
#include "tests/unit/check.h"
#include <string.h>

static struct message *a_message(const char *sender)
{
    struct envelope envelope = {.sender = sender, .envid = "", .ret = RET_HDRS};
    return message_new(7, &envelope);
}

static uint32_t add(struct message *m, const char *address, unsigned notify)
{
    struct envelope_rcpt rcpt = {.address = address, .orcpt = "", .notify = (uint8_t)notify};
    return message_add_rcpt(m, &rcpt);
}

static void a_message_owns_its_texts(void **state)
{
    (void)state;
    char sender[] = "s@s.example", address[] = "u@a.example", flow[] = "weekly";
    struct message *m = a_message(sender);
    (void)add(m, address, NOTIFY_DELAY);
    message_set_flow(m, span_of(flow));
    memset(sender, '?', sizeof sender - 1);
    memset(address, '?', sizeof address - 1);
    memset(flow, '?', sizeof flow - 1);
    assert_string_equal(m->envelope.sender, "s@s.example");
    assert_int_equal(m->envelope.ret, RET_HDRS);
    assert_string_equal(m->rcpts[0].address, "u@a.example");
    assert_string_equal(recipient_envelope(&m->rcpts[0]).orcpt, "");
    assert_int_equal(m->rcpts[0].notify, NOTIFY_DELAY);
    assert_string_equal(message_flow(m), "weekly");
    message_free(m);
}

static void a_recipient_may_carry_more_than_an_address(void **state)
{
    (void)state;
    struct message *m           = a_message("s@s.example");
    struct envelope_rcpt full   = {.address  = "u@a.example",
                                   .orcpt    = "rfc822;u",
                                   .notify   = NOTIFY_DELAY,
                                   .is_local = true,
                                   .data     = "id=42&name=Ann%20Lee"};
    struct envelope_rcpt plain  = {.address = "v@a.example", .orcpt = ""};
    struct envelope_rcpt merged = {.address = "w@a.example", .orcpt = "", .data = "id=7"};
    (void)message_add_rcpt(m, &full);
    (void)message_add_rcpt(m, &plain);
    (void)message_add_rcpt(m, &merged);
    full = recipient_envelope(message_rcpt(m, 0));
    assert_string_equal(full.orcpt, "rfc822;u");
    assert_string_equal(full.data, "id=42&name=Ann%20Lee");
    assert_int_equal(full.notify, NOTIFY_DELAY);
    assert_true(full.is_local);
    plain = recipient_envelope(message_rcpt(m, 1));
    assert_string_equal(plain.orcpt, "");
    assert_string_equal(plain.data, "");
    assert_false(plain.is_local);
    merged = recipient_envelope(message_rcpt(m, 2));
    assert_string_equal(merged.orcpt, "");
    assert_string_equal(merged.data, "id=7");
    message_free(m);
}

static void recipients_keep_their_index(void **state)
{
    (void)state;
    struct message *m = a_message("");
    char address[64];
    for (uint32_t i = 0; i < 1000; i++) {
        (void)snprintf(address, sizeof address, "u%u@a.example", i);
        assert_int_equal(add(m, address, 0), i);
    }
    assert_string_equal(m->rcpts[123].address, "u123@a.example");
    assert_int_equal(m->rcpts[999].state, RCPT_WAITING);
    message_free(m);
}

static void a_recipient_costs_little_beside_its_address(void **state)
{
    (void)state;
    struct message *m = a_message("s@s.example");
    enum { COUNT = 65536 };
    size_t text = 0;
    char address[64];
    for (uint32_t i = 0; i < COUNT; i++) {
        text += (size_t)snprintf(address, sizeof address, "user%u@a.example", i) + 1;
        (void)add(m, address, 0);
    }
    assert_in_range(message_memory(m) - text, 1, COUNT * RECIPIENT_HOT_BYTES_MAX);
    message_free(m);
}

static void notes_are_shared_and_freed_with_the_last_holder(void **state)
{
    (void)state;
    struct message *m = a_message("");
    for (size_t i = 0; i < 3; i++)
        (void)add(m, "u@a.example", 0);
    struct attempt attempt    = {.code = 450, .text = "later", .mx = "mx.example"};
    struct attempt_note *note = attempt_note_new(&attempt);
    for (size_t i = 0; i < 3; i++)
        recipient_set_last(&m->rcpts[i], note);
    assert_int_equal(note->refs, 4);
    recipient_set_last(&m->rcpts[0], note); /* the same once more */
    assert_int_equal(note->refs, 4);
    attempt_note_release(note);
    assert_string_equal(m->rcpts[2].last->attempt.mx, "mx.example");
    message_free(m); /* the sanitizer tells whether the note is gone */
}

static void a_note_serves_others_who_heard_the_same(void **state)
{
    (void)state;
    struct attempt attempt     = {.code = 450, .text = "later", .mx = "mx", .wall_ms = 5000};
    struct attempt_note *first = attempt_note_like(NULL, &attempt), *same, *other;
    attempt.wall_ms += ATTEMPT_NOTE_MS - 1;
    same = attempt_note_like(first, &attempt);
    assert_ptr_equal(same, first);
    attempt.wall_ms++;
    other = attempt_note_like(first, &attempt);
    assert_ptr_not_equal(other, first);
    attempt_note_release(other);
    attempt = (struct attempt){.code = 450, .text = "no", .mx = "mx", .wall_ms = 5000};
    other   = attempt_note_like(first, &attempt);
    assert_ptr_not_equal(other, first);
    attempt_note_release(other);
    attempt_note_release(same);
    attempt_note_release(first);
}

static void states_keep_the_counts_of_their_message(void **state)
{
    (void)state;
    struct message *m = a_message("s@s.example");
    for (size_t i = 0; i < 2; i++)
        (void)add(m, "u@a.example", 0);
    m->live = 2;
    recipient_set_state(m, &m->rcpts[0], RCPT_OWES_FAILURE);
    recipient_set_state(m, &m->rcpts[1], RCPT_HELD);
    assert_int_equal(m->live, 2);
    assert_int_equal(m->owing, 1);
    recipient_set_state(m, &m->rcpts[0], RCPT_ENDED);
    recipient_set_state(m, &m->rcpts[1], RCPT_WAITING);
    assert_int_equal(m->live, 1);
    assert_int_equal(m->owing, 0);
    message_free(m);
}

static void attempts_do_not_wrap(void **state)
{
    (void)state;
    struct recipient r = {.attempts = UINT16_MAX - 1};
    recipient_count_attempt(&r);
    recipient_count_attempt(&r);
    assert_int_equal(r.attempts, UINT16_MAX);
}

static void a_job_settles_one_recipient_or_all_the_others(void **state)
{
    (void)state;
    struct job *job           = job_new(3);
    const unsigned char no[3] = {5, 1, 1}, later[3] = {4, 3, 0};
    char words[] = "no such user";
    job_settle(job, 1, JOB_FAILED, 550, no, span_of(words), "mx.example");
    memset(words, '?', sizeof words - 1);
    job_settle_rest(job, JOB_DEFERRED, 451, later, span_of("wait"), "mx.example");
    assert_int_equal(job->rcpts[0].verdict, JOB_DEFERRED);
    assert_int_equal(job->rcpts[1].verdict, JOB_FAILED);
    assert_int_equal(job->rcpts[2].attempt.code, 451);
    assert_string_equal(job->rcpts[1].attempt.text, "no such user");
    assert_ptr_equal(job->rcpts[0].attempt.text, job->rcpts[2].attempt.text);
    assert_int_equal(job->rcpts[1].attempt.enhanced[0], 5);
    job_free(job);
}

static void a_job_that_is_over_leaves_nothing_to_the_next(void **state)
{
    (void)state;
    struct job_pool pool = {0};
    char words[300]      = {0};
    memset(words, 'x', sizeof words - 1);
    struct job *first = job_pool_take(&pool, 3);
    for (size_t i = 0; i < 20; i++) /* more than a block of texts */
        job_settle_rest(first, JOB_FAILED, 550, NULL, span_of(words), "mx");
    first->refs                = 7;
    first->is_probe            = true;
    first->rcpts[2].is_relayed = true;
    job_pool_give(&pool, first);
    struct job *next = job_pool_take(&pool, 4); /* of the same class */
    assert_int_equal(next->rcpt_count, 4);
    assert_int_equal(next->refs, 0);
    assert_false(next->is_probe);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(next->rcpts[i].verdict, JOB_UNDECIDED);
        assert_null(next->rcpts[i].attempt.text);
        assert_false(next->rcpts[i].is_relayed);
    }
    assert_string_equal(next->host, "");
    struct job *other = job_pool_take(&pool, 4);
    assert_ptr_not_equal(next, other);
    job_pool_give(&pool, other);
    job_pool_give(&pool, next);
    job_pool_give(&pool, job_pool_take(&pool, 100000)); /* not kept */
    job_pool_release(&pool);
    assert_int_equal(pool.kept, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_owns_its_texts),
        cmocka_unit_test(a_recipient_may_carry_more_than_an_address),
        cmocka_unit_test(recipients_keep_their_index),
        cmocka_unit_test(a_recipient_costs_little_beside_its_address),
        cmocka_unit_test(notes_are_shared_and_freed_with_the_last_holder),
        cmocka_unit_test(a_note_serves_others_who_heard_the_same),
        cmocka_unit_test(states_keep_the_counts_of_their_message),
        cmocka_unit_test(attempts_do_not_wrap),
        cmocka_unit_test(a_job_settles_one_recipient_or_all_the_others),
        cmocka_unit_test(a_job_that_is_over_leaves_nothing_to_the_next),
    };
    return RUN(tests);
}
