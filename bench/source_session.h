/* SPDX-License-Identifier: MIT */
/*
 * Source session: the client's side of one connection, as simple as a list manager's: greeting,
 * EHLO, then one transaction after the other, with or without pipelining.  Bytes in, bytes out,
 * time as an argument; it shares nothing with the client of the product, which it helps to measure.
 */
#pragma once
#include "bench/source_plan.h"
#include "bench/source_report.h"

enum { SOURCE_LINE_BYTES = 4096 };

enum source_phase {
    SOURCE_GREETING,
    SOURCE_HELLO,
    SOURCE_IDLE, /* give it a parcel, or let it quit */
    SOURCE_ENVELOPE,
    SOURCE_CONTENT, /* the dot is written, its reply is due */
    SOURCE_QUITTING,
    SOURCE_DONE /* close */
};

struct source_session_config {
    const char *helo, *sender;
    bool wants_pipelining;
};

struct source_session {
    const struct source_session_config *config;
    struct source_report *report;
    const struct source_plan *plan;
    enum source_phase phase;
    bool may_pipeline; /* wanted and offered */
    struct buf out;
    char line[SOURCE_LINE_BYTES];
    size_t line_len;

    struct source_parcel parcel;
    struct span mail;         /* as DATA takes it; the caller's until the session is idle */
    size_t written, answered; /* of MAIL, RCPT..., DATA */
    size_t rcpts_taken;
    bool *rcpt_taken; /* by place in the parcel */
    size_t rcpt_cap;
    bool has_refused_mail;
    bool is_resetting;        /* RSET was written, its reply is due */
    uint64_t mail_us, dot_us; /* when they were written */
};

void source_session_init(struct source_session *s, const struct source_session_config *config,
                         const struct source_plan *plan, struct source_report *report);
void source_session_release(struct source_session *s);

/* Phase IDLE only.  'mail' must stay until the phase is IDLE again. */
void source_session_send(struct source_session *s, struct source_parcel parcel, struct span mail,
                         uint64_t now_us);
void source_session_quit(struct source_session *s);
void source_session_feed(struct source_session *s, struct span bytes, uint64_t now_us);
/* The connection broke, or took too long. */
void source_session_lost(struct source_session *s, const char *why);
