/* SPDX-License-Identifier: MIT */
/*
 * The transactions in flight, oldest first.  Replies are for the oldest, commands of the newest; so
 * who is told what needs no index.  One that is over stays until its results are told, and only
 * then the next becomes the oldest.
 */
#include "mta/base/fault.h"
#include "mta/smtp/client_parts.h"

#define TO(step) (1U << SMTP_STEP_##step)
static const unsigned may_follow[SMTP_STEPS] = {
    [SMTP_STEP_ENVELOPE]  = TO(AWAIT_354) | TO(BODY) | TO(OVER),
    [SMTP_STEP_AWAIT_354] = TO(BODY) | TO(IN_DOUBT) | TO(OVER),
    [SMTP_STEP_BODY]      = TO(IN_DOUBT) | TO(OVER),
    [SMTP_STEP_IN_DOUBT]  = TO(OVER),
};
#undef TO

void client_step(struct smtp_transaction *t, enum smtp_step next)
{
    must(next == t->step || (may_follow[t->step] & 1U << next) != 0);
    t->step = next;
}

static struct smtp_transaction *at(struct smtp_client *c, unsigned place)
{
    return &c->flight[(c->flight_head + place) % SMTP_FLIGHT_MAX];
}

struct smtp_transaction *client_oldest(struct smtp_client *c)
{
    must(c->flight_count > 0);
    return at(c, 0);
}

struct smtp_transaction *client_newest(struct smtp_client *c)
{
    must(c->flight_count > 0);
    return at(c, c->flight_count - 1);
}

/* The whole body is given, so there is nothing of this one to say any more. */
static bool is_said(const struct smtp_client *c, const struct smtp_transaction *t)
{
    bool is_in_hand = c->body.state == SMTP_BODY_IN_HAND && c->body.is_last;
    return t->step == SMTP_STEP_IN_DOUBT || (t->step == SMTP_STEP_BODY && is_in_hand);
}

bool client_takes_next(const struct smtp_client *c)
{
    if (c->phase != SMTP_PHASE_READY || c->flight_count == 0 || c->config->is_one_by_one ||
        (c->offered & SMTP_EXT_PIPELINING) == 0 ||
        (c->mail_max > 0 && c->mails_sent >= c->mail_max))
        return false;
    const struct smtp_transaction *newest =
        &c->flight[(c->flight_head + c->flight_count - 1) % SMTP_FLIGHT_MAX];
    unsigned max = newest->is_chunked ? c->chunk_window : 2;
    return c->flight_count < max && is_said(c, newest);
}

enum smtp_cause client_cause_if_lost(const struct smtp_transaction *t)
{
    return t->step == SMTP_STEP_IN_DOUBT ? SMTP_CAUSE_IN_DOUBT : SMTP_CAUSE_LOST;
}

void client_doom_all_behind(struct smtp_client *c)
{
    for (unsigned i = 1; i < c->flight_count; i++) {
        struct smtp_transaction *t = at(c, i);
        if (t->is_doomed)
            continue;
        t->is_doomed  = true;
        t->doom_cause = (unsigned char)client_cause_if_lost(t);
        t->doom_stage = SMTP_MAIL;
        t->step       = SMTP_STEP_OVER;
    }
}

/* It is the oldest now: what was decided before its turn is told. */
static void begin_to_tell(struct smtp_client *c, struct smtp_transaction *t)
{
    if (t->is_doomed)
        client_settle(c, (enum smtp_cause)t->doom_cause, (enum smtp_verb)t->doom_stage);
    else
        client_tell(c, t->rcpt_end, t->job->rcpt_count, SMTP_CAUSE_LIMIT, SMTP_MAIL);
}

void client_retire(struct smtp_client *c)
{
    while (c->flight_count > 0 && at(c, 0)->step == SMTP_STEP_OVER && !client_has_result(c)) {
        c->flight_head = (c->flight_head + 1) % SMTP_FLIGHT_MAX;
        if (--c->flight_count > 0)
            begin_to_tell(c, at(c, 0));
    }
}
