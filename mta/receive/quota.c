/* SPDX-License-Identifier: MIT */
#include "mta/receive/quota.h"
#include "mta/base/fault.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include <inttypes.h>
#include <string.h>

enum {
    SHORT_MS       = 5 * 60 * 1000,
    LONG_MS        = 60 * 60 * 1000,
    NAME_BYTES_MAX = 255,
    NUMBER_MAX     = UINT32_MAX / 2, /* so that no sum of two turns over */
};

/* One of a meter's two rows of buckets. */
struct row {
    uint64_t at, bucket_ms;
    const uint32_t *counts;
    size_t len;
};

static struct row short_row(const struct quota_meter *m)
{
    return (struct row){m->short_at, SHORT_MS, m->shorts, QUOTA_SHORT_BUCKETS};
}

static struct row long_row(const struct quota_meter *m)
{
    return (struct row){m->long_at, LONG_MS, m->longs, QUOTA_LONG_BUCKETS};
}

/* --- users --- */

void quotas_init(struct quotas *q, uint64_t seed)
{
    table_init(&q->by_name, seed);
}

static struct quota_use *use_of(struct table_node *node)
{
    return node == NULL ? NULL : CONTAINER_OF(node, struct quota_use, by_name);
}

void quotas_release(struct quotas *q)
{
    struct table_node *node;
    for (size_t at = 0; (node = table_each(&q->by_name, &at)) != NULL;) {
        table_remove(&q->by_name, node);
        mem_free(use_of(node));
    }
    table_release(&q->by_name);
}

struct quota_use *quotas_of(struct quotas *q, struct span name)
{
    struct quota_use *use = use_of(table_find(&q->by_name, name));
    if (use != NULL)
        return use;
    use = mem_new(sizeof *use + name.len + 1);
    span_copy_text(name, use->name, name.len + 1);
    table_insert(&q->by_name, &use->by_name, span_make(use->name, name.len));
    return use;
}

const struct quota_use *quotas_find(const struct quotas *q, struct span name)
{
    return use_of(table_find(&q->by_name, name));
}

static bool is_empty(const struct quota_meter *m, uint64_t wall_ms)
{
    return m->held == 0 && quota_day(m, wall_ms) == 0 && quota_hour(m, wall_ms) == 0;
}

void quotas_forget(struct quotas *q, uint64_t wall_ms)
{
    struct table_node *node;
    for (size_t at = 0; (node = table_each(&q->by_name, &at)) != NULL;) {
        struct quota_use *use = use_of(node);
        if (!is_empty(&use->messages, wall_ms) || !is_empty(&use->recipients, wall_ms))
            continue;
        table_remove(&q->by_name, node);
        mem_free(use);
    }
}

/* --- counting --- */

/* How many of the oldest have left the window; all when the clock stepped back by more than one
 * bucket, for then nobody knows when they were. */
static size_t gone(const struct row *row, uint64_t wall_ms)
{
    uint64_t now = wall_ms / row->bucket_ms;
    if (now <= row->at)
        return row->at - now > 1 ? row->len : 0;
    return now - row->at < row->len ? (size_t)(now - row->at) : row->len;
}

static uint32_t sum(const struct row *row, uint64_t wall_ms)
{
    uint32_t total = 0;
    for (size_t i = 0; i < row->len - gone(row, wall_ms); i++)
        total = total + row->counts[i] < NUMBER_MAX ? total + row->counts[i] : NUMBER_MAX;
    return total;
}

uint32_t quota_hour(const struct quota_meter *m, uint64_t wall_ms)
{
    struct row row = short_row(m);
    return sum(&row, wall_ms);
}

uint32_t quota_day(const struct quota_meter *m, uint64_t wall_ms)
{
    struct row row = long_row(m);
    return sum(&row, wall_ms);
}

/* When enough of the oldest will have left. */
static uint64_t wait_of(const struct row *row, uint32_t limit, uint32_t more, uint32_t held,
                        uint64_t wall_ms)
{
    size_t left    = row->len - gone(row, wall_ms);
    uint32_t total = sum(row, wall_ms);
    uint64_t need  = (uint64_t)total + held + more;
    if (limit == 0 || need <= limit)
        return 0;
    while (left > 0 && need > limit)
        need -= row->counts[--left];
    uint64_t leaves_at = (row->at + row->len - left) * row->bucket_ms;
    return leaves_at > wall_ms ? leaves_at - wall_ms : 1;
}

uint64_t quota_wait_ms(const struct quota_meter *m, const struct quota_limits *limits,
                       uint32_t more, uint64_t wall_ms, const char **window)
{
    struct row shorts = short_row(m), longs = long_row(m);
    uint64_t hour = wait_of(&shorts, limits->hour, more, m->held, wall_ms);
    uint64_t day  = wait_of(&longs, limits->day, more, m->held, wall_ms);
    *window       = day > 0 && day >= hour ? "day" : "hour";
    return day > hour ? day : hour;
}

void quota_hold(struct quota_meter *m, uint32_t count)
{
    must(count <= NUMBER_MAX - m->held);
    m->held += count;
}

