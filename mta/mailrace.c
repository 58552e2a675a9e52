/* SPDX-License-Identifier: MIT */
/* mailrace: the operator's tool.  Most commands go to the server word for word (mta/control/verbs.c
 * answers them); those about the configuration need no server. */
#include "lists/cli.h"
#include "mta/base/mem.h"
#include "mta/control/cli.h"
#include "mta/control/cli_dkim.h"
#include "mta/control/cli_user.h"
#include "mta/control/config.h"
#include "mta/mail/escape.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define DEFAULT_CONFIG "/etc/mailrace/mailrace.yaml"

enum { REQUEST_BYTES_MAX = 4000, NAME_BYTES_MAX = 16, TYPOS_MAX = 2 };

struct invocation {
    const char *config_file;
    char **words; /* behind the command */
    int word_count;
};

struct command {
    const char *name, *arguments, *purpose;
    int (*run)(const struct command *command, const struct invocation *given);
};

/* --- helpers --- */

static int print(struct buf *text, FILE *to, int code)
{
    struct span all = buf_span(text); /* never NULL, as fwrite() wants it */
    (void)fwrite(all.at, 1, all.len, to);
    if (all.len > 0 && all.at[all.len - 1] != '\n')
        (void)fputc('\n', to);
    buf_release(text);
    return code;
}

static int say_usage(const struct command *command)
{
    fprintf(stderr, "usage: mailrace %s%s%s\n", command->name,
            command->arguments[0] == '\0' ? "" : " ", command->arguments);
    return EX_USAGE;
}

static bool has_word(const struct invocation *given, const char *word)
{
    for (int i = 0; i < given->word_count; i++)
        if (strcmp(given->words[i], word) == 0)
            return true;
    return false;
}

/* NULL with the errors on stderr; warnings stay unsaid unless they are asked for. */
static struct config *read_config(const char *file)
{
    struct buf errors     = {0};
    struct config *config = config_read(file, &errors);
    if (config == NULL)
        (void)print(&errors, stderr, EX_CONFIG);
    buf_release(&errors);
    return config;
}

/* --- commands for the server --- */

