/* SPDX-License-Identifier: MIT */
/*
 * Memory of two kinds: the world's, and the product's, which dies as a whole when the product
 * crashes.  sim_mem.c stands in for mta/base/mem.c; which kind a block is of is decided by the side
 * that runs when it is made, and a block that is resized keeps its kind.
 */
#pragma once
#include <stddef.h>

enum sim_side { SIDE_WORLD, SIDE_PRODUCT };

/* Who runs from now on; returns who did. */
enum sim_side sim_mem_set_side(enum sim_side side);
enum sim_side sim_mem_side(void);

/* The world's, zeroed, whoever runs. */
void *world_new(size_t bytes);
void world_free(void *old);

/* The product is gone: every block it still had is freed. */
void sim_mem_drop_product(void);
/* A world has ended: every block of both sides is freed. */
void sim_mem_drop_world(void);
size_t sim_mem_product_blocks(void);
/* Before a report of a leak: the leak sanitizer shall find the product's blocks and say who made
 * them. */
void sim_mem_disclose_product(void);
