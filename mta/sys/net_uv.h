/* SPDX-License-Identifier: MIT */
/* Net, behind the door: what net_listen_uv.c needs from net_uv.c. */
#pragma once
#include "mta/sys/loop_uv.h"
#include "mta/sys/net.h"

/* A conn around an accepted, non-blocking descriptor; it watches READABLE and has no owner. */
struct net_conn *net_conn_accepted(struct loop *loop, int fd, const struct net_address *peer);
