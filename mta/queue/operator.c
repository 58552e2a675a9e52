/* SPDX-License-Identifier: MIT */
#include "mta/queue/operator.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

struct site_operator *operator_new(const struct site_rule *rule, uint64_t id, uint64_t now_ms)
{
    struct span name        = span_of(rule->name);
    struct site_operator *o = mem_new(sizeof *o + name.len + 1);
    if (name.len > 0)
        memcpy(o->name, name.at, name.len);
    o->id        = id;
    o->limits    = rule->limits;
    o->is_shared = rule->shared;
    list_init(&o->waiting);
    throttle_init(&o->throttle, &o->limits, now_ms);
    return o;
}

void operator_free(struct site_operator *o)
{
    must(o->sites == 0 && o->throttle.jobs == 0 && list_is_empty(&o->waiting));
    mem_free(o);
}

enum operator_gate operator_gate(struct site_operator *o, uint64_t now_ms)
{
    if (!throttle_has_room(&o->throttle, &o->limits))
        return OPERATOR_FULL;
    return operator_next_ms(o, now_ms) > now_ms ? OPERATOR_PACED : OPERATOR_OPEN;
}

uint64_t operator_next_ms(struct site_operator *o, uint64_t now_ms)
{
    return throttle_next_ms(&o->throttle, &o->limits, now_ms);
}

bool operator_holds_back(const struct site_operator *o)
{
    return !throttle_has_room(&o->throttle, &o->limits) ||
           (o->limits.rate_per_hour > 0 && o->throttle.credit < THROTTLE_TRANSACTION);
}
