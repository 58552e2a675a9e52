/* SPDX-License-Identifier: MIT */
/*
 * Source session: the client's side of one connection, as simple as a list manager's: greeting,
 * EHLO, perhaps STARTTLS and AUTH, then one transaction after the other, with or without
 * PIPELINING and CHUNKING.  Bytes in, bytes out, time as an argument; it shares nothing with the
 * client of the product, which it helps to measure.
 */
#pragma once
#include "bench/source_plan.h"
#include "bench/source_report.h"

enum { SOURCE_LINE_BYTES = 4096 };

enum source_phase {
    SOURCE_GREETING,
    SOURCE_HELLO,
    SOURCE_STARTTLS,  /* its reply is due */
    SOURCE_HANDSHAKE, /* speak TLS, then source_session_secured() */
    SOURCE_AUTH,
    SOURCE_IDLE, /* give it a parcel, or let it quit */
    SOURCE_ENVELOPE,
    SOURCE_CONTENT, /* the end of the content is written, its reply is due */
    SOURCE_QUITTING,
    SOURCE_DONE /* close */
};

struct source_session_config {
    const char *helo, *sender;
    bool wants_pipelining, wants_chunking, wants_tls;
    struct span user, password; /* empty: no AUTH */
};

struct source_session {
    const struct source_session_config *config;
    struct source_report *report;
    const struct source_plan *plan;
    enum source_phase phase;
    bool may_pipeline, may_chunk; /* wanted and offered */
    bool offers_tls, offers_plain, offers_login;
    bool is_secured;
    unsigned auth_answers; /* to 334 */
    bool is_waiting;       /* something was written and nothing has come since: a round trip */
    struct buf out;
    char line[SOURCE_LINE_BYTES];
    size_t line_len;

    struct source_parcel parcel;
    struct span mail;         /* as DATA or BDAT take it; the caller's until the session is idle */
    size_t written, answered; /* of MAIL, RCPT..., DATA or BDAT */
    size_t rcpts_taken;
    bool *rcpt_taken; /* by place in the parcel */
    size_t rcpt_cap;
    bool has_refused_mail;
    bool is_resetting;        /* RSET was written, its reply is due */
    bool has_sent_away;       /* 421 to MAIL, nobody was answered: the parcel goes elsewhere */
    bool has_content_in_out;  /* the end of the content waits to be sent */
    uint64_t mail_us, dot_us; /* when they were written */
};

void source_session_init(struct source_session *s, const struct source_session_config *config,
                         const struct source_plan *plan, struct source_report *report);
void source_session_release(struct source_session *s);

/* Phase IDLE only.  'mail': as BDAT takes it where s->may_chunk, else as DATA does; it must stay
 * until the phase is IDLE again. */
void source_session_send(struct source_session *s, struct source_parcel parcel, struct span mail,
                         uint64_t now_us);
void source_session_quit(struct source_session *s);
void source_session_feed(struct source_session *s, struct span bytes, uint64_t now_us);
/* All of s->out has gone to the system. */
void source_session_flushed(struct source_session *s, uint64_t now_us);
/* TLS stands: EHLO comes again. */
void source_session_secured(struct source_session *s);
/* The connection broke, or took too long. */
void source_session_lost(struct source_session *s, const char *why);
