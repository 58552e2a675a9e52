/* SPDX-License-Identifier: MIT */
/*
 * Pipe: two bufs behind a BIO.
 *
 * OpenSSL's own memory BIO would copy once more on the way out and cannot drop what was sent
 * without reading it.  Bytes are taken by moving an offset; a drained buf starts over, and gives
 * its memory back if it had grown, because thousands of connections idle between two bursts.
 */
#include "mta/tls/pipe.h"
#include "mta/base/fault.h"
#include <limits.h>
#include <string.h>

/* A drained buf up to this size is kept: replies and handshake answers fit. */
enum { PIPE_KEEP_BYTES = 4096 };

void tls_pipe_release(struct tls_pipe *pipe)
{
    buf_release(&pipe->in);
    buf_release(&pipe->out);
    pipe->in_at = pipe->out_at = 0;
}

static void take(struct buf *buf, size_t *at, size_t n)
{
    must(n <= buf->len - *at);
    *at += n;
    if (*at < buf->len)
        return;
    *at = 0;
    buf_clear(buf);
    if (buf->cap > PIPE_KEEP_BYTES)
        buf_release(buf);
}

/* Moves the rest to the front once it is the smaller part, so that a stream that never drains costs
 * no more than twice what waits. */
static void put(struct buf *buf, size_t *at, struct span bytes)
{
    if (*at > buf->len / 2) {
        buf_drop(buf, *at);
        *at = 0;
    }
    buf_put(buf, bytes);
}

void tls_pipe_feed(struct tls_pipe *pipe, struct span cipher)
{
    put(&pipe->in, &pipe->in_at, cipher);
}

struct span tls_pipe_output(const struct tls_pipe *pipe)
{
    return span_skip(buf_span(&pipe->out), pipe->out_at);
}

void tls_pipe_sent(struct tls_pipe *pipe, size_t n)
{
    take(&pipe->out, &pipe->out_at, n);
}

static int bio_read(BIO *bio, char *into, int cap)
{
    struct tls_pipe *pipe = BIO_get_data(bio);
    struct span rest      = span_skip(buf_span(&pipe->in), pipe->in_at);

    BIO_clear_retry_flags(bio);
    if (rest.len == 0 || cap <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    rest = span_first(rest, (size_t)cap);
    memcpy(into, rest.at, rest.len);
    take(&pipe->in, &pipe->in_at, rest.len);
    return (int)rest.len;
}

static int bio_write(BIO *bio, const char *from, int len)
{
    struct tls_pipe *pipe = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (len > 0)
        put(&pipe->out, &pipe->out_at, span_make(from, (size_t)len));
    return len;
}

static size_t capped(size_t n)
{
    return n < LONG_MAX ? n : LONG_MAX;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_pipe *pipe = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_PENDING:
        return (long)capped(pipe->in.len - pipe->in_at);
    case BIO_CTRL_WPENDING:
        return (long)capped(pipe->out.len - pipe->out_at);
    default:
        return 0; /* among them EOF: the pipe has no end; whoever owns the socket knows it */
    }
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *tls_pipe_method_new(void)
{
    /* BIO_get_new_index() counts up in the process and ends at 255: reloads would use it up. */
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_START | BIO_TYPE_SOURCE_SINK, "memory pipe");

    if (method != NULL && BIO_meth_set_read(method, bio_read) &&
        BIO_meth_set_write(method, bio_write) && BIO_meth_set_ctrl(method, bio_ctrl) &&
        BIO_meth_set_create(method, bio_create))
        return method;
    BIO_meth_free(method);
    return NULL;
}

BIO *tls_pipe_bio(const BIO_METHOD *method, struct tls_pipe *pipe)
{
    BIO *bio = BIO_new(method);

    if (bio != NULL)
        BIO_set_data(bio, pipe);
    return bio;
}
