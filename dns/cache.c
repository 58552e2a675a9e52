/* SPDX-License-Identifier: MIT */
/* Every fact in the table is in the list of use as well, and the cache holds one reference to it.
 */
#include "dns/cache.h"

void dns_cache_init(struct dns_cache *cache, size_t entries_max, uint64_t seed)
{
    if (entries_max == 0)
        entries_max = DNS_CACHE_ENTRIES;
    *cache = (struct dns_cache){.entries_max = entries_max,
                                .bytes_max   = entries_max * DNS_CACHE_ENTRY_BYTES};
    table_init(&cache->facts, seed);
    list_init(&cache->use_order);
}

static void forget(struct dns_cache *cache, struct dns_fact *fact)
{
    table_remove(&cache->facts, &fact->by_key);
    list_remove(&fact->in_use_order);
    cache->bytes -= fact->cost_bytes;
    dns_fact_drop(fact);
}

static struct dns_fact *oldest(const struct dns_cache *cache)
{
    struct list *node = list_first(&cache->use_order);
    return node == NULL ? NULL : CONTAINER_OF(node, struct dns_fact, in_use_order);
}

void dns_cache_release(struct dns_cache *cache)
{
    struct dns_fact *fact;
    while ((fact = oldest(cache)) != NULL)
        forget(cache, fact);
    table_release(&cache->facts);
}

static struct dns_fact *known(const struct dns_cache *cache, struct span key)
{
    struct table_node *node = table_find(&cache->facts, key);
    return node == NULL ? NULL : CONTAINER_OF(node, struct dns_fact, by_key);
}

struct dns_fact *dns_cache_find(struct dns_cache *cache, struct span name, enum dns_type type,
                                uint64_t now_ms)
{
    char key[DNS_KEY_BYTES_MAX];
    struct dns_fact *fact = known(cache, dns_key(name, type, key));
    if (fact == NULL)
        return NULL;
    if (fact->expires_ms <= now_ms) {
        forget(cache, fact);
        return NULL;
    }
    list_move(&cache->use_order, &fact->in_use_order);
    return fact;
}

void dns_cache_put(struct dns_cache *cache, struct dns_fact *fact)
{
    struct dns_fact *before = known(cache, fact->key);
    if (before != NULL)
        forget(cache, before);
    (void)dns_fact_share(fact);
    table_insert(&cache->facts, &fact->by_key, fact->key);
    list_push(&cache->use_order, &fact->in_use_order);
    cache->bytes += fact->cost_bytes;
    while (cache->facts.count > cache->entries_max || cache->bytes > cache->bytes_max)
        forget(cache, oldest(cache)); /* 'fact' itself, when it alone is too big */
}

size_t dns_cache_count(const struct dns_cache *cache)
{
    return cache->facts.count;
}
