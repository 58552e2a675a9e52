/* SPDX-License-Identifier: MIT */
/*
 * Flow: whose mail it is (list, sender identity, campaign): the unit of fairness.
 *
 * At each site the flows with ready mail are served by deficit round robin.  What a job costs is
 * its recipients, and a quarter of a full transaction for the transaction itself: a mailing of
 * single-recipient messages pays for the round trips it takes.  A flow that was not there starts in
 * 'fresh', which is served first, with the credit of one turn; so a small flow does not wait behind
 * the turn of a big one.  One that runs empty there stays in the ring until its turn has passed,
 * and so cannot win by coming back (as in RFC 8290 4.2).
 *
 * The second level, message within flow, has its place in flow_ring_next(): now the batches of a
 * flow go in the order in which they became ready.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/base/table.h"

struct batch;

struct flow {
    struct table_node by_name;
    uint64_t id;     /* never used twice */
    size_t messages; /* that belong to it; the last one to leave frees it */
    char name[];
};

struct flow *flow_new(struct span name, uint64_t id);
void flow_free(struct flow *f);

/* A flow's ready mail at one site. */
struct site_flow {
    struct table_node by_flow;
    struct list in_ring; /* ring->fresh or ring->regular */
    struct list batches;
    uint64_t flow_id;
    int64_t credit; /* recipients it may take before the next flow has its turn */
    bool is_fresh;
};

struct flow_ring {
    struct table by_flow;
    struct list fresh, regular;
    size_t batches;
};

void flow_ring_init(struct flow_ring *ring, uint64_t seed);
void flow_ring_release(struct flow_ring *ring); /* it must hold no batch */

/* 'full' is the number of recipients a full transaction carries. */
void flow_ring_add(struct flow_ring *ring, uint64_t flow_id, struct batch *b, bool at_front,
                   unsigned full);
void flow_ring_remove(struct flow_ring *ring, struct batch *b);
/* Whose turn it is; it stays in.  NULL when there is none. */
struct batch *flow_ring_next(struct flow_ring *ring, unsigned full);
/* A job with so many recipients was taken from the flow of 'b', which is still in. */
void flow_ring_charge(struct batch *b, unsigned recipients, unsigned full);
