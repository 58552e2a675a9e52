/* SPDX-License-Identifier: MIT */
#include "mta/spool/record.h"
#include "tests/unit/spool_fixture.h"

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

/* As after a crash; the old process is gone. */
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

static size_t count_recovered(struct spool *s)
{
    struct spool_recovered found;
    size_t count = 0;
    for (; spool_take_recovered(s, &found); count++)
        content_release(found.content);
    return count;
}

static void run_threads(void)
{
    struct rng rng;
    rng_seed(&rng, 1);
    while (fake_step(&rng))
        continue;
}

static struct draft *begin(struct spool *s, uint64_t id, uint64_t bytes)
{
    struct draft *d = draft_open(s);
    assert_non_null(d);
    write_content(d, id, bytes, 1000);
    return d;
}

static enum status take(struct spool *s, struct draft *expected)
{
    enum status status      = AGAIN;
    struct content *content = NULL;
    struct draft *d         = spool_take_committed(s, &status, &content);
    assert_ptr_equal(d, expected);
    if (content != NULL)
        content_release(content);
    if (d != NULL)
        draft_abort(d);
    return status;
}

static bool was_alarmed(struct spool *s, const char *about)
{
    struct buf sentence = {0};
    bool is_there       = false;
    while (spool_take_alarm(s, &sentence)) {
        is_there = is_there || strstr(buf_text(&sentence), about) != NULL;
        buf_clear(&sentence);
    }
    buf_release(&sentence);
    return is_there;
}

/* --- commits --- */

static void a_committed_message_is_found_again(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 7, 100000, 3, &now), OK);
    s = again(s, FAKE_DROP);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 7);
    assert_string_equal(found.entry.envelope.sender, "list-bounces@example.net");
    assert_string_equal(found.entry.message_id, "x@example.net");
    assert_int_equal(found.entry.expire_wall_ms, 5070);
    assert_int_equal(found.rcpt_count, 3);
    assert_string_equal(found.rcpts[2].envelope.address, "rcpt2.7@example.org");
    assert_int_equal(found.rcpts[2].envelope.notify, NOTIFY_FAILURE);
    assert_true(content_is(found.content, 7, 100000));
    content_release(found.content);
    assert_false(spool_take_recovered(s, &found));
    spool_close(s);
}

static void nothing_is_acknowledged_before_its_sync(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    struct draft *d = begin(s, 1, 500);
    uint64_t syncs  = fake.syncs;
    commit(d, 1, 1, NULL, 0);
    (void)take(s, NULL);
    (void)spool_turn(s, now);
    (void)take(s, NULL);
    assert_int_equal(fake.syncs, syncs);
    run_threads();
    assert_true(fake.syncs > syncs);
    assert_int_equal(take(s, d), OK);
    spool_close(s);
}

static void one_sync_serves_many_commits(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    struct draft *drafts[20];
    struct spool_stats before, after;
    now = settle(s, now);
    spool_stats(s, &before);
    for (uint64_t i = 0; i < 20; i++) {
        drafts[i] = begin(s, i + 1, 300);
        commit(drafts[i], i + 1, 2, NULL, 0);
    }
    (void)spool_turn(s, now);
    run_threads();
    for (int i = 0; i < 20; i++)
        assert_int_equal(take(s, drafts[i]), OK);
    spool_stats(s, &after);
    assert_int_equal(after.commits - before.commits, 20);
    assert_int_equal(after.syncs - before.syncs, 1);
    assert_int_equal(after.groups - before.groups, 1);
    spool_close(s);
}

static void an_aborted_draft_leaves_nothing(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    draft_abort(begin(s, 1, 50000));
    struct draft *queued = begin(s, 2, 50000);
    commit(queued, 2, 1, NULL, 0);
    draft_abort(queued);
    now = settle(s, now);
    struct spool_stats stats;
    spool_stats(s, &stats);
    assert_int_equal(stats.bytes_live, 0);
    s = again(s, FAKE_KEEP_ALL);
    assert_int_equal(count_recovered(s), 0);
    spool_close(s);
}

