/* SPDX-License-Identifier: MIT */
/*
 * Operator: who runs sites: the limits they share.  A site that shares with nobody has an operator
 * of its own, so there is one way to ask.
 *
 * Sites that could run but for these limits stand in 'waiting', in turn; none of them is looked at
 * until a job comes home or a transaction is allowed again.
 */
#pragma once
#include "mta/base/heap.h"
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/queue/throttle.h"

struct site_operator {
    struct table_node by_name; /* only when shared */
    struct list waiting;       /* sites */
    struct heap_node wake;     /* the next transaction, while sites wait for it */
    struct throttle throttle;
    struct site_limits limits;
    uint64_t id;
    unsigned sites; /* that point here; the last one to leave frees it */
    bool is_shared;
    char name[]; /* of the rule */
};

struct site_operator *operator_new(const struct site_rule *rule, uint64_t id, uint64_t now_ms);
void operator_free(struct site_operator *o);

enum operator_gate {
    OPERATOR_OPEN,
    OPERATOR_FULL, /* until a job comes home */
    OPERATOR_PACED /* until operator_next_ms() */
};
enum operator_gate operator_gate(struct site_operator *o, uint64_t now_ms);
uint64_t operator_next_ms(struct site_operator *o, uint64_t now_ms);
/* For people: what was so when it was asked last. */
bool operator_holds_back(const struct site_operator *o);