/* A word on the wire ends at a space, and a request at the end of its line. */
static bool put_word(struct buf *request, const char *word)
{
    for (const char *c = word; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    buf_printf(request, " %s", word);
    return request->len <= REQUEST_BYTES_MAX;
}

static int put_request(const struct command *command, const struct invocation *given,
                       struct buf *request)
{
    buf_put_text(request, command->name);
    for (int i = 0; i < given->word_count; i++) {
        if (put_word(request, given->words[i]))
            continue;
        fprintf(stderr, "mailrace: '%s': a word has no spaces, and all of them at most %d bytes\n",
                given->words[i], REQUEST_BYTES_MAX);
        return EX_USAGE;
    }
    return EX_OK;
}

typedef int with_server_fn(struct cli *cli, const char *argument);

/* False with the errors on stderr. */
static bool find_socket(const char *file, struct buf *path)
{
    struct buf errors     = {0};
    struct config *config = config_read(file, &errors);
    bool is_found         = config != NULL;
    if (is_found) {
        buf_put_text(path, config->control);
        config_free(config);
    } else {
        is_found = cli_find_socket(file, path);
        if (!is_found)
            (void)print(&errors, stderr, EX_CONFIG);
    }
    buf_release(&errors);
    return is_found;
}

static int with_server(const struct invocation *given, with_server_fn *run, const char *argument)
{
    struct cli cli;
    struct buf path = {0};
    int code        = EX_CONFIG;
    if (find_socket(given->config_file, &path)) {
        code = cli_open(&cli, buf_text(&path));
        if (code == EX_OK)
            code = run(&cli, argument);
        cli_close(&cli);
    }
    buf_release(&path);
    return code;
}

static int run_on_server(const struct command *command, const struct invocation *given)
{
    struct buf request = {0};
    int code           = put_request(command, given, &request);
    if (code == EX_OK)
        code = with_server(given, cli_pass, buf_text(&request));
    buf_release(&request);
    return code;
}

static int run_watch(const struct command *command, const struct invocation *given)
{
    struct buf word = {0};
    bool as_json    = has_word(given, "--json");
    int at          = given->word_count > 0 && strcmp(given->words[0], "--json") == 0;
    bool is_good    = given->word_count == 1 + as_json && put_word(&word, given->words[at]);
    buf_release(&word);
    if (!is_good)
        return say_usage(command);
    return with_server(given, as_json ? cli_watch_json : cli_watch, given->words[at]);
}

static int top(struct cli *cli, const char *argument)
{
    (void)argument;
    return cli_top(cli);
}

static int run_top(const struct command *command, const struct invocation *given)
{
    return given->word_count == 0 ? with_server(given, top, NULL) : say_usage(command);
}

/* --- commands about the configuration --- */

/* One object: the file, whether it is good, and what was said of it, without the lines that point.
 */
static void put_check(const char *file, bool is_good, const struct buf *errors)
{
    struct buf text  = {0};
    struct span rest = buf_span(errors), line;
    buf_put_text(&text, "{\"file\":");
    escape_json(span_of(file), &text);
    buf_printf(&text, ",\"good\":%s,\"said\":[", is_good ? "true" : "false");
    for (bool is_first = true; span_cut(&rest, '\n', &line);) {
        if (line.len == 0 || *line.at == ' ')
            continue;
        buf_put_text(&text, is_first ? "" : ",");
        escape_json(line, &text);
        is_first = false;
    }
    buf_put_text(&text, "]}\n");
    (void)print(&text, stdout, EX_OK);
}

static int check_as_json(const char *file)
{
    struct buf errors     = {0};
    struct config *config = config_read(file, &errors);
    put_check(file, config != NULL, &errors);
    buf_release(&errors);
    if (config == NULL)
        return EX_CONFIG;
    config_free(config);
    return EX_OK;
}

static int run_check(const struct command *command, const struct invocation *given)
{
    struct buf errors = {0};
    bool as_json      = has_word(given, "--json");
    int at            = given->word_count > 0 && strcmp(given->words[0], "--json") == 0;
    if (given->word_count > 1 + as_json)
        return say_usage(command);
    const char *file = given->word_count == 1 + as_json ? given->words[at] : given->config_file;
    if (as_json)
        return check_as_json(file);
    struct config *config = config_read(file, &errors);
    if (config == NULL)
        return print(&errors, stderr, EX_CONFIG);
    config_free(config);
    (void)print(&errors, stderr, EX_OK);
    printf("%s: no errors\n", file);
    return EX_OK;
}

static int print_effective(const struct invocation *given, bool only_changed, bool as_json)
{
    struct buf text       = {0};
    struct config *config = read_config(given->config_file);
    if (config == NULL)
        return EX_CONFIG;
    config_print(config, only_changed, as_json, &text);
    config_free(config);
    return print(&text, stdout, EX_OK);
}

static int run_config(const struct command *command, const struct invocation *given)
{
    struct buf text   = {0};
    bool only_changed = has_word(given, "--changed"), as_json = has_word(given, "--json");
    if (given->word_count == only_changed + as_json)
        return print_effective(given, only_changed, as_json);
    if (given->word_count != 1)
        return say_usage(command);
    if (has_word(given, "--schema"))
        config_print_schema(&text);
    else if (has_word(given, "--man"))
        config_print_man(&text);
    else
        return say_usage(command);
    return print(&text, stdout, EX_OK);
}

static int run_user(const struct command *command, const struct invocation *given)
{
    struct config *config = read_config(given->config_file);
    (void)command;
    if (config == NULL)
        return EX_CONFIG;
    int code = cli_user(config, given->words, given->word_count);
    config_free(config);
    return code;
}

static int run_dkim(const struct command *command, const struct invocation *given)
{
    (void)command;
    return cli_dkim(given->config_file, given->words, given->word_count);
}

static int run_version(const struct command *command, const struct invocation *given)
{
    bool as_json = has_word(given, "--json");
    if (given->word_count > as_json)
        return say_usage(command);
    printf(as_json ? "{\"version\":\"" MAILRACE_VERSION "\"}\n"
                   : "mailrace " MAILRACE_VERSION "\n");
    return EX_OK;
}

static int run_help(const struct command *command, const struct invocation *given);

/* --- lists: the database is opened here; a server that runs is told --- */

/* Nobody need be there. */
static void tell_server(const char *control)
{
    struct cli cli;
    struct buf answer = {0};
    if (cli_try(&cli, control) == 0)
        (void)cli_ask(&cli, "lists changed", &answer);
    cli_close(&cli);
    buf_release(&answer);
}

typedef int lists_fn(struct lists_cli *lists, int count, char **words);

static int run_lists(const struct invocation *given, lists_fn *run)
{
    struct config *config = read_config(given->config_file);
    if (config == NULL)
        return EX_CONFIG;
    struct lists_cli lists = {.database = config->lists_database};
    int code               = run(&lists, given->word_count, given->words);
    if (lists.has_changed)
        tell_server(config->control);
    config_free(config);
    return code;
}

static int run_list(const struct command *command, const struct invocation *given)
{
    (void)command;
    return run_lists(given, lists_cli_list);
}

static int run_suppress(const struct command *command, const struct invocation *given)
{
    (void)command;
    return run_lists(given, lists_cli_suppress);
}

/* --- the table --- */

/* A row a command. */
/* clang-format off */
static const struct command commands[] = {
    {"status", "[--json]", "the server at a glance", run_on_server},
    {"queue", "[SELECTOR...] [--json]", "who waits, and why", run_on_server},
    {"show", "ID [--json]", "the story of one message", run_on_server},
    {"retry", "SELECTOR... [--dry-run] [--json]", "try now what waits", run_on_server},
    {"hold", "SELECTOR... [--dry-run] [--json]", "do not try until released", run_on_server},
    {"release", "SELECTOR... [--dry-run] [--json]", "end a hold", run_on_server},
    {"cancel", "SELECTOR... [--dry-run] [--json]", "never deliver; the sender is not told", run_on_server},
    {"sites", "[--json]", "all destinations", run_on_server},
    {"site", "NAME [--json]", "one destination: limits, state, what next", run_on_server},
    {"reload", "", "read the configuration again", run_on_server},
    {"top", "", "the server, live", run_top},
    {"watch", "ID [--json]", "the progress of one message until it ends", run_watch},
    {"user", "add|set|passwd|remove|list ...", "who may log in to submit mail", run_user},
    {"dkim", "keygen|record ...", "signing keys, and their DNS records", run_dkim},
    {"list", "ACTION LIST ...", "mailing lists and their members", run_list},
    {"suppress", "add | remove | list ...", "who gets nothing from any list", run_suppress},
    {"check", "[FILE] [--json]", "read a configuration and say its errors", run_check},
    {"config", "[--changed] [--json] | --schema | --man", "the configuration in effect", run_config},
    {"version", "[--json]", "which version this is", run_version},
    {"help", "", "this text", run_help},
};
/* clang-format on */

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void put_help(FILE *to)
{
    fputs("usage: mailrace [-c FILE] COMMAND\n\n", to);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-8s %-42s %s\n", commands[i].name, commands[i].arguments,
                commands[i].purpose);
    fputs("\nA SELECTOR is any of id= to= domain= site= list= flow= older=2h status=, all of which "
          "must hold; or 'all'.\nThe server is found by 'control:' of FILE ($MAILRACE_CONFIG, "
          "else " DEFAULT_CONFIG ").\nSee mailrace(1).\n",
          to);
}

