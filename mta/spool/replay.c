/* SPDX-License-Identifier: MIT */
#include "mta/spool/replay.h"
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/msgid.h"
#include "mta/spool/inside.h"
#include <stdlib.h>
#include <string.h>

enum { GROWTH_MIN = 16, TRANSACTION_BYTES_MAX = 1 << 30 };

void replay_init(struct replay *replay, struct spool *s, struct found *segments, size_t count)
{
    *replay = (struct replay){.spool = s, .segments = segments, .count = count};
    list_init(&replay->late_ends);
}

static struct late_ends *first_late(const struct replay *replay)
{
    struct list *first = list_first(&replay->late_ends);
    return first == NULL ? NULL : CONTAINER_OF(first, struct late_ends, link);
}

void replay_release(struct replay *replay)
{
    struct late_ends *late;
    while ((late = first_late(replay)) != NULL) {
        list_remove(&late->link);
        mem_free(late);
    }
    buf_release(&replay->stream);
    mem_free(replay->pieces);
}

static void count_corrupt(struct replay *replay, const struct found *in,
                          const struct scanned *found, const char *what)
{
    struct spool *s = replay->spool;
    s->recover.report.corrupt_records++;
    spool_alarm(s, "segment %016llx in %s: a record (%s) at offset %llu %s; it is left out",
                (unsigned long long)in->segment->id, s->directory,
                record_type_text(found->record.type), (unsigned long long)found->offset, what);
}

/* --- chunks --- */

static void on_chunk(struct replay *replay, struct found *in, const struct scanned *found)
{
    struct span payload = found->record.payload;
    if (payload.len <= PAYLOAD_CHUNK_HEAD) {
        count_corrupt(replay, in, found, "makes no sense");
        return;
    }
    if (in->chunk_count == in->chunk_cap) {
        in->chunk_cap = in->chunk_cap == 0 ? GROWTH_MIN : in->chunk_cap * 2;
        in->chunks    = mem_resize(in->chunks, in->chunk_cap * sizeof *in->chunks);
    }
    in->chunks[in->chunk_count++] =
        (struct found_chunk){.draft    = bytes_get64(payload.at),
                             .checksum = found->checksum,
                             .offset   = (uint32_t)found->offset,
                             .bytes    = (uint32_t)(payload.len - PAYLOAD_CHUNK_HEAD)};
}

static int by_id(const void *a, const void *b)
{
    uint64_t id            = *(const uint64_t *)a;
    const struct found *in = b;
    return id < in->segment->id ? -1 : id > in->segment->id;
}

static int by_offset(const void *a, const void *b)
{
    uint32_t offset                 = *(const uint32_t *)a;
    const struct found_chunk *chunk = b;
    return offset < chunk->offset ? -1 : offset > chunk->offset;
}

/* Where the extent is; false: it is not there. */
static bool resolve(const struct replay *replay, const struct payload_extent *row,
                    struct extent *extent)
{
    struct found *in =
        bsearch(&row->segment, replay->segments, replay->count, sizeof *replay->segments, by_id);
    struct found_chunk *chunk =
        in == NULL || in->chunk_count == 0
            ? NULL
            : bsearch(&row->offset, in->chunks, in->chunk_count, sizeof *in->chunks, by_offset);
    if (chunk == NULL || chunk->bytes != row->bytes || chunk->checksum != row->checksum)
        return false;
    chunk->is_used = true;
    *extent        = (struct extent){.segment  = in->segment,
                                     .checksum = row->checksum,
                                     .offset   = row->offset,
                                     .bytes    = row->bytes};
    return true;
}

/* --- ends --- */

static void end_one(struct replay *replay, struct stored *stored, uint32_t rcpt);

static void apply_late(struct replay *replay, struct late_ends *late)
{
    list_remove(&late->link);
    for (size_t i = 0; i < late->count; i++) {
        struct stored *stored = stored_find(&replay->spool->index, late->ends[i].id);
        if (stored != NULL)
            end_one(replay, stored, late->ends[i].rcpt);
    }
    mem_free(late);
}

static struct late_ends *late_of(const struct replay *replay, uint64_t id)
{
    for (struct list *n = list_first(&replay->late_ends); n != NULL;
         n              = list_next(&replay->late_ends, n))
        if (CONTAINER_OF(n, struct late_ends, link)->id == id)
            return CONTAINER_OF(n, struct late_ends, link);
    return NULL;
}

