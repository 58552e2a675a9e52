/* SPDX-License-Identifier: MIT */
/*
 * Content, behind spool.h: the bytes of one message, as a list of places in the log.
 *
 * A layout never changes.  Compaction gives a content a new one while other threads read by the
 * old: a reader counts itself in before it picks up the layout, so an old one may go as soon as the
 * count has once been seen at zero after the exchange (content_turn).
 *
 * There may be millions of contents, of one extent each, so one is a single piece of memory: the
 * layout it begins with stands behind it.
 */
#pragma once
#include "mta/spool/payload.h"
#include "mta/spool/segment.h"
#include <stdatomic.h>

/* A chunk record and what it carries. */
struct extent {
    struct segment *segment;
    uint64_t checksum;
    uint32_t offset, bytes;
};

/* It holds the segments. */
struct layout {
    size_t count;
    struct extent extents[];
};

/* Owned by the spool; what the contents of one spool share. */
struct contents {
    struct list retired; /* layouts that may still be read */
    size_t open;         /* contents that somebody holds */
};

struct content {
    unsigned kind;
    unsigned refs;
    struct contents *home;
    uint64_t bytes;
    _Atomic(struct layout *) layout;
    atomic_uint readers;
    struct layout first; /* only this one is part of the content */
};
enum { CONTENT_BYTES_MAX = 72 };
_Static_assert(sizeof(struct content) + sizeof(struct extent) <= CONTENT_BYTES_MAX,
               "each message has one");

void contents_init(struct contents *contents);

/* With one reference; the extents are copied. */
struct content *content_new(struct contents *home, const struct extent *extents, size_t count);
const struct layout *content_layout(const struct content *content);
/* The same bytes in other places. */
void content_relayout(struct content *content, const struct extent *extents, size_t count);
/* Frees retired layouts that nobody reads any more. */
void content_turn(struct contents *contents);

/* On disk, of a chunk with that much content. */
uint32_t extent_record_bytes(const struct extent *extent);
/* Reads and checks the record; 'scratch' holds RECORD_BYTES_MAX, *bytes points into it.  Any
 * thread.
 */
enum status extent_read(const struct extent *extent, char *scratch, struct span *bytes);
