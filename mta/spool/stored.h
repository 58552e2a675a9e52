/* SPDX-License-Identifier: MIT */
/*
 * Stored: what the spool remembers of a message on disk: who has ended, and where its records are,
 * so that what nobody needs any more can be told from what is live.  Neither addresses nor texts:
 * those are the queue's.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/spool/content.h"

struct fates;
struct move;

/* What few messages have. */
struct stored_more {
    uint32_t ends_on_the_way;  /* recipients that end when a commit in the log is durable */
    uint32_t joins;            /* transactions that join it, until the engine has taken them */
    uint32_t joins_on_the_way; /* those of them that are in the log */
    uint32_t joining;          /* their recipients that are not durable */
    struct move *move;         /* compaction is at it; NULL: it is not */
    struct fates *fates;       /* only between recovery and spool_take_recovered() */
    uint64_t steps_left;       /* from its cursor to SPOOL_CURSOR_DONE; 0: no list grows into it */
};

/* There may be millions, most of them for one recipient and with one record. */
struct stored {
    union {
        struct table_id by_id;
        uint64_t id;
    };
    uint64_t oldest; /* the first segment that may hold a commit or checkpoint of it */
    struct content *content;
    struct stored_more *more; /* stored_more() gives it, stored_add_more() makes it */
    union {                   /* a bit for each recipient that has ended */
        uint64_t word;        /* as long as that is enough */
        uint64_t *words;
    } ended;
    uint32_t rcpt_count, live;
    union { /* stored_pieces(): of its commit or checkpoint, and of what joined since */
        struct place only;
        struct {
            struct place *all;
            uint32_t cap, own; /* own: the first of them, not of what joined */
        } many;
    } pieces;
    uint32_t piece_count;
    bool is_durable : 1;    /* its commit is on disk */
    bool is_open : 1;       /* others may join */
    bool is_known : 1;      /* the engine has it, so it can be asked for a checkpoint */
    bool is_stuck : 1;      /* it cannot be moved now */
    bool has_hole : 1;      /* some of its content is lost, which was told */
    bool is_adrift : 1;     /* its commit is spoiled: it lives in memory only */
    bool is_incomplete : 1; /* recovery: its content is not all there */
};
enum { STORED_BYTES_MAX = 72 };
_Static_assert(sizeof(struct stored) <= STORED_BYTES_MAX, "each message has one");

struct index {
    struct table by_id;
};

void index_init(struct index *index, uint64_t seed);
void index_release(struct index *index);

/* NULL: the id is taken. */
struct stored *stored_new(struct index *index, uint64_t id, uint32_t rcpt_count);
/* Gives its content back too; not its bytes: stored_leave(). */
void stored_free(struct index *index, struct stored *stored);
struct stored *stored_find(const struct index *index, uint64_t id);

/* For reading: all zero when there is none. */
const struct stored_more *stored_more(const struct stored *stored);
struct stored_more *stored_add_more(struct stored *stored);
/* It goes when there is nothing in it. */
void stored_tidy(struct stored *stored);
void stored_drop_fates(struct stored *stored);

/* How far the list has got that it grows from, as it is durable; SPOOL_CURSOR_DONE: it does not
 * grow (any more). */
uint64_t stored_cursor(const struct stored *stored);
bool stored_is_growing(const struct stored *stored);
void stored_set_cursor(struct stored *stored, uint64_t cursor);
/* The highest counts, whatever the order in which they are told. */
void stored_move_cursor(struct stored *stored, uint64_t cursor);

static inline const struct place *stored_pieces(const struct stored *stored)
{
    return stored->piece_count > 1 ? stored->pieces.many.all : &stored->pieces.only;
}
/* The first so many are not of what joined. */
uint32_t stored_own_pieces(const struct stored *stored);
/* Takes the array. */
void stored_set_pieces(struct stored *stored, struct place *pieces, size_t count);
/* More pieces behind those it has, which are copied. */
void stored_add_pieces(struct stored *stored, const struct place *pieces, size_t count);
/* More recipients, all live. */
void stored_extend(struct stored *stored, uint32_t count);
/* Its records count as live, or no longer. */
void stored_settle(const struct stored *stored);
void stored_leave(const struct stored *stored);
/* There is nothing left on disk that could bring it back. */
void stored_set_adrift(struct stored *stored);
/* The same of extents and pieces that nobody has yet. */
void extents_add_live(const struct extent *extents, size_t count);
void extents_drop_live(const struct extent *extents, size_t count);
void pieces_add_live(const struct place *pieces, size_t count);
void pieces_drop_live(const struct place *pieces, size_t count);

/* false: it had ended before, or there is no such recipient. */
bool stored_end(struct stored *stored, uint32_t rcpt);
/* It has not, as a later record tells. */
void stored_revive(struct stored *stored, uint32_t rcpt);
bool stored_has_ended(const struct stored *stored, uint32_t rcpt);
/* Whether something of it stands in 'segment'. */
bool stored_touches(const struct stored *stored, const struct segment *segment);
