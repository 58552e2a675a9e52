/* SPDX-License-Identifier: MIT */
/*
 * Drafts: content goes into the log as it comes, 16 KiB at a time; the commit waits in a queue for
 * its place in the log, then in a group for the disk.  Every byte of a draft counts as live until
 * it is aborted, or its message has ended.
 */
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/spool/inside.h"

enum { EXTENTS_MIN = 4 };

#define TO(state) (1u << (state))
static const unsigned may_follow[DRAFT_STATE_COUNT] = {
    [DRAFT_OPEN]   = TO(DRAFT_QUEUED) | TO(DRAFT_ENDED),
    [DRAFT_QUEUED] = TO(DRAFT_FLYING) | TO(DRAFT_CUT) | TO(DRAFT_ENDED),
    [DRAFT_FLYING] = TO(DRAFT_ENDED) | TO(DRAFT_CUT),
    [DRAFT_CUT]    = TO(DRAFT_ENDED),
    [DRAFT_ENDED]  = TO(DRAFT_TAKEN),
    [DRAFT_TAKEN]  = 0,
};

static void enter(struct draft *d, enum draft_state next)
{
    must(d->kind == DRAFT_KIND && (may_follow[d->state] & TO(next)));
    d->state = next;
    list_remove(&d->link);
    if (next == DRAFT_FLYING)
        list_push(&d->spool->log.gathering->commits, &d->link);
    else if (next != DRAFT_TAKEN)
        list_push(&d->spool->drafts[next], &d->link);
}

static struct draft *draft_at(struct list *node)
{
    return node == NULL ? NULL : CONTAINER_OF(node, struct draft, link);
}

static struct draft *first_of(const struct spool *s, enum draft_state state)
{
    return draft_at(list_first(&s->drafts[state]));
}

/* It joins no more. */
static void undo_join(struct draft *d)
{
    struct stored *stored = stored_find(&d->spool->index, d->id);
    pieces_drop_live(d->pieces, d->piece_count);
    d->piece_count = 0;
    if (!d->is_counted || stored == NULL)
        return; /* NULL: the message was lost with it */
    d->is_counted = false;
    stored->more->joins--;
    if (d->state == DRAFT_FLYING) {
        stored->more->joins_on_the_way--;
        stored->more->joining -= d->rcpt_count;
    }
    stored_tidy(stored);
    if (stored->is_durable)
        spool_let_go(d->spool, stored);
}

/* Nothing it has in the log is needed any more. */
static void undo(struct draft *d)
{
    if (d->is_join)
        undo_join(d);
    compact_forget_draft(d->spool, d);
    extents_drop_live(d->extents, d->extent_count);
    d->extent_count = 0;
    if (d->stored != NULL && !d->stored->is_durable) {
        pieces_drop_live(stored_pieces(d->stored), d->stored->piece_count);
        stored_free(&d->spool->index, d->stored);
    }
    d->stored = NULL;
}

static void draft_free(struct draft *d)
{
    list_remove(&d->link);
    mem_free(d->extents);
    mem_free(d->ends);
    mem_free(d->pieces);
    buf_release(&d->pending);
    buf_release(&d->front);
    d->kind = 0;
    mem_free(d);
}

/* The first failure is the one that is told. */
void draft_fail(struct draft *d, enum draft_state next, enum status status)
{
    if (d->spool->txn.is_active && d->spool->txn.owner == d)
        txn_abandon(&d->spool->txn);
    undo(d);
    buf_release(&d->pending);
    if (d->status == OK)
        d->status = status;
    if (next != d->state)
        enter(d, next);
}

struct draft *draft_open(struct spool *s)
{
    s->keeper.wants_space = true;
    if (!spool_has_room(s))
        return NULL;
    struct draft *d = mem_new(sizeof *d);
    d->kind         = DRAFT_KIND;
    d->spool        = s;
    d->number       = (uint64_t)s->log.generation << 32 | ++s->next_draft;
    list_push(&s->drafts[DRAFT_OPEN], &d->link);
    return d;
}

/* --- content --- */

static void add_extent(struct draft *d, const struct extent *extent)
{
    if (d->extent_count == d->extent_cap) {
        d->extent_cap = d->extent_cap == 0 ? EXTENTS_MIN : d->extent_cap * 2;
        d->extents    = mem_resize(d->extents, d->extent_cap * sizeof *d->extents);
    }
    d->extents[d->extent_count++] = *extent;
    extents_add_live(extent, 1);
}

