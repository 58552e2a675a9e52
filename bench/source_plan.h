/* SPDX-License-Identifier: MIT */
/*
 * Source plan: who gets mail, and in which transactions.  Addresses are made as the simulated
 * Internet names its domains (user12@d37.example), or read from a list, then put into an order and
 * cut into parcels.  Everything follows from the configuration and its seed.
 */
#pragma once
#include "mta/base/buf.h"

#define SOURCE_ORDERS(X)                                                                           \
    X(SHUFFLED, "shuffled") /* as rosters are */                                                   \
    X(SORTED, "sorted")     /* by address */                                                       \
    X(GIVEN, "given")       /* as listed, or domain by domain */                                   \
    X(MAILMAN, "mailman")   /* buckets by top-level domain, random inside, sorted in a parcel */
#define SOURCE_ORDER_ID(id, text) SOURCE_##id,
enum source_order { SOURCE_ORDERS(SOURCE_ORDER_ID) SOURCE_ORDER_COUNT };
#undef SOURCE_ORDER_ID

struct source_plan_config {
    uint64_t recipients, domains, per_transaction, seed;
    bool zipf; /* the n-th domain has 1/n as many as the first; else all the same */
    const char *user, *prefix, *suffix;
    enum source_order order;
    struct span list; /* one address a line, instead of made ones; empty: made */
};

struct source_parcel {
    size_t first, count; /* of plan->rcpts */
};

struct source_plan {
    struct buf text;
    struct span *rcpts; /* into 'text' or the list */
    size_t rcpt_count;
    struct source_parcel *parcels;
    size_t parcel_count;
};

/* "shuffled" and so on; false if it is none. */
bool source_order_named(struct span name, enum source_order *order);
/* The configuration's list must live as long as the plan. */
void source_plan_init(struct source_plan *plan, const struct source_plan_config *config);
void source_plan_release(struct source_plan *plan);
