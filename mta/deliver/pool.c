/* SPDX-License-Identifier: MIT */
#include "mta/deliver/pool.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/deliver/session.h"
#include "mta/deliver/world.h"

static struct span id_key(const uint64_t *id)
{
    return span_make((const char *)id, sizeof *id);
}

static struct pool_group *group_meet(struct shard *shard, uint64_t id)
{
    struct table_node *node = table_find(&shard->groups, id_key(&id));
    if (node != NULL)
        return CONTAINER_OF(node, struct pool_group, by_id);
    struct pool_group *group = mem_new(sizeof *group);
    group->id                = id;
    list_init(&group->pools);
    table_insert(&shard->groups, &group->by_id, id_key(&group->id));
    return group;
}

static struct pool *pool_meet(struct shard *shard, const struct job *job)
{
    struct table_node *node = table_find(&shard->pools, id_key(&job->site_id));
    if (node != NULL)
        return CONTAINER_OF(node, struct pool, by_id);
    struct pool *pool = mem_new(sizeof *pool);
    pool->site_id     = job->site_id;
    pool->shard       = shard;
    pool->group       = group_meet(shard, job->group_id);
    list_push(&pool->group->pools, &pool->in_group);
    table_insert(&shard->pools, &pool->by_id, id_key(&pool->site_id));
    return pool;
}

static bool is_empty(const struct pool *pool)
{
    return list_is_empty(&pool->jobs) && list_is_empty(&pool->busy) && list_is_empty(&pool->idle) &&
           list_is_empty(&pool->quitting);
}

static void pool_free(struct pool *pool)
{
    struct pool_group *group = pool->group;
    table_remove(&pool->shard->pools, &pool->by_id);
    list_remove(&pool->in_group);
    list_remove(&pool->in_runnable);
    if (list_is_empty(&group->pools)) {
        must(group->sessions == 0);
        table_remove(&pool->shard->groups, &group->by_id);
        mem_free(group);
    }
    mem_free(pool);
}

/* It may be empty now; pools_sweep() looks. */
static void suspect(struct pool *pool)
{
    if (!list_is_linked(&pool->in_suspects))
        list_push(&pool->shard->suspects, &pool->in_suspects);
}

void pools_sweep(struct shard *shard)
{
    struct list *node;
    while ((node = list_take(&shard->suspects)) != NULL) {
        struct pool *pool = CONTAINER_OF(node, struct pool, in_suspects);
        if (is_empty(pool))
            pool_free(pool);
    }
}

static void make_runnable(struct pool *pool)
{
    if (!list_is_linked(&pool->in_runnable))
        list_push(&pool->shard->runnable, &pool->in_runnable);
}

void pool_take(struct shard *shard, struct job *job)
{
    struct pool *pool  = pool_meet(shard, job);
    pool->limits       = job->limits;
    pool->group->limit = job->limits.connections;
    list_push(&pool->jobs, &job->link);
    make_runnable(pool);
}

void pool_put_back(struct pool *pool, struct job *job)
{
    if (pool->shard->is_draining) {
        list_push(&pool->shard->done, &job->link); /* undecided: it stays in the queue */
        return;
    }
    list_push_front(&pool->jobs, &job->link);
    make_runnable(pool);
}

void pool_wake(struct pool *pool)
{
    struct list *pools = &pool->group->pools;
    for (struct list *n = list_first(pools); n != NULL; n = list_next(pools, n)) {
        struct pool *other = CONTAINER_OF(n, struct pool, in_group);
        if (!list_is_empty(&other->jobs))
            make_runnable(other);
    }
}

static struct session *in_pool_first(struct list *list)
{
    struct list *node = list_first(list);
    return node == NULL ? NULL : CONTAINER_OF(node, struct session, in_pool);
}

/* All places of the group are taken, and some of them by sessions to other sites that only rest. */
static void make_room(struct pool *pool)
{
    struct list *pools = &pool->group->pools;
    for (struct list *n = list_first(pools); n != NULL; n = list_next(pools, n)) {
        struct session *rests = in_pool_first(&CONTAINER_OF(n, struct pool, in_group)->idle);
        if (rests != NULL) {
            session_quit(rests);
            return;
        }
    }
}

void pool_pump(struct pool *pool)
{
    while (!list_is_empty(&pool->jobs)) {
        struct session *rested = in_pool_first(&pool->idle);
        if (rested == NULL && pool->group->sessions >= pool->group->limit) {
            make_room(pool);
            break;
        }
        struct job *job = CONTAINER_OF(list_take(&pool->jobs), struct job, link);
        if (rested != NULL) {
            atomic_fetch_sub(&pool->shard->stats.idle, 1);
            list_move(&pool->busy, &rested->in_pool);
            session_carry(rested, job);
        } else {
            pool->group->sessions++;
            session_dial(pool, job);
        }
    }
    suspect(pool);
}

void pool_rest(struct session *session)
{
    struct pool *pool = session->pool;
    list_move(&pool->idle, &session->in_pool);
    atomic_fetch_add(&pool->shard->stats.idle, 1);
    if (!list_is_empty(&pool->jobs))
        make_runnable(pool);
    else if (pool->group->sessions >= pool->group->limit)
        pool_wake(pool);
}

void pool_let_go(struct session *session)
{
    if (session->state == SESSION_IDLE)
        atomic_fetch_sub(&session->shard->stats.idle, 1);
    list_move(&session->pool->quitting, &session->in_pool);
}

void pool_forget(struct session *session)
{
    struct pool *pool = session->pool;
    must(pool->group->sessions > 0);
    pool->group->sessions--;
    list_remove(&session->in_pool);
    session->pool = NULL;
    pool_wake(pool);
    suspect(pool);
}

void pool_send_home(struct pool *pool)
{
    list_splice(&pool->shard->done, &pool->jobs);
    suspect(pool);
}

void pool_drain(struct pool *pool)
{
    struct session *rested;
    pool_send_home(pool);
    while ((rested = in_pool_first(&pool->idle)) != NULL)
        session_quit(rested);
}