static void a_commit_whose_client_went_away_is_kept(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    struct draft *d = begin(s, 1, 5000);
    commit(d, 1, 1, NULL, 0);
    (void)spool_turn(s, now);
    draft_abort(d); /* too late: it is on its way */
    now = settle(s, now);
    (void)take(s, NULL);
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 1);
    spool_close(s);
}

static void an_id_that_is_taken_is_refused(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 5, 10, 1, &now), OK);
    assert_int_equal(put_message(s, 5, 10, 1, &now), EXISTS);
    spool_close(s);
}

static void an_empty_message_is_a_message(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 5, 0, 1, &now), OK);
    s = again(s, FAKE_DROP);
    assert_true(spool_take_recovered(s, &found));
    assert_true(content_is(found.content, 5, 0));
    content_release(found.content);
    spool_close(s);
}

static void a_large_message_goes_through_in_small_memory(void **state)
{
    (void)state;
    enum { LARGE = 40 << 20 };
    struct spool_config config = small_config();
    struct spool_recovered found;
    struct spool_stats stats;
    fake_reset();
    now                      = 1000;
    config.segment_bytes     = 4 << 20;
    config.backlog_bytes_max = 1 << 20;
    struct spool *s          = open_spool(&config);
    struct draft *d          = draft_open(s);
    for (uint64_t at = 0; at < LARGE; at += 16000) {
        uint64_t left = LARGE - at;
        while (draft_should_wait(d))
            now = settle(s, now);
        assert_int_equal(draft_write(d, content_at(1, at, left < 16000 ? left : 16000)), OK);
    }
    assert_int_equal(draft_bytes(d), LARGE);
    commit(d, 1, 1, NULL, 0);
    now = settle(s, now);
    assert_int_equal(take(s, d), OK);
    spool_close(s);
    s = open_spool(&config);
    assert_true(spool_take_recovered(s, &found));
    assert_true(content_is(found.content, 1, LARGE));
    content_release(found.content);
    end_rcpt(s, 1, 0);
    now = settle(s, now + 2000);
    spool_stats(s, &stats);
    assert_true(stats.segments <= 3);
    spool_close(s);
}

static void fifty_thousand_recipients_come_back(void **state)
{
    (void)state;
    enum { MANY = 50000 };
    char text[64];
    struct spool_recovered found;
    struct content *content = NULL;
    struct spool *s         = fresh_spool();
    assert_int_equal(put_message(s, 1, 3000, MANY, &now), OK);
    for (uint32_t i = 0; i < MANY; i += 2)
        end_rcpt(s, 1, i);
    spool_note(s, 1, 49999, RCPT_OWES_FAILURE, 1, 0, &a_deferral);
    now = settle(s, now);
    now = settle(s, now + 200);
    s   = again(s, FAKE_DROP);
    for (uint32_t i = 0; i < MANY; i++) {
        enum rcpt_state expected = i % 2 == 0 ? RCPT_ENDED : RCPT_WAITING;
        if (i % SPOOL_PIECE_RCPTS == 0) {
            assert_true(spool_take_recovered(s, &found));
            assert_int_equal(found.rcpt_count, MANY);
            assert_int_equal(found.first, i);
            assert_int_equal(found.entry.id, 1);
            assert_int_equal(found.is_last, found.first + found.given == MANY);
            content = i == 0 ? found.content : content;
            assert_true(i == 0 || found.content == NULL);
        }
        const struct spool_rcpt *rcpt = &found.rcpts[i - found.first];
        assert_int_equal(rcpt->state, i == 49999 ? RCPT_OWES_FAILURE : expected);
        if (i % 1000 == 1)
            assert_string_equal(rcpt->envelope.address, rcpt_address(1, i, text));
    }
    assert_string_equal(found.rcpts[49999 - found.first].last.text, a_deferral.text);
    assert_false(spool_take_recovered(s, &found));
    content_release(content);
    spool_close(s);
}

