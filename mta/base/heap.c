/* SPDX-License-Identifier: MIT */
#include "mta/base/heap.h"
#include "mta/base/fault.h"
#include <stddef.h>

/* Two roots become one; the later one is the new first child of the earlier. */
static struct heap_node *meld(struct heap_node *a, struct heap_node *b)
{
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    if (b->key < a->key) {
        struct heap_node *swap = a;
        a                      = b;
        b                      = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* The brothers behind 'first' melded into one root: in pairs from the left, then from the right. */
static struct heap_node *meld_brothers(struct heap_node *first)
{
    struct heap_node *pairs = NULL;
    while (first != NULL) {
        struct heap_node *a = first, *b = a->next;
        first   = b == NULL ? NULL : b->next;
        a->next = a->prev = NULL;
        if (b != NULL)
            b->next = b->prev = NULL;
        a       = meld(a, b);
        a->next = pairs; /* a stack through next, until the second pass */
        pairs   = a;
    }
    struct heap_node *root = NULL;
    while (pairs != NULL) {
        struct heap_node *rest = pairs->next;
        pairs->next            = NULL;
        root                   = meld(root, pairs);
        pairs                  = rest;
    }
    return root;
}

void heap_push(struct heap *heap, struct heap_node *node, uint64_t key)
{
    must(!heap_holds(heap, node));
    *node     = (struct heap_node){.key = key};
    heap->top = meld(heap->top, node);
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->top;
}

struct heap_node *heap_take(struct heap *heap, uint64_t limit)
{
    struct heap_node *first = heap->top;
    if (first == NULL || first->key > limit)
        return NULL;
    heap_remove(heap, first);
    return first;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (!heap_holds(heap, node))
        return;
    struct heap_node *below = meld_brothers(node->child);
    if (node == heap->top) {
        heap->top = below;
    } else {
        if (node->prev->child == node)
            node->prev->child = node->next;
        else
            node->prev->next = node->next;
        if (node->next != NULL)
            node->next->prev = node->prev;
        heap->top = meld(heap->top, below);
    }
    *node = (struct heap_node){.key = node->key};
}

void heap_set(struct heap *heap, struct heap_node *node, uint64_t key)
{
    heap_remove(heap, node);
    heap_push(heap, node, key);
}

bool heap_holds(const struct heap *heap, const struct heap_node *node)
{
    return node == heap->top || node->prev != NULL;
}
