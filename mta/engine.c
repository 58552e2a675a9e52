/* SPDX-License-Identifier: MIT */
#include "mta/engine.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/base/rng.h"
#include "mta/engine_inside.h"
#include "mta/queue/recipient.h"
#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    RECOVERED_COST_MAX     = 4000, /* in one turn, in recipients: about 5 ms */
    RECOVERED_MESSAGE_COST = 8,    /* what a message takes beside them */
    LOG_BYTES_KEPT         = 1 << 20,
    MEMORY_KEPT_BYTES      = 64 << 20, /* a queue that never held more is not worth a call */
    LONG_TURN_LINE_MS      = 1000,     /* one line in so long, whatever happens */
};

/* --- the parts of a turn --- */

/* Returns whether there were any. */
static bool take_jobs_home(struct engine *e)
{
    struct list jobs = {0}, *node;
    struct job *local;
    mailbox_drain(e->home, &jobs);
    while ((local = local_take(&e->local)) != NULL)
        list_push(&jobs, &local->link);
    bool has_some = !list_is_empty(&jobs);
    while ((node = list_take(&jobs)) != NULL) {
        must(e->jobs_out > 0);
        e->jobs_out--;
        engine_log_job(e, CONTAINER_OF(node, struct job, link));
        queue_job_done(e->queue, CONTAINER_OF(node, struct job, link), e->now_ms, e->wall_ms);
    }
    engine_take_facts(e);
    return has_some;
}

/* Whoever owns a conn or listener of the engine's loop begins with its kind. */
static unsigned kind_of(const void *owner)
{
    unsigned kind;
    must(owner != NULL);
    memcpy(&kind, owner, sizeof kind);
    return kind;
}

static void take_connections(struct engine *e)
{
    struct net_listener *listener;
    struct net_conn *conn;
    unsigned ready;
    while ((conn = net_take_accepted(e->loop, &listener)) != NULL) {
        if (kind_of(net_listener_owner(listener)) == RECEIVE_KIND)
            receive_on_accepted(e->receive, conn, listener, e->now_ms, e->wall_ms);
        else
            control_on_accepted(e->control, conn);
    }
    while ((conn = net_take_ready(e->loop, &ready)) != NULL) {
        void *owner = net_owner(conn);
        if (kind_of(owner) == RECEIVE_KIND)
            receive_on_ready(e->receive, owner, ready, e->now_ms, e->wall_ms);
        else if (kind_of(owner) == SHARD_CONN_KIND)
            shard_on_ready(e->shards[0].shard, owner, ready, e->now_ms);
        else
            control_on_ready(owner, ready);
    }
}

static void take_commits(struct engine *e)
{
    struct intake_done done;
    while (intake_take_done(e->intake, &done, e->now_ms, e->wall_ms)) {
        if (done.owner == NULL)
            continue;
        if (kind_of(done.owner) == REPORTS_KIND)
            reports_on_done(e->reports, &done, e->now_ms, e->wall_ms);
        else if (kind_of(done.owner) == LOCAL_KIND)
            local_done(&e->local, &done);
        else
            receive_on_done(e->receive, &done);
    }
    engine_take_facts(e);
}

static struct message *message_from(const struct spool_recovered *found)
{
    const struct spool_entry *entry = &found->entry;
    struct message *m               = message_new(entry->id, &entry->envelope);
    message_set_flow(m, span_of(entry->flow));
    m->arrival_wall_ms = entry->arrival_wall_ms;
    m->is_report       = entry->is_report;
    m->content         = found->content;
    return m;
}

/* A clock that stepped back must not stretch a wait beyond the longest interval, nor a lifetime
 * beyond its length. */
static uint64_t clipped(uint64_t until_wall_ms, uint64_t wall_ms, uint64_t max_ms)
{
    uint64_t left = until_wall_ms > wall_ms ? until_wall_ms - wall_ms : 0;
    return left < max_ms ? left : max_ms;
}

