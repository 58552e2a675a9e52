/* SPDX-License-Identifier: MIT */
#include "mta/queue/domain.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

#define TO(state) (1u << ROUTE_##state)
static const unsigned may_follow[ROUTE_STATES] = {
    [ROUTE_NONE]   = TO(WANTED) | TO(KNOWN) | TO(NONE),
    [ROUTE_WANTED] = TO(ASKED) | TO(NONE) | TO(KNOWN),
    [ROUTE_ASKED]  = TO(KNOWN) | TO(NONE),
    [ROUTE_KNOWN]  = TO(WANTED) | TO(KNOWN) | TO(NONE),
};
#undef TO

struct domain *domain_new(struct span name)
{
    struct domain *d = mem_new(sizeof *d + name.len + 1);
    if (name.len > 0)
        memcpy(d->name, name.at, name.len);
    list_init(&d->batches);
    return d;
}

void domain_free(struct domain *d)
{
    must(d->total == 0 && list_is_empty(&d->batches));
    list_remove(&d->in_site);
    list_remove(&d->in_unrouted);
    list_remove(&d->in_idle);
    mem_free(d);
}

void domain_set_route(struct domain *d, enum domain_route next)
{
    must(may_follow[d->route] & 1u << next);
    d->route = next;
}

bool domain_is_routed(const struct domain *d, uint64_t now_ms)
{
    return d->route == ROUTE_KNOWN && now_ms < d->expires_ms;
}
