/* SPDX-License-Identifier: MIT */
#include "mta/spool/payload.h"
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include "mta/mail/verp.h"
#include <string.h>

/* --- bytes --- */

static void put8(struct buf *b, uint8_t value)
{
    buf_put_byte(b, (char)value);
}

static void put16(struct buf *b, uint16_t value)
{
    bytes_put16(buf_reserve(b, sizeof value), value);
    b->len += sizeof value;
}

static void put32(struct buf *b, uint32_t value)
{
    bytes_put32(buf_reserve(b, sizeof value), value);
    b->len += sizeof value;
}

static void put64(struct buf *b, uint64_t value)
{
    bytes_put64(buf_reserve(b, sizeof value), value);
    b->len += sizeof value;
}

static void put_text(struct buf *b, struct span text)
{
    text = span_first(text, PAYLOAD_TEXT_BYTES_MAX);
    put16(b, (uint16_t)text.len);
    buf_put(b, text);
}

struct span read_bytes(struct reader *r, size_t bytes)
{
    if (bytes > r->rest.len)
        r->is_bad = true;
    if (r->is_bad)
        return (struct span){"", 0};
    struct span taken = span_first(r->rest, bytes);
    r->rest           = span_skip(r->rest, bytes);
    return taken;
}

uint8_t read8(struct reader *r)
{
    struct span s = read_bytes(r, 1);
    return s.len == 1 ? (uint8_t)s.at[0] : 0;
}

uint16_t read16(struct reader *r)
{
    struct span s = read_bytes(r, 2);
    return s.len == 2 ? bytes_get16(s.at) : 0;
}

uint32_t read32(struct reader *r)
{
    struct span s = read_bytes(r, 4);
    return s.len == 4 ? bytes_get32(s.at) : 0;
}

uint64_t read64(struct reader *r)
{
    struct span s = read_bytes(r, 8);
    return s.len == 8 ? bytes_get64(s.at) : 0;
}

/* Texts become C strings again: one with a NUL inside was not written by us. */
struct span read_text(struct reader *r)
{
    struct span text = read_bytes(r, read16(r));
    if (text.len > PAYLOAD_TEXT_BYTES_MAX || span_find(text, '\0') != text.len)
        r->is_bad = true;
    return r->is_bad ? (struct span){"", 0} : text;
}

/* A number that must be below 'bound'. */
static uint8_t read_below(struct reader *r, unsigned bound)
{
    uint8_t value = read8(r);
    if (value >= bound)
        r->is_bad = true;
    return r->is_bad ? 0 : value;
}

/* --- entry --- */

enum {
    ENTRY_REPORT    = 1,
    ENTRY_8BIT      = 2,
    ENTRY_UTF8      = 4,
    ENTRY_OPEN      = 8,
    ENTRY_VARIES    = 16, /* VERP, placeholders or a list of ours follow */
    ENTRY_GROWS     = 32, /* a cursor is the last of it */
    ENTRY_FLAGS_END = 64
};

static bool varies(const struct envelope *e)
{
    return envelope_is_individual(e) || e->list_id != 0;
}

static uint8_t flags_of(const struct spool_entry *entry)
{
    const struct envelope *envelope = &entry->envelope;
    unsigned flags                  = 0;
    flags |= entry->is_report ? ENTRY_REPORT : 0;
    flags |= envelope->is_8bit ? ENTRY_8BIT : 0;
    flags |= envelope->needs_utf8 ? ENTRY_UTF8 : 0;
    flags |= entry->is_open ? ENTRY_OPEN : 0;
    flags |= varies(envelope) ? ENTRY_VARIES : 0;
    flags |= entry->is_growing ? ENTRY_GROWS : 0;
    return (uint8_t)flags;
}

void payload_put_entry(struct buf *into, const struct spool_entry *entry)
{
    const struct envelope *envelope = &entry->envelope;
    put64(into, entry->id);
    put64(into, entry->arrival_wall_ms);
    put64(into, entry->expire_wall_ms);
    put8(into, flags_of(entry));
    put8(into, (uint8_t)envelope->ret);
    put_text(into, span_of(envelope->sender));
    put_text(into, span_of(envelope->envid));
    put_text(into, span_of(entry->flow));
    put_text(into, span_of(entry->message_id));
    if (varies(envelope)) {
        put_text(into, span_of(envelope->verp));
        put8(into, (uint8_t)envelope->merge);
        put32(into, envelope->list_id);
    }
    if (entry->is_growing)
        put64(into, entry->cursor);
}

static void read_variation(struct reader *r, bool is_there, struct payload_entry *entry)
{
    entry->verp    = is_there ? read_text(r) : (struct span){"", 0};
    entry->merge   = is_there ? (enum envelope_merge)read_below(r, MERGES) : MERGE_NONE;
    entry->list_id = is_there ? read32(r) : 0;
    if (entry->verp.len > 0 && !verp_is_valid(entry->verp))
        r->is_bad = true;
}

