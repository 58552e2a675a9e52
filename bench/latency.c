/* SPDX-License-Identifier: MIT */
/* Groups are few, so they are searched one after the other, the newest found first. */
#include "bench/latency.h"
#include "bench/json.h"
#include "mta/base/mem.h"
#include <stdio.h>
#include <string.h>

static const char others[] = "(others)";

void latency_init(struct latency *l)
{
    memset(l, 0, sizeof *l);
}

void latency_release(struct latency *l)
{
    for (size_t i = 0; i < l->group_count; i++)
        mem_free(l->groups[i]);
}

/* Without "-" and digits at the end. */
static struct span group_name(struct span id)
{
    size_t end = id.len;
    while (end > 0 && ascii_is_digit(id.at[end - 1]))
        end--;
    if (end > 1 && end < id.len && id.at[end - 1] == '-')
        id.len = end - 1;
    return span_first(id, LATENCY_NAME_BYTES - 1);
}

static struct latency_group *find(const struct latency *l, struct span name)
{
    for (size_t i = l->group_count; i > 0; i--)
        if (span_is(name, l->groups[i - 1]->name))
            return l->groups[i - 1];
    return NULL;
}

const struct latency_group *latency_find(const struct latency *l, struct span name)
{
    return find(l, name);
}

static struct latency_group *group_of(struct latency *l, struct span name)
{
    struct latency_group *group = find(l, name);
    if (group != NULL)
        return group;
    if (l->group_count == LATENCY_GROUPS_MAX)
        return l->groups[LATENCY_GROUPS_MAX - 1];
    if (l->group_count == LATENCY_GROUPS_MAX - 1)
        name = span_of(others);
    group = mem_new(sizeof *group);
    (void)snprintf(group->name, sizeof group->name, "%.*s", (int)name.len, name.at);
    l->groups[l->group_count++] = group;
    return group;
}

static void note(struct latency_group *group, bool is_stamped, uint64_t took_us,
                 uint64_t recipients, uint64_t wall_us)
{
    group->first_us = group->first_us == 0 ? wall_us : group->first_us;
    group->last_us  = wall_us;
    group->contents++;
    group->recipients += recipients;
    if (is_stamped)
        histogram_add(&group->spread, took_us);
}

void latency_note(struct latency *l, struct span id, struct span sent, uint64_t recipients,
                  uint64_t wall_us)
{
    uint64_t sent_us = 0;
    bool is_stamped  = span_to_number(sent, UINT64_MAX, &sent_us);
    uint64_t took_us = wall_us > sent_us ? wall_us - sent_us : 0;
    note(&l->all, is_stamped, took_us, recipients, wall_us);
    note(group_of(l, group_name(id)), is_stamped, took_us, recipients, wall_us);
}

void latency_json(const struct latency_group *group, struct buf *out)
{
    json_number(out, "first_arrival_us", group->first_us);
    json_number(out, "last_arrival_us", group->last_us);
    histogram_json(&group->spread, "latency_us", out);
}
