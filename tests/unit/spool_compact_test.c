/* SPDX-License-Identifier: MIT */
#include "mta/spool/scan.h"
#include "mta/spool/segment.h"
#include "tests/unit/spool_model.h"

static uint64_t now;

static size_t files(void)
{
    return fake.cache.count;
}

/* Answers every question with all recipients waiting. */
static void answer(struct spool *s, size_t rcpts, uint64_t *asked)
{
    uint64_t id;
    char texts[4][64];
    uint32_t indexes[4];
    struct spool_rcpt row[4];
    uint32_t first, count;
    while (spool_wants_checkpoint(s, &id, &first, &count)) {
        assert_int_equal(first, 0);
        for (uint32_t i = 0; i < rcpts; i++) {
            indexes[i] = i;
            row[i]     = (struct spool_rcpt){
                    .envelope = {.address = rcpt_address(id, i, texts[i]), .orcpt = ""},
                    .attempts = 9,
                    .last     = a_deferral
            };
        }
        ++*asked;
        spool_put_checkpoint(s, id, indexes, row, rcpts);
    }
}

static uint64_t live_on(struct spool *s, size_t rcpts, int turns)
{
    struct rng rng;
    uint64_t asked = 0;
    rng_seed(&rng, 3);
    for (int i = 0; i < turns; i++) {
        answer(s, rcpts, &asked);
        now += 20;
        (void)spool_turn(s, now);
        while (fake_step(&rng))
            continue;
    }
    return asked;
}

static struct spool *fresh_spool(void)
{
    struct spool_config config = small_config();
    fake_reset();
    now             = 1000;
    struct spool *s = open_spool(&config);
    assert_non_null(s);
    return s;
}

static void when_all_is_quiet_nothing_is_left(void **state)
{
    (void)state;
    struct spool_stats stats;
    struct spool *s = fresh_spool();
    for (uint64_t id = 1; id <= 60; id++)
        assert_int_equal(put_message(s, id, 10000, 2, &now), OK);
    assert_true(files() > 10);
    for (uint64_t id = 1; id <= 60; id++) {
        end_rcpt(s, id, 0);
        end_rcpt(s, id, 1);
    }
    assert_int_equal(live_on(s, 0, 60), 0);
    spool_stats(s, &stats);
    assert_int_equal(stats.bytes_live, 0);
    assert_int_equal(files(), 4); /* the open one, two spares, the reserve */
    spool_close(s);
}

/* Ten old messages among hundreds that come and go. */
static struct spool *busy_life(struct content *held[10])
{
    struct spool *s = fresh_spool();
    for (uint64_t id = 1; id <= 300; id++) {
        struct content *content = NULL;
        enum status status;
        struct draft *d = draft_open(s);
        write_content(d, id, 6000, 1000);
        commit(d, id, 2, NULL, 0);
        now = settle(s, now);
        assert_ptr_equal(spool_take_committed(s, &status, &content), d);
        assert_int_equal(status, OK);
        draft_abort(d);
        if (id % 30 == 1) {
            held[id / 30] = content;
            continue;
        }
        content_release(content);
        end_rcpt(s, id, 0);
        end_rcpt(s, id, 1);
        (void)live_on(s, 2, 3);
    }
    return s;
}

static void old_messages_move_and_their_space_returns(void **state)
{
    (void)state;
    struct content *held[10];
    struct spool_stats stats;
    struct spool *s = busy_life(held);
    (void)live_on(s, 2, 400);
    spool_stats(s, &stats);
    assert_true(stats.bytes_live >= 10 * 6000);
    assert_true(files() <= 8); /* 2 for what is live, 2 for what may be dead, 4 as ever */
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(content_is(held[i], i * 30 + 1, 6000));
        content_release(held[i]);
    }
    spool_close(s);
}

