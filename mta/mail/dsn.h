/* SPDX-License-Identifier: MIT */
/*
 * DSN: writes a delivery status notification (RFC 3461-3464, 6522, 6533) as a whole message, header
 * and all. Nothing from outside gets in but through header_write() and escape_text().  mailman.md
 * section 4 says what the reader at the other end insists on.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/mail/envelope.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED };

struct dsn_rcpt {
    enum dsn_action action;
    const char *address;
    const char *orcpt;       /* "" if none */
    unsigned char status[3]; /* enhanced code, X.Y.Z */
    const char *remote_mta;  /* "" if no host answered */
    int code;                /* the SMTP reply, 0 if none */
    struct span text; /* the reply's text (lines joined by LF), or our own words when code is 0 */
    uint64_t last_attempt_wall_ms;
    uint64_t will_retry_until_wall_ms; /* delayed only */
};

struct dsn {
    const char *reporting_mta;       /* our host name */
    const char *to;                  /* the envelope sender that is told; never "" */
    const char *message_id;          /* of this report, without <> */
    const char *original_message_id; /* without <>, "" if unknown */
    const char *queue_id;            /* of the message reported on */
    const char *envid;               /* xtext, "" if none */
    uint64_t arrival_wall_ms, now_wall_ms;
    bool is_utf8;         /* RFC 6533 forms: the message needed SMTPUTF8 */
    bool return_full;     /* 'original' is the whole message, else only its header section */
    struct span original; /* canonical CRLF */
};

/* All recipients have the same class of action (failed; delayed; delivered and relayed). */
void dsn_write(struct buf *into, const struct dsn *dsn, const struct dsn_rcpt *rcpts, size_t count);
