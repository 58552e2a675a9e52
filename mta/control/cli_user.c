/* SPDX-License-Identifier: MIT */
/*
 * The file is locked from before it is read until it is replaced, so two administrators cannot undo
 * each other.  A password comes from a terminal without echo, from standard input, or from chance;
 * never from the command line, where others could read it.
 */
#include "mta/control/cli_user.h"
#include "mta/base/mem.h"
#include "mta/control/cli.h"
#include "mta/mail/escape.h"
#include "mta/receive/users.h"
#include "mta/sys/file.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum { NEW_MODE = 0600, CELL_BYTES = 64 };

const char cli_user_arguments[] =
    "add|set|passwd|remove NAME [--generate] [--from ADDRESS|@DOMAIN|*]... [--max-messages "
    "N/h|N/d|none|default]... [--max-recipients ...]... [--disable|--enable] | list [--json]";

/* What the words ask for. */
struct asked {
    const struct config *config;
    const char *name;
    const char *const *senders; /* of --from, in words[] */
    size_t sender_count;
    bool has_messages, has_recipients; /* a limit was given */
    bool is_default_messages, is_default_recipients;
    struct quota_limits messages, recipients;
    bool generates, as_json, disables, enables;
};

static int complain(int code, const char *what, const char *quoted, const char *remedy)
{
    struct buf text = {0};
    buf_put_text(&text, "mailrace: ");
    buf_put_text(&text, what);
    if (quoted != NULL) {
        buf_put_text(&text, " '");
        escape_text(span_of(quoted), USER_NAME_BYTES_MAX, &text);
        buf_put_text(&text, "'");
    }
    fprintf(stderr, "%s%s%s\n", buf_text(&text), remedy[0] == '\0' ? "" : ": ", remedy);
    buf_release(&text);
    return code;
}

static int exit_code_of(enum status status)
{
    return status == NOT_PERMITTED ? EX_NOPERM : status == NOT_FOUND ? EX_NOINPUT : EX_IOERR;
}

/* --- the words --- */

/* One more limit: several add up, "none" and "default" stand alone. */
static bool add_limit(const char *text, struct quota_limits *limits, bool *is_given,
                      bool *is_default)
{
    struct quota_limits more;
    if (strcmp(text, "default") == 0)
        return *is_default = true;
    if (!quota_limits_parse(span_of(text), &more))
        return false;
    limits->hour     = more.hour > 0 ? more.hour : limits->hour;
    limits->day      = more.day > 0 ? more.day : limits->day;
    return *is_given = true;
}

static bool read_flag(struct asked *a, const char *word)
{
    struct {
        const char *name;
        bool *value;
    } const flags[] = {
        {"--generate", &a->generates},
        {"--json",     &a->as_json  },
        {"--disable",  &a->disables },
        {"--enable",   &a->enables  },
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(word, flags[i].name) == 0)
            return *flags[i].value = true;
    return false;
}

static bool read_option(struct asked *a, const char *word, const char *value, const char **senders)
{
    if (strcmp(word, "--from") == 0 && a->sender_count < USER_SENDERS_MAX) {
        senders[a->sender_count++] = value;
        return true;
    }
    if (strcmp(word, "--max-messages") == 0)
        return add_limit(value, &a->messages, &a->has_messages, &a->is_default_messages);
    if (strcmp(word, "--max-recipients") == 0)
        return add_limit(value, &a->recipients, &a->has_recipients, &a->is_default_recipients);
    return false;
}

/* 'senders' has room for USER_SENDERS_MAX. */
static bool read_words(struct asked *a, char **words, int count, const char **senders)
{
    a->senders = senders;
    for (int i = 0; i < count; i++) {
        if (read_flag(a, words[i]))
            continue;
        if (words[i][0] != '-' && a->name == NULL)
            a->name = words[i];
        else if (words[i][0] == '-' && i + 1 < count &&
                 read_option(a, words[i], words[i + 1], senders))
            i++;
        else
            return false;
    }
    return true;
}

/* --- the password --- */

static bool read_line_of(FILE *from, char *line, size_t cap)
{
    bool is_read                = fgets(line, (int)cap, from) != NULL;
    line[strcspn(line, "\r\n")] = '\0';
    return is_read;
}

