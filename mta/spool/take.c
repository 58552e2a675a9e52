/* SPDX-License-Identifier: MIT */
/* Recovered messages on their way to the engine: each is read from its records again, so that
 * recovery need not keep a million addresses. */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/msgid.h"
#include "mta/spool/inside.h"
#include <string.h>

enum { WINDOW_BYTES = 256 << 10, STREAM_BYTES_KEPT = 1 << 20 };

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

static enum status read_stream(struct recover *r, const struct stored *stored)
{
    enum status status = OK;
    if (r->stream.cap > STREAM_BYTES_KEPT)
        buf_release(&r->stream);
    buf_clear(&r->stream);
    for (size_t i = 0; i < stored->piece_count && status == OK; i++)
        status = read_piece(&r->window, &stored->pieces[i], &r->stream);
    return status;
}

static void take_entry(struct recover *r, const struct payload_entry *from,
                       struct spool_entry *entry)
{
    *entry = (struct spool_entry){
        .id              = from->id,
        .arrival_wall_ms = from->arrival_wall_ms,
        .expire_wall_ms  = from->expire_wall_ms,
        .envelope        = {.sender     = arena_text(&r->arena, from->sender),
                            .envid      = arena_text(&r->arena, from->envid),
                            .ret        = from->ret,
                            .is_8bit    = from->is_8bit,
                            .needs_utf8 = from->needs_utf8},
        .flow            = arena_text(&r->arena, from->flow),
        .message_id      = arena_text(&r->arena, from->message_id),
        .is_report       = from->is_report,
    };
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

static bool take_rcpts(struct recover *r, const struct stored *stored, struct reader *reader)
{
    static const struct spool_rcpt ended = {
        .envelope = {.address = "", .orcpt = ""},
        .state    = RCPT_ENDED,
        .last     = {.text = "",    .mx = ""   },
    };
    uint32_t total, given;
    struct payload_rcpt row;
    if (!payload_read_rcpts_head(reader, &total, &given) || total != stored->rcpt_count)
        return false;
    r->rcpts = mem_resize(r->rcpts, total * sizeof *r->rcpts);
    for (uint32_t i = 0; i < total; i++)
        r->rcpts[i] = ended;
    for (uint32_t i = 0; i < given; i++) {
        if (!payload_read_rcpt(reader, &row) || row.index >= total)
            return false;
        struct spool_rcpt *rcpt = &r->rcpts[row.index];
        rcpt->envelope = (struct envelope_rcpt){.address = arena_text(&r->arena, row.address),
                                                .orcpt   = arena_text(&r->arena, row.orcpt),
                                                .notify  = row.notify};
        take_fate(r, &row.fate, rcpt);
        if (stored->fates != NULL && stored->fates->rows[row.index].is_set)
            apply_fate(r, &stored->fates->rows[row.index], rcpt);
        if (stored_has_ended(stored, row.index))
            rcpt->state = RCPT_ENDED;
    }
    return true;
}

static bool take_one(struct spool *s, const struct stored *stored, struct spool_recovered *message)
{
    struct recover *r = &s->recover;
    struct payload_entry entry;
    arena_release(&r->arena);
    bool is_good         = read_stream(r, stored) == OK;
    struct reader reader = {buf_span(&r->stream), false};
    is_good = is_good && payload_read_entry(&reader, &entry) && take_rcpts(r, stored, &reader);
    if (is_good) {
        take_entry(r, &entry, &message->entry);
        message->content    = content_hold(stored->content);
        message->rcpt_count = stored->rcpt_count;
        message->rcpts      = r->rcpts;
    }
    return is_good;
}

static void tell_unreadable(struct spool *s, const struct stored *stored)
{
    char id[MSGID_TEXT_BYTES];
    spool_alarm(s, "message %s in %s cannot be read now; it stays there, restart to try again",
                msgid_text(stored->id, id), s->directory);
}

bool spool_take_recovered(struct spool *s, struct spool_recovered *message)
{
    struct list *first;
    must(s->kind == SPOOL_KIND);
    while ((first = list_take(&s->recover.waiting)) != NULL) {
        struct stored *stored = CONTAINER_OF(first, struct stored, link);
        bool is_good          = take_one(s, stored, message);
        list_push(&s->index.all, first);
        s->recover.report.left--;
        mem_free(stored->fates);
        stored->fates    = NULL;
        stored->is_known = is_good;
        stored->is_stuck = !is_good;
        if (is_good)
            return true;
        tell_unreadable(s, stored);
    }
    recover_release(s);
    return false;
}

/* The report stays. */
void recover_release(struct spool *s)
{
    struct recover *r = &s->recover;
    struct list *first;
    while ((first = list_take(&r->waiting)) != NULL) {
        struct stored *stored = CONTAINER_OF(first, struct stored, link);
        mem_free(stored->fates);
        stored->fates = NULL;
        list_push(&s->index.all, first);
    }
    notes_release(&r->notes);
    buf_release(&r->window.bytes);
    r->window = (struct window){0};
    buf_release(&r->stream);
    arena_release(&r->arena);
    mem_free(r->rcpts);
    r->rcpts = NULL;
}
