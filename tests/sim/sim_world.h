/* SPDX-License-Identifier: MIT */
/*
 * World: one seed's virtual time, chance, events and trace.  One thread; everything that happens is
 * an event, and the order of events at the same time is drawn from the seed, like all else.
 *
 * The doors have no argument that could lead here, so there is one world at a time: sim().
 */
#pragma once
#include "mta/base/heap.h"
#include "mta/base/list.h"
#include "mta/base/rng.h"
#include "mta/base/span.h"

struct sim_daemon;
struct sim_disk;
struct sim_net;
struct sim_oracle;
struct sim_peers;
struct sim_plan;
struct sim_sources;

/* Lives in the thing it happens to. */
struct sim_event {
    struct heap_node due;
    struct list in_world; /* while it is due */
    void (*fire)(struct sim_event *event);
    bool is_products; /* in the product's memory: a crash takes it */
};

enum { TRACE_LINES = 60, TRACE_LINE_BYTES = 200 };

struct sim_trace {
    char lines[TRACE_LINES][TRACE_LINE_BYTES];
    uint64_t count, hash;
};

struct world {
    uint64_t seed, now_ms, steps;
    struct rng rng;    /* what happens */
    struct rng secret; /* clock_random() */
    struct heap events;
    struct list scheduled;
    struct list loops; /* the product's */
    struct sim_trace trace;
    bool is_verbose;

    struct sim_plan *plan;
    struct sim_disk *disk;
    struct sim_net *net;
    struct sim_daemon *daemon;
    struct sim_peers *peers;
    struct sim_sources *sources;
    struct sim_oracle *oracle;
};

struct world *sim(void);

/* Plays the seed to its end; returns the hash of its trace.  A broken promise exits. */
uint64_t world_play(uint64_t seed, bool is_verbose);

/* --- chance --- */
uint64_t sim_below(uint64_t bound);                  /* 0 .. bound-1 */
uint64_t sim_between(uint64_t least, uint64_t most); /* both included */
bool sim_chance(unsigned permille);

/* --- events --- */
void sim_event_init(struct sim_event *event, void (*fire)(struct sim_event *event),
                    bool is_products);
void sim_at(struct sim_event *event, uint64_t at_ms);
void sim_after(struct sim_event *event, uint64_t delay_ms);
void sim_cancel(struct sim_event *event);
bool sim_is_due(const struct sim_event *event);
/* A crash: what would happen to the product does not happen any more. */
void sim_cancel_products(void);

/* --- trace --- */
/* One line, into the ring and the hash. */
void sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A small step: into the hash only. */
void sim_mark(const char *what, uint64_t number);
/* Prints the seed, the last lines and the sentence, and exits with 1. */
_Noreturn void sim_break(const char *promise, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