/* Deliveries need not wait for the rest of a large message. */
static void a_message_may_end_before_all_of_it_is_taken(void **state)
{
    (void)state;
    enum { MANY = 3 * SPOOL_PIECE_RCPTS };
    struct spool_recovered found;
    struct spool_recovery report;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 3000, MANY, &now), OK);
    assert_int_equal(put_message(s, 2, 3000, 1, &now), OK);
    for (uint32_t i = SPOOL_PIECE_RCPTS; i < MANY; i++)
        end_rcpt(s, 1, i);
    now = settle(s, now + 200);
    s   = again(s, FAKE_DROP);
    spool_recovery(s, &report);
    assert_int_equal(report.last_id, 2);
    assert_int_equal(report.recipients, SPOOL_PIECE_RCPTS + 1);
    assert_true(spool_take_recovered(s, &found));
    assert_false(found.is_last);
    content_release(found.content);
    for (uint32_t i = 0; i < SPOOL_PIECE_RCPTS; i++)
        end_rcpt(s, 1, i);
    now = settle(s, now + 200);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 1);
    assert_int_equal(found.given, 0);
    assert_true(found.is_last);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 2);
    content_release(found.content);
    assert_false(spool_take_recovered(s, &found));
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 1);
    spool_close(s);
}

/* --- outcomes --- */

static void outcomes_are_written_in_their_turn_and_synced_a_little_later(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 2, &now), OK);
    uint64_t syncs = fake.syncs;
    end_rcpt(s, 1, 0);
    uint64_t due = spool_turn(s, now);
    assert_int_equal(due, now + 100);
    run_threads();
    (void)spool_turn(s, now);
    assert_int_equal(fake.syncs, syncs);
    assert_false(spool_is_idle(s));
    (void)spool_turn(s, due);
    run_threads();
    assert_int_equal(spool_turn(s, due), UINT64_MAX); /* nothing more to wake up for */
    assert_int_equal(fake.syncs, syncs + 1);
    assert_true(spool_is_idle(s));
    spool_close(s);
}

static void a_killed_process_loses_no_outcome_that_was_written(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 2, &now), OK);
    end_rcpt(s, 1, 1);
    (void)spool_turn(s, now);
    run_threads();
    s = again(s, FAKE_KEEP_ALL);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.rcpts[0].state, RCPT_WAITING);
    assert_int_equal(found.rcpts[1].state, RCPT_ENDED);
    content_release(found.content);
    spool_close(s);
}

static void a_message_whose_recipients_have_all_ended_is_gone(void **state)
{
    (void)state;
    struct spool_stats stats;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 2, &now), OK);
    end_rcpt(s, 1, 0);
    end_rcpt(s, 1, 1);
    end_rcpt(s, 1, 1);
    spool_stats(s, &stats);
    assert_int_equal(stats.bytes_live, 0);
    now = settle(s, now + 200);
    s   = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 0);
    spool_close(s);
}

static void outcomes_of_unknown_recipients_are_ignored(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 2, &now), OK);
    end_rcpt(s, 99, 0);
    end_rcpt(s, 1, 2);
    end_rcpt(s, 1, UINT32_MAX);
    assert_true(spool_is_idle(s));
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 1);
    spool_close(s);
}

static void a_report_and_what_it_tells_of_are_one_commit(void **state)
{
    (void)state;
    struct spool_end ends[] = {
        {1, 0},
        {1, 1}
    };
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 2, &now), OK);
    struct draft *report = begin(s, 2, 400);
    commit(report, 2, 1, ends, 2);
    now = settle(s, now);
    assert_int_equal(take(s, report), OK);
    s = again(s, FAKE_DROP);
    struct spool_recovered found;
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 2);
    content_release(found.content);
    assert_false(spool_take_recovered(s, &found));
    spool_close(s);
}

/* The log moves on, and no fact is written. */
static void fill_segment(struct spool *s)
{
    for (int i = 0; i < 2; i++) {
        draft_abort(begin(s, 99, 40000));
        now = settle(s, now);
    }
}