static void a_moved_message_is_recovered_as_its_checkpoint_says(void **state)
{
    (void)state;
    struct content *held[10];
    struct spool_config config = small_config();
    struct spool_recovered found;
    struct spool *s = busy_life(held);
    size_t moved    = 0;
    (void)live_on(s, 2, 400);
    for (size_t i = 0; i < 10; i++)
        content_release(held[i]);
    end_rcpt(s, 1, 0);
    (void)live_on(s, 2, 30);
    fake_power_off_at(1);
    spool_close(s);
    fake_power_on(FAKE_DROP, 1);
    s = open_spool(&config);
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(spool_take_recovered(s, &found));
        assert_int_equal(found.entry.id, i * 30 + 1);
        assert_true(content_is(found.content, found.entry.id, 6000));
        assert_int_equal(found.rcpts[0].state, i == 0 ? RCPT_ENDED : RCPT_WAITING);
        moved += found.rcpts[1].attempts == 9;
        content_release(found.content);
    }
    assert_true(moved >= 7);
    spool_close(s);
}

static void a_reader_of_the_old_place_is_not_disturbed(void **state)
{
    (void)state;
    struct content *held[10];
    char text[1000];
    size_t got;
    struct spool *s = fresh_spool();
    spool_close(s);
    s = busy_life(held);
    for (uint64_t at = 0; at < 6000; at += got) {
        assert_int_equal(content_read(held[0], at, text, sizeof text, &got), OK);
        assert_memory_equal(text, content_at(1, at, got).at, got);
        (void)live_on(s, 2, 100); /* it moves meanwhile */
    }
    for (size_t i = 0; i < 10; i++)
        content_release(held[i]);
    spool_close(s);
}

static void a_slow_draft_does_not_hold_old_segments(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    struct draft *d = draft_open(s);
    struct content *content;
    enum status status;
    write_content(d, 1000, 40000, 1000);
    for (uint64_t id = 1; id <= 200; id++) {
        assert_int_equal(put_message(s, id, 6000, 1, &now), OK);
        end_rcpt(s, id, 0);
        (void)live_on(s, 1, 3);
    }
    (void)live_on(s, 1, 200);
    assert_true(files() <= 8);
    assert_int_equal(draft_write(d, content_at(1000, 40000, 20000)), OK);
    commit(d, 1000, 1, NULL, 0);
    (void)live_on(s, 1, 10);
    assert_ptr_equal(spool_take_committed(s, &status, &content), d);
    assert_int_equal(status, OK);
    assert_true(content_is(content, 1000, 60000));
    content_release(content);
    draft_abort(d);
    spool_close(s);
}

static struct fake_inode *oldest_segment(void)
{
    struct fake_name *first = NULL;
    for (size_t i = 0; i < fake.cache.count; i++)
        if (strcmp(fake.cache.names[i].text, "reserve") != 0 &&
            (first == NULL || strcmp(fake.cache.names[i].text, first->text) < 0))
            first = &fake.cache.names[i];
    return &fake.inodes[first->inode];
}

/* Message 1 is spoiled at 'at'; what comes and goes behind it makes the log move on. */
static bool live_on_spoiled(struct spool *s, size_t at, const char *told)
{
    struct buf sentence = {0};
    bool is_told        = false;
    oldest_segment()->cache[at] ^= 1;
    for (uint64_t id = 2; id <= 200; id++) {
        assert_int_equal(put_message(s, id, 6000, 1, &now), OK);
        end_rcpt(s, id, 0);
        spool_note(s, 1, 0, RCPT_WAITING, (uint16_t)id, 0, &a_deferral); /* in each segment */
        (void)live_on(s, 1, 3);
    }
    (void)live_on(s, 1, 300);
    for (; spool_take_alarm(s, &sentence); buf_clear(&sentence))
        is_told = is_told || strstr(buf_text(&sentence), told) != NULL;
    buf_release(&sentence);
    assert_true(files() <= 8); /* one bad sector holds nothing up */
    return is_told;
}

