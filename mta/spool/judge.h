/* SPDX-License-Identifier: MIT */
/*
 * Judge: where the newest segment ends.  No head of a later one names its end, and a crash may have
 * left any part of its last group: so it ends before the first gap in the sequence that no later
 * record claims to be durable.  What stands behind was never acknowledged.  A gap before that is
 * corruption: it is told, and reading goes on behind it.
 */
#pragma once
#include "mta/spool/replay.h"

#define JUDGE_COPY_NAME "copy"

/* Records of one run, one behind the other; anything else in the file does not count. */
bool judge_follows(const struct scanned *found, uint64_t previous, uint32_t generation);
/* Sets the end of 'in', and counts what stands behind it as torn. */
void judge_segment(struct spool *s, struct found *in);
/*
 * What is read now must stay.  A killed process may have left it in memory only; and when its sync
 * had failed, the system calls those pages clean though the disk never had them, so that a sync
 * alone would not bring them there.  So unless its records say that all of it is durable, the
 * segment is copied and the copy put in its place: whatever a crash leaves, one of them is whole.
 * Without room for that a sync must do.
 */
enum status judge_make_durable(struct spool *s, struct found *in);
