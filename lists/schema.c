/* SPDX-License-Identifier: MIT */
#include "lists/schema.h"

static const char first[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE lists (id INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL UNIQUE,"
    " created INTEGER NOT NULL) STRICT;"
    "CREATE TABLE settings (list INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (list, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE people (list INTEGER NOT NULL, role INTEGER NOT NULL, name TEXT NOT NULL,"
    " PRIMARY KEY (list, role, name)) STRICT, WITHOUT ROWID;"
    /* 'shown' is NULL where it is the same as 'address' */
    "CREATE TABLE members (id INTEGER PRIMARY KEY AUTOINCREMENT, list INTEGER NOT NULL,"
    " address TEXT NOT NULL, shown TEXT, name TEXT, attributes TEXT, state INTEGER NOT NULL,"
    " since INTEGER NOT NULL, cause TEXT) STRICT;"
    "CREATE UNIQUE INDEX members_by_address ON members (list, address);"
    "CREATE INDEX members_by_state ON members (list, state);"
    "CREATE TABLE suppressed (address TEXT NOT NULL, list INTEGER NOT NULL, cause TEXT,"
    " time INTEGER NOT NULL, PRIMARY KEY (address, list)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE posts (id INTEGER PRIMARY KEY, list INTEGER NOT NULL, time INTEGER NOT NULL,"
    " sender TEXT NOT NULL, subject TEXT, bytes INTEGER NOT NULL,"
    " recipients INTEGER NOT NULL DEFAULT 0, suppressed INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX posts_by_list ON posts (list, time);"
    "CREATE TABLE seen (list INTEGER NOT NULL, message_id TEXT NOT NULL, time INTEGER NOT NULL,"
    " PRIMARY KEY (list, message_id)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX seen_by_time ON seen (time);";

static const char *const steps[] = {first};

const char *schema_step(size_t n)
{
    return n < sizeof steps / sizeof steps[0] ? steps[n] : NULL;
}