/* Says 'prompt' and does not show what is typed. */
static bool ask_hidden(const char *prompt, char *line, size_t cap)
{
    struct termios shown, hidden;
    if (tcgetattr(STDIN_FILENO, &shown) != 0)
        return false;
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    fprintf(stderr, "%s", prompt);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    bool is_read = read_line_of(stdin, line, cap);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fprintf(stderr, "\n");
    return is_read;
}

static bool ask_twice(char *line, size_t cap)
{
    char again[PASSWORD_BYTES_MAX + 2] = "";
    bool is_good                       = ask_hidden("New password: ", line, cap) &&
                   ask_hidden("Once more: ", again, sizeof again) && strcmp(line, again) == 0;
    password_wipe(again, sizeof again);
    return is_good;
}

/* Into 'prepared', which is to be wiped; returns the exit code. */
static int get_password(const struct asked *a, struct buf *prepared)
{
    char line[PASSWORD_BYTES_MAX + 2] = "";
    bool is_terminal                  = isatty(STDIN_FILENO) != 0;
    bool is_good                      = true;
    if (a->generates)
        password_generate(line);
    else
        is_good =
            is_terminal ? ask_twice(line, sizeof line) : read_line_of(stdin, line, sizeof line);
    (void)buf_reserve(prepared, PASSWORD_BYTES_MAX * 4);
    const char *problem = is_good ? password_prepare(line, true, prepared) : NULL;
    if (is_good && problem == NULL && a->generates)
        printf("%s\n", line);
    password_wipe(line, sizeof line);
    if (!is_good)
        return complain(EX_DATAERR,
                        is_terminal ? "the two are not the same"
                                    : "there is no password on standard input",
                        NULL, "nothing was changed");
    return problem == NULL ? EX_OK
                           : complain(EX_DATAERR, "the password cannot be used", NULL, problem);
}

static int set_password(const struct asked *a, struct users *users, struct user *user)
{
    struct buf prepared = {0};
    int code            = get_password(a, &prepared);
    if (code == EX_OK)
        user_set_password(users, user, buf_text(&prepared));
    password_wipe(prepared.at, prepared.len);
    buf_release(&prepared);
    return code;
}

/* --- the file --- */

/* NULL with the error on stderr. 'is_optional': no file is an empty one. */
static struct users *read_users(const char *path, bool is_optional, int *code)
{
    struct buf text = {0}, error = {0};
    struct users *users = NULL;
    enum status status  = file_read_secret(path, &text, &error);
    *code               = EX_OK;
    if (status == OK) {
        users = users_parse(buf_span(&text), path, &error);
        *code = users == NULL ? EX_DATAERR : EX_OK;
    } else if (status == NOT_FOUND && is_optional) {
        users = users_new();
    } else {
        *code = exit_code_of(status);
    }
    if (users == NULL)
        fprintf(stderr, "mailrace: %s%s", buf_text(&error), status == OK ? "" : "\n");
    password_wipe(text.at, text.len);
    buf_release(&text);
    buf_release(&error);
    return users;
}

static int write_users(const char *path, struct users *users)
{
    struct buf text = {0}, error = {0};
    users_write(users, &text);
    enum status status = file_replace(path, buf_span(&text), NEW_MODE, &error);
    if (status != OK)
        fprintf(stderr, "mailrace: %s\n", buf_text(&error));
    password_wipe(text.at, text.len);
    buf_release(&text);
    buf_release(&error);
    return status == OK ? EX_OK : exit_code_of(status);
}

/* A server that runs reads the file again; none is no error. */
static int tell_server(const struct config *config)
{
    struct cli cli;
    struct buf answer = {0};
    int code          = EX_OK;
    if (cli_try(&cli, config->control) == 0)
        code = cli_ask(&cli, "reload", &answer);
    if (code != EX_OK)
        fprintf(stderr, "mailrace: %s was changed, but the server did not take it over:\n%s",
                config->users, buf_text(&answer));
    cli_close(&cli);
    buf_release(&answer);
    return code;
}

/* --- what is done with it --- */

typedef int edit_fn(const struct asked *a, struct users *users, struct user *user);

