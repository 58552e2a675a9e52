/* SPDX-License-Identifier: MIT */
#include "mta/base/table.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"

enum { TABLE_SLOTS_MIN = 16 };

/* Marks a slot whose node was removed, so that a search goes on behind it. */
static struct table_node gone;

void table_init(struct table *t, uint64_t seed)
{
    *t = (struct table){.seed = seed};
}

void table_release(struct table *t)
{
    mem_free(t->slots);
    table_init(t, t->seed);
}

struct table_node *table_find(const struct table *t, struct span key)
{
    if (t->cap == 0)
        return NULL;
    uint64_t hash = span_hash(key, t->seed);
    for (size_t i = hash & (t->cap - 1); t->slots[i] != NULL; i = (i + 1) & (t->cap - 1)) {
        struct table_node *node = t->slots[i];
        if (node != &gone && node->hash == hash && span_equals(node->key, key))
            return node;
    }
    return NULL;
}

static void place(struct table *t, struct table_node *node)
{
    size_t i = node->hash & (t->cap - 1);
    while (t->slots[i] != NULL && t->slots[i] != &gone)
        i = (i + 1) & (t->cap - 1);
    t->used += t->slots[i] == NULL;
    t->slots[i] = node;
    t->count++;
}

static void rehash(struct table *t, size_t cap)
{
    struct table old = *t;
    t->slots         = mem_new_array(cap, sizeof(struct table_node *));
    t->cap           = cap;
    t->count = t->used = 0;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i] != NULL && old.slots[i] != &gone)
            place(t, old.slots[i]);
    mem_free(old.slots);
}

void table_insert(struct table *t, struct table_node *node, struct span key)
{
    must(table_find(t, key) == NULL);
    if (t->cap == 0 || (t->used + 1) * 4 > t->cap * 3) {
        size_t cap = t->cap == 0 ? TABLE_SLOTS_MIN : t->cap;
        rehash(t, (t->count + 1) * 2 > cap ? cap * 2 : cap);
    }
    node->hash = span_hash(key, t->seed);
    node->key  = key;
    place(t, node);
}

void table_remove(struct table *t, struct table_node *node)
{
    must(t->cap > 0);
    size_t i = node->hash & (t->cap - 1);
    while (t->slots[i] != node) {
        must(t->slots[i] != NULL);
        i = (i + 1) & (t->cap - 1);
    }
    t->slots[i] = &gone;
    t->count--;
}

struct table_node *table_each(const struct table *t, size_t *at)
{
    while (*at < t->cap) {
        struct table_node *node = t->slots[(*at)++];
        if (node != NULL && node != &gone)
            return node;
    }
    return NULL;
}
