/* SPDX-License-Identifier: MIT */
/*
 * A connection answers its lines one after the other.  While a piece of an answer is being written
 * nothing else is said; when it is out, the next piece or the next line follows.
 */
#include "bench/control_uv.h"
#include "bench/control_reply.h"
#include "bench/internet_uv.h"
#include "mta/base/mem.h"
#include <string.h>
#include <uv.h>

enum { READ_BYTES = 4096, LINE_BYTES_MAX = 4096, BACKLOG = 16 };

struct control {
    struct internet *internet;
    uv_pipe_t listener;
    struct list conns;
};

struct control_conn {
    struct list in_control;
    struct control *control;
    uv_pipe_t pipe;
    uv_write_t write;
    char bytes[READ_BYTES];
    struct buf input, output;
    struct control_reply reply;
    bool is_replying, is_writing, has_ended;
};

static void go_on(struct control_conn *c);

static void on_conn_closed(uv_handle_t *handle)
{
    struct control_conn *c = handle->data;
    buf_release(&c->input);
    buf_release(&c->output);
    mem_free(c);
}

static void conn_close(struct control_conn *c)
{
    if (uv_is_closing((uv_handle_t *)&c->pipe))
        return;
    list_remove(&c->in_control);
    uv_close((uv_handle_t *)&c->pipe, on_conn_closed);
}

static void on_written(uv_write_t *request, int status)
{
    struct control_conn *c = CONTAINER_OF(request, struct control_conn, write);
    c->is_writing          = false;
    buf_clear(&c->output);
    if (status < 0)
        conn_close(c);
    else if (c->reply.quits && !c->is_replying)
        internet_stop(c->control->internet);
    else
        go_on(c);
}

static bool next_line(struct control_conn *c)
{
    struct span rest = buf_span(&c->input);
    size_t end       = span_find(rest, '\n');
    if (end == rest.len)
        return false;
    control_reply_begin(&c->reply, c->control->internet, span_first(rest, end));
    buf_drop(&c->input, end + 1);
    return true;
}

static void go_on(struct control_conn *c)
{
    while (!c->is_writing && !uv_is_closing((uv_handle_t *)&c->pipe)) {
        if (!c->is_replying && !next_line(c)) {
            if (c->has_ended || c->input.len > LINE_BYTES_MAX)
                conn_close(c);
            return;
        }
        c->is_replying = control_reply_more(&c->reply, &c->output);
        if (c->output.len == 0)
            continue;
        uv_buf_t out  = uv_buf_init(c->output.at, (unsigned)c->output.len);
        c->is_writing = true;
        if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &out, 1, on_written) != 0)
            conn_close(c);
    }
}

static void give_input(uv_handle_t *handle, size_t wanted, uv_buf_t *into)
{
    (void)wanted;
    struct control_conn *c = handle->data;
    *into                  = uv_buf_init(c->bytes, sizeof c->bytes);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct control_conn *c = stream->data;
    if (got < 0) {
        c->has_ended = true;
        (void)uv_read_stop(stream);
    } else {
        buf_put(&c->input, span_make(bytes->base, (size_t)got));
    }
    go_on(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control *control = listener->data;
    if (status < 0)
        return;
    struct control_conn *c = mem_new(sizeof *c);
    c->control             = control;
    uv_pipe_init(listener->loop, &c->pipe, 0);
    c->pipe.data = c;
    list_push(&control->conns, &c->in_control);
    if (uv_accept(listener, (uv_stream_t *)&c->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&c->pipe, give_input, on_read) != 0)
        conn_close(c);
}

static void on_control_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

void control_close(struct control *control)
{
    struct list *conn;
    while ((conn = list_first(&control->conns)) != NULL)
        conn_close(CONTAINER_OF(conn, struct control_conn, in_control));
    uv_close((uv_handle_t *)&control->listener, on_control_closed); /* unlinks the socket */
}

struct control *control_open(struct internet *internet, const char *path, struct buf *error)
{
    struct control *control = mem_new(sizeof *control);
    uv_fs_t request;
    control->internet = internet;
    uv_pipe_init(internet->loop, &control->listener, 0);
    control->listener.data = control;
    (void)uv_fs_unlink(internet->loop, &request, path, NULL);
    uv_fs_req_cleanup(&request);
    int status = uv_pipe_bind(&control->listener, path);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&control->listener, BACKLOG, on_connection);
    if (status == 0)
        return control;
    buf_printf(error, "cannot listen at '%s': %s", path, uv_strerror(status));
    control_close(control);
    return NULL;
}
