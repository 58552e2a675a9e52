/* SPDX-License-Identifier: MIT */
/*
 * All that happens to a connection ends in pump(): give the session work, send what it says, speak
 * TLS, close.  One write is under way at a time; what comes up meanwhile waits in the session, or
 * in the TLS engine.
 */
#include "bench/source_conn_uv.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "mta/tls/engine.h"

enum { PLAIN_BYTES = 16384 };

static void pump(struct source_conn *c);

/* ---- the end ---- */

static void keep_tls_session(struct source_conn *c)
{
    struct tls_session *session = c->tls == NULL ? NULL : tls_engine_take_session(c->tls);
    if (session == NULL)
        return;
    if (c->run->session_count < SOURCE_TLS_SESSIONS_MAX)
        c->run->sessions[c->run->session_count++] = session;
    else
        tls_session_free(session);
}

static void on_closed(uv_handle_t *handle)
{
    struct source_conn *c  = handle->data;
    struct source_run *run = c->run;
    list_remove(&c->in_run);
    tls_engine_free(c->tls);
    source_session_release(&c->session);
    buf_release(&c->sending);
    buf_release(&c->mail);
    mem_free(c);
    source_run_closed(run);
}

/* 421 to MAIL: somebody else sends it, unless a connection cannot even send one. */
static void give_back(struct source_conn *c)
{
    if (!c->session.has_sent_away)
        return;
    if (c->sent > 1 && c->run->returned.count == 0) {
        c->run->returned = c->session.parcel;
        c->run->report->sent_away++;
    } else {
        source_report_lost(c->run->report, c->session.line);
    }
}

