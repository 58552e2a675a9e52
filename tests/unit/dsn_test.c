/* SPDX-License-Identifier: MIT */
/*
 * Dsn: what is written is taken apart again with header_next().  With an argument the program
 * prints one of the reports below instead: tests/e2e/dsn_flufl_test.py gives them to the reader
 * that Mailman uses.
 */
#include "mta/mail/dsn.h"
#include "mta/mail/escape.h"
#include "mta/mail/header.h"
#include "tests/unit/check.h"
#include <string.h>

#define REPLY(words)    .text = SPAN(words)
#define HOSTILE         "a\r\nBcc: evil@x.example\r\n\r\n--=_report_\n\x1b[2J\xff\xc2\x85(z)"
#define ORIGINAL_HEADER "From: list@l.example\r\nSubject: hi\r\nMessage-ID: <orig@l.example>\r\n"
#define ORIGINAL        ORIGINAL_HEADER "\r\nThe body.\r\n"

static const struct dsn common = {
    .reporting_mta       = "mail.example.org",
    .to                  = "List-bounces+user=dom.example@l.example",
    .message_id          = "01ABC.report@mail.example.org",
    .original_message_id = "orig@l.example",
    .queue_id            = "01KB2C3D4E5F6",
    .envid               = "",
    .arrival_wall_ms     = 1795517367000,
    .now_wall_ms         = 1795517400000,
    .original            = SPAN(ORIGINAL),
};

static const struct dsn_rcpt unknown_user = {
    .action     = DSN_FAILED,
    .address    = "user@dom.example",
    .orcpt      = "",
    .status     = {5, 1, 1},
    .remote_mta = "mx.dom.example",
    .code       = 550,
    REPLY("No such user here\nSee https://dom.example/help"),
    .last_attempt_wall_ms = 1795517399000,
};

static const struct dsn_rcpt expired = {
    .action     = DSN_FAILED,
    .address    = "late@far.example",
    .orcpt      = "rfc822;Late+2Bx@far.example",
    .status     = {4, 4, 7},
    .remote_mta = "",
    REPLY("No host of far.example could be reached for 5 days."),
};

static const struct dsn_rcpt delayed = {
    .action     = DSN_DELAYED,
    .address    = "slow@dom.example",
    .orcpt      = "",
    .status     = {4, 2, 2},
    .remote_mta = "mx.dom.example",
    .code       = 452,
    REPLY("Mailbox full"),
    .will_retry_until_wall_ms = 1795949367000,
};

static const struct dsn_rcpt delivered = {
    .action     = DSN_DELIVERED,
    .address    = "user@dom.example",
    .orcpt      = "",
    .status     = {2, 0, 0},
    .remote_mta = "lmtp.dom.example",
    .code       = 250,
    REPLY("Ok"),
};

static const struct dsn_rcpt relayed = {
    .action     = DSN_RELAYED,
    .address    = "two@dom.example",
    .orcpt      = "utf-8;two@dom.example",
    .status     = {0, 0, 0},
    .remote_mta = "mx.dom.example",
    .code       = 250,
    REPLY("Ok"),
};

static const struct dsn_rcpt in_unicode = {
    .action     = DSN_FAILED,
    .address    = "j\xc3\xb6rg@xn--d1acufc.example",
    .orcpt      = "utf-8;j\\x{F6}rg@xn--d1acufc.example",
    .status     = {5, 1, 1},
    .remote_mta = "mx.dom.example",
    .code       = 550,
    REPLY("Kein Postfach f\xc3\xbcr j\xc3\xb6rg"),
};

static const struct dsn_rcpt hostile = {
    .action     = DSN_FAILED,
    .address    = "user@dom.example",
    .orcpt      = "rfc822;a+0D+0Ab",
    .status     = {5, 0, 0},
    .remote_mta = HOSTILE,
    .code       = 550,
    REPLY(HOSTILE),
};

static void write_failed(struct buf *into)
{
    dsn_write(into, &common, &unknown_user, 1);
}

static void write_several(struct buf *into)
{
    const struct dsn_rcpt rcpts[] = {unknown_user, expired};
    struct dsn dsn                = common;
    dsn.to                        = "list-bounces@l.example";
    dsn.envid                     = "QQ+2B314+3D";
    dsn_write(into, &dsn, rcpts, 2);
}

static void write_full(struct buf *into)
{
    struct dsn dsn  = common;
    dsn.return_full = true;
    dsn_write(into, &dsn, &expired, 1);
}

static void write_delayed(struct buf *into)
{
    dsn_write(into, &common, &delayed, 1);
}

