/* SPDX-License-Identifier: MIT */
#include "mta/mail/event.h"
#include "mta/base/fault.h"
#include "mta/mail/escape.h"
#include <string.h>

enum { EVENT_TEXT_BYTES_MAX = 1024 };

#define EVENT_ROW(id, text, level) [EVENT_##id] = {text, LEVEL_##level},
static const struct {
    const char *name;
    enum event_level level;
} rows[EVENT_COUNT] = {EVENTS(EVENT_ROW)};
#undef EVENT_ROW

void event_log_init(struct event_log *log, enum event_format format, enum event_level level)
{
    *log = (struct event_log){.format = format, .level = level};
}

void event_log_release(struct event_log *log)
{
    buf_release(&log->pending);
}

/* Many events have the same time. */
static const char *time_text(struct event_log *log, uint64_t wall_ms)
{
    if (log->time[0] == '\0' || log->time_ms != wall_ms)
        (void)date_rfc3339(wall_ms, log->time);
    log->time_ms = wall_ms;
    return log->time;
}

void event_begin(struct event_log *log, enum event event, uint64_t wall_ms)
{
    must(!log->is_open && event < EVENT_COUNT);
    log->is_open  = true;
    log->is_muted = rows[event].level > log->level;
    if (log->is_muted)
        return;
    bool is_json = log->format == EVENT_JSON;
    buf_put_text(&log->pending, is_json ? "{\"time\":\"" : "");
    buf_put_text(&log->pending, time_text(log, wall_ms));
    buf_put_text(&log->pending, is_json ? "\",\"event\":\"" : " ");
    buf_put_text(&log->pending, rows[event].name);
    buf_put_text(&log->pending, is_json ? "\"" : "");
}

static void put_key(struct event_log *log, const char *key)
{
    bool is_json     = log->format == EVENT_JSON;
    struct span name = span_of(key);
    must(log->is_open);
    char *at = buf_reserve(&log->pending, name.len + sizeof ",\"\":");
    memcpy(at, is_json ? ",\"" : " ", 2);
    at += is_json ? 2 : 1;
    memcpy(at, name.at, name.len);
    memcpy(at + name.len, is_json ? "\":" : "=", 2);
    log->pending.len += name.len + (is_json ? 4 : 2);
}

/* In plain form a value with a space or quote stands in quotes, its own quotes and backslashes
 * escaped. */
static void put_plain(struct buf *line, struct span value)
{
    struct buf clean = {0};
    escape_text(value, EVENT_TEXT_BYTES_MAX, &clean);
    struct span text = buf_span(&clean);
    if (span_find(text, ' ') == text.len && span_find(text, '"') == text.len &&
        span_find(text, '\\') == text.len && span_find(text, '=') == text.len) {
        buf_put(line, text);
    } else {
        buf_put_byte(line, '"');
        for (size_t i = 0; i < text.len; i++) {
            if (text.at[i] == '"' || text.at[i] == '\\')
                buf_put_byte(line, '\\');
            buf_put_byte(line, text.at[i]);
        }
        buf_put_byte(line, '"');
    }
    buf_release(&clean);
}

void event_text(struct event_log *log, const char *key, struct span value)
{
    if (log->is_muted || value.len == 0)
        return;
    put_key(log, key);
    if (log->format == EVENT_JSON)
        escape_json(span_first(value, EVENT_TEXT_BYTES_MAX), &log->pending);
    else
        put_plain(&log->pending, value);
}

void event_number(struct event_log *log, const char *key, uint64_t value)
{
    if (log->is_muted)
        return;
    put_key(log, key);
    buf_put_number(&log->pending, value);
}

void event_true(struct event_log *log, const char *key)
{
    if (log->is_muted)
        return;
    put_key(log, key);
    buf_put_text(&log->pending, "true");
}

void event_time(struct event_log *log, const char *key, uint64_t wall_ms)
{
    char time[DATE_TEXT_BYTES];
    if (wall_ms > 0)
        event_text(log, key, span_of(date_rfc3339(wall_ms, time)));
}

void event_status(struct event_log *log, const char *key, const unsigned char status[3])
{
    if (status[0] == 0 || log->is_muted)
        return;
    bool is_json = log->format == EVENT_JSON;
    put_key(log, key);
    buf_put_text(&log->pending, is_json ? "\"" : "");
    for (int i = 0; i < 3; i++) {
        buf_put_text(&log->pending, i == 0 ? "" : ".");
        buf_put_number(&log->pending, status[i]);
    }
    buf_put_text(&log->pending, is_json ? "\"" : "");
}

void event_end(struct event_log *log)
{
    must(log->is_open);
    log->is_open = false;
    if (!log->is_muted)
        buf_put_text(&log->pending, log->format == EVENT_JSON ? "}\n" : "\n");
    log->is_muted = false;
}
