/* SPDX-License-Identifier: MIT */
/* Source hello: what comes before the first transaction: EHLO, STARTTLS, AUTH.  Part of
 * source_session; each handler returns the next phase. */
#pragma once
#include "bench/source_session.h"

void source_hello_write(struct source_session *s);
/* A line of the reply to EHLO. */
void source_hello_note(struct source_session *s, struct span keyword);
enum source_phase source_after_greeting(struct source_session *s, struct span reply);
enum source_phase source_after_hello(struct source_session *s, struct span reply);
enum source_phase source_after_starttls(struct source_session *s, struct span reply);
enum source_phase source_after_auth(struct source_session *s, struct span reply);
/* Counts the connection as lost. */
enum source_phase source_give_up(struct source_session *s, const char *why);
