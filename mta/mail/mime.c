/* SPDX-License-Identifier: MIT */
#include "mta/mail/mime.h"
#include "mta/mail/header.h"
#include <string.h>

/* --- fields with parameters --- */

/* Behind a quoted string or comment, or one byte further. */
static size_t step(struct span s, size_t at)
{
    char open = s.at[at], close = open == '(' ? ')' : open;
    if (open != '"' && open != '(')
        return at + 1;
    for (at++; at < s.len && s.at[at] != close; at++)
        if (s.at[at] == '\\')
            at++;
    return at < s.len ? at + 1 : s.len;
}

/* Takes what stands before the next ';' that is not quoted. */
static bool take_section(struct span *field, struct span *section)
{
    size_t at = 0;
    if (field->len == 0)
        return false;
    while (at < field->len && field->at[at] != ';')
        at = step(*field, at);
    *section = span_trim(span_first(*field, at));
    *field   = span_skip(*field, at + 1);
    return true;
}

/* Without quotes and their escapes, or up to a comment or white space. */
static bool copy_value(struct span value, char *into, size_t cap)
{
    size_t len     = 0;
    bool is_quoted = value.len > 0 && value.at[0] == '"';
    for (size_t at = is_quoted; at < value.len; at++) {
        char c = value.at[at];
        if (is_quoted ? c == '"' : strchr("( \t\r\n", c) != NULL)
            break;
        if (is_quoted && c == '\\' && at + 1 < value.len)
            c = value.at[++at];
        if (c == '\0' || len + 1 >= cap)
            return false;
        into[len++] = c;
    }
    into[len] = '\0';
    return len > 0;
}

bool mime_value(struct span field, char *into, size_t cap)
{
    struct span section;
    if (!take_section(&field, &section) || !copy_value(section, into, cap))
        return false;
    for (char *at = into; *at != '\0'; at++)
        *at = ascii_lower(*at);
    return true;
}

bool mime_parameter(struct span field, const char *name, char *into, size_t cap)
{
    struct span section;
    (void)take_section(&field, &section);
    while (take_section(&field, &section)) {
        size_t equals = span_find(section, '=');
        if (equals < section.len && span_is_nocase(span_trim(span_first(section, equals)), name))
            return copy_value(span_trim(span_skip(section, equals + 1)), into, cap);
    }
    return false;
}

/* --- the walk --- */

void mime_begin(struct mime_walk *walk, struct span message)
{
    walk->message   = message;
    walk->has_begun = false;
    walk->depth     = 0;
}

static enum mime_encoding encoding_of(struct span header)
{
    static const struct {
        const char *name;
        enum mime_encoding encoding;
    } names[] = {
        {"7bit",             MIME_PLAIN           },
        {"8bit",             MIME_PLAIN           },
        {"binary",           MIME_PLAIN           },
        {"quoted-printable", MIME_QUOTED_PRINTABLE},
        {"base64",           MIME_BASE64          },
    };
    struct span field = header_find(header, "Content-Transfer-Encoding");
    char name[32];
    if (field.at == NULL || span_trim(field).len == 0)
        return MIME_PLAIN;
    if (mime_value(field, name, sizeof name))
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            if (strcmp(name, names[i].name) == 0)
                return names[i].encoding;
    return MIME_UNKNOWN;
}

/* Stands the level before the part behind the delimiter line at 'at'. */
static void step_over_delimiter(struct mime_level *level, struct span from, size_t at)
{
    struct span behind = span_skip(from, at + strlen(level->delimiter));
    bool is_last       = span_starts(behind, span_of("--"));
    size_t line_end    = span_find(behind, '\n');
    level->rest        = is_last || line_end == behind.len ? (struct span){NULL, 0}
                                                           : span_skip(behind, line_end + 1);
}

/* Where the next delimiter line begins, with the line end before it; rest.len: nowhere. */
static size_t find_delimiter(const struct mime_level *level, struct span rest)
{
    struct span delimiter = span_of(level->delimiter);
    size_t from           = 0;
    for (;;) {
        size_t at = from + span_find_text(span_skip(rest, from), delimiter);
        if (at >= rest.len)
            return rest.len;
        char next = at + delimiter.len < rest.len ? rest.at[at + delimiter.len] : '\r';
        if (strchr(" \t\r\n-", next) != NULL && next != '\0') /* else it only begins like it */
            return at;
        from = at + 1;
    }
}

static void enter(struct mime_walk *walk, const struct mime_part *part, struct span content_type)
{
    struct mime_level *level = &walk->levels[walk->depth];
    char boundary[MIME_BOUNDARY_BYTES_MAX + 1];
    if (!mime_parameter(content_type, "boundary", boundary, sizeof boundary))
        return;
    memcpy(level->delimiter, "\r\n--", 4);
    memcpy(level->delimiter + 4, boundary, strlen(boundary) + 1);
    struct span first = span_of(level->delimiter + 2);
    if (span_starts(part->body, first)) { /* no line end before the first one */
        struct span behind = span_skip(part->body, first.len);
        size_t line_end    = span_find(behind, '\n');
        level->rest        = span_skip(behind, line_end + 1);
    } else {
        size_t at = find_delimiter(level, part->body);
        if (at == part->body.len)
            return;
        step_over_delimiter(level, part->body, at);
    }
    walk->depth++;
}