static int apply(const struct asked *a, struct users *users, struct user *user)
{
    if (a->sender_count > 0)
        user_clear_senders(user);
    for (size_t i = 0; i < a->sender_count; i++) {
        const char *wanted = user_add_sender(users, user, span_of(a->senders[i]));
        if (wanted != NULL) {
            fprintf(stderr, "mailrace: --from '%s' should be %s\n", a->senders[i], wanted);
            return EX_USAGE;
        }
    }
    if (a->has_messages || a->is_default_messages) {
        user->has_messages = a->has_messages;
        user->messages     = a->messages;
    }
    if (a->has_recipients || a->is_default_recipients) {
        user->has_recipients = a->has_recipients;
        user->recipients     = a->recipients;
    }
    user->is_disabled = (user->is_disabled && !a->enables) || a->disables;
    if (user_own_address(user) == NULL && user->sender_count == 0)
        return complain(EX_USAGE, "the name is no address", user->name,
                        "say with --from what he may send as");
    return EX_OK;
}

static int edit_add(const struct asked *a, struct users *users, struct user *user)
{
    struct buf name = {0};
    int code        = EX_OK;
    if (user != NULL)
        return complain(EX_DATAERR, "there is a user", user->name,
                        "'mailrace user passwd' and 'mailrace user set' change him");
    const char *problem = user_prepare_name(a->name, &name);
    if (problem != NULL) {
        code = complain(EX_USAGE, "the name cannot be used", NULL, problem);
    } else {
        user = users_add(users, buf_text(&name));
        code = apply(a, users, user);
        if (code == EX_OK)
            code = set_password(a, users, user);
    }
    buf_release(&name);
    return code;
}

static int edit_set(const struct asked *a, struct users *users, struct user *user)
{
    return apply(a, users, user);
}

static int edit_passwd(const struct asked *a, struct users *users, struct user *user)
{
    return set_password(a, users, user);
}

static int edit_remove(const struct asked *a, struct users *users, struct user *user)
{
    (void)a;
    users_remove(users, user);
    return EX_OK;
}

static int edit(const struct asked *a, edit_fn *run)
{
    struct buf error = {0};
    const char *path = a->config->users;
    int code, lock = file_lock(path, &error);
    if (lock < 0) {
        fprintf(stderr, "mailrace: %s\n", buf_text(&error));
        buf_release(&error);
        return EX_CANTCREAT;
    }
    struct users *users = read_users(path, false, &code);
    struct user *user   = users == NULL ? NULL : users_find(users, a->name);
    if (users != NULL && user == NULL && run != edit_add)
        code = complain(EX_DATAERR, "there is no user", a->name, "'mailrace user list' lists them");
    else if (users != NULL)
        code = run(a, users, user);
    if (users != NULL && code == EX_OK)
        code = write_users(path, users);
    users_free(users);
    file_unlock(lock);
    return code == EX_OK ? tell_server(a->config) : code;
}

/* --- listing --- */

/* The rows of the server, one a user who has sent something; empty without a server. */
static void ask_usage(const struct config *config, struct buf *rows)
{
    struct cli cli;
    if (cli_try(&cli, config->control) == 0 && cli_ask(&cli, "usage --json", rows) != EX_OK)
        buf_clear(rows);
    cli_close(&cli);
}

static struct span usage_of(const struct buf *rows, const char *name)
{
    struct span rest  = buf_span(rows), row;
    struct buf quoted = {0};
    bool is_found     = false;
    buf_put_text(&quoted, "{\"user\":");
    escape_json(span_of(name), &quoted);
    while (!is_found && span_cut(&rest, '\n', &row))
        is_found = span_starts(row, buf_span(&quoted));
    buf_release(&quoted);
    return is_found ? row : (struct span){"", 0};
}

static const struct quota_limits *limits_of(const struct asked *a, const struct user *user,
                                            bool of_messages)
{
    if (of_messages)
        return user->has_messages ? &user->messages : &a->config->user_messages;
    return user->has_recipients ? &user->recipients : &a->config->user_recipients;
}

static void put_limit_json(const char *key, const struct quota_limits *limits, uint64_t hour,
                           uint64_t day, struct buf *into)
{
    buf_printf(into, ",\"%s\":{\"hour\":%" PRIu64 ",\"day\":%" PRIu64, key, hour, day);
    if (limits->hour > 0)
        buf_printf(into, ",\"hour_max\":%" PRIu32, limits->hour);
    if (limits->day > 0)
        buf_printf(into, ",\"day_max\":%" PRIu32, limits->day);
    buf_put_byte(into, '}');
}

