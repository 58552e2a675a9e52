/* SPDX-License-Identifier: MIT */
#include "mta/mail/escape.h"
#include "mta/mail/header.h"
#include "tests/unit/check.h"
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_span(struct span got, const char *expected)
{
    if (!span_is(got, expected))
        fail_msg("%.*s, not %s", (int)got.len, got.at, expected);
}

static const char section[] = "Received: from a\r\n\tby b;\r\n  today\r\n"
                              "Subject : old style\r\n"
                              "Empty:\r\n"
                              "subject: second\r\n"
                              "\r\n"
                              "Body: not a field\r\n";

static void fields_come_one_by_one_with_their_folds(void **state)
{
    (void)state;
    struct span rest = span_of(section);
    struct header_field field;
    assert_true(header_next(&rest, &field));
    assert_span(field.name, "Received");
    assert_span(field.value, " from a\r\n\tby b;\r\n  today");
    assert_true(header_next(&rest, &field));
    assert_span(field.name, "Subject");
    assert_true(header_next(&rest, &field));
    assert_span(field.name, "Empty");
    assert_span(field.value, "");
    assert_true(header_next(&rest, &field));
    assert_false(header_next(&rest, &field));
    assert_span(rest, "\r\nBody: not a field\r\n");
}

static void the_first_field_of_a_name_is_found_without_case(void **state)
{
    (void)state;
    assert_span(header_find(span_of(section), "SUBJECT"), " old style");
    assert_null(header_find(span_of(section), "Body").at);
    assert_null(header_find(span_of(section), "Sub").at);
    assert_non_null(header_find(span_of(section), "empty").at);
    assert_null(header_find(span_of(""), "empty").at);
}

static void a_line_that_is_no_field_ends_the_section(void **state)
{
    (void)state;
    static const char *const bad[] = {"From me Tue\r\n", " a: b\r\n", ": b\r\n",          "a\r\n",
                                      "a b: c\r\n",      "\r\n",      "a\xc3\xb6: b\r\n", ""};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct span rest = span_of(bad[i]);
        struct header_field field;
        assert_false(header_next(&rest, &field));
        assert_int_equal(rest.len, strlen(bad[i]));
    }
}

static void a_section_without_its_last_line_end_is_read(void **state)
{
    (void)state;
    struct span rest = span_of("A: one\r\nB: two");
    struct header_field field;
    assert_true(header_next(&rest, &field) && header_next(&rest, &field));
    assert_span(field.value, " two");
    assert_int_equal(rest.len, 0);
}

static void the_section_ends_behind_the_empty_line(void **state)
{
    (void)state;
    assert_int_equal(header_section_bytes(span_of("A: b\r\n\r\nbody")), 8);
    assert_int_equal(header_section_bytes(span_of("\r\nbody\r\n\r\n")), 2);
    assert_int_equal(header_section_bytes(span_of("A: b\r\n")), 6);
    assert_int_equal(header_section_bytes(span_of("")), 0);
}

static void scan_in_two(const char *text, size_t cut, struct header_scan *scan)
{
    header_scan_init(scan);
    header_scan_feed(scan, span_first(span_of(text), cut));
    header_scan_feed(scan, span_skip(span_of(text), cut));
}

static const char message[] = "Received: one\r\n"
                              "Received: two\r\n\tby x\r\n"
                              "Date: now\r\n"
                              "From: J\xc3\xb6rg <j@x.example>\r\n"
                              "Message-ID:\r\n <abc\r\n .def@x.example>\r\n"
                              "message-id: <second@x.example>\r\n"
                              "List-Id: \"<no>\" (<nor this>) The list\r\n <list.x.example>\r\n"
                              "\r\n"
                              "Received: in the body\r\n";

static void what_intake_wants_is_found_at_every_cut(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof message; cut++) {
        struct header_scan scan;
        scan_in_two(message, cut, &scan);
        assert_true(scan.is_over && !scan.is_malformed);
        assert_true(scan.has_date && scan.has_from && scan.has_message_id && scan.has_8bit);
        assert_int_equal(scan.received_count, 2);
        assert_int_equal(scan.field_count, 7);
        assert_int_equal(scan.bytes, header_section_bytes(span_of(message)));
        assert_string_equal(scan.message_id, "abc.def@x.example");
        assert_string_equal(scan.list_id, "list.x.example");
    }
}

