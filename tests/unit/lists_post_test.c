/* SPDX-License-Identifier: MIT */
/* What becomes of a mail to a list: who may send it, and what the post looks like. */
#include "lists/admit.h"
#include "lists/footer.h"
#include "lists/header.h"
#include "mta/base/fault.h"
#include "mta/mail/header.h"
#include "tests/unit/check.h"
#include <string.h>

/* An announce list with one owner. */
static struct mlist dogs(void)
{
    return (struct mlist){
        .id      = 7,
        .address = "dogs@lists.example.org",
        .kind    = MLIST_ANNOUNCE,
        .post    = MLIST_POST_OWNERS,
        .from    = MLIST_FROM_KEEP,
        .title   = "",
        .prefix  = "",
        .footer  = "",
        .archive = "",
        .help    = "",
        .people  = {[MLIST_OWNER]  = {.names = {"ann@example.org", "ann"}, .count = 2},
                    [MLIST_POSTER] = {.names = {"press@example.org"}, .count = 1}},
    };
}

static struct mlist talk(void)
{
    struct mlist list = dogs();
    list.kind         = MLIST_DISCUSSION;
    list.post         = MLIST_POST_MEMBERS;
    list.from         = MLIST_FROM_LIST;
    return list;
}

/* --- who may post --- */

static bool envelope_may(const struct mlist *list, const char *address, const char *user,
                         enum receive_role role, bool is_member)
{
    struct admit_sender sender = {.address = address, .user = user, .role = role};
    return admit_envelope(list, &sender, is_member).verdict == ADMIT_YES;
}

static void at_rcpt_an_owner_is_known_by_login_or_address(void **state)
{
    (void)state;
    struct mlist list = dogs();
    assert_true(envelope_may(&list, "x@example.org", "Ann", RECEIVE_SUBMISSION, false));
    assert_true(envelope_may(&list, "ANN@example.org", "bob", RECEIVE_SUBMISSION, false));
    assert_true(envelope_may(&list, "press@example.org", "", RECEIVE_RELAY, false));
    assert_false(envelope_may(&list, "bob@example.org", "bob", RECEIVE_SUBMISSION, true));
    assert_false(envelope_may(&list, "ann@example.org", "", RECEIVE_INBOUND, true));
    assert_false(envelope_may(&list, "", "", RECEIVE_RELAY, false));
}

static void at_rcpt_a_member_may_write_to_a_discussion_from_anywhere(void **state)
{
    (void)state;
    struct mlist list = talk();
    assert_true(envelope_may(&list, "bob@example.org", "", RECEIVE_INBOUND, true));
    assert_true(envelope_may(&list, "bob@example.org", "bob", RECEIVE_SUBMISSION, true));
    assert_false(envelope_may(&list, "bob@example.org", "", RECEIVE_INBOUND, false));
    assert_false(envelope_may(&list, "", "", RECEIVE_INBOUND, true));
}

static struct admit_answer admit(const struct mlist *list, const char *header, const char *address,
                                 const char *user, enum receive_role role, bool is_member)
{
    struct offer offer;
    struct admit_sender sender = {.address = address, .user = user, .role = role};
    offer_read(&offer, span_of(header), list);
    struct admit_mail mail = {.offer            = &offer,
                              .bytes            = 1000,
                              .author_is_member = is_member,
                              .sender_is_member = is_member};
    return admit_mail(list, &sender, &mail);
}

static void the_author_counts_as_well_as_the_envelope(void **state)
{
    (void)state;
    struct mlist list = dogs();
    const char *ann = "From: Ann <ann@example.org>\r\n", *eve = "From: eve@example.net\r\n";
    assert_int_equal(admit(&list, ann, "ann@example.org", "", RECEIVE_RELAY, false).verdict,
                     ADMIT_YES);
    assert_int_equal(admit(&list, eve, "ann@example.org", "", RECEIVE_RELAY, false).verdict,
                     ADMIT_NO);
    assert_int_equal(admit(&list, ann, "eve@example.net", "", RECEIVE_RELAY, false).verdict,
                     ADMIT_NO);
    assert_int_equal(admit(&list, eve, "x@example.org", "ann", RECEIVE_SUBMISSION, false).verdict,
                     ADMIT_YES);
    assert_int_equal(admit(&list, ann, "ann@example.org", "", RECEIVE_INBOUND, true).verdict,
                     ADMIT_NO);
}

