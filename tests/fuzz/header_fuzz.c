/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes header and dsn.  The first byte is the size of the pieces.  Oracle: the scan is the same
 * however the section is cut, agrees with header_next(), and whatever is written is one field.
 */
#include "mta/base/fault.h"
#include "mta/mail/dot.h"
#include "mta/mail/dsn.h"
#include "mta/mail/escape.h"
#include "mta/mail/header.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan_all(struct header_scan *scan, struct span text, size_t piece)
{
    header_scan_init(scan);
    for (; text.len > 0; text = span_skip(text, piece))
        header_scan_feed(scan, span_first(text, piece));
}

/* Fields with names that the scan's buffer holds. */
static unsigned count_fields(struct span section)
{
    struct header_field field;
    unsigned count = 0;
    while (header_next(&section, &field) && field.name.len < 256)
        count++;
    return count;
}

static void check_scan(struct span content, size_t piece)
{
    struct header_scan a, b;
    scan_all(&a, content, SIZE_MAX);
    scan_all(&b, content, piece);
    must(a.is_over == b.is_over && a.is_malformed == b.is_malformed && a.bytes == b.bytes);
    must(a.has_date == b.has_date && a.has_message_id == b.has_message_id);
    must(a.has_from == b.has_from && a.has_8bit == b.has_8bit);
    must(a.received_count == b.received_count && a.field_count == b.field_count);
    must(strcmp(a.list_id, b.list_id) == 0 && strcmp(a.message_id, b.message_id) == 0);
    must(a.bytes <= content.len && a.field_count >= count_fields(content));
    must(utf8_is_printable(span_of(a.list_id)) && text_is_ascii(span_of(a.message_id)));
}

static void check_field(struct span text)
{
    struct header_field field;
    struct span rest = text, line;
    must(header_next(&rest, &field) && rest.len == 0 && utf8_is_valid(text));
    for (bool first = true; span_cut(&text, '\n', &line); first = false) {
        must(line.len > 0 && line.len <= 998 && span_find(line, '\r') == line.len - 1);
        must(first || (line.at[0] == ' ' && span_trim(line).len > 0));
    }
}

static void check_write(struct span value)
{
    struct buf got = {0}, text = {0};
    header_write(&got, "Subject", value);
    check_field(buf_span(&got));

    buf_clear(&got);
    buf_put(&text, value);
    struct header_trace trace = {.helo     = buf_text(&text),
                                 .by       = "mail.example.org",
                                 .protocol = "ESMTP",
                                 .tls      = buf_text(&text),
                                 .id       = "01KB2C3D4E5F6"};
    trace.client_ip           = value.len > 0 && value.at[0] == '1' ? trace.helo : "192.0.2.1";
    header_write_received(&got, &trace);
    check_field(buf_span(&got));
    buf_release(&got);
    buf_release(&text);
}

/* Every text of a report from the same hostile bytes. */
static void check_report(struct span value, bool is_utf8)
{
    struct buf text = {0}, report = {0}, wire = {0};
    buf_put(&text, value);
    const char *words    = buf_text(&text);
    struct dsn_rcpt rcpt = {
        .address = words, .orcpt = words, .remote_mta = words, .code = 550, .text = value};
    struct dsn dsn = {.reporting_mta       = "mail.example.org",
                      .to                  = "list-bounces@l.example",
                      .message_id          = "1@mail.example.org",
                      .original_message_id = words,
                      .queue_id            = "01KB2C3D4E5F6",
                      .envid               = words,
                      .is_utf8             = is_utf8,
                      .original            = SPAN("A: b\r\n\r\n")};
    dsn_write(&report, &dsn, &rcpt, 1);
    struct span whole = buf_span(&report);
    must(is_utf8 ? utf8_is_valid(whole) : text_is_ascii(whole));
    struct dot_writer w;
    dot_writer_init(&w, false);
    must(dot_writer_put(&w, whole, &wire) && dot_writer_end(&w, &wire));
    must(count_fields(whole) == (words[0] == '\0' ? 9u : 11u));
    buf_release(&text);
    buf_release(&report);
    buf_release(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span text   = {(const char *)data + 1, size - 1};
    struct buf content = {0};
    struct dot_reader r;
    dot_reader_init_chunked(&r);
    (void)dot_reader_feed(&r, text, &content);
    dot_reader_finish(&r, &content);
    check_scan(buf_span(&content), 1 + data[0]);
    check_write(text);
    check_report(text, false);
    check_report(text, true);
    buf_release(&content);
    return 0;
}