static void restore_rcpt(struct engine *e, struct recipient *r, const struct spool_rcpt *rcpt)
{
    r->state    = (uint8_t)rcpt->state;
    r->attempts = rcpt->attempts;
    if (rcpt->attempts == 0 && rcpt->last.wall_ms == 0)
        return; /* it was never tried */
    struct attempt_note *note = attempt_note_like(e->recovered_note, &rcpt->last);
    recipient_set_last(r, note);
    attempt_note_release(e->recovered_note);
    e->recovered_note = note;
}

static uint64_t longest_wait_ms(const struct engine *e)
{
    const struct retry_policy *retry = &e->settings->policy.retry;
    return retry->intervals_ms[retry->interval_count - 1] * 2;
}

/* Returns what queue_accept() and queue_restore() want to know of them: mem_free() it. */
static uint64_t *add_rcpts(struct engine *e, struct message *m, const struct spool_recovered *found)
{
    uint64_t wait_max = longest_wait_ms(e);
    uint64_t *due_in  = mem_new_array(found->given, sizeof *due_in);
    for (size_t i = 0; i < found->given; i++) {
        const struct spool_rcpt *rcpt = &found->rcpts[i];
        uint32_t index                = message_add_rcpt(m, &rcpt->envelope); /* may move them */
        must(index == found->first + i);
        restore_rcpt(e, message_rcpt(m, index), rcpt);
        due_in[i] = clipped(rcpt->next_wall_ms, e->wall_ms, wait_max);
    }
    return due_in;
}

static void requeue_first(struct engine *e, const struct spool_recovered *found)
{
    struct message *m = message_from(found);
    uint64_t until    = found->entry.expire_wall_ms;
    uint64_t lifetime = until - found->entry.arrival_wall_ms;
    uint64_t *due_in  = add_rcpts(e, m, found);
    m->is_open        = !found->is_last || found->entry.is_growing;
    queue_accept(e->queue, m, clipped(until, e->wall_ms, lifetime), due_in, e->now_ms);
    mem_free(due_in);
}

/* Those before may be on their way, or have arrived. */
static void requeue_next(struct engine *e, const struct spool_recovered *found)
{
    struct message *m = queue_find(e->queue, found->entry.id);
    must(m != NULL && m->is_open);
    queue_grow(e->queue, m);
    uint64_t *due_in = add_rcpts(e, m, found);
    queue_restore(e->queue, m, (uint32_t)found->first, due_in, e->now_ms);
    mem_free(due_in);
}

/* All of it is loaded: the list goes on with it, or it is whole. */
static void end_requeue(struct engine *e, const struct spool_recovered *found)
{
    struct message *m = queue_find(e->queue, found->entry.id);
    if (found->entry.is_growing)
        intake_note_growing(e->intake, m, found->entry.cursor);
    else if (m != NULL && m->is_open)
        queue_close_message(e->queue, m, e->now_ms);
}

static void requeue(struct engine *e, const struct spool_recovered *found)
{
    if (found->first == 0)
        requeue_first(e, found);
    else
        requeue_next(e, found);
    if (found->is_last)
        end_requeue(e, found);
}

static void log_recovery(struct engine *e)
{
    struct spool_recovery r;
    spool_recovery(e->spool, &r);
    event_begin(&e->log, EVENT_SPOOL_RECOVERED, e->wall_ms);
    event_number(&e->log, "messages", r.messages);
    event_number(&e->log, "rcpts", r.recipients);
    event_number(&e->log, "segments", r.segments);
    event_number(&e->log, "torn_bytes", r.torn_bytes);
    event_number(&e->log, "corrupt_records", r.corrupt_records);
    event_number(&e->log, "dropped_drafts", r.dropped_drafts);
    event_end(&e->log);
}

/* A bounded slice: deliveries begin, and mail is taken, while the rest is still to be loaded.
 * Returns whether there is more. */
