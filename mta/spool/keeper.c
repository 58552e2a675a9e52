/* SPDX-License-Identifier: MIT */
/*
 * Keeper: files are made before they are needed and go when they are dead, so that the engine never
 * waits for either.  A dead one becomes the next spare, under a new number, as long as those are
 * few: its blocks are taken and written already (docs/decisions/009).  The reserve, made in good
 * times, is for facts when the disk is full: a spool that cannot write "delivered" would deliver
 * without end.
 */
#include "mta/spool/inside.h"

enum { PERCENT = 100, MEBIBYTE_BITS = 20 };

/* --- making segments --- */

static void become_short(struct spool *s, enum status status, const char *why)
{
    if (s->keeper.short_of == OK)
        spool_alarm(s, "cannot make a segment in %s: %s; no new mail until it can", s->directory,
                    why);
    s->keeper.short_of   = status == NO_SPACE ? NO_SPACE : IO_ERROR;
    s->log.keeps_reserve = true;
    drafts_refuse_waiting(s, s->keeper.short_of);
}

static void become_rich(struct spool *s)
{
    if (s->keeper.short_of != OK)
        spool_alarm(s, "there is room for segments in %s again", s->directory);
    s->keeper.short_of   = OK;
    s->log.keeps_reserve = false;
}

static void add_segment(struct spool *s, const struct chore *chore, bool is_reserve)
{
    struct segment *segment = segment_new(chore->id, chore->file);
    segment->is_reserve     = is_reserve;
    segment_insert(&s->log.segments, segment);
}

/* The facts have no way to the disk: that is as good as a failed sync. */
static void give_up_head(struct spool *s)
{
    if (log_owes_head(&s->log) && s->log.open == NULL && !s->keeper.has_reserve) {
        s->log.failures = LOG_FAILURES_MAX;
        spool_alarm(s, "no segment can be made in %s after a failed write; restart needed",
                    s->directory);
    }
}

static void on_spare(struct spool *s, struct chore *chore)
{
    if (chore->status == OK) {
        add_segment(s, chore, false);
        s->counted.made++;
        become_rich(s);
        return;
    }
    if (chore->status == EXISTS)
        return; /* left over from a create that failed: the next number is free */
    if (log_spare(&s->log) != NULL) { /* a second one would have been good */
        s->keeper.second_retry_ms = s->now_ms + KEEPER_RETRY_MS;
        return;
    }
    s->keeper.spare_retry_ms = s->now_ms + KEEPER_RETRY_MS;
    become_short(s, chore->status, chore->why);
    give_up_head(s);
}

/* The old records in it say another number, so they do not count. */
static void on_recycle(struct spool *s, struct chore *chore)
{
    struct segment *old = chore->segment;
    chore->segment      = NULL;
    if (chore->status == OK) {
        segment_insert(&s->log.segments, segment_again(old, chore->id));
        s->counted.recycled++;
        become_rich(s);
        return;
    }
    old->is_spent = true;
    segment_enter(old, SEGMENT_SEALED);
    s->keeper.unlink_retry_ms = s->now_ms + KEEPER_RETRY_MS;
    spool_alarm(s, "cannot use segment %016llx in %s again: %s", (unsigned long long)old->id,
                s->directory, chore->why);
}

static void on_reserve(struct spool *s, struct chore *chore)
{
    s->keeper.has_reserve      = chore->status == OK || chore->status == EXISTS;
    s->keeper.reserve_retry_ms = s->now_ms + KEEPER_RETRY_MS;
}

static void on_use_reserve(struct spool *s, struct chore *chore)
{
    s->keeper.has_reserve = false;
    if (chore->status == OK) {
        add_segment(s, chore, true);
        return;
    }
    spool_alarm(s, "cannot use the reserve in %s: %s", s->directory, chore->why);
    give_up_head(s);
}

/* --- unlinking --- */

static void on_unlink(struct spool *s, struct chore *chore)
{
    struct segment *segment = chore->segment;
    chore->segment          = NULL;
    if (chore->status != OK) {
        segment->is_spent = true;
        segment_enter(segment, SEGMENT_SEALED);
        s->keeper.unlink_retry_ms = s->now_ms + KEEPER_RETRY_MS;
        spool_alarm(s, "cannot remove segment %016llx in %s: %s", (unsigned long long)segment->id,
                    s->directory, chore->why);
        return;
    }
    segment_enter(segment, SEGMENT_GONE);
    list_move(&s->gone, &segment->link);
    if (s->keeper.short_of != OK)
        s->keeper.spare_retry_ms = s->now_ms;
}

static struct segment *find_dead(const struct spool *s)
{
    if (s->now_ms < s->keeper.unlink_retry_ms)
        return NULL;
    for (struct segment *g = segment_first(&s->log.segments); g != NULL;
         g                 = segment_next(&s->log.segments, g))
        if (g != s->compact.victim && segment_is_dead(&s->log.segments, g))
            return g;
    return NULL;
}