void quota_let_go(struct quota_meter *m, uint32_t count)
{
    must(count <= m->held);
    m->held -= count;
}

static void turn(uint64_t *at, uint64_t bucket_ms, uint32_t *counts, size_t len, uint64_t wall_ms)
{
    struct row row = {*at, bucket_ms, counts, len};
    size_t shift   = gone(&row, wall_ms);
    if (shift == 0)
        return;
    memmove(counts + shift, counts, (len - shift) * sizeof counts[0]);
    memset(counts, 0, shift * sizeof counts[0]);
    *at = wall_ms / bucket_ms;
}

static void add(uint32_t *count, uint32_t more)
{
    *count = *count < NUMBER_MAX - more ? *count + more : NUMBER_MAX;
}

void quota_use(struct quota_meter *m, uint32_t count, uint64_t wall_ms)
{
    quota_let_go(m, count);
    turn(&m->short_at, SHORT_MS, m->shorts, QUOTA_SHORT_BUCKETS, wall_ms);
    turn(&m->long_at, LONG_MS, m->longs, QUOTA_LONG_BUCKETS, wall_ms);
    add(&m->shorts[0], count);
    add(&m->longs[0], count);
}

/* --- limits as text --- */

bool quota_limits_parse(struct span text, struct quota_limits *limits)
{
    struct span word, number;
    struct quota_limits found = {0};
    bool is_none              = span_is(text, "none");
    while (!is_none && span_cut(&text, ',', &word)) {
        uint64_t count = 0;
        if (!span_cut(&word, '/', &number) || !span_to_number(number, QUOTA_LIMIT_MAX, &count) ||
            count == 0)
            return false;
        uint32_t *which = span_is(word, "h") ? &found.hour : span_is(word, "d") ? &found.day : NULL;
        if (which == NULL || *which != 0)
            return false;
        *which = (uint32_t)count;
    }
    if (!is_none && found.hour == 0 && found.day == 0)
        return false;
    *limits = found;
    return true;
}

void quota_limits_put(const struct quota_limits *limits, struct buf *into)
{
    if (limits->hour > 0)
        buf_printf(into, "%" PRIu32 "/h", limits->hour);
    if (limits->day > 0)
        buf_printf(into, "%s%" PRIu32 "/d", limits->hour > 0 ? "," : "", limits->day);
    if (limits->hour == 0 && limits->day == 0)
        buf_put_text(into, "none");
}

/* --- on disk: name, and four rows "number:count,count,..." --- */

static void put_row(const struct row *row, struct buf *into)
{
    size_t len = row->len;
    while (len > 1 && row->counts[len - 1] == 0)
        len--;
    buf_printf(into, " %" PRIu64 ":", row->at);
    for (size_t i = 0; i < len; i++)
        buf_printf(into, "%s%" PRIu32, i == 0 ? "" : ",", row->counts[i]);
}

static void put_meter(const struct quota_meter *m, struct buf *into)
{
    struct row shorts = short_row(m), longs = long_row(m);
    put_row(&shorts, into);
    put_row(&longs, into);
}

void quotas_write(const struct quotas *q, struct buf *into)
{
    struct table_node *node;
    for (size_t at = 0; (node = table_each(&q->by_name, &at)) != NULL;) {
        const struct quota_use *use = use_of(node);
        buf_put_text(into, use->name);
        put_meter(&use->messages, into);
        put_meter(&use->recipients, into);
        buf_put_byte(into, '\n');
    }
}

static bool take_row(struct span *line, uint64_t *at, uint32_t *counts, size_t len)
{
    struct span word, number;
    uint64_t value;
    size_t n = 0;
    if (!span_cut(line, ' ', &word) || !span_cut(&word, ':', &number) ||
        !span_to_number(number, UINT32_MAX, at))
        return false;
    while (span_cut(&word, ',', &number)) {
        if (n == len || !span_to_number(number, NUMBER_MAX, &value))
            return false;
        counts[n++] = (uint32_t)value;
    }
    return n > 0;
}

static bool take_meter(struct span *line, struct quota_meter *m)
{
    return take_row(line, &m->short_at, m->shorts, QUOTA_SHORT_BUCKETS) &&
           take_row(line, &m->long_at, m->longs, QUOTA_LONG_BUCKETS);
}

static bool read_line(struct quotas *q, struct span line)
{
    struct quota_meter messages = {0}, recipients = {0};
    struct span name;
    if (!span_cut(&line, ' ', &name) || name.len == 0 || name.len > NAME_BYTES_MAX ||
        !take_meter(&line, &messages) || !take_meter(&line, &recipients) || line.len > 0)
        return false;
    struct quota_use *use = quotas_of(q, name);
    messages.held         = use->messages.held;
    recipients.held       = use->recipients.held;
    use->messages         = messages;
    use->recipients       = recipients;
    return true;
}

bool quotas_read(struct quotas *q, struct span text)
{
    struct span line;
    bool is_good = true;
    while (span_cut(&text, '\n', &line))
        is_good = (line.len == 0 || read_line(q, line)) && is_good;
    return is_good;
}
