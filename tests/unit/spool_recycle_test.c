/* SPDX-License-Identifier: MIT */
/* A dead segment's file becomes the next spare, under a new number: what stands in it still must
 * never be read as something else than old. */
#include "mta/spool/chore.h"
#include "mta/spool/record.h"
#include "mta/spool/segment.h"
#include "tests/unit/spool_fixture.h"

enum { SMALL_FILES_MAX = 4 }; /* the open one, two spares, the reserve */

static uint64_t now;

static struct spool *fresh_spool(void)
{
    struct spool_config config = small_config();
    fake_reset();
    now             = 1000;
    struct spool *s = open_spool(&config);
    assert_non_null(s);
    return s;
}

static struct spool *again(struct spool *s, enum fake_survival how)
{
    struct spool_config config = small_config();
    fake_power_off_at(1);
    spool_close(s);
    fake_power_on(how, 1);
    s = open_spool(&config);
    assert_non_null(s);
    return s;
}

static struct spool_stats stats_of(const struct spool *s)
{
    struct spool_stats stats;
    spool_stats(s, &stats);
    return stats;
}

/* Messages that come, arrive and are gone. */
static void pass_through(struct spool *s, uint64_t first, uint64_t count)
{
    for (uint64_t id = first; id < first + count; id++) {
        assert_int_equal(put_message(s, id, 6000, 1, &now), OK);
        end_rcpt(s, id, 0);
        now = settle(s, now + 200);
    }
}

static struct fake_inode *newest_file(char name[DISK_NAME_BYTES])
{
    struct fake_name *last = NULL;
    uint64_t id;
    for (size_t i = 0; i < fake.cache.count; i++)
        if (segment_id_of(fake.cache.names[i].text, &id) &&
            (last == NULL || strcmp(fake.cache.names[i].text, last->text) > 0))
            last = &fake.cache.names[i];
    assert_non_null(last);
    memcpy(name, last->text, DISK_NAME_BYTES);
    return &fake.inodes[last->inode];
}

static bool holds_records(const struct fake_inode *inode)
{
    return memcmp(inode->cache, "MRS", 3) == 0;
}

/* In the last sector, where nobody writes: a file that would be used again keeps it. */
static const char mark_text[] = "the very same file";

static char *mark_in(const struct fake_inode *inode)
{
    return inode->cache + inode->bytes - FAKE_SECTOR_BYTES;
}

static void mark(struct fake_inode *inode)
{
    memcpy(mark_in(inode), mark_text, sizeof mark_text);
}

static bool is_mark_there(void)
{
    for (size_t i = 0; i < fake.cache.count; i++)
        if (memcmp(mark_in(&fake.inodes[fake.cache.names[i].inode]), mark_text, sizeof mark_text) ==
            0)
            return true;
    return false;
}

static size_t take_all(struct spool *s, uint64_t expected)
{
    struct spool_recovered found;
    size_t count = 0;
    for (; spool_take_recovered(s, &found); count++) {
        assert_int_equal(found.entry.id, expected);
        assert_true(content_is(found.content, expected, 6000));
        content_release(found.content);
    }
    return count;
}

/* --- whether --- */

static void a_long_life_needs_few_files(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    pass_through(s, 1, 300);
    assert_in_range(stats_of(s).made, 1, 4);
    assert_true(stats_of(s).recycled > 20);
    assert_true(fake.cache.count <= SMALL_FILES_MAX);
    spool_close(s);
}

static void spares_outlive_a_restart(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    pass_through(s, 1, 60);
    for (int i = 0; i < 5; i++) {
        size_t files = fake.cache.count;
        s            = again(s, i % 2 == 0 ? FAKE_DROP : FAKE_KEEP_ALL);
        assert_int_equal(take_all(s, 0), 0);
        pass_through(s, 100 + 50 * (uint64_t)i, 50);
        assert_int_equal(stats_of(s).made, 0);
        assert_true(stats_of(s).recycled > 1);
        assert_true(fake.cache.count <= files + 1);
    }
    assert_true(fake.cache.count <= SMALL_FILES_MAX);
    spool_close(s);
}

static void a_new_spool_writes_no_segment_full_of_zeros(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    pass_through(s, 1, 5);
    struct spool_stats stats = stats_of(s);
    assert_true(stats.bytes_written < 5 * 3 * (uint64_t)SEGMENT_BLOCK_BYTES + 5 * 6000);
    assert_true(stats.bytes_zeroed <= stats.bytes_written);
    spool_close(s);
}

