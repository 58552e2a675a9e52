/* SPDX-License-Identifier: MIT */
/* Mx command: the lines of a session, as a table of verbs.  Part of mx_session. */
#pragma once
#include "bench/mx_session.h"

/* Takes one command line; 0: it is not complete. */
size_t mx_command_feed(struct mx_session *s, struct span bytes);
/* A reply is about to go out and 'rest' has already come behind what it answers: was that allowed?
 * 'ends_group': RFC 2920 says that this command must be the last of its group. */
void mx_command_note_more(struct mx_session *s, bool ends_group, struct span rest);
/* The bytes of a BDAT are complete. */
void mx_command_end_chunk(struct mx_session *s);
