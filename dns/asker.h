/* SPDX-License-Identifier: MIT */
/*
 * Asker: finds facts, in the cache or by asking.  A name and type is asked once however many want
 * it, a limited number of questions is on the wire, and CNAMEs that leave an answer are
 * followed from question to question.  Wants that are done are pulled.
 */
#pragma once
#include "dns/cache.h"
#include "dns/resolver.h"

enum { ASKER_WIRE_MS_MAX = 30000 /* for one want: then no further CNAME is followed */ };

/* A wish for a fact; lives in the thing that wishes, which outlives it or calls asker_forget(). */
struct dns_want {
    enum dns_type type;
    void *owner;
    /* Once done: anything but a DNS_ALIAS, about the end of the CNAMEs; a reference of the want's
     * owner. */
    struct dns_fact *fact;
    uint64_t expires_ms; /* of all facts on the way */
    /* private: */
    struct list in_asker; /* a question's wants, or done */
    unsigned hops;
    uint64_t wire_ms;
};

struct asker_stats {
    uint64_t questions, cache_hits, failures, timeouts;
    size_t cached, inflight;
};

struct asker;

/* The resolver stays the caller's, and is closed first. */
struct asker *asker_open(struct resolver *resolver, size_t cache_entries_max, size_t inflight_max);
/* All wants are forgotten or taken before. */
void asker_close(struct asker *asker);

/* 'want' has type and owner set, all else zero; 'name' is clean (dns/mx.c) and copied. */
void asker_want(struct asker *asker, struct dns_want *want, struct span name);
/* The want is no longer wished for, done or not. */
void asker_forget(struct dns_want *want);
/* Takes in what the resolver has, and asks on. */
void asker_turn(struct asker *asker, uint64_t now_ms);
/* The next want that is done; NULL when none. */
struct dns_want *asker_take(struct asker *asker);

void asker_stats(const struct asker *asker, struct asker_stats *stats);