static void forget(struct replay *replay, struct stored *stored)
{
    struct late_ends *late = stored->is_incomplete ? late_of(replay, stored->id) : NULL;
    stored_drop_fates(stored);
    stored_free(&replay->spool->index, stored);
    if (late != NULL)
        apply_late(replay, late); /* it was whole: it could end */
}

static void on_all_ended(struct replay *replay, struct stored *stored)
{
    if (!stored->is_open) {
        forget(replay, stored);
        return;
    }
    struct late_ends *late = stored->is_incomplete ? late_of(replay, stored->id) : NULL;
    stored_drop_fates(stored);
    if (late != NULL)
        apply_late(replay, late);
}

static void end_one(struct replay *replay, struct stored *stored, uint32_t rcpt)
{
    if (stored_end(stored, rcpt) && stored->live == 0)
        on_all_ended(replay, stored);
}

static void on_ends(struct replay *replay, struct found *in, uint64_t id, struct reader *r,
                    bool is_late)
{
    uint32_t count;
    if (!payload_read_ends_head(r, &count) || count == 0)
        return;
    struct late_ends *late = mem_new(sizeof *late + count * sizeof late->ends[0]);
    late->id               = id;
    for (; late->count < count && payload_read_end(r, &late->ends[late->count]); late->count++) {
        const struct stored *about = stored_find(&replay->spool->index, late->ends[late->count].id);
        if (about != NULL)
            segment_pin(in->segment, about->oldest);
    }
    list_push(&replay->late_ends, &late->link);
    if (!is_late)
        apply_late(replay, late);
}

/* --- transactions --- */

/* What a stream says, beside its recipients' addresses. */
struct told {
    uint64_t id, cursor;
    bool is_open;
    uint32_t total;
    struct span rcpts, ends; /* the stream from there on */
    uint32_t given;
    struct extent *extents;
    size_t extent_count;
    bool is_whole; /* the content is all there */
};

static bool skip_rcpts(struct reader *r, struct told *told)
{
    struct payload_rcpt rcpt;
    uint64_t expected = 0;
    for (uint32_t i = 0; i < told->given; i++) {
        if (!payload_read_rcpt(r, &rcpt) || rcpt.index < expected || rcpt.index >= told->total)
            return false; /* indexes grow */
        expected = rcpt.index + 1ULL;
    }
    return true;
}

static bool skip_ends(struct reader *r)
{
    uint32_t count;
    struct spool_end end;
    if (!payload_read_ends_head(r, &count))
        return false;
    while (count-- > 0)
        if (!payload_read_end(r, &end))
            return false;
    return true;
}

static bool read_content(const struct replay *replay, struct reader *r, struct told *told)
{
    uint64_t bytes, sum = 0;
    uint32_t count;
    struct payload_extent row;
    if (!payload_read_content_head(r, &bytes, &count))
        return false;
    told->extents  = mem_new_array(count, sizeof *told->extents);
    told->is_whole = true;
    for (uint32_t i = 0; i < count; i++) {
        if (!payload_read_extent(r, &row))
            return false;
        sum += row.bytes;
        if (!resolve(replay, &row, &told->extents[told->extent_count]))
            told->is_whole = false;
        else
            told->extent_count++;
    }
    return sum == bytes && r->rest.len == 0;
}

static bool read_stream(const struct replay *replay, struct span stream, struct told *told)
{
    struct reader r = {stream, false};
    struct payload_entry entry;
    if (!payload_read_entry(&r, &entry) ||
        !payload_read_rcpts_head(&r, &told->total, &told->given) || told->total == 0)
        return false;
    told->id      = entry.id;
    told->cursor  = entry.cursor;
    told->is_open = entry.is_open || entry.is_growing;
    told->rcpts   = r.rest;
    if (!skip_rcpts(&r, told))
        return false;
    told->ends = r.rest;
    return skip_ends(&r) && read_content(replay, &r, told);
}

/* A checkpoint tells of those who have not ended, and only of them. */
static void take_states(struct replay *replay, struct stored *stored, const struct told *told)
{
    struct reader r = {told->rcpts, false};
    struct payload_rcpt rcpt;
    uint32_t next = 0;
    for (uint32_t i = 0; i <= told->given; i++) {
        bool is_one    = i < told->given && payload_read_rcpt(&r, &rcpt);
        uint32_t until = is_one ? rcpt.index : told->total;
        for (; next < until; next++)
            (void)stored_end(stored, next);
        if (is_one)
            stored_revive(stored, next);
        next = until + 1;
    }
    if (stored->live == 0)
        on_all_ended(replay, stored);
}

