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

enum {
    ENVELOPE_ENVID_BYTES_MAX = 100, /* RFC 3461 5.4, in xtext form */
    ENVELOPE_ORCPT_BYTES_MAX = 500,
};

/* Of one transaction or message.  Texts are NUL-terminated, never NULL; "" is the null sender, or
 * not given. */
struct envelope {
    const char *sender;
    const char *envid; /* xtext, as it goes into ENVID= */
    enum envelope_ret ret;
    bool is_8bit;    /* BODY=8BITMIME was given, or 8-bit bytes were seen */
    bool needs_utf8; /* envelope or header holds UTF-8: the next hop must offer SMTPUTF8 (RFC
                        6531 3.4) */
};

struct envelope_rcpt {
    const char *address;
    const char *orcpt; /* "rfc822;xtext", as it goes into ORCPT= */
    uint8_t notify;    /* a set of enum envelope_notify */
};
