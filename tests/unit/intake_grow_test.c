/* SPDX-License-Identifier: MIT */
/* A post whose list comes in slices. */
#include "mta/receive/growth.h"
#include "tests/unit/receive_fixture.h"
#include <stdio.h>

static struct fixture_world world;

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

static void add_rcpts(struct intake_mail *mail, unsigned first, unsigned count)
{
    char address[64];
    for (unsigned i = first; i < first + count; i++) {
        (void)snprintf(address, sizeof address, "u%u@a.example", i);
        struct envelope_rcpt rcpt = {.address = address, .orcpt = "", .data = "id=7"};
        intake_rcpt(mail, &rcpt);
    }
}

static struct intake_done answer(enum status status)
{
    struct intake_done done;
    fixture_sync(&world, status);
    assert_true(intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS));
    assert_int_equal(done.status, status);
    return done;
}

static void turn(uint64_t ms)
{
    struct queue_fact fact;
    fixture_now_ms += ms;
    (void)intake_turn(world.intake, fixture_now_ms);
    (void)queue_turn(world.queue, fixture_now_ms, FIXTURE_WALL_MS);
    while (queue_next_fact(world.queue, &fact))
        if (fact.kind == FACT_MESSAGE_DONE)
            content_release(fact.message->content);
}

static struct intake_mail *ask(unsigned count, uint64_t cursor)
{
    static const struct span content = SPAN("List-Id: <dogs.l.test>\r\n\r\nhi\r\n");
    struct envelope envelope         = {
                .sender = "dogs@l.test", .envid = "", .merge = MERGE_HEADER, .list_id = 3};
    struct intake_mail *mail = intake_open(world.intake, &envelope);
    add_rcpts(mail, 0, count);
    intake_set_cursor(mail, cursor);
    assert_int_equal(intake_begin(mail, NULL, FIXTURE_WALL_MS), OK);
    assert_int_equal(intake_write(mail, content), OK);
    intake_commit(mail, &world, FIXTURE_WALL_MS);
    return mail;
}

static struct message *post(unsigned count, uint64_t cursor)
{
    (void)ask(count, cursor);
    struct intake_done done = answer(OK);
    assert_int_equal(done.cursor, cursor);
    assert_ptr_equal(done.owner, &world);
    return queue_find(world.queue, done.id);
}

static void ask_to_grow(const struct message *m, unsigned count, uint64_t cursor)
{
    struct intake_mail *mail = intake_open_slice(world.intake, m->id);
    assert_non_null(mail);
    add_rcpts(mail, m->rcpt_count, count);
    intake_set_cursor(mail, cursor);
    intake_commit(mail, &world, FIXTURE_WALL_MS);
}

static void a_post_grows_slice_by_slice(void **state)
{
    (void)state;
    struct message *m = post(3, 100);
    assert_true(world.spool.entry.is_growing && world.spool.entry.is_open);
    assert_int_equal(world.spool.entry.cursor, 100);
    assert_true(m->is_open && !m->is_report);
    assert_string_equal(message_flow(m), "dogs.l.test");
    assert_int_equal(m->envelope.list_id, 3);

    ask_to_grow(m, 2, 200);
    assert_int_equal(intake_slice_room(world.intake, m->id), 0); /* one at a time */
    assert_null(intake_open_slice(world.intake, m->id));
    struct intake_done done = answer(OK);
    assert_true(done.id == m->id && done.rcpt_count == 2 && done.cursor == 200);
    assert_ptr_equal(done.owner, &world);
    assert_int_equal(world.spool.cursor, 200);
    assert_int_equal(m->rcpt_count, 5);
    assert_string_equal(recipient_envelope(message_rcpt(m, 4)).data, "id=7");
    assert_true(intake_is_growing(world.intake, m->id));

    ask_to_grow(m, 1, SPOOL_CURSOR_DONE);
    (void)answer(OK);
    assert_int_equal(m->rcpt_count, 6);
    assert_false(m->is_open);
    assert_int_equal(world.spool.closed, 1);
    assert_false(intake_is_growing(world.intake, m->id));
    assert_null(intake_open_slice(world.intake, m->id));
}

static void a_list_that_fits_is_ordinary_mail(void **state)
{
    (void)state;
    struct message *m = post(3, SPOOL_CURSOR_DONE);
    assert_false(m->is_open);
    assert_false(world.spool.entry.is_growing);
    assert_false(intake_is_growing(world.intake, m->id));
}

static void the_last_slice_may_be_empty(void **state)
{
    (void)state;
    struct message *m = post(1, 100);
    buf_clear(&world.log.pending);
    ask_to_grow(m, 0, SPOOL_CURSOR_DONE);
    (void)answer(OK);
    assert_false(m->is_open);
    assert_int_equal(m->rcpt_count, 1);
    assert_int_equal(world.log.pending.len, 0); /* nobody was accepted */
}

static void a_refused_slice_may_be_asked_for_again(void **state)
{
    (void)state;
    struct message *m = post(1, 100);
    ask_to_grow(m, 2, 200);
    (void)answer(NO_SPACE);
    assert_int_equal(m->rcpt_count, 1);
    ask_to_grow(m, 2, 200);
    (void)answer(OK);
    assert_int_equal(m->rcpt_count, 3);
}

