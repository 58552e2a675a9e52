/* SPDX-License-Identifier: MIT */
/*
 * A line becomes a command: found among the rows, checked, run.  'check' only looks, 'run' only
 * acts.  What is no mail client at all (security.md A27) is told so and leaves.
 */
#include "mta/smtp/server_parts.h"
#include <string.h>

static const struct server_no fine            = {0, NULL, NULL};
static const struct server_no not_implemented = {502, "5.5.1", "not implemented"};
static const struct server_no unknown         = {500, "5.5.1", "unknown command"};
static const struct server_no no_arguments    = {501, "5.5.4", "no arguments allowed"};

static struct server_no check_fine(const struct smtp_server *s, struct span args)
{
    (void)s, (void)args;
    return fine;
}

static struct server_no check_bare(const struct smtp_server *s, struct span args)
{
    (void)s;
    return args.len == 0 ? fine : no_arguments;
}

static struct server_no check_hello(const struct smtp_server *s, struct span args)
{
    static const struct server_no no_name = {501, "5.5.4", "your name is missing"};
    (void)s;
    return args.len > 0 ? fine : no_name;
}

static struct server_no check_vrfy(const struct smtp_server *s, struct span args)
{
    static const struct server_no no_address = {501, "5.5.4", "the address is missing"};
    (void)s;
    return args.len > 0 ? fine : no_address;
}

static struct server_no check_starttls(const struct smtp_server *s, struct span args)
{
    static const struct server_no already     = {503, "5.5.1", "TLS stands already"};
    static const struct server_no hello_first = {503, "5.5.1", "say EHLO first"};
    if ((s->config->offer & SMTP_EXT_STARTTLS) == 0)
        return not_implemented;
    if (s->is_secured)
        return already;
    if (s->helo[0] == '\0')
        return hello_first;
    return args.len == 0 ? fine : no_arguments;
}

static struct server_no check_unknown(const struct smtp_server *s, struct span args)
{
    (void)s, (void)args;
    return unknown;
}

static struct server_no check_not_implemented(const struct smtp_server *s, struct span args)
{
    (void)s, (void)args;
    return not_implemented;
}

/* As it was said, in what is safe to log and to write into a Received field. */
static void keep_name(struct smtp_server *s, struct span name)
{
    size_t n = 0;
    for (; n < name.len && n + 1 < sizeof s->helo; n++)
        s->helo[n] = (char)(name.at[n] > ' ' && name.at[n] < 0x7f ? name.at[n] : '?');
    s->helo[n] = '\0';
}

static void hello(struct smtp_server *s, struct span name, bool is_esmtp)
{
    server_void(s);
    keep_name(s, name);
    s->is_esmtp   = is_esmtp;
    s->needs_rset = false;
    s->must_wait  = true;
}

static enum smtp_server_phase run_helo(struct smtp_server *s, struct span args)
{
    hello(s, args, false);
    server_put(s, "250 %.255s\r\n", s->config->hostname);
    return SMTP_SERVER_IDLE;
}

static void put_extension(struct smtp_server *s, unsigned index, char separator)
{
    enum { RCPTMAX_MAX = 999999 }; /* RFC 9422 3.3: six digits */
    const char *keyword = smtp_ext_keyword((enum smtp_ext_index)index);
    unsigned rcpts_max  = s->config->rcpts_max;
    if (index == SMTP_EXT_INDEX_SIZE && s->config->message_bytes_max > 0)
        server_put(s, "250%cSIZE %llu\r\n", separator,
                   (unsigned long long)s->config->message_bytes_max);
    else if (index == SMTP_EXT_INDEX_LIMITS)
        server_put(s, "250%cLIMITS RCPTMAX=%u\r\n", separator,
                   rcpts_max < RCPTMAX_MAX ? rcpts_max : RCPTMAX_MAX);
    else if (index == SMTP_EXT_INDEX_AUTH)
        server_put(s, "250%cAUTH %s\r\n", separator, s->config->auth);
    else
        server_put(s, "250%c%s\r\n", separator, keyword);
}

static enum smtp_server_phase run_ehlo(struct smtp_server *s, struct span args)
{
    unsigned hidden = SMTP_EXT_AUTH | (s->is_secured ? SMTP_EXT_STARTTLS : 0U);
    unsigned offer  = s->config->offer & ~hidden & ((1U << SMTP_EXT_COUNT) - 1);
    if (s->is_secured && s->config->auth != NULL)
        offer |= SMTP_EXT_AUTH;
    hello(s, args, true);
    server_put(s, "250%c%.255s\r\n", offer != 0 ? '-' : ' ', s->config->hostname);
    for (unsigned i = 0; i < SMTP_EXT_COUNT; i++)
        if ((offer & 1U << i) != 0)
            put_extension(s, i, offer >> i > 1 ? '-' : ' ');
    return SMTP_SERVER_IDLE;
}

