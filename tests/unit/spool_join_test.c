/* SPDX-License-Identifier: MIT */
/* Recipients who join a message that is in the spool already.  Crashes: spool_recover_test. */
#include "mta/base/bytes.h"
#include "mta/spool/record.h"
#include "mta/spool/segment.h"
#include "tests/unit/spool_model.h"
#include <xxhash.h>

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

static struct spool *reopened(struct spool *s)
{
    struct spool_config config = small_config();
    spool_close(s);
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

static void take_none(struct spool *s)
{
    struct spool_recovered found;
    assert_false(spool_take_recovered(s, &found));
}

/* The states of message 1, 'w' or 'e' each. */
static void take_one(struct spool *s, const char *states)
{
    struct spool_recovered found;
    char text[64];
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 1);
    assert_int_equal(found.rcpt_count, strlen(states));
    assert_true(content_is(found.content, 1, 10000));
    for (size_t i = 0; i < found.rcpt_count; i++) {
        assert_int_equal(found.rcpts[i].state == RCPT_ENDED, states[i] == 'e');
        if (states[i] == 'w')
            assert_string_equal(found.rcpts[i].envelope.address, rcpt_address(1, i, text));
    }
    content_release(found.content);
    take_none(s);
}

static struct spool *spool_with_open_message(size_t rcpts)
{
    struct spool *s = fresh_spool();
    assert_int_equal(put_open_message(s, 1, 10000, rcpts, true, &now), OK);
    return s;
}

static void who_joined_is_found_behind_those_who_were_there(void **state)
{
    (void)state;
    struct spool *s = spool_with_open_message(2);
    uint64_t before = stats_of(s).bytes_written;
    assert_int_equal(join_message(s, 1, 2, 3, &now), OK);
    assert_int_equal(join_message(s, 1, 5, 1, &now), OK);
    assert_true(stats_of(s).bytes_written - before <= 2 * SEGMENT_BLOCK_BYTES); /* no content */
    assert_int_equal(stats_of(s).appends, 2);
    assert_int_equal(stats_of(s).commits, 1);
    end_rcpt(s, 1, 4);
    now = settle(s, now);
    s   = reopened(s);
    take_one(s, "wwwwew");
    s = reopened(s); /* and again */
    take_one(s, "wwwwew");
    spool_close(s);
}

static void a_message_whose_recipients_had_ended_lives_again(void **state)
{
    (void)state;
    struct spool *s = spool_with_open_message(2);
    end_rcpt(s, 1, 0);
    end_rcpt(s, 1, 1);
    now = settle(s, now);
    assert_int_equal(join_message(s, 1, 2, 1, &now), OK);
    s = reopened(s);
    take_one(s, "eew");
    end_rcpt(s, 1, 2);
    s = reopened(s);
    take_none(s);
    assert_int_equal(stats_of(s).bytes_live, 0);
    spool_close(s);
}

static void an_open_message_keeps_its_bytes_until_it_is_closed(void **state)
{
    (void)state;
    struct spool *s = spool_with_open_message(1);
    end_rcpt(s, 1, 0);
    now = settle(s, now);
    assert_true(stats_of(s).bytes_live > 10000);
    spool_close_message(s, 1);
    assert_int_equal(stats_of(s).bytes_live, 0);
    s = reopened(s);
    take_none(s);
    spool_close(s);
}

static void nobody_joins_after_a_start(void **state)
{
    (void)state;
    struct spool *s = spool_with_open_message(1);
    end_rcpt(s, 1, 0);
    s = reopened(s); /* it was open when that run ended */
    take_none(s);
    assert_int_equal(stats_of(s).bytes_live, 0);
    spool_close(s);
}

/* It is closed while a join is on its way. */
static void a_join_on_its_way_keeps_the_message(void **state)
{
    (void)state;
    char text[64];
    enum status status;
    struct content *content;
    struct spool *s         = spool_with_open_message(1);
    struct draft *d         = draft_open(s);
    struct envelope_rcpt to = {.address = rcpt_address(1, 1, text), .orcpt = ""};
    draft_join(d, 1, &to, 1);
    spool_close_message(s, 1);
    end_rcpt(s, 1, 0);
    now = settle(s, now);
    assert_ptr_equal(spool_take_committed(s, &status, &content), d);
    assert_int_equal(status, OK);
    draft_abort(d);
    end_rcpt(s, 1, 1);
    assert_int_equal(stats_of(s).bytes_live, 0);
    spool_close(s);
}

