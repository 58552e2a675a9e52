/* SPDX-License-Identifier: MIT */
/*
 * Guard: slows down who guesses passwords (security.md A21), without locking out who knows his.
 *
 * Wrong attempts are counted for the address (IPv4, or IPv6 /64) and for the user they name.  Each
 * may make a few for nothing; then every further one doubles the pause in which attempts are turned
 * away unlooked-at.  Counts halve with time.  An attempt is charged when it begins and credited
 * when it was right, so that many at once are no way around.
 *
 * From where a user has logged in before, he is known: then neither what others do to his name nor
 * what others do at his address slows him, only his own wrong attempts from there.
 *
 * Names that do not exist are treated like others.  Memory is bounded: what was not seen for the
 * longest is forgotten.  Pure.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/sys/net.h"

enum {
    GUARD_ENTRIES_MAX    = 65536, /* of those who failed, about 10 MB */
    GUARD_KNOWN_MAX      = 16384, /* of where users have logged in */
    GUARD_KEY_BYTES      = 26,
    GUARD_ADDRESS_FREE   = 10, /* wrong attempts without a pause */
    GUARD_USER_FREE      = 10,
    GUARD_KNOWN_FREE     = 5,
    GUARD_PAUSE_MS       = 2000, /* the first; then it doubles */
    GUARD_ADDRESS_MAX_MS = 60 * 60 * 1000,
    GUARD_USER_MAX_MS    = 60 * 1000, /* short: the owner may come from a new address */
    GUARD_KNOWN_MAX_MS   = 5 * 60 * 1000,
    GUARD_HALF_LIFE_MS   = 10 * 60 * 1000,
};

struct guard_table {
    struct table by_key;
    struct list recent; /* the longest unseen first */
    size_t max;
};

struct guard {
    struct guard_table failed, known;
};

/* One attempt. */
struct guard_try {
    char address_key[GUARD_KEY_BYTES], user_key[GUARD_KEY_BYTES], pair_key[GUARD_KEY_BYTES];
    bool is_known, is_trusted;
};

void guard_init(struct guard *guard, uint64_t seed);
void guard_release(struct guard *guard);

/* 0: the attempt may be looked at, and guard_end() tells how it went.  Else in how many ms to come
 * again; nothing is charged.  'is_trusted': many users share the address (a webmail), so only the
 * user's attempts count. */
uint64_t guard_begin(struct guard *guard, struct guard_try *attempt, const struct net_address *from,
                     struct span user, bool is_trusted, uint64_t now_ms);
/* It was not looked at after all. */
void guard_undo(struct guard *guard, const struct guard_try *attempt);
void guard_end(struct guard *guard, const struct guard_try *attempt, bool is_right,
               uint64_t now_ms);
