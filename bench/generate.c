/* SPDX-License-Identifier: MIT */
/*
 * Shares are exact, not drawn: the unhosted domains are shuffled once, and each personality takes
 * the next piece of them.
 */
#include "bench/generate.h"
#include "bench/units.h"
#include "mta/base/mem.h"
#include <stdio.h>
#include <string.h>

void generate_plan_init(struct generate_plan *plan)
{
    *plan = (struct generate_plan){.prefix = "d", .suffix = ".example", .operators = 5};
}

static bool take_affix(struct span value, char into[GENERATE_AFFIX_BYTES])
{
    if (value.len >= GENERATE_AFFIX_BYTES)
        return false;
    memcpy(into, value.at, value.len);
    into[value.len] = '\0';
    return true;
}

/* "dead:5%,greylist:10%" */
static bool take_mix(struct generate_plan *plan, struct scenario *s, struct span list)
{
    struct span item, name;
    while (span_cut(&list, ',', &item)) {
        struct generate_share *share = &plan->mix[plan->mix_count];
        if (plan->mix_count == GENERATE_MIX_MAX || !span_cut(&item, ':', &name) ||
            !units_share(item, &share->millionths))
            return false;
        share->personality = scenario_personality(s, name);
        if (share->personality == NULL)
            return false;
        share->name = table_find(&s->personalities, name)->key;
        plan->mix_count++;
    }
    return true;
}

bool generate_plan_set(struct generate_plan *plan, struct scenario *s, struct span word,
                       struct buf *error)
{
    struct span value = word, key;
    bool ok           = false;
    (void)span_cut(&value, '=', &key);
    if (span_is(key, "prefix"))
        ok = take_affix(value, plan->prefix);
    else if (span_is(key, "suffix"))
        ok = take_affix(value, plan->suffix);
    else if (span_is(key, "operators"))
        ok = units_number(value, &plan->operators) && plan->operators > 0;
    else if (span_is(key, "hosted"))
        ok = units_share(value, &plan->hosted);
    else if (span_is(key, "mix"))
        ok = take_mix(plan, s, value);
    if (!ok)
        buf_printf(error, "'%.*s' is nothing that generate understands", (int)word.len, word.at);
    return ok;
}

static struct domain *named_domain(const struct generate_plan *plan, struct scenario *s,
                                   uint64_t number)
{
    char name[2 * GENERATE_AFFIX_BYTES + 24];
    (void)snprintf(name, sizeof name, "%s%llu%s", plan->prefix, (unsigned long long)number,
                   plan->suffix);
    return world_domain(s->world, span_of(name));
}

static void give_operator(const struct generate_plan *plan, struct scenario *s,
                          struct domain *domain, uint64_t number)
{
    for (unsigned i = 1; i <= GENERATE_OPERATOR_HOSTS; i++) {
        char name[GENERATE_AFFIX_BYTES + 48];
        (void)snprintf(name, sizeof name, "mx%u.operator%llu%s", i, (unsigned long long)number,
                       plan->suffix);
        struct host *host = world_host(s->world, span_of(name));
        if (host->address_count == 0)
            world_choose_address(s->world, host);
        (void)world_add_mx(s->world, domain, span_of(name), 10 * i);
    }
}

/* 0 .. count-1, shuffled. */
static uint64_t *shuffled(uint64_t count, struct rng *rng)
{
    uint64_t *order = mem_new_array(count + 1, sizeof *order);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t j = rng_below(rng, i + 1);
        order[i]   = order[j];
        order[j]   = i;
    }
    return order;
}

static void give_personality(struct scenario *s, struct domain *domain,
                             const struct generate_share *share)
{
    personality_merge(&domain->p, share->personality);
    domain->kind = world_name(s->world, share->name);
}

void generate_domains(const struct generate_plan *plan, struct scenario *s)
{
    uint64_t hosted = plan->count * plan->hosted / UNITS_SHARE_WHOLE, next = 0;
    uint64_t alone = plan->count - hosted, *order = shuffled(alone, &s->rng);

    for (uint64_t i = 0; i < hosted; i++)
        give_operator(plan, s, named_domain(plan, s, i), i % plan->operators);
    for (size_t m = 0; m < plan->mix_count; m++) {
        uint64_t share = plan->count * plan->mix[m].millionths / UNITS_SHARE_WHOLE;
        for (uint64_t i = 0; i < share && next < alone; i++, next++)
            give_personality(s, named_domain(plan, s, hosted + order[next]), &plan->mix[m]);
    }
    for (uint64_t i = hosted; i < plan->count; i++)
        scenario_give_host(s, named_domain(plan, s, i));
    mem_free(order);
}
