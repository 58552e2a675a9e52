/* SPDX-License-Identifier: MIT */
/* One post in many transactions is one message. */
#include "tests/unit/receive_fixture.h"
#include <stdio.h>

static struct fixture_world world;
static char post[] = "From: a@x.test\r\nDate: Tue, 24 Nov 2026 10:49:27 +0000\r\n"
                     "Message-ID: <post@x.test>\r\nList-Id: <list.x.test>\r\n\r\nbody\r\n";

static int set_up(void **state)
{
    (void)state;
    fixture_world_init(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_world_release(&world);
    return 0;
}

/* What a transaction is made of, beside its recipients. */
struct like {
    struct envelope envelope;
    struct header_trace trace;
    bool is_ours;
    struct span content;
    size_t piece;
};

static struct like likes(void)
{
    return (struct like){
        .envelope = {.sender = "list-bounces@x.test", .envid = ""        },
        .trace    = { .helo = "client.test",       .client_ip = "192.0.2.9", .protocol = "ESMTP"},
        .content  = span_of(post),
        .piece    = 16384
    };
}

static struct intake_mail *begin(const struct like *like, unsigned first, unsigned count)
{
    char address[64];
    struct intake_mail *mail = intake_open(world.intake, &like->envelope);
    for (unsigned i = first; i < first + count; i++) {
        (void)snprintf(address, sizeof address, "u%u@a.example", i);
        struct envelope_rcpt rcpt = {.address = address, .orcpt = ""};
        intake_rcpt(mail, &rcpt);
    }
    assert_int_equal(intake_begin(mail, like->is_ours ? NULL : &like->trace, FIXTURE_WALL_MS), OK);
    return mail;
}

static enum status write_all(struct intake_mail *mail, struct span content, size_t piece)
{
    enum status status = OK;
    for (; status == OK && content.len > 0; content = span_skip(content, piece))
        status = intake_write(mail, span_first(content, piece));
    return status;
}

static void ask(const struct like *like, unsigned first, unsigned count)
{
    struct intake_mail *mail = begin(like, first, count);
    assert_int_equal(write_all(mail, like->content, like->piece), OK);
    intake_commit(mail, NULL, FIXTURE_WALL_MS);
}

static struct intake_done answer(void)
{
    struct intake_done done;
    assert_true(intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS));
    return done;
}

static struct message *hand_over(const struct like *like, unsigned first, unsigned count)
{
    ask(like, first, count);
    fixture_sync(&world, OK);
    struct intake_done done = answer();
    assert_int_equal(done.status, OK);
    assert_int_equal(done.rcpt_count, count);
    struct message *m = queue_find(world.queue, done.id);
    assert_non_null(m);
    return m;
}

static void transactions_of_one_post_are_one_message(void **state)
{
    (void)state;
    struct like like  = likes();
    struct message *m = hand_over(&like, 0, 10);
    unsigned writes   = world.spool.writes;
    for (unsigned i = 1; i < 100; i++)
        assert_ptr_equal(hand_over(&like, i * 10, 10), m);
    assert_int_equal(world.spool.writes, writes);
    assert_int_equal(world.spool.joins, 99);
    assert_int_equal(m->rcpt_count, 1000);
    assert_string_equal(message_rcpt(m, 999)->address, "u999@a.example");
    assert_non_null(strstr(buf_text(&world.log.pending), "\"rcpts\":10,\"joined\":true"));
}

