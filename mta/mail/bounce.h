/* SPDX-License-Identifier: MIT */
/*
 * Bounce: what comes back: reports of delivery (RFC 3464), those of old or odd mail systems that
 * are written for people, complaints (ARF, RFC 5965), and answers of machines (RFC 3834), which
 * mean nothing.  A report may be forged: who reads it must know whom it may be about, from a token
 * in the address it came to (token.h), and trust it for nothing else.
 *
 * Pure; the message lies in memory, of which at most BOUNCE_BYTES_MAX are looked at.
 */
#pragma once
#include "mta/base/span.h"
#include "mta/mail/address.h"
#include "mta/mail/blame.h"

enum {
    BOUNCE_BYTES_MAX      = 1 << 20,
    BOUNCE_RCPTS_MAX      = 50,
    BOUNCE_TEXT_BYTES_MAX = 500,
};

enum bounce_kind {
    BOUNCE_NONE,      /* a mail like any other: a person may have written it */
    BOUNCE_REPORT,    /* of what became of recipients */
    BOUNCE_COMPLAINT, /* somebody pressed "this is spam" */
    BOUNCE_ANSWER,    /* an absence notice or the like */
    BOUNCE_KINDS
};

enum bounce_action {
    BOUNCE_FAILED,
    BOUNCE_DELAYED,
    BOUNCE_GONE_ON /* delivered, relayed or expanded */
};

struct bounce_rcpt {
    char address[ADDRESS_BYTES_MAX + 1]; /* "" if none could be read; out of prose a mere guess: the
                                            token knows */
    enum bounce_action action;
    unsigned code;                        /* the SMTP reply's, 0 if unknown */
    unsigned char enhanced[3];            /* 0.0.0 if unknown */
    enum blame blame;                     /* of a failure */
    char text[BOUNCE_TEXT_BYTES_MAX + 1]; /* what was said, escaped */
};

struct bounce {
    enum bounce_kind kind;
    struct bounce_rcpt rcpts[BOUNCE_RCPTS_MAX];
    size_t count;      /* of a report that tells of nobody by name: one, with an empty address */
    char feedback[32]; /* of a complaint: "abuse", "not-spam", "opt-out", ... lower case */
};

/* 'has_null_sender': it came with MAIL FROM:<>, so no person wrote it: what is no machine's answer
 * is a report, in whatever words. */
void bounce_read(struct span message, bool has_null_sender, struct bounce *bounce);
/* "5.1.1", "550" or "550 5.1.1" anywhere in a text, as mail systems write them; false: neither. */
bool bounce_find_codes(struct span text, unsigned *code, unsigned char enhanced[3]);
const char *bounce_kind_text(enum bounce_kind kind);
