/* SPDX-License-Identifier: MIT */
/*
 * Load: what a queue costs, on a real disk with real threads.
 *
 *     load fill DIRECTORY MESSAGES RECIPIENTS BODY_BYTES WINDOW
 *     load recover DIRECTORY
 *     load drain DIRECTORY          ends all but large ones and every hundredth, and compacts
 *
 * fill puts that many messages through intake, spool and queue; at most WINDOW commits are on
 * their way at once.  Each run tells its memory, the slowest turn of the loop and the commits'
 * latency.  No network: mail waits for routes that never come.
 */
#include "mta/base/mem.h"
#include "mta/queue/queue.h"
#include "mta/receive/intake.h"
#include "mta/spool/spool.h"
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DOMAINS           = 1000,
    TURN_MESSAGES_MAX = 200,
    LATENCIES_MAX     = 1 << 20,
    TURN_US           = 4000,
    TURN_NOTES        = 2000,
    KEPT_RCPTS        = 1000,
    QUIET_MS          = 3000,
};

struct load {
    struct loop *loop;
    struct spool *spool;
    struct queue *queue;
    struct intake *intake;
    struct event_log log;
    const char *mode;
    uint64_t messages, recipients, body_bytes, window;
    uint64_t begun, done, refused, turns, started_us, turn_max_us, spool_max_us, first_us;
    uint64_t drained, quiet_ms;
    size_t cursor;
    bool is_recovered, is_drained;
    uint64_t *begun_us; /* of each commit, by its number */
    uint64_t *latency_us;
    char *body;
};

static uint64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Of this thread: what others do on the machine meanwhile does not count. */
static uint64_t cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static long status_kb(const char *field)
{
    char line[256];
    long kb    = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            kb = strtol(line + strlen(field), NULL, 10);
    if (file != NULL)
        (void)fclose(file);
    return kb;
}

static void put_one(struct load *l, uint64_t wall_ms)
{
    char address[64];
    struct envelope envelope = {.sender = "list-bounces@lists.example.net", .envid = ""};
    struct intake_mail *mail = intake_open(l->intake, &envelope);
    for (uint64_t i = 0; i < l->recipients; i++) {
        uint64_t n = l->begun * l->recipients + i;
        (void)snprintf(address, sizeof address, "user%07llu@d%llu.example", (unsigned long long)n,
                       (unsigned long long)(n * 7919 % DOMAINS));
        intake_rcpt(mail, &(struct envelope_rcpt){.address = address, .orcpt = ""});
    }
    if (intake_begin(mail, NULL, wall_ms) != OK ||
        intake_write(mail, span_make(l->body, l->body_bytes)) != OK) {
        l->refused++;
        intake_abort(mail);
        return;
    }
    l->begun_us[l->begun % LATENCIES_MAX] = now_us();
    intake_commit(mail, &l->begun_us[l->begun % LATENCIES_MAX], wall_ms);
    l->begun++;
}

static void take_done(struct load *l, uint64_t now_ms, uint64_t wall_ms)
{
    struct intake_done done;
    while (intake_take_done(l->intake, &done, now_ms, wall_ms)) {
        l->latency_us[l->done % LATENCIES_MAX] = now_us() - *(uint64_t *)done.owner;
        l->done++;
        l->refused += done.status != OK;
    }
    buf_clear(&l->log.pending);
}

static void requeue(struct load *l, const struct spool_recovered *found, uint64_t now_ms)
{
    bool is_first     = found->first == 0;
    struct message *m = is_first ? message_new(found->entry.id, &found->entry.envelope)
                                 : queue_find(l->queue, found->entry.id);
    if (is_first) {
        m->content = found->content;
        message_set_flow(m, span_of(found->entry.flow));
        m->is_open = !found->is_last;
    } else {
        queue_grow(l->queue, m);
    }
    for (size_t i = 0; i < found->given; i++)
        (void)message_add_rcpt(m, &found->rcpts[i].envelope);
    uint64_t *due = mem_new_array(found->given, sizeof *due);
    if (is_first)
        queue_accept(l->queue, m, 1000000, due, now_ms);
    else
        queue_restore(l->queue, m, (uint32_t)found->first, due, now_ms);
    if (!is_first && found->is_last)
        queue_close_message(l->queue, m, now_ms);
    mem_free(due);
}

