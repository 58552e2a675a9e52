/* SPDX-License-Identifier: MIT */
/*
 * Wire: one socket, with or without an engine before it.
 *
 * What waits for the socket stands in two places, in this order: 'pending' (plain bytes), then the
 * engine's output; flush() offers both in one write.  Each public call ends by watching exactly
 * what is needed: readable while somebody wants to read and there may be more, writable while
 * something waits.  A short write means the socket is full, so nothing is tried again before it is
 * noted writable.
 *
 * Two things can end on their own: writing (is_broken) and reading ('reading').  A peer that slams
 * the door after its last words leaves the first broken and the second good until they are read.
 */
#include "mta/wire/wire.h"
#include "mta/base/fault.h"
#include <string.h>

enum {
    WIRE_UNKNOWN       = ~0U,         /* 'watching' before the first net_watch() */
    READ_CIPHER_BYTES  = 16384 + 512, /* a whole TLS record */
    RECORD_PLAIN_BYTES = 16384,       /* RFC 8446 5.1 */
    PENDING_KEEP_BYTES = 4096,        /* a drained buf up to this size is kept */
    READS_AT_ONCE_MAX  = 16,          /* for TLS itself: no peer keeps the loop to itself */
};

void wire_init(struct wire *wire, struct net_conn *conn)
{
    *wire = (struct wire){.conn = conn, .watching = WIRE_UNKNOWN};
}

enum wire_tls wire_tls(const struct wire *wire)
{
    if (wire->tls == NULL)
        return WIRE_PLAIN;
    switch (tls_engine_state(wire->tls)) {
    case TLS_HANDSHAKING:
        return wire->is_broken || wire->reading != OK ? WIRE_TLS_FAILED : WIRE_HANDSHAKING;
    case TLS_SECURE:
    case TLS_CLOSED:
        return WIRE_SECURE;
    case TLS_FAILED:
        break;
    }
    return WIRE_TLS_FAILED;
}

static struct span plain_rest(const struct wire *wire)
{
    return span_skip(buf_span(&wire->pending), wire->pending_at);
}

static struct span cipher_rest(const struct wire *wire)
{
    return wire->tls != NULL ? tls_engine_output(wire->tls) : (struct span){"", 0};
}

size_t wire_pending(const struct wire *wire)
{
    return wire->is_broken ? 0 : plain_rest(wire).len + cipher_rest(wire).len;
}

static unsigned needed(const struct wire *wire)
{
    bool reads = wire->wants_read || wire_tls(wire) == WIRE_HANDSHAKING;
    return (reads && wire->reading == OK ? NET_READABLE : 0U) |
           (wire_pending(wire) > 0 || wire->has_news ? NET_WRITABLE : 0U);
}

static void watch_needed(struct wire *wire)
{
    unsigned now = needed(wire);

    if (wire->watching != now)
        net_watch(wire->conn, now);
    wire->watching = now;
}

void wire_want_read(struct wire *wire, bool wants)
{
    wire->wants_read = wants;
    watch_needed(wire);
}

static void forget_pending(struct wire *wire)
{
    wire->pending_at = 0;
    buf_release(&wire->pending);
}

static enum status break_down(struct wire *wire)
{
    wire->is_broken = true;
    forget_pending(wire);
    return IO_ERROR;
}

static void drop_plain(struct wire *wire, size_t n)
{
    wire->pending_at += n;
    if (wire->pending_at < wire->pending.len)
        return;
    wire->pending_at = 0;
    buf_clear(&wire->pending);
    if (wire->pending.cap > PENDING_KEEP_BYTES)
        buf_release(&wire->pending);
}

static void drop_sent(struct wire *wire, size_t n)
{
    size_t plain  = plain_rest(wire).len;
    size_t behind = n > plain ? n - plain : 0;

    drop_plain(wire, n - behind);
    if (behind > 0)
        tls_engine_sent(wire->tls, behind);
}

/* One write of all that waits. */
static enum status flush(struct wire *wire)
{
    struct span parts[] = {plain_rest(wire), cipher_rest(wire)};
    size_t first = parts[0].len > 0 ? 0 : 1, end = parts[1].len > 0 ? 2 : 1;
    size_t wrote = 0;

    if (wire->is_broken)
        return IO_ERROR;
    if (first == end)
        return OK;
    switch (net_write(wire->conn, parts + first, end - first, &wrote)) {
    case OK:
        drop_sent(wire, wrote);
        return OK;
    case AGAIN:
        return OK;
    default:
        return break_down(wire);
    }
}

/* Behind the end of TLS nothing is read or written in any form; a last alert goes out. */
static enum status end_of_tls(struct wire *wire, enum status how)
{
    tls_engine_close(wire->tls);
    (void)flush(wire);
    wire->reading = how;
    (void)break_down(wire);
    return how;
}

/* Reads once from the socket into the engine; OK: something was fed. */
static enum status feed_engine(struct wire *wire)
{
    char cipher[READ_CIPHER_BYTES];
    size_t got         = 0;
    enum status status = net_read(wire->conn, cipher, sizeof cipher, &got);

    if (status == AGAIN)
        return AGAIN;
    if (status != OK) /* a FIN too: close_notify did not come, so what came may be cut short */
        return end_of_tls(wire, IO_ERROR);
    (void)tls_engine_feed(wire->tls, span_make(cipher, got));
    return OK;
}