static enum smtp_server_phase run_rset(struct smtp_server *s, struct span args)
{
    (void)args;
    server_void(s);
    s->needs_rset = false;
    server_reply(s, 250, "2.0.0", "ok");
    return server_home(s);
}

static enum smtp_server_phase run_noop(struct smtp_server *s, struct span args)
{
    (void)args;
    server_reply(s, 250, "2.0.0", "ok");
    return s->phase;
}

static enum smtp_server_phase run_vrfy(struct smtp_server *s, struct span args)
{
    (void)args;
    server_reply(s, 252, "2.5.0", "send some mail, I will try my best");
    return s->phase;
}

static enum smtp_server_phase run_help(struct smtp_server *s, struct span args)
{
    (void)args;
    server_reply(s, 214, "2.0.0",
                 "EHLO HELO AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS QUIT");
    return s->phase;
}

static enum smtp_server_phase run_quit(struct smtp_server *s, struct span args)
{
    (void)args;
    return server_close(s, 221, "2.0.0", "bye");
}

/* What came in clear behind the command must not be taken for said inside TLS (security.md A5). */
static enum smtp_server_phase run_starttls(struct smtp_server *s, struct span args)
{
    (void)args;
    if (s->feed_has_more)
        return server_close(s, 554, "5.5.0", "you must wait for the reply");
    server_void(s);
    server_reply(s, 220, "2.0.0", "ready to start TLS");
    return SMTP_SERVER_TLS;
}

static enum smtp_server_phase run_nothing(struct smtp_server *s, struct span args)
{
    (void)args;
    return s->phase;
}

static enum smtp_server_phase run_foreign(struct smtp_server *s, struct span args)
{
    (void)args;
    return server_close(s, 421, "4.7.0", "this is a mail server");
}

static const struct command {
    const char *verb;
    server_check_fn *check;
    server_run_fn *run;
    unsigned line_bytes_max; /* 0: as usual */
    bool is_junk;            /* does nothing for a transaction: counted */
} commands[] = {
    {"MAIL",     server_check_mail,     server_run_mail, SMTP_SERVER_PATH_BYTES_MAX, false},
    {"RCPT",     server_check_rcpt,     server_run_rcpt, SMTP_SERVER_PATH_BYTES_MAX, false},
    {"DATA",     server_check_data,     server_run_data, 0,                          false},
    {"BDAT",     check_fine,            server_run_bdat, 0,                          false},
    {"EHLO",     check_hello,           run_ehlo,        0,                          true },
    {"HELO",     check_hello,           run_helo,        0,                          true },
    {"AUTH",     server_check_auth,     server_run_auth, SMTP_SERVER_AUTH_BYTES_MAX, false},
    {"RSET",     check_bare,            run_rset,        0,                          true },
    {"NOOP",     check_fine,            run_noop,        0,                          true },
    {"QUIT",     check_bare,            run_quit,        0,                          false},
    {"VRFY",     check_vrfy,            run_vrfy,        0,                          true },
    {"STARTTLS", check_starttls,        run_starttls,    0,                          false},
    {"HELP",     check_fine,            run_help,        0,                          true },
    {"EXPN",     check_not_implemented, run_nothing,     0,                          false},
    {"TURN",     check_not_implemented, run_nothing,     0,                          false},
    {"ETRN",     check_not_implemented, run_nothing,     0,                          false},
    {"GET",      check_fine,            run_foreign,     0,                          false},
    {"HEAD",     check_fine,            run_foreign,     0,                          false},
    {"POST",     check_fine,            run_foreign,     0,                          false},
    {"PUT",      check_fine,            run_foreign,     0,                          false},
    {"DELETE",   check_fine,            run_foreign,     0,                          false},
    {"OPTIONS",  check_fine,            run_foreign,     0,                          false},
    {"CONNECT",  check_fine,            run_foreign,     0,                          false},
    {"TRACE",    check_fine,            run_foreign,     0,                          false},
    {NULL,       check_unknown,         run_nothing,     0,                          false}, /* the rest, LHLO too */
};

static const struct command *find_command(struct span verb)
{
    const struct command *row = commands;
    while (row->verb != NULL && !span_is_nocase(verb, row->verb))
        row++;
    return row;
}

/* RCPT is refused uncounted: see errors_max. */
static enum smtp_server_phase refuse(struct smtp_server *s, const struct command *row,
                                     struct server_no no)
{
    if (row->run != server_run_rcpt)
        return server_refuse(s, no);
    server_reply(s, no.code, no.enhanced, no.text);
    return s->phase;
}