static void a_member_posts_to_a_discussion_and_nobody_else(void **state)
{
    (void)state;
    struct mlist list = talk();
    const char *bob   = "From: bob@example.org\r\n";
    assert_int_equal(admit(&list, bob, "bob@example.org", "", RECEIVE_INBOUND, true).verdict,
                     ADMIT_YES);
    struct admit_answer no = admit(&list, bob, "bob@example.org", "", RECEIVE_INBOUND, false);
    assert_int_equal(no.verdict, ADMIT_NO);
    assert_non_null(strstr(no.text, "members"));
}

static void what_nobody_wrote_and_what_goes_round_is_dropped_in_silence(void **state)
{
    (void)state;
    struct mlist list = talk(), news = dogs();
    static const char *const bad[] = {
        "From: bob@example.org\r\nAuto-Submitted: auto-replied (vacation)\r\n",
        "From: bob@example.org\r\nAuto-Submitted: auto-generated\r\n",
        "From: bob@example.org\r\nPrecedence: auto_reply\r\n",
        "From: bob@example.org\r\nX-Loop: Dogs@lists.example.org\r\n",
        "List-Id: Dogs <dogs.lists.example.org>\r\nFrom: bob@example.org\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(admit(&list, bad[i], "bob@example.org", "", RECEIVE_RELAY, true).verdict,
                         ADMIT_SILENT);
    const char *good = "From: ann@example.org\r\nAuto-Submitted: auto-generated\r\n"
                       "List-Id: <cats.lists.example.org>\r\nX-Loop: cats@lists.example.org\r\n";
    assert_int_equal(admit(&news, good, "ann@example.org", "", RECEIVE_RELAY, false).verdict,
                     ADMIT_YES);
    assert_int_equal(admit(&news, bad[0], "ann@example.org", "", RECEIVE_RELAY, false).verdict,
                     ADMIT_SILENT);
    assert_int_equal(admit(&list, "From: a@b.example\r\nAuto-Submitted: no\r\n", "a@b.example", "",
                           RECEIVE_RELAY, true)
                         .verdict,
                     ADMIT_YES);
}

static void a_post_has_one_author_and_a_size(void **state)
{
    (void)state;
    struct mlist list              = dogs();
    static const char *const bad[] = {"", "From: \r\n",
                                      "From: ann@example.org, bob@example.org\r\n",
                                      "From: ann@example.org\r\nFrom: ann@example.org\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(admit(&list, bad[i], "ann@example.org", "", RECEIVE_RELAY, false).verdict,
                         ADMIT_NO);
    list.message_bytes_max = 999;
    struct admit_answer answer =
        admit(&list, "From: ann@example.org\r\n", "ann@example.org", "", RECEIVE_RELAY, false);
    assert_int_equal(answer.verdict, ADMIT_NO);
    assert_string_equal(answer.enhanced, "5.3.4");
}

/* --- footers --- */

static void footer_of(const char *text, const char *header, bool wraps, const char *close)
{
    struct footer footer;
    footer_make(&footer, text, span_of(header), 0x1234);
    assert_int_equal(footer.wraps, wraps);
    if (close != NULL && strcmp(buf_text(&footer.close), close) != 0)
        print_error("of %s:\n%s\n", header, footer.close.at);
    if (close != NULL)
        assert_string_equal(buf_text(&footer.close), close);
    footer_release(&footer);
}

static void a_footer_stands_below_a_plain_text(void **state)
{
    (void)state;
    footer_of("", "Content-Type: text/html\r\n", false, "");
    footer_of("bye\nbye", "", false, "\r\nbye\r\nbye\r\n");
    footer_of("bye", "Content-Type: text/plain; charset=ISO-8859-1\r\n", false, "\r\nbye\r\n");
    footer_of("d\xc3\xb6g",
              "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
              false, "\r\nd\xc3\xb6g\r\n");
    footer_of("d\xc3\xb6g",
              "Content-Type: text/plain; charset=UTF-8\r\n"
              "Content-Transfer-Encoding: quoted-printable\r\n",
              false, "\r\nd=C3=B6g\r\n");
}

