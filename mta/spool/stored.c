/* SPDX-License-Identifier: MIT */
#include "mta/spool/stored.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

enum { WORD_BITS = 64 };

void index_init(struct index *index, uint64_t seed)
{
    table_init_by_id(&index->by_id, seed);
}

void index_release(struct index *index)
{
    struct table_id *node;
    for (size_t at = 0; (node = table_each_id(&index->by_id, &at)) != NULL;)
        stored_free(index, CONTAINER_OF(node, struct stored, by_id));
    table_release(&index->by_id);
}

struct stored *stored_find(const struct index *index, uint64_t id)
{
    struct table_id *node = table_find_id(&index->by_id, id);
    return node == NULL ? NULL : CONTAINER_OF(node, struct stored, by_id);
}

struct stored *stored_new(struct index *index, uint64_t id, uint32_t rcpt_count)
{
    if (stored_find(index, id) != NULL)
        return NULL;
    struct stored *stored = mem_new(sizeof *stored);
    stored->id            = id;
    stored->oldest        = SEGMENT_NO_ID;
    stored_extend(stored, rcpt_count);
    table_insert_id(&index->by_id, &stored->by_id);
    return stored;
}

static void drop_pieces(struct stored *stored)
{
    if (stored->piece_count > 1)
        mem_free(stored->pieces.many.all);
    stored->piece_count = 0;
}

void stored_free(struct index *index, struct stored *stored)
{
    must(stored_more(stored)->fates == NULL);
    table_remove_id(&index->by_id, &stored->by_id);
    if (stored->content != NULL)
        content_release(stored->content);
    if (stored->rcpt_count > WORD_BITS)
        mem_free(stored->ended.words);
    drop_pieces(stored);
    mem_free(stored->more);
    mem_free(stored);
}

/* --- what few have --- */

const struct stored_more *stored_more(const struct stored *stored)
{
    static const struct stored_more none;
    return stored->more == NULL ? &none : stored->more;
}

struct stored_more *stored_add_more(struct stored *stored)
{
    if (stored->more == NULL)
        stored->more = mem_new(sizeof *stored->more);
    return stored->more;
}

void stored_tidy(struct stored *stored)
{
    const struct stored_more *more = stored_more(stored);
    if (more->ends_on_the_way + more->joins + more->joins_on_the_way + more->joining > 0 ||
        more->move != NULL || more->fates != NULL || stored_is_growing(stored))
        return;
    mem_free(stored->more);
    stored->more = NULL;
}

void stored_drop_fates(struct stored *stored)
{
    if (stored->more == NULL)
        return;
    mem_free(stored->more->fates);
    stored->more->fates = NULL;
    stored_tidy(stored);
}

/* --- the list it grows from --- */

bool stored_is_growing(const struct stored *stored)
{
    return stored_cursor(stored) != SPOOL_CURSOR_DONE;
}

uint64_t stored_cursor(const struct stored *stored)
{
    return SPOOL_CURSOR_DONE - stored_more(stored)->steps_left;
}

void stored_set_cursor(struct stored *stored, uint64_t cursor)
{
    if (cursor != SPOOL_CURSOR_DONE || stored->more != NULL)
        stored_add_more(stored)->steps_left = SPOOL_CURSOR_DONE - cursor;
    stored_tidy(stored);
}

void stored_move_cursor(struct stored *stored, uint64_t cursor)
{
    if (cursor > stored_cursor(stored))
        stored_set_cursor(stored, cursor);
}

/* --- its records --- */

uint32_t stored_own_pieces(const struct stored *stored)
{
    return stored->piece_count > 1 ? stored->pieces.many.own : stored->piece_count;
}

void stored_set_pieces(struct stored *stored, struct place *pieces, size_t count)
{
    drop_pieces(stored);
    stored->piece_count = (uint32_t)count;
    if (count > 1) {
        stored->pieces.many.all = pieces;
        stored->pieces.many.cap = stored->pieces.many.own = (uint32_t)count;
        return;
    }
    if (count == 1)
        stored->pieces.only = pieces[0];
    mem_free(pieces);
}

void stored_add_pieces(struct stored *stored, const struct place *pieces, size_t count)
{
    uint32_t had = stored->piece_count, have = had + (uint32_t)count;
    must(had > 0);
    if (had == 1 || have > stored->pieces.many.cap) {
        uint32_t cap = have * 2, own = stored_own_pieces(stored);
        struct place *all = mem_new_array(cap, sizeof *all);
        memcpy(all, stored_pieces(stored), had * sizeof *all);
        drop_pieces(stored);
        stored->pieces.many.all = all;
        stored->pieces.many.cap = cap;
        stored->pieces.many.own = own;
    }
    memcpy(stored->pieces.many.all + had, pieces, count * sizeof *pieces);
    stored->piece_count = have;
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
    pieces_add_live(stored_pieces(stored), stored->piece_count);
    extents_add_live(layout->extents, layout->count);
}

void stored_leave(const struct stored *stored)
{
    if (stored->is_adrift)
        return;
    const struct layout *layout = content_layout(stored->content);
    pieces_drop_live(stored_pieces(stored), stored->piece_count);
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
    const struct place *pieces  = stored_pieces(stored);
    for (size_t i = 0; i < stored->piece_count; i++)
        if (pieces[i].segment == segment)
            return true;
    for (size_t i = 0; i < layout->count; i++)
        if (layout->extents[i].segment == segment)
            return true;
    return false;
}

/* --- recipients --- */

static size_t words_for(uint32_t rcpt_count)
{
    return ((size_t)rcpt_count + WORD_BITS - 1) / WORD_BITS;
}

/* Twice what is needed, beyond the first: an append a transaction must not cost all of them. */
static size_t words_kept(uint32_t rcpt_count)
{
    size_t kept = 1;
    while (kept < words_for(rcpt_count))
        kept *= 2;
    return kept;
}

static uint64_t *word_of(struct stored *stored, uint32_t rcpt)
{
    return stored->rcpt_count > WORD_BITS ? &stored->ended.words[rcpt / WORD_BITS]
                                          : &stored->ended.word;
}

bool stored_has_ended(const struct stored *stored, uint32_t rcpt)
{
    return *word_of((struct stored *)stored, rcpt) >> rcpt % WORD_BITS & 1;
}

void stored_extend(struct stored *stored, uint32_t count)
{
    uint32_t needs = stored->rcpt_count + count;
    size_t had = words_kept(stored->rcpt_count), kept = words_kept(needs);
    if (kept > had) {
        uint64_t *words = mem_new_array(kept, sizeof *words);
        memcpy(words, word_of(stored, 0), had * sizeof *words);
        if (had > 1)
            mem_free(stored->ended.words);
        stored->ended.words = words;
    }
    stored->rcpt_count = needs;
    stored->live += count;
}

bool stored_end(struct stored *stored, uint32_t rcpt)
{
    if (rcpt >= stored->rcpt_count || stored_has_ended(stored, rcpt))
        return false;
    *word_of(stored, rcpt) |= 1ULL << rcpt % WORD_BITS;
    must(stored->live > 0);
    stored->live--;
    return true;
}

void stored_revive(struct stored *stored, uint32_t rcpt)
{
    if (!stored_has_ended(stored, rcpt))
        return;
    *word_of(stored, rcpt) &= ~(1ULL << rcpt % WORD_BITS);
    stored->live++;
}
