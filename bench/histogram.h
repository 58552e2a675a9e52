/* SPDX-License-Identifier: MIT */
/*
 * Histogram: how values are spread, in fixed memory, however many there are.  Below 64 each value
 * has a bucket; above, each power of two is cut into 32, so that what is told is at most 1/32 less
 * than the truth.
 */
#pragma once
#include "mta/base/buf.h"

enum {
    HISTOGRAM_CUT_BITS = 5, /* 32 buckets in a power of two */
    HISTOGRAM_BUCKETS  = (65 - HISTOGRAM_CUT_BITS) << HISTOGRAM_CUT_BITS
};

struct histogram {
    uint64_t count, max;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);
/* The value that so many per cent of all do not exceed; 0 when there is none. */
uint64_t histogram_percentile(const struct histogram *h, unsigned percent);
/* "name":{"p50":..,"p90":..,"p99":..,"max":..,"count":..} */
void histogram_json(const struct histogram *h, const char *name, struct buf *out);