static void what_differs_in_anything_is_a_mail_of_its_own(void **state)
{
    (void)state;
    static char other[sizeof post], without[] = "From: a@x.test\r\n\r\nbody\r\n";
    memcpy(other, post, sizeof post);
    other[sizeof post - 4] = 'Y';
    struct like base       = likes(), all[12];
    for (size_t i = 0; i < 12; i++)
        all[i] = base;
    all[0].envelope.sender     = "other@x.test";
    all[1].envelope.envid      = "QQ314159";
    all[2].envelope.ret        = RET_HDRS;
    all[3].envelope.is_8bit    = true;
    all[4].envelope.needs_utf8 = true;
    all[5].trace.client_ip     = "192.0.2.10";
    all[6].trace.protocol      = "ESMTPS";
    all[7].content             = span_of(other);
    all[8].content             = span_first(base.content, base.content.len - 2);
    all[9].envelope.merge      = MERGE_ALL;
    all[10].envelope.list_id   = 7;
    memcpy(all[11].envelope.verp, "+=", sizeof all[11].envelope.verp);
    struct message *m = hand_over(&base, 0, 1);
    for (unsigned i = 0; i < 12; i++)
        assert_ptr_not_equal(hand_over(&all[i], 1 + i, 1), m);
    assert_int_equal(world.spool.joins, 0);
    assert_ptr_equal(hand_over(&base, 20, 1), m);

    base.content       = span_of(without); /* no Message-ID: two mails that look alike */
    struct message *m2 = hand_over(&base, 0, 1);
    assert_ptr_not_equal(hand_over(&base, 1, 1), m2);
    assert_int_equal(world.spool.joins, 1);
}

static void our_own_mail_joins_nothing(void **state)
{
    (void)state;
    struct like like  = likes();
    like.is_ours      = true;
    struct message *m = hand_over(&like, 0, 1);
    assert_ptr_not_equal(hand_over(&like, 1, 1), m);
    assert_false(m->is_open);
}

static void who_is_in_it_already_gets_it_again_as_another_message(void **state)
{
    (void)state;
    struct like like       = likes();
    struct message *m      = hand_over(&like, 0, 10);
    struct message *second = hand_over(&like, 9, 2); /* u9 once more */
    assert_ptr_not_equal(second, m);
    assert_int_equal(second->rcpt_count, 2);
    assert_ptr_equal(hand_over(&like, 11, 2), second); /* the newest is the one that is joined */
    assert_false(m->is_open);
}

static void a_post_closes_a_while_after_its_last_transaction(void **state)
{
    (void)state;
    struct like like  = likes();
    struct message *m = hand_over(&like, 0, 1);
    fixture_now_ms += 4000;
    (void)intake_turn(world.intake, fixture_now_ms);
    assert_ptr_equal(hand_over(&like, 1, 1), m);
    fixture_now_ms += 4999;
    assert_int_equal(intake_turn(world.intake, fixture_now_ms), fixture_now_ms + 1);
    assert_true(m->is_open);
    fixture_now_ms++;
    assert_true(intake_turn(world.intake, fixture_now_ms) == UINT64_MAX);
    assert_false(m->is_open);
    assert_int_equal(world.spool.closed, 1);
    assert_ptr_not_equal(hand_over(&like, 2, 1), m);
}

static void nothing_joins_when_that_is_switched_off(void **state)
{
    (void)state;
    struct like like       = likes();
    world.settings.join_ms = 0;
    struct message *m      = hand_over(&like, 0, 1);
    assert_false(m->is_open);
    assert_ptr_not_equal(hand_over(&like, 1, 1), m);
}

static void nothing_is_open_after_a_stop(void **state)
{
    (void)state;
    struct like like  = likes();
    struct message *m = hand_over(&like, 0, 1);
    ask(&like, 1, 1); /* one is on its way */
    intake_stop(world.intake);
    assert_true(m->is_open);
    fixture_sync(&world, OK);
    assert_int_equal(answer().id, m->id);
    assert_int_equal(m->rcpt_count, 2);
    assert_false(m->is_open);
    assert_ptr_not_equal(hand_over(&like, 2, 1), m);
}

