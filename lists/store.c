/* SPDX-License-Identifier: MIT */
/*
 * The pragmas are the contract with the disk: WAL, so that a reader and a writer of two programs do
 * not wait for each other; synchronous FULL, so that whoever was told "unsubscribed" stays it.
 */
#include "lists/store.h"
#include "lists/schema.h"
#include "mta/base/arena.h"
#include "mta/base/fault.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include "mta/base/table.h"
#include "mta/sys/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct query {
    struct table_node by_text;
    struct list in_store;
    struct store *store;
    sqlite3_stmt *statement; /* NULL: it could not be prepared */
    const char *sql;
    int next_parameter;
    bool is_used;
    int code; /* SQLite's, of the worst step */
};

struct store {
    sqlite3 *db;
    struct table queries;
    struct list all_queries;
    struct arena texts;
    bool is_in_transaction;
    int code; /* of the last failure */
    char error[256];
    unsigned char key[STORE_KEY_BYTES];
};

static enum status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_CONSTRAINT:
        return EXISTS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return AGAIN;
    case SQLITE_FULL:
        return NO_SPACE;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        return NOT_PERMITTED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* our own SQL is right: a table is missing */
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
        return CORRUPT;
    default:
        return IO_ERROR;
    }
}

static void note_error(struct store *s, int code)
{
    s->code = code;
    span_copy_text(span_of(sqlite3_errmsg(s->db)), s->error, sizeof s->error);
}

const char *store_error(const struct store *s)
{
    return s->error;
}

/* Plain SQL without parameters. */
static enum status run_sql(struct store *s, const char *sql)
{
    int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        note_error(s, code);
    return status_of(code);
}

/* --- queries --- */

static struct query *query_new(struct store *s, struct span sql)
{
    must(s->queries.count < STORE_QUERIES_MAX);
    struct query *q = mem_new(sizeof *q);
    q->store        = s;
    q->sql          = arena_text(&s->texts, sql);
    q->code         = sqlite3_prepare_v3(s->db, q->sql, (int)sql.len + 1, SQLITE_PREPARE_PERSISTENT,
                                         &q->statement, NULL);
    table_insert(&s->queries, &q->by_text, span_make(q->sql, sql.len));
    list_push(&s->all_queries, &q->in_store);
    return q;
}

/* One that could not be prepared is tried again the next time: a schema may have been in the way.
 */
static void query_prepare(struct query *q)
{
    q->code = SQLITE_OK;
    if (q->statement == NULL)
        q->code = sqlite3_prepare_v3(q->store->db, q->sql, -1, SQLITE_PREPARE_PERSISTENT,
                                     &q->statement, NULL);
    if (q->code != SQLITE_OK)
        note_error(q->store, q->code);
}

struct query *store_query(struct store *s, const char *sql)
{
    struct table_node *node = table_find(&s->queries, span_of(sql));
    struct query *q =
        node != NULL ? CONTAINER_OF(node, struct query, by_text) : query_new(s, span_of(sql));
    must(!q->is_used);
    query_prepare(q);
    q->is_used        = true;
    q->next_parameter = 1;
    return q;
}

static void note_bound(struct query *q, int code)
{
    must(code == SQLITE_OK || code == SQLITE_NOMEM || code == SQLITE_TOOBIG);
    if (code != SQLITE_OK)
        q->code = code;
}

void query_put_number(struct query *q, int64_t number)
{
    if (q->statement != NULL)
        note_bound(q, sqlite3_bind_int64(q->statement, q->next_parameter++, number));
}

void query_put_text(struct query *q, struct span text)
{
    if (q->statement != NULL)
        note_bound(q, sqlite3_bind_text64(q->statement, q->next_parameter++, text.at, text.len,
                                          SQLITE_STATIC, SQLITE_UTF8));
}

void query_put_optional(struct query *q, struct span text)
{
    if (text.len > 0)
        query_put_text(q, text);
    else if (q->statement != NULL)
        note_bound(q, sqlite3_bind_null(q->statement, q->next_parameter++));
}

void query_put_bytes(struct query *q, const void *bytes, size_t count)
{
    if (q->statement != NULL)
        note_bound(
            q, sqlite3_bind_blob64(q->statement, q->next_parameter++, bytes, count, SQLITE_STATIC));
}

bool query_row(struct query *q)
{
    if (q->statement == NULL || q->code != SQLITE_OK)
        return false;
    int code = sqlite3_step(q->statement);
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE) {
        q->code = code;
        note_error(q->store, code);
    }
    return false;
}

