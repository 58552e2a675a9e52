/* SPDX-License-Identifier: MIT */
/*
 * Log: where records go.  It allots each its place and number at once, in memory, and gathers them
 * in a group; the disk thread writes one group while the next one gathers.
 *
 *     log_put ... -> log_hand_over -> (write, sync on the disk thread) -> log_take_done
 *
 * A group that failed takes everything with it that is not durable, also what was gathered
 * meanwhile: the segment is poisoned, and the head of its successor says where it ends (log_fail).
 * A second failure is the end of writing.  Engine thread.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/spool/payload.h"
#include "mta/spool/record.h"
#include "mta/spool/segment.h"
#include "mta/sys/thread.h"

enum { GROUP_PIECES_MAX = 3, GROUP_WHY_BYTES = 160, LOG_FAILURES_MAX = 2 };

/* Bytes for one segment. */
struct group_piece {
    struct segment *segment;
    uint64_t offset;
    size_t from, len;   /* in group->bytes */
    uint64_t seal_last; /* != 0: the segment ends here, with this record, and is synced */
};

struct group {
    struct work work;
    struct buf bytes;
    struct group_piece pieces[GROUP_PIECES_MAX];
    size_t piece_count;
    size_t zero_bytes; /* behind the records, beyond their last block */
    bool syncs;        /* the last piece too; the others are sealed */
    uint64_t last_sequence;
    uint64_t outcomes_upto; /* of struct facts: how far it carries them */
    struct list commits;    /* drafts that wait for it */
    struct list moves;      /* messages that compaction moves with it */
    /* the disk thread's answer */
    bool is_done;
    enum status status;
    size_t failed; /* the piece */
    unsigned sync_count;
    char why[GROUP_WHY_BYTES];
};

/* An end of a segment that no durable head names yet. */
struct log_end {
    struct payload_segment_end end;
    uint64_t named_in; /* sequence of the head that names it; 0: none */
};

struct log {
    struct worker *writer; /* NULL: at the end, when the thread is gone */
    struct list segments;  /* all, in the order of their numbers */
    struct segment *open;  /* NULL: the next record opens one */
    uint32_t generation;
    uint64_t next_sequence, handed_over, durable; /* sequences */
    struct group groups[2];
    struct group *gathering, *flying; /* flying: NULL when the disk thread has none */
    struct log_end ends[PAYLOAD_ENDS_MAX];
    size_t end_count;
    bool is_block_due;  /* the next record begins a block: what is before it gets synced */
    bool is_unsynced;   /* something in the open segment was handed over without a sync */
    bool keeps_reserve; /* the reserve is for facts */
    bool was_small;     /* the group before the one that gathers */
    unsigned failures;
};

struct log_record {
    enum record_type type;
    bool is_content;        /* may not open the reserve */
    struct span head, rest; /* the payload, in two parts */
};

void log_init(struct log *log, struct worker *writer);
/* Closes all files. */
void log_release(struct log *log);

/*
 * OK: it will stand at *place.  AGAIN: no segment is ready for it (log_wants_segment()).  IO_ERROR:
 * the log is broken.  'checksum' may be NULL.
 */
enum status log_put(struct log *log, const struct log_record *record, struct place *place,
                    uint64_t *checksum);
/* Begins the next segment without a record; AGAIN: none is ready. */
enum status log_open_next(struct log *log);
/* A fresh one that is ready, behind the open one; NULL: none. */
struct segment *log_spare(const struct log *log);
size_t log_count_spares(const struct log *log);
/* Bytes that can be put without a new segment, about. */
uint64_t log_room(const struct log *log);
/* Gathered and not yet on disk. */
size_t log_backlog(const struct log *log);
bool log_is_empty(const struct log *log); /* nothing gathers, nothing flies */
bool log_is_broken(const struct log *log);

/* Gives the gathered group to the disk thread, unless that is busy or there is nothing to do.
 * Without a writer it is written on this thread. */
void log_hand_over(struct log *log, bool syncs);
/* The group that is done, for the caller to look at; then log_settle().  NULL: none. */
struct group *log_take_done(struct log *log);
/* OK: what it holds is durable if it synced. */
void log_settle(struct log *log, struct group *group);
/* Anything else; 'group' and the gathering one are lost, their waiters must have been taken out. */
void log_fail(struct log *log, struct group *group);
/* The next head carries an end by log_fail() that is not durable yet. */
bool log_owes_head(const struct log *log);
/* Segment 'id' ends with 'last', to be named in the next head. */
void log_add_end(struct log *log, uint64_t id, uint64_t last, bool is_cut);
