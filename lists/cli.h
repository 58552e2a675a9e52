/* SPDX-License-Identifier: MIT */
/*
 * Cli: 'mailrace list' and 'mailrace suppress'.  They open the database themselves, so they work
 * without a server; when they have changed something, the caller tells a server that runs.
 */
#pragma once
#include <stdbool.h>

struct lists_cli {
    const char *database; /* lists.database */
    bool has_changed;     /* set: lists, members or suppressions are not what they were */
};

/* The words behind 'list' (or 'suppress'); they may be moved.  Returns an exit code of
 * <sysexits.h>; 65: something of what was given was refused, the rest was done. */
int lists_cli_list(struct lists_cli *cli, int count, char **words);
int lists_cli_suppress(struct lists_cli *cli, int count, char **words);
/* What can be done, on stdout. */
void lists_cli_list_help(void);
void lists_cli_suppress_help(void);
