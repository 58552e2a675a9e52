/* SPDX-License-Identifier: MIT */
/*
 * How recipients end and what the sender is told: facts, expiry, reports, and the end of a message.
 *
 * A failure report waits until nothing of its message moves any more, so that one report gathers
 * all that failed together; but not longer than QUEUE_REPORT_MS.
 */
#include "mta/base/fault.h"
#include "mta/queue/queue_inside.h"

/* --- facts --- */

struct fact *end_add_fact(struct queue *q, enum queue_fact_kind kind, struct message *m)
{
    struct fact *fact = fact_ring_add(&q->facts);
    fact->kind        = (uint8_t)kind;
    fact->message     = m;
    return fact;
}

void end_add_site_fact(struct queue *q, enum queue_fact_kind kind, const struct site *s,
                       uint64_t next_in_ms)
{
    struct fact *fact = end_add_fact(q, kind, NULL);
    fact->site        = s;
    fact->next_in_ms  = next_in_ms;
    fact->window      = site_window(s);
    if (s->last_failure != NULL)
        fact->note = attempt_note_hold(s->last_failure);
}

static void count_outcome(struct queue *q, enum outcome outcome)
{
    q->delivered += outcome == OUTCOME_DELIVERED;
    q->failed += outcome == OUTCOME_FAILED;
    q->expired += outcome == OUTCOME_EXPIRED;
    q->cancelled += outcome == OUTCOME_CANCELLED;
    q->deferrals += outcome == OUTCOME_DEFERRED;
}

static uint64_t age_ms(const struct queue *q, const struct message *m)
{
    uint64_t wall_ms = queue_wall_ms(q);
    return wall_ms > m->arrival_wall_ms ? wall_ms - m->arrival_wall_ms : 0;
}

void end_note(struct queue *q, struct message *m, struct recipient *r, const struct rcpt_news *news)
{
    q->owing -= m->owing;
    q->live -= m->live;
    recipient_set_state(m, r, news->state);
    q->owing += m->owing;
    q->live += m->live;
    if (news->note != NULL)
        recipient_set_last(r, news->note);
    count_outcome(q, news->outcome);

    struct fact *fact = end_add_fact(q, FACT_RCPT, m);
    fact->outcome     = (uint8_t)news->outcome;
    fact->state       = (uint8_t)news->state;
    fact->rcpt_index  = r->index;
    fact->is_relayed  = news->is_relayed;
    fact->next_in_ms  = news->next_in_ms;
    fact->delay_ms    = age_ms(q, m);
    fact->site        = news->site;
    fact->note        = r->last == NULL ? NULL : attempt_note_hold(r->last);
    fact->via         = news->via;
    if (fact->via != NULL)
        fact->via->refs++;
}

/* --- the end of a message --- */

static void stop_clocks(struct queue *q, struct message *m)
{
    struct message_more *more = m->more;
    if (more == NULL)
        return;
    heap_remove(&q->reports, &more->report);
    heap_remove(&q->delays, &more->delay);
    heap_remove(&q->lingers, &more->linger);
}

void end_tidy(struct queue *q, struct message *m)
{
    const struct message_more *more = m->more;
    if (more == NULL || heap_holds(&q->reports, &more->report) ||
        heap_holds(&q->delays, &more->delay) || heap_holds(&q->lingers, &more->linger))
        return;
    queue_uncount(q, m);
    message_tidy(m);
    queue_count(q, m);
}

/* With room for its clocks. */
static struct message_more *add_more(struct queue *q, struct message *m)
{
    queue_uncount(q, m);
    (void)message_add_more(m);
    queue_count(q, m);
    return m->more;
}

static void finish(struct queue *q, struct message *m)
{
    must(m->live == 0 && m->busy == 0 && m->owing == 0);
    heap_remove(&q->expiries, &m->expiry);
    stop_clocks(q, m);
    table_remove_id(&q->messages, &m->by_id);
    queue_uncount(q, m);
    end_add_fact(q, FACT_MESSAGE_DONE, m);
}

static void give_report(struct queue *q, struct message *m)
{
    if (m->more != NULL)
        heap_remove(&q->reports, &m->more->report);
    end_tidy(q, m);
    m->is_reporting = true;
    end_add_fact(q, FACT_REPORT_DUE, m);
}

void end_check(struct queue *q, struct message *m)
{
    if (m->live == 0 && m->is_open) {
        return; /* queue_close_message() asks again */
    } else if (m->live == 0) {
        finish(q, m);
    } else if (m->owing > 0 && !m->is_reporting) {
        uint32_t moving = m->live - m->owing - m->resting;
        if (moving == 0)
            give_report(q, m);
        else if (m->more == NULL || !heap_holds(&q->reports, &m->more->report))
            heap_push(&q->reports, &add_more(q, m)->report, q->now_ms + QUEUE_REPORT_MS);
    }
}

void end_report_due(struct queue *q)
{
    struct heap_node *node;
    while ((node = heap_take(&q->reports, q->now_ms)) != NULL) {
        struct message *m = CONTAINER_OF(node, struct message_more, report)->message;
        if (m->owing > 0) /* else those it was set for were told of meanwhile */
            give_report(q, m);
    }
}