static bool recover_some(struct engine *e)
{
    struct spool_recovered found;
    for (size_t cost = 0; !e->has_recovered && cost < RECOVERED_COST_MAX;) {
        if (spool_take_recovered(e->spool, &found)) {
            requeue(e, &found);
            cost += RECOVERED_MESSAGE_COST + found.given;
            continue;
        }
        e->has_recovered = true;
        attempt_note_release(e->recovered_note);
        e->recovered_note = NULL;
        log_recovery(e);
    }
    return !e->has_recovered;
}

static void give_jobs(struct engine *e)
{
    struct job *job;
    if (e->phase != ENGINE_RUNNING)
        return;
    while ((job = queue_next_job(e->queue, e->now_ms)) != NULL) {
        must(job->shard < e->shard_count);
        job->content_bytes = content_bytes(job->content);
        e->jobs_out++;
        if (job->target->is_local)
            local_give(&e->local, job);
        else
            list_push(&e->shards[job->shard].jobs, &job->link);
    }
    for (unsigned i = 0; i < e->shard_count; i++)
        if (!list_is_empty(&e->shards[i].jobs))
            shard_give(e->shards[i].shard, &e->shards[i].jobs);
}

static void describe_rcpt(struct engine *e, const struct message *m, uint32_t index,
                          struct spool_rcpt *rcpt)
{
    const struct recipient *r = message_rcpt(m, index);
    struct queue_row row;
    queue_describe(e->queue, m, index, e->now_ms, &row);
    *rcpt = (struct spool_rcpt){
        .envelope     = recipient_envelope(r),
        .state        = r->state,
        .attempts     = r->attempts,
        .next_wall_ms = e->wall_ms + row.next_in_ms,
        .last         = {.text = "", .mx = ""},
    };
    if (r->last != NULL)
        rcpt->last = r->last->attempt;
}

static void answer_checkpoint(struct engine *e, uint64_t id, uint32_t first, uint32_t asked)
{
    struct message *m        = queue_find(e->queue, id);
    struct spool_rcpt *rcpts = mem_new_array(asked, sizeof *rcpts);
    uint32_t *indexes        = mem_new_array(asked, sizeof *indexes);
    uint32_t count           = 0;
    for (uint32_t i = first; m != NULL && i < first + asked && i < m->rcpt_count; i++)
        if (message_rcpt(m, i)->state != RCPT_ENDED) {
            describe_rcpt(e, m, i, &rcpts[count]);
            indexes[count++] = i;
        }
    spool_put_checkpoint(e->spool, id, indexes, rcpts, count);
    mem_free(rcpts);
    mem_free(indexes);
}

static uint64_t turn_spool(struct engine *e)
{
    struct buf alarm = {0};
    uint64_t id;
    uint32_t first, count;
    while (spool_wants_checkpoint(e->spool, &id, &first, &count))
        answer_checkpoint(e, id, first, count);
    uint64_t next = spool_turn(e->spool, e->now_ms);
    while (spool_take_alarm(e->spool, &alarm)) {
        engine_warn(e, EVENT_SPOOL_ERROR, buf_text(&alarm));
        buf_clear(&alarm);
    }
    buf_release(&alarm);
    if (spool_is_broken(e->spool))
        engine_begin_stop(e, EX_IOERR);
    return next;
}

