/* SPDX-License-Identifier: MIT */
/* Counts, a few examples of what went wrong, and percentiles over every single transaction. */
#include "bench/source_report.h"
#include "bench/json.h"
#include "mta/base/mem.h"
#include <stdio.h>
#include <stdlib.h>

enum { TIMES_AT_FIRST = 1024 };

void source_report_release(struct source_report *r)
{
    mem_free(r->handover.us);
    mem_free(r->whole.us);
}

void source_times_add(struct source_times *times, uint64_t us)
{
    if (times->count == times->cap) {
        times->cap = times->cap == 0 ? TIMES_AT_FIRST : 2 * times->cap;
        times->us  = mem_resize(times->us, times->cap * sizeof times->us[0]);
    }
    times->us[times->count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void add_example(struct source_report *r, const char *stage, struct span rcpt,
                        struct span reply)
{
    if (r->example_count == SOURCE_EXAMPLES_MAX)
        return;
    struct source_example *e = &r->examples[r->example_count++];
    e->stage                 = stage;
    (void)snprintf(e->rcpt, sizeof e->rcpt, "%.*s", (int)rcpt.len, rcpt.at);
    (void)snprintf(e->reply, sizeof e->reply, "%.*s", (int)reply.len, reply.at);
}

void source_report_refuse(struct source_report *r, const char *stage, struct span rcpt,
                          struct span reply)
{
    r->refused++;
    add_example(r, stage, rcpt, reply);
}

void source_report_lost(struct source_report *r, const char *why)
{
    r->lost++;
    add_example(r, "connection", span_of(""), span_of(why));
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void source_times_json(struct source_times *times, const char *name, struct buf *out)
{
    static const struct {
        const char *name;
        unsigned percent;
    } points[] = {
        {"p50", 50 },
        {"p90", 90 },
        {"p99", 99 },
        {"max", 100}
    };
    if (times->count > 1)
        qsort(times->us, times->count, sizeof times->us[0], compare);
    json_key(out, name);
    buf_put_byte(out, '{');
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        size_t at = times->count == 0 ? 0 : (times->count - 1) * points[i].percent / 100;
        json_number(out, points[i].name, times->count == 0 ? 0 : times->us[at]);
    }
    buf_put_byte(out, '}');
}

static void examples_json(const struct source_report *r, struct buf *out)
{
    json_key(out, "examples");
    buf_put_byte(out, '[');
    for (size_t i = 0; i < r->example_count; i++) {
        json_comma(out);
        buf_put_byte(out, '{');
        json_text(out, "stage", span_of(r->examples[i].stage));
        json_text(out, "rcpt", span_of(r->examples[i].rcpt));
        json_text(out, "reply", span_of(r->examples[i].reply));
        buf_put_byte(out, '}');
    }
    buf_put_byte(out, ']');
}

void source_report_json(struct source_report *r, const char *id, const char *sha256,
                        struct buf *out)
{
    uint64_t elapsed_us = r->ended_us > r->begun_us ? r->ended_us - r->begun_us : 0;
    buf_put_byte(out, '{');
    json_text(out, "id", span_of(id));
    json_text(out, "sha256", span_of(sha256));
    json_number(out, "recipients", r->recipients);
    json_number(out, "accepted", r->accepted);
    json_number(out, "refused", r->refused);
    json_number(out, "unanswered", r->recipients - r->accepted - r->refused - r->unsent);
    json_number(out, "unsent", r->unsent);
    json_number(out, "transactions", r->transactions);
    json_number(out, "connections", r->connections);
    json_number(out, "lost_connections", r->lost);
    json_number(out, "sent_away", r->sent_away);
    json_number(out, "round_trips", r->round_trips);
    json_number(out, "tls", r->tls);
    json_number(out, "tls_resumed", r->tls_resumed);
    json_number(out, "bytes", r->bytes);
    json_number(out, "begun_us", r->begun_wall_us);
    json_number(out, "ended_us", r->begun_wall_us + elapsed_us);
    json_number(out, "begun_ms", r->begun_wall_us / 1000);
    json_number(out, "ended_ms", (r->begun_wall_us + elapsed_us) / 1000);
    json_number(out, "elapsed_us", elapsed_us);
    json_number(out, "elapsed_ms", elapsed_us / 1000);
    json_number(out, "recipients_per_s", elapsed_us == 0 ? 0 : r->accepted * 1000000 / elapsed_us);
    source_times_json(&r->handover, "handover_us", out);
    source_times_json(&r->whole, "whole_us", out);
    examples_json(r, out);
    buf_put_text(out, "}\n");
}
