/* SPDX-License-Identifier: MIT */
#include "mta/queue/flow.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/batch.h"
#include <string.h>

enum { TRANSACTION_SHARE = 4 /* a transaction costs this part of a full one's recipients */ };

struct flow *flow_new(struct span name, uint64_t id)
{
    struct flow *f = mem_new(sizeof *f + name.len + 1);
    if (name.len > 0)
        memcpy(f->name, name.at, name.len);
    f->id = id;
    return f;
}

void flow_free(struct flow *f)
{
    must(f->messages == 0);
    mem_free(f);
}

static int64_t cost(unsigned recipients, unsigned full)
{
    return (int64_t)recipients + full / TRANSACTION_SHARE;
}

void flow_ring_init(struct flow_ring *ring, uint64_t seed)
{
    *ring = (struct flow_ring){0};
    table_init(&ring->by_flow, seed);
    list_init(&ring->fresh);
    list_init(&ring->regular);
}

static void forget(struct flow_ring *ring, struct site_flow *f)
{
    table_remove(&ring->by_flow, &f->by_flow);
    list_remove(&f->in_ring);
    mem_free(f);
}

/* Those kept for their place in the ring: without others to be fair to, there is no need. */
static void forget_all(struct flow_ring *ring)
{
    struct table_node *node;
    size_t at = 0;
    while ((node = table_each(&ring->by_flow, &at)) != NULL)
        forget(ring, CONTAINER_OF(node, struct site_flow, by_flow));
}

void flow_ring_release(struct flow_ring *ring)
{
    must(ring->batches == 0);
    forget_all(ring);
    table_release(&ring->by_flow);
}

static struct site_flow *meet(struct flow_ring *ring, uint64_t flow_id, unsigned full)
{
    struct span key         = {(const char *)&flow_id, sizeof flow_id};
    struct table_node *node = table_find(&ring->by_flow, key);
    if (node != NULL)
        return CONTAINER_OF(node, struct site_flow, by_flow);

    struct site_flow *f = mem_new(sizeof *f);
    f->flow_id          = flow_id;
    f->is_fresh         = true;
    f->credit           = cost(full, full);
    list_init(&f->batches);
    list_push(&ring->fresh, &f->in_ring);
    table_insert(&ring->by_flow, &f->by_flow,
                 span_make((const char *)&f->flow_id, sizeof f->flow_id));
    return f;
}

void flow_ring_add(struct flow_ring *ring, uint64_t flow_id, struct batch *b, bool at_front,
                   unsigned full)
{
    struct site_flow *f = meet(ring, flow_id, full);
    list_init(&b->in_flow);
    if (at_front)
        list_push_front(&f->batches, &b->in_flow);
    else
        list_push(&f->batches, &b->in_flow);
    b->flow = f;
    ring->batches++;
}

void flow_ring_remove(struct flow_ring *ring, struct batch *b)
{
    must(b->flow != NULL && ring->batches > 0);
    list_remove(&b->in_flow);
    b->flow = NULL;
    if (--ring->batches == 0)
        forget_all(ring);
}

static void end_turn(struct flow_ring *ring, struct site_flow *f)
{
    f->is_fresh = false;
    list_move(&ring->regular, &f->in_ring);
}

struct batch *flow_ring_next(struct flow_ring *ring, unsigned full)
{
    while (ring->batches > 0) {
        struct list *node = list_first(list_is_empty(&ring->fresh) ? &ring->regular : &ring->fresh);
        struct site_flow *f = CONTAINER_OF(node, struct site_flow, in_ring);
        if (list_is_empty(&f->batches)) {
            if (f->is_fresh)
                end_turn(ring, f);
            else
                forget(ring, f);
        } else if (f->credit <= 0) {
            f->credit += cost(full, full);
            end_turn(ring, f);
        } else {
            return CONTAINER_OF(list_first(&f->batches), struct batch, in_flow);
        }
    }
    return NULL;
}

void flow_ring_charge(struct batch *b, unsigned recipients, unsigned full)
{
    must(b->flow != NULL);
    b->flow->credit -= cost(recipients, full);
}
