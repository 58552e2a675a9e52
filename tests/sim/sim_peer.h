/* SPDX-License-Identifier: MIT */
/*
 * Peers: the mail hosts of the simulated world.  Each session is a small SMTP server that behaves
 * as its host's manner says, takes nothing that is not strict SMTP, and tells the oracle what it
 * was given.
 */
#pragma once
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_plan.h"

struct sim_peers *peers_new(void);

/* NULL: nobody has this address. */
const struct plan_host *peer_at(const struct net_address *address);

enum peer_answer { PEER_ACCEPTS, PEER_REFUSES, PEER_KEEPS_SILENT };
/* ACCEPTS: a session, its end not connected yet. */
enum peer_answer peer_answer(const struct plan_host *host, struct sim_end **end);
/* The end is connected. */
void peer_greet(struct sim_end *end);