int64_t query_number(struct query *q, int column)
{
    return sqlite3_column_int64(q->statement, column);
}

struct span query_text(struct query *q, int column)
{
    const void *at = sqlite3_column_blob(q->statement, column);
    int bytes      = sqlite3_column_bytes(q->statement, column);
    return at == NULL ? (struct span){"", 0} : span_make(at, (size_t)bytes);
}

enum status query_end(struct query *q)
{
    if (q->statement != NULL) {
        (void)sqlite3_reset(q->statement);
        (void)sqlite3_clear_bindings(q->statement);
    }
    q->is_used = false;
    return status_of(q->code);
}

enum status query_run(struct query *q)
{
    while (query_row(q))
        ;
    return query_end(q);
}

uint64_t store_changes(const struct store *s)
{
    return (uint64_t)sqlite3_changes64(s->db);
}

int64_t store_last_id(const struct store *s)
{
    return sqlite3_last_insert_rowid(s->db);
}

/* --- transactions --- */

static enum status begin(struct store *s, const char *sql)
{
    must(!s->is_in_transaction);
    enum status status   = run_sql(s, sql);
    s->is_in_transaction = status == OK;
    return status;
}

enum status store_begin(struct store *s)
{
    return begin(s, "BEGIN IMMEDIATE");
}

enum status store_begin_view(struct store *s)
{
    return begin(s, "BEGIN DEFERRED");
}

enum status store_commit(struct store *s)
{
    must(s->is_in_transaction);
    enum status status = run_sql(s, "COMMIT");
    if (status != OK)
        store_rollback(s);
    s->is_in_transaction = false;
    return status;
}

void store_rollback(struct store *s)
{
    if (s->is_in_transaction && sqlite3_get_autocommit(s->db) == 0)
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    s->is_in_transaction = false;
}

enum status store_finish(struct store *s, enum status status)
{
    if (status == OK)
        return store_commit(s);
    store_rollback(s);
    return status;
}

/* --- opening --- */

static const char *remedy_of(enum status status)
{
    switch (status) {
    case NOT_PERMITTED:
        return "run as its owner, the user of mailraced, or as root";
    case CORRUPT:
        return "it is no lists database, or it is damaged: bring back a copy";
    case AGAIN:
        return "another program holds it: try again";
    case NO_SPACE:
        return "make room on its disk";
    default:
        return "see the system's log";
    }
}

static enum status fail(struct store *s, const char *path, enum status status, struct buf *error)
{
    buf_printf(error, "lists.database: %s: %s: %s", path, s->error, remedy_of(status));
    return status;
}

/* Root makes it for whom the directory belongs to: the user of the server. */
static void give_to_owner_of_directory(int fd, const char *path)
{
    char directory[4096];
    struct stat about;
    const char *slash = strrchr(path, '/');
    size_t len        = slash == NULL ? 0 : (size_t)(slash - path);
    if (geteuid() != 0 || len >= sizeof directory)
        return;
    span_copy_text(len == 0 ? span_of(slash == NULL ? "." : "/") : span_make(path, len), directory,
                   sizeof directory);
    if (stat(directory, &about) == 0 && fchown(fd, about.st_uid, about.st_gid) != 0)
        return; /* it stays root's: the server will say so */
}

/* SQLite gives what it makes beside it (-wal, -shm) the same mode and owner. */
static enum status make_file(const char *path, enum store_mode mode, struct buf *error)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | (mode == STORE_CREATE ? O_CREAT : 0), 0600);
    if (fd >= 0) {
        struct stat about;
        if (fstat(fd, &about) == 0 && about.st_size == 0)
            give_to_owner_of_directory(fd, path);
        (void)close(fd);
        return OK;
    }
    enum status status = errno == ENOENT                     ? NOT_FOUND
                         : errno == EACCES || errno == EROFS ? NOT_PERMITTED
                         : errno == ENOSPC                   ? NO_SPACE
                                                             : IO_ERROR;
    const char *remedy = status != NOT_FOUND    ? remedy_of(status)
                         : mode == STORE_CREATE ? "make its directory, owned by the user of "
                                                  "mailraced, or name another file"
                                                : "'mailrace list create' makes it";
    buf_printf(error, "lists.database: %s: %s: %s", path, strerror(errno), remedy);
    return status;
}

static int64_t read_pragma(struct store *s, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t number          = -1;
    int code                = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    else
        note_error(s, code);
    (void)sqlite3_finalize(statement);
    return number;
}

