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

static struct smtp_transaction *begin(struct smtp_client *c, const struct smtp_job *job)
{
    bool is_behind = c->flight_count > 0;
    c->flight_count++;
    struct smtp_transaction *t = client_newest(c);
    memset(t, 0, sizeof *t);
    t->job        = job;
    t->is_behind  = is_behind;
    t->is_utf8    = job_needs_utf8(job);
    t->is_chunked = c->chunk_window > 0 && (c->offered & SMTP_EXT_CHUNKING) != 0 &&
                    job->size_bytes > 0 && !c->config->is_lmtp;
    t->open_count = (unsigned short)job->rcpt_count;
    for (size_t i = 0; i < job->rcpt_count; i++)
        rcpt_set_add(&t->open, i);
    bool is_limited = c->rcpt_max > 0 && c->rcpt_max < job->rcpt_count;
    t->rcpt_end     = (unsigned short)(is_limited ? c->rcpt_max : job->rcpt_count);
    return t;
}

/* Nothing of it is sent; told when those before it are. */
static void doom(struct smtp_client *c, struct smtp_transaction *t, enum smtp_cause cause)
{
    t->is_doomed  = true;
    t->doom_cause = (unsigned char)cause;
    t->doom_stage = SMTP_MAIL;
    t->step       = SMTP_STEP_OVER;
    if (!t->is_behind)
        client_settle(c, cause, SMTP_MAIL);
}

void smtp_client_send(struct smtp_client *c, const struct smtp_job *job)
{
    must(smtp_client_wants(c) & (SMTP_WANT_JOB | SMTP_WANT_NEXT));
    must(job->rcpt_count > 0 && job->rcpt_count <= SMTP_JOB_RCPT_MAX);
    struct smtp_transaction *t = begin(c, job);
    if (c->size_max > 0 && job->size_bytes > c->size_max) {
        doom(c, t, SMTP_CAUSE_TOO_LARGE);
    } else if (t->is_utf8 && (c->offered & SMTP_EXT_SMTPUTF8) == 0) {
        doom(c, t, SMTP_CAUSE_NEEDS_UTF8);
    } else {
        if (!t->is_behind)
            client_tell(c, t->rcpt_end, job->rcpt_count, SMTP_CAUSE_LIMIT, SMTP_MAIL);
        c->needs_rset = c->needs_rset || (t->is_behind && t->is_chunked);
        client_pump(c);
    }
}

/* The oldest transaction is over; all its recipients have been told, or are being told. */
static enum smtp_phase finish(struct smtp_client *c, bool reached_end_of_data)
{
    client_step(client_oldest(c), SMTP_STEP_OVER);
    if (c->flight_count > 1)
        return c->phase; /* what is behind it was sent as it had to be */
    c->needs_rset = !reached_end_of_data;
    if (c->mail_max == 0 || c->mails_sent < c->mail_max)
        return c->phase;
    return client_leave(c);
}

/* The announcement of the body closes the envelope. */
static void announce_body(struct smtp_client *c, struct smtp_transaction *t)
{
    if (!t->is_chunked) {
        client_command(c, SMTP_DATA, "DATA");
        client_step(t, SMTP_STEP_AWAIT_354);
        return;
    }
    client_command(c, SMTP_DOT, "BDAT %llu LAST", (unsigned long long)t->job->size_bytes);
    client_step(t, SMTP_STEP_BODY);
    client_want_body(c);
}

static void next_envelope_command(struct smtp_client *c, struct smtp_transaction *t)
{
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
        announce_body(c, t);
    }
}

/* Nobody can be reached any more, so there is nothing to say behind it. */
static bool is_void(const struct smtp_transaction *t)
{
    return t->mail_was_refused || (t->rcpts_replied == t->rcpt_end && t->accepted_count == 0);
}

/* Only the announcement of the body is left to say. */
static bool is_last_command(const struct smtp_client *c, const struct smtp_transaction *t)
{
    return !c->needs_rset && t->mail_was_sent && t->rcpts_sent == t->rcpt_end;
}

/* An announced chunk must follow its BDAT at once, so that waits for the body before it; and a
 * large one for those who are to get it. */
