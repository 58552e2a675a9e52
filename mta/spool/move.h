/* SPDX-License-Identifier: MIT */
/*
 * Move: a message on its way from its old records to new ones.  Until it is settled both count as
 * live.
 */
#pragma once
#include "mta/spool/stored.h"

struct move {
    struct list link;      /* in the group that carries its checkpoint */
    struct stored *stored; /* NULL: it has ended meanwhile */
    struct extent *extents;
    bool *is_copied; /* this extent is a new one: its bytes are the move's until it is settled */
    size_t extent_count;
    struct place *pieces;
    size_t piece_count;
    struct buf entry; /* as it stands in the stream */
};

struct move *move_at(struct list *node);
struct move *move_new(struct stored *stored);
/* The new records are garbage, the old ones stay. */
void move_drop(struct move *move);
/* The new records are the message from now on. */
void move_settle(struct move *move);
/* From the first piece of its stream; false: that is not its. */
bool move_keep_entry(struct move *move, struct span piece);
/* The stream of its checkpoint.  false: not all who have not ended by what we know are told of. */
bool move_put_stream(const struct move *move, const uint32_t *indexes,
                     const struct spool_rcpt *rcpts, size_t count, struct buf *stream);
