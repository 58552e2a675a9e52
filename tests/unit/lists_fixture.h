/* SPDX-License-Identifier: MIT */
/* A lists database in a directory of its own, with one list in it. */
#pragma once
#include "lists/mlist.h"
#include "lists/roster.h"
#include "lists/store.h"
#include "mta/base/fault.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <unistd.h>

enum { LISTS_PATH_BYTES = 64 };

#define LISTS_NOW_MS UINT64_C(1764000000000)

struct lists_fixture {
    char directory[LISTS_PATH_BYTES], path[LISTS_PATH_BYTES + 16];
    struct store *store;
    struct arena arena;
    uint32_t list;
};

static inline struct store *lists_open(const char *path)
{
    struct store *store = NULL;
    struct buf error    = {0};
    enum status status  = store_open(&store, path, STORE_CREATE, &error);
    if (status != OK)
        print_error("%s\n", buf_text(&error));
    must(status == OK);
    buf_release(&error);
    return store;
}

static inline void lists_setup(struct lists_fixture *f)
{
    *f = (struct lists_fixture){.directory = "/tmp/lists_test.XXXXXX"};
    must(mkdtemp(f->directory) != NULL);
    (void)snprintf(f->path, sizeof f->path, "%s/lists.db", f->directory);
    f->store = lists_open(f->path);
    must(mlist_create(f->store, "dogs@lists.example.org", LISTS_NOW_MS, &f->list) == OK);
}

static inline void lists_teardown(struct lists_fixture *f)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[LISTS_PATH_BYTES + 32];
    arena_release(&f->arena);
    if (f->store != NULL)
        store_close(f->store);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%s", f->path, ends[i]);
        (void)unlink(path);
    }
    (void)rmdir(f->directory);
}

/* Puts an address on the list of the fixture. */
static inline enum status lists_join(struct lists_fixture *f, const char *address,
                                     enum member_state state, bool again)
{
    struct person person;
    must(person_parse(span_of(address), &person) == NULL);
    return roster_subscribe(f->store, f->list, &person, span_of(""), state, again, span_of("test"),
                            LISTS_NOW_MS);
}

static inline struct member lists_member(struct lists_fixture *f, const char *canonical)
{
    struct member m;
    enum status status = roster_find(f->store, f->list, canonical, &f->arena, &m);
    if (status != OK)
        print_error("%s is not on the list\n", canonical);
    must(status == OK);
    return m;
}
