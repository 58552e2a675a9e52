/* SPDX-License-Identifier: MIT */
/* What receive and its connections share. */
#pragma once
#include "mta/receive/clients.h"
#include "mta/receive/connection.h"
#include "mta/tls/context.h"

enum { RECEIVE_READ_BYTES = 65536 }; /* at once */

struct receive_listener {
    unsigned kind;    /* RECEIVE_KIND */
    bool is_listener; /* true */
    struct list in_receive;
    struct net_listener *listener; /* NULL: listens no more */
    struct tls_context *context;   /* never NULL where there is TLS */
    struct tls_context *fresh;     /* while settings are being replaced */
    enum receive_tls tls;
    enum receive_role role;
    char name[NET_ENDPOINT_TEXT_BYTES];
};

struct receive {
    struct loop *loop;
    struct intake *intake;
    struct event_log *log;
    const struct receive_settings *settings;
    char *hostname; /* outlives settings, as connections need it */
    struct clients clients;
    struct porter *porter; /* NULL: nobody submits */
    struct list listeners, connections, waiting, graves;
    struct heap deadlines;
    size_t connection_count;
    bool is_draining;
    bool has_more; /* a connection has used up its share of this turn */
    uint64_t now_ms, wall_ms;
    struct receive_stats stats;
    char heard[RECEIVE_READ_BYTES]; /* what was just read */
};

void receive_log_refused(struct receive *receive, const char *ip, const char *user,
                         const char *from, const char *to, int code, const char *text);
