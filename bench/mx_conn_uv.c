/* SPDX-License-Identifier: MIT */
/*
 * All that happens to a connection ends in pump(): feed the session what it will take, put what it
 * says into the delay line, send what is due, start or stop reading, and set the one timer for
 * whatever comes first.  The delay line holds bytes as they go over the wire, each piece with the
 * time at which it may leave; without delays it stays empty.
 */
#include "bench/mx_conn_uv.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include <arpa/inet.h>
#include <string.h>
#include <uv.h>

enum { HELD_BYTES_MAX = 262144, READ_TICKS_A_SECOND = 20 };

#define NEVER UINT64_MAX

struct delayed {
    struct list in_conn;
    uint64_t due_ms;
    struct buf bytes;
};

struct mx_conn {
    struct list in_server;
    struct mx_conn_shared *shared;
    uv_tcp_t tcp;
    uv_timer_t timer;
    unsigned open_handles, writes;
    struct mx_session session;
    struct tls_stream *tls;
    struct buf held;    /* came, and the session has not taken it yet */
    struct buf wire;    /* scratch */
    struct list delays; /* struct delayed, in order of due_ms */
    uint64_t heard_ms;  /* when something last came */
    uint64_t resume_ms; /* a slow reader reads again */
    uint64_t armed_ms;  /* when the timer fires */
    bool is_reading, is_over;
};

struct mx_write {
    uv_write_t request;
    struct mx_conn *conn;
    struct buf bytes;
};

static void pump(struct mx_conn *c);
static void note_flushed(struct mx_conn *c);

static uint64_t now_ms(const struct mx_conn *c)
{
    return uv_now(c->tcp.loop);
}

/* ---- the end ---- */

static void conn_free(struct mx_conn *c)
{
    struct list *node;
    while ((node = list_take(&c->delays)) != NULL) {
        struct delayed *d = CONTAINER_OF(node, struct delayed, in_conn);
        buf_release(&d->bytes);
        mem_free(d);
    }
    tls_stream_free(c->tls);
    mx_session_release(&c->session);
    buf_release(&c->held);
    buf_release(&c->wire);
    mem_free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct mx_conn *c = handle->data;
    if (--c->open_handles == 0)
        conn_free(c);
}

