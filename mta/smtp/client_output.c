/* SPDX-License-Identifier: MIT */
/*
 * What goes out: one stream, made of commands that are copied and bodies that are not.  At most one
 * piece of a body is in hand, and commands stand before or behind it; so the end of a body and the
 * next envelope are one group, and one write.
 */
#include "mta/base/fault.h"
#include "mta/smtp/client_parts.h"
#include <limits.h>
#include <string.h>

/* Free before the next command: its own line, and a dot or QUIT behind it. */
enum { ROOM_BYTES = SMTP_COMMAND_BYTES + 64 };
_Static_assert((int)ROOM_BYTES <= (int)SMTP_OUTPUT_BYTES, "an empty output has room");
_Static_assert((int)SMTP_OUTPUT_BYTES <= USHRT_MAX, "its length fits out_len");

bool client_has_room(const struct smtp_client *c)
{
    return sizeof c->out - c->out_len >= ROOM_BYTES;
}

void client_put(struct smtp_client *c, struct span bytes)
{
    must(bytes.len <= sizeof c->out - c->out_len);
    memcpy(c->out + c->out_len, bytes.at, bytes.len);
    c->out_len = (unsigned short)(c->out_len + bytes.len);
}

bool client_has_output(const struct smtp_client *c)
{
    return c->out_len > 0 || c->body.part_count > 0;
}

void client_drop_output(struct smtp_client *c)
{
    c->out_len = c->out_before = 0;
    c->body                    = (struct smtp_body){.state = SMTP_BODY_NONE};
}

/* --- the body --- */

void client_want_body(struct smtp_client *c)
{
    must(c->body.state == SMTP_BODY_NONE);
    c->body.state  = SMTP_BODY_WANTED;
    c->body.flight = (c->flight_head + c->flight_count - 1) % SMTP_FLIGHT_MAX;
    c->body.left   = c->flight[c->body.flight].job->size_bytes;
}

bool smtp_client_is_chunk(const struct smtp_client *c)
{
    return c->flight[c->body.flight].is_chunked;
}

const struct smtp_job *smtp_client_body_job(const struct smtp_client *c)
{
    return c->flight[c->body.flight].job;
}

/* A part without bytes would stand in the way of those behind it. */
static void skip_empty_parts(struct smtp_body *b)
{
    while (b->part_count > 0 && b->skip == b->parts->len) {
        b->parts++;
        b->part_count--;
        b->skip = 0;
    }
}

/* The peer was told how long a chunk is. */
static void count_chunk(struct smtp_body *b)
{
    for (size_t i = 0; i < b->part_count; i++) {
        must(b->parts[i].len <= b->left);
        b->left -= b->parts[i].len;
    }
    must(b->is_last == (b->left == 0));
}

void smtp_client_body(struct smtp_client *c, const struct span *parts, size_t count, bool is_last)
{
    struct smtp_body *b = &c->body;
    must(smtp_client_wants(c) & SMTP_WANT_BODY);
    b->state      = SMTP_BODY_IN_HAND;
    b->is_last    = is_last;
    b->parts      = parts;
    b->part_count = count;
    b->skip       = 0;
    if (smtp_client_is_chunk(c))
        count_chunk(b);
    skip_empty_parts(b);
    c->out_before = b->part_count > 0 ? c->out_len : 0;
    client_pump(c); /* an empty piece is no progress, but no error */
}

/* The piece is out.  Commands before it count to it: a chunk is nothing without its BDAT. */
void client_pump_body(struct smtp_client *c)
{
    struct smtp_body *b = &c->body;
    if (b->state != SMTP_BODY_IN_HAND || b->part_count > 0)
        return;
    b->state = SMTP_BODY_NONE;
    if (b->is_last)
        client_step(&c->flight[b->flight], SMTP_STEP_IN_DOUBT);
    else
        b->state = SMTP_BODY_WANTED;
}

/* --- the stream --- */

struct group {
    struct span *parts;
    size_t count, max;
};

static void add(struct group *g, const char *at, size_t len)
{
    if (len > 0 && g->count < g->max)
        g->parts[g->count++] = span_make(at, len);
}

size_t smtp_client_output(const struct smtp_client *c, struct span *parts, size_t max)
{
    const struct smtp_body *b = &c->body;
    struct group g            = {.parts = parts, .max = max};
    add(&g, c->out, c->out_before);
    for (size_t i = 0; i < b->part_count; i++) {
        size_t skip = i == 0 ? b->skip : 0;
        add(&g, b->parts[i].at + skip, b->parts[i].len - skip);
    }
    add(&g, c->out + c->out_before, (size_t)c->out_len - c->out_before);
    return g.count;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t wrote_commands(struct smtp_client *c, size_t n)
{
    c->out_len = (unsigned short)(c->out_len - n);
    memmove(c->out, c->out + n, c->out_len);
    return n;
}

static size_t wrote_before(struct smtp_client *c, size_t n)
{
    n             = least(n, c->out_before);
    c->out_before = (unsigned short)(c->out_before - n);
    return n > 0 ? wrote_commands(c, n) : 0;
}

static size_t wrote_body(struct smtp_body *b, size_t n)
{
    size_t taken = 0;
    while (taken < n && b->part_count > 0) {
        size_t some = least(n - taken, b->parts->len - b->skip);
        b->skip += some;
        taken += some;
        skip_empty_parts(b);
    }
    return taken;
}

void smtp_client_wrote(struct smtp_client *c, size_t n)
{
    n -= wrote_before(c, n);
    n -= wrote_body(&c->body, n);
    must(n <= c->out_len);
    if (n > 0)
        (void)wrote_commands(c, n);
    client_pump(c);
}
