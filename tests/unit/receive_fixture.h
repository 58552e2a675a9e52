/* SPDX-License-Identifier: MIT */
/*
 * Intake with a world that the test holds in its hands: a spool in memory whose disk syncs, lags or
 * fails when it is told to, a clock that stands, and the real queue.
 */
#pragma once
#include "mta/base/fault.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include "mta/receive/intake.h"
#include "mta/sys/loop.h"
#include "tests/unit/check.h"
#include <string.h>

enum {
    FIXTURE_START_MS  = 5000,
    FIXTURE_RCPTS_MAX = 8, /* that a commit is remembered with */
    FIXTURE_EXPIRE_MS = 432000000,
};
#define FIXTURE_WALL_MS 1795517367000ULL /* Tue, 24 Nov 2026 10:49:27 +0000 */

/* --- the clock --- */

static uint64_t fixture_now_ms;

uint64_t loop_now_ms(const struct loop *loop)
{
    (void)loop;
    return fixture_now_ms;
}

uint64_t loop_wall_ms(const struct loop *loop)
{
    (void)loop;
    return FIXTURE_WALL_MS + fixture_now_ms - FIXTURE_START_MS;
}

/* --- the spool --- */

struct content {
    unsigned refs;
    struct buf bytes;
};

struct spool {
    struct list open, committing, committed; /* drafts */
    bool has_no_room, is_broken, lags;
    enum status write_status; /* what draft_write() says */
    unsigned drafts, writes;  /* that live; in all */
    size_t largest_write;
    struct spool_entry entry; /* of the last commit; its texts do not live on */
    uint64_t first_end_id;
    size_t rcpt_count, end_count;
    unsigned joins, closed;
    uint64_t cursor; /* of the last slice */
};

struct draft {
    struct list link;
    struct spool *spool;
    void *owner;
    uint64_t id;
    enum status status;
    bool is_committing, is_join;
    struct buf bytes;
};

size_t spool_memory_bytes(const struct spool *s)
{
    (void)s;
    return 0;
}

bool spool_has_room(const struct spool *s)
{
    return !s->has_no_room && !s->is_broken;
}

const char *spool_refusal(const struct spool *s)
{
    return s->is_broken ? "the disk is broken" : "the disk is full";
}

bool spool_is_broken(const struct spool *s)
{
    return s->is_broken;
}

struct draft *draft_open(struct spool *s)
{
    if (!spool_has_room(s))
        return NULL;
    struct draft *d = mem_new(sizeof *d);
    d->spool        = s;
    s->drafts++;
    list_push(&s->open, &d->link);
    return d;
}

enum status draft_write(struct draft *d, struct span content)
{
    must(!d->is_committing);
    d->spool->writes++;
    if (content.len > d->spool->largest_write)
        d->spool->largest_write = content.len;
    if (d->status == OK)
        d->status = d->spool->write_status;
    if (d->status == OK)
        buf_put(&d->bytes, content);
    return d->status;
}

bool draft_should_wait(const struct draft *d)
{
    return d->spool->lags;
}

void draft_abort(struct draft *d)
{
    list_remove(&d->link);
    buf_release(&d->bytes);
    d->spool->drafts--;
    mem_free(d);
}

void draft_commit(struct draft *d, const struct spool_entry *entry,
                  const struct envelope_rcpt *rcpts, size_t rcpt_count,
                  const struct spool_end *ends, size_t end_count)
{
    struct spool *s = d->spool;
    must(!d->is_committing && rcpt_count > 0 && rcpts[rcpt_count - 1].address != NULL);
    d->is_committing = true;
    d->id            = entry->id;
    s->entry         = *entry;
    s->rcpt_count    = rcpt_count;
    s->end_count     = end_count;
    s->first_end_id  = end_count > 0 ? ends[0].id : 0;
    list_move(&s->committing, &d->link);
}

void draft_join(struct draft *d, uint64_t id, const struct envelope_rcpt *rcpts, size_t rcpt_count)
{
    must(!d->is_committing && d->bytes.len == 0);
    must(rcpt_count > 0 && rcpts[rcpt_count - 1].address != NULL);
    d->is_committing = d->is_join = true;
    d->id                         = id;
    d->spool->joins++;
    list_move(&d->spool->committing, &d->link);
}

void draft_grow(struct draft *d, uint64_t id, const struct envelope_rcpt *rcpts, size_t rcpt_count,
                uint64_t cursor)
{
    must(!d->is_committing && d->bytes.len == 0);
    must(rcpt_count == 0 || rcpts[rcpt_count - 1].address != NULL);
    d->is_committing = d->is_join = true;
    d->id                         = id;
    d->spool->cursor              = cursor;
    list_move(&d->spool->committing, &d->link);
}

