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
    heap_remove(&pool->shard->patience, &pool->patience);
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
    pool->window       = job->window > 0 ? job->window : job->limits.connections;
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

static struct job *job_at(struct list *node)
{
    return CONTAINER_OF(node, struct job, link);
}

bool pool_is_crowded(const struct pool *pool)
{
    return pool->sessions > pool->window || pool->group->sessions > pool->group->limit;
}

/*
 * One that was moved already wants a connection of its own next.  And while others rest, or there
 * are too many, nobody has to wait behind another.
 */
struct job *pool_next_job(struct session *session)
{
    struct pool *pool  = session->pool;
    struct list *first = list_first(&pool->jobs);
    if (first == NULL || job_at(first)->dials > 0 || !list_is_empty(&pool->idle) ||
        !session_may_carry_more(session))
        return NULL;
    list_remove(first);
    return job_at(first);
}

static void carry(struct pool *pool, struct session *session)
{
    if (session->state == SESSION_IDLE) {
        atomic_fetch_sub(&pool->shard->stats.idle, 1);
        list_move(&pool->busy, &session->in_pool);
    }
    session_carry(session, job_at(list_take(&pool->jobs)));
}

static void carry_on_idle(struct pool *pool)
{
    struct session *rested;
    while (!list_is_empty(&pool->jobs) && (rested = in_pool_first(&pool->idle)) != NULL)
        carry(pool, rested);
}

/* How many of the jobs that wait will ride behind what busy sessions have; those that take one now
 * get it. */
static unsigned carry_behind(struct pool *pool)
{
    unsigned places = 0;
    struct list *next;
    for (struct list *n = list_first(&pool->busy); n != NULL; n = next) {
        struct session *session = CONTAINER_OF(n, struct session, in_pool);
        next                    = list_next(&pool->busy, n);
        if (list_is_empty(&pool->jobs) || job_at(list_first(&pool->jobs))->dials > 0)
            break;
        if (session_takes_next(session))
            carry(pool, session);
        else
            places += session_will_take_next(session);
    }
    return places;
}

/* The first job that will not ride behind another; NULL: all will. */
static struct list *first_to_dial_for(struct pool *pool, unsigned places)
{
    struct list *n = list_first(&pool->jobs);
    while (n != NULL && job_at(n)->dials == 0 && places-- > 0)
        n = list_next(&pool->jobs, n);
    return n;
}

/* A dial that fails at once may send all that wait home. */
static void dial_for_the_rest(struct pool *pool, unsigned places)
{
    struct list *n;
    while ((n = first_to_dial_for(pool, places)) != NULL && pool->sessions < pool->window) {
        if (pool->group->sessions >= pool->group->limit) {
            make_room(pool);
            return;
        }
        list_remove(n);
        pool->group->sessions++;
        pool->sessions++;
        places += session_will_take_next(session_dial(pool, job_at(n)));
    }
}

/* The site wants less of us than it did. */
static void shrink(struct pool *pool)
{
    struct session *rested;
    while (pool_is_crowded(pool) && (rested = in_pool_first(&pool->idle)) != NULL)
        session_quit(rested);
}

/* A job goes to a session that rests, or behind one that is busy but soon ready for the next, or to
 * a new one; in this order, for a new connection takes longest and costs the site most. */
void pool_pump(struct pool *pool)
{
    shrink(pool);
    carry_on_idle(pool);
    dial_for_the_rest(pool, carry_behind(pool));
    if (list_is_empty(&pool->jobs))
        heap_remove(&pool->shard->patience, &pool->patience);
    else if (pool->sessions < pool->window)
        heap_set(&pool->shard->patience, &pool->patience, pool->shard->now_ms + POOL_PATIENCE_MS);
    suspect(pool);
}

void pools_lose_patience(struct shard *shard)
{
    struct heap_node *node;
    while ((node = heap_take(&shard->patience, shard->now_ms)) != NULL)
        make_runnable(CONTAINER_OF(node, struct pool, patience));
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

bool pool_lend_place(struct pool *pool)
{
    if (pool->sessions >= pool->window || pool->group->sessions >= pool->group->limit)
        return false;
    pool->sessions++;
    pool->group->sessions++;
    return true;
}

void pool_return_place(struct pool *pool)
{
    must(pool->group->sessions > 0 && pool->sessions > 0);
    pool->group->sessions--;
    pool->sessions--;
    pool_wake(pool);
}

void pool_forget(struct session *session)
{
    struct pool *pool = session->pool;
    must(pool->group->sessions > 0 && pool->sessions > 0);
    pool->group->sessions--;
    pool->sessions--;
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
