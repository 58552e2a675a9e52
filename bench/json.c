/* SPDX-License-Identifier: MIT */
/* The comma rule looks at the last byte written, so there is no state besides the buffer. */
#include "bench/json.h"

/* Bytes of the UTF-8 character at the front of 's', 0 if there is none. */
static size_t utf8_length(struct span s)
{
    unsigned char first = (unsigned char)s.at[0];
    size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first > 0xf4 || len > s.len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if (((unsigned char)s.at[i] & 0xc0) != 0x80)
            return 0;
    if (len == 3 && ((first == 0xe0 && (unsigned char)s.at[1] < 0xa0) ||
                     (first == 0xed && (unsigned char)s.at[1] >= 0xa0)))
        return 0; /* overlong, or half a surrogate pair */
    if (len == 4 && ((first == 0xf0 && (unsigned char)s.at[1] < 0x90) ||
                     (first == 0xf4 && (unsigned char)s.at[1] >= 0x90)))
        return 0;
    return len;
}

static void put_escaped(struct buf *out, unsigned char byte)
{
    switch (byte) {
    case '"':
        buf_put_text(out, "\\\"");
        break;
    case '\\':
        buf_put_text(out, "\\\\");
        break;
    case '\n':
        buf_put_text(out, "\\n");
        break;
    case '\r':
        buf_put_text(out, "\\r");
        break;
    default:
        buf_printf(out, "\\u%04x", byte);
    }
}

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void json_string(struct buf *out, struct span text)
{
    buf_put_byte(out, '"');
    while (text.len > 0) {
        size_t run = 0;
        while (run < text.len && is_plain((unsigned char)text.at[run]))
            run++;
        buf_put(out, span_first(text, run));
        text = span_skip(text, run);
        if (text.len == 0)
            break;
        size_t len = utf8_length(text);
        if (len > 1) {
            buf_put(out, span_first(text, len));
        } else {
            put_escaped(out, (unsigned char)text.at[0]);
            len = 1;
        }
        text = span_skip(text, len);
    }
    buf_put_byte(out, '"');
}

void json_comma(struct buf *out)
{
    if (out->len > 0 && out->at[out->len - 1] != '{' && out->at[out->len - 1] != '[' &&
        out->at[out->len - 1] != '\n')
        buf_put_byte(out, ',');
}

void json_key(struct buf *out, const char *name)
{
    json_comma(out);
    json_string(out, span_of(name));
    buf_put_byte(out, ':');
}

void json_number(struct buf *out, const char *name, uint64_t value)
{
    json_key(out, name);
    buf_printf(out, "%llu", (unsigned long long)value);
}

void json_text(struct buf *out, const char *name, struct span value)
{
    json_key(out, name);
    json_string(out, value);
}

void json_bool(struct buf *out, const char *name, bool value)
{
    json_key(out, name);
    buf_put_text(out, value ? "true" : "false");
}