static void a_forgotten_join_lets_the_message_go(void **state)
{
    (void)state;
    char text[64];
    struct spool *s         = spool_with_open_message(1);
    struct draft *d         = draft_open(s);
    struct envelope_rcpt to = {.address = rcpt_address(1, 1, text), .orcpt = ""};
    draft_join(d, 1, &to, 1);
    spool_close_message(s, 1);
    end_rcpt(s, 1, 0);
    assert_true(stats_of(s).bytes_live > 0);
    draft_abort(d);
    assert_int_equal(stats_of(s).bytes_live, 0);
    spool_close(s);
}

static void a_join_may_be_larger_than_a_record(void **state)
{
    enum { COUNT = 1500 };
    (void)state;
    struct spool *s = spool_with_open_message(1);
    assert_int_equal(join_message(s, 1, 1, COUNT, &now), OK);
    assert_int_equal(join_message(s, 1, 1 + COUNT, COUNT, &now), OK);
    s = reopened(s);
    struct spool_recovered found;
    uint64_t count = 0;
    char text[64];
    while (spool_take_recovered(s, &found)) {
        if (found.first == 0)
            content_release(found.content);
        assert_int_equal(found.rcpt_count, 1 + 2 * COUNT);
        for (size_t i = 0; i < found.given; i++, count++)
            assert_string_equal(found.rcpts[i].envelope.address, rcpt_address(1, count, text));
    }
    assert_int_equal(count, 1 + 2 * COUNT);
    spool_close(s);
}

static void a_join_of_a_message_that_was_refused_is_refused(void **state)
{
    (void)state;
    char text[64];
    enum status status;
    struct content *content;
    struct spool *s     = fresh_spool();
    struct draft *first = draft_open(s), *second = draft_open(s), *taken;
    struct envelope_rcpt to = {.address = rcpt_address(1, 1, text), .orcpt = ""};
    write_content(first, 1, 10000, 1500);
    now = settle(s, now); /* no file is being made: the next operation writes */
    commit_open(first, 1, 1, NULL, 0, true);
    draft_join(second, 1, &to, 1);
    fake_fail_at(1, IO_ERROR, false);
    for (int i = 0; i < 2; i++) {
        taken = settled(s, &status, &content, &now);
        assert_ptr_equal(taken, i == 0 ? first : second);
        assert_int_not_equal(status, OK);
        draft_abort(taken);
    }
    s = reopened(s);
    take_none(s);
    spool_close(s);
}

/* --- while the message moves --- */

enum { OTHERS_FROM = 100, OTHERS_TO = 140 };

static void put_others(struct spool *s)
{
    for (uint64_t id = OTHERS_FROM; id < OTHERS_TO; id++)
        assert_int_equal(put_message(s, id, 10000, 1, &now), OK);
}

/* So much is dead then that message 1 must move: the engine will be asked. */
static void end_others(struct spool *s)
{
    for (uint64_t id = OTHERS_FROM; id < OTHERS_TO; id++)
        end_rcpt(s, id, 0);
    for (int i = 0; i < 50; i++)
        now = settle(s, now + 20);
}

static void make_it_move(struct spool *s)
{
    put_others(s);
    end_others(s);
}

static bool is_asked(struct spool *s, uint32_t *first, uint32_t *count)
{
    uint64_t id;
    bool is_asked = spool_wants_checkpoint(s, &id, first, count);
    assert_true(!is_asked || id == 1);
    return is_asked;
}

/* All of a range wait. */
static void answer(struct spool *s, uint32_t first, uint32_t count)
{
    uint32_t *indexes       = mem_new_array(count, sizeof *indexes);
    struct spool_rcpt *rows = mem_new_array(count, sizeof *rows);
    char(*texts)[64]        = mem_new_array(count, sizeof *texts);
    for (uint32_t i = 0; i < count; i++) {
        indexes[i] = first + i;
        rows[i]    = (struct spool_rcpt){
               .envelope = {.address = rcpt_address(1, first + i, texts[i]), .orcpt = ""},
               .last     = {.text = "",              .mx = ""                      }
        };
    }
    spool_put_checkpoint(s, 1, indexes, rows, count);
    mem_free(indexes);
    mem_free(rows);
    mem_free(texts);
}

