/* SPDX-License-Identifier: MIT */
/*
 * One rule decides what a field is, for all who ask: a name of printable characters, a colon (white
 * space may stand before it, RFC 5322 4.5), and every line after it that starts with white space.
 * What is written is escaped as a whole before it is folded, so the only line ends in it are ours.
 */
#include "mta/mail/header.h"
#include "mta/base/fault.h"
#include "mta/mail/address.h"
#include "mta/mail/date.h"
#include "mta/mail/domain.h"
#include "mta/mail/escape.h"
#include <string.h>

enum {
    FOLD_COLUMNS         = 77,  /* RFC 5322 2.1.1: 78 at most */
    LINE_COLUMNS_MAX     = 997, /* RFC 5322 2.1.1: 998 at most */
    SPACES_MAX           = 64,  /* of a row of spaces; so a line never is nothing else */
    COMMENT_BYTES_MAX    = 255, /* of what others say, in our Received field */
    LITERAL_BYTES_MAX    = 64,
    FIELD_NAME_BYTES_MAX = 100,
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static size_t name_bytes(struct span line)
{
    size_t n = 0;
    while (n < line.len && line.at[n] > ' ' && line.at[n] < 0x7f && line.at[n] != ':')
        n++;
    return n;
}

/* Takes "name:" from the start of 'line'; false: it starts no field. */
static bool take_name(struct span *line, struct span *name)
{
    size_t n = name_bytes(*line), colon = n;
    while (colon < line->len && is_space(line->at[colon]))
        colon++;
    if (n == 0 || colon == line->len || line->at[colon] != ':')
        return false;
    *name = span_first(*line, n);
    *line = span_skip(*line, colon + 1);
    return true;
}

/* Up to the line end that no continuation follows, and with it. */
static size_t value_bytes(struct span text)
{
    size_t at = 0;
    do
        at += span_find(span_skip(text, at), '\n') + 1;
    while (at < text.len && is_space(text.at[at]));
    return at < text.len ? at : text.len;
}

static struct span without_line_end(struct span value)
{
    if (value.len > 0 && value.at[value.len - 1] == '\n')
        value.len--;
    if (value.len > 0 && value.at[value.len - 1] == '\r')
        value.len--;
    return value;
}

bool header_next(struct span *section, struct header_field *field)
{
    struct span rest = *section;
    if (!take_name(&rest, &field->name))
        return false;
    size_t n     = value_bytes(rest);
    field->value = without_line_end(span_first(rest, n));
    *section     = span_skip(rest, n);
    return true;
}

struct span header_find(struct span section, const char *name)
{
    struct header_field field;
    while (header_next(&section, &field))
        if (span_is_nocase(field.name, name))
            return field.value;
    return (struct span){NULL, 0};
}

size_t header_section_bytes(struct span message)
{
    static const struct span empty_line = SPAN("\r\n"), end = SPAN("\r\n\r\n");
    if (span_starts(message, empty_line))
        return empty_line.len;
    size_t at = span_find_text(message, end);
    return at == message.len ? at : at + end.len;
}

struct span header_alone(struct span section)
{
    bool has_end = section.len >= 2 && section.at[section.len - 1] == '\n' &&
                   (section.len == 2 || section.at[section.len - 3] == '\n');
    return span_first(section, has_end ? section.len - 2 : section.len);
}

enum field { FIELD_OTHER, FIELD_DATE, FIELD_FROM, FIELD_RECEIVED, FIELD_MESSAGE_ID, FIELD_LIST_ID };

static enum field field_of(struct span name)
{
    static const struct {
        const char *name;
        enum field field;
    } known[] = {
        {"Date",       FIELD_DATE      },
        {"From",       FIELD_FROM      },
        {"Received",   FIELD_RECEIVED  },
        {"Message-ID", FIELD_MESSAGE_ID},
        {"List-Id",    FIELD_LIST_ID   },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (span_is_nocase(name, known[i].name))
            return known[i].field;
    return FIELD_OTHER;
}

/* What stands in the first <> that is not in quotes or in a comment; empty if there is none. */
static struct span angle_text(struct span value)
{
    unsigned comments = 0;
    bool is_quoted    = false;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == '\\') {
            i++;
        } else if (c == '"' && comments == 0) {
            is_quoted = !is_quoted;
        } else if (c == '(' && !is_quoted) {
            comments++;
        } else if (c == ')' && comments > 0) {
            comments--;
        } else if (c == '<' && !is_quoted && comments == 0) {
            struct span inside = span_skip(value, i + 1);
            size_t end         = span_find(inside, '>');
            return span_first(inside, end < inside.len ? end : 0);
        }
    }
    return (struct span){"", 0};
}

