/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/receive/submission.h"

#define NOON 1795521600000ULL

static struct users *users;
static struct quotas quotas;
static const struct submission_rules rules = {.messages = {.hour = 2}, .recipients = {.day = 5}};

static int begin(void **state)
{
    struct buf error = {0};
    (void)state;
    quotas_init(&quotas, 1);
    users = users_parse(span_of("ann@x.example\nbob@x.example messages=none recipients=1/h\n"
                                "eve@x.example disabled\n"),
                        "users", &error);
    buf_release(&error);
    return users == NULL;
}

static int end(void **state)
{
    (void)state;
    users_free(users);
    quotas_release(&quotas);
    return 0;
}

static struct submission_no mail(struct submission *s, const char *user, const char *sender)
{
    return submission_begin(s, &rules, &quotas, users_find(users, user), span_of(sender), NOON);
}

static void a_mail_is_counted_when_it_is_sent(void **state)
{
    struct submission s = {0};
    (void)state;
    assert_int_equal(mail(&s, "ann@x.example", "ann@x.example").code, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(submission_rcpt(&s, NOON).code, 0);
    submission_end(&s, true, 2, NOON); /* one was named twice */
    const struct quota_use *use = quotas_find(&quotas, span_of("ann@x.example"));
    assert_int_equal(quota_hour(&use->messages, NOON), 1);
    assert_int_equal(quota_day(&use->recipients, NOON), 2);
    assert_int_equal(use->messages.held + use->recipients.held, 0);
    assert_null(s.use);
    submission_end(&s, false, 0, NOON); /* nothing is open */
}

static void what_was_not_sent_does_not_count(void **state)
{
    struct submission s = {0};
    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(mail(&s, "ann@x.example", "").code, 0);
        for (int k = 0; k < 5; k++)
            assert_int_equal(submission_rcpt(&s, NOON).code, 0);
        submission_end(&s, false, 0, NOON);
    }
    const struct quota_use *use = quotas_find(&quotas, span_of("ann@x.example"));
    assert_int_equal(quota_day(&use->messages, NOON) + quota_day(&use->recipients, NOON), 0);
}

static void transactions_at_the_same_time_share_a_quota(void **state)
{
    struct submission a = {0}, b = {0}, c = {0};
    (void)state;
    assert_int_equal(mail(&a, "ann@x.example", "ann@x.example").code, 0);
    assert_int_equal(mail(&b, "ann@x.example", "ann@x.example").code, 0);
    struct submission_no no = mail(&c, "ann@x.example", "ann@x.example");
    assert_int_equal(no.code, 452);
    assert_string_equal(no.enhanced, "4.7.1");
    assert_non_null(strstr(no.text, "2 messages a hour"));
    for (int i = 0; i < 3; i++)
        assert_int_equal(submission_rcpt(&a, NOON).code, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(submission_rcpt(&b, NOON).code, 0);
    no = submission_rcpt(&b, NOON);
    assert_int_equal(no.code, 452);
    assert_non_null(strstr(no.text, "5 recipients a day"));
    submission_end(&a, false, 0, NOON);
    assert_int_equal(submission_rcpt(&b, NOON).code, 0);
    submission_end(&b, false, 0, NOON);
}

static void a_user_may_have_limits_of_his_own(void **state)
{
    struct submission s = {0};
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(mail(&s, "bob@x.example", "bob@x.example").code, 0);
        submission_end(&s, true, 0, NOON);
    }
    assert_int_equal(mail(&s, "bob@x.example", "bob@x.example").code, 0);
    assert_int_equal(submission_rcpt(&s, NOON).code, 0);
    assert_int_equal(submission_rcpt(&s, NOON).code, 452);
    submission_end(&s, false, 0, NOON);
}

static void who_may_not_send_is_told_why(void **state)
{
    struct submission s = {0};
    (void)state;
    struct submission_no no = mail(&s, "ann@x.example", "bob@x.example");
    assert_int_equal(no.code, 550);
    assert_string_equal(no.text, "you may not send as <bob@x.example>");
    assert_int_equal(mail(&s, "eve@x.example", "eve@x.example").code, 550);
    assert_int_equal(mail(&s, "nobody", "").code, 550);
    assert_null(s.use);
}

#define OPENED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPENED(a_mail_is_counted_when_it_is_sent),
        OPENED(what_was_not_sent_does_not_count),
        OPENED(transactions_at_the_same_time_share_a_quota),
        OPENED(a_user_may_have_limits_of_his_own),
        OPENED(who_may_not_send_is_told_why),
    };
    return RUN(tests);
}