/* One write a turn.  A log that cannot be written must not stop the mail. */
static void flush_log(struct engine *e)
{
    struct buf *pending = &e->log.pending;
    size_t done         = 0;
    while (e->log_fd >= 0 && done < pending->len) {
        ssize_t n = write(e->log_fd, pending->at + done, pending->len - done);
        if (n < 0 && errno != EINTR)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    if (e->log_fd >= 0) {
        if (pending->cap > LOG_BYTES_KEPT)
            buf_release(pending);
        buf_clear(pending);
    }
}

static void keep_earlier(uint64_t *next, uint64_t candidate)
{
    if (candidate < *next)
        *next = candidate;
}

/* The only shard has no thread: its turn is part of ours. */
static uint64_t turn_shard(struct engine *e)
{
    return e->has_inner_shard ? shard_turn(e->shards[0].shard, e->now_ms) : LOOP_NEVER;
}

/* After a large mailing, in a few steps: each time half of what the queue held has gone. */
static void give_memory_back(struct engine *e)
{
    size_t bytes = queue_memory_bytes(e->queue);
    if (bytes > e->memory_peak)
        e->memory_peak = bytes;
    if (e->memory_peak <= MEMORY_KEPT_BYTES || bytes > e->memory_peak / 2)
        return;
    mem_give_back();
    e->memory_peak = bytes;
}

static void tell_long_turn(struct engine *e, uint64_t took_ms)
{
    if (e->now_ms < e->long_turn_due_ms)
        return;
    event_begin(&e->log, EVENT_LONG_TURN, e->wall_ms);
    event_number(&e->log, "took_ms", took_ms);
    event_number(&e->log, "turns", e->long_turns.count - e->long_turns_told);
    event_end(&e->log);
    e->long_turns_told  = e->long_turns.count;
    e->long_turn_due_ms = e->now_ms + LONG_TURN_LINE_MS;
}

/* Everybody had to wait.  Returns whether it was one. */
static bool note_long_turn(struct engine *e)
{
    struct long_turns *turns = &e->long_turns;
    uint64_t took_ms         = loop_turn_ms(e->loop);
    if (took_ms <= LONG_TURN_MS)
        return false;
    turns->count++;
    turns->longest_ms = took_ms > turns->longest_ms ? took_ms : turns->longest_ms;
    tell_long_turn(e, took_ms);
    return true;
}

static uint64_t work(struct engine *e, uint64_t now_ms)
{
    e->now_ms     = now_ms;
    e->wall_ms    = loop_wall_ms(e->loop);
    uint64_t next = router_turn(e->router, now_ms);
    engine_take_signals(e);
    engine_take_orders(e);
    take_commits(e); /* clients wait for these */
    take_connections(e);
    spool_submit(e->spool, now_ms); /* it syncs while we deliver */
    keep_earlier(&next, turn_shard(e));
    keep_earlier(&next, local_turn(&e->local, now_ms, e->wall_ms));
    (void)take_jobs_home(e);
    keep_earlier(&next, receive_turn(e->receive, now_ms, e->wall_ms));
    keep_earlier(&next, intake_turn(e->intake, now_ms));
    keep_earlier(&next, control_turn(e->control, now_ms, e->wall_ms));
    keep_earlier(&next, queue_turn(e->queue, now_ms, e->wall_ms));
    if (recover_some(e)) /* behind queue_turn(), which tells the queue the time */
        next = now_ms;
    router_pump(e->router, now_ms);
    engine_take_facts(e);
    give_jobs(e);
    engine_take_facts(e);
    keep_earlier(&next, turn_shard(e));
    if (take_jobs_home(e))
        next = now_ms;                            /* others may start in their place */
    keep_earlier(&next, queue_next_ms(e->queue)); /* jobs and reports have set clocks */
    keep_earlier(&next, turn_spool(e));
    keep_earlier(&next, engine_move_stop(e));
    flush_log(e);
    give_memory_back(e);
    return next;
}

static uint64_t engine_turn(void *owner, uint64_t now_ms)
{
    struct engine *e = owner;
    uint64_t next    = work(e, now_ms);
    return note_long_turn(e) ? now_ms : next; /* the line is written with the next turn */
}

/* --- its life --- */

static bool open_shard(struct engine *e, unsigned index, uint64_t seed, struct buf *error)
{
    struct shard_config config = {
        .index       = index,
        .loop        = e->has_inner_shard ? e->loop : NULL,
        .settings    = &e->settings->config->deliver,
        .dns         = e->settings->dns,
        .seed        = seed,
        .home        = e->home,
        .orders_home = e->orders_home,
    };
    struct engine_shard *s = &e->shards[index];
    s->shard               = shard_open(&config, error);
    if (s->shard == NULL)
        return false;
    e->shard_count++;
    return true;
}

static bool open_shards(struct engine *e, struct rng *seeds, struct buf *error)
{
    unsigned count = e->settings->policy.shards;
    for (unsigned i = 0; i < count; i++)
        if (!open_shard(e, i, rng_next(seeds), error))
            return false;
    return true;
}

static bool open_listeners(struct engine *e, struct buf *error)
{
    static const enum receive_tls tls[]    = {[LISTEN_TLS_NONE]     = RECEIVE_TLS_NONE,
                                              [LISTEN_TLS_STARTTLS] = RECEIVE_TLS_STARTTLS,
                                              [LISTEN_TLS_IMPLICIT] = RECEIVE_TLS_IMPLICIT};
    static const enum receive_role roles[] = {[ROLE_RELAY]      = RECEIVE_RELAY,
                                              [ROLE_SUBMISSION] = RECEIVE_SUBMISSION,
                                              [ROLE_INBOUND]    = RECEIVE_INBOUND};
    const struct config *config            = e->settings->config;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *l = &config->listeners[i];
        if (receive_listen(e->receive, &l->address, roles[l->role], tls[l->tls], error) != OK)
            return false;
    }
    return true;
}

