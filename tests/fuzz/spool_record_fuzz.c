/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes what the spool reads from disk.  The input is raw bytes of a segment (it begins with M),
 * or, behind its first byte, a list of records, type and length and payload, that are framed with
 * right checksums so that the payloads are reached.  Oracle: whatever is there, the spool opens or
 * says why not, gives only messages that are whole, goes on, and a second start finds the same
 * messages.
 */
#include "mta/base/bytes.h"
#include "mta/mail/verp.h"
#include "mta/spool/payload.h"
#include "mta/spool/segment.h"
#include "tests/unit/fake_disk.h"
#include "tests/unit/fake_worker.h"

enum { PIECE_HEAD = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first record is a head: without one nothing counts. */
static void frame(struct span in, struct buf *into)
{
    struct record record = {
        .type = RECORD_SEGMENT, .generation = 7, .segment = 1, .sequence = 1, .payload = {"", 1}
    };
    record_put(into, &record, span_make("", 0));
    while (in.len >= PIECE_HEAD) {
        size_t len     = bytes_get16(in.at + 1);
        struct span at = span_first(span_skip(in, PIECE_HEAD), len);
        unsigned type  = (unsigned char)in.at[0];
        record.type    = (enum record_type)(1 + type % RECORD_APPEND);
        record.sequence += 1 + (type >= 0xf0); /* now and then a gap */
        record.durable = type & 0x80 ? record.sequence - 1 : 0;
        record.payload = at;
        if (into->len + record_bytes(at.len) > SEGMENT_BYTES_MIN)
            return;
        record_put(into, &record, span_make("", 0));
        in = span_skip(in, PIECE_HEAD + at.len);
    }
}

static void put_segment(struct span bytes)
{
    char name[DISK_NAME_BYTES];
    struct disk_file *file = NULL;
    segment_name(1, name);
    must(disk_create(NULL, name, SEGMENT_BYTES_MIN, &file) == OK);
    must(disk_write(file, 0, span_first(bytes, SEGMENT_BYTES_MIN)) == OK);
    must(disk_sync(file) == OK);
    disk_close_file(file);
}

static void read_whole(const struct content *content)
{
    char text[4096];
    size_t got;
    uint64_t at        = 0;
    enum status status = OK;
    while (status == OK) {
        status = content_read(content, at, text, sizeof text, &got);
        at += got;
    }
    must(status == CORRUPT || (status == END && at == content_bytes(content)));
}

static void check_message(const struct spool_recovered *found)
{
    static size_t live;
    live = found->first == 0 ? 0 : live;
    must(found->first + found->given <= found->rcpt_count);
    for (size_t i = 0; i < found->given; i++) {
        must(strlen(found->rcpts[i].envelope.address) <= PAYLOAD_TEXT_BYTES_MAX);
        must(found->rcpts[i].state < RCPT_STATE_COUNT);
        live += found->rcpts[i].state != RCPT_ENDED;
    }
    must(strlen(found->entry.flow) <= PAYLOAD_TEXT_BYTES_MAX);
    must(found->entry.is_growing == (found->entry.cursor != SPOOL_CURSOR_DONE));
    must(found->entry.envelope.verp[0] == '\0' ||
         verp_is_valid(span_of(found->entry.envelope.verp)));
    must(live > 0 || found->entry.is_growing || !found->is_last);
    must((found->content != NULL) == (found->first == 0));
    if (found->content != NULL)
        read_whole(found->content);
}

/* The sum of what was found, to compare. */
static uint64_t start(bool *is_refused)
{
    struct spool_config config = {.directory = "/spool", .segment_bytes = SEGMENT_BYTES_MIN};
    struct spool *s            = NULL;
    struct buf error           = {0};
    struct spool_recovered found;
    uint64_t sum = 0;
    *is_refused  = spool_open(&s, NULL, &config, &error) != OK;
    must(!*is_refused || error.len > 0);
    buf_release(&error);
    if (*is_refused)
        return 0;
    while (spool_take_recovered(s, &found)) {
        check_message(&found);
        sum = sum * 31 + found.entry.id + found.rcpt_count;
        sum = sum * 31 + found.entry.cursor;
        if (found.content != NULL)
            content_release(found.content);
    }
    (void)spool_turn(s, 1000);
    spool_close(s);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool is_refused, is_refused_again;
    struct buf framed = {0};
    struct span in    = {(const char *)data, size};
    fake_reset();
    if (size > 0 && data[0] != 'M') {
        frame(span_skip(in, 1), &framed);
        in = buf_span(&framed);
    }
    put_segment(in);
    uint64_t sum = start(&is_refused);
    must(start(&is_refused_again) == sum && is_refused == is_refused_again);
    buf_release(&framed);
    fake_reset();
    return 0;
}