static struct segment *find_closable(const struct spool *s)
{
    for (struct segment *g = segment_first(&s->gone); g != NULL; g = segment_next(&s->gone, g))
        if (g->refs == 0)
            return g;
    return NULL;
}

/* --- space --- */

static uint64_t needed_bytes(const struct spool *s)
{
    uint64_t percent = s->keeper.total_bytes / PERCENT * s->config.min_free_percent;
    return percent > s->config.min_free_bytes ? percent : s->config.min_free_bytes;
}

static void on_space(struct spool *s, struct chore *chore)
{
    struct keeper *k = &s->keeper;
    if (chore->status != OK)
        return; /* what was true a second ago */
    k->is_measured  = true;
    k->free_bytes   = chore->free_bytes;
    k->total_bytes  = chore->total_bytes;
    k->bytes_needed = needed_bytes(s);
    bool is_low     = k->free_bytes < k->bytes_needed;
    if (is_low && !k->is_low)
        spool_alarm(s, "only %llu MiB are free in %s; no new mail below %llu MiB",
                    (unsigned long long)k->free_bytes >> MEBIBYTE_BITS, s->directory,
                    (unsigned long long)k->bytes_needed >> MEBIBYTE_BITS);
    if (!is_low && k->is_low)
        spool_alarm(s, "%llu MiB are free in %s; mail is taken again",
                    (unsigned long long)k->free_bytes >> MEBIBYTE_BITS, s->directory);
    k->is_low = is_low;
}

enum status keeper_verdict(const struct spool *s)
{
    const struct segment *spare = log_spare(&s->log);
    return spare != NULL && !(spare->is_reserve && s->log.keeps_reserve) ? OK : s->keeper.short_of;
}

bool keeper_has_room(const struct spool *s)
{
    return s->keeper.short_of == OK && !s->keeper.is_low && !log_is_broken(&s->log) &&
           !log_owes_head(&s->log);
}

static bool wants_space(const struct spool *s)
{
    const struct keeper *k = &s->keeper;
    return (k->wants_space || k->is_low) && s->now_ms >= k->space_due_ms;
}

/* --- what is next --- */

static void on_read(struct spool *s, struct chore *chore)
{
    (void)chore;
    compact_on_read(s);
}

static void on_nothing(struct spool *s, struct chore *chore)
{
    (void)s;
    (void)chore;
}

void keeper_take_done(struct spool *s)
{
    static void (*const done[CHORE_COUNT])(struct spool * s, struct chore * chore) = {
        [CHORE_IDLE]        = on_nothing,
        [CHORE_SPARE]       = on_spare,
        [CHORE_RECYCLE]     = on_recycle,
        [CHORE_RESERVE]     = on_reserve,
        [CHORE_USE_RESERVE] = on_use_reserve,
        [CHORE_UNLINK]      = on_unlink,
        [CHORE_SPACE]       = on_space,
        [CHORE_READ]        = on_read,
        [CHORE_CLOSE]       = on_nothing,
    };
    struct chore *chore = &s->chore;
    if (s->helper != NULL && worker_take(s->helper) != NULL)
        chore->is_done = true;
    if (chore->kind == CHORE_IDLE || !chore->is_done)
        return;
    enum chore_kind kind = chore->kind;
    chore->kind          = CHORE_IDLE;
    done[kind](s, chore);
}

/* While the disk is short of room one is enough: the next dead one makes room for the reserve. */
static size_t spares_wanted(const struct spool *s)
{
    const struct keeper *k = &s->keeper;
    return k->short_of == OK && !k->is_low && k->has_reserve ? SEGMENT_SPARES_MAX : 1;
}

static bool is_half_full(const struct segment *segment)
{
    return segment != NULL && segment->used > segment->bytes / 2;
}

/* The second one is made in time, and not before. */
static bool wants_spare(const struct spool *s)
{
    size_t count = log_count_spares(&s->log);
    if (log_is_broken(&s->log))
        return false;
    if (count == 0)
        return s->now_ms >= s->keeper.spare_retry_ms;
    return count < spares_wanted(s) && is_half_full(s->log.open) &&
           s->now_ms >= s->keeper.second_retry_ms;
}

static bool may_recycle(const struct spool *s, const struct segment *dead)
{
    return log_count_spares(&s->log) < spares_wanted(s) && !log_is_broken(&s->log) &&
           segment_may_recycle(dead, s->config.segment_bytes);
}

/* More than are kept: a failed group has given some back. */
static struct segment *find_surplus(const struct spool *s)
{
    struct segment *last = segment_at(list_last(&s->log.segments));
    bool is_one          = last != NULL && last->state == SEGMENT_SPARE && !last->is_reserve &&
                  last->busy == 0 && s->now_ms >= s->keeper.unlink_retry_ms;
    return is_one && log_count_spares(&s->log) > SEGMENT_SPARES_MAX ? last : NULL;
}

