/* SPDX-License-Identifier: MIT */
#include "lists/cli.h"
#include "lists/cli_inside.h"
#include "mta/mail/escape.h"
#include "mta/sys/clock.h"
#include <stdarg.h>
#include <string.h>
#include <sysexits.h>

enum { OPTIONS_MAX = 64 };

/* --- the tables --- */

static const struct arg_option no_options[] = {
    {NULL, false}
};
static const struct arg_option remove_options[] = {
    {"yes", false},
    {NULL,  false}
};
static const struct arg_option members_options[] = {
    {"state", true },
    {NULL,    false}
};
static const struct arg_option subscribe_options[] = {
    {"name",    true },
    {"set",     true },
    {"pending", false},
    {"again",   false},
    {"cause",   true },
    {NULL,      false}
};
static const struct arg_option unsubscribe_options[] = {
    {"cause", true },
    {NULL,    false}
};
static const struct arg_option import_options[] = {
    {"format",  true },
    {"dry-run", false},
    {"cause",   true },
    {"quiet",   false},
    {NULL,      false}
};
static const struct arg_option export_options[] = {
    {"csv",   false},
    {"state", true },
    {NULL,    false}
};
static const struct arg_option suppress_options[] = {
    {"list",  true },
    {"cause", true },
    {"from",  true },
    {NULL,    false}
};

/* clang-format off */
static const struct order_row list_orders[] = {
    {"create", "ADDRESS [--owner NAME]... [--KEY VALUE]...", "make a list",
     mlist_options, 1, 1, false, true, order_create},
    {"set", "LIST [--KEY VALUE]... [--owner NAME] [--remove-owner NAME]...", "change a list",
     mlist_options, 1, 1, true, false, order_set},
    {"show", "[LIST]", "all lists, or one: settings, owners, how many members",
     no_options, 0, 1, false, false, order_show},
    {"remove", "LIST --yes", "end a list, with all that is known of its members",
     remove_options, 1, 1, true, false, order_remove},
    {"members", "LIST [ADDRESS]... [--state STATE]", "who is on it, and since when",
     members_options, 1, SIZE_MAX, true, false, order_members},
    {"subscribe", "LIST ADDRESS... [--name NAME] [--set KEY=VALUE]... [--pending] [--again]", "put on it",
     subscribe_options, 2, SIZE_MAX, true, false, order_subscribe},
    {"unsubscribe", "LIST ADDRESS... [--cause TEXT]", "take off it",
     unsubscribe_options, 2, SIZE_MAX, true, false, order_unsubscribe},
    {"import", "LIST FILE [--dry-run] [--format lines|csv] [--cause TEXT] [--quiet]",
     "put on it who stands in a file", import_options, 2, 2, true, false, order_import},
    {"export", "LIST [--csv] [--state STATE|all]", "write its members, as import reads them",
     export_options, 1, 1, true, false, order_export},
    {NULL, NULL, NULL, NULL, 0, 0, false, false, NULL},
};

static const struct order_row suppress_orders[] = {
    {"add", "ADDRESS... [--list LIST] [--cause TEXT] [--from FILE]", "never write to these again",
     suppress_options, 0, SIZE_MAX, false, true, order_suppress_add},
    {"remove", "ADDRESS... [--list LIST]", "they may be written to again",
     suppress_options, 1, SIZE_MAX, false, false, order_suppress_remove},
    {"list", "[ADDRESS]...", "who is suppressed, since when and why",
     no_options, 0, SIZE_MAX, false, false, order_suppress_list},
    {NULL, NULL, NULL, NULL, 0, 0, false, false, NULL},
};
/* clang-format on */

/* --- what the commands share --- */

int order_refuse(int code, const char *format, ...)
{
    struct buf text = {0};
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    escape_text(span_of(line), sizeof line, &text);
    (void)fprintf(stderr, "mailrace: %s\n", buf_text(&text));
    buf_release(&text);
    return code;
}

int order_failed(const struct order *order, enum status status)
{
    static const int codes[STATUS_COUNT] = {
        [AGAIN] = EX_TEMPFAIL,       [NO_SPACE] = EX_TEMPFAIL, [IO_ERROR] = EX_IOERR,
        [NOT_PERMITTED] = EX_NOPERM, [CORRUPT] = EX_DATAERR,
    };
    int code = codes[status] != 0 ? codes[status] : EX_SOFTWARE;
    return order_refuse(code, "%s: %s%s", order->cli->database, store_error(order->store),
                        status == AGAIN ? ": another command is writing; try again" : "");
}

