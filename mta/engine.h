/* SPDX-License-Identifier: MIT */
/*
 * Engine: the thread that owns all truth: it joins receive, spool, queue, router, reports, control
 * and the delivery shards in one turn.  main runs it on the real world; the simulator links the
 * same engine to its own.
 */
#pragma once
#include "mta/control/config.h"

struct engine;
struct local_taker;
struct sink;

struct engine_options {
    const struct config *config; /* taken over */
    const char *config_file;     /* read again on SIGHUP; NULL: no reload */
    uint64_t seed;
    bool starts_threads; /* false: whoever runs the loops runs those of the shards too */
    int log_fd;          /* where events go; -1: they gather, engine_log() */
    uint64_t
        segment_bytes; /* of the spool; 0: the default.  Small ones turn over often: for tests */
    const struct sink *sink;         /* mail for ourselves: who knows the addresses, who takes it */
    const struct local_taker *taker; /* NULL: nobody; borrowed */
};

/* NULL and sentences in 'error'. */
struct engine *engine_open(const struct engine_options *options, struct buf *error);
/* Runs until it was stopped by signal or order; what main returns. */
int engine_run(struct engine *engine);
/* After engine_run(). */
void engine_close(struct engine *engine);

struct event_log *engine_log(struct engine *engine);
struct queue *engine_queue(struct engine *engine);
struct intake *engine_intake(struct engine *engine);
struct spool *engine_spool(struct engine *engine);
struct loop *engine_loop(struct engine *engine);
bool engine_has_stopped(const struct engine *engine);
