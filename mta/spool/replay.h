/* SPDX-License-Identifier: MIT */
/*
 * Replay: the meaning of records, one after the other, as the log was written.  A commit makes a
 * message, a checkpoint says it anew, outcomes change it; a message whose recipients have all ended
 * is forgotten at once, unless others might have joined it later: one that was open is kept, with
 * nobody in it, to the end of the log.
 *
 * A commit whose content is not all there may still be fine: its segment may have been let go after
 * the message ended, which later records tell, or been replaced by a checkpoint.  So that is judged
 * at the end (replay_finish), and so are the recipients of others that end with such a commit.
 */
#pragma once
#include "mta/spool/recover.h"
#include "mta/spool/scan.h"

struct found_chunk {
    uint64_t draft, checksum;
    uint32_t offset, bytes;
    bool is_used;
};

/* A segment, while recovery looks at it. */
struct found {
    struct segment *segment;
    bool has_end; /* 'last' was named by the head of a later one, or judged */
    bool is_cut;
    bool is_empty;    /* no record in it counts */
    uint64_t last;    /* records behind this sequence do not count */
    uint64_t end;     /* judged: the last one that counts ends here */
    uint64_t written; /* judged: blocks before this were written */
    bool is_in_doubt; /* judged: some of it is not known to be durable */
    struct found_chunk *chunks;
    size_t chunk_count, chunk_cap;
};

/* Ends that wait until their commit is known to be whole, or to have ended. */
struct late_ends {
    struct list link;
    uint64_t id; /* of the commit */
    size_t count;
    struct spool_end ends[];
};

struct replay {
    struct spool *spool;
    struct found *segments; /* in the order of their numbers */
    size_t count;
    /* the transaction that is being gathered */
    bool is_gathering;
    uint64_t gathering_id, next_sequence;
    struct buf stream;
    struct place *pieces;
    size_t piece_count, piece_cap;
    struct list late_ends;
};

void replay_init(struct replay *replay, struct spool *s, struct found *segments, size_t count);
void replay_release(struct replay *replay);
void replay_record(struct replay *replay, struct found *in, const struct scanned *found);
/* All records were given: what is left is on its way to spool_take_recovered(). */
void replay_finish(struct replay *replay);
