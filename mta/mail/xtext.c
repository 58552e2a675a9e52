/* SPDX-License-Identifier: MIT */
/*
 * Decoding is strict: what has two spellings has one here (upper case +HH, and no \x{HEX} for what
 * needs none), so that encode(decode(x)) == x for all that we take, but for raw UTF-8 and what
 * needed no +HH.
 */
#include "mta/mail/xtext.h"
#include "mta/mail/escape.h"

/* RFC 3461 4: xchar */
static bool is_xchar(char c)
{
    return c > ' ' && c < 0x7f && c != '+' && c != '=';
}

/* -1: no digit */
static int hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_clean(struct span text)
{
    while (text.len > 0) {
        uint32_t point;
        size_t n = utf8_decode(text, &point);
        if (n == 0 || (utf8_is_control(point) && point != '\t'))
            return false;
        text = span_skip(text, n);
    }
    return true;
}

/* Keeps what was appended behind 'before' only if it is fit to be used. */
static bool keep_if(bool is_good, size_t before, struct buf *into)
{
    if (is_good && is_clean(span_skip(buf_span(into), before)))
        return true;
    into->len = before;
    return false;
}

bool xtext_decode(struct span xtext, struct buf *into)
{
    size_t before = into->len;
    bool is_good  = true;
    while (xtext.len > 0 && is_good) {
        size_t used = 1;
        if (xtext.at[0] == '+') {
            int high = xtext.len < 3 ? -1 : hex_value(xtext.at[1]);
            int low  = xtext.len < 3 ? -1 : hex_value(xtext.at[2]);
            is_good  = high >= 0 && low >= 0;
            used     = 3;
            if (is_good)
                buf_put_byte(into, (char)(high << 4 | low));
        } else {
            is_good = is_xchar(xtext.at[0]);
            buf_put_byte(into, xtext.at[0]);
        }
        xtext = span_skip(xtext, used);
    }
    return keep_if(is_good, before, into);
}

void xtext_encode(struct span text, struct buf *into)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_xchar(text.at[i]))
            buf_put_byte(into, text.at[i]);
        else
            buf_printf(into, "+%02X", (unsigned)(unsigned char)text.at[i]);
    }
}

/* RFC 6533 3: QCHAR */
static bool is_qchar(uint32_t point)
{
    return point < 0x7f && is_xchar((char)point) && point != '\\';
}

static void put_utf8(uint32_t point, struct buf *into)
{
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0}; /* by the number of bytes */
    int bytes = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    int shift = 6 * (bytes - 1);
    buf_put_byte(into, (char)(leads[bytes] | point >> shift));
    while ((shift -= 6) >= 0)
        buf_put_byte(into, (char)(0x80 | (point >> shift & 0x3f)));
}

/* "\x{HEX}": the bytes it takes, 0 if it is none or spells what stands for itself. */
static size_t embedded(struct span text, uint32_t *point)
{
    enum { DIGITS_MIN = 2, DIGITS_MAX = 6 };
    static const struct span start = SPAN("\\x{");
    struct span rest               = span_skip(text, start.len);
    size_t digits                  = span_find(rest, '}');
    if (!span_starts(text, start) || digits == rest.len)
        return 0;
    if (digits < DIGITS_MIN || digits > DIGITS_MAX || (digits > DIGITS_MIN && rest.at[0] == '0'))
        return 0;
    *point = 0;
    for (size_t i = 0; i < digits; i++) {
        int value = hex_value(ascii_upper(rest.at[i]));
        if (value < 0)
            return 0;
        *point = *point << 4 | (unsigned)value;
    }
    return is_qchar(*point) ? 0 : start.len + digits + 1;
}

bool xtext_decode_utf8(struct span xtext, struct buf *into)
{
    size_t before = into->len;
    bool is_good  = true;
    while (xtext.len > 0 && is_good) {
        uint32_t point = 0;
        bool is_escape = xtext.at[0] == '\\';
        size_t used    = is_escape ? embedded(xtext, &point) : utf8_decode(xtext, &point);
        is_good        = used > 0 && (is_escape || point > ' ') && point <= 0x10ffff;
        if (is_good)
            put_utf8(point, into);
        xtext = span_skip(xtext, used);
    }
    return keep_if(is_good, before, into);
}

void xtext_encode_utf8(struct span text, struct buf *into)
{
    while (text.len > 0) {
        uint32_t point = 0xfffd;
        size_t n       = utf8_decode(text, &point);
        if (n > 0 && is_qchar(point))
            buf_put_byte(into, (char)point);
        else
            buf_printf(into, "\\x{%02X}", (unsigned)point);
        text = span_skip(text, n == 0 ? 1 : n);
    }
}