static void answer_all(struct spool *s)
{
    uint32_t first, count;
    for (int i = 0; i < 200; i++) {
        while (is_asked(s, &first, &count))
            answer(s, first, count);
        now = settle(s, now);
    }
}

static struct draft *ask_to_join(struct spool *s, size_t rcpt)
{
    char text[64];
    struct draft *d         = draft_open(s);
    struct envelope_rcpt to = {.address = rcpt_address(1, rcpt, text), .orcpt = ""};
    draft_join(d, 1, &to, 1);
    return d;
}

static void take_joined(struct spool *s, struct draft *d)
{
    enum status status;
    struct content *content;
    assert_ptr_equal(spool_take_committed(s, &status, &content), d);
    assert_int_equal(status, OK);
    draft_abort(d);
}

static void take_all_waiting(struct spool *s, size_t rcpts)
{
    struct spool_recovered found;
    char text[64];
    size_t next = 0;
    while (spool_take_recovered(s, &found)) {
        assert_int_equal(found.entry.id, 1);
        assert_int_equal(found.rcpt_count, rcpts);
        if (found.first == 0)
            content_release(found.content);
        for (size_t i = 0; i < found.given; i++, next++) {
            assert_int_equal(found.rcpts[i].state, RCPT_WAITING);
            assert_string_equal(found.rcpts[i].envelope.address, rcpt_address(1, next, text));
        }
    }
    assert_int_equal(next, rcpts);
}

static void nobody_is_asked_before_the_engine_knows_who_joined(void **state)
{
    (void)state;
    uint32_t first, count;
    struct spool *s = spool_with_open_message(2);
    put_others(s);
    struct draft *d = ask_to_join(s, 2);
    now             = settle(s, now);
    assert_int_equal(stats_of(s).appends, 1); /* durable, and not taken */
    end_others(s);
    assert_false(is_asked(s, &first, &count));
    take_joined(s, d);
    assert_true(is_asked(s, &first, &count));
    assert_int_equal(count, 3);
    answer_all(s);
    s = reopened(s);
    take_all_waiting(s, 3);
    spool_close(s);
}

/* What is live when somebody has joined, before or after the checkpoint was written. */
static uint64_t live_with_join(bool is_before)
{
    uint32_t first, count;
    struct draft *d = NULL;
    struct spool *s = spool_with_open_message(2);
    make_it_move(s);
    assert_true(is_asked(s, &first, &count));
    if (is_before) {
        d   = ask_to_join(s, 2);
        now = settle(s, now);
        assert_int_equal(stats_of(s).appends, 0); /* the checkpoint comes first */
    }
    answer_all(s);
    if (!is_before) {
        d   = ask_to_join(s, 2);
        now = settle(s, now);
    }
    assert_int_equal(stats_of(s).appends, 1);
    take_joined(s, d);
    uint64_t live = stats_of(s).bytes_live;
    s             = reopened(s);
    take_all_waiting(s, 3);
    spool_close(s);
    return live;
}

static void who_joins_a_message_that_moves_stays_behind_its_checkpoint(void **state)
{
    (void)state;
    assert_int_equal(live_with_join(true), live_with_join(false));
}

static void who_joins_while_the_engine_is_asked_is_asked_for_too(void **state)
{
    enum { RANGE = 256, MANY = 80 * RANGE, ANSWERED = 3 }; /* the next one begins a range */
    (void)state;
    uint32_t first, count;
    struct spool *s = spool_with_open_message(MANY);
    make_it_move(s);
    for (int i = 0; i < ANSWERED; i++) {
        assert_true(is_asked(s, &first, &count));
        answer(s, first, count);
    }
    struct draft *d = ask_to_join(s, MANY);
    now             = settle(s, now);
    take_joined(s, d);
    answer_all(s);
    s = reopened(s);
    take_all_waiting(s, MANY + 1);
    spool_close(s);
}

