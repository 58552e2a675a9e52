/* SPDX-License-Identifier: MIT */
/* What the commands of 'mailrace list' and 'suppress' share. */
#pragma once
#include "lists/args.h"
#include "lists/cli.h"
#include "lists/mlist.h"
#include "lists/roster.h"
#include "lists/store.h"
#include <stdio.h>

/* One that is being carried out. */
struct order {
    struct lists_cli *cli;
    struct store *store;
    struct args args;
    uint32_t list;    /* of the commands about one list: words[0] named it */
    uint64_t wall_ms; /* now */
    bool as_json;
};

typedef int order_fn(struct order *order);

struct order_row {
    const char *name, *arguments, *purpose;
    const struct arg_option *options; /* beside --json */
    size_t words_min, words_max;
    bool is_about_a_list; /* the first word is one that exists */
    bool makes_file;
    order_fn *run;
};

/* Says on stderr why it went wrong, and returns the exit code for it. */
int order_failed(const struct order *order, enum status status);
int order_refuse(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes what was gathered to stdout, and empties it. */
void order_print(struct buf *text);
/* EX_OK if stdout took everything, else EX_IOERR. */
int order_end(int code);

enum { ORDER_PAGE_ROWS = 1000, ORDER_WIDTH_ADDRESS = 36 };

/* cli_list.c */
order_fn order_create, order_set, order_show, order_remove;
/* cli_members.c */
order_fn order_members, order_subscribe, order_unsubscribe;
/* cli_import.c, cli_export.c */
order_fn order_import, order_export;
/* cli_suppress.c */
order_fn order_suppress_add, order_suppress_remove, order_suppress_list;

extern const struct arg_option mlist_options[]; /* of create and set */
