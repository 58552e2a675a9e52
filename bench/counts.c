/* SPDX-License-Identifier: MIT */
/* Open addressing, at most half full, so that most keys are where they are looked for first. */
#include "bench/counts.h"
#include "mta/base/mem.h"

enum { SLOTS_AT_FIRST = 1024 };

void counts_init(struct counts *c)
{
    *c = (struct counts){0};
}

void counts_release(struct counts *c)
{
    mem_free(c->slots);
    counts_init(c);
}

static struct counts_slot *slot_of(const struct counts *c, uint64_t key)
{
    size_t i = key & (c->cap - 1);
    while (c->slots[i].key != key && c->slots[i].key != 0)
        i = (i + 1) & (c->cap - 1);
    return &c->slots[i];
}

static void grow(struct counts *c)
{
    struct counts old = *c;
    c->cap            = old.cap == 0 ? SLOTS_AT_FIRST : 2 * old.cap;
    c->slots          = mem_new_array(c->cap, sizeof c->slots[0]);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key != 0)
            *slot_of(c, old.slots[i].key) = old.slots[i];
    mem_free(old.slots);
}

uint32_t *counts_at(struct counts *c, uint64_t key)
{
    key = key == 0 ? 1 : key;
    if (2 * (c->count + 1) > c->cap)
        grow(c);
    struct counts_slot *slot = slot_of(c, key);
    c->count += slot->key == 0;
    slot->key = key;
    return &slot->value;
}
