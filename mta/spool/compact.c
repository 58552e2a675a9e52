/* SPDX-License-Identifier: MIT */
#include "mta/spool/compact.h"
#include "mta/base/bytes.h"
#include "mta/mail/msgid.h"
#include "mta/spool/inside.h"
#include "mta/spool/move.h"

enum {
    ASKS_MAX         = 16,   /* of so many recipients in one turn: about 4 ms */
    LAST_ASKS_MAX    = 64,   /* all at once, when only so many are left: nothing may change then */
    SEEK_STEPS       = 1000, /* messages looked at in one turn */
    RETRY_MS         = 1000,
    DEAD_SEGMENTS    = 2,         /* that much more than what is live may be dead */
    SHORT_ROOM_BYTES = 128 << 10, /* that must be left for facts when no segment can be made */
};

/* --- what is in hand --- */

static void seek_again(struct compact *c)
{
    c->phase      = COMPACT_SEEK;
    c->move       = NULL;
    c->read_count = c->placed = c->placed_bytes = 0;
    if (c->draft != NULL)
        c->draft->is_moving = false;
    c->draft = NULL;
}

static void drop_in_hand(struct spool *s)
{
    if (s->compact.move != NULL)
        move_drop(s->compact.move);
    seek_again(&s->compact);
}

void compact_cancel(struct spool *s)
{
    drop_in_hand(s);
    if (s->txn.is_active && s->txn.last_type == RECORD_CHECKPOINT) {
        move_drop(s->txn.owner);
        txn_abandon(&s->txn);
        s->compact.on_the_way--;
    }
}

static void drop_all(struct spool *s, struct group *group)
{
    struct move *move;
    while ((move = move_at(list_first(&group->moves))) != NULL) {
        move_drop(move);
        s->compact.on_the_way--;
    }
}

void compact_fail(struct spool *s, struct group *group)
{
    drop_all(s, group);
    drop_all(s, s->log.gathering);
    compact_cancel(s);
}

void compact_settle(struct spool *s, struct group *group)
{
    struct move *move;
    while ((move = move_at(list_first(&group->moves))) != NULL) {
        if (move->stored == NULL)
            move_drop(move);
        else
            move_settle(move);
        s->compact.on_the_way--;
    }
}

void compact_forget(struct spool *s, struct stored *stored)
{
    struct move *move = stored_more(stored)->move;
    if (move == NULL)
        return;
    if (move == s->compact.move)
        drop_in_hand(s);
    else
        move_lose(move); /* its group, or the txn, still names it */
}

void compact_forget_draft(struct spool *s, struct draft *draft)
{
    if (s->compact.draft == draft)
        seek_again(&s->compact);
}

/* --- the victim --- */

static bool may_move(const struct spool *s, const struct segment *segment)
{
    return s->keeper.short_of == OK || log_room(&s->log) > 2 * segment->live + SHORT_ROOM_BYTES;
}

static struct segment *choose_victim(const struct spool *s)
{
    struct segment *oldest = NULL;
    uint64_t bytes = 0, live = 0;
    for (struct segment *g = segment_first(&s->log.segments); g != NULL;
         g                 = segment_next(&s->log.segments, g)) {
        if (g->state != SEGMENT_SEALED && g->state != SEGMENT_POISONED)
            continue;
        bytes += g->bytes;
        live += g->live;
        if (oldest == NULL && g->live > 0 && g->busy == 0 && !g->is_stuck)
            oldest = g;
    }
    uint64_t spared = s->keeper.short_of == OK ? DEAD_SEGMENTS * s->config.segment_bytes : 0;
    return oldest != NULL && bytes > 2 * live + spared && may_move(s, oldest) ? oldest : NULL;
}

/* --- seeking --- */

static bool is_movable(const struct stored *stored, const struct segment *victim)
{
    return stored->is_durable && stored->is_known && stored_more(stored)->move == NULL &&
           !stored->is_stuck && stored_touches(stored, victim);
}

static bool may_move_later(const struct stored *stored, const struct segment *victim)
{
    return stored->content != NULL && !stored->is_stuck && stored_touches(stored, victim);
}

