/* SPDX-License-Identifier: MIT */
/*
 * Crew: blocking work done by several hands at once, in no promised order (libuv's pool): password
 * hashes, and small files that are written beside the mail.  The disk of the spool has a thread of
 * its own (thread.h), so nothing here stands before a sync.
 *
 * The thread of 'home'.
 */
#pragma once
#include "mta/sys/thread.h"
#include <stddef.h>

struct crew;

enum { CREW_HANDS_MAX = 4 }; /* as many threads as libuv has */

/* At most 'hands' pieces are under way at the same time; 0: half as many as there are cores. */
struct crew *crew_open(struct loop *home, unsigned hands);
/* Waits for what is under way.  What has not begun never will; all of it is out of crew_take() then
 * and its owner's again. */
void crew_close(struct crew *crew);

/* 'home' gets a turn when it is done.  Until crew_take() gives it back only the work itself may
 * touch what it refers to. */
void crew_give(struct crew *crew, struct work *work);
/* One that is done; NULL when none is. */
struct work *crew_take(struct crew *crew);
/* Given, and neither done nor taken back: whoever gives bounds this. */
size_t crew_load(const struct crew *crew);