static void set_content(struct replay *replay, struct stored *stored, const struct told *told)
{
    if (stored->content != NULL)
        content_release(stored->content);
    stored->content = content_new(&replay->spool->contents, told->extents, told->extent_count);
    stored->is_incomplete = !told->is_whole;
    stored_set_pieces(stored, replay->pieces, replay->piece_count);
    replay->pieces      = NULL;
    replay->piece_count = replay->piece_cap = 0;
}

static void on_commit(struct replay *replay, struct found *in, const struct told *told)
{
    struct spool *s    = replay->spool;
    struct stored *old = stored_find(&s->index, told->id);
    if (told->id > s->recover.report.last_id)
        s->recover.report.last_id = told->id;
    if (old != NULL)
        forget(replay, old); /* the id came twice: the later one is the message */
    struct stored *stored = stored_new(&s->index, told->id, told->total);
    struct reader ends    = {told->ends, false};
    stored->oldest        = replay->pieces[0].segment->id;
    stored->is_open       = told->is_open;
    stored_set_cursor(stored, told->cursor);
    set_content(replay, stored, told);
    on_ends(replay, in, told->id, &ends, !told->is_whole);
}

static void on_checkpoint(struct replay *replay, const struct told *told)
{
    struct spool *s       = replay->spool;
    struct stored *stored = stored_find(&s->index, told->id);
    if (stored != NULL && stored->rcpt_count < told->total) /* who joined: those records are gone */
        stored_extend(stored, told->total - stored->rcpt_count);
    bool is_known = stored != NULL && stored->rcpt_count == told->total;
    if (told->id > s->recover.report.last_id)
        s->recover.report.last_id = told->id;
    if (stored != NULL && !is_known) {
        forget(replay, stored);
        stored = NULL;
    }
    if (stored == NULL) {
        stored         = stored_new(&s->index, told->id, told->total);
        stored->oldest = replay->pieces[0].segment->id;
        stored_set_cursor(stored, told->cursor);
    }
    stored->is_open = told->is_open;
    stored_move_cursor(stored, told->cursor);
    if (!is_known || told->is_whole || stored->is_incomplete) {
        struct late_ends *late = is_known && told->is_whole ? late_of(replay, told->id) : NULL;
        set_content(replay, stored, told);
        stored_drop_fates(stored); /* the checkpoint knows better */
        if (late != NULL)
            apply_late(replay, late);
    }
    take_states(replay, stored, told);
}

/* The indexes count from 0. */
static bool read_joins(struct span stream, struct payload_joins *joins)
{
    struct reader r = {stream, false};
    struct payload_rcpt rcpt;
    if (!payload_read_joins_head(&r, joins))
        return false;
    for (uint32_t i = 0; i < joins->count; i++)
        if (!payload_read_rcpt(&r, &rcpt) || rcpt.index != i)
            return false;
    return r.rest.len == 0;
}

static void take_cursor(struct replay *replay, struct stored *stored,
                        const struct payload_joins *joins)
{
    if (!joins->is_growing)
        return;
    stored_move_cursor(stored, joins->cursor);
    for (size_t i = 0; i < replay->piece_count; i++)
        segment_pin(replay->pieces[i].segment, stored->oldest);
}

/* Without a message they joined one that is over.  Those before them that no record tells of had
 * ended, or a checkpoint tells of them later. */
static bool on_append(struct replay *replay)
{
    struct payload_joins joins;
    struct stored *stored = stored_find(&replay->spool->index, replay->gathering_id);
    if (!read_joins(buf_span(&replay->stream), &joins))
        return false;
    if (stored == NULL)
        return true;
    if (joins.first < stored->rcpt_count)
        return false;
    uint32_t missing = stored->rcpt_count;
    stored_extend(stored, joins.first - missing + joins.count);
    for (; missing < joins.first; missing++)
        (void)stored_end(stored, missing);
    take_cursor(replay, stored, &joins);
    stored_add_pieces(stored, replay->pieces, replay->piece_count);
    return true;
}

static void drop_gathered(struct replay *replay)
{
    if (replay->is_gathering)
        replay->spool->recover.report.dropped_drafts++;
    replay->is_gathering = false;
    replay->piece_count  = 0;
    buf_clear(&replay->stream);
}