static enum status place_chunk(struct draft *d, struct span content)
{
    struct spool *s = d->spool;
    char head[PAYLOAD_CHUNK_HEAD];
    struct place place;
    struct extent extent     = {.bytes = (uint32_t)content.len};
    struct log_record record = {
        .type = RECORD_CHUNK, .is_content = true, .head = {head, sizeof head},
                .rest = content
    };
    if (s->txn.is_active)
        return AGAIN;
    bytes_put64(head, d->number);
    enum status status = log_put(&s->log, &record, &place, &extent.checksum);
    if (status != OK)
        return status;
    extent.segment   = place.segment;
    extent.offset    = place.offset;
    d->last_sequence = place.segment->last_sequence;
    add_extent(d, &extent);
    return OK;
}

/* Full chunks of 'content'; with 'all' the rest too.  Tells how far it went. */
static enum status place_content(struct draft *d, struct span content, bool all, size_t *done)
{
    enum status status = OK;
    *done              = 0;
    while (status == OK && *done < content.len) {
        struct span chunk = span_first(span_skip(content, *done), DRAFT_CHUNK_BYTES);
        if (chunk.len < DRAFT_CHUNK_BYTES && !all)
            break;
        status = place_chunk(d, chunk);
        if (status == OK)
            *done += chunk.len;
    }
    return status;
}

static enum status place_pending(struct draft *d, bool all)
{
    size_t done;
    enum status status = place_content(d, buf_span(&d->pending), all, &done);
    buf_drop(&d->pending, done);
    if (d->pending.len == 0)
        buf_release(&d->pending);
    if (status == AGAIN)
        d->spool->is_stalled = true;
    return status;
}

/* AGAIN is no failure as long as a segment may come. */
static enum status judged(const struct spool *s, enum status status)
{
    if (status != AGAIN)
        return status;
    return s->txn.is_active ? OK : keeper_verdict(s);
}

enum status draft_write(struct draft *d, struct span content)
{
    size_t done        = 0;
    enum status status = OK;
    must(d->kind == DRAFT_KIND && d->state == DRAFT_OPEN);
    if (d->status != OK)
        return d->status;
    d->bytes += content.len;
    if (d->pending.len == 0)
        status = place_content(d, content, false, &done); /* without a copy between */
    buf_put(&d->pending, span_skip(content, done));
    if (status == OK && d->pending.len >= DRAFT_CHUNK_BYTES)
        status = place_pending(d, false);
    if (status == AGAIN)
        d->spool->is_stalled = true;
    status = judged(d->spool, status);
    if (status != OK)
        draft_fail(d, DRAFT_OPEN, status);
    return d->status;
}

bool draft_should_wait(const struct draft *d)
{
    return d->pending.len >= DRAFT_CHUNK_BYTES ||
           log_backlog(&d->spool->log) > d->spool->config.backlog_bytes_max;
}

uint64_t draft_bytes(const struct draft *d)
{
    return d->bytes;
}

/* --- commit --- */

static void put_front(struct draft *d, const struct spool_entry *entry,
                      const struct envelope_rcpt *rcpts, const struct spool_end *ends)
{
    payload_put_entry(&d->front, entry);
    payload_put_rcpts_head(&d->front, d->rcpt_count, d->rcpt_count);
    for (uint32_t i = 0; i < d->rcpt_count; i++)
        payload_put_fresh_rcpt(&d->front, i, &rcpts[i]);
    payload_put_ends(&d->front, ends, d->end_count);
}

static void keep_ends(struct draft *d, const struct spool_end *ends)
{
    if (d->end_count == 0)
        return;
    d->ends = mem_new_array(d->end_count, sizeof *d->ends);
    for (size_t i = 0; i < d->end_count; i++)
        d->ends[i] = ends[i];
}

