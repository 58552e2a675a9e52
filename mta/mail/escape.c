/* SPDX-License-Identifier: MIT */
/*
 * Everything rests on utf8_decode(): a byte is either part of one valid character or it is invalid
 * by itself, so one bad byte costs one replacement and never swallows what follows it.
 */
#include "mta/mail/escape.h"
#include <string.h>

enum { UTF8_POINT_MAX = 0x10FFFF };

/* By the number of bytes: the bits of the lead byte that carry the point, and the least point that
 * needs so many (a smaller one is overlong). */
static const struct {
    unsigned char lead, lead_mask, point_mask;
    uint32_t least;
} forms[] = {
    {0x00, 0x80, 0x7f, 0      },
    {0xc0, 0xe0, 0x1f, 0x80   },
    {0xe0, 0xf0, 0x0f, 0x800  },
    {0xf0, 0xf8, 0x07, 0x10000},
};

size_t utf8_decode(struct span text, uint32_t *point)
{
    for (size_t n = 1; n <= sizeof forms / sizeof forms[0] && n <= text.len; n++) {
        unsigned char lead = (unsigned char)text.at[0];
        if ((lead & forms[n - 1].lead_mask) != forms[n - 1].lead)
            continue;
        uint32_t value = lead & forms[n - 1].point_mask;
        for (size_t i = 1; i < n; i++) {
            unsigned char byte = (unsigned char)text.at[i];
            if ((byte & 0xc0) != 0x80)
                return 0;
            value = value << 6 | (byte & 0x3f);
        }
        bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
        if (value < forms[n - 1].least || value > UTF8_POINT_MAX || is_surrogate)
            return 0;
        *point = value;
        return n;
    }
    return 0;
}

bool utf8_is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x2028 || point == 0x2029;
}

static bool is_made_of_characters(struct span text, bool with_controls)
{
    while (text.len > 0) {
        uint32_t point;
        size_t n = utf8_decode(text, &point);
        if (n == 0 || (!with_controls && utf8_is_control(point)))
            return false;
        text = span_skip(text, n);
    }
    return true;
}

bool utf8_is_valid(struct span text)
{
    return text_is_ascii(text) || is_made_of_characters(text, true);
}

bool utf8_is_printable(struct span text)
{
    return is_made_of_characters(text, false);
}

bool text_is_ascii(struct span text)
{
    const uint64_t high = 0x8080808080808080u;
    uint64_t word, seen = 0;
    size_t i = 0;
    for (; i + sizeof word <= text.len; i += sizeof word) {
        memcpy(&word, text.at + i, sizeof word);
        seen |= word;
    }
    for (; i < text.len; i++)
        seen |= (unsigned char)text.at[i];
    return (seen & high) == 0;
}

static bool is_printable(char c)
{
    return c >= ' ' && c < 0x7f;
}

/* How many bytes at the start are printable ASCII: nearly always all. */
static size_t printable_bytes(struct span text)
{
    size_t n = 0;
    while (n < text.len && is_printable(text.at[n]))
        n++;
    return n;
}

static void escape(struct span from, size_t max, uint32_t point_max, struct buf *into)
{
    size_t end = max > SIZE_MAX - into->len ? SIZE_MAX : into->len + max;
    while (from.len > 0) {
        struct span plain = span_first(span_first(from, printable_bytes(from)), end - into->len);
        buf_put(into, plain);
        from = span_skip(from, plain.len);
        if (from.len == 0)
            return;
        uint32_t point  = 0;
        size_t n        = utf8_decode(from, &point);
        bool is_kept    = n > 0 && point <= point_max && !utf8_is_control(point);
        struct span out = is_kept ? span_first(from, n) : span_make("?", 1);
        if (out.len > end - into->len)
            return;
        buf_put(into, out);
        from = span_skip(from, n == 0 ? 1 : n);
    }
}

void escape_text(struct span from, size_t max, struct buf *into)
{
    escape(from, max, UTF8_POINT_MAX, into);
}

void escape_ascii(struct span from, size_t max, struct buf *into)
{
    escape(from, max, 0x7f, into);
}

static void put_json_point(uint32_t point, struct span as_it_is, struct buf *into)
{
    static const char short_forms[128] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };
    if (point < sizeof short_forms && short_forms[point] != '\0') {
        buf_put_byte(into, '\\');
        buf_put_byte(into, short_forms[point]);
    } else if (utf8_is_control(point)) {
        buf_printf(into, "\\u%04x", (unsigned)point);
    } else {
        buf_put(into, as_it_is);
    }
}

/* Whether one of eight bytes is '"', '\\', below ' ' or above '~'.  Each test looks at all of them
 * at once: a byte that is smaller than n borrows from its top bit when n is taken off. */
static bool needs_thought(uint64_t bytes)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t quotes = bytes ^ ones * '"', slashes = bytes ^ ones * '\\',
             deletes = bytes ^ ones * 0x7f;
    uint64_t low     = (bytes - ones * ' ') | (quotes - ones) | (slashes - ones) | (deletes - ones);
    return ((low | bytes) & tops) != 0;
}

/* How many bytes at the start need no thought in JSON. */
static size_t plain_json(struct span text)
{
    uint64_t bytes;
    size_t n = 0;
    for (; n + sizeof bytes <= text.len; n += sizeof bytes) {
        memcpy(&bytes, text.at + n, sizeof bytes);
        if (needs_thought(bytes))
            break;
    }
    while (n < text.len && is_printable(text.at[n]) && text.at[n] != '"' && text.at[n] != '\\')
        n++;
    return n;
}

void escape_json(struct span from, struct buf *into)
{
    (void)buf_reserve(into, from.len + 2); /* nearly always all it takes */
    buf_put_byte(into, '"');
    while (from.len > 0) {
        uint32_t point;
        size_t n = plain_json(from);
        if (n > 0) {
            buf_put(into, span_first(from, n));
        } else if ((n = utf8_decode(from, &point)) > 0) {
            put_json_point(point, span_first(from, n), into);
        } else {
            buf_put_text(into, "\xef\xbf\xbd");
            n = 1;
        }
        from = span_skip(from, n);
    }
    buf_put_byte(into, '"');
}
