/* SPDX-License-Identifier: MIT */
/*
 * The product's code runs between daemon_enter() and its return; a crash inside jumps out of it,
 * and then all its memory, events, sockets and open files are gone at once.
 *
 *     down --start--> running --SIGTERM, or a broken disk--> stopped --reaped--> down --...
 *                        |------------- crash -------------------------------------^
 */
#include "tests/sim/sim_daemon.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/engine.h"
#include "mta/mail/event.h"
#include "mta/queue/queue.h"
#include "mta/spool/spool.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_doors.h"
#include "tests/sim/sim_mem.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_source.h"
#include <setjmp.h>
#include <signal.h>
#include <string.h>

enum {
    SECOND            = 1000,
    MINUTE            = 60 * SECOND,
    HOUR              = 60 * MINUTE,
    LOOK_MS           = MINUTE,
    STOP_MS_MAX       = 31 * SECOND, /* what INTERFACE promises, and a turn */
    RESTART_MS        = 5 * SECOND,
    DRAIN_MS_MAX      = 24 * HOUR, /* beyond the expiry of what came last */
    OUTCOME_DELAY_MS  = 100,
    WINDOW_SLACK_MS   = 300,         /* turns that come late */
    WINDOW_WORKS      = 8,           /* of the disk thread between an outcome and its sync */
    DISK_ERROR_MS     = 40 * SECOND, /* from a disk that fails again to the end of the process */
    IDLE_SEGMENTS_MAX = 4,
};

enum stage {
    STAGE_BUSY,   /* things happen */
    STAGE_QUIET,  /* was found quiet once */
    STAGE_ENDING, /* stops for the last time but one */
    STAGE_LAST,   /* started on what it left behind */
    STAGE_ENDED,
};

struct sim_daemon {
    struct engine *engine;
    jmp_buf way_out;
    bool is_inside;
    enum stage stage;
    unsigned operations; /* until the armed crash; 0: none */
    enum crash_kind armed;
    bool only_at_disk;
    uint64_t away_ms, stop_by_ms; /* stop_by_ms 0: it was not asked to stop */
    unsigned next_crash;
    struct sim_event starts, crashes, looks, is_reaped;
    struct buf error; /* the product's */
};

static struct sim_daemon *self(void)
{
    return sim()->daemon;
}

uint64_t daemon_window_ms(void)
{
    const struct plan_faults *f = &sim()->plan->faults;
    return OUTCOME_DELAY_MS + WINDOW_SLACK_MS + WINDOW_WORKS * (f->disk_ms_max + 1) +
           (f->disk_error_permille > 0 ? DISK_ERROR_MS : 0);
}

/* --- the product's code --- */

static void read_log(struct sim_daemon *d)
{
    struct buf *pending = d->engine == NULL ? NULL : &engine_log(d->engine)->pending;
    struct span line, rest;
    if (pending == NULL || pending->len == 0)
        return;
    rest = buf_span(pending);
    while (span_cut(&rest, '\n', &line))
        oracle_on_log(line);
    buf_clear(pending);
}

/* A disk that takes nothing more does not know the last outcomes; and what the product refused then
 * may be on it all the same. */
static void look_at_disk(const struct sim_daemon *d)
{
    uint64_t now_ms = sim()->now_ms;
    if (d->engine == NULL || !spool_is_broken(engine_spool(d->engine)))
        return;
    sources_on_broken_disk(now_ms > DISK_ERROR_MS ? now_ms - DISK_ERROR_MS : 0);
    oracle_on_crash();
}

static void die(struct sim_daemon *d)
{
    bool power = d->armed == CRASH_POWER;
    look_at_disk(d);
    sim_note("crash: %s", power ? "the power is lost" : "the process is killed");
    oracle_on_crash();
    net_forget_process(power);
    sim_cancel_products();
    loops_forget();
    if (power)
        disk_lose_power();
    else
        disk_forget_process();
    sim_mem_drop_product();
    d->engine     = NULL;
    d->error      = (struct buf){0};
    d->stop_by_ms = 0;
    d->operations = 0;
    sim_cancel(&d->is_reaped);
    sim_after(&d->starts, d->away_ms);
}

