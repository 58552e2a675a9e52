/* SPDX-License-Identifier: MIT */
#include "mta/deliver/settle.h"
#include "mta/base/fault.h"
#include <stdio.h>
#include <string.h>

/* What a cause without a decisive reply means: verdict, enhanced code, words. */
static const struct {
    enum job_verdict verdict;
    unsigned char enhanced[3];
    const char *words;
} meaning[] = {
    [SMTP_CAUSE_LOST]       = {JOB_DEFERRED, {4, 4, 2}, "connection lost before delivery"         },
    [SMTP_CAUSE_IN_DOUBT]   = {JOB_IN_DOUBT,
                               {4, 4, 2},
                               "connection lost after the end of data, it may have been delivered"},
    [SMTP_CAUSE_PROTOCOL]   = {JOB_DEFERRED, {4, 5, 0}, "the host's reply is not SMTP"            },
    [SMTP_CAUSE_TOO_LARGE]  = {JOB_FAILED,   {5, 3, 4}, "message is larger than this host takes"  },
    [SMTP_CAUSE_NEEDS_UTF8] = {JOB_FAILED,
                               {5, 6, 7},
                               "this host does not take internationalised mail (SMTPUTF8)"        },
    [SMTP_CAUSE_NEEDS_8BIT] = {JOB_FAILED,   {5, 6, 3}, "this host does not take 8-bit mail"      },
};

/*
 * RFC 5321 4.5.3.1.10: 552 to RCPT may mean "too many recipients" and is then temporary.  With an
 * enhanced code the host says itself what it means.
 */
static bool is_old_limit(const struct smtp_result *result)
{
    return result->stage == SMTP_RCPT && result->reply->code == 552 &&
           result->reply->enhanced[0] == 0;
}

static void settle_reply(struct job *job, const struct smtp_result *result, const char *host)
{
    static const enum job_verdict by_class[] = {
        [2] = JOB_DELIVERED, [4] = JOB_DEFERRED, [5] = JOB_FAILED};
    unsigned char enhanced[3];
    int class = smtp_reply_class(result->reply);
    must(class == 2 || class == 4 || class == 5);
    smtp_reply_status(result->reply, enhanced);
    if (is_old_limit(result))
        enhanced[0] = (unsigned char)(class = 4);
    job_settle(job, result->rcpt, by_class[class], (unsigned)result->reply->code, enhanced,
               smtp_reply_text(result->reply), host);
    if (class == 2) {
        job->rcpts[result->rcpt].is_relayed       = !result->dsn_passed;
        job->rcpts[result->rcpt].attempt.is_final = job->target->is_lmtp;
    }
    if (result->reply->code == 421)
        job->site_verdict = JOB_SITE_BUSY;
    else if (job->site_verdict != JOB_SITE_BUSY)
        job->site_verdict = JOB_SITE_ANSWERED;
}

void settle_result(struct job *job, const struct smtp_result *result, const char *host)
{
    char text[REPLY_TEXT_BYTES_MAX + 160];
    if (result->cause == SMTP_CAUSE_LIMIT || result->cause == SMTP_CAUSE_NO_BDAT)
        return; /* stays undecided: the queue sends it again at once */
    if (result->cause == SMTP_CAUSE_REPLY) {
        settle_reply(job, result, host);
        return;
    }
    must(result->cause < sizeof meaning / sizeof meaning[0]);
    struct span said = smtp_reply_text(result->reply);
    (void)snprintf(text, sizeof text, "%s (%s)%s%.*s", meaning[result->cause].words,
                   smtp_verb_text(result->stage), said.len > 0 ? ": " : "", (int)said.len, said.at);
    job_settle(job, result->rcpt, meaning[result->cause].verdict, 0,
               meaning[result->cause].enhanced, span_of(text), host);
}
