/* SPDX-License-Identifier: MIT */
/*
 * Suppress: addresses that get nothing from a list, or from any (list 0), whatever the rosters say.
 * No import and no subscription overrides it; only suppress_remove() ends it.
 */
#pragma once
#include "lists/store.h"
#include "mta/base/arena.h"

enum { SUPPRESS_ALL = 0 };

/* Texts are NUL-terminated, never NULL. */
struct suppressed {
    const char *address; /* canonical */
    uint32_t list;       /* SUPPRESS_ALL: everything */
    const char *cause;
    uint64_t wall_ms; /* since */
};

/* EXISTS: it is on it already; time and cause stay. */
enum status suppress_add(struct store *store, uint32_t list, const char *canonical,
                         struct span cause, uint64_t wall_ms);
/* NOT_FOUND: it is not on it. */
enum status suppress_remove(struct store *store, uint32_t list, const char *canonical);
/* What keeps an address from mail of a list: for all lists first.  NOT_FOUND: nothing does. */
enum status suppress_find(struct store *store, uint32_t list, const char *canonical,
                          struct arena *arena, struct suppressed *found);
/* The next 'max' (at most) behind (address, list), in that order; start with "" and 0.  Fewer mean
 * the end. */
enum status suppress_walk(struct store *store, const char *after, uint32_t after_list,
                          struct arena *arena, struct suppressed *rows, size_t max, size_t *given);
