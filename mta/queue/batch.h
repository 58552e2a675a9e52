/* SPDX-License-Identifier: MIT */
/*
 * Batch: recipients of one message in one domain that wait for the same thing; the unit that moves.
 *
 * A batch is in one place at a time, and its state names the place; only place.c moves it.  Every
 * recipient that is not ended, and owes no report, is in exactly one batch.
 */
#pragma once
#include "mta/queue/message.h"

struct domain;
struct site_message;

enum batch_state {
    BATCH_NOWHERE,   /* being put together or taken apart */
    BATCH_UNROUTED,  /* its domain asks for a route */
    BATCH_LINGERING, /* others of its message and domain may join it in a moment */
    BATCH_READY,     /* at its site, in its flow */
    BATCH_BUSY,      /* in a job */
    BATCH_DEFERRED,  /* until due */
    BATCH_HELD,      /* until an operator says so */
    BATCH_STATES
};

struct batch {
    union {
        struct {                       /* UNROUTED, LINGERING, READY: */
            struct list in_domain;     /* domain->batches */
            struct list in_flow;       /* READY: site_message->batches */
            struct site_message *turn; /* READY */
        };
        struct heap_node due; /* DEFERRED: queue->due */
    };
    struct message *message;
    struct domain *domain;
    struct recipient *last; /* its next is the first: a ring; NULL when empty */
    uint32_t count;
    uint8_t state; /* enum batch_state */
};

enum { BATCH_BYTES_MAX = 72 };
_Static_assert(sizeof(struct batch) <= BATCH_BYTES_MAX, "a mailing has one for each domain");

/* Empty and NOWHERE. */
struct batch *batch_new(struct message *m, struct domain *d);
/* It must be empty and NOWHERE. */
void batch_free(struct batch *b);

/* for (struct recipient *r = batch_first(b); r != NULL; r = batch_next(b, r)) */
static inline struct recipient *batch_first(const struct batch *b)
{
    return b->last == NULL ? NULL : b->last->next;
}

static inline struct recipient *batch_next(const struct batch *b, const struct recipient *r)
{
    return r == b->last ? NULL : r->next;
}

void batch_push(struct batch *b, struct recipient *r);
struct recipient *batch_pop(struct batch *b);
/* The first 'count' recipients move to the end of 'to'. */
void batch_move_first(struct batch *b, struct batch *to, uint32_t count);

/* Asserts that the move is one that exists. */
void batch_set_state(struct batch *b, enum batch_state next);
