/* SPDX-License-Identifier: MIT */
#include "mta/base/buf.h"
#include "tests/unit/check.h"
#include <string.h>

static void a_zeroed_buf_is_empty(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_int_equal(buf_span(&b).len, 0);
    assert_non_null(buf_span(&b).at);
    assert_string_equal(buf_text(&b), "");
    buf_drop(&b, 0);
    buf_release(&b);
    buf_release(&b);
    buf_init(&b);
    assert_int_equal(b.cap, 0);
}

static void bytes_stay_as_the_buf_grows(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 100000; i++)
        buf_put_byte(&b, (char)(i % 251));
    assert_int_equal(b.len, 100000);
    for (int i = 0; i < 100000; i++)
        if (b.at[i] != (char)(i % 251))
            fail_msg("byte %d", i);
    assert_true(b.cap < 300000);
    buf_release(&b);
}

static void every_way_to_put_appends(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_text(&b, "250");
    buf_put_byte(&b, ' ');
    buf_put(&b, (struct span)SPAN("2.0.0"));
    buf_put(&b, (struct span){NULL, 0});
    buf_printf(&b, " %s %d%c", "queued", 7, '!');
    memcpy(buf_reserve(&b, 2), "\r\n", 2);
    b.len += 2;
    assert_string_equal(buf_text(&b), "250 2.0.0 queued 7!\r\n");
    assert_int_equal(b.len, 21);
    buf_release(&b);
}

static void printf_fits_at_every_length(void **state)
{
    (void)state;
    char text[300];
    for (int n = 0; n < 299; n++) {
        struct buf b = {0};
        memset(text, 'x', sizeof text);
        text[n] = '\0';
        buf_printf(&b, "%s", text);
        assert_int_equal(b.len, n);
        assert_string_equal(buf_text(&b), text);
        buf_release(&b);
    }
}

static void dropping_takes_from_the_front(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_text(&b, "abcdef");
    buf_drop(&b, 2);
    assert_string_equal(buf_text(&b), "cdef");
    buf_drop(&b, 4);
    assert_int_equal(b.len, 0);
    buf_put_text(&b, "again");
    assert_string_equal(buf_text(&b), "again");
    buf_release(&b);
}

static void clearing_keeps_the_memory(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_text(&b, "some text");
    const char *at = b.at;
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    buf_put_text(&b, "other");
    assert_ptr_equal(b.at, at);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_buf_is_empty),
        cmocka_unit_test(bytes_stay_as_the_buf_grows),
        cmocka_unit_test(every_way_to_put_appends),
        cmocka_unit_test(printf_fits_at_every_length),
        cmocka_unit_test(dropping_takes_from_the_front),
        cmocka_unit_test(clearing_keeps_the_memory),
    };
    return RUN(tests);
}