static void a_line_counts_even_if_no_empty_line_ever_comes(void **state)
{
    (void)state;
    struct header_scan scan;
    scan_in_two("Date: x\r\nMessage-ID: <a@b>\r\n", 9, &scan);
    assert_true(!scan.is_over && scan.has_date && scan.has_message_id && !scan.has_from);
    assert_string_equal(scan.message_id, "a@b");
}

static void a_line_that_is_no_field_makes_the_header_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Date: x\r\nno field \xc3\xb6\r\nFrom: y\r\n\r\n",
        "Date: x\r\n.\r\nFrom: y\r\n\r\n",
        "Date: x\r\nFrom y\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        for (size_t cut = 0; cut <= strlen(bad[i]); cut++) {
            struct header_scan scan;
            scan_in_two(bad[i], cut, &scan);
            assert_true(scan.is_over && scan.is_malformed);
            assert_true(scan.has_date && !scan.has_from && !scan.has_8bit);
            assert_int_equal(scan.bytes, 9);
        }
}

static void a_header_may_be_empty_or_start_badly(void **state)
{
    (void)state;
    struct header_scan scan;
    scan_in_two("\r\nbody\r\n", 1, &scan);
    assert_true(scan.is_over && !scan.is_malformed);
    assert_int_equal(scan.bytes, 2);
    scan_in_two(" folded: x\r\n", 1, &scan);
    assert_true(scan.is_over && scan.is_malformed);
    assert_int_equal(scan.bytes, 0);
}

static void ids_that_are_none_or_too_long_are_empty(void **state)
{
    (void)state;
    char text[1024];
    struct header_scan scan;
    scan_in_two("Message-ID: no brackets\r\nList-Id: <open\r\n\r\n", 3, &scan);
    assert_true(scan.has_message_id);
    assert_string_equal(scan.message_id, "");
    assert_string_equal(scan.list_id, "");

    for (int len = 255; len <= 600; len += 345) {
        (void)snprintf(text, sizeof text, "List-Id: <%0*d>\r\n\r\n", len, 0);
        scan_in_two(text, 100, &scan);
        assert_int_equal(strlen(scan.list_id), len == 255 ? 255 : 0);
    }
    (void)snprintf(text, sizeof text, "List-Id: <%0256d>\r\n\r\n", 0);
    scan_in_two(text, 100, &scan);
    assert_string_equal(scan.list_id, "");
}

static void ids_are_cleaned(void **state)
{
    (void)state;
    struct header_scan scan;
    scan_in_two("Message-ID: <a\x1b\x7f\xff b\t@x>\r\n\r\n", 3, &scan);
    assert_string_equal(scan.message_id, "a???b@x");
}

static void a_huge_line_takes_bounded_memory_and_is_counted(void **state)
{
    (void)state;
    struct header_scan scan;
    char block[1000];
    memset(block, 'x', sizeof block);
    header_scan_init(&scan);
    header_scan_feed(&scan, span_of("Subject: "));
    for (int i = 0; i < 1000; i++)
        header_scan_feed(&scan, span_make(block, sizeof block));
    assert_int_equal(scan.bytes, 1000009);
    header_scan_feed(&scan, span_of("\r\nDate: x\r\n\r\n"));
    assert_true(scan.is_over && !scan.is_malformed && scan.has_date);
    assert_int_equal(scan.field_count, 2);
}

static void assert_written(const char *name, struct span value, const char *expected)
{
    struct buf got = {0};
    header_write(&got, name, value);
    assert_string_equal(buf_text(&got), expected);
    buf_release(&got);
}

static void a_field_is_one_line_when_it_fits(void **state)
{
    (void)state;
    assert_written("Subject", span_of("a  b"), "Subject: a  b\r\n");
    assert_written("Subject", span_of("  trimmed \r\n"), "Subject: trimmed\r\n");
    assert_written("Subject", span_of(""), "Subject:\r\n");
    assert_written("To", span_of("j\xc3\xb6@x.example"), "To: j\xc3\xb6@x.example\r\n");
}

static void no_byte_ends_or_forges_a_line(void **state)
{
    (void)state;
    assert_written("Subject", span_of("a\r\nBcc: b\n\nbody\r.\tx\x1b"),
                   "Subject: a??Bcc: b??body?.?x?\r\n");
    assert_written("Subject", span_make("a\0b\xc2\x85\xe2\x80\xa8\xff", 9), "Subject: a?b???\r\n");
}

static void long_values_are_folded_at_spaces(void **state)
{
    (void)state;
    assert_written(
        "References",
        span_of("<one.long.message.id@lists.example.org> <two.long.message.id@lists.example.org>"
                " <three@x>"),
        "References: <one.long.message.id@lists.example.org>\r\n"
        " <two.long.message.id@lists.example.org> <three@x>\r\n");
}

