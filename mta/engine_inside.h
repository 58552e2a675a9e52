/* SPDX-License-Identifier: MIT */
/* What the parts of the engine share: engine.c (its life and its turn), engine_facts.c (what the
 * queue says), engine_stop.c (how it ends, and reload). */
#pragma once
#include "mta/control/control.h"
#include "mta/deliver/shard.h"
#include "mta/engine.h"
#include "mta/local.h"
#include "mta/mail/token.h"
#include "mta/settings.h"
#include "mta/sys/loop.h"
#include "mta/sys/mailbox.h"
#include "mta/sys/thread.h"

enum { ENGINE_SHARDS_MAX = 64 };

enum engine_phase {
    ENGINE_RUNNING,
    ENGINE_DRAINING, /* takes no mail, what is on the wire may end */
    ENGINE_STOPPING, /* what is still on the wire is cut */
    ENGINE_STOPPED,
    ENGINE_PHASES
};

/* One shard as the engine sees it. */
struct engine_shard {
    struct shard *shard;
    struct thread *thread; /* NULL: whoever opened the engine runs its loop */
    struct list jobs;      /* to be given at the end of this turn */
    struct shard_order drain, stop, reload;
    bool is_stopped, is_reloading;
};

struct engine {
    enum engine_phase phase;
    struct loop *loop;
    struct event_log log;
    int log_fd;
    const char *config_file;
    struct settings *settings; /* the newest */
    struct list old_settings;  /* kept to the end: sessions and sites may still look at them */

    struct spool *spool;
    struct queue *queue;
    struct router *router;
    struct intake *intake;
    struct receive *receive;
    struct reports *reports;
    struct control *control;
    struct local local;
    const struct sink *sink;
    struct tokens *tokens; /* NULL: no lists */

    struct mailbox *home, *orders_home;
    struct engine_shard shards[ENGINE_SHARDS_MAX];
    unsigned shard_count;
    bool has_inner_shard; /* one thread delivers: it is ours */

    uint64_t now_ms, wall_ms; /* of this turn */
    uint64_t stop_at_ms;      /* when the phase goes on, whatever is still underway */
    size_t jobs_out;
    size_t memory_peak; /* of the queue, since memory was given back */
    struct long_turns long_turns;
    uint64_t long_turns_told, long_turn_due_ms;
    bool has_recovered;
    struct attempt_note *recovered_note; /* the last one: neighbours often got the same reply */
    int exit_code;
};

/* engine.c: what the settings need beside the configuration. */
void engine_complete_settings(struct engine *engine, struct settings *settings);
void engine_use_tokens(struct engine *engine);

/* engine_facts.c: writes what the queue says into spool, log and reports until it says no more. */
void engine_take_facts(struct engine *engine);
/* What a job that comes home tells beside its outcomes. */
void engine_log_job(struct engine *engine, const struct job *job);
void engine_warn(struct engine *engine, enum event event, const char *sentence);

/* engine_stop.c */
void engine_take_signals(struct engine *engine);
void engine_take_orders(struct engine *engine);
void engine_begin_stop(struct engine *engine, int exit_code);
/* Moves the end on; returns when it wants to be asked again. */
uint64_t engine_move_stop(struct engine *engine);
