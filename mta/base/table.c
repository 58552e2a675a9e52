/* SPDX-License-Identifier: MIT */
#include "mta/base/table.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

enum {
    BUCKET_CAP_MIN = 4,
    BUCKET_CAP_MAX = 64, /* beyond, it becomes two */
    BUCKET_STEP    = 16,
    DEPTH_MAX      = 23, /* of the directory: some 300 million things */
};

/*
 * Those whose hashes begin with the same 'depth' bits.  Behind the slots stands a byte of each
 * hash, so that a search looks at few things; the order means nothing.
 */
struct table_bucket {
    uint8_t depth, count, cap;
    void *slots[];
};

void table_init(struct table *t, uint64_t seed)
{
    *t = (struct table){.seed = seed};
}

void table_init_by_id(struct table *t, uint64_t seed)
{
    *t = (struct table){.seed = seed, .is_by_id = true};
}

static uint64_t hash_of_id(const struct table *t, uint64_t id)
{
    return span_hash(span_make((const char *)&id, sizeof id), t->seed);
}

static uint64_t hash_of(const struct table *t, const void *node)
{
    return t->is_by_id ? hash_of_id(t, ((const struct table_id *)node)->id)
                       : span_hash(((const struct table_node *)node)->key, t->seed);
}

/* --- one bucket --- */

static uint8_t *tags_of(struct table_bucket *b)
{
    return (uint8_t *)&b->slots[b->cap];
}

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)hash;
}

static size_t bytes_for(unsigned cap)
{
    return sizeof(struct table_bucket) + cap * (sizeof(void *) + 1);
}

static unsigned next_cap(unsigned cap)
{
    return cap < BUCKET_STEP ? cap * 2 : cap + BUCKET_STEP;
}

static struct table_bucket *bucket_new(struct table *t, unsigned depth, unsigned cap)
{
    struct table_bucket *b = mem_new(bytes_for(cap));
    b->depth               = (uint8_t)depth;
    b->cap                 = (uint8_t)cap;
    t->bytes += bytes_for(cap);
    return b;
}

static void bucket_free(struct table *t, struct table_bucket *b)
{
    t->bytes -= bytes_for(b->cap);
    mem_free(b);
}

static void bucket_put(struct table_bucket *b, void *node, uint8_t tag)
{
    must(b->count < b->cap);
    tags_of(b)[b->count] = tag;
    b->slots[b->count++] = node;
}

/* The last takes the place of one that goes. */
static void bucket_drop(struct table_bucket *b, unsigned at)
{
    b->count--;
    b->slots[at]   = b->slots[b->count];
    tags_of(b)[at] = tags_of(b)[b->count];
}

/* The next entry with that tag, from *at on. */
static void *bucket_next(struct table_bucket *b, uint8_t tag, unsigned *at)
{
    const uint8_t *tags = tags_of(b);
    const uint8_t *hit  = memchr(tags + *at, tag, b->count - *at);
    if (hit == NULL)
        return NULL;
    *at = (unsigned)(hit - tags) + 1;
    return b->slots[*at - 1];
}

/* --- the directory --- */

static size_t index_of(const struct table *t, uint64_t hash)
{
    return t->depth == 0 ? 0 : (size_t)(hash >> (64 - t->depth));
}

static struct table_bucket *bucket_of(const struct table *t, uint64_t hash)
{
    return t->buckets == NULL ? NULL : t->buckets[index_of(t, hash)];
}

/* The neighbours in the directory that share the bucket at 'index': from there on, so many. */
static size_t share_of(const struct table *t, const struct table_bucket *b, size_t *index)
{
    size_t count = (size_t)1 << (t->depth - b->depth);
    *index &= ~(count - 1);
    return count;
}

static void set_bucket(struct table *t, size_t first, size_t count, struct table_bucket *b)
{
    for (size_t i = first; i < first + count; i++)
        t->buckets[i] = b;
}

static void double_directory(struct table *t)
{
    size_t count                = (size_t)1 << t->depth;
    struct table_bucket **wider = mem_new_array(count * 2, sizeof(struct table_bucket *));
    must(t->depth < DEPTH_MAX);
    for (size_t i = 0; i < count * 2; i++)
        wider[i] = t->buckets[i / 2];
    mem_free(t->buckets);
    t->buckets = wider;
    t->bytes += count * sizeof(struct table_bucket *);
    t->depth++;
}

static void resize(struct table *t, size_t index, unsigned cap)
{
    struct table_bucket *old = t->buckets[index];
    struct table_bucket *b   = bucket_new(t, old->depth, cap);
    memcpy(b->slots, old->slots, old->count * sizeof old->slots[0]);
    memcpy(tags_of(b), tags_of(old), old->count);
    b->count     = old->count;
    size_t count = share_of(t, old, &index);
    set_bucket(t, index, count, b);
    bucket_free(t, old);
}

/* By the next bit of their hashes. */
static void split(struct table *t, size_t index)
{
    struct table_bucket *old = t->buckets[index], *halves[2];
    for (int i = 0; i < 2; i++)
        halves[i] = bucket_new(t, old->depth + 1U, BUCKET_CAP_MAX);
    for (unsigned i = 0; i < old->count; i++) {
        uint64_t hash = hash_of(t, old->slots[i]);
        bucket_put(halves[hash >> (63 - old->depth) & 1], old->slots[i], tags_of(old)[i]);
    }
    size_t count = share_of(t, old, &index);
    for (size_t i = 0; i < 2; i++) {
        size_t half = index + i * count / 2;
        set_bucket(t, half, count / 2, halves[i]);
        if (halves[i]->count <= BUCKET_CAP_MAX / 2 + BUCKET_STEP / 2)
            resize(t, half, BUCKET_CAP_MAX / 2 + BUCKET_STEP);
    }
    bucket_free(t, old);
}

