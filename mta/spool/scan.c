/* SPDX-License-Identifier: MIT */
#include "mta/spool/scan.h"
#include "mta/base/bytes.h"
#include "mta/base/mem.h"
#include <string.h>

enum { WINDOW_BYTES = 1 << 20, READ_BLOCK_BYTES = 4096, UNREADABLE = 0xff };

void scan_init(struct scan *scan, struct disk_file *file, uint64_t segment)
{
    *scan = (struct scan){.file = file, .segment = segment, .bytes = disk_file_bytes(file)};
    scan->window_cap = scan->bytes < WINDOW_BYTES ? (size_t)scan->bytes : WINDOW_BYTES;
    scan->window     = mem_new(scan->window_cap);
}

void scan_release(struct scan *scan)
{
    mem_free(scan->window);
    *scan = (struct scan){0};
}

/* Block by block: what cannot be read becomes damage. */
static void read_what_can_be(struct scan *scan, uint64_t at, char *into, size_t want)
{
    scan->has_read_error = true;
    for (size_t done = 0; done < want; done += READ_BLOCK_BYTES) {
        size_t got = 0, cap = want - done < READ_BLOCK_BYTES ? want - done : READ_BLOCK_BYTES;
        if (disk_read(scan->file, at + done, into + done, cap, &got) != OK)
            memset(into + done, UNREADABLE, cap);
        else
            memset(into + done + got, 0, cap - got);
    }
}

static void fill(struct scan *scan)
{
    uint64_t left = scan->bytes - scan->at;
    size_t got = 0, want = left < scan->window_cap ? (size_t)left : scan->window_cap;
    scan->window_at  = scan->at;
    scan->window_len = want;
    if (disk_read(scan->file, scan->at, scan->window, want, &got) != OK)
        read_what_can_be(scan, scan->at, scan->window, want);
    else if (got < want)
        scan->window_len = got; /* shorter than it was a moment ago */
}

/* The bytes from 'at' on: enough for any record, or all there are. */
static struct span ahead(struct scan *scan)
{
    uint64_t end = scan->window_at + scan->window_len;
    if (scan->at < scan->window_at || scan->at > end ||
        (end - scan->at < RECORD_BYTES_MAX && end < scan->bytes) || scan->window_len == 0)
        fill(scan);
    size_t skip = (size_t)(scan->at - scan->window_at);
    return span_make(scan->window + skip, scan->window_len - skip);
}

/* How many bytes of zeros 'in' begins with, in whole words. */
static size_t zero_bytes(struct span in)
{
    size_t n = 0;
    while (n + RECORD_ALIGN_BYTES <= in.len && bytes_get64(in.at + n) == 0)
        n += RECORD_ALIGN_BYTES;
    return in.len - n < RECORD_ALIGN_BYTES ? in.len : n;
}

/* Of a whole record that says another number; 0: there is none. */
static size_t stale_bytes(struct span in, uint64_t number)
{
    struct record record;
    size_t bytes   = 0;
    uint64_t other = record_segment(in);
    bool is_stale  = other != 0 && other != number &&
                    record_parse(in, other, &record, &bytes, NULL) == RECORD_GOOD;
    return is_stale ? bytes : 0;
}

static void note_rubbish(struct scan *scan, struct span in)
{
    scan->is_in_damage = scan->is_in_damage || record_segment(in) == scan->segment;
    if (!scan->is_in_damage)
        return;
    if (scan->damaged_bytes == 0)
        scan->damaged_at = scan->at;
    scan->damaged_bytes += RECORD_ALIGN_BYTES;
}

/* What begins here is no record of ours: how far it goes. */
static size_t skip(struct scan *scan, struct span in)
{
    size_t bytes = zero_bytes(in);
    if (bytes == 0 && (bytes = stale_bytes(in, scan->segment)) > 0)
        scan->is_recycled = true;
    if (bytes > 0) {
        scan->is_in_damage = false;
        return bytes;
    }
    note_rubbish(scan, in);
    return RECORD_ALIGN_BYTES;
}

bool scan_next(struct scan *scan, struct scanned *found)
{
    scan->damaged_at = scan->damaged_bytes = 0;
    while (scan->at < scan->bytes) {
        struct span in = ahead(scan);
        if (in.len == 0)
            break;
        if (record_parse(in, scan->segment, &found->record, &found->bytes, &found->checksum) ==
            RECORD_GOOD) {
            scan->is_in_damage   = false;
            found->offset        = scan->at;
            found->damaged_at    = scan->damaged_at;
            found->damaged_bytes = scan->damaged_bytes;
            scan->at += found->bytes;
            return true;
        }
        scan->at += skip(scan, in);
    }
    found->damaged_at    = scan->damaged_at;
    found->damaged_bytes = scan->damaged_bytes;
    return false;
}