static void conn_close(struct mx_conn *c)
{
    if (c->is_over)
        return;
    c->is_over = true;
    list_remove(&c->in_server);
    mx_session_ended(&c->session);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

void mx_conn_close(struct list *in_conns)
{
    conn_close(CONTAINER_OF(in_conns, struct mx_conn, in_server));
}

/* ---- output ---- */

static void on_written(uv_write_t *request, int status)
{
    struct mx_write *w = CONTAINER_OF(request, struct mx_write, request);
    struct mx_conn *c  = w->conn;
    buf_release(&w->bytes);
    mem_free(w);
    c->writes--;
    note_flushed(c);
    if (status < 0)
        conn_close(c);
    else if (!c->is_over)
        pump(c);
}

static void note_flushed(struct mx_conn *c)
{
    if (c->writes == 0 && list_is_empty(&c->delays))
        mx_session_flushed(&c->session);
}

/* What the system does not take at once waits in a request. */
static void send_now(struct mx_conn *c, struct span bytes)
{
    uv_buf_t out = uv_buf_init((char *)bytes.at, (unsigned)bytes.len);
    int wrote    = c->writes > 0 ? 0 : uv_try_write((uv_stream_t *)&c->tcp, &out, 1);
    if (wrote < 0 && wrote != UV_EAGAIN) {
        conn_close(c);
        return;
    }
    bytes = span_skip(bytes, wrote > 0 ? (size_t)wrote : 0);
    if (bytes.len == 0) {
        note_flushed(c);
        return;
    }
    struct mx_write *w = mem_new(sizeof *w);
    w->conn            = c;
    buf_put(&w->bytes, bytes);
    out = uv_buf_init(w->bytes.at, (unsigned)w->bytes.len);
    c->writes++;
    if (uv_write(&w->request, (uv_stream_t *)&c->tcp, &out, 1, on_written) != 0)
        on_written(&w->request, -1);
}

/* Through the delay line, or past it when there is no delay. */
static void put_on_wire(struct mx_conn *c, struct span bytes, uint64_t due_ms)
{
    if (bytes.len == 0)
        return;
    if (list_is_empty(&c->delays) && due_ms <= now_ms(c)) {
        send_now(c, bytes);
        return;
    }
    struct delayed *d = mem_new(sizeof *d);
    d->due_ms         = due_ms;
    buf_put(&d->bytes, bytes);
    list_push(&c->delays, &d->in_conn);
}

static void send_due(struct mx_conn *c)
{
    struct list *first;
    while (!c->is_over && (first = list_first(&c->delays)) != NULL) {
        struct delayed *d = CONTAINER_OF(first, struct delayed, in_conn);
        if (d->due_ms > now_ms(c))
            return;
        list_remove(first);
        send_now(c, buf_span(&d->bytes));
        buf_release(&d->bytes);
        mem_free(d);
    }
}

static void tls_to_wire(struct mx_conn *c, uint64_t due_ms)
{
    buf_clear(&c->wire);
    tls_stream_output(c->tls, &c->wire);
    put_on_wire(c, buf_span(&c->wire), due_ms);
}

/* What the session has said goes out. */
static void send_output(struct mx_conn *c)
{
    struct mx_session *s = &c->session;
    if (s->out.len == 0)
        return;
    if (c->tls != NULL) {
        tls_stream_say(c->tls, buf_span(&s->out));
        tls_to_wire(c, s->due_ms);
    } else {
        put_on_wire(c, buf_span(&s->out), s->due_ms);
    }
    buf_clear(&s->out);
}

/* ---- input ---- */

/* TLS: from the wire to 'held'. */
static void decrypt(struct mx_conn *c, struct span wire)
{
    bool was_ready = tls_stream_is_ready(c->tls);
    bool goes_on   = tls_stream_feed(c->tls, wire, &c->held);
    tls_to_wire(c, now_ms(c) + c->session.host->p.latency_ms);
    if (c->is_over)
        return;
    if (!was_ready && tls_stream_is_ready(c->tls))
        mx_session_secured(&c->session, tls_stream_version(c->tls), tls_stream_is_resumed(c->tls));
    if (goes_on)
        return;
    if (tls_stream_error(c->tls)[0] != '\0')
        mx_session_tls_failed(&c->session, tls_stream_error(c->tls), tls_stream_is_refused(c->tls));
    else
        c->session.phase = MX_CLOSED; /* the client has said goodbye */
}

static void feed_held(struct mx_conn *c)
{
    if (c->held.len == 0)
        return;
    size_t taken = mx_session_feed(&c->session, buf_span(&c->held), now_ms(c));
    buf_drop(&c->held, taken);
}

static void take_input(struct mx_conn *c, struct span bytes)
{
    c->shared->common->wall_us = clock_wall_us();
    mx_session_heard(&c->session);
    if (c->tls != NULL) {
        decrypt(c, bytes);
        return;
    }
    if (c->held.len == 0)
        bytes = span_skip(bytes, mx_session_feed(&c->session, bytes, now_ms(c)));
    buf_put(&c->held, bytes);
}

static void begin_tls(struct mx_conn *c)
{
    if (c->session.phase != MX_HANDSHAKE || c->tls != NULL)
        return;
    buf_clear(&c->held); /* whatever was said in the clear after STARTTLS must not count */
    c->tls = tls_stream_new(c->shared->tls, c->session.host);
    mx_session_shakes_hands(&c->session);
}

/* ---- the turn ---- */

static void give_input(uv_handle_t *handle, size_t wanted, uv_buf_t *into)
{
    (void)wanted;
    struct mx_conn *c = handle->data;
    uint64_t rate = c->session.host->p.read_rate, most = sizeof c->shared->input;
    if (rate > 0 && rate / READ_TICKS_A_SECOND + 1 < most)
        most = rate / READ_TICKS_A_SECOND + 1;
    *into = uv_buf_init(c->shared->input, (unsigned)most);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct mx_conn *c = stream->data;
    if (got == 0)
        return;
    if (got < 0) {
        conn_close(c);
        return;
    }
    uint64_t rate = c->session.host->p.read_rate;
    c->heard_ms   = now_ms(c);
    if (rate > 0)
        c->resume_ms = c->heard_ms + (uint64_t)got * 1000 / rate;
    take_input(c, span_make(bytes->base, (size_t)got));
    if (!c->is_over)
        pump(c);
}

static void watch(struct mx_conn *c)
{
    bool wants = c->session.phase != MX_DEAF && c->session.phase != MX_CLOSED &&
                 c->held.len < HELD_BYTES_MAX && now_ms(c) >= c->resume_ms;
    if (wants == c->is_reading)
        return;
    c->is_reading = wants;
    if (!wants)
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, give_input, on_read) != 0)
        conn_close(c);
}

