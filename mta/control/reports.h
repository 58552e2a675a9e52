/* SPDX-License-Identifier: MIT */
/*
 * Reports: tells the sender what became of recipients (RFC 3461): it gathers those that owe a
 * report, writes the DSN, and sends it through the intake, whose commit ends the recipients in the
 * same record.  Engine thread.
 */
#pragma once
#include "mta/receive/intake.h"
#include "mta/receive/sink.h"

struct reports;
struct tokens;

enum { REPORTS_KIND = 0x4e904707, REPORT_RCPTS_MAX = 500 };

struct reports_settings {
    const char *hostname;
    bool full_allowed;       /* RET=FULL is honoured */
    uint64_t bytes_max;      /* larger messages come back as headers only */
    const struct sink *sink; /* senders may be among ourselves; NULL: none is */
};

/* 'tokens': the engine's, which change with the settings. */
struct reports *reports_new(struct queue *queue, struct intake *intake, struct event_log *log,
                            const struct reports_settings *settings, struct tokens *const *tokens);
void reports_free(struct reports *reports);
void reports_set_settings(struct reports *reports, const struct reports_settings *settings);

/* FACT_REPORT_DUE and FACT_DELAY_DUE. */
void reports_on_due(struct reports *reports, struct message *m, uint64_t now_ms, uint64_t wall_ms);
void reports_on_delay_due(struct reports *reports, struct message *m, uint64_t now_ms,
                          uint64_t wall_ms);
/* The commit of one of our reports has ended; done->owner is ours when its first unsigned is
 * REPORTS_KIND. */
void reports_on_done(struct reports *reports, const struct intake_done *done, uint64_t now_ms,
                     uint64_t wall_ms);
