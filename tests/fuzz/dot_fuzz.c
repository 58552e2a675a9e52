/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes dot.  The first byte chooses the mode and the size of the pieces.  Oracle: cut anywhere
 * gives the same; what was read is canonical, goes out and comes in again as itself.
 */
#include "mta/base/fault.h"
#include "mta/mail/dot.h"
#include "mta/mail/escape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_all(struct dot_reader *r, bool is_chunked, struct span text, size_t piece,
                       struct buf *content)
{
    size_t taken = 0;
    if (is_chunked)
        dot_reader_init_chunked(r);
    else
        dot_reader_init(r);
    while (!r->ended && taken < text.len)
        taken += dot_reader_feed(r, span_first(span_skip(text, taken), piece), content);
    must(r->bytes == content->len);
    if (is_chunked)
        dot_reader_finish(r, content);
    return taken;
}

static bool write_all(bool is_chunked, struct span content, size_t piece, struct buf *wire)
{
    struct dot_writer w;
    bool is_good = true;
    dot_writer_init(&w, is_chunked);
    for (; content.len > 0 && is_good; content = span_skip(content, piece))
        is_good = dot_writer_put(&w, span_first(content, piece), wire);
    return dot_writer_end(&w, wire) && is_good;
}

static void check_round_trip(bool is_chunked, struct span content, size_t piece)
{
    struct buf wire = {0}, again = {0};
    struct dot_reader r;
    must(write_all(is_chunked, content, piece, &wire));
    must(read_all(&r, is_chunked, buf_span(&wire), piece, &again) == wire.len);
    must(r.ended != is_chunked && !r.saw_bare && !r.saw_nul);
    must(span_equals(buf_span(&again), content));
    buf_release(&wire);
    buf_release(&again);
}

static void check_read(bool is_chunked, struct span text, size_t piece)
{
    struct buf whole = {0}, pieces = {0};
    struct dot_reader a, b;
    size_t taken = read_all(&a, is_chunked, text, SIZE_MAX, &whole);
    must(read_all(&b, is_chunked, text, piece, &pieces) == taken);
    must(a.ended == b.ended && a.saw_bare == b.saw_bare && a.saw_nul == b.saw_nul);
    must(a.saw_8bit == b.saw_8bit && a.saw_8bit == !text_is_ascii(buf_span(&whole)));
    must(span_equals(buf_span(&whole), buf_span(&pieces)));
    if (a.ended || is_chunked)
        check_round_trip(is_chunked, buf_span(&whole), piece);
    buf_release(&whole);
    buf_release(&pieces);
}

static void check_write(bool is_chunked, struct span content, size_t piece)
{
    struct buf whole = {0}, pieces = {0};
    bool is_good = write_all(is_chunked, content, SIZE_MAX, &whole);
    must(write_all(is_chunked, content, piece, &pieces) == is_good);
    must(!is_good || span_equals(buf_span(&whole), buf_span(&pieces)));
    buf_release(&whole);
    buf_release(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool is_chunked  = data[0] & 1;
    size_t piece     = 1 + (data[0] >> 1);
    struct span text = {(const char *)data + 1, size - 1};
    check_read(is_chunked, text, piece);
    check_write(is_chunked, text, piece);
    return 0;
}