static uint64_t first_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct mx_conn *c)
{
    uint64_t now = now_ms(c), next = c->heard_ms + personality_idle_ms(&c->session.host->p);
    struct list *first = list_first(&c->delays);
    if (first != NULL)
        next = first_of(next, CONTAINER_OF(first, struct delayed, in_conn)->due_ms);
    if (c->held.len > 0 && c->session.hold_ms > now)
        next = first_of(next, c->session.hold_ms);
    if (c->resume_ms > now)
        next = first_of(next, c->resume_ms);
    if (next >= c->armed_ms)
        return; /* it fires before that and looks again */
    c->armed_ms = next;
    (void)uv_timer_start(&c->timer, on_timer, next > now ? next - now : 0, 0);
}

static void finish(struct mx_conn *c)
{
    if (c->tls != NULL && c->writes == 0 && !c->session.was_broken) {
        tls_stream_end(c->tls);
        tls_to_wire(c, 0);
    }
    conn_close(c);
}

static void pump(struct mx_conn *c)
{
    feed_held(c);
    send_output(c);
    begin_tls(c);
    if (!c->is_over)
        send_due(c);
    if (c->is_over)
        return;
    if (c->session.phase == MX_CLOSED && list_is_empty(&c->delays) && c->writes == 0) {
        finish(c);
        return;
    }
    watch(c);
    if (!c->is_over)
        arm(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct mx_conn *c = timer->data;
    c->armed_ms       = NEVER;
    if (now_ms(c) < c->heard_ms + personality_idle_ms(&c->session.host->p)) {
        pump(c);
        return;
    }
    c->heard_ms = now_ms(c);
    if (c->session.phase != MX_COMMAND) { /* silent, or our last words find no reader */
        conn_close(c);
        return;
    }
    mx_session_idle(&c->session, now_ms(c));
    pump(c);
}

/* ---- the beginning ---- */

static const char *peer_text(struct mx_conn *c, char into[MX_PEER_BYTES])
{
    struct sockaddr_storage peer;
    int length = sizeof peer;
    into[0]    = '\0';
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &length) == 0)
        (void)uv_ip_name((struct sockaddr *)&peer, into, MX_PEER_BYTES);
    return into;
}

void mx_conn_accept(struct mx_conn_shared *shared, uv_stream_t *listener, struct host *host,
                    struct list *conns)
{
    char peer[MX_PEER_BYTES];
    struct mx_conn *c = mem_new(sizeof *c);
    c->shared         = shared;
    c->open_handles   = 2;
    uv_tcp_init(listener->loop, &c->tcp);
    uv_timer_init(listener->loop, &c->timer);
    c->tcp.data   = c;
    c->timer.data = c;
    list_push(conns, &c->in_server);
    int status  = uv_accept(listener, (uv_stream_t *)&c->tcp);
    c->heard_ms = now_ms(c);
    c->armed_ms = NEVER;
    mx_session_init(&c->session, shared->common, host, peer_text(c, peer), now_ms(c));
    (void)uv_tcp_nodelay(&c->tcp, 1);
    if (status == 0)
        pump(c);
    else
        conn_close(c);
}
