/* SPDX-License-Identifier: MIT */
/*
 * All of it by libuv.  A uv_poll_t is level-triggered, and every change of it is two system calls,
 * so a conn stays armed until it is told what it knows already; only then is it changed.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/loop_uv.h"
#include "mta/sys/net_conn.h"
#include "mta/sys/poll.h"

struct poll {
    uv_async_t wake;
    uv_timer_t timer;
    uint64_t timer_ms; /* what it is set to; LOOP_NEVER: it is not */
};

struct poll_handle {
    uv_poll_t uv;
};

static void on_wake(uv_async_t *wake)
{
    loop_note(wake->data);
}

/* It may fire before the poll of an iteration: uv_stop() keeps that poll from sleeping. */
static void on_timer(uv_timer_t *timer)
{
    struct loop *loop    = timer->data;
    loop->poll->timer_ms = LOOP_NEVER;
    loop->due_ms         = LOOP_NEVER;
    loop_note(loop);
    uv_stop(&loop->uv);
}

void poll_open(struct loop *loop)
{
    struct poll *poll = mem_new(sizeof *poll);
    poll->timer_ms    = LOOP_NEVER;
    must(uv_async_init(&loop->uv, &poll->wake, on_wake) == 0);
    must(uv_timer_init(&loop->uv, &poll->timer) == 0);
    poll->wake.data = poll->timer.data = loop;
    loop->poll                         = poll;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct loop *loop = timer->data;
    mem_free(loop->poll);
    loop->poll = NULL;
}

void poll_close(struct loop *loop)
{
    uv_close((uv_handle_t *)&loop->poll->wake, NULL);
    uv_close((uv_handle_t *)&loop->poll->timer, on_timer_closed); /* in this order */
}

void poll_wake(struct loop *loop)
{
    must(uv_async_send(&loop->poll->wake) == 0);
}

/* Sets the timer to loop->due_ms; moved only when that is another time than before. */
static void set_timer(struct loop *loop)
{
    struct poll *poll = loop->poll;
    if (loop->due_ms == poll->timer_ms)
        return;
    poll->timer_ms = loop->due_ms;
    if (loop->due_ms == LOOP_NEVER) {
        (void)uv_timer_stop(&poll->timer);
        return;
    }
    uv_update_time(&loop->uv);
    uint64_t now_ms = uv_now(&loop->uv);
    (void)uv_timer_start(&poll->timer, on_timer, loop->due_ms > now_ms ? loop->due_ms - now_ms : 0,
                         0);
}

void poll_wait(struct loop *loop)
{
    loop->uv_is_touched = false;
    set_timer(loop);
    (void)uv_run(&loop->uv, loop->is_noted ? UV_RUN_NOWAIT : UV_RUN_ONCE);
}

/* --- connections --- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct net_conn *conn = net_conn_of(handle->data);
    unsigned ready        = NET_READABLE | NET_WRITABLE;
    if (status == 0)
        ready = (events & UV_READABLE ? (unsigned)NET_READABLE : 0U) |
                (events & UV_WRITABLE ? (unsigned)NET_WRITABLE : 0U);
    else
        conn->armed = 0; /* an error: libuv has stopped the handle, the next read tells */
    net_conn_on_event(conn, ready, status != 0);
}

void poll_arm(struct net_conn *conn, unsigned ready)
{
    if (conn->handle == NULL) {
        conn->handle = mem_new(sizeof *conn->handle);
        must(uv_poll_init(&conn->loop->uv, &conn->handle->uv, conn->fd) == 0);
        conn->handle->uv.data = conn;
    }
    int events =
        (ready & NET_READABLE ? UV_READABLE : 0) | (ready & NET_WRITABLE ? UV_WRITABLE : 0);
    if (events != 0)
        must(uv_poll_start(&conn->handle->uv, events, on_poll) == 0);
    else
        must(uv_poll_stop(&conn->handle->uv) == 0);
    conn->armed = (unsigned char)ready;
}

static void on_closed(uv_handle_t *handle)
{
    struct net_conn *conn = net_conn_of(handle->data);
    mem_free(conn->handle);
    net_conn_free(conn);
}

void poll_forget(struct net_conn *conn)
{
    if (conn->handle != NULL)
        uv_close((uv_handle_t *)&conn->handle->uv, on_closed);
    else
        net_conn_free(conn);
}