/* Several connections hand over at once: the second ends before the first is durable. */
static void transactions_join_one_that_is_on_its_way(void **state)
{
    (void)state;
    struct like like         = likes();
    struct intake_mail *slow = begin(&like, 20, 5);
    assert_int_equal(write_all(slow, span_first(like.content, 30), 7), OK);
    ask(&like, 0, 5);
    ask(&like, 5, 5);
    assert_int_equal(write_all(slow, span_skip(like.content, 30), 7), OK);
    intake_commit(slow, NULL, FIXTURE_WALL_MS);
    assert_int_equal(world.spool.joins, 2);
    fixture_sync(&world, OK);
    uint64_t id = answer().id;
    assert_int_equal(answer().id, id);
    assert_int_equal(answer().id, id);
    assert_int_equal(queue_find(world.queue, id)->rcpt_count, 15);
}

static void a_refused_join_leaves_the_message_as_it_was(void **state)
{
    (void)state;
    struct like like  = likes();
    struct message *m = hand_over(&like, 0, 3);
    ask(&like, 3, 3);
    fixture_sync(&world, IO_ERROR);
    assert_int_equal(answer().status, IO_ERROR);
    assert_int_equal(m->rcpt_count, 3);
    assert_false(m->is_open);
    struct message *again = hand_over(&like, 3, 3); /* the client tries again */
    assert_ptr_not_equal(again, m);
    assert_int_equal(again->rcpt_count, 3);
}

static void who_joins_a_refused_message_is_refused(void **state)
{
    (void)state;
    struct like like = likes();
    ask(&like, 0, 3);
    ask(&like, 3, 3);
    fixture_sync(&world, IO_ERROR);
    assert_int_equal(answer().status, IO_ERROR);
    assert_int_equal(answer().status, IO_ERROR);
    assert_int_equal(fixture_messages(&world), 0);
}

/* --- longer than what is held --- */

enum { LONG_BYTES = 400000 };
static char long_post[LONG_BYTES + 1];

static struct like long_like(size_t piece)
{
    struct like like = likes();
    if (long_post[0] == '\0') {
        for (size_t i = 0; i < LONG_BYTES; i++)
            long_post[i] = (char)('a' + (i * 7919 + i / 977) % 26);
        memcpy(long_post, post, sizeof post - 1);
    }
    like.content = span_make(long_post, LONG_BYTES);
    like.piece   = piece;
    return like;
}

static bool content_ends_with(const struct message *m, struct span bytes)
{
    const struct content *content = m->content;
    struct span all               = buf_span(&content->bytes);
    return all.len > bytes.len && span_equals(span_skip(all, all.len - bytes.len), bytes) &&
           memcmp(all.at, "Received:", 9) == 0;
}

static void a_long_content_is_compared_and_not_written_again(void **state)
{
    (void)state;
    static const size_t pieces[] = {65536, 1000, 333333};
    struct like like             = long_like(65536);
    struct message *m            = hand_over(&like, 0, 1);
    assert_true(content_ends_with(m, like.content));
    unsigned writes = world.spool.writes;
    for (unsigned i = 0; i < 3; i++) {
        like.piece = pieces[i];
        assert_ptr_equal(hand_over(&like, 1 + i, 1), m);
    }
    assert_int_equal(world.spool.writes, writes);
}

static void a_long_content_that_differs_at_any_place_is_whole_in_its_own(void **state)
{
    (void)state;
    static char other[LONG_BYTES];
    static const size_t places[] = {200, 131071, 131072, 131073, 262144, LONG_BYTES - 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct like like  = long_like(10000);
        struct message *m = hand_over(&like, 10 * (unsigned)i, 1);
        memcpy(other, long_post, LONG_BYTES);
        other[places[i]] ^= 1;
        like.content       = span_make(other, LONG_BYTES);
        struct message *m2 = hand_over(&like, 10 * (unsigned)i + 1, 1);
        assert_ptr_not_equal(m2, m);
        assert_true(content_ends_with(m2, like.content));
    }
}