bool daemon_enter(void (*body)(void *argument), void *argument)
{
    struct sim_daemon *d = self();
    must(!d->is_inside);
    if (setjmp(d->way_out) != 0) {
        d = self();
        (void)sim_mem_set_side(SIDE_WORLD);
        d->is_inside = false;
        die(d);
        return false;
    }
    d->is_inside = true;
    (void)sim_mem_set_side(SIDE_PRODUCT);
    body(argument);
    (void)sim_mem_set_side(SIDE_WORLD);
    d->is_inside = false;
    read_log(d);
    if (d->engine != NULL && engine_has_stopped(d->engine) && !sim_is_due(&d->is_reaped))
        sim_after(&d->is_reaped, 1);
    return true;
}

void daemon_may_die(bool is_at_disk)
{
    struct sim_daemon *d = self();
    if (!d->is_inside || d->operations == 0 || (d->only_at_disk && !is_at_disk))
        return;
    if (--d->operations > 0)
        return;
    longjmp(d->way_out, 1);
}

/* --- start --- */

static void put_rule(struct config *c)
{
    const struct sim_plan *p = sim()->plan;
    c->rules[0].name         = "default";
    c->rules[0].limits       = (struct site_limits){
              .connections                = p->connections,
              .messages_per_connection    = p->messages_per_connection,
              .recipients_per_transaction = p->recipients_per_transaction,
              .rate_per_hour              = p->rate_per_hour,
              .idle_ms                    = p->idle_ms,
              .tls                        = POLICY_TLS_OPPORTUNISTIC,
              .pipeline_messages          = true,
    };
    c->policy.rules      = c->rules;
    c->policy.rule_count = 1;
    c->policy.jobs_max   = 200;
    c->policy.linger_ms  = p->linger_ms;
    c->join_ms           = p->join_ms;
}

static void put_times(struct config *c)
{
    static const uint64_t intervals_ms[] = {5 * MINUTE, 15 * MINUTE, HOUR};
    struct retry_policy *retry           = &c->policy.retry;
    memcpy(retry->intervals_ms, intervals_ms, sizeof intervals_ms);
    retry->interval_count     = sizeof intervals_ms / sizeof intervals_ms[0];
    retry->expire_ms          = sim()->plan->expire_ms;
    retry->jitter_percent     = 20;
    retry->in_doubt_ms        = 5 * MINUTE;
    c->command_timeout_ms     = 5 * MINUTE;
    c->dns_timeout_ms         = 2 * SECOND;
    c->dns_tries              = 4;
    c->deliver.connect_ms     = 30 * SECOND;
    c->deliver.greeting_ms    = 60 * SECOND;
    c->deliver.command_ms     = 60 * SECOND;
    c->deliver.data_ms        = 60 * SECOND;
    c->deliver.block_ms       = 60 * SECOND;
    c->deliver.end_of_data_ms = 10 * MINUTE;
}

static struct config *make_config(void)
{
    struct config *c = mem_new(sizeof *c);
    c->file          = "";
    c->hostname      = arena_text(&c->arena, span_of("out.example"));
    c->spool         = arena_text(&c->arena, span_of("/spool"));
    c->control       = arena_text(&c->arena, span_of("/control.sock"));
    c->log_level     = LEVEL_INFO;
    c->listeners[0]  = (struct config_listener){
         .address = {.family = NET_IPV4, .port = PLAN_LISTEN_PORT, .ip = {127, 0, 0, 1}}
    };
    c->listener_count = 1;
    c->relay_from[0]  = (struct net_prefix){
         {.family = NET_IPV4, .ip = {127}},
         8
    };
    c->relay_from_count       = 1;
    c->message_bytes_max      = 1 << 20;
    c->recipients_per_message = 1000;
    c->connections = c->connections_per_client = 100;
    c->min_free_percent                        = 5;
    c->memory_bytes_max                        = 256 << 20;
    c->delivery_threads                        = sim()->plan->shards;
    c->delivery_port                           = PLAN_MX_PORT;
    c->delivery_sessions                       = 200;
    c->deliver.hostname                        = c->hostname;
    c->report_bytes_max                        = 100000;
    put_rule(c);
    put_times(c);
    return c;
}

