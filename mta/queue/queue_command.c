/* SPDX-License-Identifier: MIT */
/*
 * What operators do to waiting mail.  A command goes through messages batch by batch: the
 * recipients it chooses leave their batch together and enter the new place together.  Those in a
 * job keep the wish until they come home (queue_home.c).
 */
#include "mta/base/fault.h"
#include "mta/queue/queue_inside.h"

struct order {
    struct queue *q;
    enum queue_command command;
    const struct selector *selector;
    bool dry_run;
    uint64_t wall_ms;
    size_t matched;
};

/* Whether the command has anything to do with this recipient. */
static bool concerns(enum queue_command command, const struct recipient *r)
{
    switch (command) {
    case QUEUE_RETRY:
        return r->state == RCPT_WAITING && !r->is_busy;
    case QUEUE_HOLD:
        return r->state == RCPT_WAITING;
    case QUEUE_RELEASE:
        return r->state == RCPT_HELD || (r->is_busy && r->wish == RCPT_WISH_HOLD);
    case QUEUE_CANCEL:
        return r->state == RCPT_WAITING || r->state == RCPT_HELD;
    }
    return false;
}

static uint32_t choose(struct order *o, struct batch *b)
{
    struct message *m = b->message;
    uint32_t chosen   = 0;
    for (struct recipient *r = b->first; r != NULL; r = r->next) {
        r->is_chosen = concerns(o->command, r) &&
                       queue_matches(o->q, o->selector, m, r->index, o->q->now_ms, o->wall_ms);
        chosen += r->is_chosen;
    }
    return chosen;
}

static void wish(struct order *o, struct batch *b)
{
    static const enum rcpt_wish wishes[] = {
        [QUEUE_RETRY]   = RCPT_WISH_NONE,
        [QUEUE_HOLD]    = RCPT_WISH_HOLD,
        [QUEUE_RELEASE] = RCPT_WISH_NONE,
        [QUEUE_CANCEL]  = RCPT_WISH_CANCEL,
    };
    for (struct recipient *r = b->first; r != NULL; r = r->next)
        if (r->is_chosen)
            r->wish = (uint8_t)wishes[o->command];
}

static void change(struct order *o, struct batch *b, enum outcome outcome, enum rcpt_state state)
{
    struct rcpt_news news = {.outcome = outcome, .state = state, .site = b->domain->site};
    for (struct recipient *r = b->first; r != NULL; r = r->next)
        end_note(o->q, b->message, r, &news);
}

static void retry(struct order *o, struct batch *b)
{
    struct site *s = b->domain->site;
    if (s != NULL)
        site_probe_now(s, o->q->now_ms);
    place_waiting(o->q, b, false);
    if (s != NULL)
        dispatch_site(o->q, s);
}

static void cancel(struct order *o, struct batch *b)
{
    change(o, b, OUTCOME_CANCELLED, RCPT_ENDED);
    while (batch_pop(b) != NULL)
        ;
    place_free(o->q, b);
}

/* 'b' is nowhere, and all of it is meant. */
static void act(struct order *o, struct batch *b)
{
    switch (o->command) {
    case QUEUE_RETRY:
        retry(o, b);
        return;
    case QUEUE_HOLD:
        change(o, b, OUTCOME_HELD, RCPT_HELD);
        place_held(o->q, b);
        return;
    case QUEUE_RELEASE:
        change(o, b, OUTCOME_RELEASED, RCPT_WAITING);
        place_waiting(o->q, b, false);
        return;
    case QUEUE_CANCEL:
        cancel(o, b);
        return;
    }
}

/* Mail that is ready keeps its place in the queue; only its site has to hurry. */
static bool is_ready_already(const struct order *o, const struct batch *b)
{
    return o->command == QUEUE_RETRY &&
           (b->state == BATCH_UNROUTED || b->state == BATCH_LINGERING ||
            (b->state == BATCH_READY && b->domain->site->state != SITE_BACKOFF));
}

static void command_batch(struct order *o, struct batch *b)
{
    uint32_t chosen = choose(o, b);
    o->matched += chosen;
    if (chosen == 0 || o->dry_run || is_ready_already(o, b))
        return;
    if (b->state == BATCH_BUSY)
        wish(o, b);
    else
        act(o, place_split_chosen(o->q, b));
}

static size_t count_batches(const struct message *m)
{
    size_t count = 0;
    for (const struct list *n = list_first(&m->batches); n != NULL; n = list_next(&m->batches, n))
        count++;
    return count;
}

/* Batches that the command makes stand behind those that were there, and are not visited. */
static void command_message(struct order *o, struct message *m)
{
    struct list *n = list_first(&m->batches), *next;
    for (size_t left = count_batches(m); left > 0; left--, n = next) {
        next = list_next(&m->batches, n);
        command_batch(o, CONTAINER_OF(n, struct batch, in_message));
    }
    if (!o->dry_run)
        end_check(o->q, m);
}

/* NOLINTNEXTLINE(readability-function-size): two clocks */
size_t queue_command(struct queue *q, enum queue_command command, const struct selector *selector,
                     bool dry_run, uint64_t now_ms, uint64_t wall_ms)
{
    queue_set_clocks(q, now_ms, wall_ms);
    struct order o = {
        .q = q, .command = command, .selector = selector, .dry_run = dry_run, .wall_ms = wall_ms};
    if (selector->id != 0) {
        struct message *m = queue_find(q, selector->id);
        if (m != NULL)
            command_message(&o, m);
        return o.matched;
    }
    struct message *m;
    for (size_t cursor = 0; (m = queue_each_message(q, &cursor)) != NULL;)
        command_message(&o, m);
    return o.matched;
}