static int run_help(const struct command *command, const struct invocation *given)
{
    (void)command, (void)given;
    put_help(stdout);
    return EX_OK;
}

/* Needs no server and no configuration. */
static int help_of(const struct command *command)
{
    printf("usage: mailrace [-c FILE] %s%s%s\n\n%s\n", command->name,
           command->arguments[0] == '\0' ? "" : " ", command->arguments, command->purpose);
    if (command->run == run_user)
        printf("\nmailrace user %s\n", cli_user_arguments);
    else if (command->run == run_list)
        lists_cli_list_help();
    else if (command->run == run_suppress)
        lists_cli_suppress_help();
    if (strstr(command->arguments, "SELECTOR") != NULL)
        (void)fputs(
            "\nA SELECTOR is any of id= to= domain= site= list= flow= older=2h status=, all "
            "of which\nmust hold; or 'all'.\n",
            stdout);
    return EX_OK;
}

/* --- did you mean --- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Levenshtein's: how many letters to add, drop or change; row by row. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_BYTES_MAX + 1];
    size_t len = strlen(b);
    if (len > NAME_BYTES_MAX)
        return NAME_BYTES_MAX;
    for (size_t j = 0; j <= len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0]            = (unsigned)i;
        for (size_t j = 1; j <= len; j++) {
            unsigned changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal         = row[j];
            row[j]           = least(changed, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[len];
}

static int refuse_command(const char *name)
{
    const char *nearest = NULL;
    unsigned best       = TYPOS_MAX + 1;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        unsigned typos = distance(name, commands[i].name);
        if (typos < best) {
            best    = typos;
            nearest = commands[i].name;
        }
    }
    fprintf(stderr, "mailrace: there is no command '%s'", name);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean '%s'?\n", nearest);
    else
        fprintf(stderr, "; 'mailrace help' lists them\n");
    return EX_USAGE;
}

/* --- main --- */

static const char *default_config(void)
{
    const char *named = getenv("MAILRACE_CONFIG");
    return named != NULL && named[0] != '\0' ? named : DEFAULT_CONFIG;
}

static int run(const char *name, const struct invocation *given)
{
    bool asks_help = has_word(given, "--help") || has_word(given, "-h");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return asks_help ? help_of(&commands[i]) : commands[i].run(&commands[i], given);
    if (strcmp(name, "--version") == 0)
        return run_version(&commands[COMMAND_COUNT - 2], given);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return run_help(NULL, given);
    return refuse_command(name);
}

int main(int argc, char **argv)
{
    struct invocation given = {.config_file = default_config()};
    int at                  = 1;
    if (at + 1 < argc && strcmp(argv[at], "-c") == 0) {
        given.config_file = argv[at + 1];
        at += 2;
    }
    if (at >= argc) {
        put_help(stderr);
        return EX_USAGE;
    }
    given.words      = argv + at + 1;
    given.word_count = argc - at - 1;
    return run(argv[at], &given);
}