static void the_first_word_stays_with_the_name(void **state)
{
    (void)state;
    char word[101] = {0}, expected[120];
    memset(word, 'w', 100);
    (void)snprintf(expected, sizeof expected, "Name: %s\r\n", word);
    assert_written("Name", span_of(word), expected);
}

/* What a reader sees after unfolding; spaces count as one. */
static void unfold(struct span text, struct buf *into)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i] == '\r' || text.at[i] == '\n' ? ' ' : text.at[i];
        if (c != ' ' || (into->len > 0 && into->at[into->len - 1] != ' '))
            buf_put_byte(into, c);
    }
}

/* The oracle for all writing: lines within the limits, none empty, one field, valid UTF-8. */
static void assert_one_good_field(struct span text)
{
    struct header_field field;
    struct span rest = text, line;
    assert_true(header_next(&rest, &field));
    assert_int_equal(rest.len, 0);
    assert_true(utf8_is_valid(text));
    for (bool first = true; span_cut(&text, '\n', &line); first = false) {
        assert_true(line.len > 0 && line.len <= 998 && line.at[line.len - 1] == '\r');
        assert_int_equal(span_find(line, '\r'), line.len - 1);
        assert_true(first || (line.at[0] == ' ' && span_trim(line).len > 0));
    }
}

static void any_value_is_one_good_field_that_reads_the_same(void **state)
{
    (void)state;
    static const char *const atoms[] = {" ",
                                        "   ",
                                        "a",
                                        "word",
                                        "\xc3\xb6",
                                        "\xf0\x9f\x98\x80",
                                        "a-rather-long-word-of-some-forty-characters",
                                        "\r\n",
                                        "\t"};
    uint32_t chance                  = 1;
    for (int round = 0; round < 2000; round++) {
        struct buf value = {0}, got = {0}, before = {0}, after = {0};
        for (int i = 0; i < 120; i++) {
            chance = chance * 1664525 + 1013904223;
            buf_put_text(&value, atoms[(chance >> 16) % (round % 2 ? 7 : COUNT(atoms))]);
        }
        header_write(&got, "X", buf_span(&value));
        assert_one_good_field(buf_span(&got));
        if (round % 2) {
            unfold(span_trim(buf_span(&value)), &before);
            unfold(span_trim(span_skip(buf_span(&got), 2)), &after);
            assert_true(span_equals(buf_span(&before), buf_span(&after)));
        }
        buf_release(&value);
        buf_release(&got);
        buf_release(&before);
        buf_release(&after);
    }
}

static void a_word_that_no_line_holds_is_cut_between_characters(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        struct buf value = {0}, got = {0};
        for (size_t i = 0; i < shift; i++)
            buf_put_byte(&value, 'a');
        for (int i = 0; i < 1000; i++)
            buf_put_text(&value, "\xf0\x9f\x98\x80");
        header_write(&got, "X", buf_span(&value));
        assert_one_good_field(buf_span(&got));
        buf_release(&value);
        buf_release(&got);
    }
}

static void a_desert_of_spaces_makes_no_blank_line(void **state)
{
    (void)state;
    struct buf value = {0}, got = {0};
    for (int i = 0; i < 5000; i++)
        buf_put_byte(&value, ' ');
    buf_put_text(&value, "end");
    value.at[0] = 'a';
    header_write(&got, "X", buf_span(&value));
    assert_one_good_field(buf_span(&got));
    buf_release(&value);
    buf_release(&got);
}

static const struct header_trace trace = {
    .helo      = "client.example",
    .client_ip = "192.0.2.1",
    .by        = "mail.example.org",
    .protocol  = "ESMTPS",
    .tls       = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384",
    .id        = "01KB2C3D4E5F6",
    .rcpt      = "user@dom.example",
    .wall_ms   = 1795517367000,
};

static void assert_received(const struct header_trace *t, const char *expected)
{
    struct buf got = {0}, flat = {0};
    header_write_received(&got, t);
    assert_one_good_field(buf_span(&got));
    unfold(span_trim(buf_span(&got)), &flat);
    assert_string_equal(buf_text(&flat), expected);
    buf_release(&got);
    buf_release(&flat);
}

