/* SPDX-License-Identifier: MIT */
/*
 * The temporary table holds one row for each canonical address that a record has brought, also
 * those that nothing is done about, so that a repetition is seen whatever became of the first.
 */
#include "lists/import.h"
#include "lists/columns.h"
#include "lists/csv.h"
#include "lists/suppress.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/date.h"
#include "mta/mail/escape.h"

enum { NOTES_MAX = 8, DAY_BYTES = 10 };

/* What is to be done about a record; also in the table, where NOTHING is 0. */
enum act { ACT_NOTHING, ACT_ADD, ACT_CHANGE };

struct import {
    struct store *store;
    struct import_settings settings;
    enum status status;
    struct buf error;
    struct buf input;
    size_t used; /* of input */
    bool is_last, has_begun, is_in_view, is_skipping, is_merging;
    enum import_format format;
    char separator;
    struct columns columns;
    struct csv_record record;
    uint64_t line; /* of the record at hand */
    struct import_note notes[NOTES_MAX];
    struct buf reasons[NOTES_MAX];
    unsigned note_count, notes_given;
    struct import_counts counts;
    struct buf attributes;
    struct arena arena; /* of the record at hand */
    struct buf merged;  /* the last address that was merged */
};

const char *import_note_text(enum import_note_kind kind)
{
#define IMPORT_NOTE_TEXT(id, text) text,
    static const char *const texts[] = {IMPORT_NOTES(IMPORT_NOTE_TEXT)};
#undef IMPORT_NOTE_TEXT
    return texts[kind];
}

/* --- its life --- */

struct import *import_new(struct store *store, const struct import_settings *settings)
{
    struct import *im = mem_new(sizeof *im);
    im->store         = store;
    im->settings      = *settings;
    im->format        = settings->format;
    store_cache(store, STORE_IMPORT_KB);
    im->status = query_run(store_query(store, "DROP TABLE IF EXISTS temp.incoming"));
    if (im->status == OK)
        im->status = query_run(store_query(
            store, "CREATE TEMP TABLE incoming (address TEXT PRIMARY KEY, shown TEXT, name TEXT,"
                   " attributes TEXT, state INTEGER, cause TEXT, act INTEGER, line INTEGER)"
                   " WITHOUT ROWID"));
    if (im->status == OK)
        im->status = store_begin_view(store);
    im->is_in_view = im->status == OK;
    return im;
}

void import_free(struct import *im)
{
    store_rollback(im->store);
    (void)query_run(store_query(im->store, "DROP TABLE IF EXISTS temp.incoming"));
    store_cache(im->store, STORE_CACHE_KB);
    for (size_t i = 0; i < NOTES_MAX; i++)
        buf_release(&im->reasons[i]);
    buf_release(&im->error);
    buf_release(&im->input);
    buf_release(&im->attributes);
    buf_release(&im->merged);
    csv_record_release(&im->record);
    arena_release(&im->arena);
    mem_free(im);
}

enum status import_status(const struct import *im)
{
    return im->status;
}

const char *import_error(const struct import *im)
{
    return im->error.len > 0 ? im->error.at : store_error(im->store);
}

const struct import_counts *import_counts(const struct import *im)
{
    return &im->counts;
}

static void fail(struct import *im, enum status status)
{
    if (im->status == OK)
        im->status = status;
}

/* The file as a whole is not what it should be. */
static void refuse_file(struct import *im, const char *sentence)
{
    buf_put_text(&im->error, sentence);
    (void)buf_text(&im->error);
    fail(im, BAD_INPUT);
}

/* --- notes --- */

/* Its reason is written into the buf that is returned. */
static struct buf *note(struct import *im, enum import_note_kind kind, struct span found)
{
    im->counts.notes[kind]++;
    unsigned i = im->note_count < NOTES_MAX ? im->note_count++ : NOTES_MAX - 1;
    buf_clear(&im->reasons[i]);
    im->notes[i] = (struct import_note){.kind = kind, .line = im->line, .found = found};
    return &im->reasons[i];
}

static void note_text(struct import *im, enum import_note_kind kind, struct span found,
                      const char *reason)
{
    buf_put_text(note(im, kind, found), reason);
}