static void read_part(struct mime_walk *walk, struct span whole, struct mime_part *part)
{
    size_t header_bytes = header_section_bytes(whole);
    *part               = (struct mime_part){
                      .header = header_alone(span_first(whole, header_bytes)),
                      .body   = span_skip(whole, header_bytes),
                      .depth  = walk->depth,
    };
    struct span field = header_find(part->header, "Content-Type");
    part->encoding    = encoding_of(part->header);
    if (field.at == NULL || !mime_value(field, part->type, sizeof part->type))
        memcpy(part->type, "text/plain", sizeof "text/plain");
    part->is_multipart = strncmp(part->type, "multipart/", 10) == 0;
    if (part->is_multipart && walk->depth < MIME_DEPTH_MAX)
        enter(walk, part, field);
}

bool mime_next(struct mime_walk *walk, struct mime_part *part)
{
    if (!walk->has_begun) {
        walk->has_begun = true;
        read_part(walk, walk->message, part);
        return true;
    }
    while (walk->depth > 0 && walk->levels[walk->depth - 1].rest.at == NULL)
        walk->depth--;
    if (walk->depth == 0)
        return false;
    struct mime_level *level = &walk->levels[walk->depth - 1];
    struct span rest         = level->rest;
    size_t end               = find_delimiter(level, rest);
    if (end == rest.len)
        level->rest = (struct span){NULL, 0};
    else
        step_over_delimiter(level, rest, end);
    read_part(walk, span_first(rest, end), part);
    return true;
}

/* --- encodings --- */

/* The length of a soft line break at the front: "=" blanks CRLF; 0: there is none. */
static size_t soft_break(struct span s)
{
    size_t at = 1;
    while (at < s.len && (s.at[at] == ' ' || s.at[at] == '\t'))
        at++;
    if (at == s.len)
        return at;
    if (s.at[at] == '\r' && at + 1 < s.len && s.at[at + 1] == '\n')
        return at + 2;
    return s.at[at] == '\n' ? at + 1 : 0;
}

static void decode_quoted(struct span s, struct buf *into)
{
    while (s.len > 0) {
        size_t plain = span_find(s, '=');
        buf_put(into, span_first(s, plain));
        s = span_skip(s, plain);
        if (s.len == 0)
            return;
        size_t soft = soft_break(s);
        int high    = s.len > 2 ? ascii_hex_value(s.at[1]) : -1;
        int low     = s.len > 2 ? ascii_hex_value(s.at[2]) : -1;
        if (soft > 0) {
            s = span_skip(s, soft);
        } else if (high >= 0 && low >= 0) {
            buf_put_byte(into, (char)(high << 4 | low));
            s = span_skip(s, 3);
        } else {
            buf_put_byte(into, '=');
            s = span_skip(s, 1);
        }
    }
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void decode_base64(struct span s, struct buf *into)
{
    unsigned bits = 0, count = 0;
    for (size_t i = 0; i < s.len && s.at[i] != '='; i++) {
        int digit = base64_digit(s.at[i]);
        if (digit < 0)
            continue;
        bits = bits << 6 | (unsigned)digit;
        if ((count += 6) >= 8) {
            count -= 8;
            buf_put_byte(into, (char)(bits >> count & 255));
        }
    }
}

void mime_decode(enum mime_encoding encoding, struct span body, struct buf *into)
{
    if (encoding == MIME_QUOTED_PRINTABLE)
        decode_quoted(body, into);
    else if (encoding == MIME_BASE64)
        decode_base64(body, into);
    else
        buf_put(into, body);
}

static bool must_be_quoted(struct span text, size_t at)
{
    unsigned char c = (unsigned char)text.at[at];
    bool is_last    = at + 1 == text.len || text.at[at + 1] == '\r';
    bool is_blank   = c == ' ' || c == '\t';
    return is_blank ? is_last : c < 33 || c > 126 || c == '=';
}

void mime_encode_quoted(struct span text, struct buf *into)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t column              = 0;
    for (size_t at = 0; at < text.len; at++) {
        unsigned char c = (unsigned char)text.at[at];
        if (c == '\r' && at + 1 < text.len && text.at[at + 1] == '\n') {
            buf_put_text(into, "\r\n");
            column = 0;
            at++;
            continue;
        }
        size_t width = must_be_quoted(text, at) ? 3 : 1;
        if (column + width > MIME_QP_LINE_BYTES - 1) {
            buf_put_text(into, "=\r\n");
            column = 0;
        }
        const char quoted[] = {'=', digits[c >> 4], digits[c & 15]};
        buf_put(into, width == 3 ? span_make(quoted, 3) : span_make(text.at + at, 1));
        column += width;
    }
}
