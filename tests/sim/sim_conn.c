/* SPDX-License-Identifier: MIT */
/*
 * The second door: the product's conns and listeners.  A conn is ready as the halves of its stream
 * say; all conns of a loop are asked when its turn begins, and again when it ends, so readiness
 * lasts as net.h promises, and comes in an order drawn from the seed.
 *
 * Conns and listeners are the world's memory: the system's part of a socket outlives the process.
 */
#include "mta/base/fault.h"
#include "tests/sim/sim_daemon.h"
#include "tests/sim/sim_doors.h"
#include "tests/sim/sim_mem.h"
#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_peer.h"
#include "tests/sim/sim_stream.h"
#include <string.h>

struct net_conn {
    struct list in_net, in_loop, in_ready;
    struct loop *loop;
    void *owner;
    unsigned watched;
    bool is_connecting;
    enum status result;
    struct net_address peer, local;
    struct sim_stream *stream;    /* NULL until connected */
    const struct plan_host *host; /* whom it dialled; NULL: it came in */
    struct sim_event connected;
};

struct net_listener {
    struct list in_net, in_loop;
    struct loop *loop;
    void *owner;
    struct net_address address;
    struct list backlog; /* struct guest */
};

/* A connection that waits to be accepted, or is on its way there. */
struct guest {
    struct list in_backlog;
    struct net_listener *listener;
    struct sim_stream *stream;
    struct sim_event comes;
    bool has_come;
};

static const struct net_address ours = {
    .family = NET_IPV4, .ip = {192, 0, 2, 1}
};
static const struct net_address submitter = {
    .family = NET_IPV4, .ip = {127, 0, 0, 1}
};

bool net_address_is_own(const struct net_address *address)
{
    return net_address_equals(address, &ours);
}

/* --- readiness --- */

static unsigned ready_of(const struct net_conn *conn)
{
    const struct sim_stream *stream = conn->stream;
    if (conn->is_connecting)
        return 0;
    if (stream == NULL || stream->is_broken)
        return NET_READABLE | NET_WRITABLE;
    const struct half *in = &stream->half[IN];
    return (in->arrived > 0 || in->has_ended ? NET_READABLE : 0U) |
           (stream_room(stream) > 0 ? NET_WRITABLE : 0U);
}

void conn_note(struct net_conn *conn)
{
    if (ready_of(conn) & conn->watched)
        loop_note(conn->loop);
}

void net_begin_turn(struct loop *loop)
{
    for (struct list *n = list_first(&loop->conns); n != NULL; n = list_next(&loop->conns, n)) {
        struct net_conn *conn = CONTAINER_OF(n, struct net_conn, in_loop);
        list_remove(&conn->in_ready);
        if (!(ready_of(conn) & conn->watched))
            continue;
        if (sim_below(2) == 0)
            list_push(&loop->ready, &conn->in_ready);
        else
            list_push_front(&loop->ready, &conn->in_ready);
    }
}

static bool has_guests(const struct loop *loop)
{
    for (struct list *n = list_first(&loop->listeners); n != NULL;
         n              = list_next(&loop->listeners, n)) {
        const struct list *backlog = &CONTAINER_OF(n, struct net_listener, in_loop)->backlog;
        const struct list *first   = list_first(backlog);
        if (first != NULL && CONTAINER_OF(first, struct guest, in_backlog)->has_come)
            return true;
    }
    return false;
}

bool net_has_ready(struct loop *loop)
{
    for (struct list *n = list_first(&loop->conns); n != NULL; n = list_next(&loop->conns, n)) {
        const struct net_conn *conn = CONTAINER_OF(n, struct net_conn, in_loop);
        if (ready_of(conn) & conn->watched)
            return true;
    }
    return has_guests(loop);
}

struct net_conn *net_take_ready(struct loop *loop, unsigned *ready)
{
    struct list *link;
    while ((link = list_take(&loop->ready)) != NULL) {
        struct net_conn *conn = CONTAINER_OF(link, struct net_conn, in_ready);
        *ready                = ready_of(conn) & conn->watched;
        if (*ready != 0)
            return conn;
    }
    return NULL;
}

void net_watch(struct net_conn *conn, unsigned ready)
{
    conn->watched = ready;
    conn_note(conn);
}

/* --- conns --- */

