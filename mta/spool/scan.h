/* SPDX-License-Identifier: MIT */
/*
 * Scan: the records of one segment, from front to back, over whatever is between them.
 *
 * Zeros are what was never written, or what fills a block.  Records of another number are what a
 * file that is used again held before; a write may have left some of them in part.  What begins as
 * a record of this number and is none is damage.  Whatever it is, the scan looks for the next
 * record behind it, at every multiple of 8.  Nothing that came from outside can pose as one: a
 * header holds zeros, mail and texts do not (mail/dot.h).
 */
#pragma once
#include "mta/spool/record.h"
#include "mta/sys/disk.h"

struct scan {
    struct disk_file *file;
    uint64_t segment, bytes;
    uint64_t at; /* the next byte to look at */
    char *window;
    uint64_t window_at;
    size_t window_len, window_cap;
    /* since the last record, or the beginning */
    uint64_t damaged_at, damaged_bytes;
    bool is_in_damage; /* what was looked at last is part of it */
    bool is_recycled;  /* whole records of another number were seen */
    bool has_read_error;
};

/* A record and where it stands; the payload holds until the next call. */
struct scanned {
    struct record record;
    uint64_t offset;
    size_t bytes;
    uint64_t checksum;
    uint64_t damaged_at, damaged_bytes; /* before it */
};

void scan_init(struct scan *scan, struct disk_file *file, uint64_t segment);
void scan_release(struct scan *scan);
/* false: no more; the damage behind the last one is in 'found'. */
bool scan_next(struct scan *scan, struct scanned *found);