static void recover_some(struct load *l, uint64_t now_ms)
{
    struct spool_recovered found;
    uint64_t until = now_us() + TURN_US;
    while (!l->is_recovered && now_us() < until) {
        l->is_recovered = !spool_take_recovered(l->spool, &found);
        if (l->is_recovered)
            continue;
        if (l->done++ == 0)
            l->first_us = now_us() - l->started_us;
        requeue(l, &found, now_ms);
    }
}

static void checkpoint(struct load *l, uint64_t id, uint32_t first, uint32_t count)
{
    struct message *m        = queue_find(l->queue, id);
    struct spool_rcpt *rcpts = mem_new_array(count, sizeof *rcpts);
    uint32_t *indexes        = mem_new_array(count, sizeof *indexes);
    for (uint32_t i = 0; i < count; i++) {
        indexes[i] = first + i;
        rcpts[i]   = (struct spool_rcpt){
              .envelope = recipient_envelope(message_rcpt(m, first + i)),
              .last     = {.text = "", .mx = ""}
        };
    }
    spool_put_checkpoint(l->spool, id, indexes, rcpts, count);
    mem_free(rcpts);
    mem_free(indexes);
}

static void drain_some(struct load *l)
{
    static const struct attempt attempt = {.code = 250, .text = "250 ok", .mx = "mx.example"};
    struct message *m                   = NULL;
    for (uint32_t notes = 0; notes < TURN_NOTES; l->drained++) {
        m             = queue_each_message(l->queue, &l->cursor);
        l->is_drained = m == NULL;
        if (m == NULL)
            return;
        for (uint32_t i = 0;
             l->drained % 100 != 0 && i < m->rcpt_count && m->rcpt_count < KEPT_RCPTS; i++, notes++)
            spool_note(l->spool, m->id, i, RCPT_ENDED, 1, 0, &attempt);
    }
}

/* After compaction has found nothing to do for a while it is over. */
static uint64_t when_again(struct load *l, uint64_t next, uint64_t now_ms)
{
    bool is_fill  = strcmp(l->mode, "fill") == 0;
    bool is_drain = strcmp(l->mode, "drain") == 0;
    bool is_done  = is_fill ? l->done >= l->messages : l->is_recovered;
    if (is_drain && (!l->is_drained || next <= now_ms + 1 || !spool_is_idle(l->spool)))
        l->quiet_ms = now_ms + QUIET_MS;
    if (is_done && now_ms >= l->quiet_ms)
        loop_stop(l->loop);
    if (is_fill)
        return now_ms + (l->begun - l->done >= l->window);
    if (!l->is_recovered || (is_drain && !l->is_drained))
        return now_ms;
    return next < now_ms + 100 ? next : now_ms + 100;
}

