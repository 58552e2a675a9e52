/* SPDX-License-Identifier: MIT */
/* What operators see.  Nothing here changes anything. */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/address.h"
#include "mta/mail/domain.h"
#include "mta/queue/queue_inside.h"

struct message *queue_find(const struct queue *q, uint64_t id)
{
    struct table_id *node = table_find_id(&q->messages, id);
    return node == NULL ? NULL : CONTAINER_OF(node, struct message, by_id);
}

struct message *queue_each_message(const struct queue *q, size_t *cursor)
{
    struct table_id *node = table_each_id(&q->messages, cursor);
    return node == NULL ? NULL : CONTAINER_OF(node, struct message, by_id);
}

static uint64_t until(uint64_t at_ms, uint64_t now_ms)
{
    return at_ms > now_ms ? at_ms - now_ms : 0;
}

/* --- recipients --- */

/* Ready for us, but its site may be the one that waits. */
static void describe_ready(const struct batch *b, uint64_t now_ms, struct queue_row *row)
{
    const struct site *s = b->domain->site;
    must(s != NULL);
    bool is_behind_site = s->state != SITE_READY;
    row->status         = is_behind_site && row->rcpt->attempts > 0 ? "deferred" : "waiting";
    if (s->state == SITE_BACKOFF)
        row->next_in_ms = until(s->probe_ms, now_ms);
}

static void describe_live(const struct recipient *r, uint64_t now_ms, struct queue_row *row)
{
    const struct batch *b = r->batch;
    if (b->domain->site != NULL)
        row->site = b->domain->site->target.name;
    switch ((enum batch_state)b->state) {
    case BATCH_UNROUTED:
        row->status = "routing";
        return;
    case BATCH_LINGERING:
    case BATCH_READY:
        describe_ready(b, now_ms, row);
        return;
    case BATCH_BUSY:
        row->status = "sending";
        return;
    case BATCH_DEFERRED:
        row->status     = "deferred";
        row->next_in_ms = until(b->due.key, now_ms);
        return;
    case BATCH_HELD:
        row->status = "held";
        return;
    case BATCH_NOWHERE:
    case BATCH_STATES:
        break;
    }
    must(false);
}

static bool is_delivered(const struct recipient *r)
{
    return r->state == RCPT_OWES_SUCCESS || (r->state == RCPT_ENDED && r->last != NULL &&
                                             r->last->attempt.outcome == OUTCOME_DELIVERED);
}

void queue_describe(const struct queue *q, const struct message *m, uint32_t rcpt, uint64_t now_ms,
                    struct queue_row *row)
{
    (void)q;
    must(rcpt < m->rcpt_count);
    const struct recipient *r = message_rcpt(m, rcpt);
    *row = (struct queue_row){.message = m, .rcpt = r, .site = "", .status = "failed"};
    if (r->batch != NULL)
        describe_live(r, now_ms, row);
    else if (is_delivered(r))
        row->status = "delivered";
}

/* --- selectors --- */

static bool name_matches(const char *pattern, struct span name)
{
    return pattern[0] == '\0' || domain_matches(span_of(pattern), name);
}

static bool text_matches(const char *wanted, const char *text)
{
    return wanted[0] == '\0' || span_equals_nocase(span_of(wanted), span_of(text));
}

static bool site_matches(const char *pattern, const struct recipient *r)
{
    if (pattern[0] == '\0')
        return true;
    const struct site *s = r->batch == NULL ? NULL : r->batch->domain->site;
    return s != NULL &&
           (domain_matches(span_of(pattern), span_of(s->target.name)) ||
            text_matches(pattern, s->run_by->name) || span_equals(span_of(pattern), s->by_key.key));
}

/* NOLINTNEXTLINE(readability-function-size): two clocks */
bool queue_matches(const struct queue *q, const struct selector *selector, const struct message *m,
                   uint32_t rcpt, uint64_t now_ms, uint64_t wall_ms)
{
    const struct recipient *r = message_rcpt(m, rcpt);
    if (selector->id != 0 && selector->id != m->id)
        return false;
    if (selector->older_ms > 0 && wall_ms < m->arrival_wall_ms + selector->older_ms)
        return false;
    const char *flow = message_flow(m);
    if (!text_matches(selector->flow, flow) || !text_matches(selector->list, flow))
        return false;
    if (selector->to[0] != '\0' && !address_equals(span_of(selector->to), span_of(r->address)))
        return false;
    if (!name_matches(selector->domain, address_domain(span_of(r->address))) ||
        !site_matches(selector->site, r))
        return false;
    if (selector->status[0] == '\0')
        return true;
    struct queue_row row;
    queue_describe(q, m, rcpt, now_ms, &row);
    return text_matches(selector->status, row.status);
}

