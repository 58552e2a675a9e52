/* SPDX-License-Identifier: MIT */
/*
 * Msgid: the queue id of a message, 64 bits, and its text of 13 characters (Crockford's base 32,
 * upper case): the name by which log, operators and Received fields know it.  Ids grow with time:
 * 44 bits of wall clock ms, then 20 bits that tell messages of one ms apart.
 */
#pragma once
#include "mta/base/span.h"

enum { MSGID_TEXT_BYTES = 14 };

const char *msgid_text(uint64_t id, char into[MSGID_TEXT_BYTES]);
/* Takes lower case and the look-alikes (o, i, l) too. */
bool msgid_parse(struct span text, uint64_t *id);
/* The next id after 'last' (0: none yet) at this time; always greater than 'last'. */
uint64_t msgid_next(uint64_t last, uint64_t wall_ms);
