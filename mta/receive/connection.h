/* SPDX-License-Identifier: MIT */
/*
 * Connection: one client: it glues the wire (socket, TLS), the SMTP server core and the intake.
 *
 * Input goes through 'held': what was read and not yet understood, because an answer is awaited
 * (the disk), the disk lags behind, or the client does not read its replies.  While anything is
 * held nothing more is read, so memory stays bounded.
 */
#pragma once
#include "mta/base/heap.h"
#include "mta/base/list.h"
#include "mta/receive/receive.h"
#include "mta/smtp/server.h"
#include "mta/wire/wire.h"

struct client;
struct receive_listener;

struct connection {
    unsigned kind;    /* RECEIVE_KIND */
    bool is_listener; /* false; what else begins with this kind is a listener */
    struct receive *receive;
    struct list in_receive, grave, in_waiting;
    struct heap_node deadline;
    struct client *client;
    char ip[NET_ADDRESS_TEXT_BYTES];
    bool is_implicit_tls;

    struct wire wire;
    struct smtp_server_config config;
    struct smtp_server smtp;
    struct buf held;

    struct intake_mail *mail; /* of the transaction in progress */
    bool has_begun;           /* its content */
    bool awaits_commit, is_closing, is_dead, has_counted;
    uint64_t content_begun_ms;
};

/* A client that may be served; or one that is told so and turned away: 'code' 421 or 554. */
void connection_open(struct receive *receive, struct net_conn *conn,
                     const struct receive_listener *listener, struct client *client);
void connection_turn_away(struct receive *receive, struct net_conn *conn, int code,
                          const char *text);

void connection_on_ready(struct connection *c, unsigned ready);
void connection_on_done(struct connection *c, const struct intake_done *done);
void connection_on_deadline(struct connection *c);
/* The disk has caught up, perhaps. */
void connection_go_on(struct connection *c);
/* 421 as soon as no transaction is in progress. */
void connection_shut(struct connection *c);
void connection_cut(struct connection *c);
void connection_free(struct connection *c);
