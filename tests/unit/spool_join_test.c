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

/* --- format 1 had neither joins nor the flag of an open message --- */

static void make_version_1(struct fake_inode *inode, uint64_t segment)
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
        in[3] = 1;
        bytes_put64(in + bytes - RECORD_CHECKSUM_BYTES,
                    XXH3_64bits(in, bytes - RECORD_CHECKSUM_BYTES));
    }
}

/* No content: its checksums would have to change as well. */
static void a_spool_of_the_version_before_is_read(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    assert_int_equal(put_message(s, 1, 0, 2, &now), OK);
    end_rcpt(s, 1, 0);
    spool_close(s);
    make_version_1(&fake.inodes[fake_find(&fake.cache, "0000000000000001.seg")->inode], 1);
    struct spool_config config = small_config();
    s                          = open_spool(&config);
    assert_non_null(s);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.rcpt_count, 2);
    assert_int_equal(found.rcpts[0].state, RCPT_ENDED);
    assert_int_equal(found.rcpts[1].state, RCPT_WAITING);
    content_release(found.content);
    take_none(s);
    spool_close(s);
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
        cmocka_unit_test(a_spool_of_the_version_before_is_read),
    };
    return RUN(tests);
}
