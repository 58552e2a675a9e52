/* SPDX-License-Identifier: MIT */
/*
 * Segment: one file of the log, under one number.  Numbers only grow and are never used again;
 * under one number a file is written once, from front to back.  Its life:
 *
 *     SPARE   no record of this number in it, waiting for its turn
 *     OPEN    records go here
 *     SEALED  full; it was synced before its successor was used
 *     POISONED  a write or sync failed: never written or synced again, what was durable is read
 *     DOOMED  being unlinked, or given another number: then it is a SPARE again, in a struct of its
 *             own, full of records that say the old number and so do not count (record.h)
 *     GONE    unlinked; open as long as somebody reads
 *
 * Engine thread; 'file' and 'id' never change, so the disk thread and readers may use them.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/sys/disk.h"

enum {
    SEGMENT_BLOCK_BYTES    = 4096, /* what is synced and what comes later share no block */
    SEGMENT_BYTES_MIN      = 64 << 10,
    SEGMENT_BYTES_DEFAULT  = 32 << 20,
    SEGMENT_RESERVE_BYTES  = 4 << 20, /* of the one for when the disk is full */
    SEGMENT_NAME_ID_DIGITS = 16,
    SEGMENT_SPARES_MAX     = 2, /* kept behind the open one, in peace too */
};
#define SEGMENT_BYTES_MAX    (1ULL << 30)
#define SEGMENT_RESERVE_NAME "reserve"
#define SEGMENT_NO_ID        UINT64_MAX

#define SEGMENT_STATES(X) X(SPARE) X(OPEN) X(SEALED) X(POISONED) X(DOOMED) X(GONE)
#define SEGMENT_STATE(id) SEGMENT_##id,
enum segment_state { SEGMENT_STATES(SEGMENT_STATE) SEGMENT_STATE_COUNT };
#undef SEGMENT_STATE

struct segment {
    struct list link; /* all segments, in the order of their numbers; or those to be closed */
    struct disk_file *file;
    uint64_t id, bytes;
    uint64_t used;    /* allotted so far */
    uint64_t written; /* blocks before this were written once: a sync of them is cheaper */
    uint64_t live;    /* of that, still needed */
    uint64_t oldest;  /* the oldest segment that facts in here speak of; SEGMENT_NO_ID: of none */
    uint64_t first_sequence, last_sequence;
    enum segment_state state;
    unsigned refs;   /* readers: layouts of content */
    unsigned busy;   /* groups on their way to the disk that touch it */
    bool is_reserve; /* only facts may open it */
    bool is_stuck;   /* something live in here cannot be moved */
    bool is_spent;   /* it must not be used again: a write, sync, rename or unlink has failed */
};

/* Where a record is. */
struct place {
    struct segment *segment;
    uint32_t offset, bytes;
};

void segment_name(uint64_t id, char name[DISK_NAME_BYTES]);
/* false: not the name of a segment. */
bool segment_id_of(const char *name, uint64_t *id);

struct segment *segment_new(uint64_t id, struct disk_file *file);
/* Closes the file. */
void segment_free(struct segment *segment);
/* The file of 'old', which goes, has number 'id' now: a spare. */
struct segment *segment_again(struct segment *old, uint64_t id);

void segment_enter(struct segment *segment, enum segment_state next);

/* Into a list that is ordered by number. */
void segment_insert(struct list *all, struct segment *segment);
struct segment *segment_at(struct list *link);
struct segment *segment_first(const struct list *all);
struct segment *segment_next(const struct list *all, const struct segment *segment);

/* Facts in 'segment' speak of 'about' (or something older). */
void segment_pin(struct segment *segment, uint64_t about);
/*
 * Whether it may go: nothing in it is live, and no older segment that is still there holds
 * something its facts speak of; else a message would rise again that has ended.
 */
bool segment_is_dead(const struct list *all, const struct segment *segment);
/* A dead one whose file may be used again: sound, as large as new ones, and nobody reads it. */
bool segment_may_recycle(const struct segment *segment, uint64_t bytes);
