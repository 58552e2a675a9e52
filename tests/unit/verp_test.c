/* SPDX-License-Identifier: MIT */
#include "mta/mail/verp.h"
#include "tests/unit/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void a_sender_names_the_recipient(void **state)
{
    (void)state;
    static const struct {
        const char *sender, *delimiters, *rcpt, *expected;
    } rows[] = {
        {"list-bounces@h.example", "+=", "user@dom.example",
         "list-bounces+user=dom.example@h.example"                                                              },
        {"list@h.example",         "-=", "user@dom.example",                "list-user=dom.example@h.example"   },
        {"list@h.example",         "==", "user@dom.example",                "list=user=dom.example@h.example"   },
        {"list@h.example",         "+=", "a+tag.b@dom.example",             "list+a+tag.b=dom.example@h.example"},
        {"List-Bounces@H.Example", "+=", "User@Dom.Example",
         "List-Bounces+User=Dom.Example@H.Example"                                                              },
        {"list@h.example",         "+=", "j\xc3\xb6rg@xn--d1acufc.example",
         "list+j\xc3\xb6rg=xn--d1acufc.example@h.example"                                                       },
        {"l@[192.0.2.1]",          "+=", "user@dom.example",                "l+user=dom.example@[192.0.2.1]"    },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf got = {0};
        assert_true(
            verp_write(span_of(rows[i].sender), rows[i].delimiters, span_of(rows[i].rcpt), &got));
        assert_string_equal(buf_text(&got), rows[i].expected);
        buf_release(&got);
    }
}

static void what_could_not_be_read_back_is_not_written(void **state)
{
    (void)state;
    static const struct {
        const char *sender, *delimiters, *rcpt;
    } rows[] = {
        {"",                      "+=", "user@dom.example"       }, /* no sender */
        {"list@h.example",        "+=", "a=b@dom.example"        },
        {"list@h.example",        "=+", "a+b@dom.example"        },
        {"list@h.example",        "+=", "\"a b\"@dom.example"    },
        {"\"my list\"@h.example", "+=", "user@dom.example"       },
        {"list@h.example",        "+=", "user@[192.0.2.1]"       },
        {"list@h.example",        "+=", "user@[IPv6:2001:db8::1]"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf got = {0};
        buf_put_text(&got, "before");
        if (verp_write(span_of(rows[i].sender), rows[i].delimiters, span_of(rows[i].rcpt), &got))
            fail_msg("row %zu was written: %s", i, buf_text(&got));
        assert_string_equal(buf_text(&got), "before");
        buf_release(&got);
    }
}

static void a_local_part_has_sixty_four_octets(void **state)
{
    (void)state;
    char user[64]      = {0};
    struct span sender = SPAN("list-bounces@h.example");
    for (size_t len = 1; len < sizeof user - 10; len++) {
        struct buf rcpt = {0}, got = {0};
        user[len - 1] = 'u';
        buf_printf(&rcpt, "%s@dom.example", user);
        bool fits = strlen("list-bounces") + 1 + len + 1 + strlen("dom.example") <= 64;
        assert_int_equal(verp_write(sender, "+=", buf_span(&rcpt), &got), fits);
        if (fits && len == 39)
            assert_int_equal(span_find(buf_span(&got), '@'), 64);
        buf_release(&rcpt);
        buf_release(&got);
    }
}

static void delimiters_are_two_of_three(void **state)
{
    (void)state;
    static const char *const good[] = {"+=", "-=", "==", "=+", "--"};
    static const char *const bad[]  = {"", "+", "+=-", "+a", ".=", "@=", "+ ", "\r\n"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(verp_is_valid(span_of(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(verp_is_valid(span_of(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sender_names_the_recipient),
        cmocka_unit_test(what_could_not_be_read_back_is_not_written),
        cmocka_unit_test(a_local_part_has_sixty_four_octets),
        cmocka_unit_test(delimiters_are_two_of_three),
    };
    return RUN(tests);
}
