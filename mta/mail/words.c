/* SPDX-License-Identifier: MIT */
#include "mta/mail/words.h"
#include "mta/base/base64.h"
#include "mta/mail/escape.h"

enum { WORD_BYTES_MAX = 75 };

static const char hex[] = "0123456789ABCDEF";

/* --- encoding --- */

/* What RFC 2047 5 (3) lets stand in a phrase. */
static bool is_word_byte(char c)
{
    return ascii_is_alnum(c) || c == '!' || c == '*' || c == '+' || c == '-' || c == '/';
}

void words_encode(struct span text, const char *between, struct buf *into)
{
    static const char open[] = "=?utf-8?q?";
    size_t column            = WORD_BYTES_MAX;
    bool has_word            = false;
    while (text.len > 0) {
        uint32_t point;
        size_t bytes = utf8_decode(text, &point);
        bytes        = bytes == 0 ? 1 : bytes;
        size_t width =
            bytes == 1 && (is_word_byte(text.at[0]) || text.at[0] == ' ') ? 1 : bytes * 3;
        if (column + width + 2 > WORD_BYTES_MAX) {
            if (has_word) {
                buf_put_text(into, "?=");
                buf_put_text(into, between);
            }
            buf_put_text(into, open);
            column   = sizeof open - 1;
            has_word = true;
        }
        for (size_t i = 0; i < bytes; i++) {
            unsigned char c     = (unsigned char)text.at[i];
            const char coded[3] = {'=', hex[c >> 4], hex[c & 15]};
            buf_put(into, width > 1  ? span_make(coded, sizeof coded)
                          : c == ' ' ? span_of("_")
                                     : span_make(text.at + i, 1));
        }
        column += width;
        text = span_skip(text, bytes);
    }
    if (has_word)
        buf_put_text(into, "?=");
}

void words_phrase(struct span name, const char *between, struct buf *into)
{
    if (!text_is_ascii(name)) {
        words_encode(name, between, into);
        return;
    }
    buf_put_byte(into, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] == '"' || name.at[i] == '\\')
            buf_put_byte(into, '\\');
        buf_put_byte(into, name.at[i]);
    }
    buf_put_byte(into, '"');
}

/* --- decoding --- */

static void decode_q(struct span coded, struct buf *into)
{
    for (size_t i = 0; i < coded.len; i++) {
        int high      = i + 2 < coded.len ? ascii_hex_value(coded.at[i + 1]) : -1;
        int low       = i + 2 < coded.len ? ascii_hex_value(coded.at[i + 2]) : -1;
        bool is_coded = coded.at[i] == '=' && high >= 0 && low >= 0;
        char plain    = coded.at[i] == '_' ? ' ' : coded.at[i];
        buf_put_byte(into, is_coded ? (char)(high << 4 | low) : plain);
        i += is_coded ? 2 : 0;
    }
}

static bool decode_bytes(char encoding, struct span coded, struct buf *into)
{
    if (ascii_lower(encoding) == 'b')
        return base64_take(coded, into);
    if (ascii_lower(encoding) != 'q')
        return false;
    decode_q(coded, into);
    return true;
}

/* Appends bytes of a charset as UTF-8; false: one that we do not know, or they are none of it. */
static bool put_charset(struct span charset, struct span bytes, struct buf *into)
{
    charset = span_first(charset, span_find(charset, '*')); /* RFC 2231 5: a language behind it */
    if (span_is_nocase(charset, "utf-8") || span_is_nocase(charset, "us-ascii")) {
        if (utf8_is_valid(bytes))
            buf_put(into, bytes);
        return utf8_is_valid(bytes);
    }
    if (!span_is_nocase(charset, "iso-8859-1"))
        return false;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.at[i];
        if (c < 0x80) {
            buf_put_byte(into, bytes.at[i]);
        } else {
            buf_put_byte(into, (char)(0xc0 | c >> 6));
            buf_put_byte(into, (char)(0x80 | (c & 0x3f)));
        }
    }
    return true;
}

/* "=?charset?q?coded?=" at the start of 'text': its length, or 0 and nothing was put. */
static size_t take_word(struct span text, struct buf *into)
{
    struct buf bytes = {0};
    struct span charset, encoding, coded, rest = span_skip(text, 2);
    if (!span_starts(text, span_of("=?")) || !span_cut(&rest, '?', &charset) ||
        !span_cut(&rest, '?', &encoding) || !span_cut(&rest, '?', &coded) || encoding.len != 1 ||
        rest.len == 0 || rest.at[0] != '=' || span_find(coded, ' ') < coded.len)
        return 0;
    bool is_good =
        decode_bytes(encoding.at[0], coded, &bytes) && put_charset(charset, buf_span(&bytes), into);
    buf_release(&bytes);
    return is_good ? (size_t)(rest.at + 1 - text.at) : 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Blanks, one of them for a fold; none between two encoded words (RFC 2047 6.2). */
static size_t take_blanks(struct span text, bool after_word, struct buf *into)
{
    struct buf unused = {0};
    size_t n          = 0;
    while (n < text.len && is_blank(text.at[n]))
        n++;
    bool is_between = after_word && take_word(span_skip(text, n), &unused) > 0;
    buf_release(&unused);
    for (size_t i = 0; i < n && !is_between; i++)
        if (text.at[i] == ' ' || text.at[i] == '\t')
            buf_put_byte(into, ' ');
    return n;
}

void words_decode(struct span value, struct buf *into)
{
    bool after_word = false;
    while (value.len > 0) {
        size_t n = 0;
        if (is_blank(value.at[0])) {
            n = take_blanks(value, after_word, into);
        } else {
            n          = take_word(value, into);
            after_word = n > 0;
        }
        if (n == 0) {
            buf_put_byte(into, value.at[0]);
            n = 1;
        }
        value = span_skip(value, n);
    }
}
