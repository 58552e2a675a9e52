/* SPDX-License-Identifier: MIT */
#include "mta/mail/token.h"
#include "tests/unit/check.h"
#include <ctype.h>
#include <string.h>

static const unsigned char key[TOKEN_KEY_BYTES] = "thirty-two bytes, not any others";
static const struct token_subject someone       = {.list = 7, .member = 123456789012};

static int setup(void **state)
{
    *state = tokens_new(key);
    return 0;
}

static int teardown(void **state)
{
    tokens_free(*state);
    return 0;
}

static void what_was_made_opens_again(void **state)
{
    static const struct token_subject subjects[] = {
        {0,          0                                     },
        {1,          1                                     },
        {UINT32_MAX, (UINT64_C(1) << TOKEN_MEMBER_BITS) - 1},
        {7,          123456789012                          },
    };
    char text[TOKEN_CHARS + 1];
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        struct token_subject found = {0};
        token_make(*state, TOKEN_BOUNCE, &subjects[i], text);
        assert_int_equal(strlen(text), TOKEN_CHARS);
        assert_true(token_open(*state, TOKEN_BOUNCE, span_of(text), &found));
        assert_int_equal(found.list, subjects[i].list);
        assert_int_equal(found.member, subjects[i].member);
    }
}

/* Computed by an independent program from the description in token.h. */
static void the_form_never_changes(void **state)
{
    char text[TOKEN_CHARS + 1];
    token_make(*state, TOKEN_BOUNCE, &someone, text);
    assert_string_equal(text, "qas6btlqdq2gzc252xm6tmbwcoyerv3r");
    token_make(*state, TOKEN_LEAVE, &someone, text);
    assert_string_equal(text, "zmpvjgv2o7fnac2atgwvrposf74ajh5x");
}

static void a_purpose_opens_no_other(void **state)
{
    char text[TOKEN_CHARS + 1];
    struct token_subject found;
    token_make(*state, TOKEN_BOUNCE, &someone, text);
    assert_false(token_open(*state, TOKEN_LEAVE, span_of(text), &found));
    assert_false(token_open(*state, TOKEN_CONFIRM, span_of(text), &found));
}

static void another_key_opens_nothing(void **state)
{
    static const unsigned char other_key[TOKEN_KEY_BYTES] = "thirty-two bytes, but other ones";
    struct tokens *other                                  = tokens_new(other_key);
    char text[TOKEN_CHARS + 1];
    struct token_subject found;
    token_make(*state, TOKEN_BOUNCE, &someone, text);
    assert_false(token_open(other, TOKEN_BOUNCE, span_of(text), &found));
    tokens_free(other);
}

static void case_does_not_matter(void **state)
{
    char text[TOKEN_CHARS + 1];
    struct token_subject found;
    token_make(*state, TOKEN_LEAVE, &someone, text);
    for (char *at = text; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    assert_true(token_open(*state, TOKEN_LEAVE, span_of(text), &found));
    assert_int_equal(found.member, someone.member);
}

static void any_changed_character_is_seen(void **state)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    char text[TOKEN_CHARS + 1];
    struct token_subject found;
    token_make(*state, TOKEN_LEAVE, &someone, text);
    for (int i = 0; i < TOKEN_CHARS; i++) {
        char kept = text[i];
        for (const char *other = alphabet; *other != '\0'; other++) {
            text[i] = *other;
            assert_int_equal(token_open(*state, TOKEN_LEAVE, span_of(text), &found),
                             *other == kept);
        }
        text[i] = kept;
    }
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "a",
                                        "0123456789abcdefghijklmnopqrstuv",
                                        "abcdefghijklmnopqrstuvwxyz23456",
                                        "abcdefghijklmnopqrstuvwxyz2345672",
                                        "abcdefghijklmnopqrstuvwxyz23456="};
    struct token_subject found;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(token_open(*state, TOKEN_LEAVE, span_of(texts[i]), &found));
    char zeros[TOKEN_CHARS] = {0};
    assert_false(token_open(*state, TOKEN_LEAVE, (struct span){zeros, sizeof zeros}, &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_made_opens_again, setup, teardown),
        cmocka_unit_test_setup_teardown(the_form_never_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_purpose_opens_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(another_key_opens_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(case_does_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(any_changed_character_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_token_is_refused, setup, teardown),
    };
    return RUN(tests);
}