static struct net_conn *conn_new(struct loop *loop, const struct net_address *peer, void *owner)
{
    struct net_conn *conn = world_new(sizeof *conn);
    conn->loop            = loop;
    conn->owner           = owner;
    conn->peer            = *peer;
    conn->local           = ours;
    list_push(&sim()->net->conns, &conn->in_net);
    list_push(&loop->conns, &conn->in_loop);
    return conn;
}

static void on_connected(struct sim_event *event)
{
    struct net_conn *conn = CONTAINER_OF(event, struct net_conn, connected);
    struct sim_end *end   = NULL;
    enum peer_answer said = conn->host == NULL ? PEER_REFUSES : peer_answer(conn->host, &end);
    if (said == PEER_KEEPS_SILENT)
        return;
    conn->is_connecting = false;
    conn->result        = said == PEER_REFUSES ? REFUSED : OK;
    if (said == PEER_ACCEPTS) {
        conn->stream       = stream_new(end);
        conn->stream->conn = conn;
        peer_greet(end);
    }
    conn_note(conn);
}

struct net_conn *net_dial(struct loop *loop, const struct net_address *to,
                          const struct net_address *from, void *owner)
{
    const struct plan_faults *f = &sim()->plan->faults;
    struct net_conn *conn       = conn_new(loop, to, owner);
    (void)from;
    conn->watched       = NET_WRITABLE;
    conn->is_connecting = true;
    conn->host          = peer_at(to);
    sim_event_init(&conn->connected, on_connected, false);
    sim_after(&conn->connected, 2 * sim_between(f->net_ms_min, f->net_ms_max));
    if (conn->host != NULL) {
        sim()->net->dialled[conn->host->site]++;
        oracle_on_dialled(conn->host->site);
    }
    return conn;
}

enum status net_connect_result(struct net_conn *conn)
{
    return conn->is_connecting ? AGAIN : conn->result;
}

static void conn_end(struct net_conn *conn, bool power)
{
    sim_cancel(&conn->connected);
    list_remove(&conn->in_net);
    list_remove(&conn->in_loop);
    list_remove(&conn->in_ready);
    if (conn->host != NULL)
        sim()->net->dialled[conn->host->site]--;
    if (conn->stream != NULL)
        stream_leave(conn->stream, power);
    world_free(conn);
}

void net_close(struct net_conn *conn)
{
    conn_end(conn, false);
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
    (void)conn, (void)uid;
    return false;
}

/* --- bytes --- */

static size_t draw_part(size_t bytes)
{
    return sim()->plan->faults.torn > 0 && sim_below(4) == 0 ? sim_between(1, bytes) : bytes;
}

enum status net_read(struct net_conn *conn, void *into, size_t cap, size_t *got)
{
    struct sim_stream *stream = conn->stream;
    *got                      = 0;
    must(cap > 0);
    if (conn->is_connecting)
        return AGAIN;
    if (stream == NULL)
        return IO_ERROR;
    struct half *in = &stream->half[IN];
    if (in->arrived == 0)
        return stream->is_broken ? IO_ERROR : in->has_ended ? END : AGAIN;
    size_t part = draw_part(in->arrived < cap ? in->arrived : cap);
    memcpy(into, in->bytes.at, part);
    buf_drop(&in->bytes, part);
    in->arrived -= part;
    in->taken += part;
    stream_took(stream);
    daemon_may_die(false);
    *got = part;
    return OK;
}

enum status net_write(struct net_conn *conn, const struct span *parts, size_t count, size_t *wrote)
{
    struct sim_stream *stream = conn->stream;
    size_t all                = 0, left;
    *wrote                    = 0;
    daemon_may_die(false);
    if (conn->is_connecting)
        return AGAIN;
    if (stream == NULL || stream->is_broken)
        return IO_ERROR;
    for (size_t i = 0; i < count; i++)
        all += parts[i].len;
    if (all == 0)
        return OK;
    size_t room = stream_room(stream);
    if (room == 0)
        return AGAIN;
    enum sim_side before = sim_mem_set_side(SIDE_WORLD);
    left = *wrote = draw_part(all < room ? all : room);
    for (size_t i = 0; i < count && left > 0; i++) {
        struct span part = span_first(parts[i], left);
        buf_put(&stream->half[OUT].bytes, part);
        left -= part.len;
    }
    stream_wrote(stream);
    (void)sim_mem_set_side(before);
    return OK;
}

/* --- listeners --- */

