/* SPDX-License-Identifier: MIT */
#include "mta/queue/job.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

struct job *job_new(size_t rcpt_count)
{
    struct job *job = mem_new(sizeof *job + rcpt_count * sizeof job->rcpts[0]);
    job->rcpt_count = rcpt_count;
    job->host = job->ip = job->source = job->tls = "";
    return job;
}

void job_free(struct job *job)
{
    arena_release(&job->texts);
    mem_free(job);
}

static void settle(struct job_rcpt *rcpt, enum job_verdict verdict, const struct attempt *attempt)
{
    rcpt->verdict = verdict;
    rcpt->attempt = *attempt;
}

static struct attempt attempt_of(struct job *job, unsigned code, const unsigned char enhanced[3],
                                 struct span text, const char *mx)
{
    struct attempt attempt = {
        .code = (uint16_t)code,
        .text = arena_text(&job->texts, text),
        .mx   = arena_text(&job->texts, span_of(mx)),
    };
    if (enhanced != NULL)
        memcpy(attempt.enhanced, enhanced, sizeof attempt.enhanced);
    return attempt;
}

/* NOLINTNEXTLINE(readability-function-size): the parts of a reply, as callers have them */
void job_settle_rest(struct job *job, enum job_verdict verdict, unsigned code,
                     const unsigned char enhanced[3], struct span text, const char *mx)
{
    struct attempt attempt = attempt_of(job, code, enhanced, text, mx);
    for (size_t i = 0; i < job->rcpt_count; i++)
        if (job->rcpts[i].verdict == JOB_UNDECIDED)
            settle(&job->rcpts[i], verdict, &attempt);
}

/* NOLINTNEXTLINE(readability-function-size): the parts of a reply, as callers have them */
void job_settle(struct job *job, size_t rcpt, enum job_verdict verdict, unsigned code,
                const unsigned char enhanced[3], struct span text, const char *mx)
{
    must(rcpt < job->rcpt_count);
    struct attempt attempt = attempt_of(job, code, enhanced, text, mx);
    settle(&job->rcpts[rcpt], verdict, &attempt);
}
