/* SPDX-License-Identifier: MIT */
/*
 * Only as many pieces as there are hands are given to libuv, so the pool's own queue stays empty:
 * what waits here can still be dropped, and somebody else's work finds a thread.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/crew.h"
#include "mta/sys/loop_uv.h"

struct hand {
    uv_work_t request;
    struct crew *crew;
    struct work *work; /* NULL: it is free */
};

struct crew {
    struct loop *home;
    struct list todo, done;
    size_t load;
    unsigned busy, count;
    struct hand hands[];
};

struct crew *crew_open(struct loop *home, unsigned hands)
{
    if (hands == 0)
        hands = (uv_available_parallelism() + 1) / 2;
    if (hands > CREW_HANDS_MAX)
        hands = CREW_HANDS_MAX;
    struct crew *crew = mem_new(sizeof *crew + hands * sizeof crew->hands[0]);
    crew->home        = home;
    crew->count       = hands;
    list_init(&crew->todo);
    list_init(&crew->done);
    for (unsigned i = 0; i < hands; i++)
        crew->hands[i].crew = crew;
    return crew;
}

/* A thread of the pool. */
static void run(uv_work_t *request)
{
    struct hand *hand = CONTAINER_OF(request, struct hand, request);
    hand->work->run(hand->work);
}

static void start(struct crew *crew);

static void on_done(uv_work_t *request, int status)
{
    struct hand *hand = CONTAINER_OF(request, struct hand, request);
    struct crew *crew = hand->crew;
    must(status == 0);
    list_push(&crew->done, &hand->work->link);
    hand->work = NULL;
    crew->busy--;
    crew->load--;
    loop_note(crew->home);
    start(crew);
}

static struct hand *free_hand(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        if (crew->hands[i].work == NULL)
            return &crew->hands[i];
    return NULL;
}

static void start(struct crew *crew)
{
    while (crew->busy < crew->count && !list_is_empty(&crew->todo)) {
        struct hand *hand = free_hand(crew);
        must(hand != NULL);
        hand->work = CONTAINER_OF(list_take(&crew->todo), struct work, link);
        crew->busy++;
        must(uv_queue_work(&crew->home->uv, &hand->request, run, on_done) == 0);
        loop_touch_uv(crew->home);
    }
}

void crew_give(struct crew *crew, struct work *work)
{
    list_push(&crew->todo, &work->link);
    crew->load++;
    start(crew);
}

struct work *crew_take(struct crew *crew)
{
    struct list *link = list_take(&crew->done);
    return link == NULL ? NULL : CONTAINER_OF(link, struct work, link);
}

size_t crew_load(const struct crew *crew)
{
    return crew->load;
}

void crew_close(struct crew *crew)
{
    while (list_take(&crew->todo) != NULL)
        continue;
    while (crew->busy > 0)
        (void)uv_run(&crew->home->uv, UV_RUN_ONCE);
    while (crew_take(crew) != NULL)
        continue;
    mem_free(crew);
}
