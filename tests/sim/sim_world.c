/* SPDX-License-Identifier: MIT */
/*
 * The key of an event is its time and, behind that, a few bits of chance: events of the same
 * millisecond come in an order that the seed draws.
 */
#include "tests/sim/sim_world.h"
#include "mta/base/fault.h"
#include "tests/sim/sim_daemon.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_mem.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_peer.h"
#include "tests/sim/sim_source.h"

enum { CHANCE_BITS = 12, STEPS_MAX = 5000000 };

static struct world *the_world;

struct world *sim(void)
{
    return the_world;
}

/* --- chance --- */

uint64_t sim_below(uint64_t bound)
{
    return rng_below(&the_world->rng, bound);
}

uint64_t sim_between(uint64_t least, uint64_t most)
{
    return least + sim_below(most - least + 1);
}

bool sim_chance(unsigned permille)
{
    return permille > 0 && sim_below(1000) < permille;
}

/* --- events --- */

void sim_event_init(struct sim_event *event, void (*fire)(struct sim_event *event),
                    bool is_products)
{
    *event = (struct sim_event){.fire = fire, .is_products = is_products};
}

void sim_at(struct sim_event *event, uint64_t at_ms)
{
    uint64_t now_ms = the_world->now_ms;
    uint64_t key    = (at_ms > now_ms ? at_ms : now_ms) << CHANCE_BITS;
    heap_set(&the_world->events, &event->due, key | sim_below(1U << CHANCE_BITS));
    list_move(&the_world->scheduled, &event->in_world);
}

void sim_after(struct sim_event *event, uint64_t delay_ms)
{
    sim_at(event, the_world->now_ms + delay_ms);
}

void sim_cancel(struct sim_event *event)
{
    heap_remove(&the_world->events, &event->due);
    list_remove(&event->in_world);
}

bool sim_is_due(const struct sim_event *event)
{
    return list_is_linked(&event->in_world);
}

void sim_cancel_products(void)
{
    struct list *all = &the_world->scheduled, *next;
    for (struct list *n = list_first(all); n != NULL; n = next) {
        struct sim_event *event = CONTAINER_OF(n, struct sim_event, in_world);
        next                    = list_next(all, n);
        if (event->is_products)
            sim_cancel(event);
    }
}

static void step(void)
{
    struct heap_node *node = heap_take(&the_world->events, UINT64_MAX);
    if (node == NULL)
        sim_break("liveness", "nothing is left to happen, and the world has not come to its end");
    struct sim_event *event = CONTAINER_OF(node, struct sim_event, due);
    list_remove(&event->in_world);
    the_world->now_ms = node->key >> CHANCE_BITS;
    if (++the_world->steps > STEPS_MAX)
        sim_break("liveness", "the world does not come to its end");
    event->fire(event);
}

/* --- a world's life --- */

static void world_make(uint64_t seed, bool is_verbose)
{
    the_world             = world_new(sizeof *the_world);
    the_world->seed       = seed;
    the_world->is_verbose = is_verbose;
    the_world->trace.hash = 0xcbf29ce484222325;
    rng_seed(&the_world->rng, seed);
    rng_seed(&the_world->secret, ~seed);
    the_world->plan    = plan_new();
    the_world->disk    = disk_new();
    the_world->net     = net_new();
    the_world->oracle  = oracle_new();
    the_world->peers   = peers_new();
    the_world->sources = sources_new();
    the_world->daemon  = daemon_new();
}

uint64_t world_play(uint64_t seed, bool is_verbose)
{
    world_make(seed, is_verbose);
    while (!daemon_has_ended())
        step();
    oracle_close();
    uint64_t hash = the_world->trace.hash;
    the_world     = NULL;
    sim_mem_drop_world();
    return hash;
}
