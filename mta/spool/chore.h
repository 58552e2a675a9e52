/* SPDX-License-Identifier: MIT */
/*
 * Chore: blocking work beside the writing of groups: making, renaming and unlinking files,
 * measuring space, reading for compaction.  It has a thread of its own, so that a commit never
 * waits behind the making of a segment.  One at a time.
 */
#pragma once
#include "mta/spool/content.h"
#include "mta/sys/thread.h"

#define CHORES(X)                                                                                  \
    X(IDLE) X(SPARE) X(RECYCLE) X(RESERVE) X(USE_RESERVE) X(UNLINK) X(SPACE) X(READ) X(CLOSE)
#define CHORE_NAME(id) CHORE_##id,
enum chore_kind { CHORES(CHORE_NAME) CHORE_COUNT };
#undef CHORE_NAME

enum { CHORE_READS_MAX = 64, CHORE_WHY_BYTES = 160 };

struct chore {
    struct work work;
    struct disk *disk;
    enum chore_kind kind;
    uint64_t id, bytes;      /* SPARE, RECYCLE, USE_RESERVE: its number; SPARE, RESERVE: its size */
    struct segment *segment; /* RECYCLE, UNLINK, CLOSE; READ of a piece */
    struct place piece;      /* READ: a record as a whole; bytes 0: none */
    struct extent reads[CHORE_READS_MAX];
    size_t read_count;
    bool is_lost[CHORE_READS_MAX]; /* answer to READ: could not be read, zeros stand for it */
    /* the answer */
    bool is_done;
    enum status status;
    char why[CHORE_WHY_BYTES];
    struct disk_file *file; /* SPARE, USE_RESERVE */
    uint64_t free_bytes, total_bytes;
    struct buf read;         /* READ: the payload of the piece, then the contents */
    size_t piece_bytes;      /* of that, the piece */
    enum status read_status; /* of the piece */
};

void chore_init(struct chore *chore, struct disk *disk);
void chore_release(struct chore *chore);
/* What the chore needs must be set; its kind is set here.  Without a worker (at start, and at the
 * end) it is done on this thread. */
void chore_give(struct chore *chore, struct worker *worker, enum chore_kind kind);
