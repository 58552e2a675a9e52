/* SPDX-License-Identifier: MIT */
/*
 * Which site may start a job.
 *
 * A site shares its turns among flows (flow.h); but a mailing to ten thousand sites would get ten
 * thousand turns where another flow gets one.  So each site in line stands for the flow of its next
 * mail, and the flows in line start one job each in turn.  One that has nothing out comes first.
 * Within the line of a flow sites take turns, but a message of which nothing is out may overtake
 * the others, for one job in five.
 *
 * A site that may not go on waits for the event that lets it: its own job (nowhere), its probe
 * (backoffs), its operator (waiting).  While an operator is open and sites wait for it, one of them
 * is in line; each time that one has had its turn the next is called, so that thousands of sites of
 * one operator cost one step per job.
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

/* So many go in one transaction. */
static uint32_t full_job(const struct site *s, const struct batch *b)
{
    return envelope_is_individual(&b->message->envelope) ? 1 : site_full_transaction(s);
}

/* A job ahead gains a round trip, a batch that others still join gains a whole transaction. */
static bool is_worth_waiting(const struct site *s, const struct batch *b)
{
    const struct message *m = b->message;
    return s->jobs >= site_window(s) && m->is_open && m->may_linger && b->count < full_job(s, b);
}

/* OPEN comes with the batch whose turn it is. */
static enum site_gate gate_of(struct queue *q, struct site *s, struct batch **next)
{
    *next = NULL;
    site_wake(s, q->now_ms);
    if (site_gate(s) == SITE_GATE_OPEN)
        *next = next_batch(q, s);
    enum site_gate gate = site_gate(s);
    if (*next == NULL || !is_worth_waiting(s, *next))
        return gate;
    *next = NULL;
    return SITE_GATE_FULL;
}

static bool is_new(const struct batch *b)
{
    return b->message->busy == 0;
}

/* As in flow.h: four jobs of messages under way are worth one of a new one. */
static void settle_lead(struct flow *f, bool is_fresh)
{
    if (!is_fresh)
        f->lead += f->lead < FLOW_LEAD_MAX;
    else if (!list_is_empty(&f->line.regular))
        f->lead -= FLOW_LEAD_PRICE < f->lead ? FLOW_LEAD_PRICE : f->lead;
}

/* --- in line --- */

static void leave_line(struct site *s)
{
    list_remove(&s->in_turn);
    if (s->stands_for != NULL && turns_first(&s->stands_for->line) == NULL)
        list_remove(&s->stands_for->in_line);
    s->stands_for = NULL;
}

void dispatch_forget_site(struct queue *q, struct site *s)
{
    heap_remove(&q->backoffs, &s->wake);
    if (list_is_linked(&s->in_turn)) {
        leave_line(s);
        dispatch_operator(q, s->run_by);
    }
}

static void put(struct list *into, struct list *node, bool at_front)
{
    if (at_front)
        list_push_front(into, node);
    else
        list_push(into, node);
}

static void run(struct queue *q, struct site *s, const struct batch *next)
{
    struct flow *f = next->message->flow;
    s->stands_for  = f;
    s->is_fresh    = is_new(next);
    list_push(s->is_fresh ? &f->line.fresh : &f->line.regular, &s->in_turn);
    if (!list_is_linked(&f->in_line))
        put(&q->runnable, &f->in_line, f->jobs == 0);
}

static void await_operator(struct site *s, const struct batch *next)
{
    s->is_fresh = is_new(next);
    put(&s->run_by->waiting, &s->in_turn, next->message->flow->jobs == 0);
}

/* Mail that has just come may be a better reason than what the site is in line for. */
static void hurry(struct queue *q, struct site *s, const struct batch *next)
{
    bool is_waiting = s->stands_for == NULL;
    bool is_better  = !s->is_fresh && is_new(next);
    if (!is_better && (is_waiting || s->stands_for == next->message->flow))
        return;
    leave_line(s);
    if (is_waiting)
        await_operator(s, next);
    else
        run(q, s, next);
}

static void stand_in_turn(struct queue *q, struct site *s, const struct batch *next)
{
    heap_remove(&q->backoffs, &s->wake);
    if (list_is_linked(&s->in_turn)) {
        hurry(q, s, next);
        return;
    }
    if (operator_gate(s->run_by, q->now_ms) == OPERATOR_OPEN)
        run(q, s, next);
    else
        await_operator(s, next);
    dispatch_operator(q, s->run_by);
}

