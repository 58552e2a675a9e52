/* SPDX-License-Identifier: MIT */
/*
 * Recipient: what a try means for the one person to reach: the shared note of the last reply, and
 * whether the sender must be told (RFC 3461 5.2).
 */
#pragma once
#include "mta/queue/message.h"

/* A copy of the attempt and its texts, with one reference. */
struct attempt_note *attempt_note_new(const struct attempt *attempt);
/* The same reply, and a try less than ATTEMPT_NOTE_MS apart. */
enum { ATTEMPT_NOTE_MS = 1000 };
bool attempt_note_says(const struct attempt_note *note, const struct attempt *attempt);
/* A reference: to 'old', which may be NULL, if it says so; else to a new one. */
struct attempt_note *attempt_note_like(struct attempt_note *old, const struct attempt *attempt);
struct attempt_note *attempt_note_hold(struct attempt_note *note);
void attempt_note_release(struct attempt_note *note); /* NULL is fine */

/* Holds 'note' and releases the one before. */
void recipient_set_last(struct recipient *r, struct attempt_note *note);
/* The only way a state changes: asserts that the move exists, and keeps live and owing of the
 * message. */
void recipient_set_state(struct message *m, struct recipient *r, enum rcpt_state next);
void recipient_count_attempt(struct recipient *r);

/* The state that follows when it ended badly, or well.  'is_duty_ours': no later host will make the
 * success report. */
enum rcpt_state recipient_after_failure(const struct message *m, const struct recipient *r);
enum rcpt_state recipient_after_delivery(const struct message *m, const struct recipient *r,
                                         bool is_duty_ours);
bool recipient_wants_delay_report(const struct message *m, const struct recipient *r);
