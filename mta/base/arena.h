/* SPDX-License-Identifier: MIT */
/*
 * Arena: many small things that die together.  Memory comes in blocks and is given back all at
 * once. A zeroed arena is an empty one.
 */
#pragma once
#include "mta/base/span.h"

struct arena {
    struct arena_block *blocks; /* the newest first; what is free is in it */
    size_t bytes;               /* of all blocks: what this arena costs */
};

void arena_init(struct arena *a);
void arena_release(struct arena *a);
/* Empty again, but with its newest block, so that the next texts take no memory. */
void arena_reset(struct arena *a);

/* Zeroed, aligned for any type. */
void *arena_new(struct arena *a, size_t bytes);
/* Zeroed in a fresh arena, unaligned: short texts cost what they are long. */
char *arena_bytes(struct arena *a, size_t bytes);
/* A copy with a NUL behind it; unaligned too. */
const char *arena_text(struct arena *a, struct span text);
