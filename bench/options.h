/* SPDX-License-Identifier: MIT */
/*
 * Options: a subcommand's command line as a table of rows; it drives parsing and the usage text.
 * "--name value", "--name=value", and bare "--name" for flags.
 */
#pragma once
#include "mta/base/buf.h"

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_NUMBER,   /* uint64_t */
    OPTION_DURATION, /* uint64_t, milliseconds */
    OPTION_SIZE,     /* uint64_t, bytes */
    OPTION_RATE,     /* uint64_t, nanoseconds from one to the next */
    OPTION_TEXT      /* const char *, borrowed from argv */
};

struct option_row {
    const char *name;
    enum option_kind kind;
    void *into;
    const char *value; /* what the usage calls it; NULL for flags */
    const char *help;
};

/* false: 'error' says what is wrong with which word. */
bool options_parse(const struct option_row *rows, size_t count, int argc, char **argv,
                   struct buf *error);
void options_usage(const struct option_row *rows, size_t count, const char *subcommand,
                   struct buf *out);