static void put_json(const struct asked *a, const struct user *user, struct span row,
                     struct buf *into)
{
    buf_put_text(into, "{\"user\":");
    escape_json(span_of(user->name), into);
    buf_put_text(into, ",\"from\":[");
    for (size_t i = 0; i < user->sender_count; i++) {
        buf_put_text(into, i == 0 ? "" : ",");
        escape_json(span_of(user->senders[i]), into);
    }
    buf_printf(into, "],\"disabled\":%s", user->is_disabled ? "true" : "false");
    put_limit_json("messages", limits_of(a, user, true), cli_number(row, "messages_hour"),
                   cli_number(row, "messages_day"), into);
    put_limit_json("recipients", limits_of(a, user, false), cli_number(row, "recipients_hour"),
                   cli_number(row, "recipients_day"), into);
    buf_put_text(into, "}\n");
}

static void put_used(uint64_t count, uint32_t limit, struct buf *into)
{
    char cell[CELL_BYTES];
    if (limit == 0)
        (void)snprintf(cell, sizeof cell, "%" PRIu64, count);
    else
        (void)snprintf(cell, sizeof cell, "%" PRIu64 "/%" PRIu32, count, limit);
    buf_printf(into, "  %-13s", cell);
}

static void put_line(const struct asked *a, const struct user *user, struct span row,
                     struct buf *into)
{
    const struct quota_limits *messages   = limits_of(a, user, true),
                              *recipients = limits_of(a, user, false);
    buf_printf(into, "%-32s", user->name);
    put_used(cli_number(row, "messages_hour"), messages->hour, into);
    put_used(cli_number(row, "messages_day"), messages->day, into);
    put_used(cli_number(row, "recipients_hour"), recipients->hour, into);
    put_used(cli_number(row, "recipients_day"), recipients->day, into);
    buf_put_text(into, user->is_disabled ? "  disabled" : "");
    for (size_t i = 0; i < user->sender_count; i++)
        buf_printf(into, "%s%s", i == 0 ? "  " : ",", user->senders[i]);
    buf_put_byte(into, '\n');
}

static int list(const struct asked *a)
{
    struct buf rows = {0}, text = {0};
    int code;
    struct users *users = read_users(a->config->users, true, &code);
    if (users == NULL)
        return code;
    ask_usage(a->config, &rows);
    if (!a->as_json && users->count > 0)
        buf_printf(&text, "%-32s  %-13s  %-13s  %-13s  %-13s  %s\n", "USER", "MESSAGES/H",
                   "MESSAGES/D", "RCPTS/H", "RCPTS/D", "SENDS AS");
    for (struct list *n = list_first(&users->in_file); n != NULL;
         n              = list_next(&users->in_file, n)) {
        const struct user *user = CONTAINER_OF(n, struct user, in_file);
        if (user->comment == NULL)
            (a->as_json ? put_json : put_line)(a, user, usage_of(&rows, user->name), &text);
    }
    (void)fwrite(buf_text(&text), 1, text.len, stdout);
    users_free(users);
    buf_release(&rows);
    buf_release(&text);
    return fflush(stdout) == 0 && !ferror(stdout) ? EX_OK : EX_IOERR;
}

/* --- the table --- */

static const struct verb {
    const char *name;
    edit_fn *run; /* NULL: list */
} verbs[] = {
    {"add",    edit_add   },
    {"set",    edit_set   },
    {"passwd", edit_passwd},
    {"remove", edit_remove},
    {"list",   NULL       },
};

int cli_user(const struct config *config, char **words, int count)
{
    const char *senders[USER_SENDERS_MAX];
    struct asked asked = {.config = config};
    size_t i           = 0;
    while (count > 0 && i < sizeof verbs / sizeof verbs[0] && strcmp(words[0], verbs[i].name) != 0)
        i++;
    bool is_verb = count > 0 && i < sizeof verbs / sizeof verbs[0];
    if (!is_verb || !read_words(&asked, words + 1, count - 1, senders) ||
        (asked.name == NULL) != (verbs[i].run == NULL)) {
        fprintf(stderr, "usage: mailrace user %s\n", cli_user_arguments);
        return EX_USAGE;
    }
    return verbs[i].run == NULL ? list(&asked) : edit(&asked, verbs[i].run);
}
