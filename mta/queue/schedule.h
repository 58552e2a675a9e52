/* SPDX-License-Identifier: MIT */
/*
 * Schedule: how long until the next try.  The n-th failure waits for the n-th interval, the last
 * one repeats; every wait is spread by the jitter, so that what failed together does not come back
 * together.
 */
#pragma once
#include "mta/base/rng.h"
#include "mta/queue/policy.h"

/* After the 'failures'-th failure in a row (1 is the first); at least 1 ms. */
uint64_t schedule_wait_ms(const struct retry_policy *retry, unsigned failures, struct rng *jitter);
/* After an unanswered end of data. */
uint64_t schedule_doubt_ms(const struct retry_policy *retry, struct rng *jitter);
