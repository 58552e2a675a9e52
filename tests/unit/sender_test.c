/* SPDX-License-Identifier: MIT */
#include "mta/mail/sender.h"
#include "mta/mail/token.h"
#include "tests/unit/check.h"
#include <string.h>

static const unsigned char key[TOKEN_KEY_BYTES] = "a key that everybody may know...";

struct case_of {
    struct envelope envelope;
    struct envelope_rcpt rcpt;
    enum sender_form form;
    const char *expected;
};

static void check_all(const struct case_of *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf got = {0};
        assert_int_equal(sender_write(&cases[i].envelope, &cases[i].rcpt, NULL, &got),
                         cases[i].form);
        assert_string_equal(buf_text(&got), cases[i].expected);
        buf_release(&got);
    }
}

static void most_mail_has_the_sender_of_its_envelope(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {{.sender = "a@x.example"},                     {.address = "u@y.example"}, SENDER_PLAIN, "a@x.example"            },
        {{.sender = ""},                                {.address = "u@y.example"}, SENDER_PLAIN, ""                       },
        {{.sender = "a+{{address}}@x.example"},
         {.address = "u@y.example"},
         SENDER_PLAIN,                                                                            "a+{{address}}@x.example"}, /* holes are for lists */
        {{.sender = "a@x.example", .merge = MERGE_ALL},
         {.address = "u@y.example"},
         SENDER_PLAIN,                                                                            "a@x.example"            },
    };
    check_all(cases, sizeof cases / sizeof cases[0]);
}

static void verp_names_the_recipient_where_it_can(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {{.sender = "a@x.example", .verp = "+="},
         {.address = "u@y.example"},
         SENDER_MADE,                                                                                    "a+u=y.example@x.example"},
        {{.sender = "a@x.example", .verp = "+="},
         {.address = "u=v@y.example"},
         SENDER_KEPT,                                                                                    "a@x.example"            },
        {{.sender = "a@x.example", .verp = "+="},
         {.address = "a.long.local.part.of.a.recipient@of.a.domain.that.is.long.example"},
         SENDER_KEPT,                                                                                    "a@x.example"            },
        {{.sender = "", .verp = "+="},            {.address = "u@y.example"},              SENDER_PLAIN, ""                       },
    };
    check_all(cases, sizeof cases / sizeof cases[0]);
}

static void a_list_has_a_token_in_it(void **state)
{
    (void)state;
    struct envelope e         = {.sender  = "dogs-bounces+{{bounce_token}}@lists.example",
                                 .merge   = MERGE_HEADER,
                                 .list_id = 7};
    struct envelope_rcpt rcpt = {.address = "u@y.example", .data = "id=42&name=Ann"};
    struct tokens *tokens     = tokens_new(key);
    struct token_subject subject;
    struct buf got = {0}, again = {0};
    assert_int_equal(sender_write(&e, &rcpt, tokens, &got), SENDER_MADE);
    struct span local = span_first(buf_span(&got), span_find(buf_span(&got), '@'));
    assert_true(span_starts(local, span_of("dogs-bounces+")));
    local = span_skip(local, strlen("dogs-bounces+"));
    assert_true(token_open(tokens, TOKEN_BOUNCE, local, &subject));
    assert_true(subject.list == 7 && subject.member == 42);
    assert_int_equal(sender_write(&e, &rcpt, tokens, &again), SENDER_MADE);
    assert_string_equal(buf_text(&again), buf_text(&got)); /* from post to post */
    buf_release(&got);
    buf_release(&again);
    tokens_free(tokens);
}

static void what_makes_no_address_is_no_sender(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {{.sender = "dogs+{{name}}@l.example", .merge = MERGE_ALL},
         {.address = "u@y.example", .data = "name=Ann"},
         SENDER_MADE, "dogs+Ann@l.example"},
        {{.sender = "dogs+{{name}}@l.example", .merge = MERGE_ALL},
         {.address = "u@y.example", .data = "name=Ann%20Lee%3E%0D%0ARCPT"},
         SENDER_KEPT, ""                  },
        {{.sender = "{{nobody}}@l.example", .merge = MERGE_ALL},
         {.address = "u@y.example", .data = "name=Ann"},
         SENDER_KEPT, ""                  },
        {{.sender = "dogs+{{name}}@l.example", .merge = MERGE_ALL},
         {.address = "u@y.example",
          .data    = "name=012345678901234567890123456789012345678901234567890123456789"},
         SENDER_KEPT, ""                  },
    };
    check_all(cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_mail_has_the_sender_of_its_envelope),
        cmocka_unit_test(verp_names_the_recipient_where_it_can),
        cmocka_unit_test(a_list_has_a_token_in_it),
        cmocka_unit_test(what_makes_no_address_is_no_sender),
    };
    return RUN(tests);
}
