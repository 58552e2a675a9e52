/* SPDX-License-Identifier: MIT */
/*
 * Receive: mail comes in: listeners, and the connections of clients.  Each connection glues the
 * wire (socket, TLS), the SMTP server core and the intake; replies to the end of data wait for the
 * disk, and everything else is answered from local knowledge at once (mailman.md section 1: no DNS
 * before the answer to RCPT).
 *
 * Engine thread.
 */
#pragma once
#include "mta/receive/intake.h"
#include "mta/receive/sink.h"
#include "mta/receive/submission.h"
#include "mta/sys/net.h"

struct loop;
struct receive;

enum { RECEIVE_KIND = 0x4ece17e0, RECEIVE_PREFIXES_MAX = 64 };

enum receive_tls { RECEIVE_TLS_NONE, RECEIVE_TLS_STARTTLS, RECEIVE_TLS_IMPLICIT };

/* Replaced as a whole on reload; counts for connections from then on.  Borrowed until replaced. */
struct receive_settings {
    const char *hostname; /* the first one counts */
    uint64_t message_bytes_max;
    unsigned recipients_max; /* per message */
    unsigned connections_max;
    unsigned connections_per_client; /* per IPv4 address or IPv6 /64 */
    uint64_t command_timeout_ms;
    struct net_prefix relay_from[RECEIVE_PREFIXES_MAX];
    size_t relay_from_count;
    const char *certificate, *key; /* NULL: no STARTTLS */
    const char *users;             /* the users' file, for submission */
    const char *usage;             /* where it is kept what they have sent; the first one counts */
    struct submission_rules submission;
    bool hides_client;                  /* of who submits: neither name nor address in Received */
    const char *const *inbound_domains; /* patterns: for these an inbound listener takes mail */
    size_t inbound_domain_count;
    const struct sink *sink; /* who takes mail among ourselves; NULL: nobody */
};

struct receive *receive_open(struct loop *loop, struct intake *intake, struct event_log *log,
                             const struct receive_settings *settings);
/* All connections must be gone: receive_drain() and turns before, or they are cut. */
void receive_close(struct receive *receive);
/* Reads the certificate and the users anew; listeners stay what they are.  On failure the old
 * settings stay and a sentence is in 'error'. */
enum status receive_set_settings(struct receive *receive, const struct receive_settings *settings,
                                 struct buf *error);

/* Listens.  UNREACHABLE... with a sentence in 'error'. */
enum status receive_listen(struct receive *receive, const struct net_address *address,
                           enum receive_role role, enum receive_tls tls, struct buf *error);
/* What the n-th listener is bound to; NULL: there is none. */
const struct net_address *receive_listener_address(const struct receive *receive, size_t n);

/* Events: what net_take_accepted() and net_take_ready() gave, when the kind of their owner is
 * RECEIVE_KIND. */
void receive_on_accepted(struct receive *receive, struct net_conn *conn,
                         struct net_listener *listener, uint64_t now_ms, uint64_t wall_ms);
void receive_on_ready(struct receive *receive, void *owner, unsigned ready, uint64_t now_ms,
                      uint64_t wall_ms);
/* Answers commits, reads on where the disk has caught up, fires idle timers, frees the dead.
 * Returns when it wants to run again.  Call it after intake_take_done() has been emptied by
 * receive_on_done(). */
uint64_t receive_turn(struct receive *receive, uint64_t now_ms, uint64_t wall_ms);
void receive_on_done(struct receive *receive, const struct intake_done *done);

/* Listens no more, says 421 to idle clients, lets transactions in progress end; true when nobody is
 * left. */
void receive_drain(struct receive *receive);
bool receive_is_empty(const struct receive *receive);

struct receive_stats {
    size_t connections, in_transaction;
    uint64_t accepted_connections, refused_connections, messages, recipients, refusals, bytes, tls;
    uint64_t logins, failed_logins;
};
void receive_stats(const struct receive *receive, struct receive_stats *stats);

/* What a user has sent in the last hour and day. */
struct receive_usage {
    const char *user; /* until the next turn */
    uint32_t messages_hour, messages_day, recipients_hour, recipients_day;
};
/* Walks over all who have sent something, from *at = 0; false at the end. */
bool receive_each_usage(const struct receive *receive, size_t *at, uint64_t wall_ms,
                        struct receive_usage *usage);