static void what_ended_with_a_report_stays_ended_when_the_report_is_gone(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool_end end = {1, 0};
    struct spool *s      = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 1, &now), OK);
    assert_int_equal(put_message(s, 2, 100, 1, &now), OK);
    fill_segment(s);
    struct draft *report = begin(s, 20, 100);
    commit(report, 20, 1, &end, 1);
    now = settle(s, now);
    assert_int_equal(take(s, report), OK);
    end_rcpt(s, 20, 0);
    now = settle(s, now + 200);
    fill_segment(s);
    fill_segment(s);
    s = again(s, FAKE_DROP);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 2);
    content_release(found.content);
    assert_false(spool_take_recovered(s, &found));
    spool_close(s);
}

/* --- failures --- */

static void fail_next_sync(struct spool *s, struct draft *d, uint64_t id)
{
    now = settle(s, now);
    commit(d, id, 1, NULL, 0);
    (void)spool_turn(s, now);
    fake_fail_at(2, IO_ERROR, false); /* the write goes well, the sync does not */
    assert_true(fake_worker_step(&fake_workers[0]));
}

static void a_failed_sync_refuses_its_group_and_does_not_revive(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 1, &now), OK);
    fail_next_sync(s, begin(s, 2, 100), 2);
    enum status status;
    struct content *content;
    assert_null(spool_take_committed(s, &status, &content)); /* first the disk must know */
    assert_false(spool_has_room(s));
    assert_true(strlen(spool_refusal(s)) > 0);
    now             = settle(s, now);
    struct draft *d = spool_take_committed(s, &status, &content);
    assert_non_null(d);
    assert_int_equal(status, IO_ERROR);
    assert_null(content);
    draft_abort(d);
    assert_true(was_alarmed(s, "is poisoned"));
    assert_false(spool_is_broken(s));
    assert_int_equal(put_message(s, 3, 100, 1, &now), OK);
    s = again(s, FAKE_KEEP_ALL);
    struct spool_recovered found;
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 1);
    content_release(found.content);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 3);
    content_release(found.content);
    assert_false(spool_take_recovered(s, &found));
    spool_close(s);
}

static void what_was_refused_stays_away_as_long_as_its_segment_is_there(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 1, &now), OK);
    fail_next_sync(s, begin(s, 2, 100), 2);
    now = settle(s, now);
    draft_abort(spool_take_committed(s, &(enum status){OK}, &(struct content *){NULL}));
    for (uint64_t id = 3; id < 9; id++) { /* the segment that tells of it is soon full, and dead */
        assert_int_equal(put_message(s, id, 10000, 1, &now), OK);
        end_rcpt(s, id, 0);
        now = settle(s, now + 200);
    }
    assert_non_null(fake_find(&fake.cache, "0000000000000001.seg"));
    s = again(s, FAKE_KEEP_ALL);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 1);
    content_release(found.content);
    assert_false(spool_take_recovered(s, &found));
    spool_close(s);
}

/* The commit of a report is in memory only, because its sync failed and the process died of it; the
 * next one reads it, counts what it reports on as ended, and lets the old segment go. */
static void a_start_makes_durable_what_only_memory_holds(void **state)
{
    (void)state;
    struct spool_end end = {1, 0};
    struct spool *s      = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 1, &now), OK);
    for (uint64_t id = 2; id < 8; id++) { /* into the second segment */
        assert_int_equal(put_message(s, id, 10000, 1, &now), OK);
        end_rcpt(s, id, 0);
    }
    now                  = settle(s, now + 200);
    struct draft *report = begin(s, 20, 100);
    commit(report, 20, 1, &end, 1);
    (void)spool_turn(s, now);
    fake_fail_at(2, IO_ERROR, false);
    assert_true(fake_worker_step(&fake_workers[0]));
    draft_abort(report);
    fake.is_off = true; /* before it can say so */
    s           = again(s, FAKE_KEEP_ALL);
    assert_int_equal(count_recovered(s), 1);
    now = settle(s, now + 2000);
    assert_null(fake_find(&fake.cache, "0000000000000001.seg"));
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 1);
    spool_close(s);
}

static void outcomes_survive_the_failed_sync_of_their_group(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 2, &now), OK);
    end_rcpt(s, 1, 0);
    fail_next_sync(s, begin(s, 2, 100), 2);
    now = settle(s, now);
    now = settle(s, now + 200);
    assert_true(spool_is_idle(s));
    draft_abort(spool_take_committed(s, &(enum status){OK}, &(struct content *){NULL}));
    s = again(s, FAKE_DROP);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.rcpts[0].state, RCPT_ENDED);
    assert_int_equal(found.rcpts[1].state, RCPT_WAITING);
    content_release(found.content);
    spool_close(s);
}

