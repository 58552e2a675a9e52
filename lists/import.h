/* SPDX-License-Identifier: MIT */
/*
 * Import: a file of members comes onto a list, in two passes over bounded memory.
 *
 * First every record is read, checked and normalised, and waits in a temporary table, by its
 * canonical address; what is wrong with one is reported where it stands.  Then the table is merged
 * into the roster in short transactions, so that a server that uses the same database never waits
 * long.  Cut off in the middle, it has added some, and doing it again adds the rest.
 *
 * Nobody comes back by an import who has unsubscribed, bounced or complained, or is suppressed.
 * The other way round counts: a column 'state' that says unsubscribed makes it so.
 *
 *     struct import *im = import_new(store, &settings);
 *     while (...read...) {
 *         import_feed(im, bytes, is_last);
 *         while (import_next(im, &note))
 *             ...print...
 *     }
 *     while (import_merge(im))
 *         ...
 *     import_counts(im)
 */
#pragma once
#include "lists/roster.h"

enum { IMPORT_SLICE_ROWS = 20000 }; /* merged in one transaction */

enum import_format {
    IMPORT_GUESS, /* by the first line: a header, or an address */
    IMPORT_LINES, /* an address a line, perhaps "Name <address>"; blank lines and # are passed over
                   */
    IMPORT_CSV    /* with a header; separated by ',' ';' or tab */
};

struct import_settings {
    uint32_t list;
    enum import_format format;
    bool is_dry; /* everything is said, nothing is done */
    uint64_t wall_ms;
    const char *cause; /* of who is added */
};

#define IMPORT_NOTES(X)                                                                            \
    X(REFUSED, "refused")       /* not imported: what the record says is wrong */                  \
    X(LEFT_OUT, "left out")     /* not imported: has left, or is suppressed */                     \
    X(REPEATED, "repeated")     /* not imported: an earlier record has the address */              \
    X(NORMALISED, "normalised") /* imported, written differently */                                \
    X(DROPPED, "dropped")       /* imported, without a name, attribute or column */
#define IMPORT_NOTE_NAME(id, text) IMPORT_##id,
enum import_note_kind { IMPORT_NOTES(IMPORT_NOTE_NAME) IMPORT_NOTE_COUNT };
#undef IMPORT_NOTE_NAME

const char *import_note_text(enum import_note_kind kind);

struct import_note {
    enum import_note_kind kind;
    uint64_t line;     /* from 1 */
    struct span found; /* what stands there; not escaped, perhaps long */
    struct span reason;
};

struct import_counts {
    uint64_t lines, records;
    uint64_t added, changed, unchanged; /* of a dry one: would be */
    uint64_t notes[IMPORT_NOTE_COUNT];
};

struct import;

struct import *import_new(struct store *store, const struct import_settings *settings);
void import_free(struct import *import);

/* The next bytes of the file; those before have been taken (import_next() has said false). */
void import_feed(struct import *import, struct span bytes, bool is_last);
/* The next note, which holds until the next call; false: more bytes are wanted, or it has failed.
 */
bool import_next(struct import *import, struct import_note *note);
/* After all notes: merges some; false when it is over, or has failed. */
bool import_merge(struct import *import);
/* OK, or why it could not go on: BAD_INPUT (the file as a whole; a sentence is in import_error()),
 * or the store's. */
enum status import_status(const struct import *import);
const char *import_error(const struct import *import);
const struct import_counts *import_counts(const struct import *import);
