/* SPDX-License-Identifier: MIT */
#include "mta/spool/txn.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"

enum { STREAM_BYTES_KEPT = 64 << 10 };

void txn_release(struct txn *txn)
{
    buf_release(&txn->stream);
    mem_free(txn->pieces);
    *txn = (struct txn){0};
}

void txn_begin(struct txn *txn, enum record_type last_type, uint64_t id, struct buf *stream,
               void *owner)
{
    must(!txn->is_active && stream->len > 0 && stream->len <= UINT32_MAX);
    buf_release(&txn->stream);
    *txn = (struct txn){
        .is_active = true, .last_type = last_type, .id = id, .stream = *stream, .owner = owner};
    size_t count = (stream->len + PAYLOAD_PIECE_BYTES - 1) / PAYLOAD_PIECE_BYTES;
    txn->pieces  = mem_new_array(count, sizeof *txn->pieces);
    buf_init(stream);
}

static enum status place_piece(struct txn *txn, struct log *log)
{
    char head[PAYLOAD_PIECE_HEAD];
    struct span piece        = span_skip(buf_span(&txn->stream), txn->done);
    bool is_last             = piece.len <= PAYLOAD_PIECE_BYTES;
    piece                    = span_first(piece, PAYLOAD_PIECE_BYTES);
    struct log_record record = {
        .type       = is_last ? txn->last_type : RECORD_PART,
        .is_content = txn->last_type == RECORD_COMMIT,
        .head       = {head, sizeof head},
        .rest       = piece
    };
    payload_put_piece_head(head, txn->id, (uint32_t)txn->done);
    enum status status = log_put(log, &record, &txn->pieces[txn->piece_count], NULL);
    if (status != OK)
        return status;
    txn->piece_count++;
    txn->done += piece.len;
    return OK;
}

enum status txn_place(struct txn *txn, struct log *log)
{
    enum status status = OK;
    must(txn->is_active);
    while (status == OK && txn->done < txn->stream.len)
        status = place_piece(txn, log);
    return status;
}

struct place *txn_finish(struct txn *txn, size_t *count)
{
    struct place *pieces = txn->pieces;
    must(txn->is_active && txn->done == txn->stream.len);
    *count         = txn->piece_count;
    txn->pieces    = NULL;
    txn->is_active = false;
    txn->owner     = NULL;
    if (txn->stream.cap > STREAM_BYTES_KEPT)
        buf_release(&txn->stream);
    return pieces;
}

void txn_abandon(struct txn *txn)
{
    txn_release(txn);
}

uint64_t txn_bytes(size_t stream_bytes)
{
    size_t pieces = stream_bytes / PAYLOAD_PIECE_BYTES + 1;
    return stream_bytes + pieces * record_bytes(PAYLOAD_PIECE_HEAD + RECORD_ALIGN_BYTES);
}