static void write_success(struct buf *into)
{
    const struct dsn_rcpt rcpts[] = {delivered, relayed};
    dsn_write(into, &common, rcpts, 2);
}

static void write_utf8(struct buf *into)
{
    struct dsn dsn = common;
    dsn.is_utf8    = true;
    dsn.to         = "j\xc3\xb6@l.example";
    dsn_write(into, &dsn, &in_unicode, 1);
}

static void write_hostile(struct buf *into)
{
    struct dsn dsn          = common;
    dsn.envid               = "+0D+0A";
    dsn.original_message_id = "x\r\nBcc: evil@x.example";
    dsn_write(into, &dsn, &hostile, 1);
}

static const struct sample {
    const char *name;
    void (*write)(struct buf *into);
} samples[] = {
    {"failed",  write_failed },
    {"several", write_several},
    {"full",    write_full   },
    {"delayed", write_delayed},
    {"success", write_success},
    {"utf8",    write_utf8   },
    {"hostile", write_hostile},
};

enum { SAMPLES = sizeof samples / sizeof samples[0], PARTS_MAX = 3 };

/* A report taken apart. */
struct taken {
    struct buf whole;
    struct span header, parts[PARTS_MAX + 1]; /* parts with their headers */
    size_t count;
};

static void take_apart(struct taken *t, void (*write)(struct buf *into))
{
    *t = (struct taken){0};
    write(&t->whole);
    struct span rest = buf_span(&t->whole);
    t->header        = span_first(rest, header_section_bytes(rest));
    struct span type = header_find(t->header, "Content-Type");
    size_t at        = span_find_text(type, span_of("=_report_"));
    assert_true(at < type.len);
    struct buf mark = {0};
    buf_put_text(&mark, "\r\n--");
    buf_put(&mark, span_first(span_skip(type, at), type.len - at - 1));
    /* The boundary's CRLF of the first part is that of the empty line. */
    rest = span_skip(rest, t->header.len - 2);
    assert_true(span_starts(rest, buf_span(&mark)));
    while (!span_is(rest = span_skip(rest, mark.len), "--\r\n")) {
        size_t n = span_find_text(rest, buf_span(&mark));
        assert_true(n < rest.len && t->count < PARTS_MAX);
        t->parts[t->count++] = span_skip(span_first(rest, n), 2);
        rest                 = span_skip(rest, n);
    }
    buf_release(&mark);
}

static struct span body_of(struct span part)
{
    return span_skip(part, header_section_bytes(part));
}

/* The n-th block of fields in the status part. */
static struct span block(const struct taken *t, size_t n)
{
    struct span rest = body_of(t->parts[1]);
    while (n-- > 0)
        rest = span_skip(rest, header_section_bytes(rest));
    return rest;
}

static void assert_field(struct span section, const char *name, const char *value)
{
    struct span found = header_find(section, name);
    if (value == NULL) {
        assert_null(found.at);
        return;
    }
    struct buf copy = {0};
    buf_put(&copy, span_trim(found));
    assert_string_equal(buf_text(&copy), value);
    buf_release(&copy);
}

static void a_failure_names_all_that_a_list_manager_looks_for(void **state)
{
    (void)state;
    struct taken t;
    take_apart(&t, write_failed);
    assert_int_equal(t.count, 3);
    assert_field(t.header, "From", "Mail Delivery System <MAILER-DAEMON@mail.example.org>");
    assert_field(t.header, "To", "List-bounces+user=dom.example@l.example");
    assert_field(t.header, "Subject", "Delivery failed: user@dom.example");
    assert_field(t.header, "Date", "Tue, 24 Nov 2026 10:50:00 +0000");
    assert_field(t.header, "Message-ID", "<01ABC.report@mail.example.org>");
    assert_field(t.header, "In-Reply-To", "<orig@l.example>");
    assert_field(t.header, "References", "<orig@l.example>");
    assert_field(t.header, "Auto-Submitted", "auto-replied");
    assert_field(t.header, "MIME-Version", "1.0");
    assert_field(t.header, "Content-Transfer-Encoding", "7bit");
    assert_field(block(&t, 0), "Reporting-MTA", "dns; mail.example.org");
    assert_field(block(&t, 0), "Arrival-Date", "Tue, 24 Nov 2026 10:49:27 +0000");
    assert_field(block(&t, 0), "Original-Envelope-Id", NULL);
    assert_field(block(&t, 1), "Original-Recipient", NULL);
    assert_field(block(&t, 1), "Final-Recipient", "rfc822;user@dom.example");
    assert_field(block(&t, 1), "Action", "failed");
    assert_field(block(&t, 1), "Status", "5.1.1");
    assert_field(block(&t, 1), "Remote-MTA", "dns; mx.dom.example");
    assert_field(block(&t, 1), "Diagnostic-Code",
                 "smtp; 550 5.1.1 No such user here See\r\n https://dom.example/help");
    assert_field(block(&t, 1), "Last-Attempt-Date", "Tue, 24 Nov 2026 10:49:59 +0000");
    assert_field(t.parts[2], "Content-Type", "text/rfc822-headers");
    assert_true(span_is(body_of(t.parts[2]), ORIGINAL_HEADER));
    buf_release(&t.whole);
}

