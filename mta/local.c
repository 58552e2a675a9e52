/* SPDX-License-Identifier: MIT */
#include "mta/local.h"
#include "mta/base/fault.h"

void local_init(struct local *local, const struct local_taker *taker)
{
    *local = (struct local){.taker = taker};
    list_init(&local->done);
}

void local_give(struct local *local, struct job *job)
{
    static const unsigned char status[3] = {4, 3, 5}; /* system incorrectly configured */
    job->site_verdict                    = JOB_SITE_ANSWERED;
    if (local->taker != NULL) {
        local->taker->give(local->taker->owner, job);
        return;
    }
    job_settle_rest(job, JOB_DEFERRED, 0, status, span_of("nobody here takes this mail now"), "");
    list_push(&local->done, &job->link);
}

struct job *local_take(struct local *local)
{
    struct list *node = list_take(&local->done);
    if (node != NULL)
        return CONTAINER_OF(node, struct job, link);
    return local->taker == NULL ? NULL : local->taker->take(local->taker->owner);
}

uint64_t local_turn(struct local *local, uint64_t now_ms, uint64_t wall_ms)
{
    return local->taker == NULL ? UINT64_MAX
                                : local->taker->turn(local->taker->owner, now_ms, wall_ms);
}

void local_done(struct local *local, const struct intake_done *done)
{
    must(local->taker != NULL);
    local->taker->done(local->taker->owner, done);
}

void local_stop(struct local *local)
{
    if (local->taker != NULL)
        local->taker->stop(local->taker->owner);
}