static void content_that_cannot_be_read_moves_as_a_hole(void **state)
{
    (void)state;
    struct spool_config config = small_config();
    struct spool_recovered found;
    char text[1000];
    size_t got;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 30000, 1, &now), OK);
    assert_true(live_on_spoiled(s, 18000, "content of message"));
    spool_close(s);
    s = open_spool(&config);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 1);
    assert_int_equal(content_read(found.content, 0, text, sizeof text, &got), OK);
    assert_int_equal(content_read(found.content, 20000, text, sizeof text, &got), CORRUPT);
    content_release(found.content);
    spool_close(s);
}

static void a_spoiled_commit_does_not_hold_its_segment(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 1, &now), OK);
    assert_true(live_on_spoiled(s, 320, "will be lost at a restart"));
    end_rcpt(s, 1, 0);
    (void)live_on(s, 1, 100);
    spool_close(s);
}

static void a_checkpoint_that_forgets_somebody_is_not_taken(void **state)
{
    (void)state;
    struct spool_config config = small_config();
    struct spool_recovered found;
    uint64_t id;
    uint32_t first, count;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 6000, 2, &now), OK);
    for (uint64_t next = 2; next <= 100; next++) {
        assert_int_equal(put_message(s, next, 6000, 1, &now), OK);
        end_rcpt(s, next, 0);
        now = settle(s, now + 20);
        if (spool_wants_checkpoint(s, &id, &first, &count))
            spool_put_checkpoint(s, id, NULL, NULL, 0);
    }
    now = settle(s, now + 200);
    fake_power_off_at(1);
    spool_close(s);
    fake_power_on(FAKE_DROP, 1);
    s = open_spool(&config);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 1);
    assert_int_equal(found.rcpts[1].state, RCPT_WAITING);
    content_release(found.content);
    spool_close(s);
}

/* --- what is finished --- */

enum { STUCK = 1, MOVED = 2 };

/* Messages come and go until MOVED was asked for its state; STUCK never gives a good one, and so
 * holds its segment for ever. */
static void churn_until_moved(struct spool *s, uint64_t *id)
{
    bool has_moved = false;
    for (int i = 0; !has_moved; i++) {
        uint64_t asked;
        uint32_t first, count, index = 0;
        char text[64];
        assert_true(i < 400);
        assert_int_equal(put_message(s, ++*id, 6000, 1, &now), OK);
        end_rcpt(s, *id, 0);
        while (spool_wants_checkpoint(s, &asked, &first, &count)) {
            struct spool_rcpt row = {
                .envelope = {.address = rcpt_address(MOVED, 0, text), .orcpt = ""},
                .last     = a_deferral
            };
            has_moved = has_moved || asked == MOVED;
            spool_put_checkpoint(s, asked, &index, &row, asked == MOVED);
        }
        now = settle(s, now + 20);
    }
}

/* Two or three of them, with what came to nothing.  If they tell of STUCK they cannot go either. */
static void fill_segments(struct spool *s, bool tells_of_stuck)
{
    for (int i = 0; i < 10; i++) {
        struct draft *d = draft_open(s);
        write_content(d, 100, 20000, 1000);
        draft_abort(d);
        if (tells_of_stuck)
            spool_note(s, STUCK, 0, RCPT_WAITING, 1, 0, &a_deferral);
        now = settle(s, now + 200);
    }
}

static void a_finished_message_stays_so_though_an_old_copy_of_it_cannot_go_yet(void **state)
{
    (void)state;
    struct spool_config config = small_config();
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    uint64_t id     = 100;
    assert_int_equal(put_message(s, MOVED, 6000, 1, &now), OK);
    fill_segments(s, false);
    assert_int_equal(put_message(s, STUCK, 6000, 2, &now), OK);
    fill_segments(s, true);
    churn_until_moved(s, &id);
    /* What is told of STUCK here holds the segment with the first copy of MOVED. */
    spool_note(s, STUCK, 0, RCPT_WAITING, 1, 0, &a_deferral);
    now = settle(s, now + 200);
    churn_until_moved(s, &id);
    churn_until_moved(s, &id);
    end_rcpt(s, MOVED, 0);
    (void)live_on(s, 2, 10);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(put_message(s, ++id, 6000, 1, &now), OK);
        end_rcpt(s, id, 0);
        (void)live_on(s, 0, 3);
    }
    fake_power_off_at(1);
    spool_close(s);
    fake_power_on(FAKE_DROP, 1);
    s = open_spool(&config);
    while (spool_take_recovered(s, &found)) {
        assert_int_not_equal(found.entry.id, MOVED);
        content_release(found.content);
    }
    spool_close(s);
}