static void the_first_failure_after_a_start_costs_nothing_older(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 1, &now), OK);
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 1);
    fail_next_sync(s, begin(s, 2, 100), 2);
    now = settle(s, now);
    draft_abort(spool_take_committed(s, &(enum status){OK}, &(struct content *){NULL}));
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 1);
    spool_close(s);
}

static void a_spare_from_a_killed_process_is_safe_to_use(void **state)
{
    (void)state;
    struct spool_config config = small_config();
    fake_reset();
    now = 1000;
    fake_power_off_at(3); /* before the name of the first segment is synced */
    assert_null(open_spool(&config));
    fake_power_on(FAKE_KEEP_ALL, 1);
    struct spool *s = open_spool(&config);
    struct draft *d = begin(s, 1, 100);
    commit(d, 1, 1, NULL, 0);
    (void)spool_turn(s, now);
    assert_true(fake_worker_step(&fake_workers[0])); /* no other file is made meanwhile */
    assert_int_equal(take(s, d), OK);
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 1);
    spool_close(s);
}

static void a_poisoned_segment_is_never_written_or_synced_again(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    fail_next_sync(s, begin(s, 2, 100), 2);
    struct fake_inode *poisoned =
        &fake.inodes[fake_find(&fake.cache, "0000000000000001.seg")->inode];
    char *bytes = mem_new(poisoned->bytes);
    memcpy(bytes, poisoned->cache, poisoned->bytes);
    now = settle(s, now);
    draft_abort(spool_take_committed(s, &(enum status){OK}, &(struct content *){NULL}));
    assert_int_equal(put_message(s, 3, 30000, 1, &now), OK);
    if (fake_find(&fake.cache, "0000000000000001.seg") != NULL)
        assert_memory_equal(bytes, poisoned->cache, poisoned->bytes);
    mem_free(bytes);
    spool_close(s);
}

static void a_second_failure_ends_intake_until_a_restart(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 100, 2, &now), OK);
    fake_fail_at(1, IO_ERROR, true);
    assert_int_equal(put_message(s, 2, 100, 1, &now), IO_ERROR);
    assert_true(spool_is_broken(s));
    assert_null(draft_open(s));
    assert_true(strstr(spool_refusal(s), "restart") != NULL);
    end_rcpt(s, 1, 0); /* deliveries go on from memory */
    (void)spool_turn(s, now);
    assert_true(spool_is_idle(s));
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 1);
    assert_int_equal(put_message(s, 3, 100, 1, &now), OK);
    spool_close(s);
}

/* --- space --- */

static void fill_up(struct spool *s, uint64_t *last_id)
{
    while (spool_has_room(s) && put_message(s, *last_id + 1, 20000, 2, &now) == OK)
        ++*last_id;
}

static void a_full_disk_refuses_mail_but_drains_and_recovers(void **state)
{
    (void)state;
    struct spool *s  = fresh_spool();
    uint64_t last_id = 0;
    now              = settle(s, now);
    fake.capacity    = 10 * (64 << 10);
    fill_up(s, &last_id);
    assert_true(last_id > 10);
    assert_false(spool_has_room(s));
    assert_null(draft_open(s));
    assert_true(strlen(spool_refusal(s)) > 0);
    assert_true(was_alarmed(s, "no new mail"));
    for (uint64_t i = 0; i < 600; i++) /* more than the open segment can still take */
        spool_note(s, 1 + i % last_id, 0, RCPT_WAITING, (uint16_t)(i / last_id), 5, &a_deferral);
    now = settle(s, now + 200);
    assert_null(fake_find(&fake.cache, "reserve"));
    assert_true(spool_is_idle(s)); /* the reserve took them */
    for (uint64_t id = 1; id <= last_id; id++) {
        end_rcpt(s, id, 0);
        end_rcpt(s, id, 1);
        now = settle(s, now + 200);
        assert_true(spool_is_idle(s));
    }
    now = settle(s, now + 2000);
    now = settle(s, now + 2000);
    assert_true(spool_has_room(s));
    assert_true(was_alarmed(s, "again"));
    assert_int_equal(put_message(s, last_id + 1, 20000, 2, &now), OK);
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), 1);
    spool_close(s);
}

