/* SPDX-License-Identifier: MIT */
/*
 * Table: finds things by a key of bytes, or by a number.  It holds pointers to nodes that live
 * inside the things (struct table_node by_name, struct table_id by_id), about 12 bytes a thing.
 * The seed makes collisions unpredictable to outsiders who choose the keys.
 *
 * It grows and shrinks in steps of one bucket, whatever it holds: nobody waits while a million
 * entries find new places (extendible hashing: R. Fagin and others, 1979).
 */
#pragma once
#include "mta/base/span.h"

struct table_node {
    struct span key; /* borrowed from the thing that holds the node, for as long as it is in */
};

struct table_id {
    uint64_t id;
};

struct table {
    struct table_bucket **buckets; /* 1 << depth, by the first bits of the hash */
    size_t count, bytes;           /* bytes: of its own memory */
    uint64_t seed;
    unsigned depth;
    bool is_by_id;
};

void table_init(struct table *t, uint64_t seed);
void table_release(struct table *t); /* the things stay */

struct table_node *table_find(const struct table *t, struct span key);
/* 'key' must not be in yet. */
void table_insert(struct table *t, struct table_node *node, struct span key);
/* It must be in, and its key as it was. */
void table_remove(struct table *t, struct table_node *node);

/* The same for a table of numbers: one that began with table_init_by_id(). */
void table_init_by_id(struct table *t, uint64_t seed);
struct table_id *table_find_id(const struct table *t, uint64_t id);
void table_insert_id(struct table *t, struct table_id *node);
void table_remove_id(struct table *t, struct table_id *node);

/*
 * Walks in no promised order; start with *at = 0; NULL at the end.  Between two calls anything may
 * come and go: what was there at the start and is there at the end is given, sometimes twice; when
 * at most the one just given is removed, each once.
 */
struct table_node *table_each(const struct table *t, size_t *at);
struct table_id *table_each_id(const struct table *t, size_t *at);
