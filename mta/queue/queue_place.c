/* SPDX-License-Identifier: MIT */
/*
 * Where batches wait.  Every move is out of one place, to nowhere, and into another, and the counts
 * of queue, domain, site and message follow here and nowhere else.
 */
#include "mta/base/fault.h"
#include "mta/queue/queue_inside.h"

struct batch *place_new(struct queue *q, struct message *m, struct domain *d)
{
    q->batch_count++;
    return batch_new(m, d);
}

void place_free(struct queue *q, struct batch *b)
{
    struct domain *d = b->domain;
    batch_free(b);
    q->batch_count--;
    idle_note_domain(q, d);
}

static bool waits_at_domain(enum batch_state state)
{
    return state == BATCH_UNROUTED || state == BATCH_LINGERING || state == BATCH_READY;
}

static bool is_resting(enum batch_state state)
{
    return state == BATCH_DEFERRED || state == BATCH_HELD;
}

static void count_in(struct queue *q, struct batch *b, enum batch_state state, uint32_t count)
{
    struct domain *d = b->domain;
    q->waits[state] += count;
    d->waits[state] += count;
    d->total += count;
    if (is_resting(state))
        b->message->resting += count;
    if (state == BATCH_BUSY)
        b->message->busy += count;
    if (d->site != NULL) {
        d->site->waits[state] += count;
        d->site->total += count;
        idle_note_site(q, d->site);
    }
    idle_note_domain(q, d);
}

/* 'count' of them leave; the rest of the batch stays. */
static void count_out(struct queue *q, struct batch *b, uint32_t count)
{
    struct domain *d = b->domain;
    must(d->waits[b->state] >= count);
    q->waits[b->state] -= count;
    d->waits[b->state] -= count;
    d->total -= count;
    if (is_resting(b->state))
        b->message->resting -= count;
    if (b->state == BATCH_BUSY)
        b->message->busy -= count;
    if (d->site != NULL) {
        d->site->waits[b->state] -= count;
        d->site->total -= count;
        idle_note_site(q, d->site);
    }
}

static void enter(struct queue *q, struct batch *b, enum batch_state state)
{
    must(b->count > 0);
    batch_set_state(b, state);
    q->ready_count += state == BATCH_READY;
    if (waits_at_domain(state))
        list_push(&b->domain->batches, &b->in_domain);
    count_in(q, b, state, b->count);
}

void place_grow(struct queue *q, struct batch *b, struct recipient *r)
{
    must(b->state == BATCH_LINGERING || b->state == BATCH_READY || b->state == BATCH_UNROUTED);
    batch_push(b, r);
    count_in(q, b, (enum batch_state)b->state, 1);
    if (b->state == BATCH_LINGERING && !linger_holds(q, b)) {
        place_out(q, b); /* it is full */
        place_waiting(q, b, false);
    }
}

static void leave_site(struct queue *q, struct batch *b)
{
    struct site *s = b->domain->site;
    flow_ring_remove(&s->flows, b);
    if (s->flows.batches == 0)
        dispatch_site(q, s);
    dispatch_end_ready(q, b->message->flow);
}

void place_out(struct queue *q, struct batch *b)
{
    enum batch_state state = (enum batch_state)b->state;
    count_out(q, b, b->count);
    batch_set_state(b, BATCH_NOWHERE); /* first: other sites may be looked at now */
    q->ready_count -= state == BATCH_READY;
    if (waits_at_domain(state))
        list_remove(&b->in_domain);
    if (state == BATCH_READY)
        leave_site(q, b);
    else if (state == BATCH_DEFERRED)
        heap_remove(&q->due, &b->due);
}

void place_waiting(struct queue *q, struct batch *b, bool at_front)
{
    struct domain *d = b->domain;
    if (!domain_is_routed(d, q->now_ms)) {
        enter(q, b, BATCH_UNROUTED);
        route_want(q, d);
        return;
    }
    if (linger_holds(q, b)) {
        enter(q, b, BATCH_LINGERING);
        return;
    }
    flow_ring_add(&d->site->flows, b->message->flow, b, at_front, site_full_transaction(d->site));
    enter(q, b, BATCH_READY);
    dispatch_note_ready(b->message->flow);
    dispatch_site(q, d->site);
}

void place_deferred(struct queue *q, struct batch *b, uint64_t due_ms)
{
    b->due = (struct heap_node){0};
    heap_push(&q->due, &b->due, due_ms);
    enter(q, b, BATCH_DEFERRED);
}

void place_held(struct queue *q, struct batch *b)
{
    enter(q, b, BATCH_HELD);
}

void place_busy(struct queue *q, struct batch *b)
{
    for (struct recipient *r = batch_first(b); r != NULL; r = batch_next(b, r))
        r->is_busy = true;
    enter(q, b, BATCH_BUSY);
}

struct batch *place_split_first(struct queue *q, struct batch *b, uint32_t count)
{
    must(count > 0);
    if (count >= b->count) {
        place_out(q, b);
        return b;
    }
    struct batch *part = place_new(q, b->message, b->domain);
    count_out(q, b, count);
    batch_move_first(b, part, count);
    return part;
}

static uint32_t count_chosen(const struct batch *b)
{
    uint32_t count = 0;
    for (const struct recipient *r = batch_first(b); r != NULL; r = batch_next(b, r))
        count += r->is_chosen;
    return count;
}

struct batch *place_split_chosen(struct queue *q, struct batch *b)
{
    uint32_t chosen = count_chosen(b);
    must(chosen > 0);
    if (chosen == b->count) {
        place_out(q, b);
        return b;
    }
    struct batch *part = place_new(q, b->message, b->domain);
    count_out(q, b, chosen);
    for (uint32_t left = b->count; left > 0; left--) {
        struct recipient *r = batch_pop(b);
        batch_push(r->is_chosen ? part : b, r);
    }
    return part;
}
