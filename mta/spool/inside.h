/* SPDX-License-Identifier: MIT */
/*
 * The spool from inside: what its files share.  Each part has its own noun; this is where they
 * meet.
 *
 *     draft --> txn --> log --> disk thread        mail, joins and facts go down
 *     facts ------------^
 *     keeper: files made and unlinked ahead of need      compact: what is live moves forward
 */
#pragma once
#include "mta/spool/chore.h"
#include "mta/spool/compact.h"
#include "mta/spool/facts.h"
#include "mta/spool/log.h"
#include "mta/spool/recover.h"
#include "mta/spool/stored.h"
#include "mta/spool/txn.h"

enum {
    SPOOL_KIND        = 0x73706f6f,
    DRAFT_KIND        = 0x64726166,
    DRAFT_CHUNK_BYTES = 16 << 10, /* of content in a record: also what a draft keeps in memory */
    ALARMS_MAX        = 64,       /* that nobody has taken; more are dropped */
    KEEPER_RETRY_MS   = 1000,
    OUTCOMES_MAX      = 1000,
    BACKLOG_BYTES     = 16 << 20,
};

/*
 * A draft's life; whatever its state, 'status' tells of the first failure.
 *
 *     OPEN -> QUEUED (commit asked) -> FLYING (in a group) -> ENDED (answer ready) -> TAKEN
 *                                      \-> CUT (group failed: waits until that is on disk) -> ENDED
 */
#define DRAFT_STATES(X) X(OPEN) X(QUEUED) X(FLYING) X(CUT) X(ENDED) X(TAKEN)
#define DRAFT_STATE(id) DRAFT_##id,
enum draft_state { DRAFT_STATES(DRAFT_STATE) DRAFT_STATE_COUNT };
#undef DRAFT_STATE

struct draft {
    unsigned kind;
    struct list link; /* in the list of its state; TAKEN: in none */
    struct spool *spool;
    void *owner;
    enum draft_state state;
    enum status status;
    uint64_t number; /* stands in its chunks */
    uint64_t id;     /* of the message, once committed */
    uint64_t bytes;
    struct buf pending; /* content not in the log yet */
    struct extent *extents;
    size_t extent_count, extent_cap;
    uint64_t last_sequence; /* of its chunks */
    struct buf front;       /* the stream, before its content part */
    uint32_t rcpt_count;
    struct spool_end *ends;
    size_t end_count;
    struct stored *stored; /* of a commit: from QUEUED on, until it is taken or lost */
    bool is_join;          /* recipients for a message that exists */
    bool is_counted;       /* in its 'joins' */
    bool is_growing;       /* a join that moves its cursor, to this one: */
    uint64_t cursor;
    struct place *pieces; /* of a join, in the log and not durable */
    size_t piece_count;
    bool is_moving;    /* compaction reads some of it */
    bool is_abandoned; /* aborted while it was on its way */
};

struct alarms {
    struct buf texts[ALARMS_MAX];
    size_t first, count;
    uint64_t dropped;
};

/* What housekeeping knows. */
struct keeper {
    uint64_t next_id; /* of the next segment */
    uint64_t spare_retry_ms, second_retry_ms, reserve_retry_ms, unlink_retry_ms, space_due_ms;
    enum status short_of; /* OK, or why no segment can be made */
    bool has_reserve;
    bool wants_facts_room; /* facts wait for a segment */
    bool wants_space;      /* somebody asked for room since it was measured */
    bool is_low;           /* the file system is below the marks */
    bool is_measured;
    uint64_t free_bytes, total_bytes, bytes_needed;
};

struct spool {
    unsigned kind;
    struct spool_config config;
    char *directory;
    struct disk *disk;
    struct worker *writer, *helper;
    struct log log;
    struct facts facts;
    struct txn txn;
    struct contents contents;
    struct index index;
    struct list drafts[DRAFT_STATE_COUNT]; /* FLYING: in the group */
    uint64_t next_draft;
    struct chore chore;
    struct list gone; /* unlinked segments that may still be read */
    struct keeper keeper;
    struct compact compact;
    struct recover recover;
    struct alarms alarms;
    struct buf refusal;
    bool is_stalled; /* some draft waits for a segment */
    uint64_t now_ms;
    struct spool_stats counted;
};

/* --- spool.c --- */

__attribute__((format(printf, 2, 3))) void spool_alarm(struct spool *s, const char *format, ...);
/* Forgets it if nobody is left, and nobody can come. */
void spool_let_go(struct spool *s, struct stored *stored);
/* Takes back what the disk thread has done. */
void spool_take_done(struct spool *s);
/* The stream that is on its way goes on: nothing may come between its pieces. */
enum status spool_place_txn(struct spool *s);
/* Facts about it speak of this segment. */
uint64_t spool_oldest(const struct spool *s, const struct stored *stored);

/* --- draft.c --- */

/* Moves what is queued into the log, as far as it goes. */
void drafts_place(struct spool *s);
/* The commit is in the log. */
void draft_on_placed(struct draft *d);
void draft_fail(struct draft *d, enum draft_state next, enum status status);
/* Their group is durable. */
void drafts_settle(struct group *group);
/* Their group is lost, and what others had written beside it. */
void drafts_fail(struct spool *s, struct group *group, enum status status);
/* The failed ones hear of it: once it is on disk that they are void, or never can be. */
void drafts_release_cut(struct spool *s);
/* No segment can be made: what waits for one is refused. */
void drafts_refuse_waiting(struct spool *s, enum status status);
void drafts_free_all(struct spool *s);

/* --- keeper.c --- */

/* The first segment, on this thread.  The keeper must know next_id. */
enum status keeper_open(struct spool *s, struct buf *error);
/* Takes back a chore that is done. */
void keeper_take_done(struct spool *s);
/* Starts the next one if there is something to do; returns when it wants to look again. */
uint64_t keeper_turn(struct spool *s);
/* OK: who waits for a segment will get one; else why there will be none. */
enum status keeper_verdict(const struct spool *s);
bool keeper_has_room(const struct spool *s);
/* After the helping thread has gone. */
void keeper_close(struct spool *s);