static uint64_t turn(void *owner, uint64_t now_ms)
{
    struct load *l = owner;
    uint64_t begun = cpu_us(), wall_ms = loop_wall_ms(l->loop), id;
    struct buf alarm = {0};
    bool is_fill     = strcmp(l->mode, "fill") == 0;
    take_done(l, now_ms, wall_ms);
    for (unsigned i = 0; is_fill && l->begun < l->messages && l->begun - l->done < l->window &&
                         i < TURN_MESSAGES_MAX && spool_has_room(l->spool);
         i++)
        put_one(l, wall_ms);
    if (!is_fill)
        recover_some(l, now_ms);
    if (strcmp(l->mode, "drain") == 0 && l->is_recovered && !l->is_drained) {
        drain_some(l);
        begun = cpu_us(); /* the tool's own work */
    }
    uint64_t before = cpu_us();
    uint32_t first, count;
    while (spool_wants_checkpoint(l->spool, &id, &first, &count))
        checkpoint(l, id, first, count);
    uint64_t next   = spool_turn(l->spool, now_ms);
    uint64_t took   = cpu_us() - before;
    l->spool_max_us = took > l->spool_max_us ? took : l->spool_max_us;
    while (spool_take_alarm(l->spool, &alarm)) {
        printf("alarm: %s\n", buf_text(&alarm));
        buf_clear(&alarm);
    }
    buf_release(&alarm);
    took           = cpu_us() - begun;
    l->turn_max_us = took > l->turn_max_us ? took : l->turn_max_us;
    l->turns++;
    return when_again(l, next, now_ms);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void tell(struct load *l)
{
    struct spool_stats s;
    struct queue_stats q;
    double seconds = (double)(now_us() - l->started_us) / 1e6;
    size_t count   = l->done < LATENCIES_MAX ? l->done : LATENCIES_MAX;
    spool_stats(l->spool, &s);
    queue_stats(l->queue, &q);
    if (l->latency_us[0] != 0)
        qsort(l->latency_us, count, sizeof *l->latency_us, by_value);
    struct mallinfo2 heap = mallinfo2();
    printf("%s %llu messages, %zu recipients in %.2f s; first after %.3f s\n", l->mode,
           (unsigned long long)q.messages, q.recipients, seconds, (double)l->first_us / 1e6);
    printf("  rss %ld MB, at most %ld; allocated %zu MB; queue says %zu MB\n",
           status_kb("VmRSS:") / 1024, status_kb("VmHWM:") / 1024,
           (heap.uordblks + heap.hblkhd) >> 20, q.memory_bytes >> 20);
    printf("  turns %llu, slowest %.1f ms of CPU, the spool's part %.1f ms; refused %llu\n",
           (unsigned long long)l->turns, (double)l->turn_max_us / 1e3,
           (double)l->spool_max_us / 1e3, (unsigned long long)l->refused);
    printf("  commit p50 %.2f ms, p99 %.2f, p99.9 %.2f, worst %.2f\n",
           (double)l->latency_us[count / 2] / 1e3, (double)l->latency_us[count * 99 / 100] / 1e3,
           (double)l->latency_us[count * 999 / 1000] / 1e3,
           count == 0 ? 0 : (double)l->latency_us[count - 1] / 1e3);
    printf(
        "  disk: %llu segments, %llu MB written, %llu live of %llu MB, %llu syncs, %llu groups\n",
        (unsigned long long)s.segments, (unsigned long long)s.bytes_written >> 20,
        (unsigned long long)s.bytes_live >> 20, (unsigned long long)s.bytes_used >> 20,
        (unsigned long long)s.syncs, (unsigned long long)s.groups);
}

static void close_all(struct load *l)
{
    size_t at = 0;
    struct message *m;
    intake_free(l->intake);
    while ((m = queue_each_message(l->queue, &at)) != NULL)
        content_release(m->content);
    queue_free(l->queue);
    spool_close(l->spool);
    (void)malloc_trim(0);
    printf("  after all is freed: rss %ld MB\n", status_kb("VmRSS:") / 1024);
    loop_close(l->loop);
    event_log_release(&l->log);
    mem_free(l->body);
    mem_free(l->begun_us);
    mem_free(l->latency_us);
}

static int run(struct load *l, const char *directory)
{
    static struct site_rule rule                 = {.name = "default"};
    static const struct intake_settings settings = {
        .hostname = "mx.example", .expire_ms = 432000000, .memory_bytes_max = UINT64_MAX};
    struct queue_policy policy = {
        .rules      = &rule,
        .rule_count = 1,
        .retry      = {.intervals_ms = {300000}, .interval_count = 1, .expire_ms = 432000000},
        .jobs_max   = 1000,
        .shards     = 1,
    };
    struct spool_config config = {.directory = directory};
    struct buf error           = {0};
    event_log_init(&l->log, EVENT_PLAIN, LEVEL_INFO);
    l->body       = mem_new(l->body_bytes + 1);
    l->begun_us   = mem_new_array(LATENCIES_MAX, sizeof *l->begun_us);
    l->latency_us = mem_new_array(LATENCIES_MAX, sizeof *l->latency_us);
    for (uint64_t i = 0; i < l->body_bytes; i++)
        l->body[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : 'x';
    l->loop       = loop_open(turn, l);
    l->started_us = now_us();
    if (spool_open(&l->spool, l->loop, &config, &error) != OK) {
        (void)fprintf(stderr, "%s\n", buf_text(&error));
        return 1;
    }
    printf("opened after %.3f s, rss %ld MB\n", (double)(now_us() - l->started_us) / 1e6,
           status_kb("VmRSS:") / 1024);
    l->queue  = queue_new(&policy, 1);
    l->intake = intake_new(l->spool, l->queue, &l->log, &settings);
    loop_run(l->loop);
    tell(l);
    close_all(l);
    return 0;
}

static uint64_t number(int argc, char **argv, int at, uint64_t otherwise)
{
    return argc > at ? strtoull(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fputs("usage: load fill DIRECTORY MESSAGES RECIPIENTS BODY_BYTES WINDOW\n"
                    "       load recover|drain DIRECTORY\n",
                    stderr);
        return 2;
    }
    struct load l = {.mode       = argv[1],
                     .messages   = number(argc, argv, 3, 1),
                     .recipients = number(argc, argv, 4, 1),
                     .body_bytes = number(argc, argv, 5, 4096),
                     .window     = number(argc, argv, 6, 500)};
    return run(&l, argv[2]);
}