/* What one client that waits for each reply writes, costs blocks that were written before. */
static void small_groups_find_written_blocks(void **state)
{
    (void)state;
    struct spool *s          = fresh_spool();
    struct spool_stats first = stats_of(s);
    for (uint64_t id = 1; id <= 8; id++)
        assert_int_equal(put_message(s, id, 100, 1, &now), OK);
    struct spool_stats stats = stats_of(s);
    assert_int_equal(stats.groups - first.groups, 8);
    assert_int_equal(stats.bytes_written - first.bytes_written, 8 * SEGMENT_BLOCK_BYTES);
    assert_in_range(stats.bytes_zeroed, 1, 8 * SEGMENT_BLOCK_BYTES);
    spool_close(s);
}

static void a_file_that_is_used_again_gets_no_zeros(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    pass_through(s, 1, 60);
    uint64_t before = stats_of(s).bytes_zeroed;
    for (uint64_t id = 100; id <= 120; id++)
        assert_int_equal(put_message(s, id, 100, 1, &now), OK);
    assert_int_equal(stats_of(s).bytes_zeroed, before);
    spool_close(s);
}

static void a_failed_segment_is_never_used_again(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    pass_through(s, 1, 3);
    struct fake_inode *poisoned =
        &fake.inodes[fake_find(&fake.cache, "0000000000000001.seg")->inode];
    struct draft *d = draft_open(s);
    now             = settle(s, now);
    commit(d, 50, 1, NULL, 0);
    (void)spool_turn(s, now);
    fake_fail_at(2, IO_ERROR, false); /* the write goes well, the sync does not */
    assert_true(fake_worker_step(&fake_workers[0]));
    mark(poisoned);
    draft_abort(d);
    now = settle(s, now + 200);
    pass_through(s, 100, 60);
    assert_true(stats_of(s).recycled > 3);
    assert_false(is_mark_there());
    spool_close(s);
}

/* The helping thread is about to give a file another number. */
static bool is_about_to_recycle(void)
{
    struct list *next = list_first(&fake_workers[1].todo);
    return next != NULL && CONTAINER_OF(next, struct chore, work.link)->kind == CHORE_RECYCLE;
}

static void run_until_recycling(struct spool *s)
{
    for (uint64_t id = 1; !is_about_to_recycle(); id++) {
        assert_true(id < 100);
        struct draft *d = draft_open(s);
        write_content(d, id, 6000, 1500);
        commit(d, id, 1, NULL, 0);
        for (int i = 0; i < 10 && !is_about_to_recycle(); i++) {
            (void)spool_turn(s, now += 20);
            if (!fake_worker_step(&fake_workers[0]) && !is_about_to_recycle())
                (void)fake_worker_step(&fake_workers[1]);
            struct content *content;
            enum status status;
            if (spool_take_committed(s, &status, &content) == NULL)
                continue;
            assert_int_equal(status, OK);
            content_release(content);
            draft_abort(d);
            end_rcpt(s, id, 0);
        }
    }
}

static bool was_told(struct spool *s, const char *about)
{
    struct buf sentence = {0};
    bool is_told        = false;
    for (; spool_take_alarm(s, &sentence); buf_clear(&sentence))
        is_told = is_told || strstr(buf_text(&sentence), about) != NULL;
    buf_release(&sentence);
    return is_told;
}

static void a_file_whose_name_is_not_certain_is_let_go(void **state)
{
    (void)state;
    for (uint64_t k = 1; k <= 2; k++) { /* the renaming, its sync */
        struct spool *s = fresh_spool();
        run_until_recycling(s);
        const struct chore *chore =
            CONTAINER_OF(list_first(&fake_workers[1].todo), struct chore, work.link);
        char name[DISK_NAME_BYTES];
        segment_name(chore->segment->id, name);
        mark(&fake.inodes[fake_find(&fake.cache, name)->inode]);
        fake_fail_at(k, IO_ERROR, false);
        assert_true(fake_worker_step(&fake_workers[1]));
        now = settle(s, now);
        now = settle(s, now + 2000);
        assert_true(was_told(s, "again"));
        assert_false(spool_is_broken(s));
        assert_false(is_mark_there());
        assert_int_equal(put_message(s, 500, 6000, 1, &now), OK);
        s = again(s, FAKE_DROP);
        assert_int_equal(take_all(s, 500), 1);
        spool_close(s);
    }
}

/* --- what is read of it --- */

/* A spool whose newest spare is full of what the messages 1 to 60 were. */
static struct spool *spool_with_old_records(void)
{
    char name[DISK_NAME_BYTES];
    struct spool *s = fresh_spool();
    pass_through(s, 1, 60);
    assert_true(holds_records(newest_file(name)));
    return s;
}

