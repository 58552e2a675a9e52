/* SPDX-License-Identifier: MIT */
/* Outcome: what became of a recipient, and what the last try brought: the words that queue, spool,
 * deliver, reports and log share. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* identifier, event name in the log (INTERFACE: events) */
#define OUTCOMES(X)                                                                                \
    X(NONE, "none")                                                                                \
    X(DELIVERED, "delivered")                                                                      \
    X(DEFERRED, "deferred")                                                                        \
    X(FAILED, "failed")                                                                            \
    X(EXPIRED, "expired")                                                                          \
    X(SUPPRESSED, "suppressed")                                                                    \
    X(CANCELLED, "cancelled")                                                                      \
    X(HELD, "held")                                                                                \
    X(RELEASED, "released")
#define OUTCOME_NAME(id, text) OUTCOME_##id,
enum outcome { OUTCOMES(OUTCOME_NAME) OUTCOME_COUNT };
#undef OUTCOME_NAME

const char *outcome_text(enum outcome outcome);

/* What is durable about a recipient beside its envelope. */
#define RCPT_STATES(X)                                                                             \
    X(WAITING, "waiting")        /* to be tried, now or at next */                                 \
    X(HELD, "held")              /* by an operator, until released */                              \
    X(OWES_FAILURE, "failed")    /* ended, the sender is not told yet */                           \
    X(OWES_SUCCESS, "delivered") /* ended well, and a success report was asked for */              \
    X(ENDED, "ended")            /* nothing more to do */
#define RCPT_STATE_NAME(id, text) RCPT_##id,
enum rcpt_state { RCPT_STATES(RCPT_STATE_NAME) RCPT_STATE_COUNT };
#undef RCPT_STATE_NAME

const char *rcpt_state_text(enum rcpt_state state);

/* The last try at one recipient.  Texts are NUL-terminated, escaped, "" if unknown. */
struct attempt {
    uint16_t code; /* the SMTP reply; 0: none came */
    unsigned char enhanced[3];
    uint8_t outcome; /* enum outcome */
    bool is_final;   /* delivered where it was to go (LMTP), not handed on */
    uint64_t wall_ms;
    const char *text; /* the reply's text, or our own words */
    const char *mx;   /* host name */
};
