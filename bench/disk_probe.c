/* SPDX-License-Identifier: MIT */
/*
 * One file of fixed size, written from front to back and over again, as a spool's segment is: first
 * a block and a sync, over and over; then in large pieces with a sync at the end of each round.
 * The file has its blocks before, so that no sync pays for finding them.
 */
#include "bench/disk_probe.h"
#include "bench/json.h"
#include "bench/options.h"
#include "bench/source_report.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    BLOCK_BYTES     = 4096,
    PIECE_BYTES     = 1048576,
    FILE_BYTES      = 64 * 1048576,
    TIME_DEFAULT_MS = 2000,
    US_PER_MS       = 1000,
    US_PER_S        = 1000000
};

struct probe {
    int fd;
    uint64_t time_us;
    char *bytes; /* PIECE_BYTES */
    uint64_t syncs, sync_us, written, write_us;
    struct source_times times; /* of each sync */
};

static bool open_file(struct probe *p, const char *directory, struct buf *error)
{
    struct buf path = {0};
    buf_printf(&path, "%s/mailrace-bench-XXXXXX", directory);
    p->fd = mkstemp((char *)buf_text(&path));
    if (p->fd >= 0)
        (void)unlink(buf_text(&path)); /* it ends with us, however we end */
    buf_release(&path);
    if (p->fd < 0)
        buf_printf(error, "cannot make a file in '%s': %s", directory, strerror(errno));
    return p->fd >= 0;
}

static bool write_at(struct probe *p, uint64_t at, size_t bytes)
{
    return pwrite(p->fd, p->bytes, bytes, (off_t)(at % FILE_BYTES)) == (ssize_t)bytes;
}

static bool fill(struct probe *p)
{
    for (uint64_t at = 0; at < FILE_BYTES; at += PIECE_BYTES)
        if (!write_at(p, at, PIECE_BYTES))
            return false;
    return fsync(p->fd) == 0;
}

static bool measure_syncs(struct probe *p)
{
    uint64_t begun = clock_now_us(), now = begun;
    while (now - begun < p->time_us) {
        uint64_t before = now;
        memcpy(p->bytes, &p->syncs, sizeof p->syncs); /* never the same block twice */
        if (!write_at(p, p->syncs * BLOCK_BYTES, BLOCK_BYTES) || fdatasync(p->fd) != 0)
            return false;
        now = clock_now_us();
        source_times_add(&p->times, now - before);
        p->syncs++;
    }
    p->sync_us = now - begun;
    return true;
}

static bool measure_writing(struct probe *p)
{
    uint64_t begun = clock_now_us();
    do {
        for (uint64_t at = 0; at < FILE_BYTES; at += PIECE_BYTES, p->written += PIECE_BYTES)
            if (!write_at(p, at, PIECE_BYTES))
                return false;
        if (fdatasync(p->fd) != 0)
            return false;
        p->write_us = clock_now_us() - begun;
    } while (p->write_us < p->time_us);
    return true;
}

static void report(struct probe *p, const char *directory)
{
    struct buf out = {0};
    buf_put_byte(&out, '{');
    json_text(&out, "directory", span_of(directory));
    json_number(&out, "fdatasyncs_per_s", p->syncs * US_PER_S / p->sync_us);
    source_times_json(&p->times, "fdatasync_us", &out);
    json_number(&out, "write_bytes_per_s", p->written * US_PER_S / p->write_us);
    buf_put_text(&out, "}\n");
    printf("%s", buf_text(&out));
    buf_release(&out);
}

static int probe(const char *directory, uint64_t time_ms)
{
    struct probe p   = {.fd = -1, .time_us = (time_ms > 0 ? time_ms : 1) * US_PER_MS};
    struct buf error = {0};
    p.bytes          = mem_new(PIECE_BYTES);
    bool is_open     = open_file(&p, directory, &error);
    if (is_open && !(fill(&p) && measure_syncs(&p) && measure_writing(&p)))
        buf_printf(&error, "cannot write in '%s': %s", directory, strerror(errno));
    bool ok = error.len == 0;
    if (ok)
        report(&p, directory);
    else
        (void)fprintf(stderr, "mailrace-bench: %s\n", buf_text(&error));
    if (is_open)
        (void)close(p.fd);
    mem_free(p.bytes);
    mem_free(p.times.us);
    buf_release(&error);
    return ok ? EX_OK : EX_IOERR;
}

int disk_probe_main(int argc, char **argv)
{
    const char *directory          = NULL;
    uint64_t time_ms               = TIME_DEFAULT_MS;
    bool help                      = false;
    const struct option_row rows[] = {
        {"directory", OPTION_TEXT,     &directory, "DIRECTORY", "where to write (needed)"   },
        {"time",      OPTION_DURATION, &time_ms,   "TIME",      "of each of two, default 2s"},
        {"help",      OPTION_FLAG,     &help,      NULL,        "this text"                 },
    };
    size_t count    = sizeof rows / sizeof rows[0];
    struct buf text = {0};
    int status      = EX_USAGE;
    if (!options_parse(rows, count, argc, argv, &text)) {
        (void)fprintf(stderr, "mailrace-bench: %s\n", buf_text(&text));
    } else if (help) {
        options_usage(rows, count, "disk", &text);
        printf("%s", buf_text(&text));
        status = EX_OK;
    } else if (directory == NULL) {
        (void)fputs("mailrace-bench: --directory is needed\n", stderr);
    } else {
        status = probe(directory, time_ms);
    }
    buf_release(&text);
    return status;
}