static void erase_first_append(struct fake_inode *inode, uint64_t segment)
{
    struct record record;
    size_t bytes = 0;
    for (size_t at = 0; at + RECORD_ALIGN_BYTES <= inode->bytes; at += bytes) {
        char *in = inode->cache + at;
        if (record_parse(span_make(in, inode->bytes - at), segment, &record, &bytes, NULL) !=
            RECORD_GOOD) {
            bytes = RECORD_ALIGN_BYTES;
        } else if (record.type == RECORD_APPEND) {
            memset(in, 0, bytes);
            return;
        }
    }
    fail();
}

/* As when its segment went after the message had moved, and an older one and a younger one stay. */
static void a_checkpoint_tells_of_those_whose_append_has_gone(void **state)
{
    (void)state;
    uint32_t first, count;
    struct spool *s = spool_with_open_message(2);
    assert_int_equal(join_message(s, 1, 2, 1, &now), OK);
    assert_int_equal(join_message(s, 1, 3, 1, &now), OK);
    make_it_move(s);
    assert_true(is_asked(s, &first, &count));
    answer(s, first, count);
    spool_close(s); /* the checkpoint is there, and what was before it too */
    erase_first_append(&fake.inodes[fake_find(&fake.cache, "0000000000000001.seg")->inode], 1);
    struct spool_config config = small_config();
    s                          = open_spool(&config);
    assert_non_null(s);
    take_all_waiting(s, 4);
    spool_close(s);
}

/* --- format 1 had neither joins nor the flag of an open message, format 2 no cursors --- */

static void make_version(struct fake_inode *inode, uint64_t segment, unsigned version)
{
    struct record record;
    size_t bytes = 0;
    for (size_t at = 0; at + RECORD_ALIGN_BYTES <= inode->bytes; at += bytes) {
        char *in = (char *)inode->cache + at;
        if (record_parse(span_make(in, inode->bytes - at), segment, &record, &bytes, NULL) !=
            RECORD_GOOD) {
            bytes = RECORD_ALIGN_BYTES;
            continue;
        }
        in[3] = (char)version;
        bytes_put64(in + bytes - RECORD_CHECKSUM_BYTES,
                    XXH3_64bits(in, bytes - RECORD_CHECKSUM_BYTES));
    }
}

/* No content: its checksums would have to change as well. */
static void read_version(unsigned version)
{
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    assert_int_equal(put_open_message(s, 1, 0, 2, version > 1, &now), OK);
    if (version > 1)
        assert_int_equal(join_message(s, 1, 2, 1, &now), OK);
    end_rcpt(s, 1, 0);
    spool_close(s);
    make_version(&fake.inodes[fake_find(&fake.cache, "0000000000000001.seg")->inode], 1, version);
    struct spool_config config = small_config();
    s                          = open_spool(&config);
    assert_non_null(s);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.rcpt_count, version > 1 ? 3 : 2);
    assert_int_equal(found.rcpts[0].state, RCPT_ENDED);
    assert_int_equal(found.rcpts[1].state, RCPT_WAITING);
    assert_false(found.entry.is_growing);
    content_release(found.content);
    take_none(s);
    spool_close(s);
}

static void spools_of_the_versions_before_are_read(void **state)
{
    (void)state;
    read_version(1);
    read_version(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_joined_is_found_behind_those_who_were_there),
        cmocka_unit_test(a_message_whose_recipients_had_ended_lives_again),
        cmocka_unit_test(an_open_message_keeps_its_bytes_until_it_is_closed),
        cmocka_unit_test(nobody_joins_after_a_start),
        cmocka_unit_test(a_join_on_its_way_keeps_the_message),
        cmocka_unit_test(a_forgotten_join_lets_the_message_go),
        cmocka_unit_test(a_join_may_be_larger_than_a_record),
        cmocka_unit_test(a_join_of_a_message_that_was_refused_is_refused),
        cmocka_unit_test(nobody_is_asked_before_the_engine_knows_who_joined),
        cmocka_unit_test(who_joins_a_message_that_moves_stays_behind_its_checkpoint),
        cmocka_unit_test(who_joins_while_the_engine_is_asked_is_asked_for_too),
        cmocka_unit_test(a_checkpoint_tells_of_those_whose_append_has_gone),
        cmocka_unit_test(spools_of_the_versions_before_are_read),
    };
    return RUN(tests);
}
