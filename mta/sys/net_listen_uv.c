/* SPDX-License-Identifier: MIT */
/*
 * Listeners.  A listener that has connections waiting stands in loop->accepting until the turn has
 * taken them or its budget is used up; what is left is noted again, because readiness lasts.  When
 * descriptors run out the listener is deaf for a while, longer each time, instead of spinning.
 */
#include "mta/base/buf.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/net_conn.h"
#include "mta/sys/net_system.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LISTENER_KIND       = 0x6e4c6973,
    BACKLOG             = 4096,
    ACCEPTS_PER_TURN    = 64, /* of one listener */
    ACCEPT_PAUSE_MS_MIN = 100,
    ACCEPT_PAUSE_MS_MAX = 1000,
    UNIX_SOCKET_MODE    = 0600,
};

struct net_listener {
    unsigned kind;
    int fd;
    struct loop *loop;
    void *owner;
    struct list in_accepting;
    unsigned budget;   /* how many more may come in this turn */
    unsigned pause_ms; /* the last pause; 0: accepting goes well */
    unsigned handles_open;
    struct net_address address;
    bool made_path; /* the UNIX socket below the path is ours to remove, if it is still this one */
    dev_t path_device;
    ino_t path_inode;
    uv_poll_t poll;
    uv_timer_t pause;
};

static struct net_listener *listener_of(void *data)
{
    struct net_listener *listener = data;
    must(listener != NULL && listener->kind == LISTENER_KIND);
    return listener;
}

static void on_incoming(uv_poll_t *poll, int status, int events)
{
    struct net_listener *listener = listener_of(poll->data);
    (void)status, (void)events; /* accept() will say what is wrong */
    listener->budget = ACCEPTS_PER_TURN;
    if (!list_is_linked(&listener->in_accepting))
        list_push(&listener->loop->accepting, &listener->in_accepting);
    loop_note(listener->loop);
}

static void start_accepting(struct net_listener *listener)
{
    loop_touch_uv(listener->loop);
    must(uv_poll_start(&listener->poll, UV_READABLE, on_incoming) == 0);
}

static void on_pause_over(uv_timer_t *timer)
{
    start_accepting(listener_of(timer->data));
}

static void pause_accepting(struct net_listener *listener)
{
    unsigned longer    = listener->pause_ms * 2;
    listener->pause_ms = longer < ACCEPT_PAUSE_MS_MIN   ? ACCEPT_PAUSE_MS_MIN
                         : longer > ACCEPT_PAUSE_MS_MAX ? ACCEPT_PAUSE_MS_MAX
                                                        : longer;
    list_remove(&listener->in_accepting);
    loop_touch_uv(listener->loop);
    (void)uv_poll_stop(&listener->poll);
    (void)uv_timer_start(&listener->pause, on_pause_over, listener->pause_ms, 0);
}

/* Accepting.  Errors of one connection (it was gone before we took it) are nobody's business. */

