/* SPDX-License-Identifier: MIT */
/*
 * One message: MAIL, RCPT, DATA, the body, and the replies to them.  A recipient is told as soon as
 * it is decided: by the reply to its RCPT if that is a refusal, by MAIL's or DATA's if those are,
 * else by the reply to the end of data.
 */
#include "mta/base/fault.h"
#include "mta/mail/escape.h"
#include "mta/smtp/client_parts.h"
#include <string.h>

static bool is_ascii(const char *text)
{
    return text_is_ascii(span_of(text));
}

static bool job_needs_utf8(const struct smtp_job *job)
{
    bool ascii = !job->envelope.needs_utf8 && is_ascii(job->envelope.sender);
    for (size_t i = 0; ascii && i < job->rcpt_count; i++)
        ascii = is_ascii(job->rcpts[i].address) && is_ascii(job->rcpts[i].orcpt);
    return !ascii;
}

static void begin(struct smtp_client *c, const struct smtp_job *job)
{
    struct smtp_transaction *t = &c->transaction;
    memset(t, 0, sizeof *t);
    t->job        = job;
    t->is_utf8    = job_needs_utf8(job);
    t->open_count = (unsigned short)job->rcpt_count;
    for (size_t i = 0; i < job->rcpt_count; i++)
        rcpt_set_add(&t->open, i);
    bool is_limited = c->rcpt_max > 0 && c->rcpt_max < job->rcpt_count;
    t->rcpt_end     = (unsigned short)(is_limited ? c->rcpt_max : job->rcpt_count);
}

void smtp_client_send(struct smtp_client *c, const struct smtp_job *job)
{
    must(smtp_client_wants(c) & SMTP_WANT_JOB);
    must(job->rcpt_count > 0 && job->rcpt_count <= SMTP_JOB_RCPT_MAX);
    begin(c, job);
    if (c->size_max > 0 && job->size_bytes > c->size_max) {
        client_settle(c, SMTP_CAUSE_TOO_LARGE, SMTP_MAIL);
    } else if (c->transaction.is_utf8 && (c->offered & SMTP_EXT_SMTPUTF8) == 0) {
        client_settle(c, SMTP_CAUSE_NEEDS_UTF8, SMTP_MAIL);
    } else {
        client_tell(c, c->transaction.rcpt_end, job->rcpt_count, SMTP_CAUSE_LIMIT, SMTP_MAIL);
        client_enter(c, SMTP_PHASE_ENVELOPE);
        client_pump(c);
    }
}

/* The transaction is over; all its recipients have been told, or are being told. */
static enum smtp_phase finish(struct smtp_client *c, bool reached_end_of_data)
{
    c->needs_rset = !reached_end_of_data;
    if (c->mail_max == 0 || c->mails_sent < c->mail_max)
        return SMTP_PHASE_IDLE;
    return client_leave(c);
}

static void next_envelope_command(struct smtp_client *c)
{
    struct smtp_transaction *t = &c->transaction;
    if (c->needs_rset) {
        c->needs_rset = false;
        client_command(c, SMTP_RSET, "RSET");
    } else if (!t->mail_was_sent) {
        t->mail_was_sent = true;
        c->mails_sent++;
        client_command_mail(c);
    } else if (t->rcpts_sent < t->rcpt_end) {
        client_command_rcpt(c, &t->job->rcpts[t->rcpts_sent++]);
    } else {
        client_command(c, SMTP_DATA, "DATA");
        client_enter(c, SMTP_PHASE_AWAIT_354);
    }
}

/* Nobody can be reached any more, so there is nothing to say behind it. */
static bool is_void(const struct smtp_transaction *t)
{
    return t->mail_was_refused || (t->rcpts_replied == t->rcpt_end && t->accepted_count == 0);
}

/* The whole envelope as one group, as far as there is room; or one command at a time. */
void client_pump_envelope(struct smtp_client *c)
{
    bool is_pipelined = (c->offered & SMTP_EXT_PIPELINING) != 0;
    while (c->phase == SMTP_PHASE_ENVELOPE && !is_void(&c->transaction) &&
           (is_pipelined || c->owed_count == 0) && client_has_room(c))
        next_envelope_command(c);
    if (c->phase == SMTP_PHASE_ENVELOPE && is_void(&c->transaction) && c->owed_count == 0)
        client_enter(c, finish(c, false));
}

enum smtp_phase client_after_rset(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (smtp_reply_class(reply) == 2)
        return c->phase;
    client_settle(c, SMTP_CAUSE_LOST, SMTP_RSET);
    return client_fail(c, SMTP_CAUSE_REPLY, SMTP_RSET, reply);
}

