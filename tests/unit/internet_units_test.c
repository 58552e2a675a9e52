/* SPDX-License-Identifier: MIT */
/* The harness's small words: numbers with units, JSON text, command lines. */
#include "bench/json.h"
#include "bench/options.h"
#include "bench/units.h"
#include "tests/unit/check.h"
#include <string.h>

static void durations_sizes_and_shares_have_units(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_true(units_duration(span_of("250"), &value) && value == 250);
    assert_true(units_duration(span_of("250ms"), &value) && value == 250);
    assert_true(units_duration(span_of("3s"), &value) && value == 3000);
    assert_true(units_duration(span_of("2m"), &value) && value == 120000);
    assert_true(units_duration(span_of("5d"), &value) && value == 432000000);
    assert_true(units_size(span_of("4k"), &value) && value == 4096);
    assert_true(units_size(span_of("1G"), &value) && value == 1073741824);
    assert_true(units_share(span_of("30%"), &value) && value == 300000);
    assert_true(units_share(span_of("0.5%"), &value) && value == 5000);
    assert_true(units_share(span_of("100%"), &value) && value == UNITS_SHARE_WHOLE);
}

static void a_rate_is_the_time_from_one_to_the_next(void **state)
{
    (void)state;
    uint64_t ns                      = 7;
    static const char *const wrong[] = {"", "5", "/s", "0/s", "5/", "5/ms", "5/x", "-1/s", "5/s/s"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(units_rate(span_of(wrong[i]), &ns));
    assert_int_equal(ns, 7);
    assert_true(units_rate(span_of("3000/s"), &ns) && ns == 333333);
    assert_true(units_rate(span_of("600/m"), &ns) && ns == 100000000);
    assert_true(units_rate(span_of("1/h"), &ns) && ns == 3600000000000);
}

static void what_is_no_number_leaves_the_value_alone(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "s", "ms", "-1", "1x", " 1", "1 s", "99999999999"};
    uint64_t value                   = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(units_duration(span_of(wrong[i]), &value));
        assert_false(units_size(span_of(wrong[i]), &value));
        assert_false(units_share(span_of(wrong[i]), &value));
    }
    assert_false(units_share(span_of("30"), &value));
    assert_false(units_share(span_of("%"), &value));
    assert_false(units_share(span_of("101%"), &value));
    assert_false(units_share(span_of("100.1%"), &value));
    assert_false(units_share(span_of("1.23456%"), &value));
    assert_int_equal(value, 7);
}

static void check_json(struct span text, const char *wanted)
{
    struct buf out = {0};
    json_string(&out, text);
    assert_string_equal(buf_text(&out), wanted);
    buf_release(&out);
}

static void json_text_is_valid_whatever_the_bytes(void **state)
{
    (void)state;
    check_json(span_of("plain"), "\"plain\"");
    check_json(span_of("a\"b\\c\r\n\t"), "\"a\\\"b\\\\c\\r\\n\\u0009\"");
    check_json(span_make("\0\x7f", 2), "\"\\u0000\\u007f\"");
    check_json(span_of("\xc3\xbc\xf0\x9f\x90\x8e"), "\"\xc3\xbc\xf0\x9f\x90\x8e\"");
    check_json(span_of("\xc3"), "\"\\u00c3\"");
    check_json(span_of("\xc0\x80\xff"), "\"\\u00c0\\u0080\\u00ff\"");
    check_json(span_of("\xed\xa0\x80"), "\"\\u00ed\\u00a0\\u0080\""); /* half a surrogate pair */
    check_json(span_of("\xf4\x90\x80\x80"), "\"\\u00f4\\u0090\\u0080\\u0080\"");
}

static void json_members_are_separated_by_commas(void **state)
{
    (void)state;
    struct buf out = {0};
    buf_put_byte(&out, '{');
    json_number(&out, "n", 3);
    json_text(&out, "t", span_of("{"));
    json_bool(&out, "b", true);
    buf_put_byte(&out, '}');
    assert_string_equal(buf_text(&out), "{\"n\":3,\"t\":\"{\",\"b\":true}");
    buf_release(&out);
}

struct taken {
    bool flag;
    uint64_t number, ms, bytes;
    const char *text;
};

static bool parse(struct taken *taken, char **words, struct buf *error)
{
    const struct option_row rows[] = {
        {"flag",   OPTION_FLAG,     &taken->flag,   NULL,    "f"},
        {"number", OPTION_NUMBER,   &taken->number, "N",     "n"},
        {"time",   OPTION_DURATION, &taken->ms,     "TIME",  "t"},
        {"size",   OPTION_SIZE,     &taken->bytes,  "BYTES", "s"},
        {"text",   OPTION_TEXT,     &taken->text,   "TEXT",  "x"}
    };
    int count = 0;
    while (words[count] != NULL)
        count++;
    return options_parse(rows, sizeof rows / sizeof rows[0], count, words, error);
}

static void options_take_values_in_both_forms(void **state)
{
    (void)state;
    struct taken taken = {0};
    struct buf error   = {0};
    char *words[] = {"--flag", "--number", "3", "--time=2s", "--size", "1k", "--text=a=b", NULL};
    assert_true(parse(&taken, words, &error));
    assert_true(taken.flag && taken.number == 3 && taken.ms == 2000 && taken.bytes == 1024);
    assert_string_equal(taken.text, "a=b");
}

static void wrong_options_are_named(void **state)
{
    (void)state;
    static char *const wrong[] = {"--what", "bare", "--number=x", "--number", "--flag=yes", "-n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct taken taken = {0};
        struct buf error   = {0};
        char *words[]      = {wrong[i], NULL};
        assert_false(parse(&taken, words, &error));
        assert_true(error.len > 0);
        buf_release(&error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_sizes_and_shares_have_units),
        cmocka_unit_test(a_rate_is_the_time_from_one_to_the_next),
        cmocka_unit_test(what_is_no_number_leaves_the_value_alone),
        cmocka_unit_test(json_text_is_valid_whatever_the_bytes),
        cmocka_unit_test(json_members_are_separated_by_commas),
        cmocka_unit_test(options_take_values_in_both_forms),
        cmocka_unit_test(wrong_options_are_named),
    };
    return RUN(tests);
}
