/* SPDX-License-Identifier: MIT */
#include "mta/control/value.h"
#include "tests/unit/check.h"

static void durations_have_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"0s",    0        },
        {"500ms", 500      },
        {"90s",   90000    },
        {"5m",    300000   },
        {"4h",    14400000 },
        {"5d",    432000000}
    };
    static const char *const bad[] = {
        "", "5", "m", "5 m", "-5m", "5w", "1.5h", "99999999999999999999d", "18446744073709551615d"};
    uint64_t ms = 1;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(value_duration(span_of(good[i].text), &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(value_duration(span_of(bad[i]), &ms));
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    assert_true(value_size(span_of("512"), &bytes) && bytes == 512);
    assert_true(value_size(span_of("64k"), &bytes) && bytes == 65536);
    assert_true(value_size(span_of("40M"), &bytes) && bytes == 41943040);
    assert_true(value_size(span_of("1G"), &bytes) && bytes == 1073741824);
    assert_false(value_size(span_of("1T"), &bytes));
    assert_false(value_size(span_of("k"), &bytes));
}

static void rates_are_per_hour(void **state)
{
    (void)state;
    uint64_t rate = 1;
    assert_true(value_rate(span_of("100/s"), &rate) && rate == 360000);
    assert_true(value_rate(span_of("10/m"), &rate) && rate == 600);
    assert_true(value_rate(span_of("500/h"), &rate) && rate == 500);
    assert_true(value_rate(span_of("none"), &rate) && rate == 0);
    assert_false(value_rate(span_of("0/s"), &rate));
    assert_false(value_rate(span_of("5"), &rate));
}

static void percentages_stay_in_range(void **state)
{
    (void)state;
    unsigned percent = 1;
    assert_true(value_percent(span_of("0%"), 50, &percent) && percent == 0);
    assert_true(value_percent(span_of("50%"), 50, &percent) && percent == 50);
    assert_false(value_percent(span_of("51%"), 50, &percent));
    assert_false(value_percent(span_of("%"), 50, &percent));
    assert_false(value_percent(span_of("5"), 50, &percent));
}

static void booleans_have_six_words(void **state)
{
    (void)state;
    bool value = false;
    assert_true(value_bool(span_of("yes"), &value) && value);
    assert_true(value_bool(span_of("off"), &value) && !value);
    assert_false(value_bool(span_of("1"), &value));
}

static void a_distance_counts_changed_letters(void **state)
{
    (void)state;
    assert_int_equal(value_distance(span_of("conections"), span_of("connections"), 3), 1);
    assert_int_equal(value_distance(span_of("rate"), span_of("Rate"), 3), 0);
    assert_int_equal(value_distance(span_of("tls"), span_of("idle"), 3), 3);
    assert_int_equal(value_distance(span_of("hostname"), span_of("x"), 3), 4);
    assert_int_equal(value_distance(span_of(""), span_of("ab"), 3), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_a_unit),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(rates_are_per_hour),
        cmocka_unit_test(percentages_stay_in_range),
        cmocka_unit_test(booleans_have_six_words),
        cmocka_unit_test(a_distance_counts_changed_letters),
    };
    return RUN(tests);
}
