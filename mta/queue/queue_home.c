/* SPDX-License-Identifier: MIT */
/*
 * A job comes home: first its site hears what the job says of it, then each recipient goes where
 * its verdict sends it.  The batch that was in the job is taken apart, and new ones are put
 * together, one for each place; they enter their places at the end.
 */
#include "mta/base/fault.h"
#include "mta/queue/queue_inside.h"

enum { JOB_VERDICTS = JOB_IN_DOUBT + 1 };

struct homecoming {
    struct queue *q;
    struct job *job;
    struct message *m;
    struct site *site;
    struct domain *domain;
    struct site_news news;
    struct job *via;
    struct attempt_note
        *notes[JOB_VERDICTS]; /* the last of each kind, for the next that equals it */

    struct batch *again, *waiting, *deferred, *doubted, *held;
    unsigned deferred_attempts; /* of all in 'deferred' */
    uint64_t deferred_ms, doubted_ms;
};

static bool is_expired(const struct homecoming *h)
{
    return h->m->expiry.key <= h->q->now_ms;
}

static void gather(struct homecoming *h, struct batch **into, struct recipient *r)
{
    if (*into == NULL)
        *into = place_new(h->q, h->m, h->domain);
    batch_push(*into, r);
}

static struct attempt_note *note_of(struct homecoming *h, const struct job_rcpt *jr,
                                    enum outcome outcome)
{
    struct attempt attempt          = jr->attempt;
    struct attempt_note **last_note = &h->notes[jr->verdict];
    attempt.outcome                 = (uint8_t)outcome;
    attempt.wall_ms                 = h->q->wall_ms;
    if (*last_note == NULL || !attempt_note_says(*last_note, &attempt)) {
        attempt_note_release(*last_note);
        *last_note = attempt_note_like(h->site->last_failure, &attempt);
    }
    return *last_note;
}

static void tell(struct homecoming *h, struct recipient *r, struct rcpt_news news)
{
    news.via  = h->via;
    news.site = h->site;
    end_note(h->q, h->m, r, &news);
}

/* --- what becomes of a recipient --- */

/* It goes on waiting, unless an operator has decided otherwise meanwhile. */
static void wait_on(struct homecoming *h, struct recipient *r, struct batch **into)
{
    enum rcpt_wish wish = r->wish;
    r->wish             = RCPT_WISH_NONE;
    switch (wish) {
    case RCPT_WISH_NONE:
        gather(h, into, r);
        return;
    case RCPT_WISH_HOLD:
        tell(h, r, (struct rcpt_news){.outcome = OUTCOME_HELD, .state = RCPT_HELD});
        gather(h, &h->held, r);
        return;
    case RCPT_WISH_CANCEL:
        tell(h, r, (struct rcpt_news){.outcome = OUTCOME_CANCELLED, .state = RCPT_ENDED});
        return;
    }
}

/* Nothing was tried. */
static void come_back(struct homecoming *h, struct recipient *r)
{
    if (is_expired(h))
        end_expire(h->q, h->m, r, h->site, h->via);
    else
        wait_on(h, r, &h->again);
}

static void deliver(struct homecoming *h, const struct job_rcpt *jr)
{
    bool is_duty_ours = jr->is_relayed || h->job->target->is_lmtp || h->job->target->is_local;
    h->site->delivered++;
    recipient_count_attempt(jr->recipient);
    tell(h, jr->recipient,
         (struct rcpt_news){.outcome = OUTCOME_DELIVERED,
                            .state   = recipient_after_delivery(h->m, jr->recipient, is_duty_ours),
                            .note    = note_of(h, jr, OUTCOME_DELIVERED),
                            .is_relayed = jr->is_relayed});
}

static void remember_failure(struct homecoming *h, struct attempt_note *note)
{
    attempt_note_hold(note);
    attempt_note_release(h->site->last_failure);
    h->site->last_failure = note;
}

static void fail(struct homecoming *h, const struct job_rcpt *jr)
{
    struct attempt_note *note = note_of(h, jr, OUTCOME_FAILED);
    h->site->failed++;
    recipient_count_attempt(jr->recipient);
    remember_failure(h, note);
    tell(h, jr->recipient,
         (struct rcpt_news){.outcome = OUTCOME_FAILED,
                            .state   = recipient_after_failure(h->m, jr->recipient),
                            .note    = note});
}

/* One batch for all that have failed equally often: they come due together. */
static struct batch **deferral_place(struct homecoming *h, const struct recipient *r)
{
    if (h->deferred != NULL && h->deferred_attempts != r->attempts) {
        place_deferred(h->q, h->deferred, h->deferred_ms);
        h->deferred = NULL;
    }
    if (h->deferred_attempts != r->attempts) {
        h->deferred_attempts = r->attempts;
        h->deferred_ms =
            h->q->now_ms + schedule_wait_ms(&h->q->policy.retry, r->attempts, &h->q->rng);
    }
    return &h->deferred;
}