/* NOLINTNEXTLINE(readability-function-size): two lists, each with its length */
void draft_commit(struct draft *d, const struct spool_entry *entry,
                  const struct envelope_rcpt *rcpts, size_t rcpt_count,
                  const struct spool_end *ends, size_t end_count)
{
    struct spool *s = d->spool;
    must(d->kind == DRAFT_KIND && d->state == DRAFT_OPEN);
    must(rcpt_count > 0 && rcpt_count <= PAYLOAD_RCPTS_MAX);
    d->id         = entry->id;
    d->rcpt_count = (uint32_t)rcpt_count;
    d->end_count  = end_count;
    if (d->status == OK) {
        d->stored = stored_new(&s->index, d->id, d->rcpt_count);
        d->status = d->stored == NULL ? EXISTS : OK;
    }
    if (d->status != OK) {
        draft_fail(d, DRAFT_ENDED, d->status);
        return;
    }
    must(entry->is_open || !entry->is_growing);
    d->stored->is_open = entry->is_open;
    if (entry->is_growing)
        stored_set_cursor(d->stored, entry->cursor);
    put_front(d, entry, rcpts, ends);
    keep_ends(d, ends);
    enter(d, DRAFT_QUEUED);
}

static void ask_to_join(struct draft *d, uint64_t id, const struct envelope_rcpt *rcpts,
                        size_t rcpt_count)
{
    struct stored *stored = stored_find(&d->spool->index, id);
    must(d->kind == DRAFT_KIND && d->state == DRAFT_OPEN && d->bytes == 0);
    must(rcpt_count <= PAYLOAD_RCPTS_MAX);
    d->id         = id;
    d->is_join    = true;
    d->rcpt_count = (uint32_t)rcpt_count;
    if (d->status == OK && (stored == NULL || !stored->is_open))
        d->status = IO_ERROR; /* its commit was refused, and nobody has heard of it yet */
    if (d->status != OK) {
        draft_fail(d, DRAFT_ENDED, d->status);
        return;
    }
    d->is_counted = true;
    stored_add_more(stored)->joins++;
    payload_put_rcpts_head(&d->front, d->rcpt_count, d->rcpt_count);
    for (uint32_t i = 0; i < d->rcpt_count; i++)
        payload_put_fresh_rcpt(&d->front, i, &rcpts[i]);
    enter(d, DRAFT_QUEUED);
}

void draft_join(struct draft *d, uint64_t id, const struct envelope_rcpt *rcpts, size_t rcpt_count)
{
    must(rcpt_count > 0);
    ask_to_join(d, id, rcpts, rcpt_count);
}

void draft_grow(struct draft *d, uint64_t id, const struct envelope_rcpt *rcpts, size_t rcpt_count,
                uint64_t cursor)
{
    d->is_growing = true;
    d->cursor     = cursor;
    ask_to_join(d, id, rcpts, rcpt_count);
}

static void put_content(struct draft *d, struct buf *stream)
{
    payload_put_content_head(stream, d->bytes, (uint32_t)d->extent_count);
    for (size_t i = 0; i < d->extent_count; i++) {
        const struct extent *extent = &d->extents[i];
        struct payload_extent row   = {extent->segment->id, extent->offset, extent->bytes,
                                       extent->checksum};
        payload_put_extent(stream, &row);
    }
}

/* Which recipients they are is known only now: those before may have been refused. */
static enum status place_join(struct draft *d)
{
    struct spool *s       = d->spool;
    struct stored *stored = stored_find(&s->index, d->id);
    struct buf stream     = {0};
    if (stored == NULL)
        return IO_ERROR; /* its commit was refused */
    uint32_t first = stored->rcpt_count + stored_more(stored)->joining;
    if (first > PAYLOAD_RCPTS_MAX - d->rcpt_count)
        return NO_SPACE;
    if (compact_waits_for(s, stored))
        return AGAIN; /* its checkpoint comes first, or might never come */
    struct payload_joins joins = {.first = first, .is_growing = d->is_growing, .cursor = d->cursor};
    payload_put_joins_head(&stream, &joins);
    buf_put(&stream, buf_span(&d->front));
    txn_begin(&s->txn, RECORD_APPEND, d->id, &stream, d);
    return OK;
}

static enum status place_draft(struct draft *d)
{
    if (d->is_join)
        return place_join(d);
    struct spool *s    = d->spool;
    enum status status = place_pending(d, true);
    if (status != OK)
        return status;
    if (d->is_moving)
        return AGAIN; /* compaction gives it other extents in a moment */
    put_content(d, &d->front);
    txn_begin(&s->txn, RECORD_COMMIT, d->id, &d->front, d);
    return OK;
}

/* What ends with this commit ends by its record; a checkpoint of it would not know that yet. */
static void begin_ends(struct draft *d, struct segment *segment)
{
    for (size_t i = 0; i < d->end_count; i++) {
        struct stored *about = stored_find(&d->spool->index, d->ends[i].id);
        if (about != NULL) {
            segment_pin(segment, spool_oldest(d->spool, about));
            stored_add_more(about)->ends_on_the_way++;
        }
    }
}