static void a_long_content_that_ends_early_or_goes_on_is_whole_in_its_own(void **state)
{
    (void)state;
    static char longer[LONG_BYTES + 100];
    struct like like   = long_like(10000);
    struct message *m  = hand_over(&like, 0, 1);
    like.content       = span_make(long_post, LONG_BYTES - 5);
    struct message *m2 = hand_over(&like, 1, 1);
    assert_ptr_not_equal(m2, m);
    assert_true(content_ends_with(m2, like.content));
    memcpy(longer, long_post, LONG_BYTES);
    memset(longer + LONG_BYTES, 'x', 100);
    like.content = span_make(longer, sizeof longer);
    m2           = hand_over(&like, 2, 1);
    assert_ptr_not_equal(m2, m);
    assert_true(content_ends_with(m2, like.content));
}

/* It closes while the end of another is still to come. */
static void a_long_content_whose_post_has_closed_is_whole_in_its_own(void **state)
{
    (void)state;
    struct like like         = long_like(50000);
    struct message *m        = hand_over(&like, 0, 1);
    struct intake_mail *mail = begin(&like, 1, 1);
    unsigned writes          = world.spool.writes;
    assert_int_equal(write_all(mail, span_first(like.content, 300000), 50000), OK);
    assert_int_equal(world.spool.writes, writes);
    fixture_now_ms += 10000;
    (void)intake_turn(world.intake, fixture_now_ms);
    assert_int_equal(write_all(mail, span_skip(like.content, 300000), 50000), OK);
    intake_commit(mail, NULL, FIXTURE_WALL_MS);
    fixture_sync(&world, OK);
    struct message *m2 = queue_find(world.queue, answer().id);
    assert_ptr_not_equal(m2, m);
    assert_true(content_ends_with(m2, like.content));
}

static void an_aborted_mail_lets_go_of_what_it_was_compared_with(void **state)
{
    (void)state;
    struct like like = long_like(50000);
    (void)hand_over(&like, 0, 1);
    struct intake_mail *mail = begin(&like, 1, 1);
    assert_int_equal(write_all(mail, span_first(like.content, 300000), 50000), OK);
    intake_abort(mail);
    struct intake_mail *held = begin(&like, 1, 1);
    assert_int_equal(write_all(held, span_first(like.content, 3000), 1000), OK);
    intake_abort(held);
}

/* --- bounds --- */

static void too_many_open_posts_close_the_one_unused_the_longest(void **state)
{
    enum { MANY = 4096 };
    (void)state;
    char senders[2][32];
    struct like like       = likes();
    struct message *first  = hand_over(&like, 0, 1);
    like.envelope.sender   = "second@x.test";
    struct message *second = hand_over(&like, 0, 1);
    like                   = likes();
    assert_ptr_equal(hand_over(&like, 1, 1), first);
    for (unsigned i = 0; i < MANY - 1; i++) {
        (void)snprintf(senders[0], sizeof senders[0], "s%u@x.test", i);
        like.envelope.sender = senders[0];
        (void)hand_over(&like, 0, 1);
    }
    assert_false(second->is_open);
    assert_true(first->is_open);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(transactions_of_one_post_are_one_message),
        TEST(what_differs_in_anything_is_a_mail_of_its_own),
        TEST(our_own_mail_joins_nothing),
        TEST(who_is_in_it_already_gets_it_again_as_another_message),
        TEST(a_post_closes_a_while_after_its_last_transaction),
        TEST(nothing_joins_when_that_is_switched_off),
        TEST(nothing_is_open_after_a_stop),
        TEST(transactions_join_one_that_is_on_its_way),
        TEST(a_refused_join_leaves_the_message_as_it_was),
        TEST(who_joins_a_refused_message_is_refused),
        TEST(a_long_content_is_compared_and_not_written_again),
        TEST(a_long_content_that_differs_at_any_place_is_whole_in_its_own),
        TEST(a_long_content_that_ends_early_or_goes_on_is_whole_in_its_own),
        TEST(a_long_content_whose_post_has_closed_is_whole_in_its_own),
        TEST(an_aborted_mail_lets_go_of_what_it_was_compared_with),
        TEST(too_many_open_posts_close_the_one_unused_the_longest),
    };
    return RUN(tests);
}
