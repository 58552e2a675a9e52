/* SPDX-License-Identifier: MIT */
/*
 * Event: the one writer of the log (INTERFACE: events).  A line is put together field by field and
 * gathers in memory; whoever runs the loop writes what has gathered once a turn.  Every value is
 * escaped here: no byte from outside can end or forge a line (security.md A13).
 *
 *     event_begin(log, EVENT_DELIVERED, wall_ms);
 *     event_text(log, "to", span_of(address));
 *     event_end(log);
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/mail/date.h"

#define EVENT_LEVELS(X)            X(ERROR, "error") X(WARNING, "warning") X(INFO, "info") X(DEBUG, "debug")
#define EVENT_LEVEL_NAME(id, text) LEVEL_##id,
enum event_level { EVENT_LEVELS(EVENT_LEVEL_NAME) LEVEL_COUNT };
#undef EVENT_LEVEL_NAME

#define EVENTS(X)                                                                                  \
    X(STARTED, "started", INFO)                                                                    \
    X(STOPPING, "stopping", INFO)                                                                  \
    X(ACCEPTED, "accepted", INFO)                                                                  \
    X(REFUSED, "refused", INFO)                                                                    \
    X(DELIVERED, "delivered", INFO)                                                                \
    X(DEFERRED, "deferred", INFO)                                                                  \
    X(FAILED, "failed", INFO)                                                                      \
    X(EXPIRED, "expired", INFO)                                                                    \
    X(SUPPRESSED, "suppressed", INFO)                                                              \
    X(CANCELLED, "cancelled", INFO)                                                                \
    X(HELD, "held", INFO)                                                                          \
    X(RELEASED, "released", INFO)                                                                  \
    X(SITE_BACKOFF, "site_backoff", WARNING)                                                       \
    X(SITE_RECOVERED, "site_recovered", INFO)                                                      \
    X(LIMIT_CHANGED, "limit_changed", INFO)                                                        \
    X(TLS_LOST, "tls_lost", WARNING)                                                               \
    X(CONFIG_RELOADED, "config_reloaded", INFO)                                                    \
    X(CONFIG_REFUSED, "config_refused", ERROR)                                                     \
    X(SPOOL_RECOVERED, "spool_recovered", INFO)                                                    \
    X(SPOOL_ERROR, "spool_error", ERROR)                                                           \
    X(DUPLICATE_POSSIBLE, "duplicate_possible", WARNING)                                           \
    X(REPORTED, "reported", INFO)                                                                  \
    X(CONNECTED, "connected", DEBUG)                                                               \
    X(DISCONNECTED, "disconnected", DEBUG)                                                         \
    X(AUTHENTICATED, "authenticated", DEBUG)                                                       \
    X(AUTH_FAILED, "auth_failed", INFO)                                                            \
    X(LONG_TURN, "long_turn", WARNING)                                                             \
    X(WARNED, "warned", WARNING)
#define EVENT_NAME(id, text, level) EVENT_##id,
enum event { EVENTS(EVENT_NAME) EVENT_COUNT };
#undef EVENT_NAME

enum event_format { EVENT_JSON, EVENT_PLAIN };

struct event_log {
    enum event_format format;
    enum event_level level;
    struct buf pending; /* whole lines, to be written and cleared by the owner of the loop */
    bool is_open, is_muted;
    uint64_t time_ms; /* of 'time' */
    char time[DATE_TEXT_BYTES];
};

void event_log_init(struct event_log *log, enum event_format format, enum event_level level);
void event_log_release(struct event_log *log);

void event_begin(struct event_log *log, enum event event, uint64_t wall_ms);
/* An empty text is left out. */
void event_text(struct event_log *log, const char *key, struct span value);
void event_number(struct event_log *log, const char *key, uint64_t value);
void event_true(struct event_log *log, const char *key);
/* As RFC 3339; 0 is left out. */
void event_time(struct event_log *log, const char *key, uint64_t wall_ms);
/* "5.1.1"; 0.0.0 is left out. */
void event_status(struct event_log *log, const char *key, const unsigned char status[3]);
void event_end(struct event_log *log);