static enum status make_key(struct store *s)
{
    unsigned char key[STORE_KEY_BYTES];
    clock_random(key, sizeof key);
    struct query *q = store_query(s, "INSERT OR IGNORE INTO meta VALUES ('key', ?)");
    query_put_bytes(q, key, sizeof key);
    return query_run(q);
}

static enum status read_key(struct store *s)
{
    struct query *q = store_query(s, "SELECT value FROM meta WHERE key = 'key'");
    bool is_found   = query_row(q) && query_text(q, 0).len == sizeof s->key;
    if (is_found)
        memcpy(s->key, query_text(q, 0).at, sizeof s->key);
    enum status status = query_end(q);
    if (status == OK && !is_found) {
        span_copy_text(span_of("it holds no key"), s->error, sizeof s->error);
        status = CORRUPT;
    }
    return status;
}

/* Inside a transaction: two programs may start at the same time. */
static enum status take_steps(struct store *s)
{
    char pragma[64];
    int64_t version    = read_pragma(s, "PRAGMA user_version");
    enum status status = version < 0 ? status_of(s->code) : OK;
    for (; status == OK && schema_step((size_t)version) != NULL; version++)
        status = run_sql(s, schema_step((size_t)version));
    if (status == OK)
        status = make_key(s);
    (void)sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA user_version = %d", (int)version);
    if (status == OK)
        status = run_sql(s, pragma);
    (void)sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA application_id = %d",
                           SCHEMA_APPLICATION_ID);
    return status == OK ? run_sql(s, pragma) : status;
}

static enum status migrate(struct store *s, const char *path, struct buf *error)
{
    size_t newest = 0;
    while (schema_step(newest) != NULL)
        newest++;
    int64_t version     = read_pragma(s, "PRAGMA user_version");
    int64_t application = read_pragma(s, "PRAGMA application_id");
    if (version < 0 || application < 0)
        return fail(s, path, status_of(s->code), error);
    if (version > 0 && application != SCHEMA_APPLICATION_ID) {
        buf_printf(error, "lists.database: %s: %s", path, remedy_of(CORRUPT));
        return CORRUPT;
    }
    if (version > (int64_t)newest) {
        buf_printf(error, "lists.database: %s: a newer mailrace has made it: use that one", path);
        return BAD_INPUT;
    }
    enum status status = OK;
    if (version < (int64_t)newest) {
        status = store_begin(s);
        if (status == OK)
            status = store_finish(s, take_steps(s));
    }
    if (status == OK)
        status = read_key(s);
    return status == OK ? OK : fail(s, path, status, error);
}

void store_cache(struct store *s, unsigned kilobytes)
{
    char pragma[64];
    (void)sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA cache_size = -%u", kilobytes);
    (void)run_sql(s, pragma);
}

static enum status set_up(struct store *s, const char *path, struct buf *error)
{
    (void)sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
    (void)sqlite3_extended_result_codes(s->db, 1);
    enum status status = run_sql(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                    "PRAGMA trusted_schema = OFF; PRAGMA temp_store = FILE;"
                                    "PRAGMA journal_size_limit = 67108864");
    store_cache(s, STORE_CACHE_KB);
    return status == OK ? migrate(s, path, error) : fail(s, path, status, error);
}

enum status store_open(struct store **store, const char *path, enum store_mode mode,
                       struct buf *error)
{
    enum status status = make_file(path, mode, error);
    if (status != OK)
        return status;
    struct store *s = mem_new(sizeof *s);
    table_init(&s->queries, 0);
    list_init(&s->all_queries);
    int code = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        note_error(s, code);
    status = code == SQLITE_OK ? set_up(s, path, error) : fail(s, path, status_of(code), error);
    if (status == OK)
        *store = s;
    else
        store_close(s);
    return status;
}

void store_close(struct store *s)
{
    struct list *node;
    store_rollback(s);
    while ((node = list_take(&s->all_queries)) != NULL) {
        struct query *q = CONTAINER_OF(node, struct query, in_store);
        (void)sqlite3_finalize(q->statement);
        table_remove(&s->queries, &q->by_text);
        mem_free(q);
    }
    table_release(&s->queries);
    arena_release(&s->texts);
    (void)sqlite3_close(s->db);
    explicit_bzero(s->key, sizeof s->key);
    mem_free(s);
}

const unsigned char *store_key(const struct store *s)
{
    return s->key;
}
