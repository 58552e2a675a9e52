/* SPDX-License-Identifier: MIT */
#include "mta/spool/stored.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

enum { WORD_BITS = 64 };

void index_init(struct index *index, uint64_t seed)
{
    table_init_by_id(&index->by_id, seed);
    list_init(&index->all);
}

void index_release(struct index *index)
{
    struct list *first;
    while ((first = list_first(&index->all)) != NULL)
        stored_free(index, CONTAINER_OF(first, struct stored, link));
    table_release(&index->by_id);
}

struct stored *stored_find(const struct index *index, uint64_t id)
{
    struct table_id *node = table_find_id(&index->by_id, id);
    return node == NULL ? NULL : CONTAINER_OF(node, struct stored, by_id);
}

static size_t words_for(uint32_t rcpt_count)
{
    return ((size_t)rcpt_count + WORD_BITS - 1) / WORD_BITS;
}

struct stored *stored_new(struct index *index, uint64_t id, uint32_t rcpt_count)
{
    if (stored_find(index, id) != NULL)
        return NULL;
    struct stored *stored = mem_new(sizeof *stored);
    stored->id            = id;
    stored->rcpt_count    = rcpt_count;
    stored->live          = rcpt_count;
    stored->oldest        = SEGMENT_NO_ID;
    stored->ended_words   = words_for(rcpt_count);
    stored->ended         = mem_new_array(stored->ended_words, sizeof *stored->ended);
    table_insert_id(&index->by_id, &stored->by_id);
    list_push(&index->all, &stored->link);
    return stored;
}

void stored_free(struct index *index, struct stored *stored)
{
    must(stored->fates == NULL);
    table_remove_id(&index->by_id, &stored->by_id);
    list_remove(&stored->link);
    if (stored->content != NULL)
        content_release(stored->content);
    mem_free(stored->pieces);
    mem_free(stored->ended);
    mem_free(stored);
}

void stored_set_pieces(struct stored *stored, struct place *pieces, size_t count)
{
    mem_free(stored->pieces);
    stored->pieces      = pieces;
    stored->piece_count = stored->piece_cap = stored->own_pieces = count;
}

void stored_add_pieces(struct stored *stored, const struct place *pieces, size_t count)
{
    if (stored->piece_count + count > stored->piece_cap) {
        stored->piece_cap = (stored->piece_count + count) * 2;
        stored->pieces    = mem_resize(stored->pieces, stored->piece_cap * sizeof *stored->pieces);
    }
    for (size_t i = 0; i < count; i++)
        stored->pieces[stored->piece_count++] = pieces[i];
}

/* --- live bytes --- */

void pieces_add_live(const struct place *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pieces[i].segment->live += pieces[i].bytes;
}

void pieces_drop_live(const struct place *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        must(pieces[i].segment->live >= pieces[i].bytes);
        pieces[i].segment->live -= pieces[i].bytes;
    }
}

void extents_add_live(const struct extent *extents, size_t count)
{
    for (size_t i = 0; i < count; i++)
        extents[i].segment->live += extent_record_bytes(&extents[i]);
}

void extents_drop_live(const struct extent *extents, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        must(extents[i].segment->live >= extent_record_bytes(&extents[i]));
        extents[i].segment->live -= extent_record_bytes(&extents[i]);
    }
}

void stored_settle(const struct stored *stored)
{
    const struct layout *layout = content_layout(stored->content);
    pieces_add_live(stored->pieces, stored->piece_count);
    extents_add_live(layout->extents, layout->count);
}

void stored_leave(const struct stored *stored)
{
    if (stored->is_adrift)
        return;
    const struct layout *layout = content_layout(stored->content);
    pieces_drop_live(stored->pieces, stored->piece_count);
    extents_drop_live(layout->extents, layout->count);
}

void stored_set_adrift(struct stored *stored)
{
    stored_leave(stored);
    stored_set_pieces(stored, NULL, 0);
    stored->is_adrift = true;
}

bool stored_touches(const struct stored *stored, const struct segment *segment)
{
    if (stored->is_adrift)
        return false;
    const struct layout *layout = content_layout(stored->content);
    for (size_t i = 0; i < stored->piece_count; i++)
        if (stored->pieces[i].segment == segment)
            return true;
    for (size_t i = 0; i < layout->count; i++)
        if (layout->extents[i].segment == segment)
            return true;
    return false;
}

/* --- recipients --- */

bool stored_has_ended(const struct stored *stored, uint32_t rcpt)
{
    return stored->ended[rcpt / WORD_BITS] >> rcpt % WORD_BITS & 1;
}

void stored_extend(struct stored *stored, uint32_t count)
{
    size_t had = stored->ended_words, needs = words_for(stored->rcpt_count + count);
    if (needs > had) {
        stored->ended_words = needs > had * 2 ? needs : had * 2;
        stored->ended = mem_resize(stored->ended, stored->ended_words * sizeof *stored->ended);
        memset(stored->ended + had, 0, (stored->ended_words - had) * sizeof *stored->ended);
    }
    stored->rcpt_count += count;
    stored->live += count;
}

bool stored_end(struct stored *stored, uint32_t rcpt)
{
    if (rcpt >= stored->rcpt_count || stored_has_ended(stored, rcpt))
        return false;
    stored->ended[rcpt / WORD_BITS] |= 1ULL << rcpt % WORD_BITS;
    must(stored->live > 0);
    stored->live--;
    return true;
}

void stored_revive(struct stored *stored, uint32_t rcpt)
{
    if (!stored_has_ended(stored, rcpt))
        return;
    stored->ended[rcpt / WORD_BITS] &= ~(1ULL << rcpt % WORD_BITS);
    stored->live++;
}
