/* SPDX-License-Identifier: MIT */
/*
 * Nearly all mail is lines that need nothing done, so both directions share clean_run(): it finds
 * the longest stretch that may pass as it is, with memchr, and that stretch is copied at once. Only
 * what stands between two stretches (a dot at the start of a line, a stray CR, LF or NUL, a CR that
 * the cut separates from its LF) is looked at byte by byte.  What a stretch ends in is remembered
 * in 'state', so the cut does not matter.
 */
#include "mta/mail/dot.h"
#include "mta/base/fault.h"
#include "mta/mail/escape.h"
#include <string.h>

enum {
    AT_LINE,      /* behind CRLF, or at the very start: a dot counts */
    AT_MADE_LINE, /* behind a line end that we made of a bare CR or LF: a dot is content */
    IN_LINE,
    AFTER_CR,     /* it is held back (reader), or out (writer) */
    AFTER_DOT,    /* reader: "." at the start of a line is held back */
    AFTER_DOT_CR, /* reader: ".\r" at the start of a line is held back */
    REFUSED,      /* writer: a byte came that must not go out */
};

static const struct span crlf = SPAN("\r\n");

/* A piece, and where its next LF and NUL are.  Remembered, because looking for them anew behind
 * each stray byte would take time by the square of the length. */
struct piece {
    struct span all;
    size_t next_lf, next_nul;
};

static size_t next_byte(struct span all, size_t from, char byte)
{
    return from + span_find(span_skip(all, from), byte);
}

static struct piece piece_of(struct span all)
{
    return (struct piece){all, next_byte(all, 0, '\n'), next_byte(all, 0, '\0')};
}

/* The next LF at or behind 'at'; all.len if there is none. */
static size_t piece_lf(struct piece *p, size_t at)
{
    if (p->next_lf < at)
        p->next_lf = next_byte(p->all, at, '\n');
    return p->next_lf;
}

static size_t piece_nul(struct piece *p, size_t at)
{
    if (p->next_nul < at)
        p->next_nul = next_byte(p->all, at, '\0');
    return p->next_nul;
}

/*
 * Where the stretch that starts at 'at' ends: before a dot behind CRLF (if dots count), before a
 * NUL and before any CR or LF that is not half of a CRLF inside the piece.  Moves 'state' along.
 */
static size_t clean_run(struct piece *p, size_t at, bool dots_count, unsigned char *state)
{
    size_t end = piece_nul(p, at);
    while (at < end) {
        if (*state == AT_LINE && dots_count && p->all.at[at] == '.')
            return at;
        size_t lf    = piece_lf(p, at);
        size_t limit = lf < end ? lf : end;
        size_t cr    = at + span_find(span_make(p->all.at + at, limit - at), '\r');
        bool is_line = lf < end && cr + 1 == lf;
        if (cr > at)
            *state = IN_LINE;
        if (!is_line)
            return cr;
        at     = lf + 1;
        *state = AT_LINE;
    }
    return at;
}

static bool holds_nothing(unsigned char state)
{
    return state == AT_LINE || state == AT_MADE_LINE || state == IN_LINE;
}

void dot_reader_init(struct dot_reader *r)
{
    *r = (struct dot_reader){.state = AT_LINE};
}

void dot_reader_init_chunked(struct dot_reader *r)
{
    *r = (struct dot_reader){.state = AT_LINE, .is_chunked = true};
}

static void bare_line_end(struct dot_reader *r, struct buf *into)
{
    buf_put(into, crlf);
    r->saw_bare = true;
    r->state    = AT_MADE_LINE;
}

/* A byte that nothing is held back before. */
static void ordinary(struct dot_reader *r, char byte, struct buf *into)
{
    if (byte == '\r') {
        r->state = AFTER_CR;
    } else if (byte == '\n') {
        bare_line_end(r, into);
    } else if (byte == '.' && r->state == AT_LINE && !r->is_chunked) {
        r->state = AFTER_DOT;
    } else {
        buf_put_byte(into, (char)(byte == '\0' ? ' ' : byte));
        r->saw_nul  = r->saw_nul || byte == '\0';
        r->saw_8bit = r->saw_8bit || (byte & 0x80) != 0;
        r->state    = IN_LINE;
    }
}

