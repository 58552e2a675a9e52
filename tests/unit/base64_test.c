/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/base/base64.h"

/* RFC 4648 10 */
static const struct {
    const char *bytes, *text;
} vectors[] = {
    {"",       ""        },
    {"f",      "Zg=="    },
    {"fo",     "Zm8="    },
    {"foo",    "Zm9v"    },
    {"foob",   "Zm9vYg=="},
    {"fooba",  "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void the_vectors_of_the_rfc_hold_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct buf text = {0}, bytes = {0};
        base64_put(&text, span_of(vectors[i].bytes));
        assert_string_equal(buf_text(&text), vectors[i].text);
        assert_int_equal(text.len, BASE64_BYTES(strlen(vectors[i].bytes)));
        assert_true(base64_take(span_of(vectors[i].text), &bytes));
        assert_string_equal(buf_text(&bytes), vectors[i].bytes);
        buf_release(&text);
        buf_release(&bytes);
    }
}

static void every_byte_comes_back(void **state)
{
    char all[256];
    (void)state;
    for (unsigned i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    for (size_t len = 0; len <= sizeof all; len++) {
        struct buf text = {0}, bytes = {0};
        base64_put(&text, span_make(all, len));
        assert_true(base64_is_good(buf_span(&text)));
        assert_true(base64_take(buf_span(&text), &bytes));
        assert_true(span_equals(buf_span(&bytes), span_make(all, len)));
        buf_release(&text);
        buf_release(&bytes);
    }
}

static void whatever_else_is_refused_and_puts_nothing(void **state)
{
    static const char *const bad[] = {
        "Z",    "Zg",    "Zg=",      "Zg===",  "=",     "==",         "===",  "====", "Zh==",
        "Zm9=", "Z===",  "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm9v ",      "Zm9-", "Zm9_", "Zm9v*",
        "*",    "Zm\r9", "Zm9vZg=a", "Z=g=",   "=Zg=",  "Zm\xc3\xa4", "Zm9,",
    };
    struct buf into = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(base64_is_good(span_of(bad[i])));
        assert_false(base64_take(span_of(bad[i]), &into));
    }
    assert_false(base64_is_good(span_make("Zm9\0", 4)));
    assert_int_equal(into.len, 0);
    buf_release(&into);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc_hold_both_ways),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(whatever_else_is_refused_and_puts_nothing),
    };
    return RUN(tests);
}
