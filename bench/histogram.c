/* SPDX-License-Identifier: MIT */
/* A bucket's number is the value's exponent and the bits behind its first one. */
#include "bench/histogram.h"
#include "bench/json.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < 2 << HISTOGRAM_CUT_BITS)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_CUT_BITS;
    return (shift << HISTOGRAM_CUT_BITS) + (unsigned)(value >> shift);
}

/* The least value in it. */
static uint64_t floor_of(unsigned bucket)
{
    if (bucket < 2 << HISTOGRAM_CUT_BITS)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_CUT_BITS) - 1;
    return (uint64_t)(bucket - (shift << HISTOGRAM_CUT_BITS)) << shift;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    h->max = value > h->max ? value : h->max;
}

uint64_t histogram_percentile(const struct histogram *h, unsigned percent)
{
    if (h->count == 0)
        return 0;
    if (percent >= 100)
        return h->max;
    uint64_t left = (h->count - 1) * percent / 100;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->buckets[i] > left)
            return floor_of(i);
        left -= h->buckets[i];
    }
    return h->max;
}

void histogram_json(const struct histogram *h, const char *name, struct buf *out)
{
    json_key(out, name);
    buf_put_byte(out, '{');
    json_number(out, "p50", histogram_percentile(h, 50));
    json_number(out, "p90", histogram_percentile(h, 90));
    json_number(out, "p99", histogram_percentile(h, 99));
    json_number(out, "max", h->max);
    json_number(out, "count", h->count);
    buf_put_byte(out, '}');
}
