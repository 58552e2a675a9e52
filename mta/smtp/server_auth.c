/* SPDX-License-Identifier: MIT */
/*
 * AUTH (RFC 4954): the core sees that it comes at its time, inside TLS, and in base64; what the
 * lines mean is the driver's.  A response stays in the line buffer until it is answered, and is
 * wiped then.
 */
#include "mta/base/base64.h"
#include "mta/base/fault.h"
#include "mta/smtp/server_parts.h"
#include <stdio.h>

static const struct server_no fine         = {0, NULL, NULL};
static const struct server_no bad_base64   = {501, "5.5.2", "that is no base64"};
static const struct server_no is_too_long  = {500, "5.5.6", "line too long"};
static const struct server_no is_cancelled = {501, "5.7.0", "authentication cancelled"};

/* The compiler must not see that nobody reads them any more. */
void server_wipe(void *bytes, size_t len)
{
    volatile char *at = bytes;
    for (size_t i = 0; i < len; i++)
        at[i] = '\0';
}

/* The name as the configuration writes it; empty: it is not offered. */
static struct span find_mechanism(const struct smtp_server *s, struct span name)
{
    struct span rest = span_of(s->config->auth), word;
    while (span_cut(&rest, ' ', &word))
        if (word.len > 0 && span_equals_nocase(word, name))
            return word;
    return (struct span){"", 0};
}

struct server_no server_check_auth(const struct smtp_server *s, struct span args)
{
    static const struct server_no not_implemented = {502, "5.5.1", "not implemented"};
    static const struct server_no tls_first       = {538, "5.7.11", "say STARTTLS first"};
    static const struct server_no hello_first     = {503, "5.5.1", "say EHLO first"};
    static const struct server_no already         = {503, "5.5.1", "you are authenticated already"};
    static const struct server_no in_transaction  = {503, "5.5.1", "not within a transaction"};
    static const struct server_no no_mechanism    = {501, "5.5.4", "syntax: AUTH mechanism"};
    if (s->config->auth == NULL)
        return not_implemented;
    if (!s->is_secured)
        return tls_first;
    if (s->phase == SMTP_SERVER_GREETING || !s->is_esmtp)
        return hello_first;
    if (s->is_authenticated)
        return already;
    if (s->phase != SMTP_SERVER_IDLE)
        return in_transaction;
    return args.len > 0 ? fine : no_mechanism;
}

static void ask(struct smtp_server *s, struct span response, bool is_first, bool has_response)
{
    s->auth.is_first     = is_first;
    s->auth.has_response = has_response;
    s->auth.response     = response;
    s->event             = SMTP_EVENT_AUTH;
}

enum smtp_server_phase server_run_auth(struct smtp_server *s, struct span args)
{
    static const struct server_no unknown = {504, "5.5.4", "no such mechanism here"};
    size_t end                            = span_find(args, ' ');
    struct span response = span_trim(span_skip(args, end)), empty = {"", 0};
    struct span mechanism = find_mechanism(s, span_first(args, end));
    bool is_empty         = span_is(response, "="); /* RFC 4954 4: an empty one */
    if (s->feed_has_more) /* it speaks on before it knows who it is (security.md A4) */
        return server_close(s, 554, "5.5.0", "you must wait for the reply");
    if (mechanism.len == 0 || mechanism.len >= SMTP_SERVER_MECHANISM_BYTES)
        return server_refuse(s, unknown);
    if (!is_empty && !base64_is_good(response))
        return server_refuse(s, bad_base64);
    span_copy_text(mechanism, s->auth.mechanism, sizeof s->auth.mechanism);
    ask(s, is_empty ? empty : response, true, response.len > 0);
    return SMTP_SERVER_AUTH;
}

bool server_is_of_auth(const struct smtp_server *s, struct span line)
{
    static const struct span verb = SPAN("AUTH ");
    return s->phase == SMTP_SERVER_AUTH || (s->is_secured && span_starts_nocase(line, verb));
}

/* The exchange is over by itself; the driver need not be asked. */
static enum smtp_server_phase end_exchange(struct smtp_server *s, struct server_no no)
{
    enum smtp_server_phase next = server_refuse(s, no);
    return next == SMTP_SERVER_CLOSING ? next : server_home(s);
}

enum smtp_server_phase server_response(struct smtp_server *s, struct span line, bool is_long)
{
    if (s->feed_has_more)
        return server_close(s, 554, "5.5.0", "you must wait for the reply");
    if (is_long || line.len + 2 > SMTP_SERVER_AUTH_BYTES_MAX)
        return end_exchange(s, is_too_long);
    if (span_is(line, "*"))
        return end_exchange(s, is_cancelled);
    if (!base64_is_good(line))
        return end_exchange(s, bad_base64);
    ask(s, line, false, true);
    return SMTP_SERVER_AUTH;
}

enum smtp_server_phase server_after_auth(struct smtp_server *s, bool is_authenticated)
{
    server_forget_line(s, true);
    s->auth             = (struct smtp_server_auth){0};
    s->is_authenticated = is_authenticated;
    if (is_authenticated)
        s->errors = s->junk = 0;
    s->must_wait = true;
    return server_home(s);
}

void smtp_server_challenge(struct smtp_server *s, const char *base64)
{
    must(s->event == SMTP_EVENT_AUTH && strlen(base64) <= SMTP_SERVER_CHALLENGE_BYTES_MAX);
    server_forget_line(s, true);
    s->auth.response = (struct span){0};
    s->event         = SMTP_EVENT_NONE;
    s->must_wait     = true;
    if (s->goodbye.code == 0)
        server_put(s, "334 %s\r\n", base64);
    server_say_goodbye_if_due(s);
}

bool smtp_server_in_auth(const struct smtp_server *s)
{
    return s->phase == SMTP_SERVER_AUTH;
}
