/* SPDX-License-Identifier: MIT */
/*
 * Sources: list managers and applications that hand mail over.  Each works through its transactions
 * one after the other, and hands one over again until it has heard 250: what an answer that got
 * lost makes of that is the double submission that the oracle allows for.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct sim_sources *sources_new(void);
/* Everything was answered 250. */
bool sources_are_done(void);

/* The product's disk takes nothing more: what it has read from then on may be found there, though
 * it was refused. */
void sources_on_broken_disk(uint64_t since_ms);

/* How often a recipient's mail was handed over whole and not refused: it may have been taken so
 * often; and how often it was answered 250. */
unsigned source_count_submitted(unsigned rcpt);
unsigned source_count_acked(unsigned rcpt);
/* Since when some of its mail was handed over: who joins a message expires with it. */
uint64_t source_first_ms(unsigned rcpt);
