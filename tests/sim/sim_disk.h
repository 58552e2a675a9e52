/* SPDX-License-Identifier: MIT */
/*
 * Disk, behind the door: one directory whose files have a write cache of 512 byte sectors.  What
 * was not synced may be lost, kept or torn when the power goes; directory operations too, in their
 * order.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct sim_disk *disk_new(void);
/* The process is gone: nothing is open any more, the page cache stays. */
void disk_forget_process(void);
/* The machine is gone: only what the disk has is left. */
void disk_lose_power(void);
/* How many operations have failed so far. */
uint64_t disk_faults(void);
