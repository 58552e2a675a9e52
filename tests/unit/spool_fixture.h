/* SPDX-License-Identifier: MIT */
/*
 * A spool on the disk in memory, with threads that run when the test says so, and the few moves
 * tests make: a message of repeatable content in, its outcomes, a crash, what is found after it.
 */
#pragma once
#include "mta/spool/spool.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_disk.h"
#include "tests/unit/fake_worker.h"

/* --- a spool --- */

static inline struct spool_config small_config(void)
{
    return (struct spool_config){.directory         = "/spool",
                                 .segment_bytes     = 64 << 10,
                                 .outcome_delay_ms  = 100,
                                 .outcome_count_max = 1000};
}

static inline struct spool *open_spool(const struct spool_config *config)
{
    struct spool *s  = NULL;
    struct buf error = {0};
    if (spool_open(&s, NULL, config, &error) != OK)
        s = NULL;
    buf_release(&error);
    return s;
}

/* Turns until nothing moves any more. */
static inline uint64_t settle(struct spool *s, uint64_t now_ms)
{
    struct rng rng;
    rng_seed(&rng, now_ms);
    uint64_t next = spool_turn(s, now_ms);
    for (int i = 0; i < 200 && (next <= now_ms + 200 || fake_step(&rng)); i++) {
        while (fake_step(&rng))
            continue;
        now_ms = next != UINT64_MAX && next > now_ms ? next : now_ms + 1;
        next   = spool_turn(s, now_ms);
    }
    return now_ms;
}

/* Each message has its own piece of this pattern. */
enum { PATTERN_BYTES = 65536 };
static char pattern[2 * PATTERN_BYTES];

static inline struct span content_at(uint64_t id, uint64_t at, size_t bytes)
{
    struct rng rng;
    if (pattern[0] == '\0') {
        rng_seed(&rng, 4711);
        for (size_t i = 0; i < PATTERN_BYTES; i++)
            pattern[i] = pattern[PATTERN_BYTES + i] = (char)('a' + rng_below(&rng, 26));
    }
    assert_true(bytes <= PATTERN_BYTES);
    return span_make(&pattern[(id * 977 + at) % PATTERN_BYTES], bytes);
}

static inline void write_content(struct draft *d, uint64_t id, uint64_t bytes, size_t piece)
{
    for (uint64_t at = 0; at < bytes; at += piece) {
        uint64_t left = bytes - at;
        if (draft_write(d, content_at(id, at, left < piece ? (size_t)left : piece)) != OK)
            return;
    }
}

static inline bool content_is(const struct content *content, uint64_t id, uint64_t bytes)
{
    char text[5000];
    size_t got;
    uint64_t at = 0;
    if (content_bytes(content) != bytes)
        return false;
    while (content_read(content, at, text, sizeof text, &got) == OK) {
        if (memcmp(text, content_at(id, at, got).at, got) != 0)
            return false;
        at += got;
    }
    return at == bytes && content_read(content, at, text, sizeof text, &got) == END;
}

static inline const char *rcpt_address(uint64_t id, size_t rcpt, char into[64])
{
    (void)snprintf(into, 64, "rcpt%zu.%llu@example.org", rcpt, (unsigned long long)id);
    return into;
}

static inline struct spool_entry entry_of(uint64_t id)
{
    return (struct spool_entry){
        .id              = id,
        .arrival_wall_ms = id * 10,
        .expire_wall_ms  = id * 10 + 5000,
        .envelope        = {.sender = "list-bounces@example.net", .envid = "e"},
        .flow            = "list.example.net",
        .message_id      = "x@example.net"
    };
}

static inline void commit_entry(struct draft *d, const struct spool_entry *entry, size_t rcpts,
                                const struct spool_end *ends, size_t end_count)
{
    struct envelope_rcpt *to = mem_new_array(rcpts, sizeof *to);
    char(*texts)[64]         = mem_new_array(rcpts, sizeof *texts);
    for (size_t i = 0; i < rcpts; i++)
        to[i] = (struct envelope_rcpt){
            .address = rcpt_address(entry->id, i, texts[i]), .orcpt = "", .notify = NOTIFY_FAILURE};
    draft_commit(d, entry, to, rcpts, ends, end_count);
    mem_free(to);
    mem_free(texts);
}

static inline void commit_open(struct draft *d, uint64_t id, size_t rcpts,
                               const struct spool_end *ends, size_t end_count, bool is_open)
{
    struct spool_entry entry = entry_of(id);
    entry.is_open            = is_open;
    commit_entry(d, &entry, rcpts, ends, end_count);
}

static inline void commit(struct draft *d, uint64_t id, size_t rcpts, const struct spool_end *ends,
                          size_t end_count)
{
    commit_open(d, id, rcpts, ends, end_count, false);
}

/* The next answer, however many segments that takes. */
static inline struct draft *settled(struct spool *s, enum status *status, struct content **content,
                                    uint64_t *now_ms)
{
    enum { ROUNDS_MAX = 100 };
    struct draft *d = NULL;
    for (int i = 0; i < ROUNDS_MAX && d == NULL; i++) {
        *now_ms = settle(s, *now_ms + 100);
        d       = spool_take_committed(s, status, content);
    }
    return d;
}

/* Recipients 'first' and so on join 'id', and are durable. */
static inline enum status join_message(struct spool *s, uint64_t id, size_t first, size_t rcpts,
                                       uint64_t *now_ms)
{
    enum status status = IO_ERROR;
    struct content *content;
    struct envelope_rcpt *to = mem_new_array(rcpts, sizeof *to);
    char(*texts)[64]         = mem_new_array(rcpts, sizeof *texts);
    struct draft *d          = draft_open(s);
    for (size_t i = 0; i < rcpts; i++)
        to[i] = (struct envelope_rcpt){
            .address = rcpt_address(id, first + i, texts[i]), .orcpt = "", .notify = 0};
    draft_join(d, id, to, rcpts);
    mem_free(to);
    mem_free(texts);
    assert_ptr_equal(settled(s, &status, &content, now_ms), d);
    assert_null(content);
    draft_abort(d);
    return status;
}

/* A message goes in and is durable; its content reference is dropped. */
static inline enum status put_open_message(struct spool *s, uint64_t id, uint64_t bytes,
                                           size_t rcpts, bool is_open, uint64_t *now_ms)
{
    enum status status = IO_ERROR;
    struct content *content;
    struct draft *d = draft_open(s);
    if (d == NULL)
        return REFUSED;
    write_content(d, id, bytes, 1500);
    commit_open(d, id, rcpts, NULL, 0, is_open);
    *now_ms = settle(s, *now_ms);
    assert_ptr_equal(spool_take_committed(s, &status, &content), d);
    if (status == OK)
        content_release(content);
    draft_abort(d);
    return status;
}

static inline enum status put_message(struct spool *s, uint64_t id, uint64_t bytes, size_t rcpts,
                                      uint64_t *now_ms)
{
    return put_open_message(s, id, bytes, rcpts, false, now_ms);
}

static const struct attempt a_deferral = {
    .code     = 451,
    .enhanced = {4, 7, 1},
    .outcome  = OUTCOME_DEFERRED,
    .wall_ms  = 77,
    .text     = "451 4.7.1 greylisted",
    .mx       = "mx.example.org"
};

static inline void end_rcpt(struct spool *s, uint64_t id, uint32_t rcpt)
{
    spool_note(s, id, rcpt, RCPT_ENDED, 1, 0, &a_deferral);
}
