/* SPDX-License-Identifier: MIT */
/*
 * Heap: what is due first, as a pairing heap whose nodes live inside the things they order
 * (struct heap_node due).  Push is O(1), take and remove O(log n) amortised.  Equal keys leave in
 * no promised order.  A zeroed node is in no heap.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct heap_node {
    struct heap_node *child, *next,
        *prev; /* prev: the left brother, or the parent of a first child */
    uint64_t key;
};

struct heap {
    struct heap_node *top;
};

void heap_push(struct heap *heap, struct heap_node *node, uint64_t key);
/* The smallest key; NULL when empty. */
struct heap_node *heap_first(const struct heap *heap);
/* The smallest key if it is <= limit, taken out; else NULL. */
struct heap_node *heap_take(struct heap *heap, uint64_t limit);
/* Takes 'node' out, wherever it is; nothing happens when it is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);
/* Pushes or moves. */
void heap_set(struct heap *heap, struct heap_node *node, uint64_t key);
bool heap_holds(const struct heap *heap, const struct heap_node *node);
