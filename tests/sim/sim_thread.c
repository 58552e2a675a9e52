/* SPDX-License-Identifier: MIT */
/*
 * A worker is an event: each piece of work happens at once, some time after it was given, one after
 * the other.  A crash may fall into it, at each of its disk operations.  A crew does at once what
 * it is given: nobody in a simulated world asks it for anything.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/crew.h"
#include "mta/sys/loop.h"
#include "tests/sim/sim_daemon.h"
#include "tests/sim/sim_world.h"

enum { CORES = 2 };

struct worker {
    struct loop *home;
    struct list todo, done;
    struct sim_event next;
};

struct thread *thread_start(const char *name, void (*run)(void *argument), void *argument)
{
    (void)name, (void)run, (void)argument;
    must(false); /* the world is one thread */
    return NULL;
}

void thread_join(struct thread *thread)
{
    (void)thread;
    must(false);
}

unsigned thread_cores(void)
{
    return CORES;
}

static void work_on(struct worker *worker)
{
    if (!list_is_empty(&worker->todo) && !sim_is_due(&worker->next))
        sim_after(&worker->next, sim_below(sim()->plan->faults.disk_ms_max + 1));
}

static void do_one(void *data)
{
    struct worker *worker = data;
    struct list *link     = list_first(&worker->todo);
    struct work *work     = CONTAINER_OF(link, struct work, link);
    work->run(work);
    list_move(&worker->done, link);
    loop_wake(worker->home);
    work_on(worker);
}

static void on_next(struct sim_event *event)
{
    (void)daemon_enter(do_one, CONTAINER_OF(event, struct worker, next));
}

struct worker *worker_open(struct loop *home, const char *name)
{
    (void)name;
    struct worker *worker = mem_new(sizeof *worker);
    worker->home          = home;
    sim_event_init(&worker->next, on_next, true);
    return worker;
}

void worker_close(struct worker *worker)
{
    while (!list_is_empty(&worker->todo))
        do_one(worker);
    while (worker_take(worker) != NULL)
        ; /* unlinked, so that the owner may free it */
    sim_cancel(&worker->next);
    mem_free(worker);
}

void worker_give(struct worker *worker, struct work *work)
{
    list_push(&worker->todo, &work->link);
    work_on(worker);
}

struct work *worker_take(struct worker *worker)
{
    struct list *link = list_take(&worker->done);
    return link == NULL ? NULL : CONTAINER_OF(link, struct work, link);
}

struct crew {
    struct loop *home;
    struct list done;
};

struct crew *crew_open(struct loop *home, unsigned hands)
{
    (void)hands;
    struct crew *crew = mem_new(sizeof *crew);
    crew->home        = home;
    return crew;
}

void crew_close(struct crew *crew)
{
    while (crew_take(crew) != NULL)
        continue;
    mem_free(crew);
}

void crew_give(struct crew *crew, struct work *work)
{
    work->run(work);
    list_push(&crew->done, &work->link);
    loop_wake(crew->home);
}

struct work *crew_take(struct crew *crew)
{
    struct list *link = list_take(&crew->done);
    return link == NULL ? NULL : CONTAINER_OF(link, struct work, link);
}

size_t crew_load(const struct crew *crew)
{
    (void)crew;
    return 0;
}