/* --- corruption --- */

/* How many records of the file touch the bytes. */
static uint64_t records_at(const char *name, uint64_t from, uint64_t to)
{
    struct scan scan;
    struct scanned found;
    struct disk_file *file;
    uint64_t id, count = 0;
    assert_true(segment_id_of(name, &id));
    assert_int_equal(disk_open_file(NULL, name, &file), OK);
    scan_init(&scan, file, id);
    while (scan_next(&scan, &found))
        count += found.offset < to && found.offset + found.bytes > from;
    scan_release(&scan);
    disk_close_file(file);
    return count;
}

static uint64_t spoil(struct model *m)
{
    size_t which = (size_t)rng_below(&m->rng, fake.cache.count);
    char name[DISK_NAME_BYTES];
    memcpy(name, fake.cache.names[which].text, sizeof name);
    struct fake_inode *inode = &fake.inodes[fake.cache.names[which].inode];
    uint64_t id, sector = rng_below(&m->rng, inode->sectors), at = sector * FAKE_SECTOR_BYTES;
    if (!segment_id_of(name, &id))
        return 0;
    uint64_t touched = records_at(name, at, at + FAKE_SECTOR_BYTES);
    switch (rng_below(&m->rng, 3)) {
    case 0:
        inode->cache[at + rng_below(&m->rng, FAKE_SECTOR_BYTES)] ^= 1;
        break;
    case 1:
        memset(inode->cache + at, 0, FAKE_SECTOR_BYTES);
        break;
    default:
        for (size_t i = 0; i < FAKE_SECTOR_BYTES; i++)
            inode->cache[at + i] = (char)rng_next(&m->rng);
    }
    memcpy(inode->disk + at, inode->cache + at, FAKE_SECTOR_BYTES);
    return touched;
}

static void a_spoiled_sector_costs_only_what_it_touches_and_is_told(void **state)
{
    (void)state;
    uint64_t lost = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct spool_recovery report;
        struct model *m = model_new(seed);
        model_run(m, 1500);
        model_close(m);
        fake_power_on(FAKE_KEEP_ALL, 1);
        uint64_t touched  = spoil(m);
        m->expects_damage = true;
        m->spool          = open_spool(&m->config);
        assert_non_null(m->spool);
        spool_recovery(m->spool, &report);
        take_recovered(m);
        assert_true(m->lost <= touched);
        if (m->lost > 0)
            assert_true(report.corrupt_records + report.torn_bytes > 0);
        lost += m->lost;
        model_free(m);
    }
    assert_true(lost > 5); /* else it was no test */
}

enum { BIG_RCPTS = 60000 };

/* What the queue knows of a large message while it moves. */
struct big {
    uint8_t attempts[BIG_RCPTS];
    bool has_ended[BIG_RCPTS];
    uint32_t asked, turns_asked;
};

static void answer_big(struct spool *s, struct big *big)
{
    uint64_t id;
    uint32_t first, count, before = big->asked;
    char texts[256][64];
    uint32_t indexes[256];
    struct spool_rcpt rows[256];
    while (spool_wants_checkpoint(s, &id, &first, &count)) {
        size_t live = 0;
        assert_true(id == 1 && count <= 256);
        for (uint32_t i = first; i < first + count; i++) {
            if (big->has_ended[i])
                continue;
            indexes[live] = i;
            rows[live++]  = (struct spool_rcpt){
                 .envelope = {.address = rcpt_address(1, i, texts[i - first]), .orcpt = ""},
                 .attempts = big->attempts[i],
                 .last     = a_deferral
            };
        }
        big->asked += count;
        spool_put_checkpoint(s, 1, indexes, rows, live);
    }
    big->turns_asked += big->asked > before;
}

