/* SPDX-License-Identifier: MIT */
/* Control: the UNIX socket on which the simulated Internet is asked and changed (control_reply.h).
 */
#pragma once
#include "mta/base/buf.h"

struct internet;
struct control;

/* Replaces a stale socket.  NULL: 'error' says why. */
struct control *control_open(struct internet *internet, const char *path, struct buf *error);
/* Ends its connections and removes the socket; frees itself once the loop has let go. */
void control_close(struct control *control);