struct net_listener *net_listen(struct loop *loop, const struct net_address *address, void *owner,
                                struct buf *error)
{
    (void)error;
    struct net_listener *listener = world_new(sizeof *listener);
    listener->loop                = loop;
    listener->owner               = owner;
    listener->address             = *address;
    list_push(&sim()->net->listeners, &listener->in_net);
    list_push(&loop->listeners, &listener->in_loop);
    return listener;
}

struct net_listener *net_listen_fd(struct loop *loop, int fd, void *owner, struct buf *error)
{
    (void)loop, (void)fd, (void)owner, (void)error;
    must(false); /* nobody hands descriptors over here */
    return NULL;
}

static void listener_end(struct net_listener *listener, bool power)
{
    struct list *link;
    while ((link = list_take(&listener->backlog)) != NULL) {
        struct guest *guest = CONTAINER_OF(link, struct guest, in_backlog);
        sim_cancel(&guest->comes);
        stream_leave(guest->stream, power);
        world_free(guest);
    }
    list_remove(&listener->in_net);
    list_remove(&listener->in_loop);
    world_free(listener);
}

void net_listener_close(struct net_listener *listener)
{
    listener_end(listener, false);
}

void *net_listener_owner(const struct net_listener *listener)
{
    return listener->owner;
}

const struct net_address *net_listener_address(const struct net_listener *listener)
{
    return &listener->address;
}

static struct net_conn *accept_guest(struct net_listener *listener, struct guest *guest)
{
    struct net_conn *conn       = conn_new(listener->loop, &submitter, NULL);
    conn->stream                = guest->stream;
    conn->watched               = NET_READABLE;
    conn->stream->conn          = conn;
    conn->stream->awaits_accept = false;
    sim_event_init(&conn->connected, on_connected, false);
    list_remove(&guest->in_backlog);
    world_free(guest);
    return conn;
}

struct net_conn *net_take_accepted(struct loop *loop, struct net_listener **listener)
{
    for (struct list *n = list_first(&loop->listeners); n != NULL;
         n              = list_next(&loop->listeners, n)) {
        *listener           = CONTAINER_OF(n, struct net_listener, in_loop);
        struct list *link   = list_first(&(*listener)->backlog);
        struct guest *guest = link == NULL ? NULL : CONTAINER_OF(link, struct guest, in_backlog);
        if (guest != NULL && guest->has_come)
            return accept_guest(*listener, guest);
    }
    return NULL;
}

static void on_guest(struct sim_event *event)
{
    struct guest *guest = CONTAINER_OF(event, struct guest, comes);
    guest->has_come     = true;
    loop_note(guest->listener->loop);
}

static struct net_listener *listener_on(uint16_t port)
{
    const struct list *all = &sim()->net->listeners;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct net_listener *listener = CONTAINER_OF(n, struct net_listener, in_net);
        if (listener->address.family == NET_IPV4 && listener->address.port == port)
            return listener;
    }
    return NULL;
}

bool end_connect(struct sim_end *end, uint16_t port)
{
    struct net_listener *listener = listener_on(port);
    if (listener == NULL)
        return false;
    struct guest *guest          = world_new(sizeof *guest);
    guest->listener              = listener;
    guest->stream                = stream_new(end);
    guest->stream->awaits_accept = true;
    sim_event_init(&guest->comes, on_guest, false);
    list_push(&listener->backlog, &guest->in_backlog);
    sim_after(&guest->comes, sim()->plan->faults.net_ms_min);
    return true;
}

/* --- the end of the process --- */

void net_forget_process(bool power)
{
    struct sim_net *net = sim()->net;
    struct list *link;
    while ((link = list_first(&net->conns)) != NULL) {
        struct net_conn *conn = CONTAINER_OF(link, struct net_conn, in_net);
        if (conn->stream != NULL)
            conn->stream->is_orphan = true;
        conn_end(conn, power);
    }
    while ((link = list_first(&net->listeners)) != NULL)
        listener_end(CONTAINER_OF(link, struct net_listener, in_net), power);
}

size_t net_count_conns(void)
{
    size_t count = 0;
    for (struct list *n = list_first(&sim()->net->conns); n != NULL;
         n              = list_next(&sim()->net->conns, n))
        count++;
    return count;
}

unsigned net_count_dialled(unsigned site)
{
    return sim()->net->dialled[site];
}