static void outcomes_in_the_reserve_are_durable(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool *s  = fresh_spool();
    uint64_t last_id = 0;
    now              = settle(s, now);
    fake.capacity    = 6 * (64 << 10);
    fill_up(s, &last_id);
    for (uint64_t i = 1; i <= 600; i++)
        spool_note(s, last_id, 0, RCPT_WAITING, (uint16_t)i, 5, &a_deferral);
    now = settle(s, now + 200);
    assert_null(fake_find(&fake.cache, "reserve"));
    assert_true(spool_is_idle(s));
    s = again(s, FAKE_DROP);
    while (spool_take_recovered(s, &found)) {
        if (found.entry.id == last_id)
            assert_int_equal(found.rcpts[0].attempts, 600);
        content_release(found.content);
    }
    spool_close(s);
}

static void a_full_disk_is_no_obstacle_to_a_start(void **state)
{
    (void)state;
    struct spool *s  = fresh_spool();
    uint64_t last_id = 0;
    now              = settle(s, now);
    fake.capacity    = 6 * (64 << 10);
    fill_up(s, &last_id);
    s = again(s, FAKE_DROP);
    assert_int_equal(count_recovered(s), last_id);
    for (uint64_t id = 1; id <= last_id; id++) {
        end_rcpt(s, id, 0);
        end_rcpt(s, id, 1);
        now = settle(s, now + 200);
    }
    now = settle(s, now + 2000);
    assert_true(spool_has_room(s));
    spool_close(s);
}

static void little_free_space_refuses_mail_and_says_so(void **state)
{
    (void)state;
    struct spool_config config = small_config();
    fake_reset();
    now                     = 1000;
    fake.capacity           = 100 << 20;
    config.min_free_percent = 5;
    struct spool *s         = open_spool(&config);
    assert_int_equal(put_message(s, 1, 100, 1, &now), OK);
    fake.others_bytes = 96 << 20;
    now               = settle(s, now + 2000);
    draft_abort(begin(s, 9, 1)); /* one is still taken, and looked after */
    now = settle(s, now);
    assert_false(spool_has_room(s));
    assert_null(draft_open(s));
    assert_true(strstr(spool_refusal(s), "free space") != NULL);
    assert_true(was_alarmed(s, "only 3 MiB are free"));
    fake.others_bytes = 0;
    assert_true(spool_turn(s, now) <= now + 1000); /* it looks again by itself */
    now = settle(s, now + 2000);
    assert_true(spool_has_room(s));
    assert_int_equal(put_message(s, 2, 100, 1, &now), OK);
    spool_close(s);
}

/* --- content --- */

static void a_spoiled_chunk_is_never_read_as_content(void **state)
{
    (void)state;
    char text[4096];
    size_t got;
    enum status status;
    struct content *content;
    struct spool *s = fresh_spool();
    struct draft *d = begin(s, 1, 40000);
    commit(d, 1, 1, NULL, 0);
    now = settle(s, now);
    assert_ptr_equal(spool_take_committed(s, &status, &content), d);
    draft_abort(d);
    fake.inodes[fake_find(&fake.cache, "0000000000000001.seg")->inode].cache[20000] ^= 1;
    assert_int_equal(content_read(content, 0, text, sizeof text, &got), OK);
    assert_int_equal(content_read(content, 20000, text, sizeof text, &got), CORRUPT);
    assert_int_equal(got, 0);
    assert_int_equal(content_read(content, 40000, text, sizeof text, &got), END);
    content_release(content);
    spool_close(s);
}

/* --- what is in the directory --- */

