/* SPDX-License-Identifier: MIT */
/*
 * Two halves share one machine.  'phase', and the steps of the transactions in flight, are what may
 * be sent next; 'owed' is the queue of replies
 * still to come.  Every command written pushes an entry, every complete reply pops one and runs the
 * handler of its verb, and the handler returns the phase that follows.  So pipelining is not a
 * second machine: it only lets the pump run further ahead.
 */
#include "mta/base/fault.h"
#include "mta/smtp/client_parts.h"
#include <string.h>

/* Which phase may follow which; the picture in the docs is printed from this table. */
#define TO(phase) (1U << SMTP_PHASE_##phase)
static const unsigned may_follow[SMTP_PHASES] = {
    [SMTP_PHASE_HELLO]    = TO(TLS) | TO(AUTH) | TO(READY) | TO(QUITTING) | TO(DONE),
    [SMTP_PHASE_TLS]      = TO(HELLO) | TO(DONE),
    [SMTP_PHASE_AUTH]     = TO(READY) | TO(QUITTING) | TO(DONE),
    [SMTP_PHASE_READY]    = TO(QUITTING) | TO(DONE),
    [SMTP_PHASE_QUITTING] = TO(DONE),
};
#undef TO

void client_enter(struct smtp_client *c, enum smtp_phase next)
{
    must(next == c->phase || (may_follow[c->phase] & 1U << next) != 0);
    c->phase = next;
    if (next == SMTP_PHASE_DONE) {
        c->owed_count = 0;
        client_drop_output(c);
        client_doom_all_behind(c);
        if (c->flight_count > 0)
            client_oldest(c)->step = SMTP_STEP_OVER; /* whoever ended it has settled it */
        client_retire(c);
    }
}

static void note_failure(struct smtp_client *c, enum smtp_cause cause, enum smtp_verb stage,
                         const struct smtp_reply *reply)
{
    struct smtp_failure *f = &c->failure;
    if (f->cause != SMTP_CAUSE_REPLY || f->reply.code != 0)
        return; /* the first one is why */
    f->cause = cause;
    f->stage = stage;
    if (reply != NULL)
        f->reply = *reply;
}

enum smtp_phase client_fail(struct smtp_client *c, enum smtp_cause cause, enum smtp_verb stage,
                            const struct smtp_reply *reply)
{
    note_failure(c, cause, stage, reply);
    bool in_step = cause == SMTP_CAUSE_REPLY || cause == SMTP_CAUSE_POLICY;
    if (!in_step || c->owed_count > 0)
        return SMTP_PHASE_DONE;
    return client_leave(c);
}

enum smtp_phase client_leave(struct smtp_client *c)
{
    c->is_leaving = true;
    client_command(c, SMTP_QUIT, "QUIT");
    return SMTP_PHASE_QUITTING;
}

enum smtp_phase client_break(struct smtp_client *c, enum smtp_verb stage)
{
    if (c->flight_count > 0) {
        bool may_have_it = client_oldest(c)->step == SMTP_STEP_IN_DOUBT;
        client_settle(c, may_have_it ? SMTP_CAUSE_IN_DOUBT : SMTP_CAUSE_PROTOCOL, stage);
    }
    return client_fail(c, SMTP_CAUSE_PROTOCOL, stage, &c->reader.reply);
}

/* 421: the peer closes, whatever it was asked. */
static enum smtp_phase peer_closes(struct smtp_client *c, enum smtp_verb stage)
{
    note_failure(c, SMTP_CAUSE_REPLY, stage, &c->reader.reply);
    if (c->flight_count == 0)
        return SMTP_PHASE_DONE;
    if (client_oldest(c)->step == SMTP_STEP_IN_DOUBT && c->config->is_lmtp) {
        client_tell_next_accepted(c);
        client_settle(c, SMTP_CAUSE_IN_DOUBT, stage);
    } else {
        client_settle(c, SMTP_CAUSE_REPLY, stage);
    }
    return SMTP_PHASE_DONE;
}

static enum smtp_phase after_quit(struct smtp_client *c, const struct smtp_reply *reply)
{
    (void)c, (void)reply;
    return SMTP_PHASE_DONE;
}

