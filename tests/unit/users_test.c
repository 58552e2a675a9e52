/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/receive/users.h"

#define HASH                                                                                       \
    "$y$j9T$k2XAnEHBqQ1Ct2aMXFKNa/"                                                                \
    "HAmA1BpMnBsYHMWB4NZN4$z.GdfLsAC0pKFN0YHue5p4W4SPNsBcVg1X9olFucxx7"
#define SCRAM                                                                                      \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"    \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define KEY ":key MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"

static struct users *parse(const char *text)
{
    struct buf error    = {0};
    struct users *users = users_parse(span_of(text), "users", &error);
    if (users == NULL)
        print_error("%s", buf_text(&error));
    assert_non_null(users);
    buf_release(&error);
    return users;
}

static void refused(const char *text, const char *said)
{
    struct buf error = {0};
    assert_null(users_parse(span_of(text), "users", &error));
    if (strstr(buf_text(&error), said) == NULL)
        print_error("for %s: %s", text, buf_text(&error));
    assert_non_null(strstr(buf_text(&error), said));
    buf_release(&error);
}

static void a_file_is_read_and_written_the_same(void **state)
{
    static const char text[] =
        "# who may send\n"
        "\n" KEY "ann@x.example password=" HASH " scram=" SCRAM
        " from=news@x.example,@lists.x.example messages=100/h,1000/d recipients=none\n"
        "# the shop\n"
        "shop password=" HASH " from=* disabled\n"
        "\xc3\xbcser\n";
    struct users *users = parse(text);
    struct buf written  = {0};
    (void)state;
    assert_int_equal(users->count, 3);
    struct user *ann = users_find(users, "ANN@X.Example");
    assert_non_null(ann);
    assert_string_equal(ann->hash, HASH);
    assert_int_equal(ann->scram.iterations, 4096);
    assert_int_equal(ann->sender_count, 2);
    assert_true(ann->has_messages && ann->has_recipients);
    assert_int_equal(ann->messages.hour, 100);
    assert_int_equal(ann->messages.day, 1000);
    assert_int_equal(ann->recipients.day, 0);
    assert_false(ann->is_disabled);
    assert_true(users_find(users, "shop")->is_disabled);
    assert_null(users_find(users, "shop")->scram.salt[0] == '\0' ? NULL : "x");
    assert_non_null(users_find(users, "u\xcc\x88ser")); /* the same under SASLprep */
    assert_null(users_find(users, "nobody"));
    assert_null(users_find(users, "# the shop"));
    users_write(users, &written);
    assert_string_equal(buf_text(&written), text);
    buf_release(&written);
    users_free(users);
}

static void each_error_names_its_line_and_remedy(void **state)
{
    (void)state;
    refused("ann\nbob pasword=" HASH "\n", "users:2: the word 'pasword' should be password=");
    refused("ann password=secret\n", "users:1: the password of 'ann' should be a hash");
    refused("ann scram=" SCRAM "x\n", "users:1: scram");
    refused("ann from=nobody\n", "users:1: from 'nobody' should be an address, @domain or *");
    refused("ann from=\n", "from '' should be");
    refused("ann from=a@x.example,\"a b\"@x.example\n", "should be");
    refused("ann messages=100\n", "messages '100' should be like 100/h");
    refused("ann disabled=yes\n", "disabled 'yes' should be the word");
    refused("ann disabled disabled\n", "each once");
    refused("ann\nann\n", "users:2: the name 'ann' should be there once only");
    refused("Ann\n", "users:1: the name 'Ann' should be");
    refused("\xff\n", "UTF-8");
    refused("ann\tbob\n", "controls");
    refused(":kay abc\n", ":key");
    refused(":key abc\n", ":key");
    refused(KEY KEY, "users:2: the line ':key' should be :key and 32 bytes in base64, once");
    refused("ann x\nbob y\n", "users:2:");
}

static void a_password_in_clear_is_not_repeated(void **state)
{
    struct buf error = {0};
    (void)state;
    assert_null(users_parse(span_of("ann password=sesame\n"), "users", &error));
    assert_null(strstr(buf_text(&error), "sesame"));
    buf_release(&error);
}

