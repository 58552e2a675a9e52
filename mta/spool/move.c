/* SPDX-License-Identifier: MIT */
#include "mta/spool/move.h"
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

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
    stored_add_more(stored)->move = move;
    return move;
}

void move_lose(struct move *move)
{
    struct stored *stored = move->stored;
    if (stored == NULL)
        return;
    move->stored       = NULL;
    stored->more->move = NULL;
    stored_tidy(stored);
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
    move_lose(move);
    list_remove(&move->link);
    for (size_t i = 0; i < move->range_count; i++)
        buf_release(&move->ranges[i].rows);
    mem_free(move->ranges);
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

static void replace_pieces(struct stored *stored, struct move *move)
{
    size_t joined     = stored->piece_count - move->covered;
    struct place *old = mem_new_array(joined, sizeof *old);
    memcpy(old, stored_pieces(stored) + move->covered, joined * sizeof *old);
    stored_set_pieces(stored, move->pieces, move->piece_count);
    if (joined > 0)
        stored_add_pieces(stored, old, joined);
    mem_free(old);
    move->pieces      = NULL;
    move->piece_count = 0;
}

void move_settle(struct move *move)
{
    struct stored *stored = move->stored;
    drop_live(move);
    stored_leave(stored);
    replace_pieces(stored, move);
    content_relayout(stored->content, move->extents, move->extent_count);
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
    move->is_growing = entry.is_growing;
    return true;
}

/* --- its recipients --- */

static uint32_t range_end(const struct move *move, size_t range)
{
    uint32_t left = move->stored->rcpt_count - (uint32_t)range * MOVE_RANGE_RCPTS;
    return left < MOVE_RANGE_RCPTS ? move->stored->rcpt_count
                                   : ((uint32_t)range + 1) * MOVE_RANGE_RCPTS;
}

static void set_due(struct move *move, size_t range)
{
    move->due_count += !move->ranges[range].is_due;
    move->ranges[range].is_due = true;
}

static size_t ranges_for(size_t rcpts)
{
    return (rcpts + MOVE_RANGE_RCPTS - 1) / MOVE_RANGE_RCPTS;
}

static void begin_ranges(struct move *move)
{
    move->range_count = ranges_for(move->stored->rcpt_count);
    move->ranges      = mem_new_array(move->range_count, sizeof *move->ranges);
    for (size_t i = 0; i < move->range_count; i++)
        set_due(move, i);
}

bool move_next_range(struct move *move, uint32_t *first, uint32_t *count)
{
    if (move->ranges == NULL)
        begin_ranges(move);
    if (move->due_count == 0)
        return false;
    while (!move->ranges[move->next_range].is_due)
        move->next_range = (move->next_range + 1) % move->range_count;
    *first = (uint32_t)move->next_range * MOVE_RANGE_RCPTS;
    *count = range_end(move, move->next_range) - *first;
    return true;
}

static uint32_t count_live(const struct move *move, size_t range)
{
    uint32_t live = 0;
    for (uint32_t i = (uint32_t)range * MOVE_RANGE_RCPTS; i < range_end(move, range); i++)
        live += !stored_has_ended(move->stored, i);
    return live;
}

bool move_put_range(struct move *move, const uint32_t *indexes, const struct spool_rcpt *rcpts,
                    size_t count)
{
    struct move_range *range = &move->ranges[move->next_range];
    uint32_t next            = (uint32_t)move->next_range * MOVE_RANGE_RCPTS;
    buf_clear(&range->rows);
    range->given = 0;
    for (size_t i = 0; i < count; i++) {
        if (indexes[i] < next || indexes[i] >= range_end(move, move->next_range))
            return false;
        next = indexes[i] + 1;
        if (stored_has_ended(move->stored, indexes[i]))
            continue;
        if (rcpts[i].state == RCPT_ENDED)
            return false;
        payload_put_rcpt(&range->rows, indexes[i], &rcpts[i]);
        range->given++;
    }
    move->due_count -= range->is_due;
    range->is_due = false;
    return range->given == count_live(move, move->next_range);
}

void move_touch(struct move *move, uint32_t rcpt)
{
    if (move->ranges != NULL && rcpt < move->stored->rcpt_count)
        set_due(move, rcpt / MOVE_RANGE_RCPTS);
}

void move_grow(struct move *move, uint32_t first)
{
    size_t had = move->range_count;
    if (move->ranges == NULL)
        return;
    move->range_count = ranges_for(move->stored->rcpt_count);
    move->ranges      = mem_resize(move->ranges, move->range_count * sizeof *move->ranges);
    for (size_t i = had; i < move->range_count; i++)
        move->ranges[i] = (struct move_range){0};
    for (size_t i = first / MOVE_RANGE_RCPTS; i < move->range_count; i++)
        set_due(move, i);
}

void move_check_ranges(struct move *move)
{
    for (size_t i = 0; i < move->range_count; i++)
        if (!move->ranges[i].is_due && move->ranges[i].given != count_live(move, i))
            set_due(move, i);
}

/* As it was, but for the cursor. */
static void put_entry(const struct move *move, struct buf *stream)
{
    buf_put(stream, buf_span(&move->entry));
    if (move->is_growing)
        bytes_put64(stream->at + stream->len - PAYLOAD_CURSOR_BYTES, stored_cursor(move->stored));
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

void move_put_stream(struct move *move, struct buf *stream, struct buf **rest, size_t *rest_count)
{
    *rest_count    = move->range_count + 1;
    *rest          = mem_new_array(*rest_count, sizeof **rest);
    uint32_t given = 0;
    for (size_t i = 0; i < move->range_count; i++) {
        given += move->ranges[i].given;
        (*rest)[i]           = move->ranges[i].rows;
        move->ranges[i].rows = (struct buf){0};
    }
    must(given == move->stored->live);
    put_entry(move, stream);
    payload_put_rcpts_head(stream, move->stored->rcpt_count, given);
    payload_put_ends(&(*rest)[move->range_count], NULL, 0);
    put_content(move, &(*rest)[move->range_count]);
}
