/* SPDX-License-Identifier: MIT */
/*
 * One turn: take back what the threads have done, put what waits into the log, hand the group over,
 * keep house, compact a little.  A group is synced when somebody waits for it; facts alone are
 * written at once and synced a little later.
 */
#include "mta/spool/spool.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/spool/inside.h"
#include "mta/sys/loop.h"
#include <stdarg.h>
#include <stdio.h>

enum { CLOSE_ROUNDS_MAX = 8, ALARM_BYTES_MAX = 512 };

/* --- alarms --- */

void spool_alarm(struct spool *s, const char *format, ...)
{
    struct alarms *a = &s->alarms;
    char text[ALARM_BYTES_MAX];
    va_list args;
    if (a->count == ALARMS_MAX) {
        a->dropped++;
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_put_text(&a->texts[(a->first + a->count++) % ALARMS_MAX], text);
}

bool spool_take_alarm(struct spool *s, struct buf *sentence)
{
    struct alarms *a = &s->alarms;
    if (a->count == 0)
        return false;
    struct buf *text = &a->texts[a->first];
    buf_put(sentence, buf_span(text));
    if (a->dropped > 0)
        buf_printf(sentence, " (%llu more were dropped)", (unsigned long long)a->dropped);
    buf_release(text);
    a->first = (a->first + 1) % ALARMS_MAX;
    a->count--;
    a->dropped = 0;
    return true;
}

/* --- opening --- */

static struct spool_config with_defaults(const struct spool_config *config, const char *directory)
{
    struct spool_config c = *config;
    c.directory           = directory;
    if (c.segment_bytes == 0)
        c.segment_bytes = SEGMENT_BYTES_DEFAULT;
    if (c.segment_bytes < SEGMENT_BYTES_MIN)
        c.segment_bytes = SEGMENT_BYTES_MIN;
    if (c.segment_bytes > SEGMENT_BYTES_MAX)
        c.segment_bytes = SEGMENT_BYTES_MAX;
    if (c.outcome_count_max == 0)
        c.outcome_count_max = OUTCOMES_MAX;
    if (c.backlog_bytes_max == 0)
        c.backlog_bytes_max = BACKLOG_BYTES;
    return c;
}

static struct spool *spool_new(const struct spool_config *config, struct disk *disk)
{
    struct spool *s = mem_new(sizeof *s);
    s->kind         = SPOOL_KIND;
    s->disk         = disk;
    s->directory    = mem_text(config->directory);
    s->config       = with_defaults(config, s->directory);
    log_init(&s->log, NULL);
    facts_init(&s->facts);
    contents_init(&s->contents);
    index_init(&s->index, 0);
    chore_init(&s->chore, disk);
    list_init(&s->gone);
    for (int i = 0; i < DRAFT_STATE_COUNT; i++)
        list_init(&s->drafts[i]);
    return s;
}

static void spool_free(struct spool *s)
{
    compact_fail(s, &s->log.groups[0]);
    compact_fail(s, &s->log.groups[1]);
    txn_release(&s->txn);
    drafts_free_all(s);
    recover_release(s);
    index_release(&s->index);
    keeper_close(s);
    must(s->contents.open == 0); /* who holds a content reads from files that close now */
    log_release(&s->log);
    facts_release(&s->facts);
    for (size_t i = 0; i < ALARMS_MAX; i++)
        buf_release(&s->alarms.texts[i]);
    buf_release(&s->refusal);
    disk_close(s->disk);
    mem_free(s->directory);
    s->kind = 0;
    mem_free(s);
}

/* Tells this run's records from those of any other: also of one that lived here before. */
static uint32_t generation_of(const struct spool *s, struct loop *home)
{
    enum { MS_PER_SECOND = 1000 };
    uint64_t seconds = loop_wall_ms(home) / MS_PER_SECOND;
    uint32_t after   = s->recover.generation_max + 1;
    return seconds > after && seconds < UINT32_MAX ? (uint32_t)seconds : after;
}

enum status spool_open(struct spool **spool, struct loop *home, const struct spool_config *config,
                       struct buf *error)
{
    struct disk *disk;
    enum status status = disk_open(&disk, config->directory, error);
    if (status != OK)
        return status;
    struct spool *s = spool_new(config, disk);
    status          = recover_run(s, error);
    if (status == OK)
        status = keeper_open(s, error);
    if (status != OK) {
        spool_free(s);
        return status;
    }
    s->log.generation    = generation_of(s, home);
    s->log.next_sequence = s->recover.sequence_max + 1;
    /* What was found is on disk: a failure of the first group must not cut it off. */
    s->log.durable = s->log.handed_over = s->recover.sequence_max;
    s->writer = s->log.writer = worker_open(home, "disk");
    s->helper                 = worker_open(home, "disk-helper");
    *spool                    = s;
    return OK;
}

/* --- facts --- */

uint64_t spool_oldest(const struct spool *s, const struct stored *stored)
{
    const struct segment *first = segment_first(&s->log.segments);
    /* What stood in segments that are gone cannot come back; but any that is left may hold a
     * checkpoint older than the last. */
    return first != NULL && stored->oldest < first->id ? first->id : stored->oldest;
}

void spool_let_go(struct spool *s, struct stored *stored)
{
    if (stored->live > 0 || stored->is_open || stored_more(stored)->joins > 0)
        return;
    compact_forget(s, stored);
    recover_forget(&s->recover, stored);
    stored_leave(stored);
    stored_free(&s->index, stored);
}

/* NOLINTNEXTLINE(readability-function-size): what is durable of a recipient, as the queue has it */
void spool_note(struct spool *s, uint64_t id, uint32_t rcpt, enum rcpt_state state,
                uint16_t attempts, uint64_t next_wall_ms, const struct attempt *last)
{
    struct stored *stored    = stored_find(&s->index, id);
    struct payload_fate fate = payload_fate_of(state, attempts, next_wall_ms, last);
    if (stored == NULL || !stored->is_durable || rcpt >= stored->rcpt_count ||
        stored_has_ended(stored, rcpt))
        return;
    s->counted.outcomes++;
    if (!log_is_broken(&s->log))
        facts_note(&s->facts, id, rcpt, &fate, spool_oldest(s, stored));
    compact_touch(stored, rcpt);
    if (state == RCPT_ENDED && stored_end(stored, rcpt))
        spool_let_go(s, stored);
}

void spool_close_message(struct spool *s, uint64_t id)
{
    struct stored *stored = stored_find(&s->index, id);
    if (stored == NULL)
        return;
    stored->is_open = false;
    if (stored->is_durable)
        spool_let_go(s, stored);
}

/* --- what the disk thread has done --- */

static void count_group(struct spool *s, const struct group *group)
{
    s->counted.groups++;
    s->counted.syncs += group->sync_count;
    s->counted.bytes_written += group->bytes.len - group->zero_bytes;
    s->counted.bytes_zeroed += group->zero_bytes;
}

static void on_durable(struct spool *s, struct group *group)
{
    uint64_t outcomes_upto = group->outcomes_upto;
    bool syncs             = group->syncs;
    drafts_settle(group);
    compact_settle(s, group);
    log_settle(&s->log, group);
    if (syncs)
        facts_settle(&s->facts, outcomes_upto);
}

static void tell_failure(struct spool *s, const struct group *group)
{
    uint64_t id = group->pieces[group->failed].segment->id;
    spool_alarm(s, "segment %016llx in %s is poisoned: %s; %s", (unsigned long long)id,
                s->directory, group->why,
                s->log.failures + 1 < LOG_FAILURES_MAX
                    ? "going on in a new one"
                    : "this is the second failure, so no new mail until a restart");
}

static void on_lost(struct spool *s, struct group *group)
{
    enum status status = group->status == NO_SPACE ? NO_SPACE : IO_ERROR;
    tell_failure(s, group);
    drafts_fail(s, group, status);
    compact_fail(s, group);
    log_fail(&s->log, group);
    facts_again(&s->facts);
    s->keeper.spare_retry_ms = s->now_ms; /* the refused wait for a segment that tells of it */
}

void spool_take_done(struct spool *s)
{
    must(s->kind == SPOOL_KIND);
    struct group *group = log_take_done(&s->log);
    if (group != NULL) {
        count_group(s, group);
        if (group->status == OK)
            on_durable(s, group);
        else
            on_lost(s, group);
    }
    keeper_take_done(s);
    drafts_release_cut(s);
}

/* --- into the log --- */

enum status spool_place_txn(struct spool *s)
{
    if (!s->txn.is_active)
        return OK;
    void *owner        = s->txn.owner;
    bool is_draft      = s->txn.last_type != RECORD_CHECKPOINT;
    enum status status = txn_place(&s->txn, &s->log);
    if (status == OK && is_draft)
        draft_on_placed(owner);
    else if (status == OK)
        compact_on_placed(s, owner);
    else if (status != AGAIN && is_draft)
        draft_fail(owner, DRAFT_ENDED, status);
    else if (status != AGAIN)
        compact_cancel(s);
    return status;
}

/* A stream that waits for a segment when none can be made gives way to the facts. */
static void give_way(struct spool *s)
{
    enum status verdict = keeper_verdict(s);
    if (verdict == OK)
        return;
    if (s->txn.last_type != RECORD_CHECKPOINT)
        draft_fail(s->txn.owner, DRAFT_ENDED, verdict);
    else
        compact_cancel(s);
}

static void place(struct spool *s)
{
    enum status status = OK;
    if (log_owes_head(&s->log) && s->log.open == NULL)
        status = log_open_next(&s->log);
    if (status == OK && spool_place_txn(s) == AGAIN && !s->txn.is_paused)
        give_way(s);
    if (s->txn.is_active)
        return;
    if (status == OK)
        status = facts_place(&s->facts, &s->log);
    s->keeper.wants_facts_room = status == AGAIN;
    drafts_place(s);
}

static bool facts_are_due(const struct spool *s)
{
    const struct facts *f = &s->facts;
    return f->is_timed && (s->now_ms >= f->since_ms + s->config.outcome_delay_ms ||
                           f->count >= s->config.outcome_count_max);
}

static void time_facts(struct spool *s)
{
    struct facts *f = &s->facts;
    if (f->count > 0 && !f->is_timed) {
        f->since_ms = s->now_ms;
        f->is_timed = true;
    }
}

static void hand_over(struct spool *s)
{
    struct group *group = s->log.gathering;
    bool syncs          = !list_is_empty(&group->commits) || !list_is_empty(&group->moves) ||
                 log_owes_head(&s->log) || facts_are_due(s);
    if (s->log.flying != NULL)
        return;
    group->outcomes_upto = s->facts.placed_total;
    log_hand_over(&s->log, syncs);
    if (syncs && s->facts.noted.len == 0) {
        s->facts.count    = 0;
        s->facts.is_timed = false;
    }
}

/* Else the group that is on its way to the disk wakes us. */
static bool may_place_more(const struct spool *s)
{
    return s->txn.is_active && s->txn.is_paused && s->log.flying == NULL;
}

void spool_submit(struct spool *s, uint64_t now_ms)
{
    s->now_ms = now_ms;
    spool_take_done(s);
    if (!log_is_broken(&s->log)) {
        time_facts(s);
        place(s);
        hand_over(s);
    } else {
        (void)spool_place_txn(s); /* they hear that it is over */
        drafts_place(s);
    }
}

uint64_t spool_turn(struct spool *s, uint64_t now_ms)
{
    spool_submit(s, now_ms);
    bool goes_on  = compact_turn(s);
    uint64_t next = keeper_turn(s);
    if (s->compact.victim != NULL && s->compact.retry_ms > now_ms && s->compact.retry_ms < next)
        next = s->compact.retry_ms;
    if (goes_on || !list_is_empty(&s->drafts[DRAFT_ENDED]) || may_place_more(s))
        return now_ms;
    uint64_t due = s->facts.since_ms + s->config.outcome_delay_ms;
    if (s->facts.is_timed && due > now_ms && due < next && !log_is_broken(&s->log))
        next = due;
    return next;
}

/* --- closing --- */

static bool is_settled(const struct spool *s)
{
    return log_is_empty(&s->log) && !s->txn.is_active && facts_are_settled(&s->facts) &&
           list_is_empty(&s->drafts[DRAFT_QUEUED]) && list_is_empty(&s->drafts[DRAFT_CUT]);
}

/* The threads are gone: what is left is written here. */
static void write_rest(struct spool *s)
{
    for (int i = 0; i < CLOSE_ROUNDS_MAX && !log_is_broken(&s->log); i += !s->txn.is_paused) {
        spool_take_done(s);
        if (is_settled(s))
            return;
        place(s);
        s->facts.since_ms = 0;
        s->facts.is_timed = true;
        s->now_ms         = UINT64_MAX - KEEPER_RETRY_MS;
        hand_over(s);
        (void)keeper_turn(s);
    }
}

/* The next start need not doubt what is durable, when a record says so (judge.c). */
static void claim_all(struct spool *s)
{
    struct log_record claim = {.type = RECORD_OUTCOMES};
    if (log_is_broken(&s->log) || s->log.open == NULL || !is_settled(s) ||
        log_put(&s->log, &claim, NULL, NULL) != OK)
        return;
    log_hand_over(&s->log, false);
    spool_take_done(s);
}

/* All that was given to them is done then. */
static void close_threads(struct spool *s)
{
    worker_close(s->writer);
    worker_close(s->helper);
    s->writer = s->log.writer = s->helper = NULL;
    s->chore.is_done                      = true;
    if (s->log.flying != NULL)
        s->log.flying->is_done = true;
}

void spool_close(struct spool *s)
{
    must(s->kind == SPOOL_KIND);
    close_threads(s);
    compact_cancel(s);
    write_rest(s);
    claim_all(s);
    spool_free(s);
}

bool spool_is_idle(const struct spool *s)
{
    return log_is_broken(&s->log) || is_settled(s);
}

/* --- what others ask --- */

bool spool_has_room(const struct spool *s)
{
    must(s->kind == SPOOL_KIND);
    return keeper_has_room(s);
}

const char *spool_refusal(const struct spool *s)
{
    if (log_is_broken(&s->log))
        return "the disk has failed twice; restart needed";
    if (log_owes_head(&s->log))
        return "the disk has just failed; a new segment is being opened";
    if (s->keeper.short_of == NO_SPACE)
        return "the disk is full";
    if (s->keeper.short_of != OK)
        return "no segment can be made";
    if (s->keeper.is_low)
        return "free space is below limits.min_free_space";
    return "";
}

bool spool_is_broken(const struct spool *s)
{
    return log_is_broken(&s->log);
}

void spool_recovery(const struct spool *s, struct spool_recovery *recovery)
{
    *recovery = s->recover.report;
}

void spool_stats(const struct spool *s, struct spool_stats *stats)
{
    *stats            = s->counted;
    stats->bytes_free = s->keeper.free_bytes;
    for (const struct segment *g = segment_first(&s->log.segments); g != NULL;
         g                       = segment_next(&s->log.segments, g)) {
        stats->segments++;
        stats->bytes_used += g->bytes;
        stats->bytes_live += g->live;
    }
}

size_t spool_memory_bytes(const struct spool *s)
{
    const struct table *by_id = &s->index.by_id;
    return by_id->bytes + by_id->count * (STORED_BYTES_MAX + CONTENT_BYTES_MAX + 2 * MEM_OVERHEAD);
}
