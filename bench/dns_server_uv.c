/* SPDX-License-Identifier: MIT */
/*
 * UDP answers are sent at once and never queued: what the socket does not take is lost, as on any
 * network.  A TCP connection carries any number of questions, each with its length in front, and
 * closes after a while without one.
 */
#include "bench/dns_server_uv.h"
#include "mta/base/bytes.h"
#include "mta/base/mem.h"
#include <arpa/inet.h>
#include <string.h>
#include <uv.h>

enum {
    READ_BYTES       = 65536,
    TCP_IDLE_MS      = 10000,
    UDP_BUFFER_BYTES = 4 << 20,
    TCP_BACKLOG      = 128,
    PORT_TRIES       = 20
};

struct dns_server {
    struct world *world;
    struct dns_tally tally;
    uv_udp_t udp;
    uv_tcp_t tcp;
    struct list conns;
    struct buf answer;
    unsigned port, open_handles;
    char input[READ_BYTES];
};

struct dns_conn {
    struct list in_server;
    struct dns_server *server;
    uv_tcp_t tcp;
    uv_timer_t idle;
    struct buf input;
    unsigned open_handles;
};

struct dns_write {
    uv_write_t request;
    struct buf bytes;
};

static void give_input(uv_handle_t *handle, size_t wanted, uv_buf_t *into)
{
    (void)wanted;
    struct dns_server *s = handle->data;
    *into                = uv_buf_init(s->input, sizeof s->input);
}

static void on_datagram(uv_udp_t *udp, ssize_t got, const uv_buf_t *bytes,
                        const struct sockaddr *from, unsigned flags)
{
    struct dns_server *s = udp->data;
    if (got <= 0 || from == NULL || flags & UV_UDP_PARTIAL)
        return;
    buf_clear(&s->answer);
    if (!dns_answer(s->world, &s->tally, span_make(bytes->base, (size_t)got), true, &s->answer))
        return;
    uv_buf_t out = uv_buf_init(s->answer.at, (unsigned)s->answer.len);
    (void)uv_udp_try_send(udp, &out, 1, from);
}

static void on_conn_handle_closed(uv_handle_t *handle)
{
    struct dns_conn *c = handle->data;
    if (--c->open_handles > 0)
        return;
    buf_release(&c->input);
    mem_free(c);
}

static void conn_close(struct dns_conn *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    list_remove(&c->in_server);
    c->open_handles = 2;
    c->idle.data    = c;
    uv_close((uv_handle_t *)&c->tcp, on_conn_handle_closed);
    uv_close((uv_handle_t *)&c->idle, on_conn_handle_closed);
}

static void on_idle(uv_timer_t *timer)
{
    conn_close(timer->data);
}

static void on_written(uv_write_t *request, int status)
{
    (void)status;
    struct dns_write *w = CONTAINER_OF(request, struct dns_write, request);
    buf_release(&w->bytes);
    mem_free(w);
}

static void conn_send(struct dns_conn *c, struct span answer)
{
    struct dns_write *w = mem_new(sizeof *w);
    char length[2];
    bytes_put16(length, (uint16_t)answer.len);
    buf_put(&w->bytes, span_make(length, 2));
    buf_put(&w->bytes, answer);
    uv_buf_t out = uv_buf_init(w->bytes.at, (unsigned)w->bytes.len);
    if (uv_write(&w->request, (uv_stream_t *)&c->tcp, &out, 1, on_written) != 0)
        on_written(&w->request, -1);
}

/* Answers every whole question that has come. */
static void conn_answer(struct dns_conn *c)
{
    struct dns_server *s = c->server;
    struct span rest     = buf_span(&c->input);
    while (rest.len >= 2 && rest.len >= 2u + bytes_get16(rest.at)) {
        struct span query = span_first(span_skip(rest, 2), bytes_get16(rest.at));
        buf_clear(&s->answer);
        if (dns_answer(s->world, &s->tally, query, false, &s->answer))
            conn_send(c, buf_span(&s->answer));
        rest = span_skip(rest, 2 + query.len);
    }
    buf_drop(&c->input, c->input.len - rest.len);
}