static bool wants_reserve_opened(const struct spool *s)
{
    return s->keeper.wants_facts_room && s->keeper.short_of != OK && s->keeper.has_reserve &&
           log_spare(&s->log) == NULL && !log_is_broken(&s->log);
}

static bool wants_reserve_made(const struct spool *s)
{
    return !s->keeper.has_reserve && s->keeper.short_of == OK && log_spare(&s->log) != NULL &&
           !log_is_broken(&s->log) && s->now_ms >= s->keeper.reserve_retry_ms;
}

static uint64_t reserve_bytes(const struct spool *s)
{
    return s->config.segment_bytes < SEGMENT_RESERVE_BYTES ? s->config.segment_bytes
                                                           : SEGMENT_RESERVE_BYTES;
}

/* Its file is the next spare, or goes. */
static enum chore_kind choose_end(struct spool *s, struct segment *dead)
{
    struct chore *chore = &s->chore;
    bool is_again       = may_recycle(s, dead);
    chore->segment      = dead;
    if (is_again)
        chore->id = s->keeper.next_id++;
    segment_enter(dead, SEGMENT_DOOMED);
    return is_again ? CHORE_RECYCLE : CHORE_UNLINK;
}

/* What is most needed comes first. */
static enum chore_kind choose(struct spool *s)
{
    struct chore *chore  = &s->chore;
    struct segment *dead = find_dead(s);
    if (wants_reserve_opened(s)) {
        chore->id = s->keeper.next_id++;
        return CHORE_USE_RESERVE;
    }
    if (dead != NULL && may_recycle(s, dead))
        return choose_end(s, dead);
    if (wants_spare(s)) {
        chore->id    = s->keeper.next_id++;
        chore->bytes = s->config.segment_bytes;
        return CHORE_SPARE;
    }
    if (dead != NULL || (dead = find_surplus(s)) != NULL)
        return choose_end(s, dead);
    if ((chore->segment = find_closable(s)) != NULL) {
        list_remove(&chore->segment->link);
        return CHORE_CLOSE;
    }
    if (wants_space(s)) {
        s->keeper.wants_space  = false;
        s->keeper.space_due_ms = s->now_ms + KEEPER_RETRY_MS;
        return CHORE_SPACE;
    }
    if (compact_take_read(s, chore))
        return CHORE_READ;
    if (wants_reserve_made(s)) {
        chore->bytes = reserve_bytes(s);
        return CHORE_RESERVE;
    }
    return CHORE_IDLE;
}

static void keep_earlier(const struct spool *s, uint64_t *next, bool counts, uint64_t due_ms)
{
    if (counts && due_ms > s->now_ms && due_ms < *next)
        *next = due_ms;
}

/* The next retry; what is due already has had its turn in choose(). */
static uint64_t next_look(const struct spool *s)
{
    const struct keeper *k = &s->keeper;
    uint64_t next          = UINT64_MAX;
    keep_earlier(s, &next, k->short_of != OK, k->spare_retry_ms);
    keep_earlier(s, &next, !k->has_reserve, k->reserve_retry_ms);
    keep_earlier(s, &next, k->is_low, k->space_due_ms);
    keep_earlier(s, &next, true, k->unlink_retry_ms);
    return next;
}

uint64_t keeper_turn(struct spool *s)
{
    content_turn(&s->contents);
    if (s->chore.kind != CHORE_IDLE)
        return UINT64_MAX; /* its end wakes us */
    enum chore_kind kind = choose(s);
    if (kind == CHORE_IDLE)
        return next_look(s);
    chore_give(&s->chore, s->helper, kind);
    return UINT64_MAX;
}

/* --- start and end --- */

enum status keeper_open(struct spool *s, struct buf *error)
{
    struct chore *chore = &s->chore;
    chore_give(chore, NULL, CHORE_SPACE);
    keeper_take_done(s);
    if (log_spare(&s->log) != NULL)
        return OK;
    chore->id    = s->keeper.next_id++;
    chore->bytes = s->config.segment_bytes;
    chore_give(chore, NULL, CHORE_SPARE);
    enum status status = chore->status;
    if (status != OK && status != NO_SPACE) {
        buf_printf(error, "cannot make a segment in %s: %s (the disk must be writable and sound)",
                   s->directory, chore->why);
        chore->kind = CHORE_IDLE;
        return status;
    }
    keeper_take_done(s);
    return OK;
}

void keeper_close(struct spool *s)
{
    struct segment *segment;
    keeper_take_done(s);
    content_turn(&s->contents);
    while ((segment = segment_first(&s->gone)) != NULL)
        segment_free(segment);
    chore_release(&s->chore);
}
