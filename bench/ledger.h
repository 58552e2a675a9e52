/* SPDX-License-Identifier: MIT */
/*
 * Ledger: the ground truth.  For each message id and recipient how often it was received, the
 * contents with their SHA-256, refusals by address, and every breach of protocol by the clients.
 * Nothing is ever forgotten, so its memory grows with the mail: about 100 bytes and the address for
 * each receipt; a quiet ledger counts without names, 32 bytes each.
 */
#pragma once
#include "bench/counts.h"
#include "bench/latency.h"
#include "bench/world.h"

enum { LEDGER_SHA256_BYTES = 32, LEDGER_EXAMPLE_BYTES = 160, LEDGER_ID_BYTES_MAX = 1000 };

/* What a client must never do.  Tests assert that all of these stay at zero. */
#define VIOLATIONS(X)                                                                              \
    X(bare_lf)             /* a LF without CR, in commands or content */                           \
    X(bare_cr)             /* a CR without LF */                                                   \
    X(nul)                 /* a NUL byte */                                                        \
    X(line_too_long)       /* RFC 5321 4.5.3.1.4 and .6; 2048 for MAIL and RCPT (RFC 3461 5.4) */  \
    X(dot_not_stuffed)     /* a content line that begins with one dot */                           \
    X(early_talk)          /* bytes before our greeting */                                         \
    X(pipelined)           /* pipelining where it is not offered */                                \
    X(past_sync)           /* more after a command that must end its group (RFC 2920 3.1) */       \
    X(out_of_order)        /* a command where it cannot stand */                                   \
    X(unknown_command)     /* a verb that is not offered or does not exist */                      \
    X(bad_syntax)          /* a command that cannot be parsed */                                   \
    X(parameter)           /* a MAIL or RCPT parameter that is not offered */                      \
    X(eight_bit)           /* content beyond ASCII without BODY=8BITMIME or SMTPUTF8 */            \
    X(utf8_envelope)       /* an address beyond ASCII without SMTPUTF8 */                          \
    X(size_understated)    /* more content than MAIL SIZE= said, by over a tenth */                \
    X(misrouted)           /* a recipient whose domain does not lead to this host */               \
    X(plaintext_after_tls) /* bytes behind STARTTLS before the handshake */                        \
    X(tls_failed)          /* a handshake that broke although we did it right */                   \
    X(content_changed)     /* a body that differs from its X-Mailrace-Sha256 */                    \
    X(no_id)               /* content with neither X-Mailrace-Id nor Message-ID */

#define VIOLATION_ID(name) VIOLATION_##name,
enum violation { VIOLATIONS(VIOLATION_ID) VIOLATION_COUNT };
#undef VIOLATION_ID

struct violation_count {
    uint64_t count;
    char example[LEDGER_EXAMPLE_BYTES]; /* the first one: host, then what */
};

/* One content, as it came: the same id with other bytes is another letter. */
struct letter {
    struct span id;
    uint64_t id_hash;
    struct letter *next; /* of the same id */
    uint8_t sha256[LEDGER_SHA256_BYTES];
};

/* A message id, and its contents. */
struct known_id {
    struct table_node by_id;
    struct letter *letters;
};

struct receipt {
    struct span rcpt;
    const struct letter *letter; /* the latest */
    uint64_t first_us, last_us;  /* since 1970 */
    uint32_t count;
    bool is_tls; /* the latest */
};

struct refusal {
    struct table_node by_rcpt;
    uint64_t rejected, deferred;
    const char *last; /* the reply */
};

/* A whole message, kept for a domain or host that says 'store'. */
struct stored {
    struct list in_owner;
    struct buf json; /* all about it, one object */
};

struct ledger {
    struct tally total;
    struct violation_count violations[VIOLATION_COUNT];
    struct table ids, refusals;
    struct counts receipts; /* by id and recipient: the receipt's number + 1; quiet: how often */
    struct counts contents; /* quiet: by id */
    struct letter *last;    /* the letter asked for last */
    struct letter quiet;    /* the only one of a quiet ledger */
    bool is_quiet;
    size_t letter_count;
    struct receipt **receipt_blocks; /* in the order of arrival */
    size_t receipt_count, duplicates, changed_ids;
    struct refusal **all_refusals;
    size_t refusal_count;
    struct latency latency;
    struct arena arena;
};

/* 'is_quiet': counts only. */
void ledger_init(struct ledger *l, bool is_quiet);
void ledger_release(struct ledger *l);

void ledger_violation(struct ledger *l, enum violation violation, const struct host *host,
                      struct span what);
uint64_t ledger_violations(const struct ledger *l);

/* The letter with this id and body; made when it is new.  A quiet ledger's holds until the next
 * call. */
const struct letter *ledger_letter(struct ledger *l, struct span id,
                                   const uint8_t sha256[LEDGER_SHA256_BYTES]);
void ledger_receive(struct ledger *l, const struct letter *letter, struct span rcpt, bool is_tls,
                    uint64_t wall_us);
/* The n-th receipt, in order of arrival; n < receipt_count.  Never of a quiet ledger. */
const struct receipt *ledger_receipt(const struct ledger *l, size_t n);
void ledger_refuse(struct ledger *l, struct span rcpt, struct span reply);
/* The n-th address that was refused; n < refusal_count. */
const struct refusal *ledger_refusal(const struct ledger *l, size_t n);

void ledger_receipt_json(const struct receipt *receipt, struct buf *out);
void ledger_refusal_json(const struct refusal *refusal, struct buf *out);
/* total, violations and the counts of receipts, as members of the object open in 'out'. */
void ledger_json(const struct ledger *l, struct buf *out);