bool payload_read_entry(struct reader *r, struct payload_entry *entry)
{
    size_t before          = r->rest.len;
    entry->id              = read64(r);
    entry->arrival_wall_ms = read64(r);
    entry->expire_wall_ms  = read64(r);
    uint8_t flags          = read_below(r, ENTRY_FLAGS_END);
    entry->is_report       = flags & ENTRY_REPORT;
    entry->is_8bit         = flags & ENTRY_8BIT;
    entry->needs_utf8      = flags & ENTRY_UTF8;
    entry->is_open         = flags & ENTRY_OPEN;
    entry->ret             = (enum envelope_ret)read_below(r, RET_HDRS + 1);
    entry->sender          = read_text(r);
    entry->envid           = read_text(r);
    entry->flow            = read_text(r);
    entry->message_id      = read_text(r);
    read_variation(r, flags & ENTRY_VARIES, entry);
    entry->is_growing = flags & ENTRY_GROWS;
    entry->cursor     = entry->is_growing ? read64(r) : SPOOL_CURSOR_DONE;
    entry->bytes      = before - r->rest.len;
    return !r->is_bad;
}

/* --- what became of a recipient --- */

struct payload_fate payload_fate_of(enum rcpt_state state, uint16_t attempts, uint64_t next_wall_ms,
                                    const struct attempt *last)
{
    struct payload_fate fate = {
        .state        = state,
        .attempts     = attempts,
        .next_wall_ms = next_wall_ms,
        .text         = {"", 0},
        .mx           = {"", 0},
    };
    if (last == NULL)
        return fate;
    fate.last_wall_ms = last->wall_ms;
    fate.code         = last->code;
    fate.outcome      = last->outcome;
    fate.text         = span_of(last->text);
    fate.mx           = span_of(last->mx);
    memcpy(fate.enhanced, last->enhanced, sizeof fate.enhanced);
    return fate;
}

/* Nothing is ever asked again about one that has ended. */
static void put_fate(struct buf *into, const struct payload_fate *fate)
{
    must(fate->state < RCPT_STATE_COUNT && fate->outcome < OUTCOME_COUNT);
    put8(into, (uint8_t)fate->state);
    if (fate->state == RCPT_ENDED)
        return;
    put16(into, fate->attempts);
    put64(into, fate->next_wall_ms);
    put64(into, fate->last_wall_ms);
    put16(into, fate->code);
    put8(into, fate->outcome);
    buf_put(into, span_make((const char *)fate->enhanced, sizeof fate->enhanced));
    put_text(into, fate->text);
    put_text(into, fate->mx);
}

static void read_fate(struct reader *r, struct payload_fate *fate)
{
    *fate = (struct payload_fate){
        .text = {"", 0},
          .mx = {"", 0}
    };
    fate->state = (enum rcpt_state)read_below(r, RCPT_STATE_COUNT);
    if (fate->state == RCPT_ENDED || r->is_bad)
        return;
    fate->attempts       = read16(r);
    fate->next_wall_ms   = read64(r);
    fate->last_wall_ms   = read64(r);
    fate->code           = read16(r);
    fate->outcome        = read_below(r, OUTCOME_COUNT);
    struct span enhanced = read_bytes(r, sizeof fate->enhanced);
    if (enhanced.len == sizeof fate->enhanced)
        memcpy(fate->enhanced, enhanced.at, enhanced.len);
    fate->text = read_text(r);
    fate->mx   = read_text(r);
}

/* --- recipients --- */

/* The form: a set of these. */
enum { RCPT_WITH_FATE = 1, RCPT_WITH_DATA = 2, RCPT_FORMS_END = 4 };

void payload_put_rcpts_head(struct buf *into, uint32_t total, uint32_t given)
{
    put32(into, total);
    put32(into, given);
}

bool payload_read_rcpts_head(struct reader *r, uint32_t *total, uint32_t *given)
{
    *total = read32(r);
    *given = read32(r);
    if (*total > PAYLOAD_RCPTS_MAX || *given > *total)
        r->is_bad = true;
    return !r->is_bad;
}

static void put_rcpt(struct buf *into, uint32_t index, const struct envelope_rcpt *rcpt,
                     const struct payload_fate *fate)
{
    struct span data = span_of(rcpt->data);
    bool has_data    = rcpt->is_local || data.len > 0;
    put8(into, (fate != NULL ? RCPT_WITH_FATE : 0) | (has_data ? RCPT_WITH_DATA : 0));
    put32(into, index);
    put8(into, rcpt->notify);
    put_text(into, span_of(rcpt->address));
    put_text(into, span_of(rcpt->orcpt));
    if (has_data) {
        put8(into, rcpt->is_local);
        put_text(into, data);
    }
    if (fate != NULL)
        put_fate(into, fate);
}

void payload_put_fresh_rcpt(struct buf *into, uint32_t index, const struct envelope_rcpt *rcpt)
{
    put_rcpt(into, index, rcpt, NULL);
}

void payload_put_rcpt(struct buf *into, uint32_t index, const struct spool_rcpt *rcpt)
{
    struct payload_fate fate =
        payload_fate_of(rcpt->state, rcpt->attempts, rcpt->next_wall_ms, &rcpt->last);
    put_rcpt(into, index, &rcpt->envelope, &fate);
}

