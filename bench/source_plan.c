/* SPDX-License-Identifier: MIT */
/*
 * The recipients of each domain are exact, not drawn: domain n gets the piece of the whole that
 * lies between the cumulated weights of its neighbours.  Mailman's order is that of its bulk
 * delivery: four buckets that never share a transaction.
 */
#include "bench/source_plan.h"
#include "mta/base/mem.h"
#include "mta/base/rng.h"
#include <stdlib.h>
#include <string.h>

enum { MAILMAN_BUCKETS = 4 };

#define ORDER_NAME(id, text) text,
static const char *const order_names[] = {SOURCE_ORDERS(ORDER_NAME)};
#undef ORDER_NAME

bool source_order_named(struct span name, enum source_order *order)
{
    for (unsigned i = 0; i < SOURCE_ORDER_COUNT; i++)
        if (span_is(name, order_names[i])) {
            *order = (enum source_order)i;
            return true;
        }
    return false;
}

static double weight(const struct source_plan_config *config, uint64_t domain)
{
    return config->zipf ? 1.0 / (double)(domain + 1) : 1.0;
}

static void make_addresses(struct source_plan *plan, const struct source_plan_config *config)
{
    double sum = 0, cumulated = 0;
    uint64_t made = 0;
    for (uint64_t d = 0; d < config->domains; d++)
        sum += weight(config, d);
    for (uint64_t d = 0; d < config->domains; d++) {
        cumulated += weight(config, d);
        uint64_t until = d + 1 == config->domains
                             ? config->recipients
                             : (uint64_t)((double)config->recipients * cumulated / sum + 0.5);
        for (uint64_t user = 0; made < until; user++, made++)
            buf_printf(&plan->text, "%s%llu@%s%llu%s\n", config->user, (unsigned long long)user,
                       config->prefix, (unsigned long long)d, config->suffix);
    }
}

static size_t count_lines(struct span text)
{
    size_t count = 0;
    struct span line;
    while (span_cut(&text, '\n', &line))
        count += span_trim(line).len > 0;
    return count;
}

static void take_lines(struct source_plan *plan, struct span text)
{
    struct span line;
    plan->rcpts = mem_new_array(count_lines(text) + 1, sizeof plan->rcpts[0]);
    while (span_cut(&text, '\n', &line)) {
        line = span_trim(line);
        if (line.len > 0)
            plan->rcpts[plan->rcpt_count++] = line;
    }
}

static void shuffle(struct span *rcpts, size_t count, struct rng *rng)
{
    for (size_t i = count; i > 1; i--) {
        size_t j        = (size_t)rng_below(rng, i);
        struct span one = rcpts[i - 1];
        rcpts[i - 1]    = rcpts[j];
        rcpts[j]        = one;
    }
}

static int compare(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

static void sort(struct span *rcpts, size_t count)
{
    if (count > 1)
        qsort(rcpts, count, sizeof rcpts[0], compare);
}

/* mailman.mta.bulk: com, net and org, edu us ca, the rest. */
static unsigned bucket_of(struct span rcpt)
{
    static const struct {
        const char *tld;
        unsigned bucket;
    } buckets[] = {
        {".com", 0},
        {".net", 1},
        {".org", 1},
        {".edu", 2},
        {".us",  2},
        {".ca",  2}
    };
    for (size_t i = 0; i < sizeof buckets / sizeof buckets[0]; i++)
        if (span_ends_nocase(rcpt, span_of(buckets[i].tld)))
            return buckets[i].bucket;
    return MAILMAN_BUCKETS - 1;
}

/* Groups by bucket, keeping the order inside; gives where each ends. */
static void group_by_bucket(struct source_plan *plan, size_t ends[MAILMAN_BUCKETS])
{
    struct span *grouped = mem_new_array(plan->rcpt_count + 1, sizeof grouped[0]);
    size_t n             = 0;
    for (unsigned b = 0; b < MAILMAN_BUCKETS; b++) {
        for (size_t i = 0; i < plan->rcpt_count; i++)
            if (bucket_of(plan->rcpts[i]) == b)
                grouped[n++] = plan->rcpts[i];
        ends[b] = n;
    }
    memcpy(plan->rcpts, grouped, n * sizeof grouped[0]);
    mem_free(grouped);
}

static void cut(struct source_plan *plan, size_t from, size_t to, size_t most)
{
    while (from < to) {
        size_t count                        = to - from < most ? to - from : most;
        plan->parcels[plan->parcel_count++] = (struct source_parcel){from, count};
        from += count;
    }
}

void source_plan_init(struct source_plan *plan, const struct source_plan_config *config)
{
    size_t most                  = config->per_transaction > 0 ? config->per_transaction : SIZE_MAX;
    size_t ends[MAILMAN_BUCKETS] = {0};
    struct rng rng;
    memset(plan, 0, sizeof *plan);
    rng_seed(&rng, config->seed);
    if (config->list.len == 0)
        make_addresses(plan, config);
    take_lines(plan, config->list.len > 0 ? config->list : buf_span(&plan->text));

    if (config->order == SOURCE_SHUFFLED || config->order == SOURCE_MAILMAN)
        shuffle(plan->rcpts, plan->rcpt_count, &rng);
    if (config->order == SOURCE_SORTED)
        sort(plan->rcpts, plan->rcpt_count);
    if (config->order == SOURCE_MAILMAN)
        group_by_bucket(plan, ends);
    else
        ends[0] = plan->rcpt_count;

    plan->parcels = mem_new_array(plan->rcpt_count + 1, sizeof plan->parcels[0]);
    for (unsigned b = 0; b < MAILMAN_BUCKETS; b++)
        cut(plan, b == 0 ? 0 : ends[b - 1], ends[b], most);
    for (size_t i = 0; config->order == SOURCE_MAILMAN && i < plan->parcel_count; i++)
        sort(plan->rcpts + plan->parcels[i].first, plan->parcels[i].count);
}

void source_plan_release(struct source_plan *plan)
{
    buf_release(&plan->text);
    mem_free(plan->rcpts);
    mem_free(plan->parcels);
}
