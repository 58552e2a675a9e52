/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/receive/manuscript.h"

static struct users *users;

static int begin(void **state)
{
    struct buf error = {0};
    (void)state;
    users = users_parse(span_of("ann@x.example from=news@x.example,@lists.example\n"
                                "shop from=@y.example\n"),
                        "users", &error);
    buf_release(&error);
    return users == NULL;
}

static int end(void **state)
{
    (void)state;
    users_free(users);
    return 0;
}

/* Fed in pieces; what the intake would get, or "550 5.7.1 text". */
static void send(const char *user, const char *text, size_t piece, bool adds_sender,
                 struct buf *into)
{
    struct manuscript m;
    struct span rest          = span_of(text);
    const struct user *who    = users_find(users, user);
    enum manuscript_step step = MANUSCRIPT_MORE;
    manuscript_init(&m);
    while (rest.len > 0 && step != MANUSCRIPT_REFUSED) {
        struct span now = span_first(rest, piece);
        rest            = span_skip(rest, piece);
        if (m.is_over) {
            buf_put(into, now);
            continue;
        }
        step = manuscript_feed(&m, now, who, adds_sender);
        if (step == MANUSCRIPT_HEADER) {
            buf_put(into, buf_span(&m.out));
            buf_put(into, m.rest);
        }
    }
    if (!m.is_over) {
        step = manuscript_end(&m, who, adds_sender);
        buf_put(into, buf_span(&m.out));
    }
    if (step == MANUSCRIPT_REFUSED)
        buf_printf(into, "%d %s %s", m.refusal.code, m.refusal.enhanced, m.refusal.text);
    manuscript_release(&m);
}

static void becomes_for(const char *user, const char *text, const char *wanted, bool adds_sender)
{
    for (size_t piece = 1; piece < 200; piece += piece < 40 ? 1 : 37) {
        struct buf got = {0};
        send(user, text, piece, adds_sender, &got);
        assert_string_equal(buf_text(&got), wanted);
        buf_release(&got);
    }
}

static void becomes(const char *text, const char *wanted)
{
    becomes_for("ann@x.example", text, wanted, true);
}

static void what_is_fine_stays_as_it_is(void **state)
{
    (void)state;
    becomes("From: Ann <ann@x.example>\r\nTo: u@a.example\r\n\r\nhi\r\n",
            "From: Ann <ann@x.example>\r\nTo: u@a.example\r\n\r\nhi\r\n");
    becomes("From: \"eve@x.example\" <Ann+tag@X.EXAMPLE>\r\n\r\n",
            "Sender: ann@x.example\r\nFrom: \"eve@x.example\" <Ann+tag@X.EXAMPLE>\r\n\r\n");
    becomes("from: ann@x.example", "from: ann@x.example");
}

static void who_has_sent_is_named_where_from_does_not_say_it(void **state)
{
    (void)state;
    becomes("From: news@x.example\r\n\r\nhi\r\n",
            "Sender: ann@x.example\r\nFrom: news@x.example\r\n\r\nhi\r\n");
    becomes("From: news@x.example\r\nSender: ANN@x.example\r\n\r\n",
            "From: news@x.example\r\nSender: ANN@x.example\r\n\r\n");
    becomes("From: news@x.example,\r\n Ann <ann@x.example>\r\n\r\n",
            "Sender: ann@x.example\r\nFrom: news@x.example,\r\n Ann <ann@x.example>\r\n\r\n");
    becomes_for("ann@x.example", "From: news@x.example\r\n\r\n", "From: news@x.example\r\n\r\n",
                false);
    becomes_for("shop", "From: any@y.example\r\n\r\n", "From: any@y.example\r\n\r\n", true);
}

