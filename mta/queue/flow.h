/* SPDX-License-Identifier: MIT */
/*
 * Flow: whose mail it is (list, sender identity, campaign): the unit of fairness.
 *
 * At each site the flows with ready mail are served by deficit round robin, and so are the messages
 * within each flow.  What a job costs is its recipients, and a quarter of a full transaction for
 * the transaction itself: a mailing of single-recipient messages pays for the round trips it takes.
 *
 * A flow that was not there starts in 'fresh', which is served first, with the credit of one turn;
 * so a small flow does not wait behind the turn of a big one; and before all others when nothing of
 * it is out anywhere, because a big flow may be new at a thousand sites.  One that runs empty there
 * stays in the ring until its turn has passed, and so cannot win by coming back (as in RFC
 * 8290 4.2).
 *
 * A new message starts in its flow's 'fresh' likewise.  But new messages come without end where
 * flows do not, so those that have had a turn earn them their place: every four units that the old
 * ones get allow one for a new one, and a full transaction's worth can be saved.  So a small
 * message goes next although a large one of its own sender is under way, and the large one is
 * slowed by at most 5/4, whatever comes.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/base/table.h"

struct batch;
struct message;

/* Those who take turns: the new ones in the order of their coming, the others in that of the round.
 */
struct turns {
    struct list fresh, regular;
};

enum { FLOW_LEAD_PRICE = 4, FLOW_LEAD_MAX = 8 * FLOW_LEAD_PRICE };

struct flow {
    struct table_node by_name;
    uint64_t id;         /* never used twice */
    size_t messages;     /* that belong to it; the last one to leave frees it */
    char *sender;        /* of its first message that has one: most have the same; or NULL */
    struct turns line;   /* sites with its mail that may start a job; fresh: with a new message */
    struct list in_line; /* queue->runnable, while there are any */
    size_t ready;        /* batches, at all sites */
    unsigned jobs;       /* out, to all sites */
    unsigned lead;       /* quarters of a job by which new messages may overtake (queue_dispatch) */
    char name[];
};

struct flow *flow_new(struct span name, uint64_t id);
void flow_free(struct flow *f);

void turns_init(struct turns *t);
/* The first, a fresh one if there is any; NULL when empty. */
struct list *turns_first(const struct turns *t);

/* A flow's ready mail at one site. */
struct site_flow {
    struct table_id by_flow; /* the flow's id */
    struct list in_ring;     /* ring->flows */
    struct flow_ring *ring;
    struct turns messages;
    struct table by_message; /* those that may get another batch */
    int64_t credit;          /* units it may take before the next flow has its turn */
    int64_t express;         /* units that fresh messages may take before the regular ones */
    bool is_fresh;
};

/* A message's ready mail at one site: more than one batch when the site has several domains. */
struct site_message {
    struct table_id by_message; /* the message's id */
    struct list in_flow;        /* site_flow->messages */
    struct list batches;
    struct site_flow *flow;
    int32_t credit;
    bool is_fresh, is_findable;
};
enum { SITE_MESSAGE_BYTES_MAX = 56 };
_Static_assert(sizeof(struct site_message) <= SITE_MESSAGE_BYTES_MAX, "each ready mail has one");

struct flow_ring {
    struct table by_flow;
    struct turns flows;
    size_t batches;
    bool has_many_domains; /* a message may have several batches here */
};

void flow_ring_init(struct flow_ring *ring, uint64_t seed);
void flow_ring_release(struct flow_ring *ring); /* it must hold no batch */

/* 'full' is the number of recipients a full transaction carries. */
void flow_ring_add(struct flow_ring *ring, const struct flow *flow, struct batch *b, bool at_front,
                   unsigned full);
void flow_ring_remove(struct flow_ring *ring, struct batch *b);
/* Whose turn it is; it stays in.  NULL when there is none. */
struct batch *flow_ring_next(struct flow_ring *ring, unsigned full);
/* A job with so many recipients was taken from 'b', which is still in. */
void flow_ring_charge(struct batch *b, unsigned recipients, unsigned full);
