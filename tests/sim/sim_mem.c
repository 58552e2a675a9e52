/* SPDX-License-Identifier: MIT */
/* Every block stands in the list of its side, so that a crash can take the product's at once. */
#include "tests/sim/sim_mem.h"
#include "mta/base/fault.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_KIND = 0x534d656d };

struct block {
    struct list link;
    size_t bytes;
    unsigned kind;
    enum sim_side side;
};
_Static_assert(sizeof(struct block) % 16 == 0, "what stands behind it is aligned for any type");

static enum sim_side running;
static struct list blocks[2];
static size_t counts[2];

enum sim_side sim_mem_set_side(enum sim_side side)
{
    enum sim_side before = running;
    running              = side;
    return before;
}

enum sim_side sim_mem_side(void)
{
    return running;
}

static void enlist(struct block *block)
{
    list_push(&blocks[block->side], &block->link);
    counts[block->side]++;
}

static void delist(struct block *block)
{
    must(block->kind == BLOCK_KIND);
    list_remove(&block->link);
    counts[block->side]--;
}

static struct block *block_of(void *old)
{
    return (struct block *)old - 1;
}

static void *block_new(size_t bytes, enum sim_side side)
{
    struct block *block = calloc(1, sizeof *block + bytes);
    must(block != NULL);
    block->kind  = BLOCK_KIND;
    block->side  = side;
    block->bytes = bytes;
    enlist(block);
    return block + 1;
}

static void block_free(struct block *block)
{
    delist(block);
    block->kind = 0;
    free(block);
}

void *mem_new(size_t bytes)
{
    return block_new(bytes, running);
}

void *mem_new_array(size_t count, size_t bytes)
{
    must(bytes == 0 || count <= SIZE_MAX / 2 / bytes);
    return block_new(count * bytes, running);
}

void *mem_resize(void *old, size_t bytes)
{
    if (old == NULL)
        return block_new(bytes, running);
    struct block *block = block_of(old);
    delist(block);
    block = realloc(block, sizeof *block + bytes);
    must(block != NULL);
    block->bytes = bytes;
    enlist(block);
    return block + 1;
}

void mem_free(void *old)
{
    if (old != NULL)
        block_free(block_of(old));
}

char *mem_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_new(bytes), text, bytes);
}

void *world_new(size_t bytes)
{
    return block_new(bytes, SIDE_WORLD);
}

void world_free(void *old)
{
    if (old == NULL)
        return;
    must(block_of(old)->side == SIDE_WORLD);
    block_free(block_of(old));
}

static void drop(enum sim_side side)
{
    struct list *link;
    while ((link = list_first(&blocks[side])) != NULL)
        block_free(CONTAINER_OF(link, struct block, link));
}

void sim_mem_drop_product(void)
{
    drop(SIDE_PRODUCT);
}

void sim_mem_drop_world(void)
{
    drop(SIDE_PRODUCT);
    drop(SIDE_WORLD);
}

size_t sim_mem_product_blocks(void)
{
    return counts[SIDE_PRODUCT];
}

void sim_mem_disclose_product(void)
{
    struct list *link;
    while ((link = list_take(&blocks[SIDE_PRODUCT])) != NULL)
        link->next = link->prev = NULL; /* nothing points to it any more */
}

size_t mem_cost(const void *old)
{
    return old == NULL ? 0 : block_of((void *)old)->bytes;
}

void mem_give_back(void)
{
}
