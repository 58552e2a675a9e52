/* SPDX-License-Identifier: MIT */
/* Replies, whole and cut: both ways must give the same, and stay inside their bounds. */
#include "mta/base/fault.h"
#include "mta/mail/escape.h"
#include "mta/smtp/reply.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct reply_reader *r, enum reply_line line)
{
    struct span text = smtp_reply_text(&r->reply), part;
    must(text.len <= REPLY_TEXT_BYTES_MAX);
    if (line == REPLY_LINE_LAST)
        must(r->reply.code >= 200 && r->reply.code <= 599);
    while (span_cut(&text, '\n', &part))
        must(utf8_is_printable(part));
    if (r->reply.code != 0 && r->reply.enhanced[0] != 0)
        must(r->reply.enhanced[0] == r->reply.code / 100);
}

/* How many lines of each kind there were, in pieces of at most 'chunk' bytes. */
static void read_all(struct reply_reader *r, struct span bytes, size_t chunk, size_t counts[4])
{
    size_t used;
    reply_reader_init(r);
    while (bytes.len > 0) {
        enum reply_line line = reply_reader_feed(r, span_first(bytes, chunk), &used);
        counts[line] += line != REPLY_LINE_MORE;
        check(r, line);
        must(reply_reader_line(r).len <= REPLY_LINE_BYTES_MAX);
        if (line == REPLY_LINE_BAD)
            return;
        bytes = span_skip(bytes, used);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reply_reader whole, cut;
    size_t whole_counts[4] = {0}, cut_counts[4] = {0};
    if (size == 0)
        return 0;
    struct span bytes = span_make((const char *)data + 1, size - 1);
    read_all(&whole, bytes, SIZE_MAX, whole_counts);
    read_all(&cut, bytes, 1U + data[0] % 16, cut_counts);
    if (whole_counts[REPLY_LINE_BAD] == 0 && cut_counts[REPLY_LINE_BAD] == 0) {
        must(memcmp(whole_counts, cut_counts, sizeof cut_counts) == 0);
        must(whole.reply.code == cut.reply.code);
        must(span_equals(smtp_reply_text(&whole.reply), smtp_reply_text(&cut.reply)));
    }
    return 0;
}