static void blind_copies_stay_blind(void **state)
{
    (void)state;
    becomes(
        "Bcc: a@b.example\r\nFrom: ann@x.example\r\nbcc : c@d.example,\r\n\te@f.example\r\n"
        "Resent-Bcc: g@h.example\r\nReturn-Path: <i@j.example>\r\nX-Bcc: kept\r\n\r\nBcc: body\r\n",
        "From: ann@x.example\r\nX-Bcc: kept\r\n\r\nBcc: body\r\n");
    becomes("From: ann@x.example\r\nBcc: a@b.example", "From: ann@x.example\r\n");
}

static void nobody_writes_in_another_name(void **state)
{
    (void)state;
    becomes("From: eve@x.example\r\n\r\n",
            "550 5.7.1 you may not send as <eve@x.example> (in From)");
    becomes("From: ann@x.example, eve@x.example\r\n\r\n",
            "550 5.7.1 you may not send as <eve@x.example> (in From)");
    becomes("From: \"ann@x.example\" <eve@x.example>\r\n\r\n",
            "550 5.7.1 you may not send as <eve@x.example> (in From)");
    becomes("From: friends: ann@x.example, eve@x.example;\r\n\r\n",
            "550 5.7.1 you may not send as <eve@x.example> (in From)");
    becomes("From: ann@x.example\r\nSender: eve@x.example\r\n\r\n",
            "550 5.7.1 you may not send as <eve@x.example> (in Sender)");
}

static void what_two_readers_may_understand_in_two_ways_is_refused(void **state)
{
    (void)state;
    becomes("From: ann@x.example\r\nFrom: eve@x.example\r\n\r\n",
            "550 5.6.0 there are two From fields");
    becomes("From: ann@x.example\r\nfrom : ann@x.example\r\n\r\n",
            "550 5.6.0 there are two From fields");
    becomes("From: ann@x.example\r\nSender: ann@x.example\r\nSender: ann@x.example\r\n\r\n",
            "550 5.6.0 there are two Sender fields");
    becomes("From: ann@x.example\r\nSender: ann@x.example, news@x.example\r\n\r\n",
            "550 5.6.0 Sender must be one address");
    becomes("From: ann@x.example\r\nno field\r\nFrom: eve@x.example\r\n\r\n",
            "550 5.6.0 the header holds a line that is no field");
    becomes("just text\r\n", "550 5.6.0 the header holds a line that is no field");
    becomes("To: u@a.example\r\n\r\n", "550 5.6.0 there is no From field");
    becomes("\r\nhi\r\n", "550 5.6.0 there is no From field");
    becomes("", "550 5.6.0 there is no From field");
    becomes("From: nobody:;\r\n\r\n", "550 5.6.0 there is no address in From");
    becomes("From: \r\n\r\n", "550 5.6.0 there is no address in From");
}

static void a_header_has_a_limit(void **state)
{
    struct buf text = {0}, got = {0};
    (void)state;
    buf_put_text(&text, "From: ann@x.example\r\nX: ");
    for (int i = 0; i < HEADER_BYTES_MAX; i++)
        buf_put_byte(&text, 'y');
    send("ann@x.example", buf_text(&text), 4096, true, &got);
    assert_string_equal(buf_text(&got), "550 5.6.0 the header is too large");
    buf_clear(&text);
    buf_clear(&got);
    for (int i = 0; i < HEADER_FIELDS_MAX + 2; i++)
        buf_put_text(&text, "X: y\r\n");
    send("ann@x.example", buf_text(&text), 100, true, &got);
    assert_string_equal(buf_text(&got), "550 5.6.0 the header is too large");
    buf_release(&text);
    buf_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_fine_stays_as_it_is),
        cmocka_unit_test(who_has_sent_is_named_where_from_does_not_say_it),
        cmocka_unit_test(blind_copies_stay_blind),
        cmocka_unit_test(nobody_writes_in_another_name),
        cmocka_unit_test(what_two_readers_may_understand_in_two_ways_is_refused),
        cmocka_unit_test(a_header_has_a_limit),
    };
    return check_report(cmocka_run_group_tests(tests, begin, end), sizeof tests / sizeof tests[0]);
}
