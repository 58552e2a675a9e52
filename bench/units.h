/* SPDX-License-Identifier: MIT */
/*
 * Units: the numbers people write on command lines and in scenario files.  Each call takes the
 * whole span or leaves the value untouched and returns false.
 */
#pragma once
#include "mta/base/span.h"

enum { UNITS_SHARE_WHOLE = 1000000 /* a share is counted in millionths */ };

bool units_number(struct span text, uint64_t *value);
/* "250" and "250ms" are milliseconds; "3s", "2m", "1h", "5d". */
bool units_duration(struct span text, uint64_t *ms);
/* "4096", "4k", "10M", "1G"; powers of 1024. */
bool units_size(struct span text, uint64_t *bytes);
/* "100/s", "6000/m", "500/h", "9/d": the time from one to the next. */
bool units_rate(struct span text, uint64_t *interval_ns);
/* "30%", "0.5%": millionths of the whole, at most all of it. */
bool units_share(struct span text, uint64_t *millionths);