static void received_tells_where_mail_came_from(void **state)
{
    (void)state;
    assert_received(&trace, "Received: from client.example ([192.0.2.1]) by mail.example.org with "
                            "ESMTPS (TLSv1.3 with cipher TLS_AES_256_GCM_SHA384) id 01KB2C3D4E5F6 "
                            "for <user@dom.example>; Tue, 24 Nov 2026 10:49:27 +0000");
    struct header_trace t = trace;
    t.helo                = "[IPv6:2001:db8::1]";
    t.client_ip           = "2001:db8::1";
    t.protocol            = "ESMTP";
    t.tls = t.rcpt = NULL;
    assert_received(&t, "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) by "
                        "mail.example.org with ESMTP id 01KB2C3D4E5F6; Tue, 24 Nov 2026 10:49:27 "
                        "+0000");
}

static void assert_from(const char *helo, const char *ip, const char *expected)
{
    struct header_trace t = trace;
    struct buf whole      = {0};
    t.helo                = helo;
    t.client_ip           = ip;
    t.tls = t.rcpt = NULL;
    buf_printf(&whole,
               "Received: %sby mail.example.org with ESMTPS id 01KB2C3D4E5F6; Tue, 24 Nov "
               "2026 10:49:27 +0000",
               expected);
    assert_received(&t, buf_text(&whole));
    buf_release(&whole);
}

static void a_name_that_is_none_cannot_leave_its_comment(void **state)
{
    (void)state;
    assert_from("a b", "192.0.2.1", "from [192.0.2.1] (helo=a b) ");
    assert_from("x) by evil; (", "192.0.2.1", "from [192.0.2.1] (helo=x? by evil; ?) ");
    assert_from("x\\", "192.0.2.1", "from [192.0.2.1] (helo=x?) ");
    assert_from("x\r\nBcc: y", "192.0.2.1", "from [192.0.2.1] (helo=x??Bcc: y) ");
    assert_from("\xff\xc3\xb6", "192.0.2.1", "from [192.0.2.1] (helo=?\?) ");
    assert_from("x()", "?(", "from unknown (?\?) (helo=x?\?) ");
}

static void a_client_without_name_or_address_is_told_as_it_is(void **state)
{
    (void)state;
    assert_from("", "", "");
    assert_from(NULL, NULL, "");
    assert_from("", "192.0.2.1", "from [192.0.2.1] ");
    assert_from("localhost", "", "from localhost ");
    assert_from("localhost", "local", "from localhost (local) ");
    assert_from("d\xc3\xb6m.example", "192.0.2.1", "from xn--dm-fka.example ([192.0.2.1]) ");
}

static void a_recipient_in_unicode_is_not_named(void **state)
{
    (void)state;
    struct header_trace t = trace;
    t.rcpt                = "j\xc3\xb6@dom.example";
    struct buf got        = {0};
    header_write_received(&got, &t);
    assert_true(text_is_ascii(buf_span(&got)));
    assert_int_equal(span_find_text(buf_span(&got), span_of(" for ")), got.len);
    buf_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_one_by_one_with_their_folds),
        cmocka_unit_test(the_first_field_of_a_name_is_found_without_case),
        cmocka_unit_test(a_line_that_is_no_field_ends_the_section),
        cmocka_unit_test(a_section_without_its_last_line_end_is_read),
        cmocka_unit_test(the_section_ends_behind_the_empty_line),
        cmocka_unit_test(what_intake_wants_is_found_at_every_cut),
        cmocka_unit_test(a_line_counts_even_if_no_empty_line_ever_comes),
        cmocka_unit_test(a_line_that_is_no_field_makes_the_header_malformed),
        cmocka_unit_test(a_header_may_be_empty_or_start_badly),
        cmocka_unit_test(ids_that_are_none_or_too_long_are_empty),
        cmocka_unit_test(ids_are_cleaned),
        cmocka_unit_test(a_huge_line_takes_bounded_memory_and_is_counted),
        cmocka_unit_test(a_field_is_one_line_when_it_fits),
        cmocka_unit_test(no_byte_ends_or_forges_a_line),
        cmocka_unit_test(long_values_are_folded_at_spaces),
        cmocka_unit_test(the_first_word_stays_with_the_name),
        cmocka_unit_test(any_value_is_one_good_field_that_reads_the_same),
        cmocka_unit_test(a_word_that_no_line_holds_is_cut_between_characters),
        cmocka_unit_test(a_desert_of_spaces_makes_no_blank_line),
        cmocka_unit_test(received_tells_where_mail_came_from),
        cmocka_unit_test(a_name_that_is_none_cannot_leave_its_comment),
        cmocka_unit_test(a_client_without_name_or_address_is_told_as_it_is),
        cmocka_unit_test(a_recipient_in_unicode_is_not_named),
    };
    return RUN(tests);
}
