/* SPDX-License-Identifier: MIT */
/*
 * Store: the lists database: one SQLite file, and the only place that knows SQLite.
 *
 * Another program may have it open at the same time (the command line beside the server): readers
 * never wait, a writer waits up to STORE_BUSY_MS for the one before.  What was committed survives a
 * power cut.  The file holds addresses and the key of all tokens: it is made 0600, and its
 * directory must exist.
 *
 *     struct query *q = store_query(s, "SELECT name FROM members WHERE list = ? AND address = ?");
 *     query_put_number(q, list);
 *     query_put_text(q, address);
 *     if (query_row(q))
 *         arena_text(arena, query_text(q, 0));
 *     enum status status = query_end(q);
 *
 * A store is one thread's at a time.  Calls block on the disk: never the engine thread.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/status.h"

struct store;
struct query;

enum {
    STORE_BUSY_MS     = 15000,
    STORE_KEY_BYTES   = 32,
    STORE_CACHE_KB    = 8 * 1024,  /* of pages, kept in memory */
    STORE_IMPORT_KB   = 96 * 1024, /* the same, for a command that moves a million rows */
    STORE_QUERIES_MAX = 512,
};

enum store_mode {
    STORE_READ,  /* NOT_FOUND when there is no file; may still write */
    STORE_CREATE /* makes the file when there is none */
};

/*
 * Opens, and brings an older schema up to date.  On failure a sentence in 'error' that names path,
 * cause and remedy: NOT_FOUND, NOT_PERMITTED, CORRUPT (no database, or not ours), BAD_INPUT (made
 * by a newer version), AGAIN (busy), NO_SPACE, IO_ERROR.
 */
enum status store_open(struct store **store, const char *path, enum store_mode mode,
                       struct buf *error);
void store_close(struct store *store);

/* The secret that all tokens are made with; made by chance when the file was. */
const unsigned char *store_key(const struct store *store);
/* For a command of its own that moves many rows. */
void store_cache(struct store *store, unsigned kilobytes);
/* Why the last call failed, in SQLite's words. */
const char *store_error(const struct store *store);

/* --- transactions: they do not nest --- */

/* Takes the write lock at once, so that nothing inside can fail for another writer. */
enum status store_begin(struct store *store);
/* What is read until the end is of one moment; nothing but temporary tables may be written. */
enum status store_begin_view(struct store *store);
/* After a failure nothing of it has happened. */
enum status store_commit(struct store *store);
void store_rollback(struct store *store); /* fine without a transaction */
/* Commits when 'status' is OK, else rolls back; returns what came of it. */
enum status store_finish(struct store *store, enum status status);

/* --- queries --- */

/* Prepared once and kept.  A query is in use until query_end(): its text may not be asked again
 * meanwhile. */
struct query *store_query(struct store *store, const char *sql);

/* Parameters, from the first '?' on.  Texts must hold until query_end(). */
void query_put_number(struct query *q, int64_t number);
void query_put_text(struct query *q, struct span text);
/* An empty text is NULL. */
void query_put_optional(struct query *q, struct span text);
void query_put_bytes(struct query *q, const void *bytes, size_t count);

/* The next row; false at the end, and after a failure. */
bool query_row(struct query *q);
/* Columns from 0; texts hold until the next row or query_end(); NULL is 0 and "". */
int64_t query_number(struct query *q, int column);
struct span query_text(struct query *q, int column);
/* OK, or what went wrong in any step: EXISTS (a constraint), AGAIN, NO_SPACE, NOT_PERMITTED,
 * CORRUPT, IO_ERROR. */
enum status query_end(struct query *q);
/* All rows unseen, then query_end(). */
enum status query_run(struct query *q);

/* Rows that the last query has inserted, changed or deleted; the id of the last one inserted. */
uint64_t store_changes(const struct store *store);
int64_t store_last_id(const struct store *store);