/* --- sites --- */

static const char *state_text(const struct site *s)
{
    switch (s->state) {
    case SITE_BACKOFF:
        return "backoff";
    case SITE_PROBING:
        return "probing";
    case SITE_READY:
    case SITE_STATES:
        break;
    }
    if (s->total == 0 && s->jobs == 0)
        return "idle";
    bool is_held_back =
        s->flows.batches > 0 && s->jobs < site_window(s) && operator_holds_back(s->run_by);
    return is_held_back ? "throttled" : "ready";
}

static void describe_site(const struct site *s, uint64_t now_ms, struct site_row *row)
{
    *row = (struct site_row){
        .name           = s->target.name,
        .key            = s->by_key.key.at,
        .operator_name  = s->run_by->name,
        .state          = state_text(s),
        .target         = &s->target,
        .limits         = s->run_by->limits,
        .domains        = s->domain_count,
        .ready          = s->waits[BATCH_READY] + s->waits[BATCH_LINGERING],
        .deferred       = s->waits[BATCH_DEFERRED],
        .busy           = s->waits[BATCH_BUSY],
        .jobs           = s->jobs,
        .window         = site_window(s),
        .failures       = s->failures,
        .next_in_ms     = s->state == SITE_BACKOFF ? until(s->probe_ms, now_ms) : 0,
        .delivered      = s->delivered,
        .deferred_total = s->deferred,
        .failed         = s->failed,
        .last_failure   = s->last_failure == NULL ? NULL : &s->last_failure->attempt,
    };
}

bool queue_each_site(const struct queue *q, size_t *cursor, uint64_t now_ms, struct site_row *row)
{
    struct table_node *node = table_each(&q->sites, cursor);
    if (node == NULL)
        return false;
    describe_site(CONTAINER_OF(node, struct site, by_key), now_ms, row);
    return true;
}

bool queue_site_of(const struct queue *q, struct span domain, uint64_t now_ms, struct site_row *row)
{
    struct table_node *node = table_find(&q->domains, domain);
    const struct domain *d  = node == NULL ? NULL : CONTAINER_OF(node, struct domain, by_name);
    if (d == NULL || d->site == NULL)
        return false;
    describe_site(d->site, now_ms, row);
    return true;
}

/* --- all of it --- */

size_t queue_memory_bytes(const struct queue *q)
{
    return sizeof *q + q->message_bytes + q->batch_count * (sizeof(struct batch) + MEM_OVERHEAD) +
           q->ready_count * (sizeof(struct site_message) + MEM_OVERHEAD) +
           q->domains.count * sizeof(struct domain) + q->sites.count * sizeof(struct site) +
           q->facts.cap * sizeof(struct fact) + q->messages.bytes + q->domains.bytes +
           q->sites.bytes;
}

static size_t count_backoffs(const struct queue *q)
{
    struct table_node *node;
    size_t count = 0;
    for (size_t at = 0; (node = table_each(&q->sites, &at)) != NULL;)
        count += CONTAINER_OF(node, struct site, by_key)->state != SITE_READY;
    return count;
}

static size_t count_ended_open(const struct queue *q)
{
    size_t count = 0;
    for (const struct list *n = list_first(&q->open); n != NULL; n = list_next(&q->open, n))
        count += CONTAINER_OF(n, struct message_more, in_open)->message->live == 0;
    return count;
}

void queue_stats(const struct queue *q, struct queue_stats *stats)
{
    *stats = (struct queue_stats){
        .messages      = q->messages.count - count_ended_open(q),
        .recipients    = q->live,
        .ready         = q->waits[BATCH_READY] + q->waits[BATCH_LINGERING],
        .deferred      = q->waits[BATCH_DEFERRED],
        .held          = q->waits[BATCH_HELD],
        .busy          = q->waits[BATCH_BUSY],
        .unrouted      = q->waits[BATCH_UNROUTED],
        .owing         = q->owing,
        .sites         = q->sites.count,
        .sites_backoff = count_backoffs(q),
        .flows         = q->flows.count,
        .domains       = q->domains.count,
        .jobs          = q->jobs,
        .accepted      = q->accepted,
        .delivered     = q->delivered,
        .failed        = q->failed,
        .expired       = q->expired,
        .cancelled     = q->cancelled,
        .deferrals     = q->deferrals,
        .in_doubt      = q->in_doubt,
        .memory_bytes  = queue_memory_bytes(q),
    };
}
