/* SPDX-License-Identifier: MIT */
/* Every fact goes into the spool before the loop waits, so a killed process forgets at most what
 * one turn has seen. */
#include "mta/base/fault.h"
#include "mta/engine_inside.h"
#include "mta/mail/msgid.h"
#include "mta/mail/sender.h"

static const enum event event_of[OUTCOME_COUNT] = {
    [OUTCOME_DELIVERED]  = EVENT_DELIVERED,
    [OUTCOME_DEFERRED]   = EVENT_DEFERRED,
    [OUTCOME_FAILED]     = EVENT_FAILED,
    [OUTCOME_EXPIRED]    = EVENT_EXPIRED,
    [OUTCOME_SUPPRESSED] = EVENT_SUPPRESSED,
    [OUTCOME_CANCELLED]  = EVENT_CANCELLED,
    [OUTCOME_HELD]       = EVENT_HELD,
    [OUTCOME_RELEASED]   = EVENT_RELEASED,
};

/* The return path that this recipient's mail has. */
static void log_sender(struct engine *e, const struct message *m, const struct recipient *r)
{
    struct envelope_rcpt rcpt = recipient_envelope(r);
    struct buf sender         = {0};
    (void)sender_write(&m->envelope, &rcpt, e->tokens, &sender);
    event_text(&e->log, "from", buf_span(&sender));
    buf_release(&sender);
}

static void log_message(struct engine *e, const struct queue_fact *fact)
{
    char id[MSGID_TEXT_BYTES];
    const struct message *m = fact->message;
    event_text(&e->log, "id", span_of(msgid_text(m->id, id)));
    if (envelope_is_individual(&m->envelope))
        log_sender(e, m, fact->rcpt);
    else
        event_text(&e->log, "from", span_of(m->envelope.sender));
    event_text(&e->log, "flow", span_of(message_flow(m)));
}

static void log_attempt(struct engine *e, const struct attempt *attempt)
{
    if (attempt == NULL)
        return;
    if (attempt->code > 0)
        event_number(&e->log, "code", attempt->code);
    event_status(&e->log, "enhanced", attempt->enhanced);
    event_text(&e->log, "text", span_of(attempt->text));
    event_text(&e->log, "mx", span_of(attempt->mx));
}

static void log_rcpt(struct engine *e, enum event event, const struct queue_fact *fact)
{
    event_begin(&e->log, event, e->wall_ms);
    log_message(e, fact);
    event_text(&e->log, "to", span_of(fact->rcpt->address));
    event_text(&e->log, "site", span_of(fact->site));
    event_text(&e->log, "operator", span_of(fact->operator_name));
    log_attempt(e, fact->attempt);
    event_text(&e->log, "ip", span_of(fact->ip));
    event_text(&e->log, "source", span_of(fact->source));
    event_text(&e->log, "tls", span_of(fact->tls));
    event_number(&e->log, "attempt", fact->rcpt->attempts);
    event_number(&e->log, "delay_ms", fact->delay_ms);
    event_number(&e->log, "size", content_bytes(fact->message->content));
    if (fact->outcome == OUTCOME_DEFERRED)
        event_time(&e->log, "next", e->wall_ms + fact->next_in_ms);
    event_end(&e->log);
}

static void note_rcpt(struct engine *e, const struct queue_fact *fact)
{
    static const struct attempt nothing = {.text = "", .mx = ""};
    const struct recipient *rcpt        = fact->rcpt;
    const struct attempt *last          = rcpt->last != NULL ? &rcpt->last->attempt : &nothing;
    spool_note(e->spool, fact->message->id, fact->rcpt_index, fact->state, rcpt->attempts,
               e->wall_ms + fact->next_in_ms, last);
    must(fact->outcome < OUTCOME_COUNT && fact->outcome != OUTCOME_NONE);
    log_rcpt(e, event_of[fact->outcome], fact);
}

static void log_site(struct engine *e, enum event event, const struct queue_fact *fact)
{
    event_begin(&e->log, event, e->wall_ms);
    event_text(&e->log, "site", span_of(fact->site));
    event_text(&e->log, "operator", span_of(fact->operator_name));
    log_attempt(e, fact->attempt);
    if (event == EVENT_SITE_BACKOFF)
        event_time(&e->log, "next", e->wall_ms + fact->next_in_ms);
    if (event == EVENT_LIMIT_CHANGED)
        event_number(&e->log, "window", fact->window);
    event_end(&e->log);
}

static void take_fact(struct engine *e, const struct queue_fact *fact)
{
    switch (fact->kind) {
    case FACT_RCPT:
        note_rcpt(e, fact);
        break;
    case FACT_DOUBT:
        log_rcpt(e, EVENT_DUPLICATE_POSSIBLE, fact);
        break;
    case FACT_SITE_BACKOFF:
        log_site(e, EVENT_SITE_BACKOFF, fact);
        break;
    case FACT_SITE_RECOVERED:
        log_site(e, EVENT_SITE_RECOVERED, fact);
        break;
    case FACT_LIMIT_CHANGED:
        log_site(e, EVENT_LIMIT_CHANGED, fact);
        break;
    case FACT_REPORT_DUE:
        reports_on_due(e->reports, fact->message, e->now_ms, e->wall_ms);
        break;
    case FACT_DELAY_DUE:
        reports_on_delay_due(e->reports, fact->message, e->now_ms, e->wall_ms);
        break;
    case FACT_MESSAGE_DONE:
        content_release(fact->message->content);
        fact->message->content = NULL;
        break;
    }
}

void engine_take_facts(struct engine *e)
{
    struct queue_fact fact;
    while (queue_next_fact(e->queue, &fact))
        take_fact(e, &fact);
}

void engine_log_job(struct engine *e, const struct job *job)
{
    if (!job->lost_tls)
        return;
    event_begin(&e->log, EVENT_TLS_LOST, e->wall_ms);
    event_text(&e->log, "site", span_of(job->target->name));
    event_text(&e->log, "mx", span_of(job->host));
    event_text(&e->log, "ip", span_of(job->ip));
    event_text(&e->log, "text",
               span_of("it had TLS before, and offers none now: what it gets goes in clear"));
    event_end(&e->log);
}

void engine_warn(struct engine *e, enum event event, const char *sentence)
{
    event_begin(&e->log, event, e->wall_ms);
    event_text(&e->log, "text", span_of(sentence));
    event_end(&e->log);
}
