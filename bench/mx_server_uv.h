/* SPDX-License-Identifier: MIT */
/*
 * Mx server: the sockets of all hosts, on one libuv loop.  Every living host listens at its own
 * addresses, all with one port (LMTP hosts with another), so that a dead one really refuses and a
 * black hole really swallows.
 */
#pragma once
#include "bench/internet_tls.h"
#include "bench/mx_session.h"

struct uv_loop_s;
struct mx_server;

struct mx_ports {
    unsigned smtp, lmtp; /* 0: any; then what was chosen */
};

/* NULL: 'error' says why. */
struct mx_server *mx_server_open(struct uv_loop_s *loop, struct mx_common *common,
                                 struct internet_tls *tls, struct mx_ports *ports,
                                 struct buf *error);
/* Ends all connections; frees itself once the loop has let go. */
void mx_server_close(struct mx_server *server);
/* The host's personality has changed: it may listen now, or no longer.  A host that died loses its
 * connections too. */
bool mx_server_refresh(struct mx_server *server, struct host *host, struct buf *error);
