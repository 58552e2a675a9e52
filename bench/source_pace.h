/* SPDX-License-Identifier: MIT */
/*
 * Source pace: when the next transaction may begin, and when no more shall.  The pace is open: a
 * transaction is due at its time whether or not the server has kept up, so that a slow server is
 * not spared.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Zero: no such rule. */
struct source_pace_config {
    uint64_t messages;              /* transactions at most */
    uint64_t time_us;               /* none begins later than this after the first */
    uint64_t interval_ns;           /* from one to the next */
    uint64_t burst, burst_pause_us; /* so many, then a pause since the last of them began */
};

struct source_pace {
    const struct source_pace_config *config;
    uint64_t count, first_us, last_us; /* begun, when the first and the last */
};

enum source_pace_says { SOURCE_PACE_GO, SOURCE_PACE_WAIT, SOURCE_PACE_OVER };

void source_pace_init(struct source_pace *p, const struct source_pace_config *config);
/* GO: one is counted.  WAIT: ask again at *due_us. */
enum source_pace_says source_pace_ask(struct source_pace *p, uint64_t now_us, uint64_t *due_us);
