/* SPDX-License-Identifier: MIT */
/*
 * Resolver: the fourth door: raw questions to the configured name servers and raw answers back,
 * with retries, fail-over, TCP on truncation; c-ares in resolver_cares.c, a made-up world in
 * tests/sim/sim_resolver.c.  No cache here (cache.h), no meaning (mx.h). One per loop; the loop's
 * thread.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/status.h"

struct loop;
struct resolver;

struct resolver_config {
    const char *const
        *servers; /* "127.0.0.1:53", "[::1]:53", ...; none: the system's resolv.conf */
    size_t server_count;
    unsigned timeout_ms; /* of the first try at one server (default 2000) */
    unsigned tries;      /* default 4 */
};

struct resolver_answer {
    void *tag;
    enum status status; /* OK: 'packet' is an answer, whatever its rcode; TIMED_OUT, UNREACHABLE (no
                           server answers), BAD_INPUT (no name), CLOSED */
    struct span packet; /* holds until the next resolver_take() */
};

/* NULL and a sentence in 'error' when a server's address is no address. */
struct resolver *resolver_open(struct loop *loop, const struct resolver_config *config,
                               struct buf *error);
/* Answers not taken are dropped. */
void resolver_close(struct resolver *resolver);

/* Asks; the answer comes in a later turn.  'tag' comes back with it. */
void resolver_ask(struct resolver *resolver, struct span name, unsigned type, void *tag);
/* The next answer; false when there is none. */
bool resolver_take(struct resolver *resolver, struct resolver_answer *answer);
