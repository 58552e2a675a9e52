/* SPDX-License-Identifier: MIT */
/*
 * Payload: what stands inside records, as bytes and back.  Pure.  Numbers are big-endian, a text is
 * its length (16 bits) and its bytes.
 *
 * A message is a transaction: one stream of bytes in the order entry, rcpts, ends, content, cut
 * into records of at most PAYLOAD_PIECE_BYTES.  Recipients who join it are one too: joins head,
 * rcpts.  Reading trusts nothing: a reader that meets
 * anything else turns bad, gives zeros and empty spans from then on, and its result is thrown away.
 */
#pragma once
#include "mta/spool/record.h"
#include "mta/spool/spool.h"

enum {
    PAYLOAD_PIECE_BYTES     = 32 << 10, /* of a transaction's stream in one record, when we write */
    PAYLOAD_PIECE_HEAD      = 12,       /* id, offset of the piece in the stream */
    PAYLOAD_CHUNK_HEAD      = 8,        /* draft number */
    PAYLOAD_TEXT_BYTES_MAX  = 4096,     /* longer texts are cut when written */
    PAYLOAD_ENTRY_BYTES_MAX = 4 * PAYLOAD_TEXT_BYTES_MAX + 64,
    PAYLOAD_ROW_BYTES_MAX   = 5 * PAYLOAD_TEXT_BYTES_MAX + 64, /* a recipient with its fate */
    PAYLOAD_CURSOR_BYTES    = 8,
    PAYLOAD_RCPTS_MAX       = 1 << 24,
    PAYLOAD_ENDS_MAX        = 8, /* of predecessors in one segment head */
};

struct reader {
    struct span rest;
    bool is_bad;
};
uint8_t read8(struct reader *r);
uint16_t read16(struct reader *r);
uint32_t read32(struct reader *r);
uint64_t read64(struct reader *r);
struct span read_text(struct reader *r);
struct span read_bytes(struct reader *r, size_t bytes);

/* --- transaction --- */

void payload_put_entry(struct buf *into, const struct spool_entry *entry);
/* Texts are spans into the stream, in the order of struct spool_entry. */
struct payload_entry {
    uint64_t id, arrival_wall_ms, expire_wall_ms;
    bool is_report, is_8bit, needs_utf8, is_open, is_growing;
    enum envelope_ret ret;
    struct span sender, envid, flow, message_id, verp;
    enum envelope_merge merge;
    uint32_t list_id;
    uint64_t cursor; /* is_growing: the last PAYLOAD_CURSOR_BYTES of the entry; else DONE */
    size_t bytes;    /* of the entry in the stream */
};
bool payload_read_entry(struct reader *r, struct payload_entry *entry);

/* The state of a recipient that is not fresh. */
struct payload_fate {
    enum rcpt_state state;
    uint16_t attempts;
    uint64_t next_wall_ms;
    uint64_t last_wall_ms;
    uint16_t code;
    uint8_t outcome;
    unsigned char enhanced[3];
    struct span text, mx;
};

/* 'total': also of those left out because they have ended; then 'given' times one recipient. */
void payload_put_rcpts_head(struct buf *into, uint32_t total, uint32_t given);
bool payload_read_rcpts_head(struct reader *r, uint32_t *total, uint32_t *given);
void payload_put_fresh_rcpt(struct buf *into, uint32_t index, const struct envelope_rcpt *rcpt);
void payload_put_rcpt(struct buf *into, uint32_t index, const struct spool_rcpt *rcpt);
struct payload_rcpt {
    uint32_t index;
    uint8_t notify;
    bool is_local;
    struct span address, orcpt, data;
    struct payload_fate fate;
};
bool payload_read_rcpt(struct reader *r, struct payload_rcpt *rcpt);

/* --- those who join a message --- */

struct payload_joins {
    uint32_t first;  /* the index of the first one; their own indexes count from 0 */
    uint32_t count;  /* fresh ones; 0 only with a cursor */
    bool is_growing; /* a list has got on: to 'cursor' */
    uint64_t cursor;
};
/* Without the count, which is the rcpts head behind it. */
void payload_put_joins_head(struct buf *into, const struct payload_joins *joins);
bool payload_read_joins_head(struct reader *r, struct payload_joins *joins);

void payload_put_ends(struct buf *into, const struct spool_end *ends, size_t count);
bool payload_read_ends_head(struct reader *r, uint32_t *count);
bool payload_read_end(struct reader *r, struct spool_end *end);

/* Where a piece of content is. */
struct payload_extent {
    uint64_t segment;
    uint32_t offset; /* of its record */
    uint32_t bytes;  /* of content in it */
    uint64_t checksum;
};
void payload_put_content_head(struct buf *into, uint64_t bytes, uint32_t extents);
void payload_put_extent(struct buf *into, const struct payload_extent *extent);
bool payload_read_content_head(struct reader *r, uint64_t *bytes, uint32_t *extents);
bool payload_read_extent(struct reader *r, struct payload_extent *extent);

/* The head of a piece of a transaction. */
void payload_put_piece_head(char into[PAYLOAD_PIECE_HEAD], uint64_t id, uint32_t offset);

/* --- outcomes --- */

void payload_put_outcome(struct buf *into, uint64_t id, uint32_t rcpt,
                         const struct payload_fate *fate);
struct payload_outcome {
    uint64_t id;
    uint32_t rcpt;
    struct payload_fate fate;
};
bool payload_read_outcome(struct reader *r, struct payload_outcome *outcome);
/* A fate from what the engine tells; the texts stay the caller's. */
struct payload_fate payload_fate_of(enum rcpt_state state, uint16_t attempts, uint64_t next_wall_ms,
                                    const struct attempt *last);

/* --- segment head --- */

/* Segment 'segment' ends with the record 'last': what it holds behind does not count. */
struct payload_segment_end {
    uint64_t segment, last;
    bool is_cut; /* something behind was given up: the end must be known as long as it is there */
};
void payload_put_segment(struct buf *into, const struct payload_segment_end *ends, size_t count);
/* 'count': of ends found, at most PAYLOAD_ENDS_MAX. */
bool payload_read_segment(struct span payload, struct payload_segment_end ends[PAYLOAD_ENDS_MAX],
                          size_t *count);