static void open_fails_with(const char *sentence)
{
    struct spool_config config = small_config();
    struct spool *s            = NULL;
    struct buf error           = {0};
    assert_int_not_equal(spool_open(&s, NULL, &config, &error), OK);
    assert_non_null(strstr(buf_text(&error), sentence));
    assert_non_null(strstr(buf_text(&error), "/spool"));
    buf_release(&error);
}

static void foreign_files_are_refused_with_a_remedy(void **state)
{
    (void)state;
    struct disk_file *file;
    spool_close(fresh_spool());
    assert_int_equal(disk_create(NULL, "notes.txt", 10, &file), OK);
    disk_close_file(file);
    open_fails_with("holds notes.txt, which is no part of a spool: move it away");
    assert_int_equal(disk_rename(NULL, "notes.txt", "lost+found"), OK);
    open_fails_with("a directory of its own below the mount point");
}

static void a_newer_format_is_refused(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 10, 1, &now), OK);
    spool_close(s);
    struct fake_inode *inode = &fake.inodes[fake_find(&fake.cache, "0000000000000001.seg")->inode];
    memset(inode->cache + 4, 0, inode->bytes - 4);
    inode->cache[3] = RECORD_VERSION + 1;
    open_fails_with("newer version");
}

static void a_quiet_spool_wants_no_turns(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    now             = settle(s, now);
    assert_int_equal(spool_turn(s, now + 5000), UINT64_MAX);
    assert_int_equal(put_message(s, 1, 10, 1, &now), OK);
    end_rcpt(s, 1, 0);
    now = settle(s, now + 200);
    now = settle(s, now + 200);
    assert_int_equal(spool_turn(s, now + 5000), UINT64_MAX);
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_committed_message_is_found_again),
        cmocka_unit_test(nothing_is_acknowledged_before_its_sync),
        cmocka_unit_test(one_sync_serves_many_commits),
        cmocka_unit_test(an_aborted_draft_leaves_nothing),
        cmocka_unit_test(a_commit_whose_client_went_away_is_kept),
        cmocka_unit_test(an_id_that_is_taken_is_refused),
        cmocka_unit_test(an_empty_message_is_a_message),
        cmocka_unit_test(a_large_message_goes_through_in_small_memory),
        cmocka_unit_test(fifty_thousand_recipients_come_back),
        cmocka_unit_test(a_message_may_end_before_all_of_it_is_taken),
        cmocka_unit_test(outcomes_are_written_in_their_turn_and_synced_a_little_later),
        cmocka_unit_test(a_killed_process_loses_no_outcome_that_was_written),
        cmocka_unit_test(a_message_whose_recipients_have_all_ended_is_gone),
        cmocka_unit_test(outcomes_of_unknown_recipients_are_ignored),
        cmocka_unit_test(a_report_and_what_it_tells_of_are_one_commit),
        cmocka_unit_test(what_ended_with_a_report_stays_ended_when_the_report_is_gone),
        cmocka_unit_test(a_failed_sync_refuses_its_group_and_does_not_revive),
        cmocka_unit_test(what_was_refused_stays_away_as_long_as_its_segment_is_there),
        cmocka_unit_test(a_start_makes_durable_what_only_memory_holds),
        cmocka_unit_test(outcomes_survive_the_failed_sync_of_their_group),
        cmocka_unit_test(the_first_failure_after_a_start_costs_nothing_older),
        cmocka_unit_test(a_spare_from_a_killed_process_is_safe_to_use),
        cmocka_unit_test(a_poisoned_segment_is_never_written_or_synced_again),
        cmocka_unit_test(a_second_failure_ends_intake_until_a_restart),
        cmocka_unit_test(a_full_disk_refuses_mail_but_drains_and_recovers),
        cmocka_unit_test(outcomes_in_the_reserve_are_durable),
        cmocka_unit_test(a_full_disk_is_no_obstacle_to_a_start),
        cmocka_unit_test(little_free_space_refuses_mail_and_says_so),
        cmocka_unit_test(a_spoiled_chunk_is_never_read_as_content),
        cmocka_unit_test(foreign_files_are_refused_with_a_remedy),
        cmocka_unit_test(a_newer_format_is_refused),
        cmocka_unit_test(a_quiet_spool_wants_no_turns),
    };
    return RUN(tests);
}
