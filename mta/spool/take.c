/* SPDX-License-Identifier: MIT */
/* Recovered messages on their way to the engine: each is read from its records again, so that
 * recovery need not keep a million addresses. */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/msgid.h"
#include "mta/spool/inside.h"
#include <string.h>

enum {
    WINDOW_BYTES  = 256 << 10,
    ROW_BYTES_MAX = PAYLOAD_ROW_BYTES_MAX, /* an entry, or a recipient and its fate */
};
_Static_assert((int)WINDOW_BYTES >= (int)RECORD_BYTES_MAX, "a record fits");
_Static_assert((int)ROW_BYTES_MAX >= (int)PAYLOAD_ENTRY_BYTES_MAX, "an entry fits");

static bool holds(const struct window *window, const struct place *piece)
{
    return window->segment == piece->segment && piece->offset >= window->at &&
           piece->offset + (uint64_t)piece->bytes <= window->at + window->bytes.len;
}

/* Short, or not at all: what is there is checked like any other bytes. */
static enum status move_window(struct window *window, const struct place *piece)
{
    size_t got = 0;
    buf_clear(&window->bytes);
    char *into         = buf_reserve(&window->bytes, WINDOW_BYTES);
    enum status status = disk_read(piece->segment->file, piece->offset, into, WINDOW_BYTES, &got);
    if (status != OK) /* a bad sector further on must not cost this one */
        status = disk_read(piece->segment->file, piece->offset, into, piece->bytes, &got);
    window->segment   = piece->segment;
    window->at        = piece->offset;
    window->bytes.len = status == OK ? got : 0;
    return status;
}

static enum status read_piece(struct window *window, const struct place *piece, struct buf *stream)
{
    struct record record;
    size_t length = 0;
    if (!holds(window, piece)) {
        enum status status = move_window(window, piece);
        if (status != OK)
            return status;
    }
    struct span bytes = span_skip(buf_span(&window->bytes), (size_t)(piece->offset - window->at));
    bytes             = span_first(bytes, piece->bytes);
    if (record_parse(bytes, piece->segment->id, &record, &length, NULL) != RECORD_GOOD ||
        record.payload.len < PAYLOAD_PIECE_HEAD)
        return CORRUPT;
    buf_put(stream, span_skip(record.payload, PAYLOAD_PIECE_HEAD));
    return OK;
}

/* Brings enough of the stream for whatever comes next in it, or all there is. */
static enum status refill(struct recover *r)
{
    struct taking *t   = &r->taking;
    enum status status = OK;
    while (status == OK && r->stream.len - t->at < ROW_BYTES_MAX && t->piece < t->pieces_end) {
        buf_drop(&r->stream, t->at);
        t->at  = 0;
        status = read_piece(&r->window, &stored_pieces(t->stored)[t->piece++], &r->stream);
    }
    return status;
}

static struct reader reader_of(const struct recover *r)
{
    return (struct reader){span_skip(buf_span(&r->stream), r->taking.at), false};
}

static void take_entry(struct recover *r, const struct payload_entry *from)
{
    struct arena *arena = &r->entry_arena;
    uint64_t cursor     = stored_cursor(r->taking.stored);
    arena_release(arena);
    r->entry = (struct spool_entry){
        .id              = from->id,
        .arrival_wall_ms = from->arrival_wall_ms,
        .expire_wall_ms  = from->expire_wall_ms,
        .envelope        = {.sender     = arena_text(arena, from->sender),
                            .envid      = arena_text(arena, from->envid),
                            .ret        = from->ret,
                            .is_8bit    = from->is_8bit,
                            .needs_utf8 = from->needs_utf8,
                            .merge      = from->merge,
                            .list_id    = from->list_id},
        .flow            = arena_text(arena, from->flow),
        .message_id      = arena_text(arena, from->message_id),
        .is_report       = from->is_report,
        .is_open         = cursor != SPOOL_CURSOR_DONE,
        .is_growing      = cursor != SPOOL_CURSOR_DONE,
        .cursor          = cursor,
    };
    span_copy_text(from->verp, r->entry.envelope.verp, sizeof r->entry.envelope.verp);
}

