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

struct stored {
    union {
        struct table_id by_id;
        uint64_t id;
    };
    struct list link; /* all, in the order in which they came or were recovered */
    uint64_t oldest;  /* the first segment that may hold a commit or checkpoint of it */
    struct content *content;
    uint64_t *ended; /* a bit for each recipient */
    size_t ended_words;
    uint32_t rcpt_count, live;
    uint32_t ends_on_the_way;  /* recipients that end when a commit in the log is durable */
    uint32_t joins;            /* transactions that join it, until the engine has taken them */
    uint32_t joins_on_the_way; /* those of them that are in the log */
    uint32_t joining;          /* their recipients that are not durable */
    struct place *pieces;      /* of its commit or checkpoint, and of what joined since */
    size_t piece_count, piece_cap;
    size_t own_pieces;   /* the first of them: not of what joined */
    struct move *move;   /* compaction is at it; NULL: it is not */
    struct fates *fates; /* only between recovery and spool_take_recovered() */
    bool is_durable;     /* its commit is on disk */
    bool is_open;        /* others may join */
    bool is_known;       /* the engine has it, so it can be asked for a checkpoint */
    bool is_stuck;       /* it cannot be moved now */
    bool has_hole;       /* some of its content is lost, which was told */
    bool is_adrift;      /* its commit is spoiled: it lives in memory only */
    bool is_incomplete;  /* recovery: its content is not all there */
};

struct index {
    struct table by_id;
    struct list all;
};

void index_init(struct index *index, uint64_t seed);
void index_release(struct index *index);

/* NULL: the id is taken. */
struct stored *stored_new(struct index *index, uint64_t id, uint32_t rcpt_count);
/* Gives its content back too; not its bytes: stored_leave(). */
void stored_free(struct index *index, struct stored *stored);
struct stored *stored_find(const struct index *index, uint64_t id);

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
