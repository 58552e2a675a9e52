/* SPDX-License-Identifier: MIT */
/*
 * Net: the second door: stream sockets (TCP, UNIX) that never block and never call back.
 *
 * A conn notes what it is ready for; the turn asks net_take_ready() until it gives NULL and reads
 * and writes as far as it goes.  Readiness is noted only for what net_watch() asked for, and again
 * in every turn while it lasts: read to the end, or stop watching.  Nothing is buffered here, so an
 * idle connection costs a descriptor and this struct.
 *
 * Owner's pointers: 'owner' is given back by net_owner(); whoever takes a ready conn checks the
 * kind behind it. Everything happens on the thread of the loop.
 */
#pragma once
#include "mta/base/span.h"
#include "mta/base/status.h"
#include <stdint.h>

struct loop;
struct net_conn;
struct net_listener;

enum { NET_ADDRESS_TEXT_BYTES = 64, NET_ENDPOINT_TEXT_BYTES = 128, NET_UNIX_PATH_BYTES = 108 };

enum net_family { NET_NONE, NET_IPV4, NET_IPV6, NET_UNIX };

/* An address and port, or a UNIX socket's path. */
struct net_address {
    enum net_family family;
    uint16_t port;
    uint8_t ip[16]; /* network order; the first 4 for IPv4 */
    char path[NET_UNIX_PATH_BYTES];
};

struct net_prefix {
    struct net_address address;
    unsigned bits;
};

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]"; the port stays 0.  BAD_INPUT if it is none. */
enum status net_address_parse(struct span text, struct net_address *address);
/* "192.0.2.1:25", "[2001:db8::1]:25", "unix:/run/x.sock". */
enum status net_endpoint_parse(struct span text, struct net_address *address);
/* "192.0.2.0/24", "2001:db8::/32", or one address; bits set behind the prefix are BAD_INPUT. */
enum status net_prefix_parse(struct span text, struct net_prefix *prefix);
/* "192.0.2.1" / "2001:db8::1" / as much of the path as fits; without the port. */
const char *net_address_text(const struct net_address *address, char into[NET_ADDRESS_TEXT_BYTES]);
/* As net_endpoint_parse() takes it. */
const char *net_endpoint_text(const struct net_address *address,
                              char into[NET_ENDPOINT_TEXT_BYTES]);
/* The IPv4 address inside an IPv4-mapped IPv6 one; any other as it is. */
struct net_address net_address_unmapped(const struct net_address *address);
/* IPv4-mapped IPv6 addresses match as the IPv4 address inside. */
bool net_prefix_holds(const struct net_prefix *prefix, const struct net_address *address);
bool net_address_equals(const struct net_address *a,
                        const struct net_address *b); /* without port */
/* Loopback, link-local, private (RFC 1918, 4193, 6598), unspecified, multicast, reserved, or an
 * IPv6 form of one of them. */
bool net_address_is_private(const struct net_address *address);
/* One of this machine's own addresses (asked anew at most once a minute). */
bool net_address_is_own(const struct net_address *address);

enum net_ready { NET_READABLE = 1, NET_WRITABLE = 2 };

/*
 * Starts to connect; WRITABLE is noted when that has ended, and net_connect_result() tells how.
 * 'from' is the source address or NULL.  Never NULL: what fails at once is told by
 * net_connect_result() too (and noted).
 */
struct net_conn *net_dial(struct loop *loop, const struct net_address *to,
                          const struct net_address *from, void *owner);
/* AGAIN while connecting; then OK, UNREACHABLE, REFUSED, TIMED_OUT, LIMIT (no descriptors) or
 * IO_ERROR. */
enum status net_connect_result(struct net_conn *conn);

/* Closes now, freeing the conn; unread data is dropped, what was written is still sent by the
 * system. */
void net_close(struct net_conn *conn);

void *net_owner(const struct net_conn *conn);
void net_set_owner(struct net_conn *conn, void *owner);
const struct net_address *net_peer(const struct net_conn *conn);
const struct net_address *net_local(const struct net_conn *conn);
/* UNIX sockets: who is at the other end; false when unknown. */
bool net_peer_user(const struct net_conn *conn, unsigned *uid);

/* A set of enum net_ready bits; 0 watches nothing.  A fresh dial watches WRITABLE, a fresh accept
 * READABLE. */
void net_watch(struct net_conn *conn, unsigned ready);

/* OK: *got > 0 bytes; AGAIN: none now; END: the peer has finished; IO_ERROR: the connection is
 * broken. */
enum status net_read(struct net_conn *conn, void *into, size_t cap, size_t *got);
/* Writes the spans in order as one message as far as the system takes them: OK with *wrote bytes
 * (maybe less than all), AGAIN, or IO_ERROR. */
enum status net_write(struct net_conn *conn, const struct span *parts, size_t count, size_t *wrote);

/* The next conn with something noted, with what; NULL when none is left in this turn. */
struct net_conn *net_take_ready(struct loop *loop, unsigned *ready);

/*
 * Listens; a UNIX socket is made 0600, in place of one that nobody listens on.  On failure NULL and
 * a sentence in 'error' that names address and cause.  'backlog' is clipped by the system.
 * Accepting pauses by itself for a while when descriptors run out.
 */
struct buf;
struct net_listener *net_listen(struct loop *loop, const struct net_address *address, void *owner,
                                struct buf *error);
/* For socket activation: takes over a listening descriptor; on failure it stays the caller's. */
struct net_listener *net_listen_fd(struct loop *loop, int fd, void *owner, struct buf *error);
void net_listener_close(struct net_listener *listener);
void *net_listener_owner(const struct net_listener *listener);
/* The address it is bound to, with the port the system chose if 0 was asked for. */
const struct net_address *net_listener_address(const struct net_listener *listener);
/* The next connection that came in on any listener of the loop, and on which; NULL when none.  The
 * new conn has no owner yet. */
struct net_conn *net_take_accepted(struct loop *loop, struct net_listener **listener);
