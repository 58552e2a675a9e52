/* SPDX-License-Identifier: MIT */
/*
 * Workers that run when the test says so, and a wall clock that stands still.  Included by one file
 * of a program; its functions stand in place of thread_uv.c and of the loop's clock.
 */
#pragma once
#include "mta/base/rng.h"
#include "mta/sys/loop.h"
#include "mta/sys/thread.h"

enum { FAKE_WORKERS = 2 };

struct worker {
    struct list todo, done;
    bool is_open;
};
static struct worker fake_workers[FAKE_WORKERS];

struct worker *worker_open(struct loop *home, const char *name)
{
    (void)home;
    (void)name;
    for (int i = 0; i < FAKE_WORKERS; i++)
        if (!fake_workers[i].is_open) {
            list_init(&fake_workers[i].todo);
            list_init(&fake_workers[i].done);
            fake_workers[i].is_open = true;
            return &fake_workers[i];
        }
    return NULL;
}

/* One piece of work; false: there is none. */
static bool fake_worker_step(struct worker *worker)
{
    struct list *link = list_take(&worker->todo);
    if (link == NULL)
        return false;
    struct work *work = CONTAINER_OF(link, struct work, link);
    work->run(work);
    list_push(&worker->done, link);
    return true;
}

void worker_close(struct worker *worker)
{
    while (fake_worker_step(worker))
        continue;
    while (worker_take(worker) != NULL)
        continue;
    worker->is_open = false;
}

void worker_give(struct worker *worker, struct work *work)
{
    list_push(&worker->todo, &work->link);
}

struct work *worker_take(struct worker *worker)
{
    struct list *link = list_take(&worker->done);
    return link == NULL ? NULL : CONTAINER_OF(link, struct work, link);
}

static uint64_t fake_wall_ms = 1000000;

uint64_t loop_wall_ms(const struct loop *loop)
{
    (void)loop;
    return fake_wall_ms;
}

/* One piece of work of either thread. */
static inline bool fake_step(struct rng *rng)
{
    size_t first = (size_t)rng_below(rng, FAKE_WORKERS);
    for (size_t i = 0; i < FAKE_WORKERS; i++)
        if (fake_workers[(first + i) % FAKE_WORKERS].is_open &&
            fake_worker_step(&fake_workers[(first + i) % FAKE_WORKERS]))
            return true;
    return false;
}