void source_conn_close(struct source_conn *c, const char *why)
{
    if (c->is_over)
        return;
    c->is_over = true;
    list_remove(&c->resting);
    give_back(c);
    source_session_lost(&c->session, why);
    keep_tls_session(c);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* ---- output ---- */

static void on_written(uv_write_t *request, int status)
{
    struct source_conn *c = CONTAINER_OF(request, struct source_conn, writing);
    c->is_writing         = false;
    buf_clear(&c->sending);
    if (status < 0)
        source_conn_close(c, uv_strerror(status));
    else
        pump(c);
}

/* Sends what it can of 'bytes' and returns how many that were; the rest waits in a request. */
static void send_all(struct source_conn *c, struct span bytes)
{
    uv_buf_t out = uv_buf_init((char *)bytes.at, (unsigned)bytes.len);
    int wrote    = uv_try_write((uv_stream_t *)&c->tcp, &out, 1);
    if (wrote < 0 && wrote != UV_EAGAIN) {
        source_conn_close(c, uv_strerror(wrote));
        return;
    }
    bytes = span_skip(bytes, wrote > 0 ? (size_t)wrote : 0);
    if (bytes.len == 0)
        return;
    buf_put(&c->sending, bytes);
    out           = uv_buf_init(c->sending.at, (unsigned)c->sending.len);
    c->is_writing = true;
    if (uv_write(&c->writing, (uv_stream_t *)&c->tcp, &out, 1, on_written) != 0)
        source_conn_close(c, "cannot write");
}

static struct span output(struct source_conn *c)
{
    struct buf *out = &c->session.out;
    if (c->tls == NULL)
        return buf_span(out);
    if (out->len > 0 && tls_engine_write(c->tls, buf_span(out)) == OK)
        buf_clear(out);
    return tls_engine_output(c->tls);
}

static void write_output(struct source_conn *c)
{
    if (c->is_writing || c->is_over)
        return;
    struct span bytes = output(c);
    if (bytes.len > 0) {
        c->asked_ms = uv_now(c->tcp.loop);
        send_all(c, bytes);
        if (c->tls != NULL)
            tls_engine_sent(c->tls, bytes.len);
        else
            buf_clear(&c->session.out);
    }
    if (!c->is_writing && !c->is_over)
        source_session_flushed(&c->session, clock_now_us());
}

/* ---- the turn ---- */

static void send_parcel(struct source_conn *c)
{
    struct span mail = source_run_mail(c->run, &c->parcel, c->session.may_chunk, &c->mail);
    c->sent++;
    source_session_send(&c->session, c->parcel, mail, clock_now_us());
    c->parcel.count = 0;
}

static void next_transaction(struct source_conn *c)
{
    if (c->run->config->connection_per_message && c->sent > 0) {
        source_session_quit(&c->session);
        return;
    }
    enum source_pace_says says =
        c->parcel.count > 0 ? SOURCE_PACE_GO : source_run_take(c->run, &c->parcel);
    if (says == SOURCE_PACE_GO)
        send_parcel(c);
    else if (says == SOURCE_PACE_OVER)
        source_session_quit(&c->session);
    else
        list_push(&c->run->resting, &c->resting);
}

static void begin_tls(struct source_conn *c)
{
    struct source_run *run = c->run;
    struct tls_session *resume =
        run->session_count > 0 ? run->sessions[--run->session_count] : NULL;
    c->tls = tls_engine_client(run->config->tls, NULL, resume);
    if (c->tls == NULL)
        source_conn_close(c, "cannot begin TLS");
}

static void pump(struct source_conn *c)
{
    if (!c->is_over && c->session.phase == SOURCE_IDLE && !list_is_linked(&c->resting))
        next_transaction(c);
    if (!c->is_over && c->session.phase == SOURCE_HANDSHAKE && c->tls == NULL)
        begin_tls(c);
    write_output(c);
    if (c->session.phase == SOURCE_DONE && !c->is_writing)
        source_conn_close(c, "");
}

void source_conn_wake(struct source_conn *c)
{
    list_remove(&c->resting);
    pump(c);
}

/* ---- input ---- */

static void note_handshake(struct source_conn *c)
{
    if (c->session.phase != SOURCE_HANDSHAKE || tls_engine_state(c->tls) != TLS_SECURE)
        return;
    c->run->report->tls++;
    c->run->report->tls_resumed += tls_engine_was_resumed(c->tls);
    source_session_secured(&c->session);
}

static void take_cipher(struct source_conn *c, struct span bytes)
{
    char plain[PLAIN_BYTES];
    size_t got;
    (void)tls_engine_feed(c->tls, bytes);
    note_handshake(c);
    while (tls_engine_read(c->tls, plain, sizeof plain, &got) == OK)
        source_session_feed(&c->session, span_make(plain, got), clock_now_us());
    if (tls_engine_state(c->tls) == TLS_FAILED)
        source_conn_close(c, tls_engine_error(c->tls));
    else if (tls_engine_state(c->tls) == TLS_CLOSED)
        source_conn_close(c, "the server closed the connection");
}

static void give_input(uv_handle_t *handle, size_t wanted, uv_buf_t *into)
{
    (void)wanted;
    struct source_conn *c = handle->data;
    *into                 = uv_buf_init(c->run->input, sizeof c->run->input);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct source_conn *c = stream->data;
    if (got < 0) {
        source_conn_close(c, got == UV_EOF ? "the server closed the connection"
                                           : uv_strerror((int)got));
        return;
    }
    c->asked_ms = uv_now(stream->loop);
    if (c->tls != NULL)
        take_cipher(c, span_make(bytes->base, (size_t)got));
    else
        source_session_feed(&c->session, span_make(bytes->base, (size_t)got), clock_now_us());
    pump(c);
}

/* ---- the beginning ---- */

static void on_connected(uv_connect_t *request, int status)
{
    struct source_conn *c = CONTAINER_OF(request, struct source_conn, connecting);
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&c->tcp, give_input, on_read);
    if (status != 0) {
        source_conn_close(c, uv_strerror(status));
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    c->run->report->connections++;
}

void source_conn_open(struct source_run *run, struct source_parcel parcel)
{
    struct source_conn *c = mem_new(sizeof *c);
    c->run                = run;
    c->parcel             = parcel;
    c->asked_ms           = uv_now(&run->loop);
    source_session_init(&c->session, run->config->session, run->plan, run->report);
    uv_tcp_init(&run->loop, &c->tcp);
    c->tcp.data = c;
    list_push(&run->conns, &c->in_run);
    run->open++;
    int status = uv_tcp_connect(&c->connecting, &c->tcp, (const struct sockaddr *)&run->config->to,
                                on_connected);
    if (status != 0)
        source_conn_close(c, uv_strerror(status));
}