static struct draft *find_draft(struct spool *s)
{
    static const enum draft_state states[] = {DRAFT_OPEN, DRAFT_QUEUED};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const struct list *all = &s->drafts[states[i]];
        for (struct list *n = list_first(all); n != NULL; n = list_next(all, n)) {
            struct draft *d = CONTAINER_OF(n, struct draft, link);
            for (size_t j = 0; j < d->extent_count; j++)
                if (d->extents[j].segment == s->compact.victim && d != s->txn.owner)
                    return d;
        }
    }
    return NULL;
}

static void begin_draft(struct spool *s, struct draft *d)
{
    s->compact.draft = d;
    s->compact.phase = COMPACT_READ;
    d->is_moving     = true;
}

/* What is left cannot be moved now, or ever. */
static void give_up_for_now(struct spool *s)
{
    struct compact *c   = &s->compact;
    c->victim->is_stuck = !c->has_waiting && find_draft(s) == NULL &&
                          list_is_empty(&s->log.gathering->commits) && s->log.flying == NULL;
    c->victim   = NULL;
    c->retry_ms = s->now_ms + RETRY_MS;
}

static bool end_pass(struct spool *s)
{
    struct compact *c = &s->compact;
    struct draft *d   = find_draft(s);
    c->cursor         = 0;
    if (d != NULL)
        begin_draft(s, d);
    else if (c->on_the_way == 0) /* else their group wakes us */
        give_up_for_now(s);
    c->has_waiting = false;
    return d != NULL;
}

static bool seek(struct spool *s)
{
    struct compact *c = &s->compact;
    if (c->victim->live == 0) {
        c->victim = NULL; /* the keeper may have it */
        return true;
    }
    for (int i = 0; i < SEEK_STEPS; i++) {
        struct table_id *node = table_each_id(&s->index.by_id, &c->cursor);
        if (node == NULL)
            return end_pass(s);
        struct stored *stored = CONTAINER_OF(node, struct stored, by_id);
        c->has_waiting |= may_move_later(stored, c->victim);
        if (is_movable(stored, c->victim)) {
            c->move  = move_new(stored);
            c->phase = COMPACT_READ;
            return true;
        }
    }
    return true;
}

/* --- reading --- */

static const struct extent *extents_of(const struct compact *c, size_t *count)
{
    *count = c->move != NULL ? c->move->extent_count : c->draft->extent_count;
    return c->move != NULL ? c->move->extents : c->draft->extents;
}

bool compact_take_read(struct spool *s, struct chore *chore)
{
    struct compact *c = &s->compact;
    size_t count;
    if (c->phase != COMPACT_READ)
        return false;
    const struct extent *extents = extents_of(c, &count);
    c->read_count = c->placed = c->placed_bytes = 0;
    for (size_t i = 0; i < count && c->read_count < COMPACT_READS_MAX; i++)
        if (extents[i].segment == c->victim) {
            chore->reads[c->read_count] = extents[i];
            c->reads[c->read_count++]   = i;
        }
    chore->read_count = c->read_count;
    chore->piece      = (struct place){0};
    if (c->move != NULL && c->move->entry.len == 0)
        chore->piece = stored_pieces(c->move->stored)[0];
    c->phase = COMPACT_READING;
    return true;
}

/* A commit that is spoiled cannot bring its message back, so its segment need not stay for it; one
 * that the disk does not give may be there another time. */
static void on_unreadable(struct spool *s, enum status status)
{
    char id[MSGID_TEXT_BYTES];
    struct stored *stored = s->compact.move->stored;
    unsigned long long at = s->compact.victim->id;
    drop_in_hand(s);
    if (status == CORRUPT)
        stored_set_adrift(stored);
    else
        stored->is_stuck = true;
    spool_alarm(s, "the commit of message %s, in segment %016llx of %s, cannot be read: %s",
                msgid_text(stored->id, id), at, s->directory,
                status == CORRUPT ? "it will be lost at a restart" : "the segment stays");
}

static size_t count_lost(const struct chore *chore)
{
    size_t count = 0;
    for (size_t i = 0; i < chore->read_count; i++)
        count += chore->is_lost[i];
    return count;
}

