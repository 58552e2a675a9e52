/* SPDX-License-Identifier: MIT */
#include "lists/attributes.h"
#include "mta/mail/escape.h"

static const char *const taken_names[] = {"address",         "email",        "name",       "id",
                                          "unsubscribe_url", "bounce_token", "leave_token"};

bool attribute_name(struct span text, char into[ATTRIBUTE_NAME_BYTES_MAX + 1])
{
    size_t len = 0;
    text       = span_trim(text);
    for (size_t i = 0; i < text.len; i++) {
        char c = ascii_lower(text.at[i]);
        if (len == ATTRIBUTE_NAME_BYTES_MAX)
            return false;
        if (c == ' ' || c == '-' || c == '.')
            c = '_';
        if (!ascii_is_alnum(c) && c != '_')
            return false;
        into[len++] = c;
    }
    into[len] = '\0';
    if (len == 0 || !ascii_is_alpha(into[0]))
        return false;
    for (size_t i = 0; i < sizeof taken_names / sizeof taken_names[0]; i++)
        if (strcmp(into, taken_names[i]) == 0)
            return false;
    return true;
}

bool attribute_put(struct buf *json, const char *name, struct span value)
{
    if (value.len > ATTRIBUTE_BYTES_MAX || !utf8_is_printable(value))
        return false;
    size_t before = json->len;
    buf_put_byte(json, before == 0 ? '{' : ',');
    escape_json(span_of(name), json);
    buf_put_byte(json, ':');
    escape_json(value, json);
    if (json->len < ATTRIBUTES_BYTES_MAX)
        return true;
    json->len = before;
    return false;
}

void attribute_end(struct buf *json)
{
    if (json->len > 0)
        buf_put_byte(json, '}');
}

/* --- reading --- */

static bool read_hex(struct span text, uint32_t *unit)
{
    *unit = 0;
    if (text.len < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        char c = ascii_lower(text.at[i]);
        if (!ascii_is_digit(c) && (c < 'a' || c > 'f'))
            return false;
        *unit = *unit << 4 | (uint32_t)(ascii_is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static void put_utf8(struct buf *into, uint32_t point)
{
    if (point < 0x80) {
        buf_put_byte(into, (char)point);
        return;
    }
    unsigned tails                     = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
    buf_put_byte(into, (char)(leads[tails] | point >> (6 * tails)));
    while (tails-- > 0)
        buf_put_byte(into, (char)(0x80 | (point >> (6 * tails) & 0x3f)));
}

/* Behind "\u": one character, perhaps of two units.  0: it is none. */
static size_t take_unicode(struct span rest, struct buf *into)
{
    uint32_t high, low;
    if (!read_hex(rest, &high))
        return 0;
    bool is_pair = high >= 0xd800 && high < 0xdc00 && rest.len >= 10 && rest.at[4] == '\\' &&
                   rest.at[5] == 'u' && read_hex(span_skip(rest, 6), &low) && low >= 0xdc00 &&
                   low < 0xe000;
    if (!is_pair && high >= 0xd800 && high < 0xe000)
        return 0;
    put_utf8(into, is_pair ? 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00) : high);
    return is_pair ? 10 : 4;
}

/* Behind a backslash; 0: nothing that JSON knows. */
static size_t take_escape(struct span rest, struct buf *into)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (rest.len == 0)
        return 0;
    if (rest.at[0] == 'u') {
        size_t used = take_unicode(span_skip(rest, 1), into);
        return used == 0 ? 0 : used + 1;
    }
    for (size_t i = 0; letters[i] != '\0'; i++) {
        if (rest.at[0] != letters[i])
            continue;
        buf_put_byte(into, meanings[i]);
        return 1;
    }
    return 0;
}

/* A JSON string at the start; 0: there is none. */
static size_t take_string(struct span text, struct buf *into)
{
    size_t at = 1;
    if (text.len == 0 || text.at[0] != '"')
        return 0;
    while (at < text.len && text.at[at] != '"') {
        if (text.at[at] != '\\') {
            buf_put_byte(into, text.at[at++]);
            continue;
        }
        size_t used = take_escape(span_skip(text, at + 1), into);
        if (used == 0)
            return 0;
        at += 1 + used;
    }
    return at < text.len ? at + 1 : 0;
}

bool attribute_next(struct span *json, struct span *name, struct buf *value)
{
    struct buf key   = {0};
    struct span rest = span_trim(*json);
    size_t before    = value->len;
    if (rest.len == 0 || (rest.at[0] != '{' && rest.at[0] != ','))
        return false;
    rest            = span_trim(span_skip(rest, 1));
    size_t key_used = take_string(rest, &key);
    bool is_plain   = key_used == key.len + 2; /* names hold nothing that is escaped */
    buf_release(&key);
    if (key_used == 0 || !is_plain)
        return false;
    *name = span_make(rest.at + 1, key_used - 2);
    rest  = span_trim(span_skip(rest, key_used));
    if (rest.len == 0 || rest.at[0] != ':')
        return false;
    rest        = span_trim(span_skip(rest, 1));
    size_t used = take_string(rest, value);
    if (used == 0) {
        value->len = before;
        return false;
    }
    *json = span_skip(rest, used);
    return true;
}
