/* SPDX-License-Identifier: MIT */
/* Mx verbs: what the rows of the command table do (mx_command.c).  Part of mx_session. */
#pragma once
#include "bench/mx_session.h"

/* mx_hello.c: who speaks which protocol, how safely, and as whom. */
bool mx_is_smtp(const struct mx_session *s);
bool mx_is_lmtp(const struct mx_session *s);
bool mx_offers_starttls(const struct mx_session *s);
bool mx_offers_auth(const struct mx_session *s);
void mx_run_ehlo(struct mx_session *s, struct span name);
void mx_run_ehlo_unless_old(struct mx_session *s, struct span name);
void mx_run_helo(struct mx_session *s, struct span name);
void mx_run_starttls(struct mx_session *s, struct span argument);
void mx_run_auth(struct mx_session *s, struct span argument);
/* The line that answers 334. */
void mx_check_credentials(struct mx_session *s, struct span base64);

/* mx_envelope.c: sender and recipients. */
void mx_run_mail(struct mx_session *s, struct span argument);
void mx_run_rcpt(struct mx_session *s, struct span argument);

/* Counts it and says 501. */
void mx_bad_syntax(struct mx_session *s, struct span what);