static bool text_holds(const struct taken *t, const char *words)
{
    struct span text = body_of(t->parts[0]);
    return span_find_text(text, span_of(words)) < text.len;
}

static void the_text_names_each_address_and_what_was_said(void **state)
{
    (void)state;
    struct taken t;
    take_apart(&t, write_several);
    assert_field(t.header, "Subject", "Delivery failed: user@dom.example and 1 more");
    assert_true(text_holds(&t, "    user@dom.example\r\n"));
    assert_true(text_holds(&t, "        mx.dom.example answered: 550 5.1.1 No such user here"));
    assert_true(text_holds(&t, "    late@far.example\r\n        No host of far.example could be"));
    assert_true(text_holds(&t, "01KB2C3D4E5F6"));
    buf_release(&t.whole);
}

static void envid_and_orcpt_come_back_decoded(void **state)
{
    (void)state;
    struct taken t;
    take_apart(&t, write_several);
    assert_field(block(&t, 0), "Original-Envelope-Id", "QQ+314=");
    assert_field(block(&t, 2), "Original-Recipient", "rfc822;Late+x@far.example");
    assert_field(block(&t, 2), "Final-Recipient", "rfc822;late@far.example");
    assert_field(block(&t, 2), "Status", "4.4.7");
    assert_field(block(&t, 2), "Remote-MTA", NULL);
    assert_field(block(&t, 2), "Diagnostic-Code", NULL);
    buf_release(&t.whole);
}

static void the_whole_message_is_returned_when_asked_for(void **state)
{
    (void)state;
    struct taken t;
    take_apart(&t, write_full);
    assert_field(t.parts[2], "Content-Type", "message/rfc822");
    assert_true(span_is(body_of(t.parts[2]), ORIGINAL));
    buf_release(&t.whole);
}

static void a_delay_says_until_when_it_is_tried(void **state)
{
    (void)state;
    struct taken t;
    take_apart(&t, write_delayed);
    assert_field(t.header, "Subject", "Delivery delayed: slow@dom.example");
    assert_field(block(&t, 1), "Action", "delayed");
    assert_field(block(&t, 1), "Status", "4.2.2");
    assert_field(block(&t, 1), "Will-Retry-Until", "Sun, 29 Nov 2026 10:49:27 +0000");
    buf_release(&t.whole);
}

static void success_tells_delivered_from_relayed(void **state)
{
    (void)state;
    struct taken t;
    take_apart(&t, write_success);
    assert_field(block(&t, 1), "Action", "delivered");
    assert_field(block(&t, 2), "Action", "relayed");
    assert_field(block(&t, 2), "Status", "2.0.0");
    assert_field(block(&t, 2), "Original-Recipient", "rfc822;two@dom.example");
    assert_true(text_holds(&t, "(passed to a mail server that sends no such reports)"));
    buf_release(&t.whole);
}

static void a_report_on_utf8_mail_takes_the_forms_of_rfc_6533(void **state)
{
    (void)state;
    struct taken t;
    take_apart(&t, write_utf8);
    assert_field(t.header, "To", "j\xc3\xb6@l.example");
    assert_field(t.header, "Content-Transfer-Encoding", "8bit");
    assert_field(t.parts[0], "Content-Type", "text/plain; charset=utf-8");
    assert_field(t.parts[1], "Content-Type", "message/global-delivery-status");
    assert_field(t.parts[1], "Content-Transfer-Encoding", "8bit");
    assert_field(t.parts[2], "Content-Type", "message/global-headers");
    assert_field(t.parts[2], "Content-Transfer-Encoding", "7bit");
    assert_field(block(&t, 1), "Original-Recipient", "utf-8;j\xc3\xb6rg@xn--d1acufc.example");
    assert_field(block(&t, 1), "Final-Recipient", "utf-8;j\xc3\xb6rg@xn--d1acufc.example");
    assert_field(block(&t, 1), "Diagnostic-Code",
                 "smtp; 550 5.1.1 Kein Postfach f\xc3\xbcr j\xc3\xb6rg");
    buf_release(&t.whole);
}