static void after_cr(struct dot_reader *r, char byte, struct buf *into)
{
    if (byte == '\n') {
        buf_put(into, crlf);
        r->state = AT_LINE;
        return;
    }
    bare_line_end(r, into);
    ordinary(r, byte, into);
}

/* The dot goes, unless it is all of a line whose end is bare: such a line is content. */
static void after_dot(struct dot_reader *r, char byte, struct buf *into)
{
    r->state = IN_LINE;
    if (byte == '\r') {
        r->state = AFTER_DOT_CR;
        return;
    }
    if (byte == '\n')
        buf_put_byte(into, '.');
    ordinary(r, byte, into);
}

static void after_dot_cr(struct dot_reader *r, char byte, struct buf *into)
{
    if (byte == '\n') {
        r->ended = true;
        return;
    }
    buf_put_byte(into, '.');
    bare_line_end(r, into);
    ordinary(r, byte, into);
}

static void step(struct dot_reader *r, char byte, struct buf *into)
{
    switch (r->state) {
    case AFTER_CR:
        after_cr(r, byte, into);
        break;
    case AFTER_DOT:
        after_dot(r, byte, into);
        break;
    case AFTER_DOT_CR:
        after_dot_cr(r, byte, into);
        break;
    default:
        ordinary(r, byte, into);
    }
}

size_t dot_reader_feed(struct dot_reader *r, struct span from, struct buf *into)
{
    struct piece piece = piece_of(from);
    size_t before = into->len, at = 0;
    while (at < from.len && !r->ended) {
        size_t end = at;
        if (holds_nothing(r->state))
            end = clean_run(&piece, at, !r->is_chunked, &r->state);
        struct span run = span_make(from.at + at, end - at);
        buf_put(into, run);
        r->saw_8bit = r->saw_8bit || !text_is_ascii(run);
        if (end < from.len)
            step(r, from.at[end++], into);
        at = end;
    }
    r->bytes += into->len - before;
    return at;
}

void dot_reader_finish(struct dot_reader *r, struct buf *into)
{
    must(r->is_chunked);
    size_t before = into->len;
    if (r->state == AFTER_CR)
        bare_line_end(r, into);
    else if (r->state == IN_LINE)
        buf_put(into, crlf);
    r->state = AT_LINE;
    r->bytes += into->len - before;
}

void dot_writer_init(struct dot_writer *w, bool is_chunked)
{
    *w = (struct dot_writer){.state = AT_LINE, .is_chunked = is_chunked};
}

/* What a byte between two clean stretches leads to on the way out. */
static unsigned char after_special(unsigned char state, char byte, bool is_last)
{
    if (state == AFTER_CR)
        return byte == '\n' ? AT_LINE : REFUSED;
    if (byte == '.')
        return IN_LINE;
    return byte == '\r' && is_last ? AFTER_CR : REFUSED;
}

bool dot_writer_put(struct dot_writer *w, struct span content, struct buf *into)
{
    struct piece piece = piece_of(content);
    size_t before = into->len, at = 0;
    while (at < content.len && w->state != REFUSED) {
        size_t end = at;
        if (holds_nothing(w->state))
            end = clean_run(&piece, at, !w->is_chunked, &w->state);
        buf_put(into, span_make(content.at + at, end - at));
        if (end < content.len) {
            char byte = content.at[end++];
            w->state  = after_special(w->state, byte, end == content.len);
            if (byte == '.')
                buf_put_byte(into, '.');
            buf_put_byte(into, byte);
        }
        at = end;
    }
    if (w->state == REFUSED)
        into->len = before;
    return w->state != REFUSED;
}

bool dot_writer_end(struct dot_writer *w, struct buf *into)
{
    if (w->state == REFUSED || w->state == AFTER_CR)
        return false;
    if (w->state == IN_LINE)
        buf_put(into, crlf);
    if (!w->is_chunked)
        buf_put_text(into, ".\r\n");
    w->state = AT_LINE;
    return true;
}
