/* SPDX-License-Identifier: MIT */
/* The server as a whole: counts of all its parts, taken at the moment of the question. */
#include "mta/control/config.h"
#include "mta/control/inside.h"
#include "mta/deliver/shard.h"
#include "mta/mail/fields.h"
#include "mta/receive/receive.h"
#include "mta/spool/spool.h"

/* Of all shards together. */
struct shard_sum {
    uint64_t sessions, idle;
    uint64_t dials, dial_failures, reuses, tls_handshakes, tls_resumed, tls_failures,
        plain_fallbacks, writes, moves, stumbles, kept_senders;
};

struct facts {
    struct queue_stats queue;
    struct spool_stats spool;
    struct receive_stats receive;
    struct shard_sum shards;
    struct long_turns long_turns;
    uint64_t uptime_s;
    bool has_room;
    const char *refusal;
};

static void add_shard(struct shard_sum *sum, const struct shard_stats *stats)
{
    sum->sessions += atomic_load(&stats->sessions);
    sum->idle += atomic_load(&stats->idle);
    sum->dials += atomic_load(&stats->dials);
    sum->dial_failures += atomic_load(&stats->dial_failures);
    sum->reuses += atomic_load(&stats->reuses);
    sum->tls_handshakes += atomic_load(&stats->tls_handshakes);
    sum->tls_resumed += atomic_load(&stats->tls_resumed);
    sum->tls_failures += atomic_load(&stats->tls_failures);
    sum->plain_fallbacks += atomic_load(&stats->plain_fallbacks);
    sum->writes += atomic_load(&stats->writes);
    sum->moves += atomic_load(&stats->moves);
    sum->stumbles += atomic_load(&stats->stumbles);
    sum->kept_senders += atomic_load(&stats->kept_senders);
}

static void gather(const struct control_world *world, uint64_t wall_ms, struct facts *f)
{
    *f = (struct facts){.has_room = spool_has_room(world->spool), .long_turns = *world->long_turns};
    queue_stats(world->queue, &f->queue);
    f->queue.memory_bytes += spool_memory_bytes(world->spool);
    spool_stats(world->spool, &f->spool);
    receive_stats(world->receive, &f->receive);
    for (unsigned i = 0; i < world->shard_count; i++)
        add_shard(&f->shards, shard_stats(world->shards[i]));
    if (wall_ms > world->started_wall_ms)
        f->uptime_s = (wall_ms - world->started_wall_ms) / 1000;
    if (!f->has_room)
        f->refusal = spool_refusal(world->spool);
}

/* --- for programs --- */

static void put_queue(const struct queue_stats *q, struct buf *into)
{
    field_number(into, "messages", q->messages);
    field_number(into, "recipients", q->recipients);
    field_number(into, "ready", q->ready);
    field_number(into, "deferred", q->deferred);
    field_number(into, "held", q->held);
    field_number(into, "busy", q->busy);
    field_number(into, "owing", q->owing);
    field_number(into, "unrouted", q->unrouted);
    field_number(into, "sites", q->sites);
    field_number(into, "sites_backoff", q->sites_backoff);
    field_number(into, "jobs", q->jobs);
    field_number(into, "accepted", q->accepted);
    field_number(into, "delivered", q->delivered);
    field_number(into, "failed", q->failed);
    field_number(into, "expired", q->expired);
    field_number(into, "cancelled", q->cancelled);
    field_number(into, "deferrals", q->deferrals);
    field_number(into, "in_doubt", q->in_doubt);
    field_number(into, "memory_bytes", q->memory_bytes);
}

static void put_spool(const struct facts *f, struct buf *into)
{
    field_key(into, "spool");
    buf_put_byte(into, '{');
    field_number(into, "segments", f->spool.segments);
    field_number(into, "bytes_used", f->spool.bytes_used);
    field_number(into, "bytes_live", f->spool.bytes_live);
    field_number(into, "bytes_free", f->spool.bytes_free);
    field_number(into, "commits", f->spool.commits);
    field_number(into, "appends", f->spool.appends);
    field_number(into, "bytes_written", f->spool.bytes_written);
    field_number(into, "bytes_zeroed", f->spool.bytes_zeroed);
    field_number(into, "segments_made", f->spool.made);
    field_number(into, "segments_recycled", f->spool.recycled);
    field_number(into, "groups", f->spool.groups);
    field_number(into, "syncs", f->spool.syncs);
    field_bool(into, "room", f->has_room);
    field_text(into, "refusal", f->refusal);
    buf_put_byte(into, '}');
}

static void put_wire(const struct facts *f, struct buf *into)
{
    field_number(into, "connections", f->shards.sessions);
    field_number(into, "idle_connections", f->shards.idle);
    field_number(into, "clients", f->receive.connections);
    field_number(into, "dials", f->shards.dials);
    field_number(into, "dial_failures", f->shards.dial_failures);
    field_number(into, "reuses", f->shards.reuses);
    field_number(into, "tls_handshakes", f->shards.tls_handshakes);
    field_number(into, "tls_resumed", f->shards.tls_resumed);
    field_number(into, "tls_failures", f->shards.tls_failures);
    field_number(into, "plain_fallbacks", f->shards.plain_fallbacks);
    field_number(into, "writes", f->shards.writes);
    field_number(into, "moves", f->shards.moves);
    field_number(into, "stumbles", f->shards.stumbles);
    field_number(into, "kept_senders", f->shards.kept_senders);
}