/* With room for one more. */
static struct table_bucket *roomy_bucket(struct table *t, uint64_t hash)
{
    if (t->buckets == NULL) {
        t->buckets    = mem_new(sizeof(struct table_bucket *));
        t->buckets[0] = bucket_new(t, 0, BUCKET_CAP_MIN);
        t->bytes += sizeof(struct table_bucket *);
    }
    for (;;) {
        struct table_bucket *b = bucket_of(t, hash);
        if (b->count < b->cap)
            return b;
        if (b->cap < BUCKET_CAP_MAX) {
            resize(t, index_of(t, hash), next_cap(b->cap));
            continue;
        }
        if (b->depth == t->depth)
            double_directory(t);
        split(t, index_of(t, hash));
    }
}

/* --- the public face --- */

void table_release(struct table *t)
{
    size_t count = t->buckets == NULL ? 0 : (size_t)1 << t->depth;
    for (size_t i = 0; i < count;) {
        struct table_bucket *b = t->buckets[i];
        i += share_of(t, b, &(size_t){i});
        mem_free(b);
    }
    mem_free(t->buckets);
    *t = (struct table){.seed = t->seed, .is_by_id = t->is_by_id};
}

static void insert(struct table *t, void *node, uint64_t hash)
{
    bucket_put(roomy_bucket(t, hash), node, tag_of(hash));
    t->count++;
}

static void remove_node(struct table *t, const void *node, uint64_t hash)
{
    struct table_bucket *b = bucket_of(t, hash);
    unsigned at            = 0;
    const void *found;
    must(b != NULL);
    while ((found = bucket_next(b, tag_of(hash), &at)) != node)
        must(found != NULL);
    bucket_drop(b, at - 1);
    if (--t->count == 0 && t->depth > 0)
        table_release(t);
    else if (b->cap > BUCKET_CAP_MIN && b->count <= b->cap / 4)
        resize(t, index_of(t, hash), b->cap / 2);
}

struct table_node *table_find(const struct table *t, struct span key)
{
    uint64_t hash          = span_hash(key, t->seed);
    struct table_bucket *b = bucket_of(t, hash);
    struct table_node *node;
    unsigned at = 0;
    must(!t->is_by_id);
    while (b != NULL && (node = bucket_next(b, tag_of(hash), &at)) != NULL)
        if (span_equals(node->key, key))
            return node;
    return NULL;
}

void table_insert(struct table *t, struct table_node *node, struct span key)
{
    must(table_find(t, key) == NULL);
    node->key = key;
    insert(t, node, span_hash(key, t->seed));
}

void table_remove(struct table *t, struct table_node *node)
{
    must(!t->is_by_id);
    remove_node(t, node, hash_of(t, node));
}

struct table_id *table_find_id(const struct table *t, uint64_t id)
{
    uint64_t hash          = hash_of_id(t, id);
    struct table_bucket *b = bucket_of(t, hash);
    struct table_id *node;
    unsigned at = 0;
    must(t->is_by_id);
    while (b != NULL && (node = bucket_next(b, tag_of(hash), &at)) != NULL)
        if (node->id == id)
            return node;
    return NULL;
}

void table_insert_id(struct table *t, struct table_id *node)
{
    must(table_find_id(t, node->id) == NULL);
    insert(t, node, hash_of_id(t, node->id));
}

void table_remove_id(struct table *t, struct table_id *node)
{
    must(t->is_by_id);
    remove_node(t, node, hash_of_id(t, node->id));
}

/* --- walking --- */

/*
 * Where a walk is: the first DEPTH_MAX bits of the hashes of the bucket in hand, and how many of it
 * are left.  They are given from the end, so that the place of one that goes is taken by one that
 * was given, and those that come are not given.  Halves keep the order of the whole: nothing that
 * is left of it stands further back in them.
 */
struct position {
    size_t prefix;
    unsigned left;
    bool is_begun;
};
enum { LEFT_BITS = 8 };

static struct position unpacked(size_t at)
{
    unsigned low = at & ((1U << LEFT_BITS) - 1);
    return (struct position){at >> LEFT_BITS, low > 0 ? low - 1 : 0, low > 0};
}

static size_t packed(const struct position *p)
{
    return p->prefix << LEFT_BITS | (p->is_begun ? p->left + 1 : 0);
}

static const struct table_bucket *enter(const struct table *t, struct position *p)
{
    const struct table_bucket *b = bucket_of(t, (uint64_t)p->prefix << (64 - DEPTH_MAX));
    if (!p->is_begun || p->left > b->count)
        p->left = b->count;
    p->is_begun = true;
    return b;
}

static void leave(const struct table_bucket *b, struct position *p)
{
    p->prefix   = (p->prefix | (((size_t)1 << (DEPTH_MAX - b->depth)) - 1)) + 1;
    p->is_begun = false;
}

static void *each(const struct table *t, size_t *at)
{
    struct position p = unpacked(*at);
    void *node        = NULL;
    while (node == NULL && t->buckets != NULL && p.prefix >> DEPTH_MAX == 0) {
        const struct table_bucket *b = enter(t, &p);
        if (p.left > 0)
            node = b->slots[--p.left];
        else
            leave(b, &p);
    }
    *at = packed(&p);
    return node;
}

struct table_node *table_each(const struct table *t, size_t *at)
{
    must(!t->is_by_id);
    return each(t, at);
}

struct table_id *table_each_id(const struct table *t, size_t *at)
{
    must(t->is_by_id);
    return each(t, at);
}
