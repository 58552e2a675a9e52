/* SPDX-License-Identifier: MIT */
#include "mta/receive/prints.h"
#include "tests/unit/check.h"
#include <stdio.h>

static void one_mailbox_has_one_print(void **state)
{
    (void)state;
    assert_true(print_of(span_of("User@A.example"), 1) == print_of(span_of("User@a.EXAMPLE"), 1));
    assert_true(print_of(span_of("User@a.example"), 1) != print_of(span_of("user@a.example"), 1));
    assert_true(print_of(span_of("user@a.example"), 1) != print_of(span_of("user@b.example"), 1));
    assert_true(print_of(span_of("user@a.example"), 1) != print_of(span_of("user@a.example"), 2));
}

static void what_was_added_is_in_and_nothing_else(void **state)
{
    enum { MANY = 100000 };
    (void)state;
    struct prints prints = {0};
    char text[64];
    assert_false(prints_hold(&prints, 7));
    for (unsigned i = 0; i < 2 * MANY; i++) {
        (void)snprintf(text, sizeof text, "u%u@d%u.example", i, i % 7);
        assert_false(prints_hold(&prints, print_of(span_of(text), 3)));
        if (i < MANY)
            prints_add(&prints, print_of(span_of(text), 3));
    }
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(text, sizeof text, "u%u@d%u.example", i, i % 7);
        assert_true(prints_hold(&prints, print_of(span_of(text), 3)));
        prints_add(&prints, print_of(span_of(text), 3)); /* it is in already */
    }
    assert_int_equal(prints.count, MANY);
    assert_true(prints_memory(&prints) <= (size_t)MANY * 24);
    prints_release(&prints);
    assert_int_equal(prints.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_mailbox_has_one_print),
        cmocka_unit_test(what_was_added_is_in_and_nothing_else),
    };
    return RUN(tests);
}