static enum smtp_server_phase run_line(struct smtp_server *s, struct span line)
{
    static const struct server_no empty    = {500, "5.5.2", "empty line"};
    static const struct server_no too_long = {500, "5.5.2", "line too long"};
    size_t end                             = span_find(line, ' ');
    struct span args                       = span_trim(span_skip(line, end));
    const struct command *row              = find_command(span_first(line, end));
    size_t bytes_max = row->line_bytes_max > 0 ? row->line_bytes_max : SMTP_SERVER_LINE_BYTES_MAX;
    if (line.len == 0)
        return server_refuse(s, empty);
    if (s->line_is_long || line.len + 2 > bytes_max)
        return refuse(s, row, too_long);
    if (row->is_junk && ++s->junk > s->config->junk_max)
        return server_close(s, 421, "4.7.0", "too many commands without mail");
    struct server_no no = row->check(s, args);
    return no.code == 0 ? row->run(s, args) : refuse(s, row, no);
}

/* A bare LF at the end, a CR or NUL inside (security.md A1). */
static enum smtp_server_phase run_stray(struct smtp_server *s)
{
    static const struct server_no stray = {500, "5.5.2", "stray CR, LF or NUL"};
    if (!s->config->refuses_bare)
        return server_refuse(s, stray);
    server_reply(s, stray.code, stray.enhanced, stray.text);
    return server_close(s, 421, "4.7.0", "closing");
}

/* What has come of the line. */
static struct span line_of(const struct smtp_server *s)
{
    return s->long_line.len > 0 ? buf_span(&s->long_line) : span_make(s->line, s->line_len);
}

void server_forget_line(struct smtp_server *s, bool is_secret)
{
    if (is_secret) {
        server_wipe(s->line, s->line_len);
        server_wipe(s->long_line.at, s->long_line.len);
        buf_release(&s->long_line);
    }
    s->line_len     = 0;
    s->line_is_long = false;
}

static enum smtp_server_phase run_any(struct smtp_server *s, struct span line)
{
    return s->phase == SMTP_SERVER_AUTH ? server_response(s, line, s->line_is_long)
                                        : run_line(s, line);
}

static void end_line(struct smtp_server *s)
{
    struct span line = line_of(s);
    bool ends_in_cr  = line.len > 0 && line.at[line.len - 1] == '\r';
    bool is_secret   = server_is_of_auth(s, line);
    if (ends_in_cr)
        line.len--;
    bool is_stray = span_find(line, '\r') < line.len || span_find(line, '\0') < line.len ||
                    (s->config->refuses_bare && !ends_in_cr && !s->line_is_long);
    server_enter(s, is_stray ? run_stray(s) : run_any(s, line));
    if (s->event != SMTP_EVENT_AUTH) /* its answer does it: the response is in there */
        server_forget_line(s, is_secret);
}

static void gather_long(struct smtp_server *s, struct span bytes)
{
    size_t room     = SMTP_SERVER_AUTH_BYTES_MAX - s->long_line.len;
    s->line_is_long = s->line_is_long || bytes.len > room;
    buf_put(&s->long_line, span_first(bytes, room));
}

static void gather(struct smtp_server *s, struct span bytes)
{
    struct span kept = span_first(bytes, sizeof s->line - s->line_len), over;
    if (s->long_line.len > 0) {
        gather_long(s, bytes);
        return;
    }
    memcpy(s->line + s->line_len, kept.at, kept.len);
    s->line_len += kept.len;
    over = span_skip(bytes, kept.len);
    if (over.len > 0 && server_is_of_auth(s, line_of(s))) {
        (void)buf_reserve(&s->long_line,
                          SMTP_SERVER_AUTH_BYTES_MAX); /* it never moves: no copies */
        buf_put(&s->long_line, line_of(s));
        gather_long(s, over);
    } else {
        s->line_is_long = s->line_is_long || over.len > 0;
    }
}

size_t server_line_feed(struct smtp_server *s, struct span bytes)
{
    size_t end  = span_find(bytes, '\n');
    size_t used = end < bytes.len ? end + 1 : end;
    gather(s, span_first(bytes, end));
    if (s->phase != SMTP_SERVER_AUTH && s->line_len > 0 && !ascii_is_alpha(s->line[0]) &&
        s->line[0] != '\r') {
        server_enter(s, run_foreign(s, bytes));
        return bytes.len;
    }
    s->feed_has_more = used < bytes.len;
    if (end < bytes.len)
        end_line(s);
    return used;
}
