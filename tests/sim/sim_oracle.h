/* SPDX-License-Identifier: MIT */
/*
 * Oracle: knows what every recipient was promised and what became of it, and breaks the run at the
 * first step that is against docs/ARCHITECTURE.md, "Promises":
 *
 *   1  what was answered 250 is delivered or reported, whatever crashes
 *   2  each recipient ends once in the log; who failed or expired is reported
 *   3  no second delivery, unless the reply of the first was lost or a crash came close behind it
 *   4  never more connections to a site than its limit
 *   7  when all is quiet, everything is empty
 *
 * A delivery or end is excused when it may be repeated without blame.  At any time the deliveries
 * of a recipient that are not excused are at most as many as the times its mail was handed over.
 */
#pragma once
#include "tests/sim/sim_plan.h"

struct sim_end;
struct sim_mark;

struct sim_oracle *oracle_new(void);
void oracle_close(void);

/* A host has taken a mail at this end, and will say so; the mark is for the end of that reply. */
struct sim_mark *oracle_on_delivery(const struct sim_end *end, const unsigned *rcpts, size_t count,
                                    struct span text);
struct sim_mark *oracle_on_report(const struct sim_end *end, struct span to, struct span text);
/* The product has begun to connect. */
void oracle_on_dialled(unsigned site);
/* A line of the log. */
void oracle_on_log(struct span line);
void oracle_on_crash(void);

/* The queue is empty, everything has been handed over: was every promise kept? */
void oracle_check_end(void);
