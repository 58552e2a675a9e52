/* SPDX-License-Identifier: MIT */
/*
 * Csv: records of fields between separators (RFC 4180, and what spreadsheets make of it): fields
 * may stand in quotes, a quote inside is doubled, and a field in quotes may hold line ends.  Lines
 * end in CRLF, LF or CR.
 */
#pragma once
#include "mta/base/buf.h"

enum {
    CSV_FIELDS_MAX       = 256,
    CSV_RECORD_BYTES_MAX = 64 * 1024,
};

/* Begins zeroed; csv_record_release() at the end. */
struct csv_record {
    struct span
        fields[CSV_FIELDS_MAX]; /* into the input, or into 'unquoted': until the next call */
    size_t count;
    unsigned lines;      /* that it took */
    const char *problem; /* of CSV_BAD */
    struct buf unquoted;
};
void csv_record_release(struct csv_record *record);

enum csv_parse { CSV_MORE, CSV_RECORD, CSV_BAD };
/*
 * Takes one record from the start of 'in'.  MORE: there is no whole one, nothing was taken.
 * RECORD: *used bytes were, with the line end.  BAD: it is none, and to go on behind its first line
 * take *used bytes (which do not end in a line end when that line is too long: skip the rest).
 * 'is_last': nothing comes behind 'in', which then may end without a line end; MORE means that it
 * is empty.  CSV_RECORD_BYTES_MAX bytes are enough to never hear MORE.
 */
enum csv_parse csv_take(struct span in, char separator, bool is_last, struct csv_record *record,
                        size_t *used);
/* The same for lines of one field, in which nothing has a meaning. */
enum csv_parse csv_take_line(struct span in, bool is_last, struct csv_record *record, size_t *used);

/* The one of ',', ';' and tab that most likely separates, seen in a first line; ',' in doubt. */
char csv_guess_separator(struct span in);

/* Appends a field as RFC 4180 has it, in quotes where it needs them. */
void csv_put(struct buf *into, struct span field, char separator);
