/* SPDX-License-Identifier: MIT */
#include "bench/source_pace.h"

enum { NS_PER_US = 1000 };

void source_pace_init(struct source_pace *p, const struct source_pace_config *config)
{
    *p = (struct source_pace){.config = config};
}

static uint64_t due_us(const struct source_pace *p)
{
    const struct source_pace_config *c = p->config;
    uint64_t due                       = p->first_us + p->count * c->interval_ns / NS_PER_US;
    if (c->burst > 0 && p->count % c->burst == 0 && p->last_us + c->burst_pause_us > due)
        due = p->last_us + c->burst_pause_us;
    return due;
}

enum source_pace_says source_pace_ask(struct source_pace *p, uint64_t now_us, uint64_t *due)
{
    const struct source_pace_config *c = p->config;
    if (c->messages > 0 && p->count >= c->messages)
        return SOURCE_PACE_OVER;
    if (p->count == 0) {
        p->first_us = now_us;
    } else {
        *due           = due_us(p);
        uint64_t begin = *due > now_us ? *due : now_us;
        if (c->time_us > 0 && begin - p->first_us >= c->time_us)
            return SOURCE_PACE_OVER;
        if (*due > now_us)
            return SOURCE_PACE_WAIT;
    }
    p->count++;
    p->last_us = now_us;
    return SOURCE_PACE_GO;
}
