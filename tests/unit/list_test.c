/* SPDX-License-Identifier: MIT */
#include "mta/base/list.h"
#include "tests/unit/check.h"

enum { THINGS = 5 };

struct thing {
    int number;
    struct list link;
};

static struct thing *thing_of(struct list *link)
{
    return CONTAINER_OF(link, struct thing, link);
}

static void number_things(struct thing *things)
{
    for (int i = 0; i < THINGS; i++)
        things[i] = (struct thing){.number = i};
}

/* "01234", read forwards and backwards */
static void expect(const struct list *head, const char *numbers)
{
    char seen[THINGS + 1] = {0};
    size_t count          = 0;
    for (struct list *n = list_first(head); n != NULL; n = list_next(head, n)) {
        assert_true(count < THINGS);
        assert_ptr_equal(n->next->prev, n);
        assert_ptr_equal(n->prev->next, n);
        seen[count++] = (char)('0' + thing_of(n)->number);
    }
    assert_string_equal(seen, numbers);
    assert_int_equal(list_is_empty(head), count == 0);
}

static void a_zeroed_list_is_empty_and_usable(void **state)
{
    (void)state;
    struct list head = {0};
    struct thing things[THINGS];
    number_things(things);
    assert_true(list_is_empty(&head));
    assert_null(list_first(&head));
    assert_null(list_take(&head));
    list_push(&head, &things[0].link);
    expect(&head, "0");
    struct list other = {0};
    list_push_front(&other, &things[1].link);
    expect(&other, "1");
}

static void a_list_keeps_its_order(void **state)
{
    (void)state;
    struct list head;
    struct thing things[THINGS];
    number_things(things);
    list_init(&head);
    list_push(&head, &things[1].link);
    list_push(&head, &things[2].link);
    list_push_front(&head, &things[0].link);
    expect(&head, "012");
    assert_int_equal(thing_of(list_take(&head))->number, 0);
    expect(&head, "12");
}

static void removing_twice_does_nothing(void **state)
{
    (void)state;
    struct list head;
    struct thing things[THINGS];
    number_things(things);
    list_init(&head);
    for (int i = 0; i < THINGS; i++)
        list_push(&head, &things[i].link);
    assert_true(list_is_linked(&things[2].link));
    list_remove(&things[2].link);
    assert_false(list_is_linked(&things[2].link));
    list_remove(&things[2].link);
    expect(&head, "0134");
    struct list zeroed = {0};
    assert_false(list_is_linked(&zeroed));
    list_remove(&zeroed);
    assert_false(list_is_linked(&zeroed));
}

static void moving_is_from_anywhere_to_the_end(void **state)
{
    (void)state;
    struct list a = {0}, b = {0};
    struct thing things[THINGS];
    number_things(things);
    list_push(&a, &things[0].link);
    list_push(&a, &things[1].link);
    list_move(&b, &things[0].link);
    list_move(&b, &things[2].link);
    list_move(&b, &things[0].link);
    expect(&a, "1");
    expect(&b, "20");
}

static void splicing_moves_all(void **state)
{
    (void)state;
    struct list a = {0}, b = {0};
    struct thing things[THINGS];
    number_things(things);
    list_splice(&a, &b);
    expect(&a, "");
    list_push(&b, &things[0].link);
    list_push(&b, &things[1].link);
    list_splice(&a, &b);
    expect(&a, "01");
    expect(&b, "");
    list_push(&b, &things[2].link);
    list_splice(&a, &b);
    expect(&a, "012");
    list_splice(&a, &b);
    expect(&a, "012");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_list_is_empty_and_usable),
        cmocka_unit_test(a_list_keeps_its_order),
        cmocka_unit_test(removing_twice_does_nothing),
        cmocka_unit_test(moving_is_from_anywhere_to_the_end),
        cmocka_unit_test(splicing_moves_all),
    };
    return RUN(tests);
}
