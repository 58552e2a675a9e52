/* SPDX-License-Identifier: MIT */
/*
 * Connection: one client: it glues the wire (socket, TLS), the SMTP server core and the intake.
 *
 * What was read and cannot be understood yet is 'held', because an answer is awaited (the disk),
 * the disk lags behind, or the client does not read its replies.  While anything is held nothing
 * more is read, so memory stays bounded: one read, whatever the client sends.
 */
#pragma once
#include "mta/base/heap.h"
#include "mta/base/list.h"
#include "mta/receive/guest.h"
#include "mta/receive/receive.h"
#include "mta/smtp/server.h"
#include "mta/wire/wire.h"

struct client;
struct receive_listener;

struct connection {
    unsigned kind;    /* RECEIVE_KIND */
    bool is_listener; /* false; what else begins with this kind is a listener */
    struct receive *receive;
    const struct receive_listener *listener;
    struct list in_receive, grave, in_waiting;
    struct heap_node deadline;
    struct client *client; /* NULL: it was turned away */
    bool is_trusted;       /* its address may relay */
    struct guest *guest;   /* NULL: it does not submit */
    char ip[NET_ADDRESS_TEXT_BYTES];

    struct wire wire;
    bool may_have_more; /* bytes to read of which nobody will tell */
    struct smtp_server_config config;
    struct smtp_server smtp;
    struct buf held;
    size_t held_at; /* what is in front was fed */

    struct intake_mail *mail; /* of the transaction in progress */
    bool has_begun;           /* its content */
    uint64_t begun_ms;
    bool awaits_commit, is_closing, is_dead;
    bool has_moved; /* since the deadline was set: a command or a piece of content is complete */
};

/* A client that may be served; or one that is told why not ('code' 421 or 554) and let go. */
void connection_open(struct receive *receive, struct net_conn *conn,
                     const struct receive_listener *listener, struct client *client,
                     bool is_trusted);
void connection_turn_away(struct receive *receive, struct net_conn *conn, int code,
                          const char *text);

void connection_on_ready(struct connection *c, unsigned ready);
void connection_on_done(struct connection *c, const struct intake_done *done);
void connection_on_deadline(struct connection *c);
/* The disk has caught up, perhaps; or there is more to read. */
void connection_go_on(struct connection *c);
/* Says 421 if no transaction is in progress. */
void connection_shut(struct connection *c);
void connection_cut(struct connection *c);
void connection_free(struct connection *c);

void connection_log_refused(struct connection *c, int code, const char *text);
/* Who has logged in; "" nobody. */
const char *connection_user(const struct connection *c);
