/* SPDX-License-Identifier: MIT */
/*
 * Host: drives an SMTP server core against whatever bytes a client may say, and watches what no
 * client may make it do: events come in the order of a transaction, content is canonical, replies
 * are lines of ASCII, and RCPT is never answered in a way that a list manager cannot live with.
 */
#pragma once
#include "mta/base/base64.h"
#include "mta/base/fault.h"
#include "mta/smtp/server.h"
#include <string.h>

struct host {
    struct smtp_server_config config;
    struct smtp_server server;
    struct buf content, out;
    struct buf log;   /* of events and content, the same whatever the cut */
    unsigned answers; /* so far; decides the next one */
    unsigned mails, ends, resets;
    bool has_mail, has_rcpt, answers_well;
};

static inline void host_init(struct host *h, const struct smtp_server_config *config)
{
    memset(h, 0, sizeof *h);
    h->config = *config;
    smtp_server_init(&h->server, &h->config);
    smtp_server_greet(&h->server);
}

static inline void host_release(struct host *h)
{
    smtp_server_release(&h->server);
    buf_release(&h->content);
    buf_release(&h->out);
    buf_release(&h->log);
}

static inline void host_check_content(struct span content)
{
    for (size_t i = 0; i < content.len; i++) {
        must(content.at[i] != '\0');
        if (content.at[i] == '\r')
            must(i + 1 < content.len && content.at[i + 1] == '\n');
        if (content.at[i] == '\n')
            must(i > 0 && content.at[i - 1] == '\r');
    }
}

static inline void host_check_line(struct span line)
{
    must(line.len >= 5 && line.at[line.len - 1] == '\r');
    for (size_t i = 0; i + 1 < line.len; i++)
        must(line.at[i] >= ' ' && line.at[i] < 0x7f);
    for (size_t i = 0; i < 3; i++)
        must(ascii_is_digit(line.at[i]));
}

/* Takes the output away; with each whole line checked. */
static inline void host_write(struct host *h)
{
    struct span out = smtp_server_output(&h->server), line;
    buf_put(&h->out, out);
    while (span_cut(&out, '\n', &line))
        host_check_line(line);
    smtp_server_wrote(&h->server, smtp_server_output(&h->server).len);
}

static inline bool host_says_yes(struct host *h)
{
    return h->answers_well || ++h->answers % 5 != 0;
}

/* What a response may not be was refused before; and nobody is asked before TLS. */
static inline void host_on_auth(struct host *h)
{
    struct smtp_server *s = &h->server;
    must(s->is_secured && !s->is_authenticated && !smtp_server_in_transaction(s));
    must(base64_is_good(s->auth.response) && s->auth.response.len < SMTP_SERVER_AUTH_BYTES_MAX);
    buf_printf(&h->log, "auth %s %d %d %.*s\n", s->auth.mechanism, s->auth.is_first,
               s->auth.has_response, (int)s->auth.response.len, s->auth.response.at);
    if (host_says_yes(h))
        smtp_server_challenge(s, "YQ==");
    else
        smtp_server_answer(s, h->answers % 2 == 0 ? 235 : 535, "2.7.0", "auth");
}

static inline void host_on_mail(struct host *h)
{
    must(!h->has_mail && (!h->config.needs_auth || h->server.is_authenticated));
    h->mails++;
    h->has_mail = host_says_yes(h);
    buf_printf(&h->log, "mail %s\n", h->server.mail.sender.text);
    smtp_server_answer(&h->server, h->has_mail ? 250 : 451, "2.1.0", "mail");
}

static inline void host_on_rcpt(struct host *h)
{
    bool is_taken = host_says_yes(h);
    must(h->has_mail && h->server.rcpt.address.len > 2);
    h->has_rcpt = h->has_rcpt || is_taken;
    buf_printf(&h->log, "rcpt %s\n", h->server.rcpt.address.text);
    smtp_server_answer(&h->server, is_taken ? 250 : 550, is_taken ? "2.1.5" : "5.1.1", "rcpt");
}

static inline void host_on_end(struct host *h)
{
    must(h->has_mail && h->has_rcpt);
    host_check_content(buf_span(&h->content));
    must(h->content.len == h->server.content_bytes);
    must(h->content.len <= h->config.message_bytes_max);
    buf_put_text(&h->log, "content ");
    buf_put(&h->log, buf_span(&h->content));
    buf_clear(&h->content);
    h->ends++;
    h->has_mail = h->has_rcpt = false;
    smtp_server_answer(&h->server, host_says_yes(h) ? 250 : 554, "2.0.0", "end");
    must(!smtp_server_in_transaction(&h->server) && h->server.rcpt_count == 0);
}

/* Handles what came up; false when nothing did. */
static inline bool host_serve(struct host *h)
{
    struct smtp_server *s = &h->server;
    switch (smtp_server_event(s)) {
    case SMTP_EVENT_AUTH:
        host_on_auth(h);
        return true;
    case SMTP_EVENT_MAIL:
        host_on_mail(h);
        return true;
    case SMTP_EVENT_RCPT:
        host_on_rcpt(h);
        return true;
    case SMTP_EVENT_BODY:
        must(h->has_rcpt);
        buf_put(&h->content, s->body);
        smtp_server_body_taken(s);
        return true;
    case SMTP_EVENT_END:
        host_on_end(h);
        return true;
    case SMTP_EVENT_RESET:
        must(h->has_mail);
        buf_put_text(&h->log, "reset\n");
        buf_clear(&h->content);
        h->resets++;
        h->has_mail = h->has_rcpt = false;
        smtp_server_body_taken(s);
        return true;
    default:
        return false;
    }
}

/* The client says this, in pieces of at most 'chunk' bytes; at once, or waiting after each line. */
static inline void host_hear(struct host *h, struct span bytes, size_t chunk, bool waits)
{
    host_write(h);
    while (bytes.len > 0) {
        struct span piece = span_first(bytes, chunk);
        if (waits)
            piece = span_first(piece, span_find(piece, '\n') + 1);
        while (piece.len > 0) {
            size_t taken = smtp_server_feed(&h->server, piece);
            must(taken <= piece.len);
            piece         = span_skip(piece, taken);
            bytes         = span_skip(bytes, taken);
            bool is_stuck = taken == 0 && smtp_server_event(&h->server) == SMTP_EVENT_NONE;
            while (host_serve(h))
                continue;
            if (is_stuck || smtp_server_event(&h->server) == SMTP_EVENT_STARTTLS)
                host_write(h);
            if (smtp_server_event(&h->server) == SMTP_EVENT_STARTTLS)
                smtp_server_secured(&h->server);
        }
        host_write(h);
    }
}
