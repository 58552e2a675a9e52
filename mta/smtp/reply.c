/* SPDX-License-Identifier: MIT */
/*
 * A line is gathered, judged as a whole, and then its text joins the reply.  Nothing is taken from
 * one reply into the next: both code and text start empty with the first byte of a new one.
 */
#include "mta/smtp/reply.h"
#include "mta/mail/escape.h"
#include <limits.h>
#include <string.h>

enum { REPLY_CODE_BYTES = 3 };

struct span smtp_reply_text(const struct smtp_reply *reply)
{
    return span_make(reply->text, reply->text_len);
}

void smtp_reply_status(const struct smtp_reply *reply, unsigned char status[3])
{
    memcpy(status, reply->enhanced, sizeof reply->enhanced);
    if (status[0] == 0)
        status[0] = (unsigned char)smtp_reply_class(reply);
}

/* The printable ASCII at the start, which is nearly always all; returns what is left. */
static struct span text_put_plain(struct smtp_reply *reply, struct span text)
{
    size_t room = sizeof reply->text - reply->text_len, n = 0;
    while (n < text.len && n < room && text.at[n] >= ' ' && text.at[n] < 0x7f)
        n++;
    if (n > 0)
        memcpy(reply->text + reply->text_len, text.at, n);
    reply->text_len = (unsigned short)(reply->text_len + n);
    return span_skip(text, n);
}

/* Whole characters only; what does not fit is dropped. */
static void text_put(struct smtp_reply *reply, struct span text)
{
    while ((text = text_put_plain(reply, text)).len > 0) {
        uint32_t point  = 0;
        size_t n        = utf8_decode(text, &point);
        bool is_kept    = n > 0 && !utf8_is_control(point);
        struct span out = is_kept ? span_first(text, n) : span_make("?", 1);
        if (reply->text_len + out.len > sizeof reply->text)
            return;
        memcpy(reply->text + reply->text_len, out.at, out.len);
        reply->text_len = (unsigned short)(reply->text_len + out.len);
        text            = span_skip(text, n > 0 ? n : 1);
    }
}

static void text_put_line(struct smtp_reply *reply, struct span text, bool is_first)
{
    if (!is_first && reply->text_len < sizeof reply->text)
        reply->text[reply->text_len++] = '\n';
    text_put(reply, text);
}

/* 200-599, or 0 if the line does not start like a reply. */
static int line_code(struct span line)
{
    if (line.len < REPLY_CODE_BYTES || line.at[0] < '2' || line.at[0] > '5')
        return 0;
    if (line.len > REPLY_CODE_BYTES && line.at[3] != ' ' && line.at[3] != '-')
        return 0;
    uint64_t code = 0;
    return span_to_number(span_first(line, REPLY_CODE_BYTES), 599, &code) ? (int)code : 0;
}

/*
 * Takes "X.Y.Z" and the space behind it off the text; false, and nothing happens, if it is none. A
 * part above 255 (5.7.509 is in use) does not fit: it counts as 0, other or undefined (RFC 3463
 * 3.1), and stays readable in the text.
 */
static bool take_enhanced(struct span *text, int class, unsigned char enhanced[3])
{
    enum { PART_MAX = 999 };
    size_t end       = span_find(*text, ' ');
    struct span code = span_first(*text, end), part;
    uint64_t value[3];
    bool fits = true;
    for (int i = 0; i < 3; i++) {
        if (!span_cut(&code, '.', &part) || !span_to_number(part, PART_MAX, &value[i]))
            return false;
        fits = fits && value[i] <= UCHAR_MAX;
    }
    if (code.len > 0 || value[0] != (uint64_t) class)
        return false;
    for (int i = 0; i < 3; i++)
        enhanced[i] = (unsigned char)(value[i] <= UCHAR_MAX ? value[i] : 0);
    if (fits)
        *text = span_skip(*text, end + 1);
    return true;
}

void reply_reader_init(struct reply_reader *r)
{
    memset(&r->reply, 0, offsetof(struct smtp_reply, text));
    r->bytes            = 0;
    r->lines            = 0;
    r->line_len         = 0;
    r->line_is_complete = r->is_complete = r->is_bad = false;
}

struct span reply_reader_line(const struct reply_reader *r)
{
    return span_skip(span_make(r->line, r->line_len), REPLY_CODE_BYTES + 1);
}

static enum reply_line bad(struct reply_reader *r)
{
    memset(&r->reply, 0, offsetof(struct smtp_reply, text));
    text_put(&r->reply, span_make(r->line, r->line_len));
    r->is_bad = true;
    return REPLY_LINE_BAD;
}

static enum reply_line judge_line(struct reply_reader *r)
{
    if (r->line_len > 0 && r->line[r->line_len - 1] == '\r')
        r->line_len--;
    int code = line_code(span_make(r->line, r->line_len));
    if (code == 0 || r->lines == REPLY_LINES_MAX)
        return bad(r);

    struct span text = reply_reader_line(r);
    unsigned char enhanced[3];
    if (take_enhanced(&text, code / 100, enhanced))
        memcpy(r->reply.enhanced, enhanced, sizeof enhanced);
    text_put_line(&r->reply, text, r->lines == 0);
    r->lines++;
    r->line_is_complete = true;
    if (r->line_len > REPLY_CODE_BYTES && r->line[REPLY_CODE_BYTES] == '-')
        return REPLY_LINE_MIDDLE;

    r->reply.code = code;
    if (r->reply.enhanced[0] != code / 100)
        memset(r->reply.enhanced, 0, sizeof r->reply.enhanced);
    r->is_complete = true;
    return REPLY_LINE_LAST;
}

/* Keeps what there is room for. */
static void gather(struct reply_reader *r, struct span bytes)
{
    bytes = span_first(bytes, sizeof r->line - r->line_len);
    if (bytes.len > 0)
        memcpy(r->line + r->line_len, bytes.at, bytes.len);
    r->line_len = (unsigned short)(r->line_len + bytes.len);
}

enum reply_line reply_reader_feed(struct reply_reader *r, struct span bytes, size_t *used)
{
    *used = 0;
    if (r->is_bad)
        return REPLY_LINE_BAD;
    if (bytes.len == 0)
        return REPLY_LINE_MORE;
    if (r->is_complete)
        reply_reader_init(r);
    if (r->line_is_complete) {
        r->line_is_complete = false;
        r->line_len         = 0;
    }
    size_t end = span_find(bytes, '\n');
    bool ends  = end < bytes.len;
    *used      = ends ? end + 1 : bytes.len;
    gather(r, span_first(bytes, end));
    if (*used > REPLY_BYTES_MAX - r->bytes)
        return bad(r);
    r->bytes += (unsigned)*used;
    return ends ? judge_line(r) : REPLY_LINE_MORE;
}
