/* SPDX-License-Identifier: MIT */
#include "mta/queue/fact.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"

enum { FACTS_AT_FIRST = 64, FACTS_KEPT_MAX = 4096 };

static void drop_memory(struct fact_ring *ring)
{
    mem_free(ring->facts);
    *ring = (struct fact_ring){0};
}

void fact_ring_release(struct fact_ring *ring)
{
    must(ring->count == 0);
    drop_memory(ring);
}

static void grow(struct fact_ring *ring)
{
    size_t cap         = ring->cap == 0 ? FACTS_AT_FIRST : ring->cap * 2;
    struct fact *facts = mem_new_array(cap, sizeof *facts);
    for (size_t i = 0; i < ring->count; i++)
        facts[i] = ring->facts[(ring->at + i) % ring->cap];
    mem_free(ring->facts);
    *ring = (struct fact_ring){.facts = facts, .cap = cap, .count = ring->count};
}

struct fact *fact_ring_add(struct fact_ring *ring)
{
    if (ring->count == ring->cap)
        grow(ring);
    struct fact *fact = &ring->facts[(ring->at + ring->count++) % ring->cap];
    *fact             = (struct fact){0};
    return fact;
}

bool fact_ring_take(struct fact_ring *ring, struct fact *fact)
{
    if (ring->count == 0)
        return false;
    *fact    = ring->facts[ring->at];
    ring->at = (ring->at + 1) % ring->cap;
    if (--ring->count == 0 && ring->cap > FACTS_KEPT_MAX)
        drop_memory(ring); /* after an uncommon flood */
    return true;
}
