/* SPDX-License-Identifier: MIT */
/*
 * Table: finds things by a key of bytes.  Open addressing over pointers to nodes that live inside
 * the things (struct table_node by_name); the table keeps the hash, the caller compares keys.  The
 * seed makes collisions unpredictable to outsiders who choose the keys.
 */
#pragma once
#include "mta/base/span.h"

struct table_node {
    uint64_t hash;
    struct span key; /* borrowed from the thing that holds the node, for as long as it is in */
};

struct table {
    struct table_node **slots; /* NULL: never used; TABLE_GONE: once used */
    size_t cap, count, used;
    uint64_t seed;
};

void table_init(struct table *t, uint64_t seed);
void table_release(struct table *t); /* the things stay */

struct table_node *table_find(const struct table *t, struct span key);
/* 'key' must not be in yet. */
void table_insert(struct table *t, struct table_node *node, struct span key);
void table_remove(struct table *t, struct table_node *node);

/* Walks in no promised order; start with *at = 0; NULL at the end.  Removing the one just given is
 * fine. */
struct table_node *table_each(const struct table *t, size_t *at);
