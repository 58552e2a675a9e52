/* SPDX-License-Identifier: MIT */
/* Source conn: one connection of a run: a socket, perhaps TLS, and a session.  Frees itself. */
#pragma once
#include "bench/source_run_uv.h"

struct tls_engine;

struct source_conn {
    struct list in_run, resting; /* resting: idle until the next transaction is due */
    struct source_run *run;
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_write_t writing;
    struct buf sending; /* of the write under way */
    struct buf mail;    /* its personalised message */
    struct source_session session;
    struct tls_engine *tls;
    struct source_parcel parcel; /* what it was opened for; count 0: nothing */
    uint64_t asked_ms;           /* when it last wrote or heard */
    size_t sent;                 /* messages */
    bool is_writing, is_over;
};

/* 'parcel': sent first, and with a connection per message, alone; count 0: the run is asked. */
void source_conn_open(struct source_run *run, struct source_parcel parcel);
/* Goes on after a rest. */
void source_conn_wake(struct source_conn *c);
void source_conn_close(struct source_conn *c, const char *why);
