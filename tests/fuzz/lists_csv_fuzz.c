/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes records, columns, persons and attributes.  Oracle: cut anywhere a record is the same, what
 * is written reads the same, and what is taken as a person is taken again as itself.
 */
#include "lists/attributes.h"
#include "lists/columns.h"
#include "lists/csv.h"
#include "lists/person.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/escape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_person(struct span field)
{
    struct person p, again;
    char canonical[PERSON_ADDRESS_BYTES_MAX + 1];
    if (person_parse(field, &p) != NULL)
        return;
    must(utf8_is_printable(span_of(p.name)) && utf8_is_printable(span_of(p.shown)));
    must(person_parse(span_of(p.shown), &again) == NULL && !again.is_changed);
    must(strcmp(p.canonical, again.canonical) == 0 && strcmp(p.shown, again.shown) == 0);
    must(person_canonical(span_of(p.canonical), canonical));
    must(strcmp(canonical, p.canonical) == 0);
}

static void check_attribute(struct span key, struct span field)
{
    struct buf json = {0}, value = {0};
    struct span name, rest;
    char text[ATTRIBUTE_NAME_BYTES_MAX + 1];
    if (attribute_name(key, text) && attribute_put(&json, text, field)) {
        attribute_end(&json);
        rest = buf_span(&json);
        must(attribute_next(&rest, &name, &value) && span_is(name, text));
        must(span_equals(buf_span(&value), field) && !attribute_next(&rest, &name, &value));
    }
    for (buf_clear(&value), rest = field; attribute_next(&rest, &name, &value);)
        must(rest.len < field.len);
    buf_release(&json);
    buf_release(&value);
}

/* The fields, written as a record, are read as the same. */
static void check_round_trip(const struct csv_record *r, char separator, struct csv_record *again)
{
    struct buf text = {0};
    size_t used;
    for (size_t i = 0; i < r->count; i++) {
        if (i > 0)
            buf_put_byte(&text, separator);
        csv_put(&text, r->fields[i], separator);
    }
    buf_put_text(&text, "\r\n");
    if (text.len < CSV_RECORD_BYTES_MAX) {
        must(csv_take(buf_span(&text), separator, true, again, &used) == CSV_RECORD);
        must(used == text.len && again->count == r->count);
        for (size_t i = 0; i < r->count; i++)
            must(span_equals(again->fields[i], r->fields[i]));
    }
    buf_release(&text);
}

static void check_record(struct span in, size_t used, char separator, struct csv_record *again)
{
    size_t other;
    for (size_t cut = 0; cut + 1 < used && cut < 64; cut++)
        must(csv_take(span_first(in, cut), separator, false, again, &other) != CSV_RECORD ||
             other == cut);
}

static void check_all(struct span in, char separator)
{
    struct csv_record *r = mem_new(sizeof *r), *again = mem_new(sizeof *again);
    struct columns *columns = mem_new(sizeof *columns);
    size_t used             = 0;
    enum csv_parse parse;
    while ((parse = csv_take(in, separator, true, r, &used)) != CSV_MORE) {
        must(used > 0 && used <= in.len && r->lines > 0);
        if (parse == CSV_RECORD) {
            (void)columns_read(columns, r);
            must(columns->count == r->count);
            for (size_t i = 0; i < r->count; i++) {
                check_person(r->fields[i]);
                check_attribute(r->fields[0], r->fields[i]);
            }
            check_round_trip(r, separator, again);
            check_record(in, used, separator, again);
        }
        in = span_skip(in, used);
    }
    must(in.len == 0);
    csv_record_release(r);
    csv_record_release(again);
    mem_free(r);
    mem_free(again);
    mem_free(columns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    check_all(text, csv_guess_separator(text));
    return 0;
}