static void anything_else_is_wrapped(void **state)
{
    (void)state;
    footer_of("bye", "Content-Type: text/html\r\n", true, NULL);
    footer_of("bye", "Content-Type: multipart/signed; boundary=x\r\n", true, NULL);
    footer_of("bye", "Content-Transfer-Encoding: base64\r\n", true, NULL);
    footer_of("d\xc3\xb6g", "Content-Type: text/plain; charset=utf-8\r\n", true, NULL);
    footer_of("d\xc3\xb6g", "Content-Type: text/plain; charset=iso-8859-1\r\n", true, NULL);
    footer_of("bye", "Content-Type: text/plain; charset=utf-16\r\n", true, NULL);
    footer_of("bye", "Content-Type: multipart/encrypted; boundary=x\r\n", false, "");
}

static void the_first_part_is_what_came(void **state)
{
    (void)state;
    struct footer footer;
    footer_make(&footer, "d\xc3\xb6g",
                span_of("From: a@b.example\r\nContent-Type: text/html;\r\n charset=utf-8\r\n"
                        "Content-Transfer-Encoding: 8bit\r\n"),
                0x1234);
    assert_string_equal(buf_text(&footer.fields), "Content-Type: multipart/mixed;\r\n"
                                                  " boundary=\"=_mailrace_0000000000001234\"\r\n");
    assert_string_equal(buf_text(&footer.open), "--=_mailrace_0000000000001234\r\n"
                                                "Content-Type: text/html;\r\n charset=utf-8\r\n"
                                                "Content-Transfer-Encoding: 8bit\r\n\r\n");
    assert_string_equal(buf_text(&footer.close), "\r\n--=_mailrace_0000000000001234\r\n"
                                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                                 "Content-Transfer-Encoding: quoted-printable\r\n"
                                                 "Content-Disposition: inline\r\n\r\nd=C3=B6g\r\n"
                                                 "\r\n--=_mailrace_0000000000001234--\r\n");
    footer_release(&footer);
}

/* --- headers --- */

/* The header of the post, in one piece. */
static char *compose(const struct mlist *list, const char *header, const char *base_url)
{
    struct offer offer;
    struct footer footer;
    struct buf into = {0};
    offer_read(&offer, span_of(header), list);
    footer_make(&footer, list->footer, span_of(header), 1);
    header_compose(list, &offer, &footer, base_url, &into);
    footer_release(&footer);
    return (char *)buf_text(&into);
}

static void free_text(char *text)
{
    struct buf owned = {.at = text};
    buf_release(&owned);
}

static void has_field(const char *header, const char *name, const char *wanted)
{
    struct span rest = span_of(header), found = {0};
    struct header_field field;
    unsigned count = 0;
    while (header_next(&rest, &field)) {
        if (!span_is_nocase(field.name, name))
            continue;
        found = field.value;
        count++;
    }
    bool is_good = wanted == NULL ? count == 0 : count == 1 && span_is(span_trim(found), wanted);
    if (!is_good)
        print_error("%s: wanted '%s' in\n%s\n", name, wanted == NULL ? "(none)" : wanted, header);
    assert_true(is_good);
}

static const char announcement[] = "Received: from x by y; z\r\n"
                                   "From: Ann <ann@example.org>\r\n"
                                   "To: dogs@lists.example.org\r\n"
                                   "Subject: News\r\n"
                                   "Message-ID: <1@example.org>\r\n"
                                   "DKIM-Signature: v=1; d=example.org\r\n"
                                   "List-Id: <other.example.net>\r\n"
                                   "List-Unsubscribe: <mailto:x@example.net>\r\n"
                                   "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
                                   "Precedence: bulk\r\n"
                                   "Disposition-Notification-To: ann@example.org\r\n"
                                   "Return-Path: <ann@example.org>\r\n"
                                   "Bcc: eve@example.net\r\n"
                                   "X-Loop: cats@lists.example.org\r\n";