/* The message moves as it is: who reads it comes upon the hole. */
static void tell_lost(struct spool *s)
{
    char id[MSGID_TEXT_BYTES];
    struct stored *stored = s->compact.move->stored;
    if (stored->has_hole)
        return;
    stored->has_hole = true;
    spool_alarm(s, "content of message %s, in segment %016llx of %s, cannot be read",
                msgid_text(stored->id, id), (unsigned long long)s->compact.victim->id,
                s->directory);
}

static void refuse_draft(struct spool *s)
{
    struct draft *d = s->compact.draft;
    drop_in_hand(s);
    draft_fail(d, d->state == DRAFT_OPEN ? DRAFT_OPEN : DRAFT_ENDED, IO_ERROR);
}

void compact_on_read(struct spool *s)
{
    struct compact *c         = &s->compact;
    const struct chore *chore = &s->chore;
    struct span piece         = span_first(buf_span(&chore->read), chore->piece_bytes);
    if (c->phase != COMPACT_READING)
        return; /* called off meanwhile */
    enum status status = chore->read_status;
    if (status == OK && piece.len > 0 && !move_keep_entry(c->move, piece))
        status = CORRUPT;
    if (status != OK) {
        on_unreadable(s, status);
        return;
    }
    if (count_lost(chore) > 0 && c->move == NULL) {
        refuse_draft(s);
        return;
    }
    if (count_lost(chore) > 0)
        tell_lost(s);
    c->phase = COMPACT_PLACE;
}

/* --- writing it again --- */

static void set_extent(struct compact *c, size_t index, const struct extent *fresh)
{
    extents_add_live(fresh, 1);
    if (c->move != NULL) {
        c->move->extents[index]   = *fresh;
        c->move->is_copied[index] = true;
        return;
    }
    extents_drop_live(&c->draft->extents[index], 1); /* nobody was promised anything yet */
    c->draft->extents[index] = *fresh;
    c->draft->last_sequence  = fresh->segment->last_sequence;
}

static enum status place_copy(struct spool *s, size_t index, struct span bytes, bool is_lost)
{
    struct compact *c = &s->compact;
    char head[PAYLOAD_CHUNK_HEAD];
    struct place place;
    struct extent fresh      = {.bytes = (uint32_t)bytes.len};
    struct log_record record = {
        .type = is_lost ? RECORD_LOST : RECORD_CHUNK, .head = {head, sizeof head},
                 .rest = bytes
    };
    bytes_put64(head, c->move != NULL ? 0 : c->draft->number);
    enum status status = log_put(&s->log, &record, &place, &fresh.checksum);
    if (status != OK)
        return status;
    fresh.segment = place.segment;
    fresh.offset  = place.offset;
    set_extent(c, index, &fresh);
    return OK;
}

/* What was read is put at the end of the log. */
static enum status place_copies(struct spool *s)
{
    struct compact *c  = &s->compact;
    struct span read   = span_skip(buf_span(&s->chore.read), s->chore.piece_bytes);
    enum status status = OK;
    size_t count;
    while (status == OK && c->placed < c->read_count) {
        size_t index = c->reads[c->placed];
        struct span bytes =
            span_first(span_skip(read, c->placed_bytes), extents_of(c, &count)[index].bytes);
        status = place_copy(s, index, bytes, s->chore.is_lost[c->placed]);
        if (status == OK) {
            c->placed++;
            c->placed_bytes += bytes.len;
        }
    }
    return status;
}

static bool has_more(const struct compact *c)
{
    size_t count;
    const struct extent *extents = extents_of(c, &count);
    for (size_t i = 0; i < count; i++)
        if (extents[i].segment == c->victim)
            return true;
    return false;
}

static bool place_read(struct spool *s)
{
    struct compact *c = &s->compact;
    if (s->txn.is_active || log_backlog(&s->log) > s->config.backlog_bytes_max / 2)
        return false;
    enum status status = place_copies(s);
    if (status == AGAIN && keeper_verdict(s) == OK)
        return false;
    if (status != OK) {
        drop_in_hand(s);
        c->victim   = NULL;
        c->retry_ms = s->now_ms + RETRY_MS;
        return false;
    }
    if (has_more(c))
        c->phase = COMPACT_READ;
    else if (c->move != NULL)
        c->phase = COMPACT_ASK;
    else
        seek_again(c);
    return true;
}

/* Not while a report that ends one of its recipients is on its way, or others join: the checkpoint
 * would stand behind it, and not know of it. */