static client_reply_fn *const after[SMTP_VERB_COUNT] = {
    [SMTP_BANNER]   = client_after_banner,
    [SMTP_EHLO]     = client_after_ehlo,
    [SMTP_HELO]     = client_after_helo,
    [SMTP_STARTTLS] = client_after_starttls,
    [SMTP_AUTH]     = client_after_auth,
    [SMTP_MAIL]     = client_after_mail,
    [SMTP_RCPT]     = client_after_rcpt,
    [SMTP_DATA]     = client_after_data,
    [SMTP_DOT]      = client_after_dot,
    [SMTP_RSET]     = client_after_rset,
    [SMTP_QUIT]     = after_quit,
};

/* A refusal fits every verb; else each has its own: a 250 to DATA is not a delivery. */
static bool fits(enum smtp_verb verb, int code)
{
    if (code / 100 >= 4 || verb == SMTP_QUIT)
        return true;
    switch (verb) {
    case SMTP_DATA:
        return code == 354;
    case SMTP_STARTTLS:
        return code == 220;
    case SMTP_AUTH:
        return code / 100 == 2 || code == 334;
    default:
        return code / 100 == 2;
    }
}

static enum smtp_phase phase_after_reply(struct smtp_client *c)
{
    bool is_unasked          = c->owed_count == 0;
    enum smtp_verb verb      = client_owed_verb(c, SMTP_QUIT);
    struct smtp_reply *reply = &c->reader.reply;
    if (reply->code == 421 && (verb != SMTP_QUIT || is_unasked))
        return peer_closes(c, verb);
    if (is_unasked || !fits(verb, reply->code))
        return client_break(c, verb);
    client_owed_pop(c);
    return after[verb](c, reply);
}

static void on_line(struct smtp_client *c, enum reply_line line)
{
    enum smtp_verb verb = client_owed_verb(c, SMTP_QUIT);
    if (line == REPLY_LINE_MORE)
        return;
    if (line == REPLY_LINE_BAD) {
        client_enter(c, client_break(c, verb));
        return;
    }
    if (verb == SMTP_EHLO)
        client_hello_line(c, reply_reader_line(&c->reader));
    if (line == REPLY_LINE_LAST) {
        client_enter(c, phase_after_reply(c));
        client_pump(c);
    }
}

void smtp_client_init(struct smtp_client *c, const struct smtp_client_config *config)
{
    memset(c, 0, sizeof *c);
    c->config       = config;
    c->is_secured   = config->is_secured;
    c->chunk_window = config->chunk_window;
    must(config->chunk_window <= SMTP_FLIGHT_MAX);
    reply_reader_init(&c->reader);
    client_owe(c, SMTP_BANNER, 1);
}

static bool takes_bytes(const struct smtp_client *c)
{
    return c->phase != SMTP_PHASE_TLS && c->phase != SMTP_PHASE_DONE && !client_has_result(c);
}

size_t smtp_client_feed(struct smtp_client *c, struct span bytes)
{
    size_t taken = 0, used;
    while (taken < bytes.len && takes_bytes(c)) {
        enum reply_line line = reply_reader_feed(&c->reader, span_skip(bytes, taken), &used);
        taken += used;
        on_line(c, line);
    }
    /* Behind the 220 nothing may come in clear: somebody put it there (security.md A6). */
    if (taken < bytes.len && c->phase == SMTP_PHASE_TLS)
        client_enter(c, client_break(c, SMTP_STARTTLS));
    return c->phase == SMTP_PHASE_DONE && !client_has_result(c) ? bytes.len : taken;
}

void smtp_client_lost(struct smtp_client *c)
{
    enum smtp_verb none  = c->phase == SMTP_PHASE_TLS ? SMTP_STARTTLS : SMTP_MAIL;
    enum smtp_verb stage = client_owed_verb(c, none);
    if (c->flight_count > 0 && client_oldest(c)->step != SMTP_STEP_OVER)
        client_settle(c, client_cause_if_lost(client_oldest(c)), stage);
    if (c->phase != SMTP_PHASE_QUITTING && c->phase != SMTP_PHASE_DONE)
        note_failure(c, SMTP_CAUSE_LOST, stage, NULL);
    client_enter(c, SMTP_PHASE_DONE);
}

