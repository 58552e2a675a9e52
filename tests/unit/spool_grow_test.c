/* SPDX-License-Identifier: MIT */
/* A message that grows from a list: how far is as durable as who.  Crashes: spool_recover_test. */
#include "tests/unit/spool_fixture.h"

enum { BYTES = 10000 };

static uint64_t now;

static struct spool *opened(void)
{
    struct spool_config config = small_config();
    struct spool *s            = open_spool(&config);
    assert_non_null(s);
    return s;
}

static struct spool *fresh_spool(void)
{
    fake_reset();
    now = 1000;
    return opened();
}

static struct spool *reopened(struct spool *s)
{
    spool_close(s);
    return opened();
}

static uint64_t live_bytes(const struct spool *s)
{
    struct spool_stats stats;
    spool_stats(s, &stats);
    return stats.bytes_live;
}

static enum status taken(struct spool *s, struct draft *d)
{
    enum status status = IO_ERROR;
    struct content *content;
    assert_ptr_equal(settled(s, &status, &content, &now), d);
    if (content != NULL)
        content_release(content);
    draft_abort(d);
    return status;
}

static void put_growing(struct spool *s, uint64_t id, size_t rcpts, uint64_t cursor)
{
    struct spool_entry entry = entry_of(id);
    struct draft *d          = draft_open(s);
    entry.is_open = entry.is_growing = true;
    entry.cursor                     = cursor;
    write_content(d, id, BYTES, 1500);
    commit_entry(d, &entry, rcpts, NULL, 0);
    assert_int_equal(taken(s, d), OK);
}

static struct draft *ask_to_grow(struct spool *s, uint64_t id, size_t first, size_t rcpts,
                                 uint64_t cursor)
{
    struct envelope_rcpt to[8];
    char texts[8][64];
    assert_true(rcpts <= 8);
    struct draft *d = draft_open(s);
    for (size_t i = 0; i < rcpts; i++)
        to[i] = (struct envelope_rcpt){
            .address = rcpt_address(id, first + i, texts[i]), .orcpt = "", .data = "id=7"};
    draft_grow(d, id, to, rcpts, cursor);
    return d;
}

static enum status grow(struct spool *s, uint64_t id, size_t first, size_t rcpts, uint64_t cursor)
{
    return taken(s, ask_to_grow(s, id, first, rcpts, cursor));
}

/* Message 1 is the only one, its states 'w' or 'e' each. */
static void take_one(struct spool *s, const char *states, uint64_t cursor)
{
    struct spool_recovered found;
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 1);
    assert_int_equal(found.rcpt_count, strlen(states));
    for (size_t i = 0; i < found.rcpt_count; i++)
        assert_int_equal(found.rcpts[i].state == RCPT_ENDED, states[i] == 'e');
    assert_true(content_is(found.content, 1, BYTES));
    content_release(found.content);
    assert_int_equal(found.entry.is_growing, cursor != SPOOL_CURSOR_DONE);
    assert_int_equal(found.entry.is_open, cursor != SPOOL_CURSOR_DONE);
    assert_int_equal(found.entry.cursor, cursor);
    assert_false(spool_take_recovered(s, &found));
}

static void take_none(struct spool *s)
{
    struct spool_recovered found;
    assert_false(spool_take_recovered(s, &found));
}

static void it_goes_on_after_a_start_where_it_was(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    put_growing(s, 1, 1, 5);
    s = reopened(s);
    take_one(s, "w", 5);
    assert_int_equal(grow(s, 1, 1, 2, 9), OK);
    s = reopened(s);
    take_one(s, "www", 9);
    assert_int_equal(grow(s, 1, 3, 1, SPOOL_CURSOR_DONE), OK);
    spool_close_message(s, 1);
    s = reopened(s);
    take_one(s, "wwww", SPOOL_CURSOR_DONE);
    for (uint32_t i = 0; i < 4; i++)
        end_rcpt(s, 1, i);
    s = reopened(s);
    take_none(s);
    assert_int_equal(live_bytes(s), 0);
    spool_close(s);
}

static void it_stays_while_more_may_come(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    put_growing(s, 1, 2, 5);
    end_rcpt(s, 1, 0);
    end_rcpt(s, 1, 1);
    s = reopened(s);
    take_one(s, "ee", 5);
    now = settle(s, now);
    assert_true(live_bytes(s) > BYTES);
    assert_int_equal(grow(s, 1, 2, 0, 6), OK); /* nobody in this part of the list */
    s = reopened(s);
    take_one(s, "ee", 6);
    assert_int_equal(grow(s, 1, 2, 1, 7), OK);
    s = reopened(s);
    take_one(s, "eew", 7);
    spool_close(s);
}

static void the_last_slice_may_be_empty(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    put_growing(s, 1, 1, 5);
    end_rcpt(s, 1, 0);
    assert_int_equal(grow(s, 1, 1, 0, SPOOL_CURSOR_DONE), OK);
    assert_true(live_bytes(s) > BYTES);
    spool_close_message(s, 1);
    assert_int_equal(live_bytes(s), 0);
    s = reopened(s);
    take_none(s);
    spool_close(s);
}

