/* SPDX-License-Identifier: MIT */
/*
 * Recover: from what is on disk to what the spool knows.  It changes nothing but this: files that
 * hold no record are unlinked.  So it may be cut off anywhere and begun again.
 *
 * In memory it keeps, of each message, who has ended and where things are; of recipients that were
 * tried, how that went; the rest is read again when the message is taken.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/spool/notes.h"
#include "mta/spool/stored.h"

struct spool;

/* What is known of a recipient beyond its commit or checkpoint. */
struct fate {
    uint64_t next_wall_ms, last_wall_ms;
    uint32_t note; /* index of the reply; 0: none */
    uint16_t attempts;
    uint8_t state;  /* enum rcpt_state */
    uint8_t is_set; /* false: as the record says */
};

/* For each recipient of a message. */
struct fates {
    uint32_t count;
    struct fate rows[];
};

/* Small messages stand side by side: many are found in what was read for the first of them. */
struct window {
    const struct segment *segment;
    uint64_t at;
    struct buf bytes;
};

struct taking {
    bool is_active;
    struct stored *stored; /* NULL: it has ended meanwhile */
    size_t piece;          /* the next record to be read */
    size_t pieces_end;     /* those of the message's own stream first, then also of who joined */
    size_t at;             /* decoded, of the stream that was read */
    uint32_t next;         /* the first recipient that has not been given */
    uint32_t base;         /* indexes of the rows count from here */
    uint32_t rows_left;
    struct payload_rcpt row; /* the next one */
    size_t row_bytes;
};

struct recover {
    struct spool_recovery report;
    uint64_t *waiting; /* ids of messages, the oldest first; some may have gone */
    size_t waiting_next, waiting_count;
    struct notes notes;
    uint64_t sequence_max;
    uint32_t generation_max;
    struct window window; /* of the segment that is read to take them */
    /* the message that is taken, piece by piece */
    struct taking taking;
    struct buf stream; /* of its records, as far as it is not decoded */
    struct spool_entry entry;
    size_t rcpt_count;
    struct arena entry_arena, arena;
    struct spool_rcpt *rcpts;
};

/* Reads all segments.  The log has them afterwards, and knows where to go on. */
enum status recover_run(struct spool *s, struct buf *error);
void recover_release(struct spool *s);
/* All messages were taken. */
bool recover_is_over(const struct recover *recover);
/* It is about to go. */
void recover_forget(struct recover *recover, struct stored *stored);
