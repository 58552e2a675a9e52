/* SPDX-License-Identifier: MIT */
/*
 * Poll: how a loop waits: for its connections, for another thread's wake-up, for a time.  Private
 * to mta/sys.  Two bodies, one of them is linked: poll_epoll_uv.c (Linux: a connection costs one
 * system call in its life, a wake-up one) and poll_uv.c (wherever libuv runs).  What else libuv
 * watches (listeners, signals, the resolver's sockets) works with both.
 */
#pragma once
#include <stdint.h>

struct loop;
struct net_conn;

/* loop->uv is there.  Until poll_close(): loop->poll. */
void poll_open(struct loop *loop);
/* Every conn is closed.  What libuv has to finish may still run afterwards. */
void poll_close(struct loop *loop);
/* Once: what is ready is noted (net_conn_on_event, loop_note), callbacks of libuv run.  Sleeps at
 * most until loop->due_ms, and not at all while a turn is owed. */
void poll_wait(struct loop *loop);
/* Ends a wait, or the next one.  Any thread. */
void poll_wake(struct loop *loop);

/* From now on tells what comes of 'ready' (NET_READABLE, NET_WRITABLE), and sets conn->armed to
 * what it watches: at least that; it may tell the same again, and of more. */
void poll_arm(struct net_conn *conn, unsigned ready);
/* The descriptor is about to be closed; net_conn_free() follows when nothing names the conn. */
void poll_forget(struct net_conn *conn);