static void a_refused_slice_leaves_it_as_it_was(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    put_growing(s, 1, 1, 5);
    now             = settle(s, now);
    struct draft *d = ask_to_grow(s, 1, 1, 2, 9);
    fake_fail_at(1, IO_ERROR, false);
    assert_int_not_equal(taken(s, d), OK);
    assert_int_equal(grow(s, 1, 1, 1, 8), OK);
    s = reopened(s);
    take_one(s, "ww", 8);
    spool_close(s);
}

static void recipients_keep_their_data(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    put_growing(s, 1, 1, 5);
    assert_int_equal(grow(s, 1, 1, 1, 6), OK);
    s = reopened(s);
    assert_true(spool_take_recovered(s, &found));
    assert_string_equal(found.rcpts[0].envelope.data, "");
    assert_string_equal(found.rcpts[1].envelope.data, "id=7");
    content_release(found.content);
    spool_close(s);
}

/* --- files go --- */

enum { OTHERS_FROM = 100, OTHERS = 40 };

static void put_others(struct spool *s, uint64_t from)
{
    for (uint64_t id = from; id < from + OTHERS; id++)
        assert_int_equal(put_message(s, id, BYTES, 1, &now), OK);
}

static void end_others(struct spool *s, uint64_t from)
{
    for (uint64_t id = from; id < from + OTHERS; id++)
        end_rcpt(s, id, 0);
    for (int i = 0; i < 50; i++)
        now = settle(s, now + 20);
}

/* Two recipients wait. */
static void answer_all(struct spool *s)
{
    char texts[2][64];
    const uint32_t indexes[2] = {0, 1};
    struct spool_rcpt rows[2];
    uint64_t id;
    uint32_t first, count;
    for (uint32_t i = 0; i < 2; i++)
        rows[i] = (struct spool_rcpt){
            .envelope = {.address = rcpt_address(1, i, texts[i]), .orcpt = ""},
            .last     = {.text = "",              .mx = ""              }
        };
    assert_true(spool_wants_checkpoint(s, &id, &first, &count));
    assert_true(id == 1 && first == 0 && count == 2);
    spool_put_checkpoint(s, id, indexes, rows, 2);
    for (int i = 0; i < 50; i++)
        now = settle(s, now + 20);
}

static void it_moves_with_the_cursor_it_has_come_to(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    put_growing(s, 1, 1, 5);
    assert_int_equal(grow(s, 1, 1, 1, 77), OK);
    put_others(s, OTHERS_FROM);
    end_others(s, OTHERS_FROM);
    answer_all(s);
    assert_true(fake_find(&fake.cache, "0000000000000001.seg") == NULL);
    s = reopened(s);
    take_one(s, "ww", 77);
    assert_int_equal(grow(s, 1, 2, 1, 78), OK);
    s = reopened(s);
    take_one(s, "www", 78);
    spool_close(s);
}

static void a_refused_slice_is_not_in_its_checkpoint(void **state)
{
    (void)state;
    struct spool *s = fresh_spool();
    put_growing(s, 1, 2, 5);
    now             = settle(s, now);
    struct draft *d = ask_to_grow(s, 1, 2, 1, 9);
    fake_fail_at(1, IO_ERROR, false);
    assert_int_not_equal(taken(s, d), OK);
    put_others(s, OTHERS_FROM);
    end_others(s, OTHERS_FROM);
    answer_all(s);
    s = reopened(s);
    take_one(s, "ww", 5);
    spool_close(s);
}

/* The commit, in the first file, stays for the sake of another message; the slice that was the last
 * stands in a file of which nobody needs anything else. */
static void the_end_of_growth_outlives_its_beginning(void **state)
{
    (void)state;
    struct spool_recovered found;
    struct spool *s = fresh_spool();
    put_growing(s, 1, 1, 5);
    assert_int_equal(put_message(s, 2, BYTES, 1, &now), OK);
    end_rcpt(s, 1, 0);
    put_others(s, OTHERS_FROM);
    assert_int_equal(grow(s, 1, 1, 0, SPOOL_CURSOR_DONE), OK);
    spool_close_message(s, 1);
    for (uint64_t id = 50; id < 60; id++) {
        assert_int_equal(put_message(s, id, BYTES, 1, &now), OK);
        end_rcpt(s, id, 0);
    }
    for (uint64_t id = OTHERS_FROM; id < OTHERS_FROM + OTHERS; id++)
        end_rcpt(s, id, 0);
    for (int i = 0; i < 50; i++)
        now = settle(s, now + 20);
    for (int i = 0; i < 3; i++) {
        assert_non_null(fake_find(&fake.cache, "0000000000000001.seg"));
        s = reopened(s);
        assert_true(spool_take_recovered(s, &found));
        assert_int_equal(found.entry.id, 2);
        content_release(found.content);
        take_none(s);
        now = settle(s, now + 20); /* what is dead goes */
    }
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_on_after_a_start_where_it_was),
        cmocka_unit_test(it_stays_while_more_may_come),
        cmocka_unit_test(the_last_slice_may_be_empty),
        cmocka_unit_test(a_refused_slice_leaves_it_as_it_was),
        cmocka_unit_test(recipients_keep_their_data),
        cmocka_unit_test(it_moves_with_the_cursor_it_has_come_to),
        cmocka_unit_test(a_refused_slice_is_not_in_its_checkpoint),
        cmocka_unit_test(the_end_of_growth_outlives_its_beginning),
    };
    return RUN(tests);
}
