/* SPDX-License-Identifier: MIT */
/*
 * What operators do to waiting mail.  A command goes through messages batch by batch: the
 * recipients it chooses leave their batch together and enter the new place together.  Those in a
 * job keep the wish until they come home (queue_home.c).
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/queue_inside.h"

enum { BATCHES_AT_FIRST = 16 };

struct order {
    struct queue *q;
    enum queue_command command;
    const struct selector *selector;
    bool dry_run;
    uint64_t wall_ms;
    size_t matched;
    struct batch **batches; /* of the message in hand */
    size_t room;
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
    for (struct recipient *r = batch_first(b); r != NULL; r = batch_next(b, r)) {
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
    for (struct recipient *r = batch_first(b); r != NULL; r = batch_next(b, r))
        if (r->is_chosen)
            r->wish = (uint8_t)wishes[o->command];
}

static void change(struct order *o, struct batch *b, enum outcome outcome, enum rcpt_state state)
{
    struct rcpt_news news = {.outcome = outcome, .state = state, .site = b->domain->site};
    for (struct recipient *r = batch_first(b); r != NULL; r = batch_next(b, r))
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

/* Those too who are still to join. */
static bool means_all_of(const struct order *o, const struct message *m)
{
    const struct selector *s = o->selector;
    bool means_some =
        s->to[0] != '\0' || s->domain[0] != '\0' || s->site[0] != '\0' || s->status[0] != '\0';
    return !means_some && m->rcpt_count > 0 &&
           queue_matches(o->q, s, m, 0, o->q->now_ms, o->wall_ms);
}

/* Before the command takes some apart: what it makes is not visited. */
static size_t list_batches(struct order *o, const struct message *m)
{
    struct batch *b;
    size_t count = 0;
    for (uint32_t at = 0; (b = message_next_batch(m, &at)) != NULL;) {
        if (count == o->room) {
            o->room    = o->room == 0 ? BATCHES_AT_FIRST : o->room * 2;
            o->batches = mem_resize(o->batches, o->room * sizeof(struct batch *));
        }
        o->batches[count++] = b;
    }
    return count;
}

static void command_message(struct order *o, struct message *m)
{
    size_t count = list_batches(o, m);
    for (size_t i = 0; i < count; i++)
        command_batch(o, o->batches[i]);
    if (o->dry_run)
        return;
    if (o->command == QUEUE_CANCEL && m->is_open && means_all_of(o, m))
        m->is_cancelled = true;
    end_check(o->q, m);
}

static void command_all(struct order *o)
{
    struct message *m;
    for (size_t cursor = 0; (m = queue_each_message(o->q, &cursor)) != NULL;)
        command_message(o, m);
}

/* NOLINTNEXTLINE(readability-function-size): two clocks */
size_t queue_command(struct queue *q, enum queue_command command, const struct selector *selector,
                     bool dry_run, uint64_t now_ms, uint64_t wall_ms)
{
    queue_set_clocks(q, now_ms, wall_ms);
    struct order o = {
        .q = q, .command = command, .selector = selector, .dry_run = dry_run, .wall_ms = wall_ms};
    struct message *m = selector->id == 0 ? NULL : queue_find(q, selector->id);
    if (selector->id == 0)
        command_all(&o);
    else if (m != NULL)
        command_message(&o, m);
    mem_free(o.batches);
    return o.matched;
}