static void an_announcement_keeps_its_author_and_gets_the_list_s_fields(void **state)
{
    (void)state;
    struct mlist list = dogs();
    list.title        = "D\xc3\xb6g lovers";
    list.archive      = "https://lists.example.org/archive";
    char *h           = compose(&list, announcement, "https://lists.example.org");
    has_field(h, "Received", "from x by y; z");
    has_field(h, "From", "Ann <ann@example.org>");
    has_field(h, "Subject", "News");
    has_field(h, "Message-ID", "<1@example.org>");
    has_field(h, "DKIM-Signature", "v=1; d=example.org");
    has_field(h, "List-Id", "=?utf-8?q?D=C3=B6g_lovers?= <dogs.lists.example.org>");
    has_field(h, "List-Unsubscribe",
              "<{{unsubscribe_url}}>,\r\n <mailto:dogs-leave+{{leave_token}}@lists.example.org>");
    has_field(h, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
    has_field(h, "List-Post", "NO");
    has_field(h, "List-Help", "<mailto:dogs-request@lists.example.org?subject=help>");
    has_field(h, "List-Owner", "<mailto:dogs-owner@lists.example.org>");
    has_field(h, "List-Archive", "<https://lists.example.org/archive>");
    has_field(h, "Precedence", "list");
    has_field(h, "Disposition-Notification-To", NULL);
    has_field(h, "Return-Path", NULL);
    has_field(h, "Bcc", NULL);
    has_field(h, "Reply-To", NULL);
    assert_non_null(strstr(h, "X-Loop: cats@lists.example.org\r\n"));
    assert_non_null(strstr(h, "X-Loop: dogs@lists.example.org\r\n"));
    assert_string_equal(h + strlen(h) - 4, "\r\n\r\n");
    free_text(h);
}

static void without_pages_only_the_address_is_named(void **state)
{
    (void)state;
    struct mlist list = dogs();
    char *h           = compose(&list, announcement, NULL);
    has_field(h, "List-Unsubscribe", "<mailto:dogs-leave+{{leave_token}}@lists.example.org>");
    has_field(h, "List-Unsubscribe-Post", NULL);
    free_text(h);
    h = compose(&list, announcement, "http://lists.example.org");
    has_field(h, "List-Unsubscribe-Post", NULL);
    free_text(h);
}

static void in_a_discussion_the_list_speaks_for_the_author(void **state)
{
    (void)state;
    struct mlist list = talk();
    char *h           = compose(&list,
                                "From: \"Lee, \\\"Bob\\\"\" <bob@example.net>\r\nSender: x@example.net\r\n"
                                          "DKIM-Signature: v=1\r\nSubject: hi\r\n",
                                NULL);
    has_field(h, "From", "\"Lee, \\\"Bob\\\" via dogs\" <dogs@lists.example.org>");
    has_field(h, "X-Original-From", "\"Lee, \\\"Bob\\\"\" <bob@example.net>");
    has_field(h, "Reply-To", "bob@example.net");
    has_field(h, "Sender", NULL);
    has_field(h, "DKIM-Signature", NULL);
    has_field(h, "List-Post", "<mailto:dogs@lists.example.org>");
    free_text(h);
    h = compose(&list,
                "From: =?utf-8?q?J=C3=BCrg?=\r\n <j@example.net>\r\nReply-To: k@example.net,\r\n"
                "\tl@example.net\r\n",
                NULL);
    has_field(h, "From", "=?utf-8?q?J=C3=BCrg_via_dogs?= <dogs@lists.example.org>");
    has_field(h, "X-Original-From", "=?utf-8?q?J=C3=BCrg?= <j@example.net>");
    has_field(h, "Reply-To", "k@example.net, l@example.net");
    free_text(h);
}

static void an_author_of_the_list_s_own_domain_stays(void **state)
{
    (void)state;
    struct mlist list = talk();
    char *h           = compose(&list, "From: ann@Lists.example.org\r\n", NULL);
    has_field(h, "From", "ann@Lists.example.org");
    has_field(h, "Reply-To", NULL);
    free_text(h);
}

static void replies_go_where_the_list_says(void **state)
{
    (void)state;
    struct mlist list = talk();
    list.reply        = MLIST_REPLY_LIST;
    char *h = compose(&list, "From: bob@example.net\r\nReply-To: x@example.net\r\n", NULL);
    has_field(h, "Reply-To", "dogs@lists.example.org");
    free_text(h);
    list.reply = MLIST_REPLY_AUTHOR;
    list.from  = MLIST_FROM_KEEP;
    h          = compose(&list, "From: bob@example.net\r\nReply-To: x@example.net\r\n", NULL);
    has_field(h, "From", "bob@example.net");
    has_field(h, "Reply-To", "bob@example.net");
    free_text(h);
}

static void subject_of(const char *prefix, const char *subject, const char *wanted)
{
    struct mlist list = dogs();
    struct buf header = {0};
    list.prefix       = prefix;
    buf_put_text(&header, "From: ann@example.org\r\n");
    if (subject != NULL)
        buf_printf(&header, "Subject: %s\r\n", subject);
    char *h = compose(&list, buf_text(&header), NULL);
    has_field(h, "Subject", wanted);
    free_text(h);
    buf_release(&header);
}

static void a_prefix_is_put_once(void **state)
{
    (void)state;
    subject_of("", "hi", "hi");
    subject_of("[dogs]", "hi", "[dogs] hi");
    subject_of("[dogs]", "Re: [dogs] hi", "Re: [dogs] hi");
    subject_of("[dogs]", "=?utf-8?q?=5Bdogs=5D_D=C3=B6g?=", "=?utf-8?q?=5Bdogs=5D_D=C3=B6g?=");
    subject_of("[dogs]", "=?utf-8?q?D=C3=B6g?=", "[dogs] =?utf-8?q?D=C3=B6g?=");
    subject_of("[D\xc3\xb6g]", "hi", "=?utf-8?q?=5BD=C3=B6g=5D?= hi");
    subject_of("[dogs]", NULL, "[dogs]");
}

static void a_post_for_each_by_name_says_so_in_its_header(void **state)
{
    (void)state;
    struct mlist list = dogs();
    list.to           = MLIST_TO_MEMBER;
    char *h           = compose(&list, announcement, NULL);
    has_field(h, "To", "dogs@lists.example.org");
    free_text(h);
    list.merge = 1;
    h          = compose(&list, announcement, NULL);
    has_field(h, "To", "{{name}} <{{address}}>");
    has_field(h, "DKIM-Signature", NULL);
    free_text(h);
}

static void a_wrapped_post_has_the_fields_of_the_wrapper(void **state)
{
    (void)state;
    struct mlist list = dogs();
    list.footer       = "bye";
    char *h           = compose(&list,
                                "From: ann@example.org\r\nContent-Type: text/html\r\nMIME-Version: 1.0\r\n"
                                          "Content-Transfer-Encoding: base64\r\nDKIM-Signature: v=1\r\n",
                                NULL);
    has_field(h, "Content-Type", "multipart/mixed;\r\n boundary=\"=_mailrace_0000000000000001\"");
    has_field(h, "MIME-Version", "1.0");
    has_field(h, "Content-Transfer-Encoding", NULL);
    has_field(h, "DKIM-Signature", NULL);
    free_text(h);
}

static void the_return_path_is_a_pattern(void **state)
{
    (void)state;
    struct mlist list = dogs();
    struct buf sender = {0};
    header_sender(&list, &sender);
    assert_string_equal(buf_text(&sender), "dogs-bounces+{{bounce_token}}@lists.example.org");
    buf_release(&sender);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_rcpt_an_owner_is_known_by_login_or_address),
        cmocka_unit_test(at_rcpt_a_member_may_write_to_a_discussion_from_anywhere),
        cmocka_unit_test(the_author_counts_as_well_as_the_envelope),
        cmocka_unit_test(a_member_posts_to_a_discussion_and_nobody_else),
        cmocka_unit_test(what_nobody_wrote_and_what_goes_round_is_dropped_in_silence),
        cmocka_unit_test(a_post_has_one_author_and_a_size),
        cmocka_unit_test(a_footer_stands_below_a_plain_text),
        cmocka_unit_test(anything_else_is_wrapped),
        cmocka_unit_test(the_first_part_is_what_came),
        cmocka_unit_test(an_announcement_keeps_its_author_and_gets_the_list_s_fields),
        cmocka_unit_test(without_pages_only_the_address_is_named),
        cmocka_unit_test(in_a_discussion_the_list_speaks_for_the_author),
        cmocka_unit_test(an_author_of_the_list_s_own_domain_stays),
        cmocka_unit_test(replies_go_where_the_list_says),
        cmocka_unit_test(a_prefix_is_put_once),
        cmocka_unit_test(a_post_for_each_by_name_says_so_in_its_header),
        cmocka_unit_test(a_wrapped_post_has_the_fields_of_the_wrapper),
        cmocka_unit_test(the_return_path_is_a_pattern),
    };
    return RUN(tests);
}
