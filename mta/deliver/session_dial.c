/* SPDX-License-Identifier: MIT */
/* Reaching a host: look-up, addresses, and the next one when it fails. */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/deliver/pool.h"
#include "mta/deliver/session_inside.h"
#include <stdio.h>
#include <string.h>

/* Every host was tried: the failures together decide. */
static void give_up(struct session *s)
{
    dialer_settle(&s->dialer, s->job);
    session_bury(s);
}

static void name_host(struct session *s)
{
    (void)snprintf(s->host, sizeof s->host, "%s", dialer_host(&s->dialer));
    (void)snprintf(s->tls_text, sizeof s->tls_text, "none");
}

void session_dial_on(struct session *s)
{
    struct net_address address;
    session_disconnect(s);
    switch (dialer_next(&s->dialer, &address)) {
    case DIAL_LOOKUP:
        if (s->state != SESSION_LOOKING_UP)
            session_enter(s, SESSION_LOOKING_UP);
        heap_remove(&s->shard->deadlines, &s->deadline); /* the resolver has its own */
        s->awaits_dns = true;
        dns_lookup_addresses(s->shard->dns, span_of(dialer_host(&s->dialer)), s);
        break;
    case DIAL_CONNECT:
        name_host(s);
        session_connect(s, &address);
        break;
    case DIAL_EXHAUSTED:
        give_up(s);
        break;
    }
}

void session_note_failure(struct session *s, enum dial_failure failure, unsigned code,
                          const unsigned char enhanced[3], const char *words, struct span said)
{
    char text[DIALER_TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%s[%s]:%u: %s%s%.*s", s->host, s->ip, s->port, words,
                   said.len > 0 ? ": " : "", (int)said.len, said.at);
    atomic_fetch_add(&s->shard->stats.dial_failures, 1);
    dialer_failed(&s->dialer, failure, code, enhanced, code > 0 ? said : span_of(text));
}

void session_dial_failed(struct session *s, enum dial_failure failure, unsigned code,
                         const unsigned char enhanced[3], const char *words, struct span said)
{
    session_note_failure(s, failure, code, enhanced, words, said);
    session_dial_on(s);
}

struct session *session_dial(struct pool *pool, struct job *job)
{
    struct session *s = mem_new(sizeof *s);
    s->kind           = SESSION_KIND;
    s->shard          = pool->shard;
    s->pool           = pool;
    s->job            = job;
    s->state          = SESSION_LOOKING_UP;
    s->heard_ms       = s->shard->now_ms;
    (void)snprintf(s->tls_text, sizeof s->tls_text, "none");
    job->dials++;
    list_push(&pool->busy, &s->in_pool);
    list_push(&s->shard->sessions, &s->in_shard);
    atomic_fetch_add(&s->shard->stats.sessions, 1);
    dialer_init(&s->dialer, job->target, &s->shard->rng);
    session_dial_on(s);
    return s;
}

void session_on_addresses(struct session *s, const struct address_result *result)
{
    s->awaits_dns = false;
    if (s->state != SESSION_LOOKING_UP)
        return; /* it was cut off meanwhile */
    dialer_addresses(&s->dialer, result, s->shard->settings->allow_loopback);
    session_put_slow_last(s);
    session_dial_on(s);
}

/*
 * The host could not be greeted, or not secured as it must be: what it said decides how the next is
 * chosen, and what the sender will read.
 */
void session_host_failed(struct session *s)
{
    const struct smtp_failure *failure = smtp_client_failure(&s->smtp);
    const struct smtp_reply *reply     = &failure->reply;
    bool is_policy                     = failure->cause == SMTP_CAUSE_POLICY;
    unsigned char enhanced[3]          = {4, 4, 2};
    char words[128];
    if (failure->cause == SMTP_CAUSE_REPLY && reply->code != 0) {
        bool is_final = smtp_reply_class(reply) == 5;
        smtp_reply_status(reply, enhanced);
        session_dial_failed(s, is_final ? DIAL_REFUSED : DIAL_BUSY, (unsigned)reply->code, enhanced,
                            "refused", smtp_reply_text(reply));
        return;
    }
    if (is_policy)
        memcpy(enhanced, (unsigned char[]){4, 7, 10}, 3); /* ours to mend: the mail waits */
    if (failure->cause == SMTP_CAUSE_PROTOCOL)
        memcpy(enhanced, (unsigned char[]){4, 5, 0}, 3);
    (void)snprintf(words, sizeof words, "%s (%s)",
                   is_policy ? "what our configuration demands is not to be had"
                   : failure->cause == SMTP_CAUSE_PROTOCOL ? "the host does not speak SMTP as we do"
                                                           : "connection lost",
                   smtp_verb_text(failure->stage));
    session_dial_failed(s, DIAL_UNREACHABLE, 0, enhanced, words, smtp_reply_text(reply));
}
