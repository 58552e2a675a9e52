/* SPDX-License-Identifier: MIT */
#include "mta/queue/throttle.h"
#include "mta/base/fault.h"

enum { THROTTLE_BURST_MS = 1000, THROTTLE_BURSTS_PER_HOUR = 3600 };

/*
 * A connection needs two: while one message awaits its reply the next is in hand, and behind its
 * body goes the envelope of the one after that.  With BDAT a whole window, and one.
 */
static uint64_t ahead_of_each(const struct site_limits *limits)
{
    uint64_t burst = limits->rate_per_hour / THROTTLE_BURSTS_PER_HOUR;
    uint64_t wish  = limits->bdat ? limits->bdat_window + UINT64_C(1) : 2;
    uint64_t spare = burst / 2 / limits->connections;
    return limits->rate_per_hour == 0 || spare > wish ? wish : spare;
}

unsigned throttle_ahead(const struct site_limits *limits)
{
    return (unsigned)(ahead_of_each(limits) * limits->connections);
}

static uint64_t capacity(const struct site_limits *limits)
{
    uint64_t ahead = (uint64_t)throttle_ahead(limits) * THROTTLE_TRANSACTION;
    uint64_t burst = limits->rate_per_hour * THROTTLE_BURST_MS - ahead;
    return burst > THROTTLE_TRANSACTION ? burst : THROTTLE_TRANSACTION;
}

void throttle_init(struct throttle *t, const struct site_limits *limits, uint64_t now_ms)
{
    *t = (struct throttle){.credit = capacity(limits), .filled_ms = now_ms};
}

/* Earns what the time since has brought; a bucket of old limits is cut to the new size. */
static void fill(struct throttle *t, const struct site_limits *limits, uint64_t now_ms)
{
    uint64_t full    = capacity(limits);
    uint64_t elapsed = now_ms > t->filled_ms ? now_ms - t->filled_ms : 0;
    if (t->credit >= full || elapsed > (full - t->credit) / limits->rate_per_hour)
        t->credit = full;
    else
        t->credit += elapsed * limits->rate_per_hour;
    if (now_ms > t->filled_ms)
        t->filled_ms = now_ms;
}

uint64_t throttle_next_ms(struct throttle *t, const struct site_limits *limits, uint64_t now_ms)
{
    if (limits->rate_per_hour == 0)
        return now_ms;
    fill(t, limits, now_ms);
    if (t->credit >= THROTTLE_TRANSACTION)
        return now_ms;
    uint64_t missing = THROTTLE_TRANSACTION - t->credit;
    return now_ms + (missing + limits->rate_per_hour - 1) / limits->rate_per_hour;
}

bool throttle_is_fresh(struct throttle *t, const struct site_limits *limits, uint64_t now_ms)
{
    if (t->jobs > 0 || limits->rate_per_hour == 0)
        return t->jobs == 0;
    fill(t, limits, now_ms);
    return t->credit == capacity(limits);
}

bool throttle_has_room(const struct throttle *t, const struct site_limits *limits)
{
    return t->jobs < (uint64_t)limits->connections + throttle_ahead(limits);
}

void throttle_start(struct throttle *t, const struct site_limits *limits, uint64_t now_ms)
{
    must(throttle_has_room(t, limits));
    t->jobs++;
    if (limits->rate_per_hour == 0)
        return;
    fill(t, limits, now_ms);
    must(t->credit >= THROTTLE_TRANSACTION);
    t->credit -= THROTTLE_TRANSACTION;
}

void throttle_end(struct throttle *t)
{
    must(t->jobs > 0);
    t->jobs--;
}