static void gather(struct replay *replay, struct found *in, const struct scanned *found)
{
    if (replay->piece_count == replay->piece_cap) {
        replay->piece_cap = replay->piece_cap == 0 ? 1 : replay->piece_cap * 2;
        replay->pieces    = mem_resize(replay->pieces, replay->piece_cap * sizeof *replay->pieces);
    }
    replay->pieces[replay->piece_count++] =
        (struct place){in->segment, (uint32_t)found->offset, (uint32_t)found->bytes};
    buf_put(&replay->stream, span_skip(found->record.payload, PAYLOAD_PIECE_HEAD));
    replay->next_sequence = found->record.sequence + 1;
}

/* Takes the piece if it is the next one of its stream. */
static bool gather_next(struct replay *replay, struct found *in, const struct scanned *found)
{
    struct span payload = found->record.payload;
    if (payload.len <= PAYLOAD_PIECE_HEAD)
        return false;
    uint64_t id     = bytes_get64(payload.at);
    uint32_t offset = bytes_get32(payload.at + sizeof id);
    if (offset == 0) {
        drop_gathered(replay);
        replay->gathering_id = id;
        replay->is_gathering = true;
    } else if (!replay->is_gathering || id != replay->gathering_id ||
               offset != replay->stream.len || found->record.sequence != replay->next_sequence ||
               replay->stream.len > TRANSACTION_BYTES_MAX) {
        return false;
    }
    gather(replay, in, found);
    return true;
}

static void finish_stream(struct replay *replay, struct found *in, const struct scanned *found)
{
    struct told told = {0};
    bool is_append   = found->record.type == RECORD_APPEND;
    bool is_good     = is_append ? on_append(replay)
                                 : read_stream(replay, buf_span(&replay->stream), &told) &&
                                   told.id == replay->gathering_id;
    if (!is_good)
        count_corrupt(replay, in, found, "makes no sense");
    else if (is_append)
        ; /* done */
    else if (found->record.type == RECORD_COMMIT)
        on_commit(replay, in, &told);
    else
        on_checkpoint(replay, &told);
    mem_free(told.extents);
    replay->is_gathering = false;
    replay->piece_count  = 0;
    buf_clear(&replay->stream);
}

static void on_piece(struct replay *replay, struct found *in, const struct scanned *found)
{
    if (!gather_next(replay, in, found))
        drop_gathered(replay);
    else if (found->record.type != RECORD_PART)
        finish_stream(replay, in, found);
}

/* --- outcomes --- */

/* Room for all; twice as much when it was not enough, as more may join. */
static void make_fates(struct stored *stored)
{
    struct fates *fates = stored_add_more(stored)->fates;
    uint32_t had = fates == NULL ? 0 : fates->count, needs = stored->rcpt_count;
    if (needs <= had)
        return;
    if (needs < had * 2ULL)
        needs = had * 2;
    fates = mem_resize(fates, sizeof *fates + needs * sizeof fates->rows[0]);
    memset(fates->rows + had, 0, (needs - had) * sizeof fates->rows[0]);
    fates->count        = needs;
    stored->more->fates = fates;
}

static void set_fate(struct replay *replay, struct stored *stored,
                     const struct payload_outcome *outcome)
{
    const struct payload_fate *fate = &outcome->fate;
    if (outcome->rcpt >= stored->rcpt_count || stored_has_ended(stored, outcome->rcpt))
        return;
    make_fates(stored);
    stored->more->fates->rows[outcome->rcpt] =
        (struct fate){.next_wall_ms = fate->next_wall_ms,
                      .last_wall_ms = fate->last_wall_ms,
                      .note         = notes_intern(&replay->spool->recover.notes, fate),
                      .attempts     = fate->attempts,
                      .state        = (uint8_t)fate->state,
                      .is_set       = true};
}

static void on_outcomes(struct replay *replay, struct found *in, const struct scanned *found)
{
    struct reader r = {found->record.payload, false};
    struct payload_outcome outcome;
    while (r.rest.len > 0 && payload_read_outcome(&r, &outcome)) {
        struct stored *stored = stored_find(&replay->spool->index, outcome.id);
        if (stored == NULL)
            continue; /* it ended, and its segment is gone */
        segment_pin(in->segment, stored->oldest);
        if (outcome.fate.state == RCPT_ENDED)
            end_one(replay, stored, outcome.rcpt);
        else
            set_fate(replay, stored, &outcome);
    }
    if (r.is_bad)
        count_corrupt(replay, in, found, "makes no sense");
}