static bool open_control(struct engine *e, struct buf *error)
{
    struct shard *shards[ENGINE_SHARDS_MAX];
    for (unsigned i = 0; i < e->shard_count; i++)
        shards[i] = e->shards[i].shard;
    struct control_world world = {
        .loop            = e->loop,
        .queue           = e->queue,
        .spool           = e->spool,
        .receive         = e->receive,
        .shards          = shards,
        .shard_count     = e->shard_count,
        .config          = e->settings->config,
        .long_turns      = &e->long_turns,
        .tokens          = &e->tokens,
        .started_wall_ms = loop_wall_ms(e->loop),
    };
    e->control = control_open(&world, e->settings->config->control, error);
    return e->control != NULL;
}

/* New mail comes in while what was found is still loaded. */
static void note_ids(struct engine *e)
{
    struct spool_recovery r;
    spool_recovery(e->spool, &r);
    intake_note_id(e->intake, r.last_id);
}

static bool open_parts(struct engine *e, struct rng *seeds, struct buf *error)
{
    struct settings *s = e->settings;
    if (spool_open(&e->spool, e->loop, &s->spool, error) != OK)
        return false;
    e->queue  = queue_new(&s->policy, rng_next(seeds));
    e->router = router_open(e->loop, e->queue, &s->dns, &s->router, error);
    if (e->router == NULL)
        return false;
    e->intake = intake_new(e->spool, e->queue, &e->log, &s->intake);
    note_ids(e);
    e->reports = reports_new(e->queue, e->intake, &e->log, &s->reports, &e->tokens);
    e->receive = receive_open(e->loop, e->intake, &e->log, &s->receive);
    return receive_set_settings(e->receive, &s->receive, error) == OK &&
           open_shards(e, seeds, error) && open_control(e, error) && open_listeners(e, error);
}

static void start_threads(struct engine *e)
{
    for (unsigned i = 0; i < e->shard_count && !e->has_inner_shard; i++)
        e->shards[i].thread = thread_start("shard", shard_run, e->shards[i].shard);
}

static void log_started(struct engine *e)
{
    event_begin(&e->log, EVENT_STARTED, loop_wall_ms(e->loop));
    event_text(&e->log, "version", span_of(MAILRACE_VERSION));
    event_text(&e->log, "hostname", span_of(e->settings->config->hostname));
    event_number(&e->log, "threads", e->shard_count);
    event_end(&e->log);
}

void engine_complete_settings(struct engine *e, struct settings *settings)
{
    settings->receive.sink = settings->reports.sink = e->sink;
}

