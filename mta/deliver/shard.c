/* SPDX-License-Identifier: MIT */
#include "mta/deliver/shard.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/deliver/pool.h"
#include "mta/deliver/session.h"
#include "mta/deliver/world.h"
#include "mta/sys/loop.h"
#include "mta/sys/mailbox.h"

/* What the operator has given is read now, so that its errors are told at the start; the system's
 * certificates when somebody first asks for them, for most never do. */
static bool load_trust(struct shard *shard, struct buf *error)
{
    const char *ca_file = shard->settings->ca_file;
    if (ca_file == NULL)
        return true;
    shard->tls_required = tls_context_client(TLS_REQUIRED, ca_file, error);
    return shard->tls_required != NULL;
}

/* What this thread makes of the settings for itself. */
static void take_settings(struct shard *shard, const struct deliver_settings *settings)
{
    shard->settings = settings;
    signers_release(&shard->signers);
    signers_open(&shard->signers, settings->dkim, settings->dkim_count);
    tokens_free(shard->tokens);
    shard->tokens = settings->token_key == NULL ? NULL : tokens_new(settings->token_key);
}

struct shard *shard_open(const struct shard_config *config, struct buf *error)
{
    struct shard *shard = mem_new(sizeof *shard);
    shard->index        = config->index;
    shard->home         = config->home;
    shard->orders_home  = config->orders_home;
    rng_seed(&shard->rng, config->seed);
    take_settings(shard, config->settings);
    table_init(&shard->pools, rng_next(&shard->rng));
    table_init(&shard->groups, rng_next(&shard->rng));
    peers_init(&shard->peers, rng_next(&shard->rng));
    bodies_init(&shard->bodies, rng_next(&shard->rng));

    shard->has_thread        = config->loop == NULL;
    shard->loop              = shard->has_thread ? loop_open(shard_turn, shard) : config->loop;
    shard->inbox             = mailbox_open(shard->has_thread ? shard->loop : NULL);
    shard->orders            = mailbox_open(shard->loop);
    shard->dns               = dns_open(shard->loop, &config->dns, error);
    shard->tls_opportunistic = tls_context_client(TLS_OPPORTUNISTIC, NULL, error);
    if (shard->dns == NULL || shard->tls_opportunistic == NULL || !load_trust(shard, error)) {
        shard_close(shard);
        return NULL;
    }
    return shard;
}

void shard_run(void *shard)
{
    loop_run(((struct shard *)shard)->loop);
}

void shard_close(struct shard *shard)
{
    must(list_is_empty(&shard->sessions) && list_is_empty(&shard->done));
    if (shard->dns != NULL)
        dns_close(shard->dns);
    if (shard->tls_opportunistic != NULL)
        tls_context_release(shard->tls_opportunistic);
    if (shard->tls_required != NULL)
        tls_context_release(shard->tls_required);
    peers_release(&shard->peers);
    bodies_release(&shard->bodies);
    signers_release(&shard->signers);
    tokens_free(shard->tokens);
    table_release(&shard->pools);
    table_release(&shard->groups);
    buf_release(&shard->stuffed);
    mailbox_close(shard->inbox);
    mailbox_close(shard->orders);
    if (shard->has_thread)
        loop_close(shard->loop);
    mem_free(shard);
}

void shard_give(struct shard *shard, struct list *jobs)
{
    mailbox_post(shard->inbox, jobs);
}

void shard_tell(struct shard *shard, struct shard_order *order)
{
    struct list one = {0};
    list_push(&one, &order->link);
    mailbox_post(shard->orders, &one);
}

const struct shard_stats *shard_stats(const struct shard *shard)
{
    return &shard->stats;
}

/* --- the parts of a turn --- */

static void take_jobs(struct shard *shard)
{
    struct list jobs = {0}, *node;
    mailbox_drain(shard->inbox, &jobs);
    while ((node = list_take(&jobs)) != NULL) {
        if (shard->is_draining)
            list_push(&shard->done, node);
        else
            pool_take(shard, CONTAINER_OF(node, struct job, link));
    }
}

static void drain(struct shard *shard)
{
    size_t at = 0;
    struct table_node *node;
    shard->is_draining = true;
    while ((node = table_each(&shard->pools, &at)) != NULL)
        pool_drain(CONTAINER_OF(node, struct pool, by_id));
}

