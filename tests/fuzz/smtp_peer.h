/* SPDX-License-Identifier: MIT */
/*
 * Peer: drives an SMTP client core against whatever bytes a server may say, and watches what no
 * server may make it do: every recipient of a job is told exactly once, success only comes from a
 * reply to the end of data, doubt only after the end mark went out, and the body is never asked for
 * without a recipient that was taken.
 */
#pragma once
#include "mta/base/fault.h"
#include "mta/smtp/client.h"
#include "tests/unit/smtp_output.h"
#include <string.h>

enum { PEER_RCPTS_MAX = 8 };

struct peer {
    struct smtp_client_config config;
    struct smtp_client client;
    struct smtp_job job;
    struct envelope_rcpt rcpts[PEER_RCPTS_MAX];
    unsigned told[PEER_RCPTS_MAX], jobs_sent, jobs_max;
    size_t delivered, refused, in_doubt, lost;
    bool body_was_sent; /* with the end mark */
    struct span body, piece;
    size_t body_sent;
};

static inline void peer_init(struct peer *p, const struct smtp_client_config *config,
                             unsigned rcpt_count)
{
    static const char *const addresses[PEER_RCPTS_MAX] = {
        "a@x.example", "b@x.example", "c@x.example", "d@x.example",
        "e@x.example", "f@x.example", "g@x.example", "h@x.example",
    };
    static const struct span body = SPAN("Subject: hi\r\n\r\n..dots\r\n.\r\n");
    memset(p, 0, sizeof *p);
    p->config   = *config;
    p->jobs_max = 2;
    p->body     = body;
    for (unsigned i = 0; i < PEER_RCPTS_MAX; i++)
        p->rcpts[i] = (struct envelope_rcpt){.address = addresses[i], .orcpt = ""};
    p->job = (struct smtp_job){
        .envelope   = {.sender = "s@y.example", .envid = ""},
        .rcpts      = p->rcpts,
        .rcpt_count = rcpt_count,
        .size_bytes = 24
    };
    smtp_client_init(&p->client, &p->config);
}

static inline void peer_note(struct peer *p, const struct smtp_result *r)
{
    bool is_success = r->cause == SMTP_CAUSE_REPLY && smtp_reply_class(r->reply) == 2;
    must(r->rcpt < p->job.rcpt_count && p->told[r->rcpt]++ == 0);
    must(!is_success || (r->stage == SMTP_DOT && p->body_was_sent));
    must(r->cause != SMTP_CAUSE_IN_DOUBT || p->body_was_sent);
    must(r->cause != SMTP_CAUSE_LOST || !p->body_was_sent);
    must(r->reply->text_len <= sizeof r->reply->text);
    p->delivered += is_success;
    p->refused += r->cause == SMTP_CAUSE_REPLY && !is_success;
    p->in_doubt += r->cause == SMTP_CAUSE_IN_DOUBT;
    p->lost += r->cause == SMTP_CAUSE_LOST;
}

static inline void peer_check_told(const struct peer *p)
{
    for (size_t i = 0; p->jobs_sent > 0 && i < p->job.rcpt_count; i++)
        must(p->told[i] == 1);
}

static inline void peer_take_results(struct peer *p)
{
    struct smtp_result r;
    while (smtp_client_result(&p->client, &r))
        peer_note(p, &r);
}

static inline void peer_send(struct peer *p)
{
    peer_check_told(p);
    memset(p->told, 0, sizeof p->told);
    p->body_was_sent = false;
    p->body_sent     = 0;
    p->jobs_sent++;
    smtp_client_send(&p->client, &p->job);
}

static inline void peer_give_body(struct peer *p)
{
    size_t left = p->body.len - p->body_sent, n = left < 20 ? left : 20;
    must(p->client.flight[p->client.body.flight].accepted_count > 0);
    p->piece = span_make(p->body.at + p->body_sent, n);
    smtp_client_body(&p->client, &p->piece, 1, n == left);
    p->body_sent += n;
}

static inline void peer_write(struct peer *p)
{
    struct span out = smtp_output_first(&p->client);
    bool is_body    = out.at >= p->body.at && out.at < p->body.at + p->body.len;
    smtp_client_wrote(&p->client, out.len);
    p->body_was_sent = p->body_was_sent || (is_body && p->body_sent == p->body.len);
}

/* Does whatever the client wants but reading. */
static inline void peer_serve(struct peer *p)
{
    for (;;) {
        unsigned wants = smtp_client_wants(&p->client);
        if ((wants & SMTP_WANT_RESULT) != 0)
            peer_take_results(p);
        else if ((wants & SMTP_WANT_WRITE) != 0)
            peer_write(p);
        else if ((wants & SMTP_WANT_BODY) != 0)
            peer_give_body(p);
        else if ((wants & SMTP_WANT_TLS) != 0)
            smtp_client_secured(&p->client);
        else if ((wants & SMTP_WANT_JOB) != 0 && p->jobs_sent < p->jobs_max)
            peer_send(p);
        else
            return;
    }
}

/* The server says this, in pieces of at most 'chunk' bytes; at once, or waiting after each line for
 * what the client says to it. */
static inline void peer_hear(struct peer *p, struct span bytes, size_t chunk, bool waits)
{
    peer_serve(p);
    while (bytes.len > 0) {
        struct span piece = span_first(bytes, chunk);
        if (waits)
            piece = span_first(piece, span_find(piece, '\n') + 1);
        size_t taken = smtp_client_feed(&p->client, piece);
        must(taken <= piece.len);
        bytes = span_skip(bytes, taken);
        peer_serve(p);
    }
}

static inline void peer_hang_up(struct peer *p)
{
    smtp_client_lost(&p->client);
    peer_take_results(p);
    must(smtp_client_wants(&p->client) == SMTP_WANT_CLOSE);
    peer_check_told(p);
}
