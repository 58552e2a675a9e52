/* SPDX-License-Identifier: MIT */
#include "mta/base/arena.h"
#include "mta/base/mem.h"
#include <stdalign.h>
#include <string.h>

/* The first block holds the texts of a message to one recipient: there may be a million of them. */
enum { ARENA_BLOCK_BYTES_MIN = 176, ARENA_BLOCK_BYTES_MAX = 65536 };

struct arena_block {
    struct arena_block *older;
    size_t used, cap;
    alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_release(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *older = a->blocks->older;
        mem_free(a->blocks);
        a->blocks = older;
    }
    arena_init(a);
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = a->blocks;
    if (kept == NULL)
        return;
    struct arena older = {.blocks = kept->older};
    arena_release(&older);
    memset(kept->bytes, 0, kept->used);
    kept->older = NULL;
    kept->used  = 0;
    a->bytes    = sizeof *kept + kept->cap;
}

/* Blocks double, so that a small arena stays small and a large one needs few. */
static void add_block(struct arena *a, size_t bytes)
{
    size_t cap = a->blocks == NULL ? ARENA_BLOCK_BYTES_MIN : a->blocks->cap * 2;
    cap        = cap > ARENA_BLOCK_BYTES_MAX ? ARENA_BLOCK_BYTES_MAX : cap;
    cap        = cap < bytes ? bytes : cap;

    struct arena_block *block = mem_new(sizeof *block + cap);
    block->cap                = cap;
    block->older              = a->blocks;
    a->blocks                 = block;
    a->bytes += sizeof *block + cap;
}

static char *take(struct arena *a, size_t bytes, size_t alignment)
{
    size_t start = 0;
    if (a->blocks != NULL)
        start = (a->blocks->used + alignment - 1) & ~(alignment - 1);
    if (a->blocks == NULL || start > a->blocks->cap || a->blocks->cap - start < bytes) {
        add_block(a, bytes);
        start = 0;
    }
    a->blocks->used = start + bytes;
    return a->blocks->bytes + start;
}

void *arena_new(struct arena *a, size_t bytes)
{
    return take(a, bytes, alignof(max_align_t));
}

char *arena_bytes(struct arena *a, size_t bytes)
{
    return take(a, bytes, 1);
}

const char *arena_text(struct arena *a, struct span text)
{
    char *copy = arena_bytes(a, text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return copy;
}
