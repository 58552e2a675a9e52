/* SPDX-License-Identifier: MIT */
/*
 * Args: the words behind a command: what it is about, and options: --json, --owner NAME or
 * --owner=NAME, in any order.  A lone "--" ends the options.
 */
#pragma once
#include "mta/base/buf.h"

enum { ARGS_OPTIONS_MAX = 128 };

struct arg_option {
    const char *name; /* without "--"; NULL ends a table */
    bool takes_value;
};

struct args {
    char **words; /* the others, in order: the given array, moved together */
    size_t word_count;
    struct {
        const char *name, *value; /* value NULL: it takes none */
    } options[ARGS_OPTIONS_MAX];
    size_t option_count;
};

/* Sorts 'words' in place.  false with a sentence in 'error': an option that is not in the table, or
 * without its value. */
bool args_parse(struct args *args, int count, char **words, const struct arg_option *table,
                struct buf *error);
bool args_has(const struct args *args, const char *name);
/* Of the last one given; NULL when none was. */
const char *args_value(const struct args *args, const char *name);
