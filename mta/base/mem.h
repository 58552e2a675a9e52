/* SPDX-License-Identifier: MIT */
/*
 * Mem: the only door to malloc.  None of these returns NULL: no memory is a fault (fault.h),
 * because every budget is checked before memory is taken (limits.memory), and what was accepted is
 * on disk.
 */
#pragma once
#include <stddef.h>

/* A sanitizer watches every object from birth to death: then none is kept for its next use. */
#if defined(__SANITIZE_ADDRESS__)
enum { MEM_IS_WATCHED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { MEM_IS_WATCHED = 1 };
#else
enum { MEM_IS_WATCHED = 0 };
#endif
#else
enum { MEM_IS_WATCHED = 0 };
#endif

/* What the allocator adds to each piece, at least. */
enum { MEM_OVERHEAD = sizeof(size_t) };

/* Zeroed. */
void *mem_new(size_t bytes);
void *mem_new_array(size_t count, size_t bytes);
/* Bytes beyond the old size are not zeroed. */
void *mem_resize(void *old, size_t bytes);
void mem_free(void *old);         /* NULL is fine */
char *mem_text(const char *text); /* a copy; mem_free() it */
/* What it costs, with what the allocator adds; 0 for NULL. */
size_t mem_cost(const void *old);
/* What is free goes back to the system: takes some milliseconds for each 100 MiB. */
void mem_give_back(void);
