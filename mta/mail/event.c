/* SPDX-License-Identifier: MIT */
#include "mta/mail/event.h"
#include "mta/base/fault.h"
#include "mta/mail/date.h"
#include "mta/mail/escape.h"

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

void event_begin(struct event_log *log, enum event event, uint64_t wall_ms)
{
    char time[DATE_TEXT_BYTES];
    must(!log->is_open && event < EVENT_COUNT);
    log->is_open  = true;
    log->is_muted = rows[event].level > log->level;
    if (log->is_muted)
        return;
    bool is_json = log->format == EVENT_JSON;
    buf_put_text(&log->pending, is_json ? "{\"time\":\"" : "");
    buf_put_text(&log->pending, date_rfc3339(wall_ms, time));
    buf_put_text(&log->pending, is_json ? "\",\"event\":\"" : " ");
    buf_put_text(&log->pending, rows[event].name);
    buf_put_text(&log->pending, is_json ? "\"" : "");
}

static void put_key(struct event_log *log, const char *key)
{
    bool is_json = log->format == EVENT_JSON;
    must(log->is_open);
    buf_put_text(&log->pending, is_json ? ",\"" : " ");
    buf_put_text(&log->pending, key);
    buf_put_text(&log->pending, is_json ? "\":" : "=");
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
