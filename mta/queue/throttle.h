/* SPDX-License-Identifier: MIT */
/*
 * Throttle: what hard limits allow at this moment: jobs out at once, and transactions per hour.
 *
 * Out may be as many jobs as connections, and as many again that wait at a busy connection to be
 * its next (the shard never holds more connections than 'limits' say).  Waiting ones have paid for
 * their token, and the bucket is smaller by as many, so the rate is kept where it counts: on the
 * wire.  A rate so slow that the bucket cannot spare them allows none.
 *
 * The rate is a token bucket that holds one second's worth, and at least one transaction: over any
 * time t never more than burst + rate * t start.  Tokens are counted in parts of an hour, so slow
 * rates are as exact as fast ones.
 */
#pragma once
#include "mta/queue/policy.h"

struct throttle {
    unsigned jobs;      /* out now */
    uint64_t credit;    /* one transaction costs THROTTLE_TRANSACTION */
    uint64_t filled_ms; /* when credit was counted last */
};

enum { THROTTLE_TRANSACTION = 3600000 /* ms of an hour: a rate of 1/h earns one credit a ms */ };

/* With a full bucket. */
void throttle_init(struct throttle *t, const struct site_limits *limits, uint64_t now_ms);
/* When the next transaction may start as far as the rate goes; <= now_ms: at once. */
uint64_t throttle_next_ms(struct throttle *t, const struct site_limits *limits, uint64_t now_ms);
/* It has nothing to remember: a new one would allow no more. */
bool throttle_is_fresh(struct throttle *t, const struct site_limits *limits, uint64_t now_ms);
/* Jobs that may be out beyond the connections: as many for each of them. */
unsigned throttle_ahead(const struct site_limits *limits);
bool throttle_has_room(const struct throttle *t, const struct site_limits *limits);
/* Only when throttle_next_ms() and throttle_has_room() allow. */
void throttle_start(struct throttle *t, const struct site_limits *limits, uint64_t now_ms);
void throttle_end(struct throttle *t);
