/* SPDX-License-Identifier: MIT */
/*
 * Source run: a number of connections that take parcels from one plan, at a given pace, until it is
 * empty or a bound is reached.  A parcel whose connection breaks is not tried again: its recipients
 * count as unanswered, because a source that hides losses measures nothing.  Only a server that
 * says 421 to MAIL gets the parcel again, on another connection.
 */
#pragma once
#include "bench/source_mail.h"
#include "bench/source_pace.h"
#include "bench/source_session.h"
#include "mta/base/list.h"
#include <uv.h>

struct tls_context;
struct tls_session;

enum { SOURCE_READ_BYTES = 65536, SOURCE_TLS_SESSIONS_MAX = 64 };

struct source_run_config {
    struct sockaddr_storage to;
    uint64_t connections, timeout_ms;
    bool is_personalised, connection_per_message;
    struct tls_context *tls; /* NULL: no STARTTLS */
    const struct source_session_config *session;
    const struct source_pace_config *pace;
};

struct source_run {
    const struct source_run_config *config;
    const struct source_plan *plan;
    struct source_mail *mail;
    struct source_report *report;
    struct source_pace pace;
    size_t next_parcel;
    struct source_parcel returned; /* count 0: none */
    struct buf post[2];            /* the list post, as DATA and as BDAT take it */
    uv_loop_t loop;
    uv_timer_t watch, due; /* who waits for too long; the next transaction is due */
    struct list conns, resting;
    uint64_t open;
    bool is_over; /* nothing begins any more */
    struct tls_session *sessions[SOURCE_TLS_SESSIONS_MAX];
    size_t session_count;
    char input[SOURCE_READ_BYTES];
};

/* Runs to the end. */
void source_run(const struct source_run_config *config, const struct source_plan *plan,
                struct source_mail *mail, struct source_report *report);

/* For the connections (source_conn_uv.c). */

/* GO: 'parcel' is the caller's to send. */
enum source_pace_says source_run_take(struct source_run *run, struct source_parcel *parcel);
/* The message for this parcel; a personalised one is written into 'scratch'. */
struct span source_run_mail(struct source_run *run, const struct source_parcel *parcel,
                            bool is_chunk, struct buf *scratch);
/* A connection has ended and is gone. */
void source_run_closed(struct source_run *run);
