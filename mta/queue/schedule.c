/* SPDX-License-Identifier: MIT */
#include "mta/queue/schedule.h"
#include "mta/base/fault.h"

enum { PERCENT = 100 };

/* interval -+ percent, every ms of it equally likely */
static uint64_t spread(uint64_t interval_ms, unsigned percent, struct rng *jitter)
{
    if (percent > PERCENT)
        percent = PERCENT;
    uint64_t reach_ms = interval_ms / PERCENT * percent + interval_ms % PERCENT * percent / PERCENT;
    uint64_t wait_ms  = interval_ms - reach_ms + rng_below(jitter, 2 * reach_ms + 1);
    return wait_ms > 0 ? wait_ms : 1;
}

uint64_t schedule_wait_ms(const struct retry_policy *retry, unsigned failures, struct rng *jitter)
{
    must(retry->interval_count > 0 && retry->interval_count <= RETRY_INTERVALS_MAX);
    size_t step = failures > 0 ? failures - 1 : 0;
    if (step >= retry->interval_count)
        step = retry->interval_count - 1;
    return spread(retry->intervals_ms[step], retry->jitter_percent, jitter);
}

uint64_t schedule_doubt_ms(const struct retry_policy *retry, struct rng *jitter)
{
    return spread(retry->in_doubt_ms, retry->jitter_percent, jitter);
}
