/* SPDX-License-Identifier: MIT */
#include "mta/base/buf.h"
#include "mta/mail/bounce.h"
#include "tests/unit/check.h"
#include <string.h>

static struct bounce bounce;

static const char report[] =
    "From: MAILER-DAEMON@mx.example\r\nTo: l-bounces+tok@l.example\r\nSubject: failure\r\n"
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    "--b\r\n\r\nsorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    "Reporting-MTA: dns; mx.example\r\n\r\n"
    "Final-Recipient: rfc822; Ann@a.example\r\nOriginal-Recipient: rfc822;ann@a.example\r\n"
    "Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; 550-5.1.1 no such\r\n user\r\n\r\n"
    "Final-Recipient: rfc822; bob@a.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n\r\n"
    "Final-Recipient: rfc822; eve@a.example\r\nAction: relayed\r\nStatus: 2.0.0\r\n\r\n"
    "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n--b--\r\n";

static void read_text(const char *text, bool has_null_sender)
{
    bounce_read(span_of(text), has_null_sender, &bounce);
}

static void a_report_tells_of_each_recipient(void **state)
{
    (void)state;
    read_text(report, true);
    assert_int_equal(bounce.kind, BOUNCE_REPORT);
    assert_int_equal(bounce.count, 3);
    assert_string_equal(bounce.rcpts[0].address, "ann@a.example");
    assert_int_equal(bounce.rcpts[0].action, BOUNCE_FAILED);
    assert_int_equal(bounce.rcpts[0].code, 550);
    assert_memory_equal(bounce.rcpts[0].enhanced, "\5\1\1", 3); /* more than Status said */
    assert_int_equal(bounce.rcpts[0].blame, BLAME_RECIPIENT);
    assert_int_equal(bounce.rcpts[1].action, BOUNCE_DELAYED);
    assert_int_equal(bounce.rcpts[1].blame, BLAME_NOBODY);
    assert_int_equal(bounce.rcpts[2].action, BOUNCE_GONE_ON);
}

static void prose_is_read_as_far_as_it_goes(void **state)
{
    static const struct {
        const char *text;
        enum bounce_action action;
        enum blame blame;
        const char *address;
    } mails[] = {
        {"From: MAILER-DAEMON@q.example\r\nSubject: failure notice\r\n\r\n"
         "Hi. This is the program at q.example.\r\n\r\n<ann@a.example>:\r\n"
         "192.0.2.1 does not like recipient.\r\nRemote host said: 550 5.1.1 unknown user\r\n\r\n"
         "--- Below this line is a copy of the message.\r\n\r\nFrom: x@spam.example\r\n",   BOUNCE_FAILED,  BLAME_RECIPIENT, "ann@a.example"},
        {"From: Mail Delivery System <x@e.example>\r\nX-Failed-Recipients: bob@a.example\r\n\r\n"
         "    554 5.7.1 Spam message rejected\r\n",                                         BOUNCE_FAILED,  BLAME_SENDER,    "bob@a.example"},
        {"From: postmaster@n.example\r\nSubject: Undeliverable: post\r\n\r\nNo such user here.\r\n",
         BOUNCE_FAILED,                                                                                              BLAME_RECIPIENT, ""             },
        {"From: postmaster@n.example\r\nSubject: Delivery Status\r\n\r\n"
         "Your mail is delayed. We will keep trying.\r\n",                                  BOUNCE_DELAYED, BLAME_NOBODY,    ""             },
    };
    (void)state;
    for (size_t i = 0; i < sizeof mails / sizeof mails[0]; i++) {
        read_text(mails[i].text, false);
        assert_int_equal(bounce.kind, BOUNCE_REPORT);
        assert_int_equal(bounce.count, 1);
        assert_int_equal(bounce.rcpts[0].action, mails[i].action);
        assert_int_equal(bounce.rcpts[0].blame, mails[i].blame);
        assert_string_equal(bounce.rcpts[0].address, mails[i].address);
    }
}

static void a_complaint_is_one(void **state)
{
    (void)state;
    read_text("From: fbl@y.example\r\nContent-Type: multipart/report; "
              "report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nspam\r\n--b\r\n"
              "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: Abuse\r\n"
              "User-Agent: x/1\r\nOriginal-Rcpt-To: <ann@a.example>\r\n\r\n--b--\r\n",
              false);
    assert_int_equal(bounce.kind, BOUNCE_COMPLAINT);
    assert_string_equal(bounce.feedback, "abuse");
    assert_string_equal(bounce.rcpts[0].address, "ann@a.example");
}

static void an_answer_means_nothing(void **state)
{
    (void)state;
    read_text("From: a@b.example\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n\r\nbye\r\n",
              true);
    assert_int_equal(bounce.kind, BOUNCE_ANSWER);
    read_text("From: a@b.example\r\nSubject: Out of Office: news\r\n\r\nbye\r\n", false);
    assert_int_equal(bounce.kind, BOUNCE_ANSWER);
}

static void a_letter_is_none_of_these(void **state)
{
    (void)state;
    read_text("From: a@b.example\r\nSubject: Re: news\r\n\r\nuser unknown 550\r\n", false);
    assert_int_equal(bounce.kind, BOUNCE_NONE);
    read_text("From: a@b.example\r\nSubject: Re: news\r\n\r\nuser unknown 550\r\n", true);
    assert_int_equal(bounce.kind, BOUNCE_REPORT);
    assert_int_equal(bounce.rcpts[0].blame, BLAME_RECIPIENT);
}

static void hostile_reports_are_bounded(void **state)
{
    struct buf message = {0};
    (void)state;
    buf_put_text(&message, "Content-Type: message/delivery-status\r\n\r\n");
    for (int i = 0; i < 10000; i++)
        buf_put_text(&message, "Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\n"
                               "Diagnostic-Code: x; \x01\x02\xff\r\n\r\n");
    bounce_read(buf_span(&message), true, &bounce);
    assert_int_equal(bounce.count, BOUNCE_RCPTS_MAX);
    assert_string_equal(bounce.rcpts[0].text, "???");
    buf_release(&message);
}

static void codes_are_found_where_they_stand(void **state)
{
    static const struct {
        const char *text;
        unsigned code;
        unsigned char enhanced[3];
    } texts[] = {
        {"550 5.1.1 no",                  550, {5, 1, 1}},
        {"smtp;550-5.7.1 [192.0.2.1]",    550, {5, 7, 1}},
        {"host 192.0.2.5 said: 452 full", 452, {0, 0, 0}},
        {"(#5.1.1)",                      0,   {5, 1, 1}},
        {"version 4.2.1.7 of 2550",       0,   {0, 0, 0}},
        {"5.1",                           0,   {0, 0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        unsigned code;
        unsigned char enhanced[3];
        bool found = bounce_find_codes(span_of(texts[i].text), &code, enhanced);
        assert_int_equal(found, texts[i].code != 0 || texts[i].enhanced[0] != 0);
        assert_int_equal(code, texts[i].code);
        assert_memory_equal(enhanced, texts[i].enhanced, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_tells_of_each_recipient),
        cmocka_unit_test(prose_is_read_as_far_as_it_goes),
        cmocka_unit_test(a_complaint_is_one),
        cmocka_unit_test(an_answer_means_nothing),
        cmocka_unit_test(a_letter_is_none_of_these),
        cmocka_unit_test(hostile_reports_are_bounded),
        cmocka_unit_test(codes_are_found_where_they_stand),
    };
    return RUN(tests);
}