void smtp_client_secured(struct smtp_client *c)
{
    must(c->phase == SMTP_PHASE_TLS);
    c->is_secured = true;
    reply_reader_init(&c->reader);
    client_enter(c, SMTP_PHASE_HELLO);
    client_say_hello(c);
}

void smtp_client_quit(struct smtp_client *c)
{
    must(smtp_client_wants(c) & SMTP_WANT_JOB);
    client_command(c, SMTP_QUIT, "QUIT");
    client_enter(c, SMTP_PHASE_QUITTING);
}

void client_pump(struct smtp_client *c)
{
    if (c->flight_count > 0) {
        client_pump_body(c);
        client_pump_envelope(c);
    }
    client_retire(c);
}

/* Nothing is left to say, and nothing worth hearing. */
static bool is_finished(const struct smtp_client *c)
{
    bool has_left = c->phase == SMTP_PHASE_QUITTING && c->is_leaving && c->out_len == 0;
    return c->phase == SMTP_PHASE_DONE || has_left;
}

unsigned smtp_client_wants(const struct smtp_client *c)
{
    bool has_result = client_has_result(c);
    unsigned wants  = has_result ? SMTP_WANT_RESULT : 0U;
    if (is_finished(c))
        return has_result ? wants : SMTP_WANT_CLOSE;
    if (client_has_output(c))
        wants |= SMTP_WANT_WRITE;
    if (c->body.state == SMTP_BODY_WANTED)
        wants |= SMTP_WANT_BODY;
    if (c->phase == SMTP_PHASE_TLS)
        return wants | SMTP_WANT_TLS;
    if (has_result)
        return wants;
    bool is_idle = c->phase == SMTP_PHASE_READY && c->flight_count == 0;
    return wants | SMTP_WANT_READ | (is_idle ? SMTP_WANT_JOB : 0U) |
           (client_takes_next(c) ? SMTP_WANT_NEXT : 0U);
}

/* The oldest transaction is who waits. */
static enum smtp_timer timer_of(const struct smtp_client *c, const struct smtp_transaction *t)
{
    enum smtp_verb owed = client_owed_verb(c, SMTP_MAIL);
    if (t->is_behind && (owed == SMTP_MAIL || owed == SMTP_RSET))
        return SMTP_TIMER_BEHIND;
    switch (t->step) {
    case SMTP_STEP_AWAIT_354:
        return owed == SMTP_DATA ? SMTP_TIMER_DATA : SMTP_TIMER_COMMAND;
    case SMTP_STEP_BODY:
        return SMTP_TIMER_BLOCK;
    case SMTP_STEP_IN_DOUBT:
        return owed == SMTP_DOT ? SMTP_TIMER_END_OF_DATA : SMTP_TIMER_COMMAND;
    default:
        return SMTP_TIMER_COMMAND;
    }
}

enum smtp_timer smtp_client_timer(const struct smtp_client *c)
{
    if (c->phase == SMTP_PHASE_HELLO && client_owed_verb(c, SMTP_EHLO) == SMTP_BANNER)
        return SMTP_TIMER_GREETING;
    if (c->phase != SMTP_PHASE_READY)
        return SMTP_TIMER_COMMAND;
    return c->flight_count == 0 ? SMTP_TIMER_IDLE : timer_of(c, &c->flight[c->flight_head]);
}

bool smtp_client_awaits_chunk(const struct smtp_client *c)
{
    const struct smtp_transaction *t = &c->flight[c->flight_head];
    return c->flight_count > 0 && t->is_chunked && t->step == SMTP_STEP_IN_DOUBT;
}

const struct smtp_failure *smtp_client_failure(const struct smtp_client *c)
{
    return &c->failure;
}

#define SMTP_VERB_TEXT(id, text) [SMTP_##id] = (text),
static const char *const verb_texts[SMTP_VERB_COUNT] = {SMTP_VERBS(SMTP_VERB_TEXT)};
#undef SMTP_VERB_TEXT

const char *smtp_verb_text(enum smtp_verb verb)
{
    must(verb < SMTP_VERB_COUNT);
    return verb_texts[verb];
}