static void take_fate(struct recover *r, const struct payload_fate *from, struct spool_rcpt *rcpt)
{
    rcpt->state        = from->state;
    rcpt->attempts     = from->attempts;
    rcpt->next_wall_ms = from->next_wall_ms;
    rcpt->last         = (struct attempt){.code    = from->code,
                                          .outcome = from->outcome,
                                          .wall_ms = from->last_wall_ms,
                                          .text    = arena_text(&r->arena, from->text),
                                          .mx      = arena_text(&r->arena, from->mx)};
    memcpy(rcpt->last.enhanced, from->enhanced, sizeof from->enhanced);
}

/* What outcomes have told since. */
static void apply_fate(const struct recover *r, const struct fate *fate, struct spool_rcpt *rcpt)
{
    rcpt->state        = (enum rcpt_state)fate->state;
    rcpt->attempts     = fate->attempts;
    rcpt->next_wall_ms = fate->next_wall_ms;
    rcpt->last         = *notes_get(&r->notes, fate->note);
    rcpt->last.wall_ms = fate->last_wall_ms;
}

static void take_row(struct recover *r, const struct payload_rcpt *row, uint32_t index,
                     struct spool_rcpt *rcpt)
{
    const struct stored *stored = r->taking.stored;
    rcpt->envelope = (struct envelope_rcpt){.address  = arena_text(&r->arena, row->address),
                                            .orcpt    = arena_text(&r->arena, row->orcpt),
                                            .notify   = row->notify,
                                            .is_local = row->is_local,
                                            .data     = arena_text(&r->arena, row->data)};
    take_fate(r, &row->fate, rcpt);
    const struct fates *fates = stored_more(stored)->fates;
    if (fates != NULL && index < fates->count && fates->rows[index].is_set)
        apply_fate(r, &fates->rows[index], rcpt);
    if (stored_has_ended(stored, index))
        rcpt->state = RCPT_ENDED;
}

/* The index of the next row, which is not below 'next'. */
static bool peek_row(struct recover *r, uint64_t *index)
{
    struct taking *t = &r->taking;
    if (refill(r) != OK)
        return false;
    struct reader reader = reader_of(r);
    size_t before        = reader.rest.len;
    if (!payload_read_rcpt(&reader, &t->row))
        return false;
    *index       = t->base + (uint64_t)t->row.index;
    t->row_bytes = before - reader.rest.len;
    return *index >= t->next && *index < t->stored->rcpt_count;
}

static void take_peeked(struct recover *r, struct spool_rcpt *rcpt)
{
    struct taking *t = &r->taking;
    take_row(r, &t->row, t->base + t->row.index, rcpt);
    t->at += t->row_bytes;
    t->rows_left--;
}

/* The message's own stream is read: those who joined it stand in others, one behind the other. END:
 * nobody is left. */
static enum status next_rows(struct recover *r)
{
    struct taking *t = &r->taking;
    if (t->stored == NULL)
        return END;
    if (t->pieces_end == stored_own_pieces(t->stored)) {
        t->piece      = t->pieces_end;
        t->pieces_end = t->stored->piece_count;
        t->at         = 0;
        buf_clear(&r->stream);
    }
    enum status status   = refill(r);
    struct reader reader = reader_of(r);
    size_t before        = reader.rest.len;
    if (status != OK || before == 0)
        return status == OK ? END : status;
    struct payload_joins joins;
    if (!payload_read_joins_head(&reader, &joins))
        return CORRUPT;
    t->base      = joins.first;
    t->rows_left = joins.count;
    t->at += before - reader.rest.len;
    return OK;
}

/* The next 'count' recipients; those the record leaves out have ended. */
static bool take_rcpts(struct recover *r, uint32_t count)
{
    static const struct spool_rcpt ended = {
        .envelope = {.address = "", .orcpt = "", .data = ""},
        .state    = RCPT_ENDED,
        .last     = {.text = "",             .mx = ""              },
    };
    struct taking *t   = &r->taking;
    enum status status = OK;
    uint64_t at;
    for (uint32_t i = 0; i < count; i++)
        r->rcpts[i] = ended;
    while (status == OK) {
        if (t->rows_left == 0)
            status = next_rows(r);
        else if (!peek_row(r, &at))
            status = CORRUPT;
        else if (at - t->next >= count)
            break;
        else
            take_peeked(r, &r->rcpts[at - t->next]);
    }
    t->next += count;
    return status == OK || status == END;
}