static void open_engine(void *data)
{
    struct sim_daemon *d          = data;
    struct engine_options options = {.config        = make_config(),
                                     .seed          = sim_below(UINT64_MAX),
                                     .log_fd        = -1,
                                     .segment_bytes = PLAN_SEGMENT_BYTES};
    d->engine                     = engine_open(&options, &d->error);
}

static void release_error(void *data)
{
    buf_release(&((struct sim_daemon *)data)->error);
}

static void on_start(struct sim_event *event)
{
    struct sim_daemon *d = CONTAINER_OF(event, struct sim_daemon, starts);
    sim_note("starts");
    if (!daemon_enter(open_engine, d))
        return;
    if (d->engine != NULL)
        return;
    if (sim()->plan->faults.disk_error_permille == 0 || plan_is_calm())
        sim_break("promise 1", "it does not start: %s", buf_text(&d->error));
    sim_note("it does not start: %s", buf_text(&d->error));
    (void)daemon_enter(release_error, d);
    if (sim_mem_product_blocks() > 0)
        sim_break("promise 7", "a start that failed leaves %zu blocks of memory",
                  sim_mem_product_blocks());
    sim_after(&d->starts, RESTART_MS);
}

/* --- stop --- */

static void stop(struct sim_daemon *d)
{
    if (d->engine == NULL || d->stop_by_ms != 0)
        return;
    sim_note("SIGTERM");
    d->stop_by_ms = sim()->now_ms + STOP_MS_MAX;
    loop_signal(engine_loop(d->engine), SIGTERM);
}

static const enum stage after_stop[] = {
    [STAGE_BUSY]   = STAGE_BUSY,
    [STAGE_QUIET]  = STAGE_BUSY,
    [STAGE_ENDING] = STAGE_LAST,
    [STAGE_LAST]   = STAGE_ENDED,
};

static void close_engine(void *data)
{
    struct sim_daemon *d = data;
    struct engine *e     = d->engine;
    d->engine            = NULL;
    engine_close(e);
    buf_release(&d->error);
}

static void check_nothing_left(void)
{
    if (net_count_conns() > 0)
        sim_break("promise 7", "%zu connections are left behind", net_count_conns());
    if (sim_mem_product_blocks() == 0)
        return;
    sim_mem_disclose_product();
    sim_break("promise 7", "%zu blocks of memory are left behind", sim_mem_product_blocks());
}

static void on_reaped(struct sim_event *event)
{
    struct sim_daemon *d = CONTAINER_OF(event, struct sim_daemon, is_reaped);
    if (!loops_have_stopped()) {
        sim_after(&d->is_reaped, 1);
        return;
    }
    if (d->stop_by_ms > 0 && sim()->now_ms > d->stop_by_ms)
        sim_break("interface", "it took more than %d ms to stop", STOP_MS_MAX);
    look_at_disk(d);
    uint64_t faults = disk_faults();
    if (!daemon_enter(close_engine, d))
        return;
    sim_note("has stopped");
    check_nothing_left();
    if (disk_faults() > faults)
        oracle_on_crash(); /* the last outcomes may be lost */
    d->stop_by_ms = 0;
    d->stage      = after_stop[d->stage];
    if (d->stage != STAGE_ENDED)
        sim_after(&d->starts, d->away_ms);
}

/* --- crashes --- */

