/* SPDX-License-Identifier: MIT */
/*
 * Pair: an SMTP client core and an SMTP server core talk to each other through torn buffers, with
 * chance choosing what is offered, answered, cut and lost.  What the client tells of each recipient
 * must agree with what the server side holds: envelope, content, and how it ended.
 */
#pragma once
#include "mta/base/fault.h"
#include "mta/base/list.h"
#include "mta/base/rng.h"
#include "mta/smtp/client.h"
#include "mta/smtp/server.h"
#include "tests/unit/smtp_output.h"
#include <stdio.h>
#include <string.h>

enum { PAIR_JOBS_MAX = 6, PAIR_RCPTS_MAX = 6, PAIR_STEPS_MAX = 200000, PAIR_TEXT_BYTES = 64 };

/* Chosen by bytes while there are any, then by the generator. */
struct chance {
    struct span bytes;
    struct rng rng;
};

static inline unsigned chance_below(struct chance *c, unsigned bound)
{
    if (c->bytes.len == 0)
        return (unsigned)rng_below(&c->rng, bound);
    unsigned char byte = (unsigned char)c->bytes.at[0];
    c->bytes           = span_skip(c->bytes, 1);
    return byte % bound;
}

struct pair_job {
    struct smtp_job job;
    struct envelope_rcpt rcpts[PAIR_RCPTS_MAX];
    char texts[PAIR_RCPTS_MAX + 1][PAIR_TEXT_BYTES];
    struct buf content, wire; /* canonical; as it goes out */
    size_t sent;              /* of either */
    struct span piece;
    unsigned told[PAIR_RCPTS_MAX];
    enum smtp_cause cause[PAIR_RCPTS_MAX];
    int code[PAIR_RCPTS_MAX];
    enum smtp_verb stage[PAIR_RCPTS_MAX];
    /* what the server's side holds */
    bool is_taken;      /* the end of data was answered 250 */
    unsigned has;       /* recipients, by bit */
    struct buf arrived; /* content */
};

struct pair {
    struct chance chance;
    struct smtp_client_config client_config;
    struct smtp_server_config server_config;
    struct smtp_client client;
    struct smtp_server server;
    struct buf up, down; /* to the server, to the client */
    struct pair_job jobs[PAIR_JOBS_MAX];
    unsigned job_count, job_now;
    unsigned most_in_flight;
    struct pair_job *server_job; /* whose transaction is open there */
    bool is_lossy, has_quit, is_lost;
};

static inline void pair_make_content(struct pair *p, struct pair_job *j)
{
    static const char *const lines[] = {"", ".", "..", ".x", "text", "a longer line of text"};
    struct dot_writer w;
    for (unsigned n = chance_below(&p->chance, 8); n > 0; n--) {
        buf_put_text(&j->content, lines[chance_below(&p->chance, 6)]);
        buf_put_text(&j->content, "\r\n");
    }
    dot_writer_init(&w, false);
    must(dot_writer_put(&w, buf_span(&j->content), &j->wire) && dot_writer_end(&w, &j->wire));
}

static inline void pair_make_job(struct pair *p, unsigned number)
{
    struct pair_job *j = &p->jobs[number];
    j->job.rcpts       = j->rcpts;
    j->job.rcpt_count  = 1 + chance_below(&p->chance, PAIR_RCPTS_MAX);
    for (unsigned i = 0; i < j->job.rcpt_count; i++) {
        (void)snprintf(j->texts[i], PAIR_TEXT_BYTES, "r%u@x.example", i);
        j->rcpts[i].address = j->texts[i];
        j->rcpts[i].orcpt   = chance_below(&p->chance, 2) != 0 ? "rfc822;old@z.example" : "";
        j->rcpts[i].notify  = (uint8_t)(chance_below(&p->chance, 8) << 1);
    }
    (void)snprintf(j->texts[PAIR_RCPTS_MAX], PAIR_TEXT_BYTES, "s%u@y.example", number);
    j->job.envelope.sender  = j->texts[PAIR_RCPTS_MAX];
    j->job.envelope.envid   = chance_below(&p->chance, 2) != 0 ? "QQ+2B1" : "";
    j->job.envelope.ret     = (enum envelope_ret)chance_below(&p->chance, 3);
    j->job.envelope.is_8bit = chance_below(&p->chance, 2) != 0;
    pair_make_content(p, j);
    j->job.size_bytes = j->content.len;
}

