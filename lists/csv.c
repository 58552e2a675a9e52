/* SPDX-License-Identifier: MIT */
/*
 * A record is scanned anew when more has come: files are read in pieces much longer than a record,
 * so that costs nothing, and no state has to survive between two calls.
 */
#include "lists/csv.h"

struct scan {
    struct span in;
    size_t at;
    char separator;
    bool is_last;
    struct csv_record *record;
};

void csv_record_release(struct csv_record *record)
{
    buf_release(&record->unquoted);
}

static bool is_at_end(const struct scan *s)
{
    return s->at == s->in.len;
}

static bool ends_line(char c)
{
    return c == '\r' || c == '\n';
}

/* The bytes of the line end at 'at'; 0: it may be longer than what is here. */
static size_t line_end_bytes(struct span in, size_t at, bool is_last)
{
    if (in.at[at] == '\n')
        return 1;
    if (at + 1 < in.len)
        return in.at[at + 1] == '\n' ? 2 : 1;
    return is_last ? 1 : 0;
}

static size_t first_line_bytes(struct span in)
{
    size_t at = 0;
    while (at < in.len && !ends_line(in.at[at]))
        at++;
    return at == in.len ? in.len : at + line_end_bytes(in, at, true);
}

/* Where the scan ends for now, without a whole record. */
static enum csv_parse stop(const struct scan *s, const char *problem, size_t *used)
{
    if (!s->is_last && s->in.len < CSV_RECORD_BYTES_MAX)
        return CSV_MORE;
    s->record->problem = problem;
    s->record->lines   = 1;
    *used              = first_line_bytes(s->in);
    return CSV_BAD;
}

static enum csv_parse refuse(const struct scan *s, const char *problem, size_t *used)
{
    size_t line = first_line_bytes(s->in);
    if (line == s->in.len && !s->is_last && line < CSV_RECORD_BYTES_MAX)
        return CSV_MORE; /* the rest of the line has to be skipped with it */
    s->record->problem = problem;
    s->record->lines   = 1;
    *used              = line;
    return CSV_BAD;
}

/* What stands inside quotes, the first of which is at 's->at'; false: they are not closed here. */
static bool scan_quoted(struct scan *s, struct span *field)
{
    struct buf *unquoted = &s->record->unquoted;
    size_t start         = unquoted->len;
    for (s->at++; !is_at_end(s); s->at++) {
        char c = s->in.at[s->at];
        if (c == '"') {
            if (s->at + 1 == s->in.len && !s->is_last)
                return false;
            s->at++;
            if (is_at_end(s) || s->in.at[s->at] != '"') {
                *field = span_make(unquoted->at + start, unquoted->len - start);
                return true;
            }
        } else if (c == '\n' ||
                   (c == '\r' && span_find(span_first(span_skip(s->in, s->at), 2), '\n') == 2)) {
            s->record->lines++;
        }
        buf_put_byte(unquoted, c);
    }
    return false;
}

static void scan_plain(struct scan *s, struct span *field)
{
    size_t start = s->at;
    while (!is_at_end(s) && s->in.at[s->at] != s->separator && !ends_line(s->in.at[s->at]))
        s->at++;
    *field = span_make(s->in.at + start, s->at - start);
}

enum csv_parse csv_take(struct span in, char separator, bool is_last, struct csv_record *record,
                        size_t *used)
{
    is_last       = is_last && in.len <= CSV_RECORD_BYTES_MAX;
    in            = span_first(in, CSV_RECORD_BYTES_MAX);
    struct scan s = {.in = in, .separator = separator, .is_last = is_last, .record = record};
    record->count = 0;
    record->lines = 1;
    buf_clear(&record->unquoted);
    if (in.len == 0)
        return CSV_MORE;
    (void)buf_reserve(&record->unquoted, in.len); /* so that it does not move */
    for (;;) {
        struct span field;
        bool is_quoted = !is_at_end(&s) && in.at[s.at] == '"';
        if (is_quoted && !scan_quoted(&s, &field))
            return stop(&s, "a quote that is opened and not closed", used);
        if (!is_quoted)
            scan_plain(&s, &field);
        if (record->count == CSV_FIELDS_MAX)
            return refuse(&s, "more than 256 fields", used);
        record->fields[record->count++] = field;
        if (is_at_end(&s))
            break;
        if (ends_line(in.at[s.at])) {
            size_t end = line_end_bytes(in, s.at, is_last);
            *used      = s.at + end;
            return end == 0 ? CSV_MORE : CSV_RECORD;
        }
        if (in.at[s.at] != separator)
            return refuse(&s, "text behind a closing quote", used);
        s.at++;
    }
    if (!is_last)
        return stop(&s, "a line longer than 64 kB", used);
    *used = in.len;
    return CSV_RECORD;
}

enum csv_parse csv_take_line(struct span in, bool is_last, struct csv_record *record, size_t *used)
{
    is_last       = is_last && in.len <= CSV_RECORD_BYTES_MAX;
    in            = span_first(in, CSV_RECORD_BYTES_MAX);
    struct scan s = {.in = in, .is_last = is_last, .record = record};
    size_t len    = 0;
    record->count = 1;
    record->lines = 1;
    while (len < in.len && !ends_line(in.at[len]))
        len++;
    record->fields[0] = span_first(in, len);
    if (len < in.len) {
        size_t end = line_end_bytes(in, len, is_last);
        *used      = len + end;
        return end == 0 ? CSV_MORE : CSV_RECORD;
    }
    if (in.len == 0)
        return CSV_MORE;
    if (!is_last)
        return stop(&s, "a line longer than 64 kB", used);
    *used = in.len;
    return CSV_RECORD;
}

char csv_guess_separator(struct span in)
{
    static const char candidates[] = ",;\t";
    size_t counts[3]               = {0};
    bool is_quoted                 = false;
    for (size_t i = 0; i < in.len && (is_quoted || !ends_line(in.at[i])); i++) {
        if (in.at[i] == '"')
            is_quoted = !is_quoted;
        for (size_t c = 0; c < 3 && !is_quoted; c++)
            counts[c] += in.at[i] == candidates[c];
    }
    size_t best = 0;
    for (size_t c = 1; c < 3; c++)
        if (counts[c] > counts[best])
            best = c;
    return candidates[best];
}

void csv_put(struct buf *into, struct span field, char separator)
{
    bool needs_quotes = span_find(field, separator) < field.len ||
                        span_find(field, '"') < field.len || span_find(field, '\n') < field.len ||
                        span_find(field, '\r') < field.len;
    if (!needs_quotes) {
        buf_put(into, field);
        return;
    }
    buf_put_byte(into, '"');
    for (size_t i = 0; i < field.len; i++) {
        if (field.at[i] == '"')
            buf_put_byte(into, '"');
        buf_put_byte(into, field.at[i]);
    }
    buf_put_byte(into, '"');
}
