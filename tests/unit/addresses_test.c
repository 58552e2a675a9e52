/* SPDX-License-Identifier: MIT */
#include "mta/mail/addresses.h"
#include "tests/unit/check.h"
#include <string.h>

struct expected {
    const char *list;
    const char *addresses; /* "!" for a bad one, with a blank between two */
};

static const struct expected lists[] = {
    {"ann@a.example",                                               "ann@a.example"                         },
    {" Ann Lee <ann@a.example>",                                    "ann@a.example"                         },
    {"\"Lee, Ann\" <ann@a.example>, bob@b.example",                 "ann@a.example bob@b.example"           },
    {"\"a \\\" <x@evil.example>, b\" <ann@a.example>",              "ann@a.example"                         },
    {"ann@a.example (Ann, of (the) <x@evil.example> house)",        "ann@a.example"                         },
    {"Friends: ann@a.example, Bob <bob@b.example>;, eve@c.example",
     "ann@a.example bob@b.example eve@c.example"                                                            },
    {"undisclosed-recipients:;",                                    ""                                      },
    {"",                                                            ""                                      },
    {" \t, ,",                                                      ""                                      },
    {"ann\r\n @a.example",                                          "ann@a.example"                         },
    {"<@relay.example,@other.example:ann@a.example>",               "ann@a.example"                         },
    {"\"a b\"@a.example",                                           "\"a b\"@a.example"                     },
    {"ann@[IPv6:2001:db8::1], bob@[192.0.2.1]",                     "ann@[IPv6:2001:db8::1] bob@[192.0.2.1]"},
    {"ann",                                                         "!"                                     },
    {"<>",                                                          "!"                                     },
    {"Ann <ann@a.example",                                          "!"                                     },
    {"<ann@a.example> <bob@b.example>",                             "!"                                     },
    {"ann@a.example bob@b.example",                                 "!"                                     },
    {"ann@a.example\x01",                                           "!"                                     },
    {"<ann@a.example:x>, bob@b.example",                            "! bob@b.example"                       },
    {"((((((((((((((((((((((((((((((((((((((",                      ""                                      },
    {"\"no end <ann@a.example>",                                    "!"                                     },
};

static void read_all(const char *text, char *found, size_t cap)
{
    struct span list = span_of(text);
    struct mailbox_entry entry;
    found[0] = '\0';
    while (addresses_next(&list, &entry)) {
        size_t len = strlen(found);
        snprintf(found + len, cap - len, "%s%s", len == 0 ? "" : " ",
                 entry.error == NULL ? entry.address.text : "!");
    }
}

static void every_mailbox_of_a_list_is_found(void **state)
{
    char found[1024];
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        read_all(lists[i].list, found, sizeof found);
        if (strcmp(found, lists[i].addresses) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", lists[i].list, found, lists[i].addresses);
    }
}

static void a_nul_parts_nothing(void **state)
{
    (void)state;
    static const char text[] = "ann@a.example\0, bob@b.example";
    struct span list         = span_make(text, sizeof text - 1);
    struct mailbox_entry entry;
    assert_true(addresses_next(&list, &entry));
    assert_non_null(entry.error);
    assert_true(addresses_next(&list, &entry));
    assert_string_equal(entry.address.text, "bob@b.example");
}

static void the_name_is_kept_as_it_stands(void **state)
{
    (void)state;
    struct span list = span_of(" \"Lee, Ann\" <ann@a.example>");
    struct mailbox_entry entry;
    assert_true(addresses_next(&list, &entry));
    assert_true(span_is(entry.name, "\"Lee, Ann\""));
}

static void a_single_one_is_only_one(void **state)
{
    (void)state;
    struct mailbox_entry entry;
    assert_true(addresses_single(span_of("Ann <ann@a.example>"), &entry));
    assert_string_equal(entry.address.text, "ann@a.example");
    assert_false(addresses_single(span_of("ann@a.example, bob@b.example"), &entry));
    assert_false(addresses_single(span_of("ann@a.example, bad"), &entry));
    assert_false(addresses_single(span_of("none:;"), &entry));
}

static void a_long_one_is_no_address(void **state)
{
    (void)state;
    char text[2000];
    struct mailbox_entry entry;
    memset(text, 'a', sizeof text);
    struct span list = span_make(text, sizeof text);
    assert_true(addresses_next(&list, &entry));
    assert_non_null(entry.error);
    assert_false(addresses_next(&list, &entry));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mailbox_of_a_list_is_found),
        cmocka_unit_test(a_nul_parts_nothing),
        cmocka_unit_test(the_name_is_kept_as_it_stands),
        cmocka_unit_test(a_single_one_is_only_one),
        cmocka_unit_test(a_long_one_is_no_address),
    };
    return RUN(tests);
}
