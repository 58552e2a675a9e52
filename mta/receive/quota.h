/* SPDX-License-Identifier: MIT */
/*
 * Quota: how much each user has sent in the last hour and the last day, and how much he may.
 *
 * A meter counts in buckets of five minutes and of an hour; the window is the whole buckets behind
 * now and the one at hand, so it is never shorter than it is called, and at most one bucket longer.
 * What is underway is held first and counts too, so that many connections cannot pass together; it
 * is then used, or let go.
 *
 * Times are those of the wall clock, because counts outlive the process.  Pure.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/table.h"

enum { QUOTA_SHORT_BUCKETS = 13, QUOTA_LONG_BUCKETS = 25, QUOTA_LIMIT_MAX = 1000000000 };

struct quota_limits {
    uint32_t hour, day; /* 0: no limit */
};

struct quota_meter {
    uint64_t short_at, long_at; /* the number of the newest bucket, since 1970 */
    uint32_t shorts[QUOTA_SHORT_BUCKETS], longs[QUOTA_LONG_BUCKETS]; /* the newest first */
    uint32_t held;
};

/* What one user has sent. */
struct quota_use {
    struct table_node by_name;
    struct quota_meter messages, recipients;
    char name[];
};

struct quotas {
    struct table by_name;
};

void quotas_init(struct quotas *quotas, uint64_t seed);
void quotas_release(struct quotas *quotas);
/* Makes one that is not there yet; it lives until quotas_forget() finds it empty. */
struct quota_use *quotas_of(struct quotas *quotas, struct span name);
/* NULL: he has sent nothing. */
const struct quota_use *quotas_find(const struct quotas *quotas, struct span name);
/* Drops those who have sent nothing for a day and hold nothing. */
void quotas_forget(struct quotas *quotas, uint64_t wall_ms);

/* 0: 'more' still fit into the limits; else in how many ms they will, with 'window' "hour" or
 * "day". */
uint64_t quota_wait_ms(const struct quota_meter *meter, const struct quota_limits *limits,
                       uint32_t more, uint64_t wall_ms, const char **window);
void quota_hold(struct quota_meter *meter, uint32_t count);
void quota_let_go(struct quota_meter *meter, uint32_t count);
/* What was held is sent. */
void quota_use(struct quota_meter *meter, uint32_t count, uint64_t wall_ms);
uint32_t quota_hour(const struct quota_meter *meter, uint64_t wall_ms);
uint32_t quota_day(const struct quota_meter *meter, uint64_t wall_ms);

/* "100/h", "1000/d", "100/h,1000/d" or "none". */
bool quota_limits_parse(struct span text, struct quota_limits *limits);
void quota_limits_put(const struct quota_limits *limits, struct buf *into);

/* A line a user.  Reading adds; false: a line is none, and was left out. */
void quotas_write(const struct quotas *quotas, struct buf *into);
bool quotas_read(struct quotas *quotas, struct span text);
