/* SPDX-License-Identifier: MIT */
/*
 * Pool: the connections one shard holds to one site, and the jobs that wait for one.
 *
 * busy + idle + quitting <= the limit of its group, and every session is in exactly one of these
 * lists.  A session is born in pool_pump(), rests in idle, carries a job in busy, says good-bye in
 * quitting, and dies only at the end of a turn (shard.c).  Sites that share an operator's limits
 * share a group.
 */
#pragma once
#include "mta/base/heap.h"
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/queue/job.h"

struct session;
struct shard;

/*
 * Jobs wait for a busy session, to ride behind what it has, rather than for a new connection; and
 * for one that answers, not longer than this.  One that is still being dialled is as good: whatever
 * is dialled behind it comes later, and a first connection to a host leaves the TLS session that
 * the second one resumes.
 */
enum { POOL_PATIENCE_MS = 1000 };

struct pool_group {
    struct table_node by_id;
    uint64_t id;
    unsigned sessions; /* open or being opened */
    unsigned limit;
    struct list pools;
};

struct pool {
    struct table_node by_id;
    uint64_t site_id;
    struct shard *shard;
    struct pool_group *group;
    struct list in_group, in_runnable, in_suspects;
    struct site_limits limits; /* as the newest job said */
    unsigned window;           /* sessions the site may have now, likewise */
    unsigned sessions;         /* open or being opened */
    struct heap_node patience; /* jobs that wait for a busy session do so until then */
    struct list jobs;          /* waiting for a session */
    struct list busy, idle, quitting;
};

/* Takes a job from the engine. */
void pool_take(struct shard *shard, struct job *job);
/* A job that a session could not even begin: first in line for another one. */
void pool_put_back(struct pool *pool, struct job *job);
/* A job to ride behind what the session has in hand; NULL: none waits that should. */
struct job *pool_next_job(struct session *session);
/* It has more sessions than it may have now. */
bool pool_is_crowded(const struct pool *pool);
/* Starts what the limits allow. */
void pool_pump(struct pool *pool);
/* Something changed that may let this pool, or another of its group, start more. */
void pool_wake(struct pool *pool);

/* The session is connected and has nothing to do. */
void pool_rest(struct session *session);
void pool_let_go(struct session *session); /* it has begun to quit */
/* One more connection for the time of its dialling, if the limits leave a place; then it is given
 * back. */
bool pool_lend_place(struct pool *pool);
void pool_return_place(struct pool *pool);
/* The session is dead: its place is free. */
void pool_forget(struct session *session);
/* The site is in trouble: what waits goes home undecided, and the queue decides anew. */
void pool_send_home(struct pool *pool);
/* Gives all waiting jobs home, undecided, and lets idle sessions quit. */
void pool_drain(struct pool *pool);
/* Those whose jobs have waited long enough for a busy session are looked at again. */
void pools_lose_patience(struct shard *shard);
/* The end of a turn: pools with nothing in them are freed, only here. */
void pools_sweep(struct shard *shard);
