/* SPDX-License-Identifier: MIT */
/*
 * Recipient: what a try means for the one person to reach: the shared note of the last reply, and
 * whether the sender must be told (RFC 3461 5.2).
 */
#pragma once
#include "mta/queue/message.h"

/* A copy of the attempt and its texts, with one reference. */
struct attempt_note *attempt_note_new(const struct attempt *attempt);
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
