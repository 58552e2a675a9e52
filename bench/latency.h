/* SPDX-License-Identifier: MIT */
/*
 * Latency: how long mail was on its way, from the first byte of the transaction that brought it in
 * (X-Mailrace-Sent) to its end at the receiver, on one clock.  Kept for all mail and for each group
 * of message ids: "urgent-17" belongs to "urgent", and so does "urgent".
 */
#pragma once
#include "bench/histogram.h"

enum { LATENCY_GROUPS_MAX = 32, LATENCY_NAME_BYTES = 64 };

struct latency_group {
    char name[LATENCY_NAME_BYTES];
    struct histogram spread;    /* microseconds; contents without a stamp are not in it */
    uint64_t first_us, last_us; /* of the arrivals, since 1970 */
    uint64_t contents, recipients;
};

struct latency {
    struct latency_group all;
    struct latency_group *groups[LATENCY_GROUPS_MAX]; /* the last one takes whoever is left */
    size_t group_count;
};

void latency_init(struct latency *l);
void latency_release(struct latency *l);

/* A content arrived.  'sent': the header's value, may be empty. */
void latency_note(struct latency *l, struct span id, struct span sent, uint64_t recipients,
                  uint64_t wall_us);
/* NULL: none of that name. */
const struct latency_group *latency_find(const struct latency *l, struct span name);
/* As members of the object open in 'out'. */
void latency_json(const struct latency_group *group, struct buf *out);