/* --- segment heads --- */

static void on_segment(struct replay *replay, struct found *in, const struct scanned *found)
{
    struct payload_segment_end ends[PAYLOAD_ENDS_MAX];
    size_t count;
    if (payload_read_segment(found->record.payload, ends, &count))
        for (size_t i = 0; i < count; i++)
            if (ends[i].is_cut)
                segment_pin(in->segment, ends[i].segment);
    /* A stream may go on behind it. */
    if (replay->is_gathering && found->record.sequence == replay->next_sequence)
        replay->next_sequence++;
}

void replay_record(struct replay *replay, struct found *in, const struct scanned *found)
{
    switch (found->record.type) {
    case RECORD_SEGMENT:
        on_segment(replay, in, found);
        break;
    case RECORD_CHUNK:
    case RECORD_LOST:
        on_chunk(replay, in, found);
        break;
    case RECORD_PART:
    case RECORD_COMMIT:
    case RECORD_CHECKPOINT:
    case RECORD_APPEND:
        on_piece(replay, in, found);
        break;
    case RECORD_OUTCOMES:
        on_outcomes(replay, in, found);
        break;
    }
}

/* --- the end --- */

static void tell_lost(struct spool *s, const struct stored *stored)
{
    char id[MSGID_TEXT_BYTES];
    s->recover.report.corrupt_records++;
    spool_alarm(s, "message %s is lost: some of its content in %s cannot be read",
                msgid_text(stored->id, id), s->directory);
}

static bool is_over(const struct stored *stored)
{
    return stored->live == 0 && !stored_is_growing(stored);
}

/* The commit is not whole and has not ended: neither it nor what should end with it has happened.
 * And those that nobody joined any more. */
static void drop_lost(struct replay *replay)
{
    struct index *index = &replay->spool->index;
    struct table_id *node;
    for (size_t at = 0; (node = table_each_id(&index->by_id, &at)) != NULL;) {
        struct stored *stored = CONTAINER_OF(node, struct stored, by_id);
        if (!stored->is_incomplete && !is_over(stored))
            continue;
        if (!is_over(stored))
            tell_lost(replay->spool, stored);
        stored_drop_fates(stored);
        stored_free(index, stored);
    }
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void settle_found(struct spool *s, struct stored *stored)
{
    stored_settle(stored);
    stored->is_durable = true;
    stored->is_open    = stored_is_growing(stored);
    s->recover.report.messages++;
    s->recover.report.recipients += stored->live;
}

static void queue_by_age(struct spool *s)
{
    struct recover *r = &s->recover;
    struct table_id *node;
    r->waiting = mem_new_array(s->index.by_id.count, sizeof *r->waiting);
    for (size_t at = 0; (node = table_each_id(&s->index.by_id, &at)) != NULL;) {
        r->waiting[r->waiting_count++] = node->id;
        settle_found(s, CONTAINER_OF(node, struct stored, by_id));
    }
    if (r->waiting_count > 0)
        qsort(r->waiting, r->waiting_count, sizeof *r->waiting, by_number);
    r->report.left = r->waiting_count;
}

/* Mail that was on its way in when the last run ended: chunks of that run that no commit named. */
static void count_dropped(struct replay *replay)
{
    struct spool *s = replay->spool;
    size_t count = 0, total = 0;
    for (size_t i = 0; i < replay->count; i++)
        total += replay->segments[i].chunk_count;
    uint64_t *drafts = mem_new_array(total, sizeof *drafts);
    for (size_t i = 0; i < replay->count; i++)
        for (size_t j = 0; j < replay->segments[i].chunk_count; j++) {
            const struct found_chunk *chunk = &replay->segments[i].chunks[j];
            if (!chunk->is_used && chunk->draft >> 32 == s->recover.generation_max)
                drafts[count++] = chunk->draft;
        }
    if (count > 0)
        qsort(drafts, count, sizeof drafts[0], by_number);
    for (size_t i = 0; i < count; i++)
        s->recover.report.dropped_drafts += i == 0 || drafts[i] != drafts[i - 1];
    mem_free(drafts);
}

void replay_finish(struct replay *replay)
{
    drop_gathered(replay);
    drop_lost(replay);
    queue_by_age(replay->spool);
    count_dropped(replay);
}
