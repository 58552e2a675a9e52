/* SPDX-License-Identifier: MIT */
/*
 * Guest: what a client of a submission listener has more than others: it logs in, and its mail goes
 * through submission and manuscript before the intake has it.
 *
 * A part of its connection, which calls these.
 */
#pragma once
#include "mta/receive/login.h"
#include "mta/receive/submission.h"

struct connection;

struct guest {
    struct login login;
    struct submission submission;
    bool awaits_verdict; /* a password is being compared, or the answer is said later */
    bool is_last;        /* behind the answer it must go */
    struct smtp_server_reply verdict;
};

struct guest *guest_new(struct connection *c);
void guest_free(struct guest *guest); /* NULL is fine */
/* TLS stands: which mechanisms there are. */
void guest_on_secure(struct connection *c);
/* The core's event.  While guest->awaits_verdict nothing more is fed. */
void guest_on_auth(struct connection *c);
void guest_on_check(struct connection *c, bool is_right);
/* It is time for the verdict. */
void guest_say_verdict(struct connection *c);
/* false: it was answered with a refusal. */
bool guest_on_mail(struct connection *c);
bool guest_on_rcpt(struct connection *c);
/* Content on its way to the intake.  OK with no->code: it is refused. */
enum status guest_take_content(struct connection *c, struct span piece,
                               struct manuscript_refusal *no);
enum status guest_end_content(struct connection *c, struct manuscript_refusal *no);