/* The commit is durable, or lost. */
static void finish_ends(struct draft *d, bool is_durable)
{
    for (size_t i = 0; i < d->end_count; i++) {
        struct stored *about = stored_find(&d->spool->index, d->ends[i].id);
        if (about == NULL)
            continue;
        must(stored_more(about)->ends_on_the_way > 0);
        about->more->ends_on_the_way--;
        stored_tidy(about);
        if (is_durable && stored_end(about, d->ends[i].rcpt))
            spool_let_go(d->spool, about);
    }
}

/* The cursor must not be forgotten as long as an older one can be read. */
static void pin_cursor(const struct draft *d, const struct stored *stored)
{
    for (size_t i = 0; i < d->piece_count && d->is_growing; i++)
        segment_pin(d->pieces[i].segment, spool_oldest(d->spool, stored));
}

static void join_on_placed(struct draft *d, struct place *pieces, size_t count)
{
    struct stored *stored = stored_find(&d->spool->index, d->id);
    must(stored != NULL && d->is_counted);
    d->pieces      = pieces;
    d->piece_count = count;
    pin_cursor(d, stored);
    stored->more->joining += d->rcpt_count;
    stored->more->joins_on_the_way++;
    enter(d, DRAFT_FLYING);
}

void draft_on_placed(struct draft *d)
{
    size_t count;
    struct place *pieces = txn_finish(&d->spool->txn, &count);
    if (d->is_join) {
        join_on_placed(d, pieces, count);
        return;
    }
    d->stored->oldest = pieces[0].segment->id;
    begin_ends(d, pieces[count - 1].segment);
    stored_set_pieces(d->stored, pieces, count);
    enter(d, DRAFT_FLYING);
}

static void place_stalled(struct spool *s)
{
    struct list *next, *open = &s->drafts[DRAFT_OPEN];
    if (!s->is_stalled)
        return;
    s->is_stalled = false;
    for (struct list *n = list_first(open); n != NULL; n = next) {
        struct draft *d = draft_at(n);
        next            = list_next(open, n);
        if (d->status == OK && d->pending.len >= DRAFT_CHUNK_BYTES) {
            enum status status = judged(s, place_pending(d, false));
            if (status != OK)
                draft_fail(d, DRAFT_OPEN, status);
        }
    }
}

void drafts_place(struct spool *s)
{
    struct draft *d;
    enum status status = s->txn.is_active ? AGAIN : OK;
    while (status == OK && (d = first_of(s, DRAFT_QUEUED)) != NULL) {
        status = place_draft(d);
        if (status == OK) {
            status = spool_place_txn(s);
        } else if (judged(s, status) != OK) {
            draft_fail(d, DRAFT_ENDED, judged(s, status));
            status = OK;
        }
    }
    if (status == AGAIN)
        s->is_stalled = true;
    if (!s->txn.is_active)
        place_stalled(s);
}

/* --- how it ended --- */

static void settle_join(struct draft *d)
{
    struct stored *stored = stored_find(&d->spool->index, d->id);
    must(stored != NULL && stored->is_durable && stored_more(stored)->joining >= d->rcpt_count);
    stored->more->joining -= d->rcpt_count;
    stored_extend(stored, d->rcpt_count);
    if (d->is_growing)
        stored_move_cursor(stored, d->cursor);
    compact_grow(stored, stored->rcpt_count - d->rcpt_count);
    stored_add_pieces(stored, d->pieces, d->piece_count);
    d->piece_count = 0; /* they are the message's now */
    d->spool->counted.appends++;
}

/* The engine knows those who joined: it can be asked of them. */
static void take_join(struct draft *d)
{
    struct stored *stored = stored_find(&d->spool->index, d->id);
    must(stored != NULL && d->is_counted);
    d->is_counted = false;
    stored->more->joins--;
    stored->more->joins_on_the_way--;
    stored_tidy(stored);
}

static void settle_commit(struct draft *d)
{
    struct spool *s       = d->spool;
    struct stored *stored = d->stored;
    stored->content       = content_new(&s->contents, d->extents, d->extent_count);
    stored->is_durable    = true;
    d->extent_count       = 0; /* they are the message's now */
    s->counted.commits++;
    finish_ends(d, true);
}

static void settle(struct draft *d)
{
    if (d->is_join)
        settle_join(d);
    else
        settle_commit(d);
    enter(d, DRAFT_ENDED);
    if (d->is_abandoned)
        draft_free(d);
}