enum smtp_phase client_after_mail(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (smtp_reply_class(reply) != 2) {
        c->transaction.mail_was_refused = true;
        client_settle(c, SMTP_CAUSE_REPLY, SMTP_MAIL);
    }
    return c->phase; /* pipelined: the replies to RCPT and DATA are on their way */
}

/*
 * RFC 5321 4.5.3.1.10: too many recipients is 452, from old servers 552; it is this transaction
 * that is full, so the recipient belongs into the next.  With a status that speaks of the mailbox
 * (X.1.Y, X.2.Y) it is the recipient's own.
 */
static bool is_limit(const struct smtp_transaction *t, const struct smtp_reply *reply)
{
    bool is_own = reply->enhanced[0] != 0 && (reply->enhanced[1] == 1 || reply->enhanced[1] == 2);
    return (reply->code == 452 || reply->code == 552) && t->accepted_count > 0 && !is_own;
}

enum smtp_phase client_after_rcpt(struct smtp_client *c, const struct smtp_reply *reply)
{
    struct smtp_transaction *t = &c->transaction;
    unsigned rcpt              = t->rcpts_replied++;
    if (t->mail_was_refused)
        return c->phase; /* without a sender nobody is accepted, whatever the peer says */
    if (smtp_reply_class(reply) == 2) {
        rcpt_set_add(&t->accepted, rcpt);
        t->accepted_count++;
        return c->phase;
    }
    client_tell(c, rcpt, rcpt + 1, is_limit(t, reply) ? SMTP_CAUSE_LIMIT : SMTP_CAUSE_REPLY,
                SMTP_RCPT);
    return c->phase; /* a refused recipient is a result, not a dead end */
}

/* RFC 2920 3.1: nobody accepted, yet 354: nothing but the dot.  RFC 2033 4.2 forbids it in LMTP. */
static enum smtp_phase lone_dot(struct smtp_client *c)
{
    static const struct span dot = SPAN(".\r\n");
    if (c->config->is_lmtp)
        return client_break(c, SMTP_DATA);
    client_put(c, dot);
    client_owe(c, SMTP_DOT, 1);
    return SMTP_PHASE_IN_DOUBT;
}

enum smtp_phase client_after_data(struct smtp_client *c, const struct smtp_reply *reply)
{
    unsigned accepted_count = c->transaction.accepted_count;
    if (reply->code != 354) {
        client_settle(c, SMTP_CAUSE_REPLY, SMTP_DATA);
        return finish(c, false);
    }
    if (accepted_count == 0)
        return lone_dot(c);
    client_owe(c, SMTP_DOT, c->config->is_lmtp ? accepted_count : 1);
    c->body_is_wanted = true;
    c->body_is_last   = false;
    return SMTP_PHASE_BODY;
}

/* Answered before the end of data was sent: never in step again, and a success cannot be. */
static enum smtp_phase after_early_reply(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (smtp_reply_class(reply) == 2)
        return client_break(c, SMTP_DOT);
    client_settle(c, SMTP_CAUSE_REPLY, SMTP_DOT);
    (void)client_fail(c, SMTP_CAUSE_REPLY, SMTP_DOT, reply);
    return SMTP_PHASE_DONE;
}

/* LMTP: the next accepted recipient's own reply (RFC 2033 4.2). */
static void tell_next_accepted(struct smtp_client *c)
{
    struct smtp_transaction *t = &c->transaction;
    while (t->dot_next < t->rcpt_end && !rcpt_set_has(&t->accepted, t->dot_next))
        t->dot_next++;
    must(t->dot_next < t->rcpt_end);
    client_tell(c, t->dot_next, t->dot_next + 1U, SMTP_CAUSE_REPLY, SMTP_DOT);
    t->dot_next++;
}

enum smtp_phase client_after_dot(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (c->phase == SMTP_PHASE_BODY)
        return after_early_reply(c, reply);
    if (!c->config->is_lmtp)
        client_settle(c, SMTP_CAUSE_REPLY, SMTP_DOT);
    else
        tell_next_accepted(c);
    return client_owed_verb(c, SMTP_QUIT) == SMTP_DOT ? SMTP_PHASE_IN_DOUBT : finish(c, true);
}

void smtp_client_body(struct smtp_client *c, struct span piece, bool is_last)
{
    must(smtp_client_wants(c) & SMTP_WANT_BODY);
    c->body           = piece;
    c->body_is_last   = is_last;
    c->body_is_wanted = false;
    client_pump(c); /* an empty piece is no progress, but no error */
}

void smtp_client_abandon(struct smtp_client *c)
{
    if (c->phase == SMTP_PHASE_BODY)
        smtp_client_lost(c);
}
