/* SPDX-License-Identifier: MIT */
/* What happened: all of it in a hash, the last lines in a ring.  Also the place where the product
 * dies of its own assertions, because then the trace must be told too. */
#include "mta/base/fault.h"
#include "tests/sim/sim_world.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hash_bytes(struct sim_trace *trace, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        trace->hash = (trace->hash ^ at[i]) * 0x100000001b3; /* FNV-1a */
}

void sim_mark(const char *what, uint64_t number)
{
    struct world *w = sim();
    hash_bytes(&w->trace, what, strlen(what));
    hash_bytes(&w->trace, &number, sizeof number);
}

void sim_note(const char *format, ...)
{
    struct world *w         = sim();
    struct sim_trace *trace = &w->trace;
    char *line              = trace->lines[trace->count++ % TRACE_LINES];
    int head = snprintf(line, TRACE_LINE_BYTES, "%10" PRIu64 ".%03u  ", w->now_ms / 1000,
                        (unsigned)(w->now_ms % 1000));
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line + head, TRACE_LINE_BYTES - (size_t)head, format, arguments);
    va_end(arguments);
    hash_bytes(trace, line, strlen(line));
    if (w->is_verbose)
        (void)fprintf(stderr, "%s\n", line);
}

static void print_trace(void)
{
    const struct world *w         = sim();
    const struct sim_trace *trace = &w->trace;
    uint64_t first                = trace->count > TRACE_LINES ? trace->count - TRACE_LINES : 0;
    if (!w->is_verbose)
        for (uint64_t i = first; i < trace->count; i++)
            (void)fprintf(stderr, "%s\n", trace->lines[i % TRACE_LINES]);
    (void)fprintf(stderr, "seed %" PRIu64 ", step %" PRIu64 ", at %" PRIu64 ".%03u s: ", w->seed,
                  w->steps, w->now_ms / 1000, (unsigned)(w->now_ms % 1000));
}

_Noreturn void sim_break(const char *promise, const char *format, ...)
{
    print_trace();
    (void)fprintf(stderr, "%s: ", promise);
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "\nreplay it with: make sim SEED=%" PRIu64 "\n", sim()->seed);
    exit(1);
}

_Noreturn void fault_die(const char *file, int line, const char *what)
{
    if (sim() != NULL)
        print_trace();
    (void)fprintf(stderr, "fault at %s:%d: %s\n", file, line, what);
    abort();
}