void drafts_settle(struct group *group)
{
    struct draft *d;
    while ((d = draft_at(list_first(&group->commits))) != NULL)
        settle(d);
}

static void fail_commits(struct group *group, enum status status)
{
    struct draft *d;
    while ((d = draft_at(list_first(&group->commits))) != NULL) {
        finish_ends(d, false);
        draft_fail(d, DRAFT_CUT, status);
    }
}

static void fail_with_lost_chunks(struct spool *s, enum draft_state state, enum draft_state next,
                                  enum status status)
{
    struct list *following, *all = &s->drafts[state];
    for (struct list *n = list_first(all); n != NULL; n = following) {
        struct draft *d = draft_at(n);
        following       = list_next(all, n);
        if (d->last_sequence > s->log.durable || d == s->txn.owner)
            draft_fail(d, next, status);
    }
}

void drafts_fail(struct spool *s, struct group *group, enum status status)
{
    fail_commits(group, status);
    fail_commits(s->log.gathering, status);
    fail_with_lost_chunks(s, DRAFT_QUEUED, DRAFT_CUT, status);
    fail_with_lost_chunks(s, DRAFT_OPEN, DRAFT_OPEN, status);
}

void drafts_release_cut(struct spool *s)
{
    struct draft *d;
    if (log_owes_head(&s->log) && !log_is_broken(&s->log))
        return;
    while ((d = first_of(s, DRAFT_CUT)) != NULL) {
        enter(d, DRAFT_ENDED);
        if (d->is_abandoned)
            draft_free(d);
    }
}

void drafts_refuse_waiting(struct spool *s, enum status status)
{
    struct draft *d;
    struct list *next, *open = &s->drafts[DRAFT_OPEN];
    if (!s->is_stalled)
        return;
    while ((d = first_of(s, DRAFT_QUEUED)) != NULL)
        draft_fail(d, DRAFT_ENDED, status);
    for (struct list *n = list_first(open); n != NULL; n = next) {
        d    = draft_at(n);
        next = list_next(open, n);
        if (d->status == OK && d->pending.len >= DRAFT_CHUNK_BYTES)
            draft_fail(d, DRAFT_OPEN, status);
    }
}

void draft_set_owner(struct draft *d, void *owner)
{
    must(d->kind == DRAFT_KIND);
    d->owner = owner;
}

void *draft_owner(const struct draft *d)
{
    return d->owner;
}

uint64_t draft_id(const struct draft *d)
{
    return d->id;
}

struct draft *spool_take_committed(struct spool *s, enum status *status, struct content **content)
{
    spool_take_done(s);
    struct draft *d = first_of(s, DRAFT_ENDED);
    if (d == NULL)
        return NULL;
    enter(d, DRAFT_TAKEN);
    *status  = d->status;
    *content = NULL;
    if (d->status == OK && d->is_join) {
        take_join(d);
    } else if (d->status == OK) {
        d->stored->is_known = true;
        *content            = content_hold(d->stored->content);
        d->stored           = NULL;
    }
    return d;
}

/* On its way already: it comes to its end without anybody who would hear of it. */
static void abandon(struct draft *d)
{
    d->is_abandoned = true;
    d->owner        = NULL;
}

void draft_abort(struct draft *d)
{
    must(d->kind == DRAFT_KIND);
    switch (d->state) {
    case DRAFT_FLYING:
    case DRAFT_CUT:
        abandon(d);
        return;
    case DRAFT_OPEN:
    case DRAFT_QUEUED:
        if (d->spool->txn.is_active && d->spool->txn.owner == d)
            txn_abandon(&d->spool->txn);
        undo(d);
        break;
    case DRAFT_ENDED:
    case DRAFT_TAKEN:
    case DRAFT_STATE_COUNT:
        break;
    }
    draft_free(d);
}

void drafts_free_all(struct spool *s)
{
    struct draft *d;
    for (size_t i = 0; i < sizeof s->log.groups / sizeof s->log.groups[0]; i++)
        while ((d = draft_at(list_first(&s->log.groups[i].commits))) != NULL) {
            undo(d);
            draft_free(d);
        }
    for (int state = 0; state < DRAFT_STATE_COUNT; state++)
        while ((d = first_of(s, (enum draft_state)state)) != NULL) {
            undo(d);
            draft_free(d);
        }
}
