/* SPDX-License-Identifier: MIT */
/*
 * Dns server: the answers of dns_answer.h on a UDP and a TCP socket with the same port.  Lives on
 * one libuv loop.
 */
#pragma once
#include "bench/dns_answer.h"

struct uv_loop_s;
struct dns_server;

/* Binds 127.0.0.1:port (0: any that is free for both).  NULL: 'error' says why. */
struct dns_server *dns_server_open(struct uv_loop_s *loop, struct world *world, unsigned port,
                                   struct buf *error);
void dns_server_close(struct dns_server *server); /* frees it once the loop has let go */
unsigned dns_server_port(const struct dns_server *server);
const struct dns_tally *dns_server_tally(const struct dns_server *server);