/* Nobody waits for an answer any more, so the resolver goes too. */
static void cut_all(struct shard *shard)
{
    dns_close(shard->dns);
    shard->dns = NULL;
    for (struct list *n = list_first(&shard->sessions); n != NULL;
         n              = list_next(&shard->sessions, n)) {
        struct session *session = CONTAINER_OF(n, struct session, in_shard);
        session->awaits_dns     = false;
        session_cut(session);
    }
}

static void carry_out(struct shard *shard, struct shard_order *order)
{
    const struct deliver_settings *old = shard->settings;
    switch (order->verb) {
    case SHARD_SETTINGS:
        take_settings(shard, order->settings);
        order->settings = old;
        break;
    case SHARD_DRAIN:
        drain(shard);
        break;
    case SHARD_STOP:
        drain(shard);
        cut_all(shard);
        shard->stop = order;
        return;
    }
    list_push(&shard->orders_done, &order->link);
}

static void take_orders(struct shard *shard)
{
    struct list orders = {0}, *node;
    mailbox_drain(shard->orders, &orders);
    while ((node = list_take(&orders)) != NULL)
        carry_out(shard, CONTAINER_OF(node, struct shard_order, link));
}

static void take_addresses(struct shard *shard)
{
    const struct address_result *result;
    while (shard->dns != NULL && (result = dns_take_addresses(shard->dns)) != NULL)
        session_on_addresses(session_of(result->tag), result);
}

static void take_ready(struct shard *shard)
{
    unsigned ready;
    struct net_conn *conn;
    while ((conn = net_take_ready(shard->loop, &ready)) != NULL)
        session_on_ready(session_of(net_owner(conn)), ready);
}

void shard_on_ready(struct shard *shard, void *owner, unsigned ready, uint64_t now_ms)
{
    shard->now_ms = now_ms;
    session_on_ready(session_of(owner), ready);
}

static void fire_deadlines(struct shard *shard)
{
    struct heap_node *node;
    while ((node = heap_take(&shard->deadlines, shard->now_ms)) != NULL)
        session_on_deadline(CONTAINER_OF(node, struct session, deadline));
}

static void pump_pools(struct shard *shard)
{
    struct list *node;
    while ((node = list_take(&shard->runnable)) != NULL)
        pool_pump(CONTAINER_OF(node, struct pool, in_runnable));
}

static void flush_home(struct shard *shard)
{
    if (!list_is_empty(&shard->done))
        mailbox_post(shard->home, &shard->done);
    if (!list_is_empty(&shard->orders_done))
        mailbox_post(shard->orders_home, &shard->orders_done);
}

/* Only here do sessions end; one whose name is still on a question to the resolver waits for the
 * answer. */
static void empty_graves(struct shard *shard)
{
    struct list waiting = {0}, *node;
    while ((node = list_take(&shard->graves)) != NULL) {
        struct session *session = CONTAINER_OF(node, struct session, grave);
        if (session->awaits_dns)
            list_push(&waiting, node);
        else
            session_free(session);
    }
    list_splice(&shard->graves, &waiting);
}

static void stop_if_empty(struct shard *shard)
{
    if (shard->stop == NULL || !list_is_empty(&shard->sessions))
        return;
    list_push(&shard->orders_done, &shard->stop->link);
    shard->stop = NULL;
    flush_home(shard);
    if (shard->has_thread)
        loop_stop(shard->loop);
}

/*
 * A look-up answered from the cache comes back in the same turn, and what comes of it may free a
 * place in a pool: so these two take turns until both rest.
 */
static void start_what_may(struct shard *shard)
{
    do {
        pump_pools(shard);
        take_addresses(shard);
    } while (!list_is_empty(&shard->runnable));
}

static uint64_t next_of(const struct heap *heap)
{
    const struct heap_node *next = heap_first(heap);
    return next == NULL ? LOOP_NEVER : next->key;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t shard_turn(void *owner, uint64_t now_ms)
{
    struct shard *shard = owner;
    shard->now_ms       = now_ms;
    uint64_t dns_ms     = shard->dns == NULL ? LOOP_NEVER : dns_turn(shard->dns, now_ms);
    take_orders(shard);
    take_jobs(shard);
    if (shard->has_thread)
        take_ready(shard);
    take_addresses(shard);
    fire_deadlines(shard);
    pools_lose_patience(shard);
    start_what_may(shard);
    flush_home(shard);
    empty_graves(shard);
    pools_sweep(shard);
    stop_if_empty(shard);
    dns_ms = earlier(dns_ms, bodies_turn(&shard->bodies, now_ms));
    return earlier(dns_ms, earlier(next_of(&shard->deadlines), next_of(&shard->patience)));
}
