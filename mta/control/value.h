/* SPDX-License-Identifier: MIT */
/* Value: how quantities are written in the configuration.  Pure. */
#pragma once
#include "mta/base/span.h"

/* "500ms 90s 5m 4h 5d" -> milliseconds. */
bool value_duration(struct span text, uint64_t *ms);
/* "512 64k 20M 1G" (powers of 1024) -> bytes. */
bool value_size(struct span text, uint64_t *bytes);
/* "100/s 500/m 2000/h" -> per hour; "0" or "none": no limit. */
bool value_rate(struct span text, uint64_t *per_hour);
/* "20%" */
bool value_percent(struct span text, unsigned max, unsigned *percent);
/* true false yes no on off */
bool value_bool(struct span text, bool *value);

/* How many letters must change to make one word of the other; more than 'max' counts as max + 1. */
unsigned value_distance(struct span a, struct span b, unsigned max);
