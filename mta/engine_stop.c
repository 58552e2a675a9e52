/* SPDX-License-Identifier: MIT */
/*
 * The end, in three steps that each have a bound: no new mail and no new jobs while those on the
 * wire end; then what is left is cut; then the disk has everything and the loop stops.  And reload,
 * which replaces the settings as a whole or not at all.
 */
#include "mta/base/fault.h"
#include "mta/engine_inside.h"
#include <signal.h>
#include <string.h>
#include <sysexits.h>

enum { DRAIN_MS = 20000, CUT_MS = 5000, DISK_MS = 4000 };

#define TO(phase) (1u << (phase))
static const unsigned may_follow[ENGINE_PHASES] = {
    [ENGINE_RUNNING]  = TO(ENGINE_DRAINING),
    [ENGINE_DRAINING] = TO(ENGINE_STOPPING),
    [ENGINE_STOPPING] = TO(ENGINE_STOPPED),
};

static void enter(struct engine *e, enum engine_phase next, uint64_t bound_ms)
{
    must(may_follow[e->phase] & TO(next));
    e->phase      = next;
    e->stop_at_ms = e->now_ms + bound_ms;
}

static void tell_shards(struct engine *e, enum shard_verb verb)
{
    for (unsigned i = 0; i < e->shard_count; i++) {
        struct engine_shard *s    = &e->shards[i];
        struct shard_order *order = verb == SHARD_DRAIN ? &s->drain : &s->stop;
        order->verb               = verb;
        shard_tell(s->shard, order);
    }
}

void engine_begin_stop(struct engine *e, int exit_code)
{
    if (e->phase != ENGINE_RUNNING)
        return;
    e->exit_code = exit_code;
    event_begin(&e->log, EVENT_STOPPING, e->wall_ms);
    event_end(&e->log);
    enter(e, ENGINE_DRAINING, DRAIN_MS);
    receive_drain(e->receive);
    intake_stop(e->intake);
    tell_shards(e, SHARD_DRAIN);
}

static bool shards_have_stopped(const struct engine *e)
{
    for (unsigned i = 0; i < e->shard_count; i++)
        if (!e->shards[i].is_stopped)
            return false;
    return true;
}

uint64_t engine_move_stop(struct engine *e)
{
    bool is_late = e->now_ms >= e->stop_at_ms;
    switch (e->phase) {
    case ENGINE_RUNNING:
        return LOOP_NEVER;
    case ENGINE_DRAINING:
        if ((e->jobs_out == 0 && receive_is_empty(e->receive)) || is_late) {
            enter(e, ENGINE_STOPPING, CUT_MS + DISK_MS);
            tell_shards(e, SHARD_STOP);
        }
        break;
    case ENGINE_STOPPING:
        if ((shards_have_stopped(e) && spool_is_idle(e->spool)) || is_late) {
            enter(e, ENGINE_STOPPED, 0);
            loop_stop(e->loop);
        }
        break;
    case ENGINE_STOPPED:
    case ENGINE_PHASES:
        break;
    }
    return e->stop_at_ms;
}

/* --- reload --- */

static void reload_shards(struct engine *e)
{
    for (unsigned i = 0; i < e->shard_count; i++) {
        struct engine_shard *s = &e->shards[i];
        if (s->is_reloading)
            continue; /* it takes the newest when it is home: engine_take_orders() */
        s->is_reloading    = true;
        s->reload.verb     = SHARD_SETTINGS;
        s->reload.settings = &e->settings->config->deliver;
        shard_tell(s->shard, &s->reload);
    }
}

static void use_settings(struct engine *e, struct settings *fresh)
{
    list_push(&e->old_settings, &e->settings->link);
    e->settings   = fresh;
    e->log.format = fresh->config->log_format;
    e->log.level  = fresh->config->log_level;
    engine_use_tokens(e);
    queue_set_policy(e->queue, &fresh->policy, e->now_ms);
    router_set_settings(e->router, &fresh->router);
    intake_set_settings(e->intake, &fresh->intake);
    reports_set_settings(e->reports, &fresh->reports);
    control_set_config(e->control, fresh->config);
    reload_shards(e);
}

static void log_reload(struct engine *e, struct buf *restart)
{
    event_begin(&e->log, EVENT_CONFIG_RELOADED, e->wall_ms);
    event_text(&e->log, "file", span_of(e->config_file));
    event_text(&e->log, "needs_restart", buf_span(restart));
    event_end(&e->log);
}

/* What needs a restart stays as it is: the rest of the process was built on it. */
static void keep_fixed(struct config *fresh, const struct config *old)
{
    fresh->hostname         = arena_text(&fresh->arena, span_of(old->hostname));
    fresh->deliver.hostname = fresh->hostname;
}

static bool reload(struct engine *e, struct buf *said)
{
    struct buf restart   = {0};
    struct config *fresh = config_read(e->config_file, said);
    if (fresh == NULL)
        return false;
    config_restart_keys(e->settings->config, fresh, &restart);
    keep_fixed(fresh, e->settings->config);
    struct settings *settings = settings_new(fresh, e->shard_count);
    engine_complete_settings(e, settings);
    bool is_good = receive_set_settings(e->receive, &settings->receive, said) == OK;
    if (is_good) {
        use_settings(e, settings);
        log_reload(e, &restart);
        if (restart.len > 0)
            buf_printf(said, "reloaded; these need a restart to change: %s\n", buf_text(&restart));
    } else {
        settings_free(settings);
    }
    buf_release(&restart);
    return is_good;
}

/* A file with an error changes nothing. */
static bool try_reload(struct engine *e, struct buf *said)
{
    if (e->config_file == NULL) {
        buf_put_text(said, "there is no configuration file to read again\n");
        return false;
    }
    bool is_good = reload(e, said);
    if (!is_good)
        engine_warn(e, EVENT_CONFIG_REFUSED, buf_text(said));
    return is_good;
}

void engine_take_signals(struct engine *e)
{
    int signal;
    while ((signal = loop_take_signal(e->loop)) != 0) {
        struct buf said = {0};
        if (signal == SIGHUP)
            (void)try_reload(e, &said);
        else
            engine_begin_stop(e, EX_OK);
        buf_release(&said);
    }
}

static void take_control_order(struct engine *e)
{
    struct buf said = {0};
    switch (control_take_order(e->control)) {
    case CONTROL_NOTHING:
        break;
    case CONTROL_RELOAD: {
        bool is_good = try_reload(e, &said);
        control_order_done(e->control, is_good, buf_text(&said));
        break;
    }
    case CONTROL_STOP:
        engine_begin_stop(e, EX_OK);
        break;
    }
    buf_release(&said);
}

static struct engine_shard *shard_of(struct engine *e, const struct shard_order *order)
{
    for (unsigned i = 0; i < e->shard_count; i++) {
        struct engine_shard *s = &e->shards[i];
        if (order == &s->drain || order == &s->stop || order == &s->reload)
            return s;
    }
    return NULL;
}

void engine_take_orders(struct engine *e)
{
    struct list orders = {0}, *node;
    take_control_order(e);
    mailbox_drain(e->orders_home, &orders);
    while ((node = list_take(&orders)) != NULL) {
        struct shard_order *order = CONTAINER_OF(node, struct shard_order, link);
        struct engine_shard *s    = shard_of(e, order);
        must(s != NULL);
        s->is_stopped = s->is_stopped || order == &s->stop;
        if (order == &s->reload)
            s->is_reloading = false;
    }
}
