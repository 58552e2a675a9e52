/* SPDX-License-Identifier: MIT */
/* What receive and its connections share. */
#pragma once
#include "mta/receive/clients.h"
#include "mta/receive/connection.h"
#include "mta/tls/context.h"

struct receive_listener {
    unsigned kind;    /* RECEIVE_KIND */
    bool is_listener; /* true */
    struct list in_receive;
    struct net_listener *listener;
    struct tls_context *context; /* NULL: no certificate */
    enum receive_tls tls;
    char name[80];
};

struct receive {
    struct loop *loop;
    struct intake *intake;
    struct event_log *log;
    const struct receive_settings *settings;
    struct clients clients;
    struct list listeners, connections, waiting, graves;
    struct heap deadlines;
    size_t connection_count;
    bool is_draining;
    uint64_t now_ms, wall_ms;
    struct receive_stats stats;
    char heard[65536]; /* what was just read */
};