static void keep_angle_text(struct span value, char *into, size_t cap)
{
    struct span inside = angle_text(value);
    size_t len         = 0;
    for (size_t i = 0; i < inside.len && len < cap; i++) {
        char c = inside.at[i];
        if (!is_space(c) && c != '\r' && c != '\n')
            into[len++] = (char)(c > ' ' && c < 0x7f ? c : '?');
    }
    into[len < cap ? len : 0] = '\0';
}

void header_scan_init(struct header_scan *scan)
{
    *scan = (struct header_scan){0};
}

static void scan_end(struct header_scan *scan, bool is_malformed)
{
    scan->is_over      = true;
    scan->is_malformed = is_malformed;
    if (is_malformed)
        scan->bytes -= scan->line_bytes;
}

static void begin_line(struct header_scan *scan, char first)
{
    scan->is_in_line    = true;
    scan->is_folded     = is_space(first) && scan->field_count > 0;
    scan->line_has_8bit = false;
    scan->line_bytes    = 0;
    if (!scan->is_folded)
        scan->line_len = 0;
}

static void collect(struct header_scan *scan, struct span part)
{
    struct span kept = span_first(part, sizeof scan->line - scan->line_len);
    memcpy(scan->line + scan->line_len, kept.at, kept.len);
    scan->line_len += kept.len;
    scan->line_has_8bit = scan->line_has_8bit || !text_is_ascii(part);
    scan->line_bytes += part.len;
    scan->bytes += part.len;
}

/* The first line of a field: what its name says. */
static void note_field(struct header_scan *scan, enum field field)
{
    bool is_second = (field == FIELD_MESSAGE_ID && scan->has_message_id) ||
                     (field == FIELD_LIST_ID && scan->list_id[0] != '\0');
    scan->field = is_second ? FIELD_OTHER : field;
    scan->field_count++;
    scan->received_count += field == FIELD_RECEIVED;
    scan->has_date       = scan->has_date || field == FIELD_DATE;
    scan->has_from       = scan->has_from || field == FIELD_FROM;
    scan->has_message_id = scan->has_message_id || field == FIELD_MESSAGE_ID;
}

static void end_line(struct header_scan *scan)
{
    struct span name = {0}, rest = {scan->line, scan->line_len};
    scan->is_in_line = false;
    if (!scan->is_folded && span_is(rest, "\r\n")) {
        scan_end(scan, false);
        return;
    }
    if (!take_name(&rest, &name)) {
        scan_end(scan, true);
        return;
    }
    if (!scan->is_folded)
        note_field(scan, field_of(name));
    scan->has_8bit = scan->has_8bit || scan->line_has_8bit;
    if (scan->field == FIELD_MESSAGE_ID)
        keep_angle_text(rest, scan->message_id, sizeof scan->message_id);
    if (scan->field == FIELD_LIST_ID)
        keep_angle_text(rest, scan->list_id, sizeof scan->list_id);
}

void header_scan_feed(struct header_scan *scan, struct span piece)
{
    while (piece.len > 0 && !scan->is_over) {
        if (!scan->is_in_line)
            begin_line(scan, piece.at[0]);
        size_t lf = span_find(piece, '\n');
        collect(scan, span_first(piece, lf + 1));
        if (lf < piece.len)
            end_line(scan);
        piece = span_skip(piece, lf + 1);
    }
}

