/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/smtp/ext.h"

static void each_keyword_is_found_by_its_text(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SMTP_EXT_COUNT; i++) {
        const char *keyword = smtp_ext_keyword((enum smtp_ext_index)i);
        assert_int_equal(smtp_ext_bit(span_of(keyword)), 1U << i);
    }
}

static void keywords_know_no_case(void **state)
{
    (void)state;
    assert_int_equal(smtp_ext_bit(span_of("pipeLining")), SMTP_EXT_PIPELINING);
    assert_int_equal(smtp_ext_bit(span_of("8bitmime")), SMTP_EXT_8BITMIME);
}

static void other_keywords_are_none(void **state)
{
    static const char *const others[] = {"", "X", "PIPELININGS", "PIPELINING ", "SIZ", "ETRN"};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(smtp_ext_bit(span_of(others[i])), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_keyword_is_found_by_its_text),
        cmocka_unit_test(keywords_know_no_case),
        cmocka_unit_test(other_keywords_are_none),
    };
    return RUN(tests);
}
