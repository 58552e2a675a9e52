/* SPDX-License-Identifier: MIT */
/*
 * Our own non-blocking sockets; poll only says when one is ready.
 *
 * 'watched' is what the owner asks for, 'ready' what is known to be possible: an event sets it, a
 * read or write that the system cut short clears it.  A conn stands in loop->ready while something
 * that is watched is ready and no turn has taken it, in loop->changed while it must be looked at
 * before the next wait: what a turn left is noted again, what is watched and not ready is armed.
 */
#include "mta/sys/net_conn.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/net_system.h"
#include "mta/sys/poll.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum {
    CONN_KIND         = 0x6e436f6e,
    BOTH              = NET_READABLE | NET_WRITABLE,
    WRITE_PARTS_MAX   = 64, /* in one system call */
    DISCARD_BYTES_MAX = 1 << 20,
};

struct net_conn *net_conn_of(void *data)
{
    struct net_conn *conn = data;
    must(conn != NULL && conn->kind == CONN_KIND);
    return conn;
}

/* Readiness. */

static void mark_changed(struct net_conn *conn)
{
    if (!list_is_linked(&conn->in_changed))
        list_push(&conn->loop->changed, &conn->in_changed);
}

static void note(struct net_conn *conn)
{
    if (!list_is_linked(&conn->in_ready))
        list_push(&conn->loop->ready, &conn->in_ready);
    loop_note(conn->loop);
}

static enum status status_of_error(int error)
{
    switch (error) {
    case 0:
        return OK;
    case ECONNREFUSED:
    case ENOENT: /* no such UNIX socket */
    case EAGAIN: /* a UNIX socket with a full backlog */
        return REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EAFNOSUPPORT:
    case EACCES: /* a packet filter, or an "administratively prohibited" */
    case EPERM:
        return UNREACHABLE;
    case ETIMEDOUT:
        return TIMED_OUT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL: /* no port is left for this source */
        return LIMIT;
    default:
        return IO_ERROR;
    }
}

static void finish_connect(struct net_conn *conn)
{
    int error       = 0;
    socklen_t bytes = sizeof error;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        error = errno;
    conn->is_connecting = false;
    conn->result        = status_of_error(error);
    if (error == 0)
        net_system_local(conn->fd, &conn->local);
}

void net_conn_on_event(struct net_conn *conn, unsigned ready, bool is_over)
{
    bool is_news = (ready & ~(unsigned)conn->ready) != 0;
    conn->ready |= (unsigned char)ready;
    conn->is_over = conn->is_over || is_over;
    if (conn->is_connecting)
        finish_connect(conn);
    if (conn->ready & conn->watched)
        note(conn);
    if (!is_news && conn->armed & conn->ready)
        poll_arm(conn, conn->watched & ~(unsigned)conn->ready); /* or it would tell for ever */
}

/* Once before each wait. */
static void look_at_changed(struct loop *loop)
{
    struct list *link;
    while ((link = list_take(&loop->changed)) != NULL) {
        struct net_conn *conn = CONTAINER_OF(link, struct net_conn, in_changed);
        unsigned wanted       = conn->watched & ~(unsigned)conn->ready;
        if (conn->watched & conn->ready)
            note(conn);
        if (conn->fd >= 0 && wanted & ~(unsigned)conn->armed)
            poll_arm(conn, wanted);
    }
    if (!list_is_empty(&loop->ready))
        loop_note(loop); /* the turn left some */
}

struct net_conn *net_take_ready(struct loop *loop, unsigned *ready)
{
    struct list *link;
    while ((link = list_take(&loop->ready)) != NULL) {
        struct net_conn *conn = CONTAINER_OF(link, struct net_conn, in_ready);
        *ready                = conn->ready & conn->watched;
        if (*ready == 0)
            continue;
        mark_changed(conn); /* so that it is noted again while it lasts */
        return conn;
    }
    return NULL;
}

void net_watch(struct net_conn *conn, unsigned ready)
{
    must((ready & ~(unsigned)BOTH) == 0);
    if (conn->watched == ready)
        return;
    conn->watched = (unsigned char)ready;
    mark_changed(conn);
}

/* Connections. */

static struct net_conn *conn_new(struct loop *loop, int fd, const struct net_address *peer)
{
    struct net_conn *conn = mem_new(sizeof *conn);
    conn->kind            = CONN_KIND;
    conn->loop            = loop;
    conn->fd              = fd;
    conn->peer            = *peer;
    loop->before_wait     = look_at_changed;
    return conn;
}

/* 0, or why the source cannot be used. */
static int bind_source(int fd, const struct net_address *from)
{
    union net_system_address source;
    struct net_address any_port = *from;
    any_port.port               = 0;
    socklen_t bytes             = net_to_system(&any_port, &source);
    /* connect() picks the port then, so that one source serves many peers with the same one */
    net_system_set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    return bind(fd, &source.any, bytes) == 0 ? 0 : errno;
}

