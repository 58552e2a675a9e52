/* SPDX-License-Identifier: MIT */
#include "mta/base/mem.h"
#include "mta/base/fault.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *mem_new(size_t bytes)
{
    return mem_new_array(1, bytes);
}

void *mem_new_array(size_t count, size_t bytes)
{
    void *fresh = calloc(count > 0 ? count : 1, bytes > 0 ? bytes : 1);
    must(fresh != NULL);
    return fresh;
}

void *mem_resize(void *old, size_t bytes)
{
    void *moved = realloc(old, bytes > 0 ? bytes : 1);
    must(moved != NULL);
    return moved;
}

void mem_free(void *old)
{
    free(old);
}

char *mem_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_new(bytes), text, bytes);
}

size_t mem_cost(const void *old)
{
    return old == NULL ? 0 : malloc_usable_size((void *)old) + MEM_OVERHEAD;
}

void mem_give_back(void)
{
    (void)malloc_trim(0);
}
