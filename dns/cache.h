/* SPDX-License-Identifier: MIT */
/*
 * Cache: the facts that still hold, by name and type.  Bounded in number and in bytes; what was not
 * used for longest goes first.  Failures are facts too, for half a minute, so that a thousand
 * recipients of a broken domain ask once.
 */
#pragma once
#include "dns/fact.h"

enum {
    DNS_CACHE_ENTRIES = 100000, /* if nothing else is configured */
    DNS_CACHE_ENTRY_BYTES =
        512, /* on average at most: the cache's bytes are that times its entries */
};

struct dns_cache {
    struct table facts;
    struct list use_order; /* the longest unused first */
    size_t entries_max, bytes, bytes_max;
};

/* 'entries_max' 0: DNS_CACHE_ENTRIES.  The seed is a secret to those who choose names. */
void dns_cache_init(struct dns_cache *cache, size_t entries_max, uint64_t seed);
void dns_cache_release(struct dns_cache *cache);

/* Borrowed: share it to keep it.  NULL: not known, or it no longer holds. */
struct dns_fact *dns_cache_find(struct dns_cache *cache, struct span name, enum dns_type type,
                                uint64_t now_ms);
/* Takes a reference of its own; replaces what was known before. */
void dns_cache_put(struct dns_cache *cache, struct dns_fact *fact);
size_t dns_cache_count(const struct dns_cache *cache);
