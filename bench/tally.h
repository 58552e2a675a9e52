/* SPDX-License-Identifier: MIT */
/* Tally: what is counted alike for the whole Internet, for each host and for each domain. */
#pragma once
#include "mta/base/buf.h"

#define TALLIES(X)                                                                                 \
    X(connections)      /* accepted */                                                             \
    X(refused)          /* of these, greeted with 421 or closed for a connection limit */          \
    X(tls)              /* handshakes completed */                                                 \
    X(tls_resumed)      /* of these, from a session ticket */                                      \
    X(tls_repeated)     /* of these, begun when another with the same host had been completed */   \
    X(tls13)            /* of these, TLS 1.3 */                                                    \
    X(tls_refused)      /* handshakes that the client ended with an alert */                       \
    X(commands)         /* command lines read */                                                   \
    X(turns)            /* groups of replies said, the greeting too */                             \
    X(round_trips)      /* reads that came when all that was said had left: the client waited */   \
    X(round_trips_warm) /* of these, behind the first content, and not for QUIT */                 \
    X(messages_warm)    /* contents behind the first of their connection */                        \
    X(bdat)             /* BDATs taken */                                                          \
    X(transactions)     /* MAIL taken */                                                           \
    X(messages)         /* contents taken */                                                       \
    X(recipients)       /* recipients of taken contents */                                         \
    X(rejected)         /* 5xx to RCPT, or to a recipient after the dot */                         \
    X(deferred)         /* 4xx to the same */                                                      \
    X(bytes)            /* of taken contents, without dot-stuffing */                              \
    X(quit)             /* connections that ended with QUIT */                                     \
    X(aborted)          /* connections that we broke on purpose */                                 \
    X(lost)             /* connections that the client closed without QUIT */                      \
    X(dns_mx)           /* questions for MX */                                                     \
    X(dns_address)      /* questions for A or AAAA */

struct tally {
#define TALLY_FIELD(name) uint64_t name;
    TALLIES(TALLY_FIELD)
#undef TALLY_FIELD
    uint64_t open, open_max; /* connections now, and the most at one time */
};

/* All of it, as members of the JSON object that is open in 'out'. */
void tally_json(const struct tally *tally, struct buf *out);
void tally_open(struct tally *tally);
void tally_close(struct tally *tally);