static void shake_hands(struct wire *wire)
{
    enum status status = OK;

    for (unsigned i = 0; i < READS_AT_ONCE_MAX && status == OK; i++)
        status = wire_tls(wire) == WIRE_HANDSHAKING ? feed_engine(wire) : AGAIN;
}

void wire_start_tls(struct wire *wire, struct tls_engine *engine)
{
    must(wire->tls == NULL);
    wire->tls = engine;
    (void)flush(wire);
    wire->has_news = wire->is_broken || wire_tls(wire) == WIRE_TLS_FAILED;
    watch_needed(wire);
}

enum status wire_pump(struct wire *wire, unsigned ready)
{
    wire->has_news = false;
    if ((ready & NET_READABLE) && wire_tls(wire) == WIRE_HANDSHAKING)
        shake_hands(wire);

    bool has_failed    = wire_tls(wire) == WIRE_TLS_FAILED;
    enum status status = has_failed ? end_of_tls(wire, IO_ERROR) : flush(wire);
    watch_needed(wire);
    return status;
}

static enum status read_plain(struct wire *wire, char *into, size_t cap, size_t *got)
{
    if (wire->reading != OK)
        return wire->reading;

    enum status status = net_read(wire->conn, into, cap, got);
    if (status == OK || status == AGAIN)
        return status;
    wire->reading = status == END ? END : IO_ERROR;
    if (wire->reading == IO_ERROR)
        (void)break_down(wire);
    return wire->reading;
}

/* What the engine still holds comes first, then the socket, until there is something to tell. */
static enum status read_secure(struct wire *wire, char *into, size_t cap, size_t *got)
{
    enum status status = tls_engine_read(wire->tls, into, cap, got);

    for (unsigned i = 0; i < READS_AT_ONCE_MAX && status == AGAIN; i++) {
        status = wire->reading == OK ? feed_engine(wire) : IO_ERROR;
        if (status != OK)
            break;
        status = tls_engine_read(wire->tls, into, cap, got);
    }
    if (status == END || status == IO_ERROR)
        return end_of_tls(wire, status);
    if (cipher_rest(wire).len > 0)
        (void)flush(wire); /* the handshake goes on, or TLS answered something of its own */
    return status;
}

enum status wire_read(struct wire *wire, char *into, size_t cap, size_t *got)
{
    *got = 0;
    enum status status =
        wire->tls == NULL ? read_plain(wire, into, cap, got) : read_secure(wire, into, cap, got);
    watch_needed(wire);
    return status;
}

/* The sent part in front goes once it is the bigger one: moving stays cheaper than sending. */
static void keep_rest(struct wire *wire, const struct span *parts, size_t count, size_t wrote)
{
    if (wire->pending_at > wire->pending.len / 2) {
        buf_drop(&wire->pending, wire->pending_at);
        wire->pending_at = 0;
    }
    for (size_t i = 0; i < count; i++) {
        size_t skip = wrote < parts[i].len ? wrote : parts[i].len;
        buf_put(&wire->pending, span_skip(parts[i], skip));
        wrote -= skip;
    }
}

static enum status write_plain(struct wire *wire, const struct span *parts, size_t count)
{
    size_t wrote = 0;

    if (wire_pending(wire) == 0) { /* else the socket is full, or was a moment ago */
        enum status status = net_write(wire->conn, parts, count, &wrote);
        if (status != OK && status != AGAIN)
            return break_down(wire);
    }
    keep_rest(wire, parts, count, wrote);
    return OK;
}

static enum status encrypt_record(struct wire *wire, const char *bytes, size_t *len)
{
    enum status status = tls_engine_write(wire->tls, span_make(bytes, *len));

    *len = 0;
    return status;
}

/* Small parts share a record: each costs a header, a tag, and a pass of the cipher. */
static enum status encrypt_parts(struct wire *wire, const struct span *parts, size_t count)
{
    char record[RECORD_PLAIN_BYTES];
    size_t len         = 0;
    enum status status = OK;

    for (size_t i = 0; i < count && status == OK; i++) {
        struct span rest = parts[i];
        while (rest.len > 0 && status == OK) {
            struct span now = span_first(rest, sizeof record - len);
            memcpy(record + len, now.at, now.len);
            len += now.len;
            rest = span_skip(rest, now.len);
            if (len == sizeof record)
                status = encrypt_record(wire, record, &len);
        }
    }
    return status == OK && len > 0 ? encrypt_record(wire, record, &len) : status;
}

static enum status write_secure(struct wire *wire, const struct span *parts, size_t count)
{
    bool was_full = wire_pending(wire) > 0;

    must(wire_tls(wire) != WIRE_HANDSHAKING);
    if (encrypt_parts(wire, parts, count) != OK)
        return break_down(wire);
    return was_full ? OK : flush(wire);
}

static size_t total_bytes(const struct span *parts, size_t count)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += parts[i].len;
    return total;
}

enum status wire_write(struct wire *wire, const struct span *parts, size_t count)
{
    if (wire->is_broken)
        return IO_ERROR;
    if (total_bytes(parts, count) == 0)
        return OK;

    enum status status =
        wire->tls == NULL ? write_plain(wire, parts, count) : write_secure(wire, parts, count);
    watch_needed(wire);
    return status;
}

void wire_release(struct wire *wire)
{
    if (wire->conn == NULL)
        return;
    if (wire->tls != NULL)
        tls_engine_close(wire->tls);
    (void)flush(wire);
    tls_engine_free(wire->tls);
    net_close(wire->conn);
    forget_pending(wire);
    *wire = (struct wire){0};
}