/* As many bytes of 'word' as fit into 'room', cut at a character. */
static size_t fitting_bytes(struct span word, size_t room)
{
    size_t n = word.len < room ? word.len : room;
    while (n > 0 && n < word.len && (word.at[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* Puts a word at 'column' and returns the column behind it; only a word that no line can hold is
 * cut. */
static size_t put_word(struct buf *into, struct span word, size_t column)
{
    while (column + word.len > LINE_COLUMNS_MAX) {
        size_t n = fitting_bytes(word, LINE_COLUMNS_MAX - column);
        buf_put(into, span_first(word, n));
        buf_put_text(into, "\r\n ");
        word   = span_skip(word, n);
        column = 1;
    }
    buf_put(into, word);
    return column + word.len;
}

/* 'text' starts and ends with what is no space. */
static void put_folded(struct buf *into, struct span text, size_t column)
{
    size_t spaces = 1;
    bool may_fold = false; /* not before the first word: some readers see an empty field then */
    while (text.len > 0) {
        struct span word = span_first(text, span_find(text, ' '));
        if (may_fold && column + spaces + word.len > FOLD_COLUMNS) {
            buf_put_text(into, "\r\n");
            column = 0;
        }
        for (size_t i = 0; i < spaces; i++)
            buf_put_byte(into, ' ');
        column   = put_word(into, word, column + spaces);
        text     = span_skip(text, word.len);
        may_fold = true;
        for (spaces = 0; text.len > 0 && text.at[0] == ' '; text = span_skip(text, 1))
            spaces += spaces < SPACES_MAX;
    }
}

void header_write(struct buf *into, const char *name, struct span value)
{
    struct span label = span_of(name);
    must(label.len > 0 && label.len <= FIELD_NAME_BYTES_MAX && name_bytes(label) == label.len);
    struct buf clean = {0};
    escape_text(span_trim(value), SIZE_MAX, &clean);
    buf_put(into, label);
    buf_put_byte(into, ':');
    put_folded(into, buf_span(&clean), label.len + 1);
    buf_put_text(into, "\r\n");
    buf_release(&clean);
}

/* What others say, so that it can neither end the comment nor the field. */
static void put_comment_text(struct buf *into, const char *text)
{
    size_t start = into->len;
    escape_ascii(span_of(text), COMMENT_BYTES_MAX, into);
    for (size_t i = start; i < into->len; i++)
        if (strchr("()\\", into->at[i]) != NULL)
            into->at[i] = '?';
}

/* The address literal of an IP in text form; false: it is none. */
static bool literal_of(const char *ip, char into[LITERAL_BYTES_MAX])
{
    const char *tag = strchr(ip, ':') == NULL ? "" : "IPv6:";
    size_t tag_len = strlen(tag), ip_len = strlen(ip);
    if (tag_len + ip_len + sizeof "[]" > LITERAL_BYTES_MAX)
        return false;
    into[0] = '[';
    memcpy(into + 1, tag, tag_len);
    memcpy(into + 1 + tag_len, ip, ip_len);
    memcpy(into + 1 + tag_len + ip_len, "]", 2);
    return address_literal_is_valid(span_of(into));
}

/* The name a client gave as it may stand in a Received field: itself, or in A-labels. */
static const char *stated_name(const char *helo, char ascii[DOMAIN_BYTES_MAX + 1])
{
    if (address_literal_is_valid(span_of(helo)))
        return helo;
    if (!domain_canonical(span_of(helo), ascii))
        return NULL;
    return text_is_ascii(span_of(helo)) ? helo : ascii;
}

static void put_texts(struct buf *into, const char *before, const char *text, const char *behind)
{
    buf_put_text(into, before);
    buf_put_text(into, text);
    buf_put_text(into, behind);
}

static void put_from(struct buf *value, const char *helo, const char *ip)
{
    char literal[LITERAL_BYTES_MAX], ascii[DOMAIN_BYTES_MAX + 1];
    const char *name = stated_name(helo, ascii);
    bool is_ip       = literal_of(ip, literal);
    if (helo[0] == '\0' && ip[0] == '\0')
        return;
    buf_put_text(value, "from ");
    buf_put_text(value, name != NULL ? name : is_ip ? literal : "unknown");
    if (name != NULL && is_ip)
        put_texts(value, " (", literal, ")");
    if (ip[0] != '\0' && !is_ip) {
        buf_put_text(value, " (");
        put_comment_text(value, ip);
        buf_put_byte(value, ')');
    }
    if (name == NULL && helo[0] != '\0') {
        buf_put_text(value, " (helo=");
        put_comment_text(value, helo);
        buf_put_byte(value, ')');
    }
    buf_put_byte(value, ' ');
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

void header_write_received(struct buf *into, const struct header_trace *trace)
{
    struct buf value = {0};
    char date[DATE_TEXT_BYTES];
    if (!trace->hides_client)
        put_from(&value, or_empty(trace->helo), or_empty(trace->client_ip));
    put_texts(&value, "by ", trace->by, " with ");
    buf_put_text(&value, trace->protocol);
    if (trace->tls != NULL) {
        buf_put_text(&value, " (");
        put_comment_text(&value, trace->tls);
        buf_put_byte(&value, ')');
    }
    put_texts(&value, " id ", trace->id, "");
    /* RFC 6531 3.7.3: a mailbox in UTF-8 may only stand here where all readers know UTF-8. */
    if (trace->rcpt != NULL && text_is_ascii(span_of(trace->rcpt)))
        put_texts(&value, " for <", trace->rcpt, ">");
    put_texts(&value, "; ", date_rfc5322(trace->wall_ms, date), "");
    header_write(into, "Received", buf_span(&value));
    buf_release(&value);
}
