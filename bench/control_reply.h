/* SPDX-License-Identifier: MIT */
/*
 * Control reply: the answer to one line of the control socket, a piece at a time, so that a million
 * receipts never stand in memory as text.  JSON lines; an empty line ends every answer.
 *
 *     stats                      one object: everything summed up
 *     latency [PREFIX]           an object for each group of message ids, or for one
 *     hosts | domains            an object for each, with its counts
 *     recipients [DOMAIN]        an object for each receipt: message id and recipient
 *     refusals                   an object for each address that was ever refused
 *     messages NAME              the whole messages that a 'store' domain or host keeps
 *     set host|domain NAME KEY.. changes a personality while everything runs
 *     quit                       ends the program
 */
#pragma once
#include "mta/base/buf.h"

struct internet;
struct list;
struct control_reply;

typedef bool control_more_fn(struct control_reply *reply, struct buf *out);

struct control_reply {
    struct internet *internet;
    control_more_fn *more; /* appends the next piece; false: that was all.  NULL: nothing to say */
    size_t cursor;
    struct list *node, *head;
    char argument[256];
    bool quits;
};

/* Understands the line; a wrong one is answered with {"error":...}. */
void control_reply_begin(struct control_reply *reply, struct internet *internet, struct span line);
/* Appends some of the answer to 'out'; false: it is complete. */
bool control_reply_more(struct control_reply *reply, struct buf *out);
