/* SPDX-License-Identifier: MIT */
/* The plan is walked from front to back; the timer runs only while something waits for its time. */
#include "bench/source_run_uv.h"
#include "bench/source_conn_uv.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "mta/tls/engine.h"

enum { WATCH_MS = 500, US_PER_MS = 1000 };

static void fill(struct source_run *run);

static bool has_parcels(const struct source_run *run)
{
    return !run->is_over && (run->returned.count > 0 || run->next_parcel < run->plan->parcel_count);
}

static void on_due(uv_timer_t *timer)
{
    struct source_run *run = timer->data;
    struct list woken, *node;
    list_init(&woken);
    while ((node = list_take(&run->resting)) != NULL)
        list_push(&woken, node);
    while ((node = list_first(&woken)) != NULL)
        source_conn_wake(CONTAINER_OF(node, struct source_conn, resting));
    fill(run);
}

static void wait_until(struct source_run *run, uint64_t due_us)
{
    uint64_t now_us = clock_now_us();
    uint64_t ms     = due_us > now_us ? (due_us - now_us + US_PER_MS - 1) / US_PER_MS : 0;
    if (!uv_is_active((uv_handle_t *)&run->due))
        (void)uv_timer_start(&run->due, on_due, ms, 0);
}

static void note_begin(struct source_run *run, uint64_t now_us)
{
    if (run->report->begun_us > 0)
        return;
    run->report->begun_us      = now_us;
    run->report->begun_wall_us = clock_wall_us();
}

static enum source_pace_says take_returned(struct source_run *run, struct source_parcel *parcel)
{
    *parcel             = run->returned;
    run->returned.count = 0;
    return SOURCE_PACE_GO;
}

enum source_pace_says source_run_take(struct source_run *run, struct source_parcel *parcel)
{
    uint64_t now_us = clock_now_us(), due_us = 0;
    if (!has_parcels(run))
        return SOURCE_PACE_OVER;
    if (run->returned.count > 0)
        return take_returned(run, parcel);
    enum source_pace_says says = source_pace_ask(&run->pace, now_us, &due_us);
    if (says == SOURCE_PACE_GO) {
        *parcel = run->plan->parcels[run->next_parcel++];
        note_begin(run, now_us);
    }
    if (says == SOURCE_PACE_WAIT)
        wait_until(run, due_us);
    run->is_over = says == SOURCE_PACE_OVER;
    return says;
}

struct span source_run_mail(struct source_run *run, const struct source_parcel *parcel,
                            bool is_chunk, struct buf *scratch)
{
    struct source_letter letter = {.is_chunk = is_chunk};
    struct buf *post            = &run->post[is_chunk];
    if (run->config->is_personalised) {
        letter.rcpt    = run->plan->rcpts[parcel->first];
        letter.number  = parcel->first;
        letter.sent_us = clock_wall_us();
        (void)source_mail_compose(run->mail, &letter, scratch);
        return buf_span(scratch);
    }
    letter.sent_us = run->report->begun_wall_us; /* one message, whoever brings it when */
    if (post->len == 0)
        (void)source_mail_compose(run->mail, &letter, post);
    return buf_span(post);
}

/* Opens as many connections as there shall be and is work for. */
static void fill(struct source_run *run)
{
    struct source_parcel parcel = {0};
    while (run->open < run->config->connections && has_parcels(run)) {
        if (run->config->connection_per_message && source_run_take(run, &parcel) != SOURCE_PACE_GO)
            return;
        source_conn_open(run, parcel);
    }
}

static void close_timers(struct source_run *run)
{
    if (uv_is_closing((uv_handle_t *)&run->watch))
        return;
    uv_close((uv_handle_t *)&run->watch, NULL);
    uv_close((uv_handle_t *)&run->due, NULL);
}

/* A server that breaks connections gets no more than it has. */
void source_run_closed(struct source_run *run)
{
    run->open--;
    if (has_parcels(run) && run->report->lost == 0)
        fill(run);
    if (run->open == 0 && (!has_parcels(run) || run->report->lost > 0))
        close_timers(run);
}

/* Closing does not unlink at once, so the walk is safe. */
static void on_watch(uv_timer_t *timer)
{
    struct source_run *run = timer->data;
    for (struct list *n = list_first(&run->conns); n != NULL; n = list_next(&run->conns, n)) {
        struct source_conn *c = CONTAINER_OF(n, struct source_conn, in_run);
        if (c->session.phase != SOURCE_IDLE &&
            uv_now(timer->loop) - c->asked_ms > run->config->timeout_ms)
            source_conn_close(c, "no reply in time");
    }
}

static void init(struct source_run *run)
{
    list_init(&run->conns);
    list_init(&run->resting);
    uv_loop_init(&run->loop);
    uv_timer_init(&run->loop, &run->watch);
    uv_timer_init(&run->loop, &run->due);
    run->watch.data = run->due.data = run;
    source_pace_init(&run->pace, run->config->pace);
    uv_timer_start(&run->watch, on_watch, WATCH_MS, WATCH_MS);
}

/* What a bound has left out was not asked of the server. */
static void count_unsent(struct source_run *run)
{
    for (size_t i = run->next_parcel; run->is_over && i < run->plan->parcel_count; i++)
        run->report->unsent += run->plan->parcels[i].count;
}

void source_run(const struct source_run_config *config, const struct source_plan *plan,
                struct source_mail *mail, struct source_report *report)
{
    struct source_run *run = mem_new(sizeof *run);
    run->config            = config;
    run->plan              = plan;
    run->mail              = mail;
    run->report            = report;
    init(run);
    fill(run);
    if (run->open == 0)
        close_timers(run);
    (void)uv_run(&run->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&run->loop);
    count_unsent(run);
    while (run->session_count > 0)
        tls_session_free(run->sessions[--run->session_count]);
    for (size_t i = 0; i < sizeof run->post / sizeof run->post[0]; i++)
        buf_release(&run->post[i]);
    mem_free(run);
}
