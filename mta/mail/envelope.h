/* SPDX-License-Identifier: MIT */
/*
 * Envelope: what MAIL and RCPT say beside the addresses, in the form that spool, queue, client and
 * reports share. Every text is checked at the door and re-serialised from the parsed form
 * (security.md A11): no controls, no white space.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum envelope_ret { RET_DEFAULT, RET_FULL, RET_HDRS }; /* RFC 3461 4.3 */

/* RFC 3461 4.1; 0: NOTIFY was not given. */
enum envelope_notify { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

/* Where placeholders are filled in for each recipient, while sending. */
enum envelope_merge {
    MERGE_NONE,
    MERGE_HEADER, /* in the sender and the header section */
    MERGE_ALL,    /* in text parts as well */
    MERGES
};

enum {
    ENVELOPE_ENVID_BYTES_MAX = 100, /* RFC 3461 5.4, in xtext form */
    ENVELOPE_ORCPT_BYTES_MAX = 500,
    ENVELOPE_VERP_BYTES      = 2,
    ENVELOPE_DATA_BYTES_MAX  = 2000, /* of a recipient's data */
};

/* Of one transaction or message.  Texts are NUL-terminated, never NULL; "" is the null sender, or
 * not given. */
struct envelope {
    const char *sender;
    const char *envid; /* xtext, as it goes into ENVID= */
    uint32_t list_id;  /* whose post it is; 0: of none of our lists */
    uint8_t ret;       /* enum envelope_ret */
    uint8_t merge;     /* enum envelope_merge */
    bool is_8bit;      /* BODY=8BITMIME was given, or 8-bit bytes were seen */
    bool needs_utf8;   /* envelope or header holds UTF-8: the next hop must offer SMTPUTF8 (RFC
                          6531 3.4) */
    char verp[ENVELOPE_VERP_BYTES + 1]; /* "" none; else two delimiters (XVERP): the first stands
                                           before the recipient in the sender's local part, the
                                           second for its "@" */
};

struct envelope_rcpt {
    const char *address;
    const char *orcpt; /* "rfc822;xtext", as it goes into ORCPT= */
    uint8_t notify;    /* a set of enum envelope_notify */
    bool is_local;     /* we take its mail ourselves (mta/receive/sink.h) */
    const char *data;  /* what placeholders stand for: "id=42&name=Ann%20Lee"; %XX for all but ALPHA
                          DIGIT - . _ ~; "" none, and NULL means the same to who is given one */
};

/* No two recipients get the same bytes: each has a transaction of its own. */
static inline bool envelope_is_individual(const struct envelope *e)
{
    return e->verp[0] != '\0' || e->merge != MERGE_NONE;
}
