/* SPDX-License-Identifier: MIT */
#include "mta/mail/msgid.h"
#include "mta/queue/selector.h"
#include "tests/unit/check.h"

static bool add(struct selector *s, const char *term, struct buf *error)
{
    buf_clear(error);
    return selector_add(s, span_of(term), error);
}

static void terms_add_up(void **state)
{
    (void)state;
    struct selector s;
    struct buf error = {0};
    char id[MSGID_TEXT_BYTES], term[32];
    selector_init(&s);
    assert_true(s.is_empty);
    (void)snprintf(term, sizeof term, "id=%s", msgid_text(123456789, id));
    assert_true(add(&s, term, &error));
    assert_false(s.is_empty);
    assert_true(add(&s, "to=u@a.example", &error));
    assert_true(add(&s, "Domain=*.example.org", &error));
    assert_true(add(&s, "site=google", &error));
    assert_true(add(&s, "list=weekly", &error));
    assert_true(add(&s, "flow=x=y", &error));
    assert_true(add(&s, "older=2h", &error));
    assert_true(add(&s, "status=Deferred", &error));
    assert_int_equal(s.id, 123456789);
    assert_string_equal(s.to, "u@a.example");
    assert_string_equal(s.domain, "*.example.org");
    assert_string_equal(s.site, "google");
    assert_string_equal(s.list, "weekly");
    assert_string_equal(s.flow, "x=y");
    assert_int_equal(s.older_ms, 7200000);
    assert_string_equal(s.status, "deferred");
    assert_int_equal(error.len, 0);
    buf_release(&error);
}

static void all_has_to_be_said(void **state)
{
    (void)state;
    struct selector s;
    struct buf error = {0};
    selector_init(&s);
    assert_true(s.is_empty);
    assert_true(add(&s, "all", &error));
    assert_false(s.is_empty);
    assert_int_equal(s.id + s.older_ms, 0);
    buf_release(&error);
}

static void ages_have_units(void **state)
{
    (void)state;
    struct selector s;
    struct buf error = {0};
    selector_init(&s);
    assert_true(add(&s, "older=90s", &error));
    assert_int_equal(s.older_ms, 90000);
    assert_true(add(&s, "older=5m", &error));
    assert_int_equal(s.older_ms, 300000);
    assert_true(add(&s, "older=4d", &error));
    assert_int_equal(s.older_ms, 345600000);
    buf_release(&error);
}

static void a_wrong_term_is_named_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "id",
                                        "id=",
                                        "id=!!",
                                        "colour=red",
                                        "older=5",
                                        "older=h",
                                        "older=-1h",
                                        "older=0s",
                                        "older=5y",
                                        "to=",
                                        "status=x",
                                        "older=99999999999999d",
                                        "=x"};
    struct buf error                 = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct selector s;
        selector_init(&s);
        assert_false(add(&s, wrong[i], &error));
        assert_true(s.is_empty);
        assert_true(span_find_text(buf_span(&error), span_of(wrong[i])) < error.len);
    }
    char longest[SELECTOR_VALUE_BYTES + 8];
    (void)snprintf(longest, sizeof longest, "to=%0*d", SELECTOR_VALUE_BYTES, 0);
    struct selector s;
    selector_init(&s);
    assert_false(add(&s, longest, &error));
    buf_release(&error);
}

static void an_unknown_name_is_answered_with_the_known_ones(void **state)
{
    (void)state;
    struct selector s;
    struct buf error = {0};
    selector_init(&s);
    assert_false(add(&s, "colour=red", &error));
    assert_true(span_find_text(buf_span(&error), span_of("domain=")) < error.len);
    assert_false(add(&s, "status=gone", &error));
    assert_true(span_find_text(buf_span(&error), span_of("deferred")) < error.len);
    buf_release(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_add_up),
        cmocka_unit_test(all_has_to_be_said),
        cmocka_unit_test(ages_have_units),
        cmocka_unit_test(a_wrong_term_is_named_and_changes_nothing),
        cmocka_unit_test(an_unknown_name_is_answered_with_the_known_ones),
    };
    return RUN(tests);
}