/* "unsubscribed since 2026-11-24 (by mail)" */
static void note_left_out(struct import *im, struct span found, const char *state, uint64_t wall_ms,
                          struct span cause)
{
    char date[DATE_TEXT_BYTES];
    struct buf *reason = note(im, IMPORT_LEFT_OUT, found);
    buf_printf(reason, "%s since ", state);
    buf_put(reason, span_first(span_of(date_rfc3339(wall_ms, date)), DAY_BYTES));
    if (cause.len == 0)
        return;
    buf_put_text(reason, " (");
    buf_put(reason, cause);
    buf_put_byte(reason, ')');
}

/* --- one record --- */

struct row {
    struct span address_field;
    struct person person;
    enum member_state state;
    struct span cause, attributes; /* empty: none was given */
    enum act act;
};

static void read_name(struct import *im, struct row *row, struct span field)
{
    char before[PERSON_NAME_BYTES_MAX + 1];
    if (span_trim(field).len == 0)
        return; /* one beside the address stays */
    span_copy_text(span_of(row->person.name), before, sizeof before);
    if (person_set_name(&row->person, field))
        return;
    span_copy_text(span_of(before), row->person.name, sizeof row->person.name);
    note_text(im, IMPORT_DROPPED, field,
              utf8_is_valid(field) ? "the name is too long or holds control characters"
                                   : "the name is not in UTF-8");
}

static void read_attribute(struct import *im, const struct column *column, struct span field)
{
    field = span_trim(field);
    if (field.len == 0 || attribute_put(&im->attributes, column->name, field))
        return;
    struct buf *reason = note(im, IMPORT_DROPPED, field);
    buf_printf(reason, "the attribute '%s' %s", column->name,
               utf8_is_valid(field) ? "is too long or holds control characters"
                                    : "is not in UTF-8");
}

/* False: the record is refused. */
static bool read_state(struct import *im, struct row *row, struct span field)
{
    char word[16];
    field = span_trim(field);
    span_copy_text(field, word, sizeof word);
    for (char *c = word; *c != '\0'; c++)
        *c = ascii_lower(*c);
    if (field.len == 0 || strcmp(word, "subscribed") == 0)
        return true;
    if (member_state_parse(span_of(word), &row->state) && row->state != MEMBER_SUPPRESSED)
        return true;
    note_text(im, IMPORT_REFUSED, field,
              "the state should be active, pending, unsubscribed, bounced or complained");
    return false;
}

/* The fields beside the address. */
static bool read_fields(struct import *im, struct row *row)
{
    buf_clear(&im->attributes);
    for (size_t i = 0; i < im->columns.count && i < im->record.count; i++) {
        struct span field = im->record.fields[i];
        switch (im->columns.all[i].role) {
        case COLUMN_UNUSED:
        case COLUMN_ADDRESS:
            break;
        case COLUMN_NAME:
            read_name(im, row, field);
            break;
        case COLUMN_STATE:
            if (!read_state(im, row, field))
                return false;
            break;
        case COLUMN_CAUSE:
            if (field.len <= MEMBER_CAUSE_BYTES_MAX && utf8_is_printable(field))
                row->cause = span_trim(field);
            break;
        case COLUMN_ATTRIBUTE:
            read_attribute(im, &im->columns.all[i], field);
            break;
        }
    }
    attribute_end(&im->attributes);
    row->attributes = buf_span(&im->attributes);
    return true;
}

static struct span address_field(const struct import *im)
{
    for (size_t i = 0; i < im->columns.count && i < im->record.count; i++)
        if (im->columns.all[i].role == COLUMN_ADDRESS)
            return im->record.fields[i];
    return (struct span){"", 0};
}

static bool has_more_than_commas(const struct csv_record *record)
{
    for (size_t i = 0; i < record->count; i++)
        if (span_trim(record->fields[i]).len > 0)
            return true;
    return false;
}

/* False: there is nothing to import in it. */
static bool read_row(struct import *im, struct row *row)
{
    if (!has_more_than_commas(&im->record))
        return false;
    im->counts.records++;
    *row                = (struct row){.state = MEMBER_ACTIVE, .address_field = address_field(im)};
    const char *problem = person_parse(row->address_field, &row->person);
    if (span_trim(row->address_field).len == 0)
        problem = "no address";
    if (problem != NULL) {
        note_text(im, IMPORT_REFUSED, row->address_field, problem);
        return false;
    }
    if (im->record.count > im->columns.count && im->format == IMPORT_CSV) {
        note_text(im, IMPORT_REFUSED, row->address_field,
                  "more fields than the header names: is a comma not in quotes?");
        return false;
    }
    return read_fields(im, row);
}