static bool holds_chunk_back(const struct smtp_client *c, const struct smtp_transaction *t)
{
    bool is_large = t->job->size_bytes > SMTP_CHUNK_AHEAD_BYTES;
    return t->is_chunked && is_last_command(c, t) &&
           (c->body.state != SMTP_BODY_NONE || (is_large && t->rcpts_replied < t->rcpt_end));
}

/* The whole envelope as one group, as far as there is room; or one command at a time. */
void client_pump_envelope(struct smtp_client *c)
{
    bool is_pipelined          = (c->offered & SMTP_EXT_PIPELINING) != 0;
    struct smtp_transaction *t = client_newest(c);
    while (t->step == SMTP_STEP_ENVELOPE && !is_void(t) && (is_pipelined || c->owed_count == 0) &&
           client_has_room(c) && !holds_chunk_back(c, t))
        next_envelope_command(c, t);
    if (t->step == SMTP_STEP_ENVELOPE && is_void(t) && c->owed_count == 0)
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
        client_oldest(c)->mail_was_refused = true;
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
    struct smtp_transaction *t = client_oldest(c);
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
    client_step(client_oldest(c), SMTP_STEP_IN_DOUBT);
    return c->phase;
}

enum smtp_phase client_after_data(struct smtp_client *c, const struct smtp_reply *reply)
{
    unsigned accepted_count = client_oldest(c)->accepted_count;
    if (reply->code != 354) {
        client_settle(c, SMTP_CAUSE_REPLY, SMTP_DATA);
        return finish(c, false);
    }
    if (accepted_count == 0)
        return lone_dot(c);
    client_owe(c, SMTP_DOT, c->config->is_lmtp ? accepted_count : 1);
    client_step(client_oldest(c), SMTP_STEP_BODY);
    client_want_body(c);
    return c->phase;
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
void client_tell_next_accepted(struct smtp_client *c)
{
    struct smtp_transaction *t = client_oldest(c);
    while (t->dot_next < t->rcpt_end && !rcpt_set_has(&t->accepted, t->dot_next))
        t->dot_next++;
    must(t->dot_next < t->rcpt_end);
    client_tell(c, t->dot_next, t->dot_next + 1U, SMTP_CAUSE_REPLY, SMTP_DOT);
    t->dot_next++;
}

/* "Unknown command", where recipients were taken: behind a proxy that offers what it lacks. */
static bool is_unknown_bdat(const struct smtp_transaction *t, const struct smtp_reply *reply)
{
    return t->is_chunked && t->accepted_count > 0 && reply->code >= 500 && reply->code <= 504;
}

static enum smtp_phase give_up_bdat(struct smtp_client *c, const struct smtp_reply *reply)
{
    client_settle(c, SMTP_CAUSE_NO_BDAT, SMTP_DOT);
    (void)client_fail(c, SMTP_CAUSE_REPLY, SMTP_DOT, reply);
    return SMTP_PHASE_DONE;
}

/* RFC 3030 2: after a BDAT that failed, nothing but RSET; and we ask for less from now on. */
static enum smtp_phase after_chunk(struct smtp_client *c, const struct smtp_reply *reply)
{
    bool is_taken = smtp_reply_class(reply) == 2;
    if (!is_taken && client_oldest(c)->accepted_count > 0)
        c->chunk_window = 1;
    client_settle(c, SMTP_CAUSE_REPLY, SMTP_DOT);
    return finish(c, is_taken);
}

enum smtp_phase client_after_dot(struct smtp_client *c, const struct smtp_reply *reply)
{
    struct smtp_transaction *t = client_oldest(c);
    if (is_unknown_bdat(t, reply))
        return give_up_bdat(c, reply);
    if (t->step == SMTP_STEP_BODY)
        return after_early_reply(c, reply);
    if (t->is_chunked)
        return after_chunk(c, reply);
    if (!c->config->is_lmtp) {
        client_settle(c, SMTP_CAUSE_REPLY, SMTP_DOT);
        return finish(c, true);
    }
    client_tell_next_accepted(c);
    return client_owed_verb(c, SMTP_QUIT) == SMTP_DOT ? c->phase : finish(c, true);
}

void smtp_client_abandon(struct smtp_client *c)
{
    if (c->body.state != SMTP_BODY_NONE)
        smtp_client_lost(c);
}
