/* SPDX-License-Identifier: MIT */
#include "mta/queue/batch.h"
#include "tests/unit/check.h"

enum { COUNT = 5 };

static struct message *a_message(void)
{
    struct envelope envelope  = {.sender = "", .envid = ""};
    struct envelope_rcpt rcpt = {.address = "u@a.example", .orcpt = ""};
    struct message *m         = message_new(1, &envelope);
    for (size_t i = 0; i < COUNT; i++)
        (void)message_add_rcpt(m, &rcpt);
    return m;
}

static struct batch *full_batch(struct message *m)
{
    struct batch *b = batch_new(m, NULL);
    for (size_t i = 0; i < COUNT; i++)
        batch_push(b, &m->rcpts[i]);
    return b;
}

static void empty_and_free(struct batch *b)
{
    while (batch_pop(b) != NULL)
        continue;
    batch_free(b);
}

static void recipients_leave_in_the_order_they_came(void **state)
{
    (void)state;
    struct message *m = a_message();
    struct batch *b   = full_batch(m);
    for (size_t i = 0; i < COUNT; i++) {
        assert_ptr_equal(m->rcpts[i].batch, b);
        assert_ptr_equal(batch_pop(b), &m->rcpts[i]);
        assert_null(m->rcpts[i].batch);
    }
    assert_null(batch_pop(b));
    assert_int_equal(b->count, 0);
    batch_push(b, &m->rcpts[3]); /* usable again */
    assert_ptr_equal(batch_pop(b), &m->rcpts[3]);
    batch_free(b);
    message_free(m);
}

static void the_first_move_and_the_rest_stay(void **state)
{
    (void)state;
    struct message *m = a_message();
    struct batch *b = full_batch(m), *part = batch_new(m, NULL);
    batch_move_first(b, part, 2);
    assert_int_equal(b->count, 3);
    assert_int_equal(part->count, 2);
    assert_ptr_equal(m->rcpts[1].batch, part);
    assert_ptr_equal(m->rcpts[2].batch, b);
    assert_ptr_equal(batch_first(part), &m->rcpts[0]);
    assert_ptr_equal(batch_next(part, &m->rcpts[0]), &m->rcpts[1]);
    assert_null(batch_next(part, &m->rcpts[1]));
    batch_move_first(b, part, 3);
    assert_null(batch_first(b));
    for (size_t i = 0; i < COUNT; i++)
        assert_ptr_equal(batch_next(part, &m->rcpts[i]), i == COUNT - 1 ? NULL : &m->rcpts[i + 1]);
    batch_free(b);
    empty_and_free(part);
    message_free(m);
}

static void a_batch_goes_from_place_to_place_by_way_of_nowhere(void **state)
{
    (void)state;
    struct message *m = a_message();
    struct batch *b   = full_batch(m);
    for (unsigned place = BATCH_UNROUTED; place < BATCH_STATES; place++) {
        batch_set_state(b, (enum batch_state)place);
        batch_set_state(b, BATCH_NOWHERE);
    }
    assert_int_equal(b->state, BATCH_NOWHERE);
    empty_and_free(b);
    message_free(m);
}

static void a_message_knows_its_batches(void **state)
{
    (void)state;
    struct message *m = a_message();
    struct batch *b = batch_new(m, NULL), *c = batch_new(m, NULL);
    uint32_t at = 0;
    assert_null(message_next_batch(m, &at));
    batch_push(c, &m->rcpts[1]);
    batch_push(b, &m->rcpts[2]);
    batch_push(c, &m->rcpts[4]);
    at = 0;
    assert_ptr_equal(message_next_batch(m, &at), c);
    while (batch_pop(c) != NULL)
        continue; /* what was given may be taken apart */
    assert_ptr_equal(message_next_batch(m, &at), b);
    assert_null(message_next_batch(m, &at));
    batch_free(c);
    empty_and_free(b);
    message_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recipients_leave_in_the_order_they_came),
        cmocka_unit_test(the_first_move_and_the_rest_stay),
        cmocka_unit_test(a_batch_goes_from_place_to_place_by_way_of_nowhere),
        cmocka_unit_test(a_message_knows_its_batches),
    };
    return RUN(tests);
}
