/* SPDX-License-Identifier: MIT */
/*
 * Scenario: the text that describes a world, a line at a time; '#' begins a comment, words stand
 * between blanks, a "quoted part" may hold blanks.  mailrace-bench(1) documents it:
 *
 *     personality NAME KEY...
 *     host NAME ADDRESS[,ADDRESS] KEY...
 *     domain NAME [mx=[PREFERENCE:]HOST,...] KEY...
 *     alias NAME TARGET [ttl=SECONDS]
 *     generate COUNT [prefix=d] [suffix=.example] [operators=N] [hosted=SHARE] [mix=NAME:SHARE,...]
 */
#pragma once
#include "bench/world.h"
#include "mta/base/rng.h"

struct scenario {
    struct world *world;
    struct table personalities; /* by name; the built-in ones are there from the start */
    struct arena arena;
    struct rng rng; /* which domain gets which personality */
};

void scenario_init(struct scenario *s, struct world *world, uint64_t seed);
void scenario_release(struct scenario *s); /* the world stays */

/* false: 'error' says "line N: what is wrong"; what stood before that line has happened. */
bool scenario_read(struct scenario *s, struct span text, struct buf *error);

/* The named personality, NULL if there is none. */
const struct personality *scenario_personality(const struct scenario *s, struct span name);
/* Sets keys, or a named personality, on a host or a domain (or on a domain's own host). */
bool scenario_apply_host(struct scenario *s, struct host *host, struct span word,
                         struct buf *error);
bool scenario_apply_domain(struct scenario *s, struct domain *domain, struct span word,
                           struct buf *error);
/* A domain without MX records gets a host of its own: mx.NAME, or for dns=implicit NAME itself. */
void scenario_give_host(struct scenario *s, struct domain *domain);

/* Takes the next word out of the line, without its quotes, valid until the line goes; false at the
 * end.  'scratch' must hold a line. */
bool scenario_word(struct span *line, char *scratch, struct span *word);