static bool may_ask(const struct spool *s)
{
    return s->compact.phase == COMPACT_ASK && !s->txn.is_active && !log_is_broken(&s->log) &&
           stored_more(s->compact.move->stored)->ends_on_the_way == 0 &&
           stored_more(s->compact.move->stored)->joins_on_the_way == 0;
}

bool compact_waits_for(const struct spool *s, const struct stored *stored)
{
    const struct move *move = s->compact.move;
    if (s->compact.phase != COMPACT_ASK || move->stored != stored)
        return false;
    return move->ranges == NULL ? stored->rcpt_count <= LAST_ASKS_MAX * MOVE_RANGE_RCPTS
                                : move->due_count <= LAST_ASKS_MAX;
}

bool compact_turn(struct spool *s)
{
    struct compact *c = &s->compact;
    if (log_is_broken(&s->log) || log_owes_head(&s->log) || !recover_is_over(&s->recover))
        return false;
    if (c->victim == NULL && s->now_ms >= c->retry_ms) {
        c->victim      = choose_victim(s);
        c->cursor      = 0;
        c->has_waiting = false;
    }
    if (c->victim == NULL)
        return false;
    switch (c->phase) {
    case COMPACT_SEEK:
        return seek(s);
    case COMPACT_PLACE:
        return place_read(s);
    case COMPACT_READ:
    case COMPACT_READING:
    case COMPACT_PHASE_COUNT:
        return false; /* the helping thread wakes us */
    case COMPACT_ASK:
        c->asked = 0;
        return may_ask(s); /* by the engine, before the next turn of the spool */
    }
    return false;
}

/* --- the checkpoint --- */

bool spool_wants_checkpoint(struct spool *s, uint64_t *id, uint32_t *first, uint32_t *count)
{
    struct compact *c = &s->compact;
    if (!may_ask(s) || !move_next_range(c->move, first, count))
        return false;
    if (c->asked >= ASKS_MAX && c->move->due_count > LAST_ASKS_MAX)
        return false; /* it goes on in the next turn */
    *id = c->move->stored->id;
    return true;
}

static void tell_mismatch(struct spool *s, struct stored *stored)
{
    char id[MSGID_TEXT_BYTES];
    stored->is_stuck = true;
    spool_alarm(s, "message %s in %s is not what the queue says of it: its segment %016llx stays",
                msgid_text(stored->id, id), s->directory,
                (unsigned long long)s->compact.victim->id);
}

/* All is known and nothing has changed since. */
static void begin_checkpoint(struct spool *s)
{
    struct compact *c = &s->compact;
    struct move *move = c->move;
    struct buf stream = {0}, *rest;
    size_t rest_count;
    move->covered = move->stored->piece_count;
    move_put_stream(move, &stream, &rest, &rest_count);
    seek_again(c); /* the move is the txn's now */
    c->on_the_way++;
    txn_begin(&s->txn, RECORD_CHECKPOINT, move->stored->id, &stream, move);
    txn_add_rest(&s->txn, rest, rest_count);
    (void)spool_place_txn(s);
}

void spool_put_checkpoint(struct spool *s, uint64_t id, const uint32_t *indexes,
                          const struct spool_rcpt *rcpts, size_t count)
{
    struct compact *c = &s->compact;
    if (!may_ask(s) || c->move->stored->id != id || c->move->ranges == NULL)
        return;
    c->asked++;
    if (!move_put_range(c->move, indexes, rcpts, count)) {
        tell_mismatch(s, c->move->stored);
        drop_in_hand(s);
        return;
    }
    if (c->move->due_count == 0)
        move_check_ranges(c->move);
    if (c->move->due_count == 0)
        begin_checkpoint(s);
}

void compact_touch(struct stored *stored, uint32_t rcpt)
{
    if (stored_more(stored)->move != NULL)
        move_touch(stored->more->move, rcpt);
}

void compact_grow(struct stored *stored, uint32_t first)
{
    if (stored_more(stored)->move != NULL)
        move_grow(stored->more->move, first);
}

void compact_on_placed(struct spool *s, struct move *move)
{
    move->pieces = txn_finish(&s->txn, &move->piece_count);
    list_push(&s->log.gathering->moves, &move->link);
}
