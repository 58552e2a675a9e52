/* SPDX-License-Identifier: MIT */
/*
 * Txn: a message's stream on its way into the log, in pieces that stand one behind the other. There
 * is one at a time, and nothing else enters the log between its first piece and its last, so that
 * recovery never gathers more than one, and a checkpoint holds at the place where it stands.
 */
#pragma once
#include "mta/spool/log.h"

struct txn {
    bool is_active;
    enum record_type last_type; /* COMMIT, APPEND or CHECKPOINT */
    uint64_t id;
    struct buf stream;
    struct buf *rest; /* what follows it, NULL: nothing */
    size_t rest_count, rest_next;
    size_t done, at; /* in the log; and of that, still in 'stream' */
    bool is_paused;  /* more can be placed, in the next turn */
    struct place *pieces;
    size_t piece_count;
    void *owner; /* who waits for it: a draft or a move */
};

void txn_release(struct txn *txn);
/* Takes the stream and leaves an empty buf. */
void txn_begin(struct txn *txn, enum record_type last_type, uint64_t id, struct buf *stream,
               void *owner);
/* The stream goes on with these, which become the txn's. */
void txn_add_rest(struct txn *txn, struct buf *rest, size_t count);
/* OK: all is placed; AGAIN, IO_ERROR as log_put(); AGAIN too, and is_paused, after a bounded piece
 * of it, and while the disk lags behind. */
enum status txn_place(struct txn *txn, struct log *log);
/* After OK: hands out the places, which count as live, and is free for the next. */
struct place *txn_finish(struct txn *txn, size_t *count);
/* What was placed is void: without its last piece it means nothing. */
void txn_abandon(struct txn *txn);
/* On disk, about. */
uint64_t txn_bytes(size_t stream_bytes);