/* A recipient ends, another is tried again, wherever the questions have got to. */
static void change_big(struct spool *s, struct big *big, struct rng *rng)
{
    uint32_t ends  = (uint32_t)rng_below(rng, BIG_RCPTS),
             waits = (uint32_t)rng_below(rng, BIG_RCPTS);
    if (!big->has_ended[ends])
        end_rcpt(s, 1, ends);
    big->has_ended[ends] = true;
    if (big->has_ended[waits] || big->attempts[waits] == UINT8_MAX)
        return;
    big->attempts[waits]++;
    spool_note(s, 1, waits, RCPT_WAITING, big->attempts[waits], 5, &a_deferral);
}

static void check_big(struct spool *s, const struct big *big)
{
    struct spool_recovered found;
    do {
        assert_true(spool_take_recovered(s, &found));
        if (found.content != NULL)
            content_release(found.content);
        for (size_t i = 0; found.entry.id == 1 && i < found.given; i++) {
            bool has_ended = found.rcpts[i].state == RCPT_ENDED;
            assert_int_equal(has_ended, big->has_ended[found.first + i]);
            if (!has_ended)
                assert_int_equal(found.rcpts[i].attempts, big->attempts[found.first + i]);
        }
    } while (found.entry.id == 1 && !found.is_last);
}

static void a_large_message_moves_in_pieces_while_it_is_delivered(void **state)
{
    (void)state;
    static struct big big;
    struct spool_config config = small_config();
    struct rng rng;
    struct spool *s = fresh_spool();
    rng_seed(&rng, 5);
    assert_int_equal(put_message(s, 1, 6000, BIG_RCPTS, &now), OK);
    for (uint64_t id = 2; id <= 700; id++) {
        assert_int_equal(put_message(s, id, 6000, 1, &now), OK);
        end_rcpt(s, id, 0);
    }
    for (int i = 0; i < 3000 && !(big.asked > BIG_RCPTS && spool_is_idle(s) && i > 1000); i++) {
        answer_big(s, &big);
        if (i % 3 == 0)
            change_big(s, &big, &rng);
        (void)spool_turn(s, now += 5);
        (void)fake_step(&rng);
    }
    assert_in_range(big.asked, BIG_RCPTS + 1, 3 * BIG_RCPTS); /* once, and what had changed again */
    assert_true(big.turns_asked > 3);
    now = settle(s, now + 200);
    fake_power_off_at(1);
    spool_close(s);
    fake_power_on(FAKE_DROP, 1);
    s = open_spool(&config);
    assert_non_null(s);
    check_big(s, &big);
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_message_moves_in_pieces_while_it_is_delivered),
        cmocka_unit_test(when_all_is_quiet_nothing_is_left),
        cmocka_unit_test(old_messages_move_and_their_space_returns),
        cmocka_unit_test(a_moved_message_is_recovered_as_its_checkpoint_says),
        cmocka_unit_test(a_reader_of_the_old_place_is_not_disturbed),
        cmocka_unit_test(a_slow_draft_does_not_hold_old_segments),
        cmocka_unit_test(content_that_cannot_be_read_moves_as_a_hole),
        cmocka_unit_test(a_spoiled_commit_does_not_hold_its_segment),
        cmocka_unit_test(a_checkpoint_that_forgets_somebody_is_not_taken),
        cmocka_unit_test(a_finished_message_stays_so_though_an_old_copy_of_it_cannot_go_yet),
        cmocka_unit_test(a_spoiled_sector_costs_only_what_it_touches_and_is_told),
    };
    return RUN(tests);
}
