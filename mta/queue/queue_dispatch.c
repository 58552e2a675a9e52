/* SPDX-License-Identifier: MIT */
/*
 * Which site may start a job.
 *
 * Sites take turns in 'runnable'.  One that may not go on waits for the event that lets it: its own
 * job (nowhere), its probe (backoffs), its operator (waiting).  While an operator is open and sites
 * wait for it, one of them is in 'runnable'; each time that one has had its turn the next is
 * called, so that thousands of sites of one operator cost one step per job.
 */
#include "mta/base/fault.h"
#include "mta/queue/queue_inside.h"

/*
 * Whose turn it is at the site.  A stale route is found here, and its mail goes back to be routed.
 * That happens when the site gets in line, not only when a job is taken, so that whoever asks for
 * routes and then for jobs finds both.
 */
static struct batch *next_batch(struct queue *q, struct site *s)
{
    struct batch *b;
    while ((b = flow_ring_next(&s->flows, site_full_transaction(s))) != NULL) {
        if (domain_is_routed(b->domain, q->now_ms))
            return b;
        route_lose(q, b->domain);
    }
    return NULL;
}

static enum site_gate gate_of(struct queue *q, struct site *s)
{
    site_wake(s, q->now_ms);
    if (site_gate(s) == SITE_GATE_OPEN)
        (void)next_batch(q, s);
    return site_gate(s);
}

void dispatch_forget_site(struct queue *q, struct site *s)
{
    heap_remove(&q->backoffs, &s->wake);
    if (list_is_linked(&s->in_turn)) {
        list_remove(&s->in_turn);
        dispatch_operator(q, s->run_by);
    }
}

static void stand_in_turn(struct queue *q, struct site *s)
{
    heap_remove(&q->backoffs, &s->wake);
    if (list_is_linked(&s->in_turn))
        return;
    if (operator_gate(s->run_by, q->now_ms) == OPERATOR_OPEN)
        list_push(&q->runnable, &s->in_turn);
    else
        list_push(&s->run_by->waiting, &s->in_turn);
    dispatch_operator(q, s->run_by);
}

void dispatch_site(struct queue *q, struct site *s)
{
    switch (gate_of(q, s)) {
    case SITE_GATE_OPEN:
        stand_in_turn(q, s);
        return;
    case SITE_GATE_BACKOFF:
        dispatch_forget_site(q, s);
        heap_set(&q->backoffs, &s->wake, s->probe_ms);
        return;
    case SITE_GATE_EMPTY:
    case SITE_GATE_FULL:
        dispatch_forget_site(q, s);
        return;
    }
}

/* The first in line that has mail with a good route. */
static void call_next(struct queue *q, struct site_operator *o)
{
    struct list *node;
    while ((node = list_take(&o->waiting)) != NULL) {
        struct site *s = CONTAINER_OF(node, struct site, in_turn);
        if (gate_of(q, s) == SITE_GATE_OPEN) {
            list_push(&q->runnable, &s->in_turn);
            return;
        }
    }
}

void dispatch_operator(struct queue *q, struct site_operator *o)
{
    heap_remove(&q->tokens, &o->wake);
    if (list_is_empty(&o->waiting))
        return;
    switch (operator_gate(o, q->now_ms)) {
    case OPERATOR_OPEN:
        call_next(q, o);
        return;
    case OPERATOR_PACED:
        heap_push(&q->tokens, &o->wake, operator_next_ms(o, q->now_ms));
        return;
    case OPERATOR_FULL:
        return;
    }
}

void dispatch_end_job(struct queue *q, struct site *s)
{
    must(q->jobs > 0);
    site_end_job(s);
    q->jobs--;
    throttle_end(&s->run_by->throttle);
    dispatch_site(q, s);
    dispatch_operator(q, s->run_by);
    idle_note_site(q, s);
}

/* --- taking a job --- */

static struct job *make_job(const struct batch *b)
{
    struct job *job = job_new(b->count);
    size_t at       = 0;
    job->attempts   = b->first->attempts;
    for (struct recipient *r = b->first; r != NULL; r = r->next) {
        job->attempts    = r->attempts < job->attempts ? r->attempts : job->attempts;
        job->rcpts[at++] = (struct job_rcpt){
            .recipient = r,
            .envelope  = {.address = r->address, .orcpt = r->orcpt, .notify = r->notify},
        };
    }
    return job;
}

static void address_job(struct job *job, struct site *s, struct message *m)
{
    job->message       = m;
    job->envelope      = &m->envelope;
    job->content       = m->content;
    job->content_bytes = m->content_bytes;
    job->message_id    = m->id;
    job->site          = s;
    job->site_id       = s->id;
    job->shard         = s->shard;
    job->target        = &s->target;
    job->limits        = s->run_by->limits;
    job->window        = s->state == SITE_PROBING ? 1 : site_window(s);
    job->group_id      = s->run_by->is_shared ? s->run_by->id : s->id;
}

static struct job *start_job(struct queue *q, struct site *s)
{
    struct batch *b = next_batch(q, s);
    if (b == NULL)
        return NULL;
    uint32_t full  = site_full_transaction(s);
    uint32_t count = b->count < full ? b->count : full;
    flow_ring_charge(b, count, full);
    b = place_split_first(q, b, count);
    place_busy(q, b);

    struct job *job = make_job(b);
    address_job(job, s, b->message);
    job->batch    = b;
    job->is_probe = s->state == SITE_PROBING;
    site_start_job(s, job->is_probe);
    throttle_start(&s->run_by->throttle, &s->run_by->limits, q->now_ms);
    q->jobs++;
    return job;
}

struct job *queue_next_job(struct queue *q, uint64_t now_ms)
{
    queue_set_clock(q, now_ms);
    while (q->jobs < q->policy.jobs_max) {
        struct list *turn = list_take(&q->runnable);
        if (turn == NULL)
            return NULL;
        struct site *s  = CONTAINER_OF(turn, struct site, in_turn);
        struct job *job = NULL;
        if (gate_of(q, s) == SITE_GATE_OPEN && operator_gate(s->run_by, q->now_ms) == OPERATOR_OPEN)
            job = start_job(q, s);
        dispatch_site(q, s);
        dispatch_operator(q, s->run_by);
        if (job != NULL)
            return job;
    }
    return NULL;
}
