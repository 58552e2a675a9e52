/* SPDX-License-Identifier: MIT */
/*
 * Fact: what happened, in order, in a form small enough that a mailing of a million may expire in
 * one turn.  queue_next_fact() unfolds it.
 */
#pragma once
#include "mta/queue/queue.h"

struct site;

struct fact {
    uint8_t kind, outcome, state; /* enum queue_fact_kind, outcome, rcpt_state */
    bool is_relayed;
    uint32_t rcpt_index;
    struct message *message;
    struct attempt_note *note; /* a reference; NULL if none */
    struct job *via;           /* a reference; NULL if none */
    const struct site *site;   /* NULL if none */
    uint64_t next_in_ms, delay_ms, window;
};

/* A ring that grows; facts come and go at the speed of deliveries. */
struct fact_ring {
    struct fact *facts;
    size_t cap, at, count;
};

void fact_ring_release(struct fact_ring *ring); /* it must be empty */
/* A zeroed one at the end, to be filled in; holds until the next call. */
struct fact *fact_ring_add(struct fact_ring *ring);
bool fact_ring_take(struct fact_ring *ring, struct fact *fact);