static bool is_gone(enum member_state state)
{
    return state != MEMBER_ACTIVE && state != MEMBER_PENDING;
}

/* For one who is on the list already. */
static void decide_change(struct import *im, struct row *row, const struct member *m)
{
    bool is_new_name = row->person.name[0] != '\0' && strcmp(row->person.name, m->name) != 0;
    bool is_new_data = row->attributes.len > 0 && !span_is(row->attributes, m->attributes);
    row->act         = is_new_name || is_new_data ? ACT_CHANGE : ACT_NOTHING;
    if (is_gone(m->stored_state)) {
        row->act = ACT_NOTHING;
        if (!is_gone(row->state)) {
            note_left_out(im, row->address_field, member_state_text(m->stored_state),
                          m->since_wall_ms, span_of(m->cause));
            return;
        }
    } else if (is_gone(row->state) ||
               (m->stored_state == MEMBER_PENDING && row->state == MEMBER_ACTIVE)) {
        row->act = ACT_CHANGE;
    }
    if (row->act == ACT_NOTHING)
        im->counts.unchanged++;
}

static void decide(struct import *im, struct row *row)
{
    struct suppressed suppressed;
    struct member member;
    arena_reset(&im->arena);
    enum status status =
        suppress_find(im->store, im->settings.list, row->person.canonical, &im->arena, &suppressed);
    if (status == OK && !is_gone(row->state)) {
        note_left_out(im, row->address_field, "suppressed", suppressed.wall_ms,
                      span_of(suppressed.cause));
        return;
    }
    if (status == OK || status == NOT_FOUND)
        status =
            roster_find(im->store, im->settings.list, row->person.canonical, &im->arena, &member);
    if (status == OK)
        decide_change(im, row, &member);
    else if (status == NOT_FOUND)
        row->act = ACT_ADD;
    else
        fail(im, status);
}

/* Where the address stood first; 0: nowhere before. */
static uint64_t line_of(struct import *im, const struct row *row)
{
    struct query *q = store_query(im->store, "SELECT line FROM temp.incoming WHERE address = ?");
    query_put_text(q, span_of(row->person.canonical));
    uint64_t line      = query_row(q) ? (uint64_t)query_number(q, 0) : 0;
    enum status status = query_end(q);
    if (status != OK)
        fail(im, status);
    return line;
}

