/* SPDX-License-Identifier: MIT */
#include "mta/queue/job.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

static struct job *begin(struct job *job, size_t rcpt_count)
{
    job->rcpt_count = rcpt_count;
    job->host = job->ip = job->source = job->tls = "";
    return job;
}

static struct job *new_with_room(size_t room)
{
    struct job *job = mem_new(sizeof *job + room * sizeof job->rcpts[0]);
    job->room       = (unsigned)room;
    return job;
}

struct job *job_new(size_t rcpt_count)
{
    return begin(new_with_room(rcpt_count), rcpt_count);
}

void job_free(struct job *job)
{
    arena_release(&job->texts);
    mem_free(job);
}

/* --- jobs that wait for their next use --- */

static unsigned class_of(size_t rcpt_count)
{
    unsigned class = 0;
    while (class < JOB_CLASSES && (size_t)1 << class < rcpt_count)
        class ++;
    return class;
}

static struct job *reuse(struct job *job)
{
    struct arena texts = job->texts;
    unsigned room      = job->room;
    memset(job, 0, sizeof *job + job->rcpt_count * sizeof job->rcpts[0]);
    job->texts = texts;
    job->room  = room;
    return job;
}

struct job *job_pool_take(struct job_pool *pool, size_t rcpt_count)
{
    unsigned class = class_of(rcpt_count);
    if (class == JOB_CLASSES)
        return job_new(rcpt_count);
    struct list *spare = list_take(&pool->spare[class]);
    if (spare == NULL)
        return begin(new_with_room((size_t)1 << class), rcpt_count);
    pool->kept--;
    return begin(reuse(CONTAINER_OF(spare, struct job, link)), rcpt_count);
}

void job_pool_give(struct job_pool *pool, struct job *job)
{
    unsigned class = class_of(job->room);
    if (MEM_IS_WATCHED || class == JOB_CLASSES || pool->kept == JOBS_KEPT_MAX) {
        job_free(job);
        return;
    }
    arena_reset(&job->texts);
    list_init(&job->link);
    list_push_front(&pool->spare[class], &job->link); /* its bytes are still near */
    pool->kept++;
}

void job_pool_release(struct job_pool *pool)
{
    struct list *node;
    for (unsigned class = 0; class < JOB_CLASSES; class ++)
        while ((node = list_take(&pool->spare[class])) != NULL)
            job_free(CONTAINER_OF(node, struct job, link));
    pool->kept = 0;
}

/* --- outcomes --- */

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