static void give_conn_input(uv_handle_t *handle, size_t wanted, uv_buf_t *into)
{
    (void)wanted;
    struct dns_conn *c = handle->data;
    *into              = uv_buf_init(c->server->input, sizeof c->server->input);
}

static void on_conn_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct dns_conn *c = stream->data;
    if (got < 0) {
        conn_close(c);
        return;
    }
    buf_put(&c->input, span_make(bytes->base, (size_t)got));
    (void)uv_timer_again(&c->idle);
    conn_answer(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct dns_server *s = listener->data;
    if (status < 0)
        return;
    struct dns_conn *c = mem_new(sizeof *c);
    c->server          = s;
    uv_tcp_init(listener->loop, &c->tcp);
    uv_timer_init(listener->loop, &c->idle);
    c->tcp.data  = c;
    c->idle.data = c;
    list_push(&s->conns, &c->in_server);
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, give_conn_input, on_conn_read) != 0) {
        conn_close(c);
        return;
    }
    uv_timer_start(&c->idle, on_idle, TCP_IDLE_MS, TCP_IDLE_MS);
}

static void on_server_handle_closed(uv_handle_t *handle)
{
    struct dns_server *s = handle->data;
    if (--s->open_handles > 0)
        return;
    buf_release(&s->answer);
    mem_free(s);
}

void dns_server_close(struct dns_server *s)
{
    struct list *conn;
    while ((conn = list_first(&s->conns)) != NULL)
        conn_close(CONTAINER_OF(conn, struct dns_conn, in_server));
    uv_close((uv_handle_t *)&s->udp, on_server_handle_closed);
    uv_close((uv_handle_t *)&s->tcp, on_server_handle_closed);
}

/* Binds both sockets to one port; -1 with the handles to be closed, if that port is taken. */
static int bind_both(struct dns_server *s, unsigned port)
{
    struct sockaddr_in address;
    int length = sizeof address;
    uv_ip4_addr("127.0.0.1", (int)port, &address);
    int status = uv_udp_bind(&s->udp, (struct sockaddr *)&address, 0);
    if (status == 0)
        status = uv_udp_getsockname(&s->udp, (struct sockaddr *)&address, &length);
    int buffer_bytes = UDP_BUFFER_BYTES; /* a burst of questions must not be lost here */
    if (status == 0)
        (void)uv_recv_buffer_size((uv_handle_t *)&s->udp, &buffer_bytes);
    if (status == 0)
        status = uv_tcp_bind(&s->tcp, (struct sockaddr *)&address, 0);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&s->tcp, TCP_BACKLOG, on_connection);
    s->port = ntohs(address.sin_port);
    return status;
}

static struct dns_server *try_open(uv_loop_t *loop, struct world *world, unsigned port, int *status)
{
    struct dns_server *s = mem_new(sizeof *s);
    s->world             = world;
    s->open_handles      = 2;
    uv_udp_init(loop, &s->udp);
    uv_tcp_init(loop, &s->tcp);
    s->udp.data = s;
    s->tcp.data = s;
    *status     = bind_both(s, port);
    if (*status == 0)
        *status = uv_udp_recv_start(&s->udp, give_input, on_datagram);
    if (*status == 0)
        return s;
    dns_server_close(s);
    return NULL;
}

struct dns_server *dns_server_open(uv_loop_t *loop, struct world *world, unsigned port,
                                   struct buf *error)
{
    int status                = 0;
    struct dns_server *server = NULL;
    for (int i = 0; i < PORT_TRIES && server == NULL && (i == 0 || port == 0); i++)
        server = try_open(loop, world, port, &status);
    if (server == NULL)
        buf_printf(error, "cannot serve names on 127.0.0.1:%u: %s", port, uv_strerror(status));
    return server;
}

unsigned dns_server_port(const struct dns_server *server)
{
    return server->port;
}

const struct dns_tally *dns_server_tally(const struct dns_server *server)
{
    return &server->tally;
}