static void old_records_in_a_spare_are_not_replayed(void **state)
{
    (void)state;
    for (int how = 0; how < FAKE_SURVIVALS; how++) {
        struct spool_recovery report;
        struct spool *s = again(spool_with_old_records(), (enum fake_survival)how);
        assert_int_equal(take_all(s, 0), 0);
        spool_recovery(s, &report);
        assert_int_equal(report.corrupt_records, 0);
        assert_int_equal(report.torn_bytes, 0);
        assert_int_equal(report.dropped_drafts, 0);
        spool_close(s);
    }
}

static void old_records_behind_new_ones_are_not_replayed(void **state)
{
    (void)state;
    for (int how = 0; how < FAKE_SURVIVALS; how++) {
        struct spool_recovery report;
        struct spool *s = spool_with_old_records();
        uint64_t before = stats_of(s).recycled;
        for (uint64_t id = 100; stats_of(s).recycled < before + 3; id++)
            pass_through(s, id, 1); /* the next ones stand in a file that is used again */
        assert_int_equal(put_message(s, 500, 6000, 1, &now), OK);
        s = again(s, (enum fake_survival)how);
        assert_int_equal(take_all(s, 500), 1);
        spool_recovery(s, &report);
        assert_int_equal(report.corrupt_records, 0);
        assert_int_equal(report.torn_bytes, 0);
        spool_close(s);
    }
}

/* The same sequences, the same generation, all whole: but another number. */
static void records_of_another_number_never_count(void **state)
{
    (void)state;
    struct disk_file *file;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 7, 6000, 1, &now), OK);
    const struct fake_inode *first =
        &fake.inodes[fake_find(&fake.cache, "0000000000000001.seg")->inode];
    char *bytes = mem_new(first->bytes);
    memcpy(bytes, first->cache, first->bytes);
    end_rcpt(s, 7, 0);
    now = settle(s, now + 200);
    pass_through(s, 10, 20); /* all that told of it has gone */
    assert_null(fake_find(&fake.cache, "0000000000000001.seg"));
    assert_int_equal(disk_create(NULL, "00000000000000ff.seg", SEGMENT_BYTES_MIN, &file), OK);
    assert_int_equal(disk_write(file, 0, span_make(bytes, SEGMENT_BYTES_MIN)), OK);
    assert_int_equal(disk_sync(file), OK);
    disk_close_file(file);
    mem_free(bytes);
    s = again(s, FAKE_KEEP_ALL);
    assert_int_equal(take_all(s, 0), 0);
    assert_int_equal(put_message(s, 8, 6000, 1, &now), OK);
    s = again(s, FAKE_DROP);
    assert_int_equal(take_all(s, 8), 1);
    spool_close(s);
}

/* A number comes once: also when the newest files are gone. */
static void a_record_says_the_number_of_its_file(void **state)
{
    (void)state;
    struct spool *s = spool_with_old_records();
    for (size_t i = 0; i < fake.cache.count; i++) {
        const struct fake_inode *inode = &fake.inodes[fake.cache.names[i].inode];
        uint64_t id;
        if (segment_id_of(fake.cache.names[i].text, &id))
            assert_true(record_segment(span_make(inode->cache, 4096)) <= id);
    }
    spool_close(s);
}

/* Whoever still reads a message that is over keeps its file from being written to. */
static void a_file_that_is_read_is_not_used_again(void **state)
{
    (void)state;
    enum status status;
    struct content *content;
    struct spool *s = fresh_spool();
    struct draft *d = draft_open(s);
    write_content(d, 1, 6000, 1500);
    commit(d, 1, 1, NULL, 0);
    now = settle(s, now);
    assert_ptr_equal(spool_take_committed(s, &status, &content), d);
    draft_abort(d);
    end_rcpt(s, 1, 0);
    now = settle(s, now + 200);
    pass_through(s, 2, 60);
    assert_true(content_is(content, 1, 6000));
    content_release(content);
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_life_needs_few_files),
        cmocka_unit_test(spares_outlive_a_restart),
        cmocka_unit_test(a_new_spool_writes_no_segment_full_of_zeros),
        cmocka_unit_test(small_groups_find_written_blocks),
        cmocka_unit_test(a_file_that_is_used_again_gets_no_zeros),
        cmocka_unit_test(a_failed_segment_is_never_used_again),
        cmocka_unit_test(a_file_whose_name_is_not_certain_is_let_go),
        cmocka_unit_test(old_records_in_a_spare_are_not_replayed),
        cmocka_unit_test(old_records_behind_new_ones_are_not_replayed),
        cmocka_unit_test(records_of_another_number_never_count),
        cmocka_unit_test(a_record_says_the_number_of_its_file),
        cmocka_unit_test(a_file_that_is_read_is_not_used_again),
    };
    return RUN(tests);
}