static bool begin(struct recover *r, struct stored *stored)
{
    struct payload_entry entry;
    uint32_t total, given;
    r->taking = (struct taking){.stored = stored, .pieces_end = stored_own_pieces(stored)};
    buf_clear(&r->stream);
    if (refill(r) != OK)
        return false;
    struct reader reader = reader_of(r);
    size_t before        = reader.rest.len;
    if (!payload_read_entry(&reader, &entry) || !payload_read_rcpts_head(&reader, &total, &given) ||
        total > stored->rcpt_count)
        return false;
    take_entry(r, &entry);
    r->taking.at        = before - reader.rest.len;
    r->taking.rows_left = given;
    return true;
}

static void tell_unreadable(struct spool *s, const struct stored *stored)
{
    char id[MSGID_TEXT_BYTES];
    spool_alarm(s, "message %s in %s cannot be read now; it stays there, restart to try again",
                msgid_text(stored->id, id), s->directory);
}

static void end_taking(struct recover *r, bool is_good)
{
    struct stored *stored = r->taking.stored;
    if (stored != NULL) {
        stored_drop_fates(stored);
        stored->is_known = is_good;
        stored->is_stuck = !is_good;
    }
    r->taking = (struct taking){0};
    r->report.left--;
}

/* One that has ended, or cannot be read any more, ends here: false. */
static bool give_some(struct spool *s, struct spool_recovered *message)
{
    struct recover *r     = &s->recover;
    struct stored *stored = r->taking.stored;
    uint32_t left         = stored == NULL ? 0 : stored->rcpt_count - r->taking.next;
    uint32_t count        = left < SPOOL_PIECE_RCPTS ? left : SPOOL_PIECE_RCPTS;
    *message              = (struct spool_recovered){
                     .entry      = r->entry,
                     .first      = r->taking.next,
                     .given      = count,
                     .is_last    = left == count,
                     .rcpts      = r->rcpts,
                     .rcpt_count = r->rcpt_count,
    };
    arena_release(&r->arena);
    bool is_good = take_rcpts(r, count);
    if (!is_good) {
        tell_unreadable(s, stored);
        message->given   = 0;
        message->is_last = true;
    } else if (message->first == 0 && stored != NULL) {
        message->content = content_hold(stored->content);
    }
    if (message->is_last)
        end_taking(r, is_good);
    return is_good || message->first > 0;
}

bool spool_take_recovered(struct spool *s, struct spool_recovered *message)
{
    struct recover *r = &s->recover;
    must(s->kind == SPOOL_KIND);
    if (r->rcpts == NULL)
        r->rcpts = mem_new_array(SPOOL_PIECE_RCPTS, sizeof *r->rcpts);
    if (r->taking.is_active)
        return give_some(s, message);
    while (r->waiting_next < r->waiting_count) {
        struct stored *stored = stored_find(&s->index, r->waiting[r->waiting_next++]);
        must(stored != NULL); /* nothing ends it before it was taken */
        if (!begin(r, stored)) {
            tell_unreadable(s, stored);
            end_taking(r, false);
            continue;
        }
        r->taking.is_active = true;
        r->rcpt_count       = stored->rcpt_count;
        if (give_some(s, message))
            return true;
    }
    recover_release(s);
    return false;
}

bool recover_is_over(const struct recover *r)
{
    return r->waiting_next == r->waiting_count && !r->taking.is_active;
}

void recover_forget(struct recover *r, struct stored *stored)
{
    if (r->taking.stored != stored)
        return;
    stored_drop_fates(stored);
    r->taking.stored    = NULL;
    r->taking.rows_left = 0;
}

/* The report stays. */
void recover_release(struct spool *s)
{
    struct recover *r = &s->recover;
    if (r->taking.stored != NULL)
        recover_forget(r, r->taking.stored);
    r->taking = (struct taking){0};
    while (r->waiting_next < r->waiting_count) {
        struct stored *stored = stored_find(&s->index, r->waiting[r->waiting_next++]);
        if (stored != NULL)
            stored_drop_fates(stored);
    }
    mem_free(r->waiting);
    r->waiting      = NULL;
    r->waiting_next = r->waiting_count = 0;
    notes_release(&r->notes);
    buf_release(&r->window.bytes);
    r->window = (struct window){0};
    buf_release(&r->stream);
    arena_release(&r->arena);
    arena_release(&r->entry_arena);
    mem_free(r->rcpts);
    r->rcpts = NULL;
}