static inline void pair_init(struct pair *p, struct span bytes, uint64_t seed, bool is_lossy)
{
    memset(p, 0, sizeof *p);
    p->chance.bytes = bytes;
    rng_seed(&p->chance.rng, seed);
    p->is_lossy      = is_lossy;
    p->client_config = (struct smtp_client_config){.helo = "me.example", .tls = SMTP_TLS_OFFERED};
    p->client_config.is_one_by_one = chance_below(&p->chance, 8) == 0;
    p->client_config.chunk_window  = chance_below(&p->chance, SMTP_FLIGHT_MAX + 1);
    unsigned offer = chance_below(&p->chance, 256) | chance_below(&p->chance, 4) << 8;
    if (chance_below(&p->chance, 4) > 0)
        offer |= SMTP_EXT_PIPELINING;
    p->server_config = (struct smtp_server_config){
        .hostname          = "mx.example",
        .offer             = offer,
        .message_bytes_max = chance_below(&p->chance, 4) == 0 ? 30 : 100000,
        .rcpts_max         = 1 + chance_below(&p->chance, 8),
        .errors_max        = 20,
        .junk_max          = 20,
        .refuses_bare      = chance_below(&p->chance, 2) != 0,
    };
    p->job_count = 1 + chance_below(&p->chance, PAIR_JOBS_MAX);
    for (unsigned i = 0; i < p->job_count; i++)
        pair_make_job(p, i);
    smtp_client_init(&p->client, &p->client_config);
    smtp_server_init(&p->server, &p->server_config);
    smtp_server_greet(&p->server);
}

static inline void pair_release(struct pair *p)
{
    for (unsigned i = 0; i < p->job_count; i++) {
        buf_release(&p->jobs[i].content);
        buf_release(&p->jobs[i].wire);
        buf_release(&p->jobs[i].arrived);
    }
    buf_release(&p->up);
    buf_release(&p->down);
    smtp_server_release(&p->server);
}

static inline void pair_check_mail(struct pair *p)
{
    const struct smtp_server_mail *m = &p->server.mail;
    unsigned offer                   = p->server_config.offer;
    unsigned number                  = (unsigned)(m->sender.text[1] - '0');
    must(number < p->job_count &&
         span_is(span_of(m->sender.text), p->jobs[number].texts[PAIR_RCPTS_MAX]));
    p->server_job            = &p->jobs[number];
    const struct envelope *e = &p->server_job->job.envelope;
    must(m->is_8bit == (e->is_8bit && (offer & SMTP_EXT_8BITMIME) != 0));
    if ((offer & SMTP_EXT_SIZE) != 0)
        must(m->size_bytes == p->server_job->job.size_bytes);
    if ((offer & SMTP_EXT_DSN) != 0)
        must(m->ret == e->ret && strcmp(m->envid, e->envid) == 0);
}

static inline unsigned pair_check_rcpt(struct pair *p)
{
    const struct smtp_server_rcpt *r = &p->server.rcpt;
    unsigned number                  = (unsigned)(r->address.text[1] - '0');
    must(p->server_job != NULL && number < p->server_job->job.rcpt_count);
    must(span_is(span_of(r->address.text), p->server_job->texts[number]));
    const struct envelope_rcpt *said = &p->server_job->rcpts[number];
    if ((p->server_config.offer & SMTP_EXT_DSN) != 0)
        must(r->notify == said->notify && strcmp(r->orcpt, said->orcpt) == 0);
    return number;
}

static inline void pair_answer(struct pair *p)
{
    static const int mail_codes[] = {250, 250, 250, 250, 250, 250, 451, 550};
    static const int rcpt_codes[] = {250, 250, 250, 250, 251, 550, 450, 452};
    static const int end_codes[]  = {250, 250, 250, 250, 250, 451, 554, 421};
    struct smtp_server *s         = &p->server;
    unsigned choice               = chance_below(&p->chance, 8);
    int code                      = 250;
    switch (smtp_server_event(s)) {
    case SMTP_EVENT_MAIL:
        pair_check_mail(p);
        smtp_server_answer(s, mail_codes[choice], "2.1.0", "mail");
        break;
    case SMTP_EVENT_RCPT:
        code            = rcpt_codes[choice];
        unsigned number = pair_check_rcpt(p);
        p->server_job->has |= code / 100 == 2 ? 1U << number : 0U;
        smtp_server_answer(s, code, "2.1.5", "rcpt");
        break;
    case SMTP_EVENT_BODY:
        buf_put(&p->server_job->arrived, s->body);
        if (chance_below(&p->chance, 64) == 0)
            smtp_server_refuse_content(s, 452, "4.3.1", "no space");
        smtp_server_body_taken(s);
        break;
    case SMTP_EVENT_END:
        code                    = end_codes[choice];
        p->server_job->is_taken = code == 250;
        must(span_equals(buf_span(&p->server_job->arrived), buf_span(&p->server_job->content)));
        smtp_server_answer(s, code, "2.0.0", "end");
        break;
    case SMTP_EVENT_RESET:
        smtp_server_body_taken(s);
        break;
    default:
        break;
    }
}

/* Each recipient of the job was told once. */
static inline void pair_check_told(const struct pair_job *j)
{
    for (unsigned i = 0; i < j->job.rcpt_count; i++)
        must(j->told[i] == 1);
}

