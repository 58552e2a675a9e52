/* SPDX-License-Identifier: MIT */
/*
 * Mx conn: one accepted connection: a session, perhaps a TLS stream, and the delays of its host.
 * Belongs to the list it was accepted into, and frees itself when it has ended.
 */
#pragma once
#include "bench/internet_tls.h"
#include "bench/mx_session.h"

struct uv_stream_s;

enum { MX_CONN_READ_BYTES = 65536 };

/* What all connections of a server share. */
struct mx_conn_shared {
    struct mx_common *common;
    struct internet_tls *tls;
    char input[MX_CONN_READ_BYTES]; /* between a read and what is done with it */
};

void mx_conn_accept(struct mx_conn_shared *shared, struct uv_stream_s *listener, struct host *host,
                    struct list *conns);
/* Ends it at once. */
void mx_conn_close(struct list *in_conns);