static void write_unicode_rcpt_in_ascii(struct buf *into)
{
    dsn_write(into, &common, &in_unicode, 1);
}

static void an_ascii_report_is_ascii_whatever_it_reports(void **state)
{
    (void)state;
    struct taken t;
    take_apart(&t, write_unicode_rcpt_in_ascii);
    assert_true(text_is_ascii(buf_span(&t.whole)));
    assert_field(block(&t, 1), "Final-Recipient", "utf-8;j\\x{F6}rg@xn--d1acufc.example");
    assert_field(block(&t, 1), "Diagnostic-Code", "smtp; 550 5.1.1 Kein Postfach f?r j?rg");
    buf_release(&t.whole);
}

static size_t count_fields(struct span section)
{
    struct header_field field;
    size_t count = 0;
    while (header_next(&section, &field))
        count++;
    return count;
}

static void nothing_from_outside_adds_a_field_or_a_part(void **state)
{
    (void)state;
    struct taken good, bad;
    take_apart(&good, write_failed);
    take_apart(&bad, write_hostile);
    assert_int_equal(bad.count, good.count);
    assert_int_equal(count_fields(bad.header), count_fields(good.header));
    assert_int_equal(count_fields(block(&bad, 0)), count_fields(block(&good, 0)));
    /* The good one was given the time of its last attempt. */
    assert_int_equal(count_fields(block(&bad, 1)) + 1, count_fields(block(&good, 1)));
    assert_field(block(&bad, 1), "Original-Recipient", NULL);
    assert_true(text_is_ascii(buf_span(&bad.whole)));
    assert_int_equal(span_find(buf_span(&bad.whole), '\x1b'), bad.whole.len);
    buf_release(&good.whole);
    buf_release(&bad.whole);
}

static void every_report_is_canonical_with_lines_that_may_be_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct buf whole = {0};
        samples[i].write(&whole);
        struct span rest = buf_span(&whole), line;
        assert_true(span_ends_nocase(rest, span_of("\r\n")));
        while (span_cut(&rest, '\n', &line)) {
            assert_true(line.len <= 79);
            assert_int_equal(span_find(line, '\r'), line.len - 1);
        }
        buf_release(&whole);
    }
}

static struct span forged;

static void write_with_forged_boundary(struct buf *into)
{
    struct dsn dsn  = common;
    dsn.return_full = true;
    dsn.original    = forged;
    dsn_write(into, &dsn, &unknown_user, 1);
}

static void the_boundary_is_in_none_of_the_parts(void **state)
{
    (void)state;
    struct taken first, second;
    take_apart(&first, write_failed);
    forged = buf_span(&first.whole); /* a report about a report with the same id */
    take_apart(&second, write_with_forged_boundary);
    assert_int_equal(second.count, 3);
    assert_true(span_equals(body_of(second.parts[2]), forged));

    struct buf again = {0};
    write_with_forged_boundary(&again);
    assert_true(span_equals(buf_span(&again), buf_span(&second.whole)));
    buf_release(&again);
    buf_release(&first.whole);
    buf_release(&second.whole);
}

static int print_sample(const char *name)
{
    for (size_t i = 0; i < SAMPLES; i++) {
        struct buf whole = {0};
        if (strcmp(name, samples[i].name) != 0)
            continue;
        samples[i].write(&whole);
        bool is_out = fwrite(whole.at, 1, whole.len, stdout) == whole.len && fflush(stdout) == 0;
        buf_release(&whole);
        return !is_out;
    }
    return 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_names_all_that_a_list_manager_looks_for),
        cmocka_unit_test(the_text_names_each_address_and_what_was_said),
        cmocka_unit_test(envid_and_orcpt_come_back_decoded),
        cmocka_unit_test(the_whole_message_is_returned_when_asked_for),
        cmocka_unit_test(a_delay_says_until_when_it_is_tried),
        cmocka_unit_test(success_tells_delivered_from_relayed),
        cmocka_unit_test(a_report_on_utf8_mail_takes_the_forms_of_rfc_6533),
        cmocka_unit_test(an_ascii_report_is_ascii_whatever_it_reports),
        cmocka_unit_test(nothing_from_outside_adds_a_field_or_a_part),
        cmocka_unit_test(every_report_is_canonical_with_lines_that_may_be_sent),
        cmocka_unit_test(the_boundary_is_in_none_of_the_parts),
    };
    return argc > 1 ? print_sample(argv[1]) : RUN(tests);
}
