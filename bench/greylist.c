/* SPDX-License-Identifier: MIT */
/* A table of first visits; as with the ledger, nothing is forgotten. */
#include "bench/greylist.h"
#include "mta/base/list.h"

struct visit {
    struct table_node by_key;
    uint64_t first_ms;
};

void greylist_init(struct greylist *g)
{
    *g = (struct greylist){0};
    table_init(&g->seen, 21);
}

void greylist_release(struct greylist *g)
{
    table_release(&g->seen);
    arena_release(&g->arena);
}

bool greylist_passes(struct greylist *g, struct span key, uint64_t wait_ms, uint64_t now_ms)
{
    struct table_node *node = table_find(&g->seen, key);
    if (node != NULL)
        return now_ms >= CONTAINER_OF(node, struct visit, by_key)->first_ms + wait_ms;
    struct visit *visit = arena_new(&g->arena, sizeof *visit);
    visit->first_ms     = now_ms;
    table_insert(&g->seen, &visit->by_key, span_make(arena_text(&g->arena, key), key.len));
    return false;
}