static void many_errors_are_counted(void **state)
{
    struct buf text = {0}, error = {0};
    (void)state;
    for (int i = 0; i < 100; i++)
        buf_printf(&text, "u%d x\n", i);
    assert_null(users_parse(buf_span(&text), "users", &error));
    assert_non_null(strstr(buf_text(&error), "users:20:"));
    assert_null(strstr(buf_text(&error), "users:21:"));
    assert_non_null(strstr(buf_text(&error), "and 80 more"));
    buf_release(&text);
    buf_release(&error);
}

static bool may(const char *line, const char *address)
{
    struct users *users = parse(line);
    bool may_send       = user_may_send_as(users_find(users, "ann@x.example"), span_of(address));
    users_free(users);
    return may_send;
}

static void who_may_send_as_whom(void **state)
{
    (void)state;
    assert_true(may("ann@x.example\n", "ann@x.example"));
    assert_true(may("ann@x.example\n", "Ann@X.EXAMPLE"));
    assert_true(may("ann@x.example\n", "ann+shop@x.example"));
    assert_false(may("ann@x.example\n", "annie@x.example"));
    assert_false(may("ann@x.example\n", "bob@x.example"));
    assert_false(may("ann@x.example\n", "ann@sub.x.example"));
    assert_false(may("ann@x.example\n", "ann@xx.example"));
    assert_false(may("ann@x.example\n", ""));
    assert_true(may("ann@x.example from=@y.example\n", "any@y.example"));
    assert_true(may("ann@x.example from=@y.example\n", "ann@x.example"));
    assert_false(may("ann@x.example from=@y.example\n", "any@sub.y.example"));
    assert_false(may("ann@x.example from=@y.example\n", "any@x.example"));
    assert_true(may("ann@x.example from=@m\xc3\xbcller.example\n", "any@xn--mller-kva.example"));
    assert_true(may("ann@x.example from=@xn--mller-kva.example\n", "any@m\xc3\xbcller.example"));
    assert_true(may("ann@x.example from=*\n", "any@anywhere.example"));
    assert_true(may("ann@x.example from=bob@x.example,eve@y.example\n", "eve@y.example"));
}

static void the_own_address_is_the_name_or_the_first(void **state)
{
    struct users *users = parse("ann@x.example from=news@x.example\n"
                                "shop from=@y.example,sales@y.example,info@y.example\n"
                                "any from=*\n");
    (void)state;
    assert_string_equal(user_own_address(users_find(users, "ann@x.example")), "ann@x.example");
    assert_string_equal(user_own_address(users_find(users, "shop")), "sales@y.example");
    assert_null(user_own_address(users_find(users, "any")));
    users_free(users);
}

static void users_come_and_go(void **state)
{
    struct users *users = users_new();
    struct buf name = {0}, text = {0};
    (void)state;
    assert_null(user_prepare_name("Ann@X.example", &name));
    struct user *ann = users_add(users, buf_text(&name));
    assert_null(user_add_sender(users, ann, span_of("News@X.Example")));
    assert_non_null(user_add_sender(users, ann, span_of("news")));
    assert_non_null(user_add_sender(users, ann, span_of("@")));
    assert_non_null(user_add_sender(users, ann, span_of("a,b@x.example")));
    user_set_password(users, ann, "sesame");
    assert_true(password_matches("sesame", ann->hash));
    users_add(users, "bob");
    users_remove(users, users_find(users, "bob"));
    assert_null(users_find(users, "bob"));
    users_write(users, &text);
    struct users *again = parse(buf_text(&text));
    assert_int_equal(again->count, 1);
    assert_true(again->has_key);
    assert_memory_equal(again->key, users->key, sizeof again->key);
    assert_true(password_matches("sesame", users_find(again, "ann@x.example")->hash));
    users_free(users);
    users_free(again);
    buf_release(&name);
    buf_release(&text);
}

static void names_that_would_break_the_file_are_refused(void **state)
{
    static const char *const bad[] = {"", "a b", "#ann", ":key", "a\nb", "a\tb", "\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf name = {0};
        assert_non_null(user_prepare_name(bad[i], &name));
        buf_release(&name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_and_written_the_same),
        cmocka_unit_test(each_error_names_its_line_and_remedy),
        cmocka_unit_test(a_password_in_clear_is_not_repeated),
        cmocka_unit_test(many_errors_are_counted),
        cmocka_unit_test(who_may_send_as_whom),
        cmocka_unit_test(the_own_address_is_the_name_or_the_first),
        cmocka_unit_test(users_come_and_go),
        cmocka_unit_test(names_that_would_break_the_file_are_refused),
    };
    return RUN(tests);
}