static void plan_crash(struct sim_daemon *d)
{
    const struct sim_plan *p = sim()->plan;
    if (d->next_crash < p->crash_count)
        sim_at(&d->crashes, p->crashes[d->next_crash].at_ms);
}

static void on_crash(struct sim_event *event)
{
    struct sim_daemon *d        = CONTAINER_OF(event, struct sim_daemon, crashes);
    const struct plan_crash *at = &sim()->plan->crashes[d->next_crash++];
    d->away_ms                  = at->away_ms;
    if (at->kind == CRASH_STOP) {
        stop(d);
    } else if (at->operations > 0) {
        d->armed        = at->kind;
        d->operations   = at->operations;
        d->only_at_disk = at->only_at_disk;
    } else if (d->engine != NULL) {
        d->armed = at->kind;
        die(d);
    }
    plan_crash(d);
}

/* --- the end --- */

static bool is_quiet(const struct sim_daemon *d)
{
    struct queue_stats stats;
    queue_stats(engine_queue(d->engine), &stats);
    return stats.messages == 0 && net_count_conns() == 0 && sources_are_done();
}

static void check_spool(const struct sim_daemon *d)
{
    struct spool_stats stats;
    spool_stats(engine_spool(d->engine), &stats);
    if (stats.bytes_live > 0 || stats.segments > IDLE_SEGMENTS_MAX)
        sim_break("promise 7", "the spool keeps %llu bytes alive in %llu segments",
                  (unsigned long long)stats.bytes_live, (unsigned long long)stats.segments);
}

static void look_at_last(struct sim_daemon *d)
{
    if (!is_quiet(d))
        sim_break("promise 2", "mail that had ended came back at the next start");
    stop(d);
}

static void look(struct sim_daemon *d)
{
    if (d->stage == STAGE_LAST) {
        look_at_last(d);
    } else if (d->stage == STAGE_QUIET && is_quiet(d)) {
        oracle_check_end();
        check_spool(d);
        d->stage      = STAGE_ENDING;
        d->operations = 0;
        stop(d);
    } else if (d->stage <= STAGE_QUIET) {
        d->stage = is_quiet(d) ? STAGE_QUIET : STAGE_BUSY;
    }
}

_Noreturn static void break_undrained(const struct sim_daemon *d)
{
    struct queue_stats stats = {0};
    if (d->engine != NULL)
        queue_stats(engine_queue(d->engine), &stats);
    sim_break("liveness", "%s, %zu messages, %zu recipients (%zu busy), %zu connections%s",
              d->engine == NULL ? "it is down" : "it runs", stats.messages, stats.recipients,
              stats.busy, net_count_conns(),
              sources_are_done() ? "" : ", not everything was taken");
}

static void on_look(struct sim_event *event)
{
    struct sim_daemon *d     = CONTAINER_OF(event, struct sim_daemon, looks);
    const struct sim_plan *p = sim()->plan;
    if (sim()->now_ms > p->calm_ms + p->expire_ms + DRAIN_MS_MAX)
        break_undrained(d);
    if (d->stop_by_ms > 0 && sim()->now_ms > d->stop_by_ms + LOOK_MS)
        sim_break("interface", "it does not stop");
    if (plan_is_calm() && d->engine != NULL && d->stop_by_ms == 0)
        look(d);
    sim_after(&d->looks, LOOK_MS);
}

bool daemon_has_ended(void)
{
    return self()->stage == STAGE_ENDED;
}

struct sim_daemon *daemon_new(void)
{
    struct sim_daemon *d = world_new(sizeof *d);
    sim_event_init(&d->starts, on_start, false);
    sim_event_init(&d->crashes, on_crash, false);
    sim_event_init(&d->looks, on_look, false);
    sim_event_init(&d->is_reaped, on_reaped, false);
    d->away_ms = RESTART_MS;
    sim_after(&d->starts, 0);
    sim_after(&d->looks, LOOK_MS);
    plan_crash(d);
    return d;
}