static void a_refused_post_does_not_grow(void **state)
{
    (void)state;
    (void)ask(1, 100);
    struct intake_done done = answer(IO_ERROR);
    assert_false(intake_is_growing(world.intake, done.id));
}

static void a_forgotten_slice_leaves_it_as_it_was(void **state)
{
    (void)state;
    struct message *m = post(1, 100);
    intake_abort(intake_open_slice(world.intake, m->id));
    assert_int_equal(intake_slice_room(world.intake, m->id), GROWTH_SLICE_RCPTS_MAX);
}

static void it_waits_for_the_queue(void **state)
{
    (void)state;
    struct message *m = post(1, 1);
    unsigned slices   = 0;
    for (; intake_slice_room(world.intake, m->id) > 0; slices++) {
        ask_to_grow(m, GROWTH_SLICE_RCPTS_MAX, 2 + slices);
        (void)answer(OK);
    }
    assert_true(m->rcpt_count >= GROWTH_MOVING_RCPTS_MAX);
    assert_true(m->rcpt_count < GROWTH_MOVING_RCPTS_MAX + GROWTH_SLICE_RCPTS_MAX);
    turn(GROWTH_PATIENCE_MS - 1);
    assert_int_equal(intake_slice_room(world.intake, m->id), 0);
    turn(1); /* they may be stuck, and the rest of the list is not */
    assert_true(intake_slice_room(world.intake, m->id) > 0);
    world.settings.memory_bytes_max = 1;
    assert_int_equal(intake_slice_room(world.intake, m->id), 0);
    world.settings.memory_bytes_max = 1U << 30;
    world.spool.has_no_room         = true;
    assert_int_equal(intake_slice_room(world.intake, m->id), 0);
    world.spool.has_no_room = false;
}

static void what_a_start_finds_is_told_once(void **state)
{
    (void)state;
    struct intake_growing growing;
    struct envelope envelope = {.sender = "dogs@l.test", .envid = "", .list_id = 3};
    struct envelope_rcpt to  = {.address = "u@a.example", .orcpt = ""};
    assert_false(intake_next_growing(world.intake, &growing));
    struct message *m = message_new(77, &envelope);
    (void)message_add_rcpt(m, &to);
    struct content *content = mem_new(sizeof *content);
    content->refs           = 1;
    m->content              = content;
    m->is_open              = true;
    queue_accept(world.queue, m, FIXTURE_EXPIRE_MS, NULL, fixture_now_ms);
    intake_note_growing(world.intake, m, 4711);
    assert_true(intake_next_growing(world.intake, &growing));
    assert_true(growing.id == 77 && growing.cursor == 4711);
    assert_int_equal(growing.message->envelope.list_id, 3);
    assert_false(intake_next_growing(world.intake, &growing));
    ask_to_grow(m, 1, SPOOL_CURSOR_DONE);
    (void)answer(OK);
    assert_int_equal(m->rcpt_count, 2);
}

static void one_that_was_cancelled_ends(void **state)
{
    (void)state;
    struct selector selector;
    struct buf error  = {0};
    struct message *m = post(1, 100), *other = post(1, 100);
    selector_init(&selector);
    selector.id = m->id;
    assert_int_equal(
        queue_command(world.queue, QUEUE_CANCEL, &selector, false, fixture_now_ms, FIXTURE_WALL_MS),
        1);
    assert_false(intake_is_growing(world.intake, m->id));
    assert_true(intake_is_growing(world.intake, other->id));
    assert_null(intake_open_slice(world.intake, m->id));
    turn(1);
    struct intake_done done = answer(OK);
    assert_true(done.id == m->id && done.owner == NULL && done.cursor == SPOOL_CURSOR_DONE);
    turn(1);
    assert_null(queue_find(world.queue, done.id));
    buf_release(&error);
}

static void who_is_cancelled_alone_does_not_end_the_rest(void **state)
{
    (void)state;
    struct selector selector;
    struct buf error  = {0};
    struct message *m = post(2, 100);
    selector_init(&selector);
    assert_true(selector_add(&selector, span_of("to=u0@a.example"), &error));
    assert_int_equal(
        queue_command(world.queue, QUEUE_CANCEL, &selector, false, fixture_now_ms, FIXTURE_WALL_MS),
        1);
    assert_true(intake_is_growing(world.intake, m->id));
    buf_release(&error);
}

static void one_that_has_expired_ends(void **state)
{
    (void)state;
    struct message *m = post(1, 100);
    uint64_t id       = m->id;
    turn(FIXTURE_EXPIRE_MS);
    assert_false(intake_is_growing(world.intake, id));
    turn(1);
    struct intake_done done = answer(OK);
    assert_int_equal(done.cursor, SPOOL_CURSOR_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_post_grows_slice_by_slice),  TEST(a_list_that_fits_is_ordinary_mail),
        TEST(the_last_slice_may_be_empty),  TEST(a_refused_slice_may_be_asked_for_again),
        TEST(a_refused_post_does_not_grow), TEST(a_forgotten_slice_leaves_it_as_it_was),
        TEST(it_waits_for_the_queue),       TEST(what_a_start_finds_is_told_once),
        TEST(one_that_was_cancelled_ends),  TEST(who_is_cancelled_alone_does_not_end_the_rest),
        TEST(one_that_has_expired_ends),
#undef TEST
    };
    return RUN(tests);
}