void dispatch_site(struct queue *q, struct site *s)
{
    struct batch *next;
    switch (gate_of(q, s, &next)) {
    case SITE_GATE_OPEN:
        stand_in_turn(q, s, next);
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
        struct batch *next;
        if (gate_of(q, s, &next) == SITE_GATE_OPEN) {
            run(q, s, next);
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

/* Its sites have other mail, or none. */
static void give_up_line(struct queue *q, struct flow *f)
{
    struct list *node;
    while ((node = turns_first(&f->line)) != NULL) {
        struct site *s = CONTAINER_OF(node, struct site, in_turn);
        leave_line(s);
        dispatch_site(q, s);
    }
}

void dispatch_note_ready(struct flow *f)
{
    f->ready++;
}

void dispatch_end_ready(struct queue *q, struct flow *f)
{
    must(f->ready > 0);
    if (--f->ready == 0)
        give_up_line(q, f);
}

void dispatch_end_job(struct queue *q, const struct job *job)
{
    struct site *s = job->site;
    must(q->jobs > 0);
    site_end_job(s);
    q->jobs--;
    job->message->flow->jobs--;
    throttle_end(&s->run_by->throttle);
    dispatch_site(q, s);
    dispatch_operator(q, s->run_by);
    idle_note_site(q, s);
}

/* --- taking a job --- */

void dispatch_release_job(struct queue *q, struct job *job)
{
    if (job == NULL)
        return;
    must(job->refs > 0);
    if (--job->refs == 0)
        job_pool_give(&q->spare_jobs, job);
}

static struct job *make_job(struct queue *q, const struct batch *b)
{
    struct job *job = job_pool_take(&q->spare_jobs, b->count);
    size_t at       = 0;
    job->refs       = 1;
    job->attempts   = batch_first(b)->attempts;
    for (struct recipient *r = batch_first(b); r != NULL; r = batch_next(b, r)) {
        job->attempts    = r->attempts < job->attempts ? r->attempts : job->attempts;
        job->rcpts[at++] = (struct job_rcpt){
            .recipient = r,
            .envelope  = recipient_envelope(r),
        };
    }
    return job;
}

static void address_job(struct job *job, struct site *s, struct message *m)
{
    job->message      = m;
    job->envelope     = &m->envelope;
    job->content      = m->content;
    job->message_id   = m->id;
    job->has_siblings = m->rcpt_count > job->rcpt_count;
    job->site         = s;
    job->site_id      = s->id;
    job->shard        = s->shard;
    job->target       = &s->target;
    job->limits       = s->run_by->limits;
    job->window       = s->state == SITE_PROBING ? 1 : site_window(s);
    job->group_id     = s->run_by->is_shared ? s->run_by->id : s->id;
}

static struct job *start_job(struct queue *q, struct site *s, struct batch *b)
{
    uint32_t full  = site_full_transaction(s);
    uint32_t most  = full_job(s, b);
    uint32_t count = b->count < most ? b->count : most;
    flow_ring_charge(b, count, full);
    settle_lead(b->message->flow, s->is_fresh);
    b = place_split_first(q, b, count);
    place_busy(q, b);

    struct job *job = make_job(q, b);
    address_job(job, s, b->message);
    job->batch    = b;
    job->is_probe = s->state == SITE_PROBING;
    site_start_job(s, job->is_probe);
    throttle_start(&s->run_by->throttle, &s->run_by->limits, q->now_ms);
    q->jobs++;
    b->message->flow->jobs++;
    return job;
}

/* New messages come before the others as long as those have earned it. */
static struct site *first_in_line(const struct flow *f)
{
    const struct turns *t = &f->line;
    bool may_fresh        = f->lead >= FLOW_LEAD_PRICE || list_is_empty(&t->regular);
    struct list *node     = may_fresh ? turns_first(t) : list_first(&t->regular);
    return CONTAINER_OF(node, struct site, in_turn);
}

/* What it stands in line for may have gone, or be new no longer. */
static bool is_in_place(const struct site *s, const struct flow *f, const struct batch *next)
{
    return next->message->flow == f && (!s->is_fresh || is_new(next));
}

/* The next site in line, with its mail; NULL there when it may not go on after all. */
static struct site *take_turn(struct queue *q, struct batch **next)
{
    struct list *first;
    while ((first = list_first(&q->runnable)) != NULL) {
        struct flow *f = CONTAINER_OF(first, struct flow, in_line);
        struct site *s = first_in_line(f);
        leave_line(s);
        (void)gate_of(q, s, next);
        if (*next == NULL || is_in_place(s, f, *next)) {
            if (*next != NULL && list_is_linked(&f->in_line))
                list_move(&q->runnable, &f->in_line);
            return s;
        }
        run(q, s, *next);
    }
    return NULL;
}

struct job *queue_next_job(struct queue *q, uint64_t now_ms)
{
    queue_set_clock(q, now_ms);
    while (q->jobs < q->policy.jobs_max) {
        struct batch *next;
        struct job *job = NULL;
        struct site *s  = take_turn(q, &next);
        if (s == NULL)
            return NULL;
        if (next != NULL && operator_gate(s->run_by, q->now_ms) == OPERATOR_OPEN)
            job = start_job(q, s, next);
        dispatch_site(q, s);
        dispatch_operator(q, s->run_by);
        if (job != NULL)
            return job;
    }
    return NULL;
}
