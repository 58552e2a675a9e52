/* SPDX-License-Identifier: MIT */
/* Net, behind the door: a connection as net_conn.c, net_listen_uv.c and poll see it. */
#pragma once
#include "mta/sys/loop_uv.h"
#include "mta/sys/net.h"

struct poll_handle;

struct net_conn {
    unsigned kind;
    int fd; /* -1: there never was one, 'result' says why */
    struct loop *loop;
    void *owner;
    struct list in_ready, in_changed;
    unsigned char watched; /* what the owner asks for */
    unsigned char ready;   /* what may be done without being refused, as far as we know */
    unsigned char armed;   /* what poll tells of; poll's */
    bool is_connecting;
    bool is_over;  /* the peer has finished, or worse: what is left may be read to its end */
    bool is_ended; /* nothing more will be read */
    enum status result;
    struct net_address peer, local;
    struct poll_handle *handle; /* poll's, or NULL */
};

/* A conn around an accepted, non-blocking descriptor; it watches READABLE and has no owner. */
struct net_conn *net_conn_accepted(struct loop *loop, int fd, const struct net_address *peer);
/* Asserts its kind. */
struct net_conn *net_conn_of(void *data);
/* poll: that is ready now; 'is_over': see there. */
void net_conn_on_event(struct net_conn *conn, unsigned ready, bool is_over);
/* poll: nothing names it any more. */
void net_conn_free(struct net_conn *conn);
