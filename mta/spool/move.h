/* SPDX-License-Identifier: MIT */
/*
 * Move: a message on its way from its old records to new ones.  Until it is settled both count as
 * live.
 */
#pragma once
#include "mta/spool/stored.h"

enum { MOVE_RANGE_RCPTS = 256 };

/* Some recipients, as they go into the checkpoint: what the engine told of them. */
struct move_range {
    struct buf rows;
    uint32_t given;
    bool is_due; /* it has to be asked, or asked again */
};

struct move {
    struct list link;      /* in the group that carries its checkpoint */
    struct stored *stored; /* NULL: it has ended meanwhile */
    struct extent *extents;
    bool *is_copied; /* this extent is a new one: its bytes are the move's until it is settled */
    size_t extent_count;
    struct place *pieces;
    size_t piece_count;
    size_t covered;            /* of the message's old pieces: who joined later stays where he is */
    struct buf entry;          /* as it stands in the stream */
    bool is_growing;           /* there is a cursor in it */
    struct move_range *ranges; /* NULL: the engine was not asked yet */
    size_t range_count, due_count, next_range;
};

struct move *move_at(struct list *node);
struct move *move_new(struct stored *stored);
/* The message is about to go. */
void move_lose(struct move *move);
/* The new records are garbage, the old ones stay. */
void move_drop(struct move *move);
/* The new records are the message from now on. */
void move_settle(struct move *move);
/* From the first piece of its stream; false: that is not its. */
bool move_keep_entry(struct move *move, struct span piece);
/* --- its recipients, range by range --- */

/* The first that is due, from next_range on, and round again; false: none. */
bool move_next_range(struct move *move, uint32_t *first, uint32_t *count);
/* What the engine says of the range it was asked about.  false: that cannot be. */
bool move_put_range(struct move *move, const uint32_t *indexes, const struct spool_rcpt *rcpts,
                    size_t count);
/* Something was noted about the recipient. */
void move_touch(struct move *move, uint32_t rcpt);
/* Recipients from 'first' on have joined the message. */
void move_grow(struct move *move, uint32_t first);
/* Ranges where others have ended since, without a note, are due again. */
void move_check_ranges(struct move *move);
/* The stream of its checkpoint; the txn takes it in parts. */
void move_put_stream(struct move *move, struct buf *stream, struct buf **rest, size_t *rest_count);
