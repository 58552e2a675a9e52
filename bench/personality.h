/* SPDX-License-Identifier: MIT */
/*
 * Personality: how a host (or the mailboxes of a domain) behaves.  Every knob is one row of the
 * table in personality.c: its name in scenario files and on the control socket, its type, and
 * whether it belongs to the host or to its mailboxes.  A zeroed personality is a perfect modern
 * server that takes everything.  Texts live in the arena that was given along.
 */
#pragma once
#include "mta/base/arena.h"
#include "mta/base/buf.h"

/* Where in a session something can go wrong; the names complete "at-...". */
#define STAGES(X)                                                                                  \
    X(GREETING, "greeting")                                                                        \
    X(EHLO, "ehlo")                                                                                \
    X(STARTTLS, "starttls")                                                                        \
    X(AUTH, "auth")                                                                                \
    X(MAIL, "mail")                                                                                \
    X(RCPT, "rcpt")                                                                                \
    X(DATA, "data")                                                                                \
    X(BODY, "body")                                                                                \
    X(DOT, "dot")                                                                                  \
    X(BDAT, "bdat")                                                                                \
    X(RSET, "rset")                                                                                \
    X(QUIT, "quit")
#define STAGE_ID(id, text) STAGE_##id,
enum stage { STAGES(STAGE_ID) STAGE_COUNT };
#undef STAGE_ID

/* What is done there instead of the right reply. */
#define ACTS(X)                                                                                    \
    X(NORMAL, "normal") /* nothing special */                                                      \
    X(REPLY, "reply")   /* a text; acts as success only if its class is that of success */         \
    X(DROP, "drop")     /* the connection closes without a reply, the command had no effect */     \
    X(DROP_KEPT, "drop-kept") /* the same, but the command took effect: the message is kept */     \
    X(SILENT, "silent")       /* no reply ever again */                                            \
    X(GARBAGE, "garbage")     /* a line that is no reply */                                        \
    X(HUGE, "huge")           /* a reply of a megabyte */                                          \
    X(TWICE, "twice")         /* the right reply, two times */
#define ACT_ID(id, text) ACT_##id,
enum act { ACTS(ACT_ID) ACT_COUNT };
#undef ACT_ID

#define STARTTLS_MODES(X)                                                                          \
    X(OK, "ok")           /* offered, and it works */                                              \
    X(NONE, "no")         /* not offered */                                                        \
    X(REFUSE, "refuse")   /* offered, then 454 */                                                  \
    X(GARBAGE, "garbage") /* 220, then bytes that are no handshake */                              \
    X(CLOSE, "close")     /* 220, then the connection closes */                                    \
    X(HANG, "hang")       /* 220, then nothing */
#define STARTTLS_ID(id, text) STARTTLS_##id,
enum starttls_mode { STARTTLS_MODES(STARTTLS_ID) STARTTLS_MODE_COUNT };
#undef STARTTLS_ID

/* What the name server says about a name. */
#define DNS_MODES(X)                                                                               \
    X(NORMAL, "normal")     /* what is configured */                                               \
    X(IMPLICIT, "implicit") /* no MX, only addresses */                                            \
    X(NULL_MX, "null-mx")   /* RFC 7505 */                                                         \
    X(NODATA, "nodata")     /* exists, without records */                                          \
    X(NXDOMAIN, "nxdomain")                                                                        \
    X(SERVFAIL, "servfail")                                                                        \
    X(REFUSED, "refused")                                                                          \
    X(TIMEOUT, "timeout")   /* no answer at all */                                                 \
    X(TRUNCATE, "truncate") /* UDP answers say TC and nothing else: only TCP helps */              \
    X(GARBAGE, "garbage")   /* an answer cut in the middle of a record */
#define DNS_MODE_ID(id, text) DNS_##id,
enum dns_mode { DNS_MODES(DNS_MODE_ID) DNS_MODE_COUNT };
#undef DNS_MODE_ID

struct action {
    enum act act;
    const char *text; /* for ACT_REPLY: the lines without CRLF, separated by '|' */
};

struct personality {
    uint64_t set; /* bit n: row n was given */

    /* the host */
    struct action at[STAGE_COUNT];
    uint64_t times, every; /* the at-actions: only the first n uses; only every nth use */
    bool dead, blackhole;
    uint64_t blackholes; /* so many of its addresses, the first ones, are black holes */
    uint64_t dead_ms;    /* dead for so long after the start */
    uint64_t latency_ms, tarpit_ms, idle_ms, read_rate;
    uint64_t connections, connections_close, messages, messages_close, rcpts;
    bool no_esmtp, no_pipelining, no_size, no_8bitmime, no_smtputf8, no_dsn, no_enhanced;
    bool drop_behind; /* what has come behind the end of a content is never looked at */
    bool chunking, lmtp, relay, tls_required, no_tls13;
    uint64_t size;
    unsigned starttls; /* enum starttls_mode */
    const char *auth;  /* user:password, demanded before MAIL */

    /* its mailboxes */
    uint64_t unknown, full, defer; /* shares of the local parts */
    bool greylists;
    uint64_t greylist_ms;

    /* both */
    bool store;   /* keep whole messages */
    unsigned dns; /* enum dns_mode */
    uint64_t ttl_s;
};

enum { PERSONALITY_TTL_S = 300, PERSONALITY_IDLE_MS = 300000 };

/* Takes "key", or "key=value"; false: 'error' says why and nothing has changed. */
bool personality_set(struct personality *p, struct arena *texts, struct span word,
                     struct buf *error);
/* What was given in 'from' is given in 'into' too. */
void personality_merge(struct personality *into, const struct personality *from);
/* Something about mailboxes was given. */
bool personality_rules_mailboxes(const struct personality *p);
/* Something was given that only hosts have. */
bool personality_rules_host(const struct personality *p);
uint64_t personality_ttl_s(const struct personality *p);
uint64_t personality_idle_ms(const struct personality *p);