void queue_reported(struct queue *q, struct message *m, const uint32_t *rcpts, size_t count,
                    uint64_t now_ms)
{
    queue_set_clock(q, now_ms);
    m->is_reporting = false;
    for (size_t i = 0; i < count; i++) {
        must(rcpts[i] < m->rcpt_count);
        recipient_set_state(m, message_rcpt(m, rcpts[i]), RCPT_ENDED);
    }
    q->owing -= count;
    q->live -= count;
    end_check(q, m);
}

void queue_report_failed(struct queue *q, struct message *m, uint64_t now_ms)
{
    queue_set_clock(q, now_ms);
    m->is_reporting = false;
    if (m->owing > 0)
        heap_set(&q->reports, &add_more(q, m)->report, q->now_ms + QUEUE_REPORT_MS);
}

/* --- expiry --- */

static const struct attempt never_tried = {
    .enhanced = {4, 4, 7}, /* delivery time expired (RFC 3463 3.5) */
    .outcome  = OUTCOME_EXPIRED,
    .text     = "could not be tried in time",
    .mx       = "",
};

/* The same words with the new outcome.  Most neighbours share one note, and so do their new ones.
 */
static struct attempt_note *expired_note(const struct queue *q, const struct attempt_note *old)
{
    struct attempt attempt = old == NULL ? never_tried : old->attempt;
    attempt.outcome        = OUTCOME_EXPIRED;
    if (old == NULL)
        attempt.wall_ms = queue_wall_ms(q);
    return attempt_note_new(&attempt);
}

static void expire_with(struct queue *q, struct message *m, struct recipient *r,
                        const struct rcpt_news *how)
{
    struct rcpt_news news = *how;
    news.outcome          = OUTCOME_EXPIRED;
    news.state            = recipient_after_failure(m, r);
    end_note(q, m, r, &news);
}

void end_expire(struct queue *q, struct message *m, struct recipient *r, const struct site *site,
                struct job *via)
{
    struct attempt_note *note = expired_note(q, r->last);
    expire_with(q, m, r, &(struct rcpt_news){.note = note, .site = site, .via = via});
    attempt_note_release(note);
}

static void expire_batch(struct queue *q, struct batch *b)
{
    struct message *m        = b->message;
    const struct site *site  = b->domain->site;
    struct attempt_note *old = NULL, *note = NULL;
    struct recipient *r;
    place_out(q, b);
    while ((r = batch_pop(b)) != NULL) {
        if (note == NULL || r->last != old) {
            attempt_note_release(note);
            old  = r->last;
            note = expired_note(q, old);
        }
        expire_with(q, m, r, &(struct rcpt_news){.note = note, .site = site});
    }
    attempt_note_release(note);
    place_free(q, b);
}

/* Those in jobs expire when they come home (queue_home.c). */
static void expire_message(struct queue *q, struct message *m)
{
    struct batch *b;
    for (uint32_t at = 0; (b = message_next_batch(m, &at)) != NULL;)
        if (b->state != BATCH_BUSY)
            expire_batch(q, b);
    end_check(q, m);
}

void end_expire_due(struct queue *q)
{
    struct heap_node *node;
    while ((node = heap_take(&q->expiries, q->now_ms)) != NULL)
        expire_message(q, CONTAINER_OF(node, struct message, expiry));
}

/* --- delay reports --- */

static bool wants_any(const struct message *m, uint32_t first)
{
    for (uint32_t i = first; i < m->rcpt_count; i++)
        if (recipient_wants_delay_report(m, message_rcpt(m, i)))
            return true;
    return false;
}

/* A recovered message that was late already has been told of, or it was so close that once more
 * would be worse than not at all. */
void end_arm_delay(struct queue *q, struct message *m)
{
    uint64_t after_ms = q->policy.retry.delay_report_ms;
    if (after_ms > 0 && age_ms(q, m) < after_ms && wants_any(m, 0))
        heap_push(&q->delays, &add_more(q, m)->delay, q->now_ms + after_ms - age_ms(q, m));
}

void end_arm_delay_again(struct queue *q, struct message *m, uint32_t first)
{
    uint64_t after_ms = q->policy.retry.delay_report_ms;
    if (after_ms > 0 && wants_any(m, first) && !heap_holds(&q->delays, &add_more(q, m)->delay))
        heap_push(&q->delays, &m->more->delay, q->now_ms + after_ms);
}

static void give_delay(struct queue *q, struct message *m)
{
    if (wants_any(m, 0)) {
        for (uint32_t i = 0; i < m->rcpt_count; i++)
            message_rcpt(m, i)->is_late_told |= recipient_wants_delay_report(m, message_rcpt(m, i));
        end_add_fact(q, FACT_DELAY_DUE, m);
    }
    end_tidy(q, m);
}

void end_delay_due(struct queue *q)
{
    struct heap_node *node;
    while ((node = heap_take(&q->delays, q->now_ms)) != NULL)
        give_delay(q, CONTAINER_OF(node, struct message_more, delay)->message);
}
