/* SPDX-License-Identifier: MIT */
#include "mta/base/mem.h"
#include "mta/deliver/settle.h"
#include "tests/unit/check.h"
#include <string.h>

static struct smtp_reply reply_of(int code, unsigned char a, unsigned char b, unsigned char c,
                                  const char *text)
{
    struct smtp_reply reply = {
        .code = code, .enhanced = {a, b, c},
             .text_len = strlen(text)
    };
    memcpy(reply.text, text, reply.text_len);
    return reply;
}

static const struct site_target lmtp = {.is_lmtp = true}, mx = {.is_mx = true};

static void settle(struct job *job, enum smtp_cause cause, const struct smtp_reply *reply,
                   bool dsn_passed)
{
    struct smtp_result result = {
        .rcpt = 0, .cause = cause, .stage = SMTP_RCPT, .reply = reply, .dsn_passed = dsn_passed};
    settle_result(job, &result, "mx.example");
}

struct settle_row {
    enum smtp_cause cause;
    int code;
    enum job_verdict verdict;
    enum job_site site;
    unsigned char class;
};

static void every_cause_has_its_meaning(void **state)
{
    (void)state;
    static const struct settle_row rows[] = {
        {SMTP_CAUSE_REPLY,      250, JOB_DELIVERED, JOB_SITE_ANSWERED, 2},
        {SMTP_CAUSE_REPLY,      450, JOB_DEFERRED,  JOB_SITE_ANSWERED, 4},
        {SMTP_CAUSE_REPLY,      550, JOB_FAILED,    JOB_SITE_ANSWERED, 5},
        {SMTP_CAUSE_REPLY,      421, JOB_DEFERRED,  JOB_SITE_BUSY,     4},
        {SMTP_CAUSE_LOST,       0,   JOB_DEFERRED,  JOB_SITE_UNKNOWN,  4},
        {SMTP_CAUSE_IN_DOUBT,   0,   JOB_IN_DOUBT,  JOB_SITE_UNKNOWN,  4},
        {SMTP_CAUSE_PROTOCOL,   0,   JOB_DEFERRED,  JOB_SITE_UNKNOWN,  4},
        {SMTP_CAUSE_TOO_LARGE,  0,   JOB_FAILED,    JOB_SITE_UNKNOWN,  5},
        {SMTP_CAUSE_NEEDS_UTF8, 0,   JOB_FAILED,    JOB_SITE_UNKNOWN,  5},
        {SMTP_CAUSE_LIMIT,      452, JOB_UNDECIDED, JOB_SITE_UNKNOWN,  0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct job *job         = mem_new(sizeof *job + sizeof job->rcpts[0]);
        struct smtp_reply reply = reply_of(rows[i].code, 0, 0, 0, "words");
        job->rcpt_count         = 1;
        job->target             = &mx;
        settle(job, rows[i].cause, &reply, false);
        assert_int_equal(job->rcpts[0].verdict, rows[i].verdict);
        assert_int_equal(job->site_verdict, rows[i].site);
        assert_int_equal(job->rcpts[0].attempt.enhanced[0], rows[i].class);
        arena_release(&job->texts);
        mem_free(job);
    }
}

static void a_delivery_without_dsn_leaves_the_duty_with_us(void **state)
{
    (void)state;
    for (int passed = 0; passed < 2; passed++) {
        struct job *job         = mem_new(sizeof *job + sizeof job->rcpts[0]);
        struct smtp_reply reply = reply_of(250, 2, 1, 5, "fine");
        job->rcpt_count         = 1;
        job->target             = &mx;
        settle(job, SMTP_CAUSE_REPLY, &reply, passed != 0);
        assert_int_equal(job->rcpts[0].is_relayed, passed == 0);
        assert_string_equal(job->rcpts[0].attempt.mx, "mx.example");
        arena_release(&job->texts);
        mem_free(job);
    }
}

static void lmtp_is_the_end_of_the_way(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct job *job         = mem_new(sizeof *job + sizeof job->rcpts[0]);
        struct smtp_reply reply = reply_of(250, 2, 1, 5, "fine");
        job->rcpt_count         = 1;
        job->target             = i == 0 ? &lmtp : &mx;
        settle(job, SMTP_CAUSE_REPLY, &reply, false);
        assert_int_equal(job->rcpts[0].attempt.is_final, i == 0);
        arena_release(&job->texts);
        mem_free(job);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cause_has_its_meaning),
        cmocka_unit_test(a_delivery_without_dsn_leaves_the_duty_with_us),
        cmocka_unit_test(lmtp_is_the_end_of_the_way),
    };
    return RUN(tests);
}
