/* SPDX-License-Identifier: MIT */
/*
 * Generate: any number of domains from one line.  Domain n is PREFIX n SUFFIX, as the load source
 * names them too.  The first HOSTED share lives with big operators that have two hosts each; the
 * others have a host of their own.  MIX gives exact shares of the unhosted domains a personality;
 * which ones is decided by the scenario's seed.
 */
#pragma once
#include "bench/scenario.h"

enum { GENERATE_MIX_MAX = 32, GENERATE_AFFIX_BYTES = 64, GENERATE_OPERATOR_HOSTS = 2 };

struct generate_share {
    const struct personality *personality;
    struct span name; /* the scenario's */
    uint64_t millionths;
};

struct generate_plan {
    uint64_t count, operators, hosted; /* hosted: millionths */
    char prefix[GENERATE_AFFIX_BYTES], suffix[GENERATE_AFFIX_BYTES];
    struct generate_share mix[GENERATE_MIX_MAX];
    size_t mix_count;
};

void generate_plan_init(struct generate_plan *plan);
/* One word of the line: prefix= suffix= operators= hosted= mix=. */
bool generate_plan_set(struct generate_plan *plan, struct scenario *s, struct span word,
                       struct buf *error);
void generate_domains(const struct generate_plan *plan, struct scenario *s);
