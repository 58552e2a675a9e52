/* SPDX-License-Identifier: MIT */
#include "mta/spool/move.h"
#include "mta/base/mem.h"

struct move *move_at(struct list *node)
{
    return node == NULL ? NULL : CONTAINER_OF(node, struct move, link);
}

struct move *move_new(struct stored *stored)
{
    const struct layout *layout = content_layout(stored->content);
    struct move *move           = mem_new(sizeof *move);
    move->stored                = stored;
    move->extent_count          = layout->count;
    move->extents               = mem_new_array(layout->count, sizeof *move->extents);
    move->is_copied             = mem_new_array(layout->count, sizeof *move->is_copied);
    for (size_t i = 0; i < layout->count; i++)
        move->extents[i] = layout->extents[i];
    list_init(&move->link);
    stored->move = move;
    return move;
}

static void drop_live(const struct move *move)
{
    for (size_t i = 0; i < move->extent_count; i++)
        if (move->is_copied[i])
            extents_drop_live(&move->extents[i], 1);
    pieces_drop_live(move->pieces, move->piece_count);
}

static void move_free(struct move *move)
{
    if (move->stored != NULL)
        move->stored->move = NULL;
    list_remove(&move->link);
    mem_free(move->extents);
    mem_free(move->is_copied);
    mem_free(move->pieces);
    buf_release(&move->entry);
    mem_free(move);
}

void move_drop(struct move *move)
{
    drop_live(move);
    move_free(move);
}

void move_settle(struct move *move)
{
    struct stored *stored = move->stored;
    drop_live(move);
    stored_leave(stored);
    stored_set_pieces(stored, move->pieces, move->piece_count);
    move->pieces      = NULL;
    move->piece_count = 0;
    content_relayout(stored->content, layout_new(move->extents, move->extent_count));
    stored_settle(stored);
    move_free(move);
}

/* The entry stands at the beginning of the stream, and is shorter than one piece. */
bool move_keep_entry(struct move *move, struct span piece)
{
    struct reader r = {span_skip(piece, PAYLOAD_PIECE_HEAD), false};
    struct span all = r.rest;
    struct payload_entry entry;
    if (!payload_read_entry(&r, &entry) || entry.id != move->stored->id)
        return false;
    buf_put(&move->entry, span_first(all, entry.bytes));
    return true;
}

static bool put_rcpts(const struct stored *stored, const uint32_t *indexes,
                      const struct spool_rcpt *rcpts, size_t count, struct buf *stream)
{
    uint64_t next  = 0;
    uint32_t given = 0;
    payload_put_rcpts_head(stream, stored->rcpt_count, stored->live);
    for (size_t i = 0; i < count; i++) {
        if (indexes[i] < next || indexes[i] >= stored->rcpt_count)
            return false;
        next = indexes[i] + 1ULL;
        if (stored_has_ended(stored, indexes[i]))
            continue;
        if (rcpts[i].state == RCPT_ENDED)
            return false;
        payload_put_rcpt(stream, indexes[i], &rcpts[i]);
        given++;
    }
    return given == stored->live;
}

static void put_content(const struct move *move, struct buf *stream)
{
    payload_put_content_head(stream, content_bytes(move->stored->content),
                             (uint32_t)move->extent_count);
    for (size_t i = 0; i < move->extent_count; i++) {
        const struct extent *extent = &move->extents[i];
        struct payload_extent row   = {extent->segment->id, extent->offset, extent->bytes,
                                       extent->checksum};
        payload_put_extent(stream, &row);
    }
}

bool move_put_stream(const struct move *move, const uint32_t *indexes,
                     const struct spool_rcpt *rcpts, size_t count, struct buf *stream)
{
    buf_put(stream, buf_span(&move->entry));
    if (!put_rcpts(move->stored, indexes, rcpts, count, stream))
        return false;
    payload_put_ends(stream, NULL, 0);
    put_content(move, stream);
    return true;
}
