/* SPDX-License-Identifier: MIT */
/*
 * Who is told what.  Every recipient of a job starts open, is closed by the one result that is told
 * about it, and the transaction cannot end before all are closed.  Two ranges suffice: feed() takes
 * nothing while one is being told, so only the end of the session can ask for a second.
 */
#include "mta/base/fault.h"
#include "mta/smtp/client_parts.h"

enum { WORD_BITS = 64 };

static const struct smtp_reply no_reply;

bool rcpt_set_has(const struct smtp_rcpt_set *set, size_t rcpt)
{
    return (set->words[rcpt / WORD_BITS] >> rcpt % WORD_BITS & 1) != 0;
}

void rcpt_set_add(struct smtp_rcpt_set *set, size_t rcpt)
{
    set->words[rcpt / WORD_BITS] |= UINT64_C(1) << rcpt % WORD_BITS;
}

static void rcpt_set_remove(struct smtp_rcpt_set *set, size_t rcpt)
{
    set->words[rcpt / WORD_BITS] &= ~(UINT64_C(1) << rcpt % WORD_BITS);
}

/* Moves to the next open recipient; a range without one is over, and 'last' follows. */
static void seek(struct smtp_client *c)
{
    struct smtp_telling *t            = &c->telling;
    const struct smtp_transaction *of = client_oldest(c);
    for (;;) {
        while (t->next < t->end && !rcpt_set_has(&of->open, t->next))
            t->next++;
        if (t->next < t->end || c->last.end == 0)
            return;
        *t          = c->last;
        c->last.end = 0;
    }
}

bool client_has_result(const struct smtp_client *c)
{
    return c->telling.next < c->telling.end;
}

static bool needs_reply(enum smtp_cause cause, enum smtp_verb stage)
{
    return cause == SMTP_CAUSE_REPLY || cause == SMTP_CAUSE_PROTOCOL ||
           (cause == SMTP_CAUSE_LIMIT && stage == SMTP_RCPT);
}

void client_tell(struct smtp_client *c, size_t first, size_t end, enum smtp_cause cause,
                 enum smtp_verb stage)
{
    struct smtp_telling t = {
        .next      = (unsigned short)first,
        .end       = (unsigned short)end,
        .cause     = (unsigned char)cause,
        .stage     = (unsigned char)stage,
        .has_reply = needs_reply(cause, stage),
    };
    if (first == end)
        return;
    if (client_has_result(c)) {
        must(c->last.end == 0);
        c->last = t;
    } else {
        c->telling = t;
    }
    seek(c);
}

void client_settle(struct smtp_client *c, enum smtp_cause cause, enum smtp_verb stage)
{
    struct smtp_transaction *t = client_oldest(c);
    if (t->open_count > 0)
        client_tell(c, 0, t->job->rcpt_count, cause, stage);
}

bool smtp_client_result(struct smtp_client *c, struct smtp_result *r)
{
    struct smtp_telling *t = &c->telling;
    if (!client_has_result(c))
        return false;
    struct smtp_transaction *of = client_oldest(c);
    r->job                      = of->job;
    r->is_behind                = of->is_behind;
    r->rcpt                     = t->next;
    r->cause                    = (enum smtp_cause)t->cause;
    r->stage                    = (enum smtp_verb)t->stage;
    r->reply                    = t->has_reply ? &c->reader.reply : &no_reply;
    r->dsn_passed               = (c->offered & SMTP_EXT_DSN) != 0;
    rcpt_set_remove(&of->open, t->next);
    of->open_count--;
    seek(c);
    client_retire(c);
    return true;
}