static void store_row(struct import *im, const struct row *row)
{
    bool is_plain     = strcmp(row->person.shown, row->person.canonical) == 0;
    struct span cause = row->cause.len > 0 ? row->cause : span_of(im->settings.cause);
    struct query *q   = store_query(im->store, "INSERT INTO temp.incoming (address, shown, name,"
                                                 " attributes, state, cause, act, line)"
                                                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    query_put_text(q, span_of(row->person.canonical));
    query_put_optional(q, span_of(is_plain ? "" : row->person.shown));
    query_put_optional(q, span_of(row->person.name));
    query_put_optional(q, row->attributes);
    query_put_number(q, row->state);
    query_put_optional(q, cause);
    query_put_number(q, row->act);
    query_put_number(q, (int64_t)im->line);
    enum status status = query_run(q);
    if (status != OK)
        fail(im, status);
    im->counts.added += row->act == ACT_ADD;
    im->counts.changed += row->act == ACT_CHANGE;
}

static void take_row(struct import *im)
{
    struct row row;
    if (!read_row(im, &row))
        return;
    uint64_t before = line_of(im, &row);
    if (before != 0) {
        buf_printf(note(im, IMPORT_REPEATED, row.address_field), "line %llu has it already",
                   (unsigned long long)before);
        return;
    }
    decide(im, &row);
    if (row.act != ACT_NOTHING && row.person.is_changed)
        buf_put_text(note(im, IMPORT_NORMALISED, row.address_field), row.person.shown);
    store_row(im, &row);
}

/* --- the file --- */

static const struct span byte_order_mark = SPAN("\xef\xbb\xbf");

static bool is_utf16(struct span bytes)
{
    return bytes.len >= 2 && ((bytes.at[0] == '\xff' && bytes.at[1] == '\xfe') ||
                              (bytes.at[0] == '\xfe' && bytes.at[1] == '\xff'));
}

static void be_lines(struct import *im)
{
    im->format              = IMPORT_LINES;
    im->columns.count       = 1;
    im->columns.all[0].role = COLUMN_ADDRESS;
}

static void note_columns(struct import *im)
{
    for (size_t i = 0; i < im->columns.count; i++)
        if (im->columns.all[i].role == COLUMN_UNUSED && im->columns.all[i].problem != NULL)
            buf_printf(note(im, IMPORT_DROPPED, im->record.fields[i]), "the column: %s",
                       im->columns.all[i].problem);
}

/* A first record that is a header: what stands in it is not imported. */
static void take_header(struct import *im)
{
    if (columns_read(&im->columns, &im->record)) {
        im->format = IMPORT_CSV;
        note_columns(im);
        return;
    }
    struct person person;
    bool is_address = im->record.count == 1 && person_parse(im->record.fields[0], &person) == NULL;
    refuse_file(im, is_address || im->format == IMPORT_GUESS
                        ? "the first line names no column 'email': give the columns a header, "
                          "like email,name"
                        : "the first line is no header: one column must be called email");
}

/* Whether the first line is an address, as good as it may be, or a comment. */
static bool begins_with_address(struct span line)
{
    struct person person;
    line            = span_trim(line);
    bool is_divided = span_find(line, ',') < line.len || span_find(line, ';') < line.len ||
                      span_find(line, '\t') < line.len;
    return line.len == 0 || line.at[0] == '#' || person_parse(line, &person) == NULL ||
           (!is_divided && span_find(line, '@') < line.len);
}

/* Blank lines before the first record. */
static void skip_blank_lines(struct import *im)
{
    for (; im->used < im->input.len; im->used++) {
        char c = im->input.at[im->used];
        if (c != '\n' && c != '\r' && c != ' ')
            return;
        im->counts.lines += c == '\n';
    }
}

/* False: more is needed to tell. */
static bool begin_file(struct import *im)
{
    size_t used;
    struct span input = buf_span(&im->input);
    if (is_utf16(input)) {
        refuse_file(im, "the file is in UTF-16: save it as UTF-8");
        return true;
    }
    if (input.len < byte_order_mark.len && !im->is_last)
        return false;
    if (im->counts.lines == 0 && span_starts(input, byte_order_mark))
        im->used = byte_order_mark.len;
    skip_blank_lines(im);
    input                = span_skip(input, im->used);
    enum csv_parse parse = csv_take_line(input, im->is_last, &im->record, &used);
    if (parse == CSV_MORE && !im->is_last)
        return false;
    im->has_begun = true;
    im->separator = csv_guess_separator(input);
    bool is_line  = parse == CSV_RECORD && begins_with_address(im->record.fields[0]);
    if (im->format == IMPORT_LINES ||
        (im->format == IMPORT_GUESS && (is_line || parse == CSV_MORE)))
        be_lines(im);
    return true;
}

static enum csv_parse take_record(struct import *im, size_t *used)
{
    struct span input = span_skip(buf_span(&im->input), im->used);
    if (im->format == IMPORT_LINES)
        return csv_take_line(input, im->is_last, &im->record, used);
    return csv_take(input, im->separator, im->is_last, &im->record, used);
}

/* The rest of a line that was too long, with its end; false: it is not over here. */
static bool skip_rest(struct import *im)
{
    struct span input = span_skip(buf_span(&im->input), im->used);
    size_t end        = 0;
    while (end < input.len && input.at[end] != '\n' && input.at[end] != '\r')
        end++;
    im->used += end;
    input = span_skip(input, end);
    if (input.len == 0 || (input.len == 1 && input.at[0] == '\r' && !im->is_last))
        return false;
    im->used += input.len > 1 && input.at[0] == '\r' && input.at[1] == '\n' ? 2 : 1;
    im->is_skipping = false;
    return true;
}

static void use_record(struct import *im, enum csv_parse parse, size_t used)
{
    struct span whole = span_first(span_skip(buf_span(&im->input), im->used), used);
    im->line          = im->counts.lines + 1;
    if (parse == CSV_BAD) {
        note_text(im, IMPORT_REFUSED, span_trim(whole), im->record.problem);
        im->is_skipping = whole.at[used - 1] != '\n' && whole.at[used - 1] != '\r';
    } else if (im->columns.count == 0) {
        take_header(im);
    } else if (im->format != IMPORT_LINES || span_trim(im->record.fields[0]).len == 0 ||
               span_trim(im->record.fields[0]).at[0] != '#') {
        take_row(im);
    }
    im->counts.lines += im->record.lines;
    im->used += used;
}

void import_feed(struct import *im, struct span bytes, bool is_last)
{
    buf_drop(&im->input, im->used);
    im->used = 0;
    buf_put(&im->input, bytes);
    im->is_last = is_last;
}

/* False when more bytes are wanted. */
static bool go_on(struct import *im)
{
    size_t used = 0;
    if (im->is_skipping && !skip_rest(im))
        return false;
    enum csv_parse parse = take_record(im, &used);
    if (parse == CSV_MORE)
        return false;
    use_record(im, parse, used);
    return true;
}

bool import_next(struct import *im, struct import_note *given)
{
    while (im->notes_given == im->note_count) {
        im->notes_given = im->note_count = 0;
        if (im->status != OK || (!im->has_begun && !begin_file(im)) || im->status != OK ||
            !go_on(im))
            return false;
    }
    unsigned i    = im->notes_given++;
    *given        = im->notes[i];
    given->reason = buf_span(&im->reasons[i]);
    return true;
}

/* --- merging --- */

/* The address that ends the next slice; false when none is left. */
static bool find_slice(struct import *im, struct buf *last)
{
    struct query *q = store_query(
        im->store, "SELECT max(address) FROM (SELECT address FROM temp.incoming WHERE act > 0 AND"
                   " address > ? ORDER BY address LIMIT ?)");
    query_put_text(q, buf_span(&im->merged));
    query_put_number(q, IMPORT_SLICE_ROWS);
    if (query_row(q))
        buf_put(last, query_text(q, 0));
    enum status status = query_end(q);
    if (status != OK)
        fail(im, status);
    return status == OK && last->len > 0;
}

/* Whoever has left meanwhile stays away: the update is for active and pending ones only. */
static enum status merge_slice(struct import *im, struct span last)
{
    struct query *q = store_query(
        im->store,
        "INSERT INTO members (list, address, shown, name, attributes, state, since, cause)"
        " SELECT ?, address, shown, name, attributes, state, ?, cause FROM temp.incoming"
        " WHERE act > 0 AND address > ? AND address <= ? ORDER BY address"
        " ON CONFLICT (list, address) DO UPDATE SET"
        " name = coalesce(excluded.name, name),"
        " attributes = CASE WHEN excluded.attributes IS NULL THEN attributes ELSE"
        " json_patch(coalesce(attributes, '{}'), excluded.attributes) END,"
        " since = CASE WHEN state = excluded.state OR (state = 1 AND excluded.state = 0) THEN since"
        " ELSE excluded.since END,"
        " cause = CASE WHEN state = excluded.state OR (state = 1 AND excluded.state = 0) THEN cause"
        " ELSE excluded.cause END,"
        " state = CASE WHEN state = 1 AND excluded.state = 0 THEN 1 ELSE excluded.state END"
        " WHERE state IN (0, 1)");
    _Static_assert(MEMBER_PENDING == 0 && MEMBER_ACTIVE == 1, "the statement names them");
    query_put_number(q, im->settings.list);
    query_put_number(q, (int64_t)im->settings.wall_ms);
    query_put_text(q, buf_span(&im->merged));
    query_put_text(q, last);
    return query_run(q);
}

/* The first pass is over: what was read may be written. */
static void begin_merge(struct import *im)
{
    im->is_merging = true;
    if (im->is_in_view)
        fail(im, store_commit(im->store));
    im->is_in_view = false;
}

bool import_merge(struct import *im)
{
    struct buf last = {0};
    if (im->settings.is_dry || im->status != OK)
        return false;
    if (!im->is_merging)
        begin_merge(im);
    bool has_more = im->status == OK && find_slice(im, &last);
    if (has_more) {
        enum status status = store_begin(im->store);
        if (status == OK)
            status = store_finish(im->store, merge_slice(im, buf_span(&last)));
        if (status != OK)
            fail(im, status);
        buf_clear(&im->merged);
        buf_put(&im->merged, buf_span(&last));
    }
    buf_release(&last);
    return has_more && im->status == OK;
}
