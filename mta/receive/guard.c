/* SPDX-License-Identifier: MIT */
/* Keys are of one length, whatever a client says: a letter for the kind, the prefix of the address,
 * and the first half of a digest of the name. */
#include "mta/receive/guard.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <openssl/sha.h>
#include <string.h>

enum { PREFIX_BYTES = 9, NAME_BYTES = 16, DOUBLINGS_MAX = 30 };

_Static_assert((int)GUARD_KEY_BYTES == 1 + PREFIX_BYTES + NAME_BYTES, "a key holds its parts");

struct entry {
    struct table_node by_key;
    struct list in_recent;
    char key[GUARD_KEY_BYTES];
    unsigned failures;
    uint64_t open_ms, seen_ms; /* attempts are looked at from then on; counted last */
};

/* How one kind of key is slowed. */
struct rule {
    unsigned free;
    uint64_t pause_max_ms;
};

static const struct rule address_rule = {GUARD_ADDRESS_FREE, GUARD_ADDRESS_MAX_MS};
static const struct rule user_rule    = {GUARD_USER_FREE, GUARD_USER_MAX_MS};
static const struct rule known_rule   = {GUARD_KNOWN_FREE, GUARD_KNOWN_MAX_MS};

/* --- the tables --- */

static void table_open(struct guard_table *t, uint64_t seed, size_t max)
{
    table_init(&t->by_key, seed);
    list_init(&t->recent);
    t->max = max;
}

static void forget(struct guard_table *t, struct entry *e)
{
    table_remove(&t->by_key, &e->by_key);
    list_remove(&e->in_recent);
    mem_free(e);
}

static void table_close(struct guard_table *t)
{
    struct list *node;
    while ((node = list_first(&t->recent)) != NULL)
        forget(t, CONTAINER_OF(node, struct entry, in_recent));
    table_release(&t->by_key);
}

void guard_init(struct guard *g, uint64_t seed)
{
    table_open(&g->failed, seed, GUARD_ENTRIES_MAX);
    table_open(&g->known, seed, GUARD_KNOWN_MAX);
}

void guard_release(struct guard *g)
{
    table_close(&g->failed);
    table_close(&g->known);
}

static struct entry *find(const struct guard_table *t, const char key[GUARD_KEY_BYTES])
{
    struct table_node *node = table_find(&t->by_key, span_make(key, GUARD_KEY_BYTES));
    return node == NULL ? NULL : CONTAINER_OF(node, struct entry, by_key);
}

static struct entry *find_or_make(struct guard_table *t, const char key[GUARD_KEY_BYTES])
{
    struct entry *e = find(t, key);
    if (e == NULL) {
        if (t->by_key.count >= t->max)
            forget(t, CONTAINER_OF(list_first(&t->recent), struct entry, in_recent));
        e = mem_new(sizeof *e);
        memcpy(e->key, key, sizeof e->key);
        table_insert(&t->by_key, &e->by_key, span_make(e->key, sizeof e->key));
    }
    list_move(&t->recent, &e->in_recent);
    return e;
}

/* --- counting --- */

static void fade(struct entry *e, uint64_t now_ms)
{
    uint64_t halvings = (now_ms - e->seen_ms) / GUARD_HALF_LIFE_MS;
    e->failures       = halvings < DOUBLINGS_MAX ? e->failures >> halvings : 0;
    e->seen_ms += halvings * GUARD_HALF_LIFE_MS;
}

static uint64_t pause_ms(const struct entry *e, const struct rule *rule)
{
    if (e->failures <= rule->free)
        return 0;
    unsigned doublings = e->failures - rule->free - 1;
    uint64_t pause     = (uint64_t)GUARD_PAUSE_MS
                     << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
    return pause < rule->pause_max_ms ? pause : rule->pause_max_ms;
}

static uint64_t wait_ms(const struct guard_table *t, const char key[GUARD_KEY_BYTES],
                        uint64_t now_ms)
{
    const struct entry *e = find(t, key);
    return e != NULL && e->open_ms > now_ms ? e->open_ms - now_ms : 0;
}

static void charge(struct guard_table *t, const char key[GUARD_KEY_BYTES], const struct rule *rule,
                   uint64_t now_ms)
{
    struct entry *e = find_or_make(t, key);
    if (e->seen_ms == 0)
        e->seen_ms = now_ms;
    fade(e, now_ms);
    e->failures++;
    e->seen_ms = now_ms;
    e->open_ms = now_ms + pause_ms(e, rule);
}

/* The attempt was right: it is as if it had not been made. */
static void credit(struct guard_table *t, const char key[GUARD_KEY_BYTES])
{
    struct entry *e = find(t, key);
    if (e == NULL || e->failures == 0)
        return;
    e->failures--;
    e->open_ms = 0;
}

/* --- attempts --- */

static void put_prefix(char *into, const struct net_address *from)
{
    struct net_address address = net_address_unmapped(from);
    size_t bytes               = address.family == NET_IPV6   ? PREFIX_BYTES - 1
                                 : address.family == NET_IPV4 ? 4
                                                              : 0;
    into[0]                    = (char)address.family;
    memcpy(into + 1, address.ip, bytes);
}

static void put_name(char *into, struct span user)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    (void)SHA256((const unsigned char *)user.at, user.len, digest);
    memcpy(into, digest, NAME_BYTES);
}

static void make_keys(struct guard_try *t, const struct net_address *from, struct span user)
{
    memset(t, 0, sizeof *t);
    t->address_key[0] = 'a';
    t->user_key[0]    = 'u';
    t->pair_key[0]    = 'p';
    put_prefix(t->address_key + 1, from);
    put_prefix(t->pair_key + 1, from);
    put_name(t->user_key + 1 + PREFIX_BYTES, user);
    put_name(t->pair_key + 1 + PREFIX_BYTES, user);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t guard_begin(struct guard *g, struct guard_try *t, const struct net_address *from,
                     struct span user, bool is_trusted, uint64_t now_ms)
{
    make_keys(t, from, user);
    t->is_trusted = is_trusted;
    t->is_known   = find(&g->known, t->pair_key) != NULL;
    uint64_t wait = t->is_known
                        ? wait_ms(&g->known, t->pair_key, now_ms)
                        : later(wait_ms(&g->failed, t->user_key, now_ms),
                                is_trusted ? 0 : wait_ms(&g->failed, t->address_key, now_ms));
    if (wait > 0)
        return wait;
    if (t->is_known) {
        charge(&g->known, t->pair_key, &known_rule, now_ms);
        return 0;
    }
    charge(&g->failed, t->user_key, &user_rule, now_ms);
    if (!is_trusted)
        charge(&g->failed, t->address_key, &address_rule, now_ms);
    return 0;
}

void guard_undo(struct guard *g, const struct guard_try *t)
{
    if (t->is_known) {
        credit(&g->known, t->pair_key);
        return;
    }
    credit(&g->failed, t->user_key);
    if (!t->is_trusted)
        credit(&g->failed, t->address_key);
}

void guard_end(struct guard *g, const struct guard_try *t, bool is_right, uint64_t now_ms)
{
    if (!is_right)
        return;
    guard_undo(g, t);
    struct entry *known = find_or_make(&g->known, t->pair_key);
    known->failures     = 0;
    known->open_ms      = 0;
    known->seen_ms      = now_ms;
}
