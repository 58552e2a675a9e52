/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/base/base64.h"
#include "mta/receive/password.h"

static void a_hash_matches_its_password_only(void **state)
{
    char hash[PASSWORD_HASH_BYTES], other[PASSWORD_HASH_BYTES];
    (void)state;
    password_hash("sesame", hash);
    password_hash("sesame", other);
    assert_true(span_starts(span_of(hash), span_of("$y$")));
    assert_string_not_equal(hash, other); /* another salt */
    assert_true(password_matches("sesame", hash));
    assert_false(password_matches("Sesame", hash));
    assert_false(password_matches("sesame ", hash));
    assert_false(password_matches("", hash));
    assert_true(password_hash_is_good(hash));
}

static void hashes_of_other_methods_match_too(void **state)
{
    /* crypt("sesame", ...) */
    static const char sha512[] =
        "$6$saltstring$zw6YcBRuwlGueZoWIkK6CRJbQmJbhVf1zPxCfDBsJpbBlxfJ610F"
        "8Vp0i93QFh0AmoYe0z/GrJISxBfRQSsGe1";
    (void)state;
    assert_true(password_hash_is_good(sha512));
    assert_true(password_matches("sesame", sha512));
    assert_false(password_matches("opensesame", sha512));
}

static void what_is_no_hash_matches_nothing(void **state)
{
    static const char *const bad[] = {"", "x", "*0", "sesame", "$y$", "$nosuch$x$y", "$y$j9T$abc$"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(password_matches("sesame", bad[i]));
    assert_false(password_hash_is_good("sesame"));
    assert_false(password_hash_is_good("*"));
    assert_false(password_hash_is_good("$nosuch$x$y"));
    assert_true(password_hash_is_good(password_no_hash()));
    assert_false(password_matches("not a password of anybody", password_no_hash()));
}

static void prepared(const char *text, const char *wanted)
{
    struct buf into = {0};
    assert_null(password_prepare(text, true, &into));
    assert_string_equal(buf_text(&into), wanted);
    buf_release(&into);
}

static void refused(const char *text)
{
    struct buf into = {0};
    assert_non_null(password_prepare(text, true, &into));
    buf_release(&into);
}

/* RFC 4013 3 */
static void one_password_on_two_keyboards_is_one(void **state)
{
    char much[PASSWORD_BYTES_MAX + 2];
    (void)state;
    prepared("I\xc2\xadX", "IX");
    prepared("user", "user");
    prepared("USER", "USER");
    prepared("\xc2\xaa", "a");
    prepared("\xe2\x85\xa8", "IX");
    prepared("u\xcc\x88", "\xc3\xbc");
    prepared("a\xc2\xa0z", "a z");
    refused("\x07");
    refused("\xd8\xa7\x31");
    refused("\xff");
    refused("");
    refused("\xc2\xad"); /* nothing is left of it */
    memset(much, 'a', sizeof much);
    much[sizeof much - 1] = '\0';
    refused(much);
}

/* RFC 7677 3 */
static void the_verifier_is_that_of_the_rfc(void **state)
{
    struct scram scram;
    struct buf salt = {0}, text = {0};
    (void)state;
    assert_true(base64_take(span_of("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt));
    password_scram_of("pencil", buf_span(&salt), 4096, &scram);
    scram_put(&scram, &text);
    assert_string_equal(buf_text(&text), "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                         "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                                         "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    buf_release(&salt);
    buf_release(&text);
}

static void a_new_verifier_has_a_salt_of_its_own(void **state)
{
    struct scram scram;
    struct buf salt = {0}, text = {0};
    (void)state;
    password_scram("pencil", &scram);
    assert_int_equal(scram.iterations, SCRAM_ITERATIONS);
    assert_true(base64_take(span_of(scram.salt), &salt));
    assert_int_equal(salt.len, SCRAM_SALT_BYTES);
    scram_put(&scram, &text);
    struct scram again;
    assert_true(scram_parse(buf_span(&text), &again));
    assert_memory_equal(&scram, &again, sizeof scram);
    buf_release(&salt);
    buf_release(&text);
}

static void a_verifier_is_read_whole_or_not(void **state)
{
    static const char *const bad[] = {
        "",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4095:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2d==",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        " ",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
    };
    struct scram scram;
    (void)state;
    assert_true(scram_parse(span_of("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                                    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
                            &scram));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(scram_parse(span_of(bad[i]), &scram));
}

static void nobody_is_told_the_same_each_time(void **state)
{
    static const char key[] = "0123456789abcdef0123456789abcdef", other[] = "another";
    struct scram a, b;
    (void)state;
    scram_of_nobody(span_of("eve"), span_of(key), 4096, &a);
    scram_of_nobody(span_of("eve"), span_of(key), 4096, &b);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(strlen(a.salt), BASE64_BYTES(SCRAM_SALT_BYTES));
    assert_int_equal(strlen(a.stored_key), SCRAM_KEY_TEXT_BYTES - 1);
    assert_string_not_equal(a.stored_key, a.server_key);
    scram_of_nobody(span_of("eva"), span_of(key), 4096, &b);
    assert_string_not_equal(a.salt, b.salt);
    scram_of_nobody(span_of("eve"), span_of(other), 4096, &b);
    assert_string_not_equal(a.salt, b.salt);
}

static void what_is_generated_differs_and_can_be_read_out(void **state)
{
    char one[PASSWORD_GENERATED_BYTES], other[PASSWORD_GENERATED_BYTES];
    (void)state;
    password_generate(one);
    password_generate(other);
    assert_string_not_equal(one, other);
    assert_int_equal(strlen(one), PASSWORD_GENERATED_BYTES - 1);
    assert_null(strpbrk(one, "lo01O"));
    prepared(one, one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_matches_its_password_only),
        cmocka_unit_test(hashes_of_other_methods_match_too),
        cmocka_unit_test(what_is_no_hash_matches_nothing),
        cmocka_unit_test(one_password_on_two_keyboards_is_one),
        cmocka_unit_test(the_verifier_is_that_of_the_rfc),
        cmocka_unit_test(a_new_verifier_has_a_salt_of_its_own),
        cmocka_unit_test(a_verifier_is_read_whole_or_not),
        cmocka_unit_test(nobody_is_told_the_same_each_time),
        cmocka_unit_test(what_is_generated_differs_and_can_be_read_out),
    };
    return RUN(tests);
}