static inline void pair_take_result(struct pair *p)
{
    struct smtp_result r;
    if (!smtp_client_result(&p->client, &r))
        return;
    must(p->job_now > 0);
    struct pair_job *j = CONTAINER_OF(r.job, struct pair_job, job);
    for (struct pair_job *before = p->jobs; before < j; before++)
        pair_check_told(before);
    must(r.rcpt < j->job.rcpt_count);
    j->told[r.rcpt]++;
    j->cause[r.rcpt] = r.cause;
    j->code[r.rcpt]  = r.reply->code;
    j->stage[r.rcpt] = r.stage;
}

static inline void pair_give_body(struct pair *p, struct pair_job *j)
{
    struct span from = buf_span(smtp_client_is_chunk(&p->client) ? &j->content : &j->wire);
    from             = span_skip(from, j->sent);
    j->piece         = span_first(from, 1 + chance_below(&p->chance, 40));
    j->sent += j->piece.len;
    smtp_client_body(&p->client, &j->piece, 1, j->piece.len == from.len);
}

static inline void pair_client_turn(struct pair *p)
{
    struct smtp_client *c = &p->client;
    unsigned wants        = smtp_client_wants(c);
    if ((wants & SMTP_WANT_BODY) != 0) {
        pair_give_body(p, CONTAINER_OF(smtp_client_body_job(c), struct pair_job, job));
    } else if ((wants & (SMTP_WANT_JOB | SMTP_WANT_NEXT)) != 0 && p->job_now < p->job_count) {
        smtp_client_send(c, &p->jobs[p->job_now++].job);
        p->most_in_flight =
            c->flight_count > p->most_in_flight ? c->flight_count : p->most_in_flight;
    } else if ((wants & SMTP_WANT_JOB) != 0 && !p->has_quit) {
        p->has_quit = true;
        smtp_client_quit(c);
    }
}

static inline struct span pair_some(struct pair *p, struct span from)
{
    return span_first(from, 1 + chance_below(&p->chance, 100));
}

/* One step of one of the two, or of the bytes between them. */
static inline void pair_step(struct pair *p)
{
    struct span some;
    switch (chance_below(&p->chance, 6)) {
    case 0:
        some = pair_some(p, smtp_output_first(&p->client));
        buf_put(&p->up, some);
        smtp_client_wrote(&p->client, some.len);
        break;
    case 1:
        some = pair_some(p, smtp_server_output(&p->server));
        buf_put(&p->down, some);
        smtp_server_wrote(&p->server, some.len);
        break;
    case 2:
        buf_drop(&p->up, smtp_server_feed(&p->server, pair_some(p, buf_span(&p->up))));
        break;
    case 3:
        buf_drop(&p->down, smtp_client_feed(&p->client, pair_some(p, buf_span(&p->down))));
        break;
    case 4:
        pair_answer(p);
        break;
    default:
        pair_take_result(p);
        pair_client_turn(p);
    }
}

static inline bool pair_is_over(const struct pair *p)
{
    return smtp_client_wants(&p->client) == SMTP_WANT_CLOSE;
}

static inline void pair_secure_if_agreed(struct pair *p)
{
    bool both = (smtp_client_wants(&p->client) & SMTP_WANT_TLS) != 0 &&
                smtp_server_event(&p->server) == SMTP_EVENT_STARTTLS;
    if (!both)
        return;
    must(p->up.len == 0 && p->down.len == 0);
    smtp_client_secured(&p->client);
    smtp_server_secured(&p->server);
}

/* The client has its own view: it is the only one that may be in doubt. */
static inline void pair_check_job(const struct pair_job *j)
{
    pair_check_told(j);
    for (unsigned i = 0; i < j->job.rcpt_count; i++) {
        bool arrived = j->is_taken && (j->has >> i & 1) != 0;
        bool success = j->cause[i] == SMTP_CAUSE_REPLY && j->code[i] / 100 == 2;
        must(!success || j->stage[i] == SMTP_DOT);
        must(j->cause[i] != SMTP_CAUSE_PROTOCOL);
        if (j->cause[i] != SMTP_CAUSE_IN_DOUBT)
            must(success == arrived);
    }
}

static inline void pair_run(struct pair *p)
{
    for (unsigned steps = 0; steps < PAIR_STEPS_MAX && !pair_is_over(p); steps++) {
        pair_step(p);
        pair_secure_if_agreed(p);
        if (p->is_lossy && !p->is_lost && chance_below(&p->chance, 200) == 0) {
            p->is_lost = true;
            smtp_client_lost(&p->client);
            buf_clear(&p->down);
        }
    }
    while ((smtp_client_wants(&p->client) & SMTP_WANT_RESULT) != 0)
        pair_take_result(p);
    must(pair_is_over(p));
    for (unsigned i = 0; i < p->job_now; i++)
        pair_check_job(&p->jobs[i]);
}
