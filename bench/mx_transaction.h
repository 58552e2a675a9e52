/* SPDX-License-Identifier: MIT */
/*
 * Mx transaction: one envelope, and how it becomes receipts in the ledger.  init/release; reset
 * empties it and keeps the memory.
 */
#pragma once
#include "bench/mx_body.h"

struct mx_rcpt {
    size_t at, len; /* the address, in text */
    size_t params, params_len;
    struct domain *domain; /* NULL: none of ours, taken by a relay */
    bool refused;          /* after the dot */
};

struct mx_transaction {
    bool is_open; /* MAIL was taken */
    bool is_8bit, is_utf8;
    uint64_t declared_bytes;
    struct buf text; /* sender, its parameters, recipients, theirs */
    size_t sender_len, params_len;
    struct mx_rcpt *rcpts;
    size_t count, cap;
};

/* Who brought it and how. */
struct mx_delivery {
    struct ledger *ledger;
    struct host *host;
    struct span helo;
    const char *tls; /* the version, NULL: in the clear */
    uint64_t wall_us;
};

void mx_transaction_init(struct mx_transaction *t);
void mx_transaction_release(struct mx_transaction *t);
void mx_transaction_reset(struct mx_transaction *t);

void mx_transaction_open(struct mx_transaction *t, struct span sender, struct span params);
void mx_transaction_add(struct mx_transaction *t, struct span address, struct span params,
                        struct domain *domain);
struct span mx_transaction_sender(const struct mx_transaction *t);
struct span mx_transaction_rcpt(const struct mx_transaction *t, size_t n);

/* The content must be kept whole: somebody here stores it. */
bool mx_transaction_stores(const struct mx_transaction *t, const struct host *host);
/* Writes receipts for everybody who was not refused, and what was wrong with the content. */
void mx_transaction_record(const struct mx_transaction *t, struct mx_body *body,
                           const struct mx_delivery *delivery);
