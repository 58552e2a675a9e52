/* SPDX-License-Identifier: MIT */
/* Selector: which recipients an operator means: id= to= domain= site= list= flow= older= status=,
 * all of them at once. */
#pragma once
#include "mta/base/buf.h"

enum { SELECTOR_VALUE_BYTES = 320 };

struct selector {
    uint64_t id;       /* 0: any */
    uint64_t older_ms; /* 0: any */
    char to[SELECTOR_VALUE_BYTES], domain[SELECTOR_VALUE_BYTES], site[SELECTOR_VALUE_BYTES];
    char list[SELECTOR_VALUE_BYTES], flow[SELECTOR_VALUE_BYTES],
        status[SELECTOR_VALUE_BYTES]; /* "": any; domain and site take "*." patterns */
    bool is_empty; /* nothing was given: changing commands refuse that unless "all" was said */
};

void selector_init(struct selector *selector);
/* Adds one "name=value"; "all" stands for everything.  false with a sentence in 'error' that names
 * the term and what is known. */
bool selector_add(struct selector *selector, struct span term, struct buf *error);