static struct batch **doubt_place(struct homecoming *h)
{
    if (h->doubted_ms == 0)
        h->doubted_ms = h->q->now_ms + schedule_doubt_ms(&h->q->policy.retry, &h->q->rng);
    return &h->doubted;
}

/* Where it waits for its next try, and until when. */
static struct batch **next_try(struct homecoming *h, const struct job_rcpt *jr, uint64_t *next_ms)
{
    struct batch **place;
    if (jr->verdict == JOB_IN_DOUBT) {
        place    = doubt_place(h);
        *next_ms = h->doubted_ms;
    } else if (h->news.advice == SITE_ADVISES_WAITING) {
        place    = &h->waiting;
        *next_ms = h->site->probe_ms;
    } else {
        place    = deferral_place(h, jr->recipient);
        *next_ms = h->deferred_ms;
    }
    return place;
}

static void defer(struct homecoming *h, const struct job_rcpt *jr)
{
    struct recipient *r = jr->recipient;
    uint64_t now_ms     = h->q->now_ms, next_ms;
    recipient_count_attempt(r);
    h->site->deferred++;
    remember_failure(h, note_of(h, jr, OUTCOME_DEFERRED));
    if (is_expired(h)) {
        recipient_set_last(r, note_of(h, jr, OUTCOME_DEFERRED));
        end_expire(h->q, h->m, r, h->site, h->via);
        return;
    }
    struct batch **place = next_try(h, jr, &next_ms);
    tell(h, r,
         (struct rcpt_news){.outcome    = OUTCOME_DEFERRED,
                            .state      = RCPT_WAITING,
                            .note       = note_of(h, jr, OUTCOME_DEFERRED),
                            .next_in_ms = next_ms > now_ms ? next_ms - now_ms : 0});
    wait_on(h, r, place);
}

static void doubt(struct homecoming *h, const struct job_rcpt *jr)
{
    struct fact *fact = end_add_fact(h->q, FACT_DOUBT, h->m);
    fact->rcpt_index  = jr->recipient->index;
    fact->state       = jr->recipient->state;
    fact->site        = h->site;
    fact->via         = h->via;
    fact->note        = attempt_note_hold(note_of(h, jr, OUTCOME_DEFERRED));
    h->via->refs++;
    h->q->in_doubt++;
    defer(h, jr);
}

static void settle(struct homecoming *h, const struct job_rcpt *jr)
{
    jr->recipient->is_busy = false;
    switch (jr->verdict) {
    case JOB_UNDECIDED:
        come_back(h, jr->recipient);
        return;
    case JOB_DELIVERED:
        deliver(h, jr);
        return;
    case JOB_FAILED:
        fail(h, jr);
        return;
    case JOB_DEFERRED:
        if (h->news.advice == SITE_ADVISES_AGAIN)
            come_back(h, jr->recipient);
        else
            defer(h, jr);
        return;
    case JOB_IN_DOUBT:
        doubt(h, jr);
        return;
    }
}

/* --- the way in --- */

static void take_apart(struct homecoming *h)
{
    struct batch *b = h->job->batch;
    place_out(h->q, b);
    while (batch_pop(b) != NULL)
        ;
    for (size_t i = 0; i < h->job->rcpt_count; i++)
        settle(h, &h->job->rcpts[i]);
    place_free(h->q, b);
}

static void enter_places(struct homecoming *h)
{
    if (h->again != NULL)
        place_waiting(h->q, h->again, true);
    if (h->waiting != NULL)
        place_waiting(h->q, h->waiting, false);
    if (h->deferred != NULL)
        place_deferred(h->q, h->deferred, h->deferred_ms);
    if (h->doubted != NULL)
        place_deferred(h->q, h->doubted, h->doubted_ms);
    if (h->held != NULL)
        place_held(h->q, h->held);
}

static void tell_of_site(struct homecoming *h)
{
    struct site *s = h->site;
    if (h->news.has_moved_window)
        end_add_site_fact(h->q, FACT_LIMIT_CHANGED, s, 0);
    if (h->news.has_backed_off)
        end_add_site_fact(h->q, FACT_SITE_BACKOFF, s, s->probe_ms - h->q->now_ms);
    if (h->news.has_recovered)
        end_add_site_fact(h->q, FACT_SITE_RECOVERED, s, 0);
}

void queue_job_done(struct queue *q, struct job *job, uint64_t now_ms, uint64_t wall_ms)
{
    queue_set_clocks(q, now_ms, wall_ms);
    struct homecoming h = {
        .q = q, .job = job, .m = job->message, .site = job->site, .domain = job->batch->domain};
    h.via  = job;
    h.news = site_hear(h.site, job, &q->policy.retry, &q->rng, q->now_ms);
    take_apart(&h);
    tell_of_site(&h);
    enter_places(&h);
    dispatch_end_job(q, job);
    end_check(q, h.m);

    for (size_t i = 0; i < JOB_VERDICTS; i++)
        attempt_note_release(h.notes[i]);
    dispatch_release_job(q, job);
}