void overview_json(const struct control_world *world, uint64_t wall_ms, struct buf *into)
{
    struct facts f;
    gather(world, wall_ms, &f);
    buf_put_byte(into, '{');
    field_text(into, "version", MAILRACE_VERSION);
    field_text(into, "hostname", world->config->hostname);
    field_number(into, "uptime_s", f.uptime_s);
    field_number(into, "long_turns", f.long_turns.count);
    field_number(into, "longest_turn_ms", f.long_turns.longest_ms);
    put_queue(&f.queue, into);
    put_wire(&f, into);
    put_spool(&f, into);
    buf_put_text(into, "}\n");
}

/* --- for people --- */

static void say_queue(const struct queue_stats *q, struct buf *into)
{
    buf_printf(into, "queue     %zu messages, %zu recipients: %zu ready, %zu being sent, ",
               q->messages, q->recipients, q->ready, q->busy);
    buf_printf(into, "%zu deferred, %zu held, %zu being routed\n", q->deferred, q->held,
               q->unrouted);
    buf_printf(into, "sites     %zu, %zu of them in backoff\n", q->sites, q->sites_backoff);
    buf_printf(into, "so far    %llu accepted, %llu delivered, %llu failed, ",
               (unsigned long long)q->accepted, (unsigned long long)q->delivered,
               (unsigned long long)q->failed);
    buf_printf(into, "%llu expired, %llu cancelled, %llu deferrals\n",
               (unsigned long long)q->expired, (unsigned long long)q->cancelled,
               (unsigned long long)q->deferrals);
    if (q->owing > 0)
        buf_printf(into, "reports   %zu recipients whose senders are not told yet\n", q->owing);
    if (q->in_doubt > 0)
        buf_printf(into, "in doubt  %llu deliveries may have happened twice\n",
                   (unsigned long long)q->in_doubt);
}

static void say_spool(const struct facts *f, struct buf *into)
{
    char used[WORDS_BYTES], live[WORDS_BYTES], left[WORDS_BYTES];
    buf_printf(into, "spool     %s in %llu segments, %s of it live; %s free\n",
               words_size(f->spool.bytes_used, used), (unsigned long long)f->spool.segments,
               words_size(f->spool.bytes_live, live), words_size(f->spool.bytes_free, left));
    buf_printf(into, "taken     %llu messages, which %llu more transactions joined\n",
               (unsigned long long)f->spool.commits, (unsigned long long)f->spool.appends);
    if (!f->has_room)
        buf_printf(into, "spool     NEW MAIL IS REFUSED: %s\n", f->refusal);
}

void overview_text(const struct control_world *world, uint64_t wall_ms, struct buf *into)
{
    struct facts f;
    char words[WORDS_BYTES];
    gather(world, wall_ms, &f);
    buf_printf(into, "mailrace " MAILRACE_VERSION " on %s, up %s\n", world->config->hostname,
               f.uptime_s == 0 ? "0s" : words_duration(f.uptime_s * 1000, words));
    say_queue(&f.queue, into);
    buf_printf(into, "wire      %llu sessions out, %llu more idle; %zu clients in\n",
               (unsigned long long)(f.shards.sessions - f.shards.idle),
               (unsigned long long)f.shards.idle, f.receive.connections);
    if (f.shards.kept_senders > 0)
        buf_printf(into,
                   "senders   %llu times no return path of the recipient's own could be made\n",
                   (unsigned long long)f.shards.kept_senders);
    say_spool(&f, into);
    buf_printf(into, "memory    about %s for the queue\n", words_size(f.queue.memory_bytes, words));
    if (f.long_turns.count > 0)
        buf_printf(into, "slow      %llu turns took more than %d ms, the longest %llu ms\n",
                   (unsigned long long)f.long_turns.count, LONG_TURN_MS,
                   (unsigned long long)f.long_turns.longest_ms);
}

/* --- one message --- */

static bool is_delivered(const struct recipient *r)
{
    return r->state == RCPT_OWES_SUCCESS || (r->state == RCPT_ENDED && r->last != NULL &&
                                             r->last->attempt.outcome == OUTCOME_DELIVERED);
}

void overview_progress(const struct message *m, struct buf *into)
{
    uint64_t delivered = 0, held = 0, waiting = 0, ended = 0;
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        const struct recipient *r = message_rcpt(m, i);
        bool is_good              = is_delivered(r);
        delivered += is_good;
        held += r->state == RCPT_HELD;
        waiting += r->state == RCPT_WAITING;
        ended += !is_good && (r->state == RCPT_ENDED || r->state == RCPT_OWES_FAILURE);
    }
    buf_put_byte(into, '{');
    field_id(into, "id", m->id);
    field_number(into, "rcpts", m->rcpt_count);
    field_number(into, "delivered", delivered);
    field_number(into, "ended_otherwise", ended);
    field_number(into, "held", held);
    field_number(into, "waiting", waiting);
    field_number(into, "busy", m->busy);
    buf_put_text(into, "}\n");
}