void order_print(struct buf *text)
{
    if (text->len > 0)
        (void)fwrite(text->at, 1, text->len, stdout);
    buf_clear(text);
}

int order_end(int code)
{
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    return code == EX_OK && !is_written ? EX_IOERR : code;
}

/* --- running one --- */

static int say_usage(const char *noun, const struct order_row *row)
{
    return order_refuse(EX_USAGE, "usage: mailrace %s %s %s [--json]", noun, row->name,
                        row->arguments);
}

/* The table of the command, and --json. */
static bool parse_words(struct order *order, const struct order_row *row, int count, char **words)
{
    struct arg_option options[OPTIONS_MAX] = {
        {"json", false}
    };
    struct buf error = {0};
    for (size_t i = 0; row->options[i].name != NULL && i + 2 < OPTIONS_MAX; i++)
        options[i + 1] = row->options[i];
    bool is_good = args_parse(&order->args, count, words, options, &error);
    if (!is_good)
        (void)order_refuse(EX_USAGE, "%s", buf_text(&error));
    buf_release(&error);
    order->as_json = args_has(&order->args, "json");
    return is_good;
}

static int find_list(struct order *order)
{
    const char *name   = order->args.words[0];
    enum status status = mlist_find(order->store, span_of(name), &order->list);
    if (status == NOT_FOUND)
        return order_refuse(EX_DATAERR, "there is no list '%s'; 'mailrace list show' names them",
                            name);
    if (status == LIMIT)
        return order_refuse(EX_DATAERR, "several lists are called '%s': give the whole address",
                            name);
    return status == OK ? EX_OK : order_failed(order, status);
}

static int code_of_open(enum status status)
{
    switch (status) {
    case NOT_FOUND:
        return EX_NOINPUT;
    case NOT_PERMITTED:
        return EX_NOPERM;
    case AGAIN:
    case NO_SPACE:
        return EX_TEMPFAIL;
    case CORRUPT:
    case BAD_INPUT:
        return EX_DATAERR;
    default:
        return EX_IOERR;
    }
}

static int run_order(struct order *order, const struct order_row *row)
{
    struct buf error   = {0};
    enum status status = store_open(&order->store, order->cli->database,
                                    row->makes_file ? STORE_CREATE : STORE_READ, &error);
    int code           = EX_OK;
    if (status != OK) {
        code = order_refuse(code_of_open(status), "%s", buf_text(&error));
    } else {
        if (row->is_about_a_list)
            code = find_list(order);
        if (code == EX_OK)
            code = order_end(row->run(order));
        store_close(order->store);
    }
    buf_release(&error);
    return code;
}

static int run_row(struct lists_cli *cli, const char *noun, const struct order_row *row, int count,
                   char **words)
{
    struct order order = {.cli = cli, .wall_ms = clock_wall_ms()};
    if (!parse_words(&order, row, count, words))
        return EX_USAGE;
    if (order.args.word_count < row->words_min || order.args.word_count > row->words_max)
        return say_usage(noun, row);
    return run_order(&order, row);
}

static int run_table(struct lists_cli *cli, const char *noun, const struct order_row *table,
                     int count, char **words)
{
    const char *name = count == 0 || strcmp(words[0], "--json") == 0 ? table[2].name : words[0];
    int skip         = count > 0 && name == words[0];
    for (const struct order_row *row = table; row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            return run_row(cli, noun, row, count - skip, words + skip);
    return order_refuse(EX_USAGE,
                        "'%s' is nothing that can be done to a %s; 'mailrace %s --help' "
                        "says what is",
                        name, strcmp(noun, "list") == 0 ? "list" : "suppression", noun);
}

int lists_cli_list(struct lists_cli *cli, int count, char **words)
{
    return run_table(cli, "list", list_orders, count, words);
}

int lists_cli_suppress(struct lists_cli *cli, int count, char **words)
{
    return run_table(cli, "suppress", suppress_orders, count, words);
}

static void print_help(const char *noun, const struct order_row *table)
{
    for (; table->name != NULL; table++)
        printf("usage: mailrace %s %s %s [--json]\n       %s\n", noun, table->name,
               table->arguments, table->purpose);
}

void lists_cli_list_help(void)
{
    print_help("list", list_orders);
    printf("\nThe keys of a list:\n");
    for (const struct mlist_setting *s = mlist_settings; s->key != NULL; s++)
        printf("  --%-10s %s\n", s->key, s->help);
}

void lists_cli_suppress_help(void)
{
    print_help("suppress", suppress_orders);
}