static bool is_out_of_means(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* NULL: none now; the listener is no longer in loop->accepting then. */
static struct net_conn *accept_one(struct net_listener *listener)
{
    while (listener->budget > 0) {
        union net_system_address name = {0};
        struct net_address peer;
        socklen_t bytes = sizeof name;
        int fd          = accept4(listener->fd, &name.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->budget--;
            listener->pause_ms = 0;
            net_from_system(&name, &peer);
            if (listener->address.family == NET_UNIX)
                peer = (struct net_address){.family = NET_UNIX}; /* clients have no name */
            return net_conn_accepted(listener->loop, fd, &peer);
        }
        if (is_out_of_means(errno)) {
            pause_accepting(listener);
            return NULL;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        listener->budget--;
    }
    list_remove(&listener->in_accepting);
    return NULL;
}

struct net_conn *net_take_accepted(struct loop *loop, struct net_listener **listener)
{
    struct list *link;
    while ((link = list_first(&loop->accepting)) != NULL) {
        *listener             = CONTAINER_OF(link, struct net_listener, in_accepting);
        struct net_conn *conn = accept_one(*listener);
        if (conn != NULL)
            return conn;
    }
    return NULL;
}

/* Opening. */

static void complain(struct buf *error, const struct net_address *address, const char *cause)
{
    char text[NET_ENDPOINT_TEXT_BYTES];
    buf_printf(error, "cannot listen on %s: %s", net_endpoint_text(address, text), cause);
}

static bool is_other_file(const struct net_address *address)
{
    struct stat found;
    return address->family == NET_UNIX && lstat(address->path, &found) == 0 &&
           !S_ISSOCK(found.st_mode);
}

static const char *cause_of(int error, const struct net_address *address)
{
    switch (error) {
    case EADDRINUSE:
        return is_other_file(address) ? "a file that is no socket is in the way"
                                      : "another process listens there";
    case EADDRNOTAVAIL:
        return "this machine has no such address";
    case EACCES:
        return "not permitted (a port below 1024 needs CAP_NET_BIND_SERVICE, a path a writable "
               "directory)";
    default:
        return strerror(error);
    }
}

static struct net_listener *listener_new(struct loop *loop, int fd, void *owner)
{
    struct net_listener *listener = mem_new(sizeof *listener);
    listener->kind                = LISTENER_KIND;
    listener->loop                = loop;
    listener->fd                  = fd;
    listener->owner               = owner;
    must(uv_poll_init(&loop->uv, &listener->poll, fd) == 0);
    must(uv_timer_init(&loop->uv, &listener->pause) == 0);
    listener->poll.data = listener->pause.data = listener;
    listener->handles_open                     = 2;
    net_system_local(fd, &listener->address);
    /* Accepted sockets inherit it. */
    if (listener->address.family != NET_UNIX)
        net_system_set(fd, IPPROTO_TCP, TCP_NODELAY);
    start_accepting(listener);
    return listener;
}

/* Whether 'path' is a socket that a process which is gone has left behind. */
static bool is_abandoned(const struct net_address *address)
{
    struct stat found;
    union net_system_address name;
    socklen_t bytes = net_to_system(address, &name);
    if (lstat(address->path, &found) != 0 || !S_ISSOCK(found.st_mode))
        return false;
    int fd            = net_system_socket(NET_UNIX);
    bool is_listening = fd < 0 || connect(fd, &name.any, bytes) == 0 || errno != ECONNREFUSED;
    if (fd >= 0)
        (void)close(fd);
    return !is_listening;
}

static void prepare_socket(int fd, const struct net_address *address)
{
    if (address->family == NET_UNIX) {
        /* bind() gives the path the mode of the descriptor: no moment in which others may connect,
         * and no umask that other threads would feel. */
        (void)fchmod(fd, UNIX_SOCKET_MODE);
        if (is_abandoned(address))
            (void)unlink(address->path);
        return;
    }
    net_system_set(fd, SOL_SOCKET, SO_REUSEADDR);
    if (address->family == NET_IPV6)
        net_system_set(fd, IPPROTO_IPV6, IPV6_V6ONLY);
}

static void remember_path(struct net_listener *listener, const struct net_address *address)
{
    struct stat made;
    if (address->family != NET_UNIX || lstat(address->path, &made) != 0)
        return;
    listener->made_path   = true;
    listener->path_device = made.st_dev;
    listener->path_inode  = made.st_ino;
}

struct net_listener *net_listen(struct loop *loop, const struct net_address *address, void *owner,
                                struct buf *error)
{
    union net_system_address name;
    socklen_t bytes = net_to_system(address, &name);
    int fd          = net_system_socket(address->family);
    if (fd < 0) {
        complain(error, address, cause_of(errno, address));
        return NULL;
    }
    prepare_socket(fd, address);
    if (bind(fd, &name.any, bytes) != 0 || listen(fd, BACKLOG) != 0) {
        complain(error, address, cause_of(errno, address));
        (void)close(fd);
        return NULL;
    }
    struct net_listener *listener = listener_new(loop, fd, owner);
    remember_path(listener, address);
    return listener;
}

struct net_listener *net_listen_fd(struct loop *loop, int fd, void *owner, struct buf *error)
{
    int is_listening = 0;
    socklen_t bytes  = sizeof is_listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &bytes) != 0 || !is_listening) {
        buf_printf(error, "descriptor %d is no listening socket", fd);
        return NULL;
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        buf_printf(error, "cannot use descriptor %d: %s", fd, strerror(errno));
        return NULL;
    }
    return listener_new(loop, fd, owner);
}

/* Closing. */

static void on_listener_handle_closed(uv_handle_t *handle)
{
    struct net_listener *listener = listener_of(handle->data);
    if (--listener->handles_open > 0)
        return;
    listener->kind = 0;
    mem_free(listener);
}

static void remove_path(const struct net_listener *listener)
{
    struct stat found;
    const char *path = listener->address.path;
    if (listener->made_path && lstat(path, &found) == 0 && found.st_ino == listener->path_inode &&
        found.st_dev == listener->path_device)
        (void)unlink(path);
}

void net_listener_close(struct net_listener *listener)
{
    must(listener->kind == LISTENER_KIND);
    list_remove(&listener->in_accepting);
    loop_touch_uv(listener->loop);
    uv_close((uv_handle_t *)&listener->poll, on_listener_handle_closed);
    uv_close((uv_handle_t *)&listener->pause, on_listener_handle_closed);
    (void)close(listener->fd);
    remove_path(listener);
}

void *net_listener_owner(const struct net_listener *listener)
{
    return listener->owner;
}

const struct net_address *net_listener_address(const struct net_listener *listener)
{
    return &listener->address;
}