void engine_use_tokens(struct engine *e)
{
    const unsigned char *key = e->settings->config->deliver.token_key;
    tokens_free(e->tokens);
    e->tokens = key == NULL ? NULL : tokens_new(key);
}

struct engine *engine_open(const struct engine_options *options, struct buf *error)
{
    struct rng seeds;
    struct engine *e = mem_new(sizeof *e);
    rng_seed(&seeds, options->seed);
    e->config_file = options->config_file;
    e->log_fd      = options->log_fd;
    unsigned cores = thread_cores();
    unsigned count = options->config->delivery_threads;
    if (count == 0)
        count = cores < 8 ? cores : 8;
    must(count > 0 && count <= ENGINE_SHARDS_MAX);
    e->settings = settings_new((struct config *)options->config, count);
    e->sink     = options->sink;
    engine_complete_settings(e, e->settings);
    engine_use_tokens(e);
    local_init(&e->local, options->taker);
    if (options->segment_bytes > 0)
        e->settings->spool.segment_bytes = options->segment_bytes;
    event_log_init(&e->log, options->config->log_format, options->config->log_level);
    e->loop            = loop_open(engine_turn, e);
    e->has_inner_shard = count == 1;
    e->home            = mailbox_open(e->has_inner_shard ? NULL : e->loop);
    e->orders_home     = mailbox_open(e->loop);
    if (!open_parts(e, &seeds, error)) {
        engine_close(e);
        return NULL;
    }
    if (options->starts_threads)
        start_threads(e);
    log_started(e);
    return e;
}

int engine_run(struct engine *e)
{
    loop_catch_signals(e->loop);
    loop_run(e->loop);
    return e->exit_code;
}

static void close_shards(struct engine *e)
{
    for (unsigned i = 0; i < e->shard_count; i++)
        if (e->shards[i].thread != NULL)
            thread_join(e->shards[i].thread);
    local_stop(&e->local);
    take_jobs_home(e);
    for (unsigned i = 0; i < e->shard_count; i++)
        shard_close(e->shards[i].shard);
}

/* The queue's contents are the spool's: only the references go. */
static void release_contents(struct engine *e)
{
    size_t cursor = 0;
    struct message *m;
    while ((m = queue_each_message(e->queue, &cursor)) != NULL) {
        content_release(m->content);
        m->content = NULL;
    }
}

static void free_settings(struct engine *e)
{
    struct list *node;
    while ((node = list_take(&e->old_settings)) != NULL)
        settings_free(CONTAINER_OF(node, struct settings, link));
    settings_free(e->settings);
}

void engine_close(struct engine *e)
{
    if (e->control != NULL)
        control_close(e->control);
    if (e->receive != NULL)
        receive_close(e->receive);
    if (e->queue != NULL)
        close_shards(e);
    if (e->reports != NULL)
        reports_free(e->reports);
    if (e->intake != NULL)
        intake_free(e->intake);
    if (e->router != NULL)
        router_close(e->router);
    attempt_note_release(e->recovered_note);
    if (e->queue != NULL) {
        release_contents(e);
        queue_free(e->queue);
    }
    if (e->spool != NULL)
        spool_close(e->spool);
    mailbox_close(e->home);
    mailbox_close(e->orders_home);
    loop_close(e->loop);
    flush_log(e);
    event_log_release(&e->log);
    tokens_free(e->tokens);
    free_settings(e);
    mem_free(e);
}

struct event_log *engine_log(struct engine *e)
{
    return &e->log;
}

struct queue *engine_queue(struct engine *e)
{
    return e->queue;
}

struct intake *engine_intake(struct engine *e)
{
    return e->intake;
}

struct spool *engine_spool(struct engine *e)
{
    return e->spool;
}

struct loop *engine_loop(struct engine *e)
{
    return e->loop;
}

bool engine_has_stopped(const struct engine *e)
{
    return e->phase == ENGINE_STOPPED;
}