bool payload_read_rcpt(struct reader *r, struct payload_rcpt *rcpt)
{
    uint8_t form   = read_below(r, RCPT_FORMS_END);
    bool has_data  = form & RCPT_WITH_DATA;
    rcpt->index    = read32(r);
    rcpt->notify   = read8(r);
    rcpt->address  = read_text(r);
    rcpt->orcpt    = read_text(r);
    rcpt->is_local = has_data && read_below(r, 2) == 1;
    rcpt->data     = has_data ? read_text(r) : (struct span){"", 0};
    rcpt->fate     = (struct payload_fate){
            .text = {"", 0},
              .mx = {"", 0}
    };
    if (form & RCPT_WITH_FATE)
        read_fate(r, &rcpt->fate);
    return !r->is_bad;
}

/* --- joins --- */

#define JOINS_WITH_CURSOR 0x80000000U /* beside the index */

void payload_put_joins_head(struct buf *into, const struct payload_joins *joins)
{
    put32(into, joins->first | (joins->is_growing ? JOINS_WITH_CURSOR : 0));
    if (joins->is_growing)
        put64(into, joins->cursor);
}

bool payload_read_joins_head(struct reader *r, struct payload_joins *joins)
{
    uint32_t total, first = read32(r);
    joins->first      = first & ~JOINS_WITH_CURSOR;
    joins->is_growing = first & JOINS_WITH_CURSOR;
    joins->cursor     = joins->is_growing ? read64(r) : SPOOL_CURSOR_DONE;
    if (!payload_read_rcpts_head(r, &total, &joins->count) || joins->count != total ||
        (joins->count == 0 && !joins->is_growing) ||
        joins->first > PAYLOAD_RCPTS_MAX - joins->count)
        r->is_bad = true;
    return !r->is_bad;
}

/* --- ends --- */

enum { END_BYTES = 12, EXTENT_BYTES = 24 };

void payload_put_ends(struct buf *into, const struct spool_end *ends, size_t count)
{
    put32(into, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        put64(into, ends[i].id);
        put32(into, ends[i].rcpt);
    }
}

bool payload_read_ends_head(struct reader *r, uint32_t *count)
{
    *count = read32(r);
    if (*count > r->rest.len / END_BYTES)
        r->is_bad = true;
    return !r->is_bad;
}

bool payload_read_end(struct reader *r, struct spool_end *end)
{
    end->id   = read64(r);
    end->rcpt = read32(r);
    return !r->is_bad;
}

/* --- content --- */

void payload_put_content_head(struct buf *into, uint64_t bytes, uint32_t extents)
{
    put64(into, bytes);
    put32(into, extents);
}

void payload_put_extent(struct buf *into, const struct payload_extent *extent)
{
    put64(into, extent->segment);
    put32(into, extent->offset);
    put32(into, extent->bytes);
    put64(into, extent->checksum);
}

bool payload_read_content_head(struct reader *r, uint64_t *bytes, uint32_t *extents)
{
    *bytes   = read64(r);
    *extents = read32(r);
    if (*extents > r->rest.len / EXTENT_BYTES)
        r->is_bad = true;
    return !r->is_bad;
}

bool payload_read_extent(struct reader *r, struct payload_extent *extent)
{
    extent->segment  = read64(r);
    extent->offset   = read32(r);
    extent->bytes    = read32(r);
    extent->checksum = read64(r);
    if (extent->bytes == 0 || extent->bytes > RECORD_PAYLOAD_BYTES_MAX - PAYLOAD_CHUNK_HEAD)
        r->is_bad = true;
    return !r->is_bad;
}

void payload_put_piece_head(char into[PAYLOAD_PIECE_HEAD], uint64_t id, uint32_t offset)
{
    bytes_put64(into, id);
    bytes_put32(into + sizeof id, offset);
}

/* --- outcomes --- */

void payload_put_outcome(struct buf *into, uint64_t id, uint32_t rcpt,
                         const struct payload_fate *fate)
{
    put64(into, id);
    put32(into, rcpt);
    put_fate(into, fate);
}

bool payload_read_outcome(struct reader *r, struct payload_outcome *outcome)
{
    outcome->id   = read64(r);
    outcome->rcpt = read32(r);
    read_fate(r, &outcome->fate);
    return !r->is_bad;
}

/* --- segment head --- */

void payload_put_segment(struct buf *into, const struct payload_segment_end *ends, size_t count)
{
    must(count <= PAYLOAD_ENDS_MAX);
    put8(into, (uint8_t)count);
    for (size_t i = 0; i < count; i++) {
        put64(into, ends[i].segment);
        put64(into, ends[i].last);
        put8(into, ends[i].is_cut);
    }
}

bool payload_read_segment(struct span payload, struct payload_segment_end ends[PAYLOAD_ENDS_MAX],
                          size_t *count)
{
    struct reader r = {payload, false};
    *count          = read_below(&r, PAYLOAD_ENDS_MAX + 1);
    for (size_t i = 0; i < *count; i++) {
        ends[i].segment = read64(&r);
        ends[i].last    = read64(&r);
        ends[i].is_cut  = read_below(&r, 2);
    }
    return !r.is_bad && r.rest.len == 0;
}