void spool_close_message(struct spool *s, uint64_t id)
{
    (void)id;
    s->closed++;
}

void draft_set_owner(struct draft *d, void *owner)
{
    d->owner = owner;
}

void *draft_owner(const struct draft *d)
{
    return d->owner;
}

struct draft *spool_take_committed(struct spool *s, enum status *status, struct content **content)
{
    struct list *node = list_take(&s->committed);
    if (node == NULL)
        return NULL;
    struct draft *d = CONTAINER_OF(node, struct draft, link);
    *status         = d->status;
    *content        = NULL;
    if (d->status == OK && !d->is_join) {
        *content          = mem_new(sizeof **content);
        (*content)->refs  = 1;
        (*content)->bytes = d->bytes;
        buf_init(&d->bytes);
    }
    return d;
}

struct content *content_hold(struct content *content)
{
    content->refs++;
    return content;
}

void content_release(struct content *content)
{
    if (--content->refs > 0)
        return;
    buf_release(&content->bytes);
    mem_free(content);
}

enum status content_read(const struct content *content, uint64_t offset, char *into, size_t cap,
                         size_t *got)
{
    struct span rest = span_first(span_skip(buf_span(&content->bytes), offset), cap);
    *got             = rest.len;
    if (rest.len > 0)
        memcpy(into, rest.at, rest.len);
    return rest.len > 0 ? OK : END;
}

uint64_t content_bytes(const struct content *content)
{
    return content->bytes.len;
}

/* --- all of it --- */

struct fixture_world {
    struct spool spool;
    struct site_rule rules[1];
    struct queue *queue;
    struct event_log log;
    struct intake_settings settings;
    struct intake *intake;
};

static inline void fixture_world_init(struct fixture_world *f)
{
    *f             = (struct fixture_world){0};
    fixture_now_ms = FIXTURE_START_MS;
    f->rules[0]    = (struct site_rule){
           .name   = "default",
           .limits = {
                      .connections = 1, .messages_per_connection = 1, .recipients_per_transaction = 100}
    };
    struct queue_policy policy = {
        .rules      = f->rules,
        .rule_count = 1,
        .retry      = {.intervals_ms = {1000}, .interval_count = 1, .expire_ms = FIXTURE_EXPIRE_MS},
        .jobs_max   = 10,
        .shards     = 1
    };
    f->queue = queue_new(&policy, 1);
    event_log_init(&f->log, EVENT_JSON, LEVEL_DEBUG);
    f->settings = (struct intake_settings){.hostname         = "relay.test",
                                           .expire_ms        = FIXTURE_EXPIRE_MS,
                                           .memory_bytes_max = 1U << 30,
                                           .join_ms          = 5000};
    f->intake   = intake_new(&f->spool, f->queue, &f->log, &f->settings);
}

/* Everything that was begun must have ended; the queue is emptied as the engine does it. */
static inline void fixture_world_release(struct fixture_world *f)
{
    size_t cursor = 0;
    struct message *m;
    intake_free(f->intake);
    while ((m = queue_each_message(f->queue, &cursor)) != NULL) {
        content_release(m->content);
        m->content = NULL;
    }
    queue_free(f->queue);
    event_log_release(&f->log);
    assert_int_equal(f->spool.drafts, 0);
}

/* The disk is done with all that was committed. */
static inline void fixture_sync(struct fixture_world *f, enum status status)
{
    struct list *node;
    while ((node = list_take(&f->spool.committing)) != NULL) {
        struct draft *d = CONTAINER_OF(node, struct draft, link);
        if (d->status == OK)
            d->status = status;
        list_push(&f->spool.committed, node);
    }
}

static inline size_t fixture_messages(const struct fixture_world *f)
{
    struct queue_stats stats;
    queue_stats(f->queue, &stats);
    return stats.messages;
}

static inline const char *fixture_content(const struct message *m)
{
    struct content *content = m->content;
    return buf_text(&content->bytes);
}

/* Wherever its fields are folded. */
static inline bool fixture_holds(const struct message *m, const char *text)
{
    struct buf unfolded = {0};
    for (const char *at = fixture_content(m); *at != '\0'; at++)
        if (strncmp(at, "\r\n ", 3) == 0)
            at++;
        else
            buf_put_byte(&unfolded, *at);
    bool holds = strstr(buf_text(&unfolded), text) != NULL;
    buf_release(&unfolded);
    return holds;
}

static inline bool fixture_logged(struct fixture_world *f, const char *text)
{
    return strstr(buf_text(&f->log.pending), text) != NULL;
}
