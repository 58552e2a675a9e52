/* SPDX-License-Identifier: MIT */
/*
 * Wire: a connection as its two ends see it: plain bytes in and out, whether TLS stands between or
 * not. It glues a net_conn and, once asked, a tls_engine; both sides of the house (deliver,
 * receive) use it.
 *
 * Reading: wire_read() gives plain bytes into the caller's buffer.  Writing: wire_write() takes all
 * it is given, sends what the socket takes now, and keeps the rest (bounded by the caller: stop
 * producing while wire_pending() is above your mark).  After close_notify or a TLS error the
 * descriptor is never read in clear again.
 *
 * A turn: wire_pump() with what was noted, then wire_read() until it gives something other than OK.
 * TLS may hold plain bytes of which the socket says nothing any more, so whoever stopped reading
 * (wire_want_read(false)) reads once by himself when he starts again.
 *
 * The thread of the loop.  The wire owns conn and engine.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/status.h"
#include "mta/sys/net.h"
#include "mta/tls/engine.h"

struct wire {
    struct net_conn *conn;
    struct tls_engine *tls; /* NULL: plain */
    struct buf pending;     /* plain bytes that the socket did not take yet; TLS keeps its own */
    size_t pending_at;      /* what is in front of it was sent */
    unsigned watching;
    bool wants_read;
    bool has_news;       /* a failure that no call told yet */
    bool is_broken;      /* nothing can be written any more */
    enum status reading; /* OK; END or IO_ERROR: the socket is never read again */
};

/* Watches nothing by itself: a fresh dial goes on watching for its end, a fresh accept for bytes,
 * until the caller says what it wants, writes, or starts TLS. */
void wire_init(struct wire *wire, struct net_conn *conn);
/* Closes at once: close_notify goes out if the socket takes it. */
void wire_release(struct wire *wire);

/* Puts TLS between from now on; takes the engine.  Plain bytes that came before must have been
 * consumed by the caller (security.md A5, A6: it checks).  What was pending goes out before. */
void wire_start_tls(struct wire *wire, struct tls_engine *engine);
/* Plain, handshaking, or secure; TLS failed (also: the connection ended during the handshake):
 * tls_engine_error() says why. */
enum wire_tls { WIRE_PLAIN, WIRE_HANDSHAKING, WIRE_SECURE, WIRE_TLS_FAILED };
enum wire_tls wire_tls(const struct wire *wire);

/*
 * Call when the conn was noted ready: moves bytes both ways as far as TLS itself needs (handshake)
 * and flushes pending. IO_ERROR: broken; a last wire_read() may still find what the peer said
 * before.
 */
enum status wire_pump(struct wire *wire, unsigned ready);

/* OK with *got > 0; AGAIN; END (plain: the peer has finished; TLS: close_notify, and nothing can be
 * written any more); IO_ERROR (also: a TLS stream cut without close_notify, whatever the level). */
enum status wire_read(struct wire *wire, char *into, size_t cap, size_t *got);
/* Takes all of the parts as one group (one record burst, one write).  Not while handshaking.
 * IO_ERROR when broken; the bytes are gone then. */
enum status wire_write(struct wire *wire, const struct span *parts, size_t count);
/* Bytes taken but not yet with the system (TLS: as they go over the network). */
size_t wire_pending(const struct wire *wire);
/* Whether the caller wants to hear of incoming bytes; writability is watched by itself while
 * something is pending, and readability no more behind an end. */
void wire_want_read(struct wire *wire, bool wants);