/* Sets result and is_connecting. */
static void start_connect(struct net_conn *conn, const struct net_address *from)
{
    union net_system_address to;
    socklen_t bytes = net_to_system(&conn->peer, &to);
    if (conn->peer.family != NET_UNIX)
        net_system_set(conn->fd, IPPROTO_TCP, TCP_NODELAY);
    int error = from == NULL ? 0 : bind_source(conn->fd, from);
    if (error != 0) {
        conn->result = error == EADDRNOTAVAIL ? IO_ERROR : status_of_error(error); /* not ours */
        return;
    }
    /* Interrupted or not, it goes on in the background. */
    if (connect(conn->fd, &to.any, bytes) == 0)
        net_system_local(conn->fd, &conn->local);
    else if (errno == EINPROGRESS || errno == EINTR)
        conn->is_connecting = true;
    else
        conn->result = status_of_error(errno);
}

struct net_conn *net_dial(struct loop *loop, const struct net_address *to,
                          const struct net_address *from, void *owner)
{
    must(to->family != NET_NONE);
    int fd                = net_system_socket(to->family);
    struct net_conn *conn = conn_new(loop, fd, to);
    conn->owner           = owner;
    conn->watched         = NET_WRITABLE;
    if (fd < 0)
        conn->result = status_of_error(errno);
    else
        start_connect(conn, from);
    if (!conn->is_connecting)
        conn->ready = BOTH; /* what there is to know is known, or the first try tells */
    mark_changed(conn);
    loop_note(loop);
    return conn;
}

struct net_conn *net_conn_accepted(struct loop *loop, int fd, const struct net_address *peer)
{
    struct net_conn *conn = conn_new(loop, fd, peer);
    conn->watched         = NET_READABLE;
    net_system_local(fd, &conn->local);
    mark_changed(conn);
    return conn;
}

enum status net_connect_result(struct net_conn *conn)
{
    return conn->is_connecting ? AGAIN : conn->result;
}

void net_conn_free(struct net_conn *conn)
{
    conn->kind = 0;
    mem_free(conn);
}

/*
 * With bytes unread a TCP socket would answer close() with a reset, and the peer might lose our
 * last words.
 */
static void close_gently(struct net_conn *conn)
{
    bool may_hold_bytes = conn->ready & NET_READABLE && !conn->is_ended && !conn->is_connecting;
    if (may_hold_bytes && conn->peer.family != NET_UNIX)
        (void)recv(conn->fd, NULL, DISCARD_BYTES_MAX, MSG_TRUNC | MSG_DONTWAIT);
    (void)close(conn->fd);
}

void net_close(struct net_conn *conn)
{
    must(conn->kind == CONN_KIND);
    list_remove(&conn->in_ready);
    list_remove(&conn->in_changed);
    if (conn->fd >= 0)
        close_gently(conn);
    conn->fd = -1;
    poll_forget(conn);
}

void *net_owner(const struct net_conn *conn)
{
    return conn->owner;
}

void net_set_owner(struct net_conn *conn, void *owner)
{
    conn->owner = owner;
}

const struct net_address *net_peer(const struct net_conn *conn)
{
    return &conn->peer;
}

const struct net_address *net_local(const struct net_conn *conn)
{
    return &conn->local;
}

bool net_peer_user(const struct net_conn *conn, unsigned *uid)
{
    if (conn->peer.family != NET_UNIX || conn->fd < 0)
        return false;
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
        return false;
    *uid = peer.uid;
    return true;
}

enum status net_read(struct net_conn *conn, void *into, size_t cap, size_t *got)
{
    must(cap > 0);
    *got = 0;
    /* What came after the last read will be noted: no need to ask the system now. */
    if (conn->is_connecting || (conn->armed & ~(unsigned)conn->ready & NET_READABLE))
        return AGAIN;
    if (conn->fd < 0)
        return IO_ERROR;
    ssize_t n;
    do
        n = recv(conn->fd, into, cap, 0);
    while (n < 0 && errno == EINTR);
    conn->is_ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
    if (conn->is_ended)
        return n == 0 ? END : IO_ERROR;
    if (n < 0 || ((size_t)n < cap && !conn->is_over)) {
        conn->ready &= (unsigned char)~NET_READABLE;
        mark_changed(conn);
    }
    if (n < 0)
        return AGAIN;
    *got = (size_t)n;
    return OK;
}

static size_t parts_bytes(const struct iovec *vectors, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += vectors[i].iov_len;
    return bytes;
}

enum status net_write(struct net_conn *conn, const struct span *parts, size_t count, size_t *wrote)
{
    struct iovec vectors[WRITE_PARTS_MAX];
    size_t used = 0;
    for (size_t i = 0; i < count && used < WRITE_PARTS_MAX; i++)
        if (parts[i].len > 0)
            vectors[used++] = (struct iovec){(void *)(uintptr_t)parts[i].at, parts[i].len};
    *wrote = 0;
    if (conn->is_connecting)
        return AGAIN;
    if (conn->fd < 0)
        return IO_ERROR;
    if (used == 0)
        return OK;
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = used};
    ssize_t n;
    do
        n = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
        return IO_ERROR;
    *wrote = n < 0 ? 0 : (size_t)n;
    if (*wrote < parts_bytes(vectors, used)) {
        conn->ready &= (unsigned char)~NET_WRITABLE;
        mark_changed(conn);
    }
    return n < 0 ? AGAIN : OK;
}
