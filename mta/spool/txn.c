/* SPDX-License-Identifier: MIT */
#include "mta/spool/txn.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/spool/stored.h"

enum {
    STREAM_BYTES_KEPT = 64 << 10,
    STEP_BYTES        = 1 << 20, /* placed in one turn: about a millisecond */
    BEHIND_BYTES      = 4 << 20, /* gathered and not written: enough for the disk to do */
};

void txn_release(struct txn *txn)
{
    for (size_t i = 0; i < txn->rest_count; i++)
        buf_release(&txn->rest[i]);
    mem_free(txn->rest);
    buf_release(&txn->stream);
    mem_free(txn->pieces);
    *txn = (struct txn){0};
}

static size_t pieces_of(uint64_t bytes)
{
    return (size_t)((bytes + PAYLOAD_PIECE_BYTES - 1) / PAYLOAD_PIECE_BYTES);
}

void txn_begin(struct txn *txn, enum record_type last_type, uint64_t id, struct buf *stream,
               void *owner)
{
    must(!txn->is_active && stream->len > 0 && stream->len <= UINT32_MAX);
    buf_release(&txn->stream);
    *txn = (struct txn){
        .is_active = true, .last_type = last_type, .id = id, .stream = *stream, .owner = owner};
    txn->pieces = mem_new_array(pieces_of(stream->len), sizeof *txn->pieces);
    buf_init(stream);
}

void txn_add_rest(struct txn *txn, struct buf *rest, size_t count)
{
    uint64_t bytes = txn->stream.len;
    must(txn->is_active && txn->done == 0 && txn->rest == NULL);
    for (size_t i = 0; i < count; i++)
        bytes += rest[i].len;
    must(bytes <= UINT32_MAX);
    txn->rest       = rest;
    txn->rest_count = count;
    txn->pieces     = mem_resize(txn->pieces, pieces_of(bytes) * sizeof *txn->pieces);
}

/* Brings up enough for the next piece. */
static void refill(struct txn *txn)
{
    if (txn->rest_next < txn->rest_count) {
        buf_drop(&txn->stream, txn->at);
        txn->at = 0;
    }
    while (txn->stream.len - txn->at <= PAYLOAD_PIECE_BYTES && txn->rest_next < txn->rest_count) {
        struct buf *next = &txn->rest[txn->rest_next++];
        buf_put(&txn->stream, buf_span(next));
        buf_release(next);
    }
}

static bool is_all_placed(const struct txn *txn)
{
    return txn->at == txn->stream.len && txn->rest_next == txn->rest_count;
}

static enum status place_piece(struct txn *txn, struct log *log)
{
    char head[PAYLOAD_PIECE_HEAD];
    refill(txn);
    struct span piece        = span_skip(buf_span(&txn->stream), txn->at);
    bool is_last             = piece.len <= PAYLOAD_PIECE_BYTES;
    piece                    = span_first(piece, PAYLOAD_PIECE_BYTES);
    struct log_record record = {
        .type       = is_last ? txn->last_type : RECORD_PART,
        .is_content = txn->last_type != RECORD_CHECKPOINT,
        .head       = {head, sizeof head},
        .rest       = piece
    };
    payload_put_piece_head(head, txn->id, (uint32_t)txn->done);
    enum status status = log_put(log, &record, &txn->pieces[txn->piece_count], NULL);
    if (status != OK)
        return status;
    pieces_add_live(&txn->pieces[txn->piece_count], 1); /* its segment must stay */
    txn->piece_count++;
    txn->done += piece.len;
    txn->at += piece.len;
    return OK;
}

enum status txn_place(struct txn *txn, struct log *log)
{
    enum status status = OK;
    size_t until       = txn->done + STEP_BYTES;
    must(txn->is_active);
    txn->is_paused = false;
    while (status == OK && !is_all_placed(txn)) {
        if (txn->done >= until || log_backlog(log) > BEHIND_BYTES) {
            txn->is_paused = true;
            return AGAIN;
        }
        status = place_piece(txn, log);
    }
    return status;
}

struct place *txn_finish(struct txn *txn, size_t *count)
{
    struct place *pieces = txn->pieces;
    must(txn->is_active && is_all_placed(txn));
    *count         = txn->piece_count;
    txn->pieces    = NULL;
    txn->is_active = false;
    txn->owner     = NULL;
    mem_free(txn->rest);
    txn->rest       = NULL;
    txn->rest_count = txn->rest_next = 0;
    if (txn->stream.cap > STREAM_BYTES_KEPT)
        buf_release(&txn->stream);
    return pieces;
}

void txn_abandon(struct txn *txn)
{
    pieces_drop_live(txn->pieces, txn->piece_count);
    txn_release(txn);
}

uint64_t txn_bytes(size_t stream_bytes)
{
    size_t pieces = stream_bytes / PAYLOAD_PIECE_BYTES + 1;
    return stream_bytes + pieces * record_bytes(PAYLOAD_PIECE_HEAD + RECORD_ALIGN_BYTES);
}
