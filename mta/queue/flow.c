/* SPDX-License-Identifier: MIT */
#include "mta/queue/flow.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/batch.h"
#include <string.h>

enum {
    TRANSACTION_SHARE = 4, /* a transaction costs this part of a full one's recipients */
    EXPRESS_SHARE     = 4  /* what regular messages cost for each unit of fresh ones */
};

void turns_init(struct turns *t)
{
    list_init(&t->fresh);
    list_init(&t->regular);
}

struct list *turns_first(const struct turns *t)
{
    return list_first(list_is_empty(&t->fresh) ? &t->regular : &t->fresh);
}

struct flow *flow_new(struct span name, uint64_t id)
{
    struct flow *f = mem_new(sizeof *f + name.len + 1);
    if (name.len > 0)
        memcpy(f->name, name.at, name.len);
    f->id   = id;
    f->lead = FLOW_LEAD_MAX;
    turns_init(&f->line);
    return f;
}

void flow_free(struct flow *f)
{
    must(f->messages == 0 && f->ready == 0 && f->jobs == 0 && turns_first(&f->line) == NULL);
    mem_free(f->sender);
    mem_free(f);
}

static int64_t cost(unsigned recipients, unsigned full)
{
    return (int64_t)recipients + full / TRANSACTION_SHARE;
}

static void put(struct list *into, struct list *node, bool at_front)
{
    if (at_front)
        list_push_front(into, node);
    else
        list_push(into, node);
}

void flow_ring_init(struct flow_ring *ring, uint64_t seed)
{
    *ring = (struct flow_ring){0};
    table_init_by_id(&ring->by_flow, seed);
    turns_init(&ring->flows);
}

/* --- flows come and go --- */

static void forget_flow(struct site_flow *f)
{
    table_remove_id(&f->ring->by_flow, &f->by_flow);
    list_remove(&f->in_ring);
    table_release(&f->by_message);
    mem_free(f);
}

/* Those kept for their place in the ring: without others to be fair to, there is no need. */
static void forget_all(struct flow_ring *ring)
{
    struct list *node;
    while ((node = turns_first(&ring->flows)) != NULL)
        forget_flow(CONTAINER_OF(node, struct site_flow, in_ring));
}

void flow_ring_release(struct flow_ring *ring)
{
    must(ring->batches == 0);
    forget_all(ring);
    table_release(&ring->by_flow);
}

static struct site_flow *meet_flow(struct flow_ring *ring, const struct flow *flow, unsigned full)
{
    struct table_id *node = table_find_id(&ring->by_flow, flow->id);
    if (node != NULL)
        return CONTAINER_OF(node, struct site_flow, by_flow);

    struct site_flow *f = mem_new(sizeof *f);
    f->ring             = ring;
    f->by_flow.id       = flow->id;
    f->is_fresh         = true;
    f->credit           = cost(full, full);
    f->express          = cost(full, full);
    turns_init(&f->messages);
    table_init_by_id(&f->by_message, ring->by_flow.seed);
    put(&ring->flows.fresh, &f->in_ring, flow->jobs == 0);
    table_insert_id(&ring->by_flow, &f->by_flow);
    return f;
}

/* --- messages come and go --- */

static struct site_message *new_message(struct site_flow *f, const struct batch *b, unsigned full)
{
    struct site_message *m = mem_new(sizeof *m);
    m->flow                = f;
    m->is_fresh            = true;
    m->is_findable         = f->ring->has_many_domains;
    m->credit              = (int32_t)cost(full, full);
    list_init(&m->batches);
    if (m->is_findable) {
        m->by_message.id = b->message->id;
        table_insert_id(&f->by_message, &m->by_message);
    }
    return m;
}

static struct site_message *find_message(struct site_flow *f, const struct batch *b)
{
    struct table_id *node =
        f->ring->has_many_domains ? table_find_id(&f->by_message, b->message->id) : NULL;
    return node == NULL ? NULL : CONTAINER_OF(node, struct site_message, by_message);
}

static void forget_message(struct site_message *m)
{
    if (m->is_findable)
        table_remove_id(&m->flow->by_message, &m->by_message);
    list_remove(&m->in_flow);
    mem_free(m);
}

void flow_ring_add(struct flow_ring *ring, const struct flow *flow, struct batch *b, bool at_front,
                   unsigned full)
{
    struct site_flow *f    = meet_flow(ring, flow, full);
    struct site_message *m = find_message(f, b);
    if (m == NULL) {
        m = new_message(f, b, full);
        put(&f->messages.fresh, &m->in_flow, at_front);
    }
    list_init(&b->in_flow);
    put(&m->batches, &b->in_flow, at_front);
    b->turn = m;
    ring->batches++;
}

void flow_ring_remove(struct flow_ring *ring, struct batch *b)
{
    struct site_message *m = b->turn;
    must(m != NULL && ring->batches > 0);
    list_remove(&b->in_flow);
    b->turn = NULL;
    if (list_is_empty(&m->batches))
        forget_message(m);
    if (--ring->batches == 0)
        forget_all(ring);
}

/* --- whose turn it is --- */

static struct site_message *next_message(struct site_flow *f, unsigned full)
{
    struct turns *t = &f->messages;
    for (;;) {
        bool may_fresh         = f->express > 0 || list_is_empty(&t->regular);
        struct list *from      = may_fresh && !list_is_empty(&t->fresh) ? &t->fresh : &t->regular;
        struct site_message *m = CONTAINER_OF(list_first(from), struct site_message, in_flow);
        if (m->credit > 0)
            return m;
        m->credit += (int32_t)cost(full, full);
        m->is_fresh = false;
        list_move(&t->regular, &m->in_flow);
    }
}

static void end_turn(struct site_flow *f)
{
    f->is_fresh = false;
    list_move(&f->ring->flows.regular, &f->in_ring);
}

struct batch *flow_ring_next(struct flow_ring *ring, unsigned full)
{
    while (ring->batches > 0) {
        struct list *node   = turns_first(&ring->flows);
        struct site_flow *f = CONTAINER_OF(node, struct site_flow, in_ring);
        if (turns_first(&f->messages) == NULL) {
            if (f->is_fresh)
                end_turn(f);
            else
                forget_flow(f);
        } else if (f->credit <= 0) {
            f->credit += cost(full, full);
            end_turn(f);
        } else {
            struct list *first = list_first(&next_message(f, full)->batches);
            return CONTAINER_OF(first, struct batch, in_flow);
        }
    }
    return NULL;
}

/* Fresh messages pay only for overtaking; what regular ones take earns the next their way. */
static void settle_express(struct site_message *m, int64_t price, int64_t most)
{
    struct site_flow *f = m->flow;
    if (!m->is_fresh) {
        f->express += price / EXPRESS_SHARE;
        f->express = f->express > most ? most : f->express;
    } else if (!list_is_empty(&f->messages.regular)) {
        f->express -= price;
    }
}

void flow_ring_charge(struct batch *b, unsigned recipients, unsigned full)
{
    struct site_message *m = b->turn;
    must(m != NULL);
    int64_t price = cost(recipients, full);
    m->credit -= (int32_t)price;
    m->flow->credit -= price;
    settle_express(m, price, cost(full, full));
}
