/* SPDX-License-Identifier: MIT */
/*
 * Our own epoll stands outside, libuv's inside it (uv_backend_fd), so that one system call waits
 * for both, and libuv runs only when it has something to do.  Connections are edge-triggered and
 * watched for everything from the first moment: net_conn.c remembers what is ready, so nothing is
 * ever changed.  The wake-up is an edge too, and is never read.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "mta/sys/loop_uv.h"
#include "mta/sys/net_conn.h"
#include "mta/sys/poll.h"
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE_MAX = 256 };

struct poll {
    int fd, wake_fd;
    atomic_bool is_woken; /* and nobody has seen it yet */
};

static void watch(struct poll *poll, int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    must(epoll_ctl(poll->fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

void poll_open(struct loop *loop)
{
    struct poll *poll = mem_new(sizeof *poll);
    poll->fd          = epoll_create1(EPOLL_CLOEXEC);
    poll->wake_fd     = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(poll->fd >= 0 && poll->wake_fd >= 0);
    watch(poll, poll->wake_fd, EPOLLIN | EPOLLET, poll);
    watch(poll, uv_backend_fd(&loop->uv), EPOLLIN, loop);
    loop->poll = poll;
}

void poll_close(struct loop *loop)
{
    (void)close(loop->poll->fd);
    (void)close(loop->poll->wake_fd);
    mem_free(loop->poll);
    loop->poll = NULL;
}

void poll_wake(struct loop *loop)
{
    static const uint64_t one = 1;
    if (!atomic_exchange(&loop->poll->is_woken, true))
        must(write(loop->poll->wake_fd, &one, sizeof one) == sizeof one);
}

void poll_arm(struct net_conn *conn, unsigned ready)
{
    (void)ready;
    if (conn->armed == 0)
        watch(conn->loop->poll, conn->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, conn);
    conn->armed = NET_READABLE | NET_WRITABLE;
}

/* close() ends the watch; no event of it is left, because all that were given are noted. */
void poll_forget(struct net_conn *conn)
{
    net_conn_free(conn);
}

/* --- waiting --- */

/* When libuv wants to run next; -1: only when it is woken.  One without handles would say 0. */
static int uv_wait_ms(struct loop *loop)
{
    return uv_loop_alive(&loop->uv) ? uv_backend_timeout(&loop->uv) : -1;
}

/* -1: for ever. */
static int wait_ms(struct loop *loop)
{
    if (loop->is_noted)
        return 0;
    uv_update_time(&loop->uv);
    int uv_ms = uv_wait_ms(loop);
    if (loop->due_ms == LOOP_NEVER)
        return uv_ms;
    uint64_t now_ms = clock_now_ms();
    uint64_t due_ms = loop->due_ms > now_ms ? loop->due_ms - now_ms : 0;
    int ms          = due_ms < INT_MAX ? (int)due_ms : INT_MAX;
    return uv_ms >= 0 && uv_ms < ms ? uv_ms : ms;
}

static void note_conn(struct net_conn *conn, uint32_t events)
{
    bool is_over   = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    unsigned ready = (events & EPOLLIN || is_over ? NET_READABLE : 0U) |
                     (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? NET_WRITABLE : 0U);
    net_conn_on_event(conn, ready, is_over);
}

static void note_due(struct loop *loop)
{
    if (loop->due_ms == LOOP_NEVER || loop->due_ms > clock_now_ms())
        return;
    loop->due_ms = LOOP_NEVER;
    loop_note(loop);
}

void poll_wait(struct loop *loop)
{
    struct epoll_event events[EVENTS_AT_ONCE_MAX];
    bool runs_uv = loop->uv_is_touched;
    if (runs_uv) { /* what was started since is watched only from its next run on */
        loop->uv_is_touched = false;
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    int count = epoll_wait(loop->poll->fd, events, EVENTS_AT_ONCE_MAX, wait_ms(loop));
    must(count >= 0 || errno == EINTR);
    runs_uv = false;
    for (int i = 0; i < count; i++) {
        void *what = events[i].data.ptr;
        if (what == loop) {
            runs_uv = true;
        } else if (what == loop->poll) {
            atomic_store(&loop->poll->is_woken, false);
            loop_note(loop);
        } else {
            note_conn(what, events[i].events);
        }
    }
    note_due(loop);
    if (runs_uv || uv_wait_ms(loop) == 0)
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
}
