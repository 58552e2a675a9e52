/* SPDX-License-Identifier: MIT */
/*
 * Internet: the simulated Internet as a whole: a world, its name server, its mail hosts, the ledger
 * of what they received, and the control socket.  One process, one loop.
 */
#pragma once
#include "bench/dns_server_uv.h"
#include "bench/mx_server_uv.h"
#include "bench/scenario.h"

struct internet {
    struct world world;
    struct scenario scenario;
    struct ledger ledger;
    struct mx_common common;
    struct internet_tls *tls;
    struct dns_server *dns;
    struct mx_server *mx;
    struct control *control;
    struct mx_ports ports;
    struct uv_loop_s *loop;
};

/* The subcommand: runs until SIGTERM, SIGINT or 'quit'; sysexits. */
int internet_main(int argc, char **argv);

/* Runs the loop no further. */
void internet_stop(struct internet *internet);
/* The host of this name has a new personality. */
bool internet_refresh(struct internet *internet, struct host *host, struct buf *error);
