/* SPDX-License-Identifier: MIT */
#include "mta/base/bytes.h"
#include "mta/base/mem.h"
#include "mta/base/rng.h"
#include "mta/spool/payload.h"
#include "mta/spool/record.h"
#include "tests/unit/check.h"
#include <string.h>

enum { SEGMENT = 42 };

static struct record a_record(struct span payload)
{
    return (struct record){.type       = RECORD_COMMIT,
                           .generation = 1700000000,
                           .segment    = SEGMENT,
                           .sequence   = 0x0102030405060708,
                           .durable    = 0x0102030405060700,
                           .payload    = payload};
}

static void a_record_comes_back_as_it_was(void **state)
{
    (void)state;
    char payload[200];
    memset(payload, 'x', sizeof payload);
    for (size_t len = 0; len <= sizeof payload; len++) {
        struct buf into     = {0};
        struct record given = a_record(span_make(payload, len / 2)), found;
        size_t bytes        = 0;
        uint64_t checksum   = 0;
        uint64_t put        = record_put(&into, &given, span_make(payload, len - len / 2));
        assert_int_equal(into.len, record_bytes(len));
        assert_int_equal(into.len % RECORD_ALIGN_BYTES, 0);
        assert_int_equal(record_parse(buf_span(&into), SEGMENT, &found, &bytes, &checksum),
                         RECORD_GOOD);
        assert_int_equal(bytes, into.len);
        assert_true(checksum == put);
        assert_int_equal(found.type, RECORD_COMMIT);
        assert_int_equal(found.generation, given.generation);
        assert_true(found.sequence == given.sequence && found.durable == given.durable);
        assert_true(span_equals(found.payload, span_make(payload, len)));
        buf_release(&into);
    }
}

static void the_bytes_on_disk_never_change(void **state)
{
    (void)state;
    static const unsigned char expected[] = {
        'M',  'R', 'S', 3, 4, 0, 0,    0,    0,    0,       0,    2,    0x65, 0x53,
        0xf1, 0,   0,   0, 0, 0, 0,    0,    0,    SEGMENT, 1,    2,    3,    4,
        5,    6,   7,   8, 1, 2, 3,    4,    5,    6,       7,    0,    'h',  'i',
        0,    0,   0,   0, 0, 0, 0x4a, 0xdd, 0x03, 0x77,    0x83, 0x60, 0xff, 0xcf};
    struct buf into      = {0};
    struct record record = a_record(span_of("hi"));
    record_put(&into, &record, span_of(""));
    assert_int_equal(into.len, sizeof expected);
    assert_memory_equal(into.at, expected, sizeof expected);
    buf_release(&into);
}

static void a_flipped_bit_anywhere_is_seen(void **state)
{
    (void)state;
    struct buf into     = {0};
    struct record given = a_record(span_of("some payload")), found;
    size_t bytes;
    record_put(&into, &given, span_of(""));
    for (size_t bit = 0; bit < into.len * 8; bit++) {
        into.at[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_not_equal(record_parse(buf_span(&into), SEGMENT, &found, &bytes, NULL),
                             RECORD_GOOD);
        into.at[bit / 8] ^= (char)(1 << bit % 8);
    }
    buf_release(&into);
}

static void a_record_cut_anywhere_is_short(void **state)
{
    (void)state;
    struct buf into     = {0};
    struct record given = a_record(span_of("some payload")), found;
    record_put(&into, &given, span_of(""));
    for (size_t len = 0; len < into.len; len++) {
        size_t bytes    = 0;
        char *exact     = mem_new(len);
        struct span cut = {memcpy(exact, into.at, len), len};
        assert_int_equal(record_parse(cut, SEGMENT, &found, &bytes, NULL), RECORD_SHORT);
        assert_true(bytes > len && bytes <= into.len);
        mem_free(exact);
    }
    buf_release(&into);
}

static void a_record_of_another_segment_does_not_count(void **state)
{
    (void)state;
    struct buf into     = {0};
    struct record given = a_record(span_of("x")), found;
    size_t bytes;
    record_put(&into, &given, span_of(""));
    assert_int_equal(record_parse(buf_span(&into), SEGMENT + 1, &found, &bytes, NULL), RECORD_BAD);
    assert_int_equal(record_version(buf_span(&into)), RECORD_VERSION);
    into.at[3] = 9;
    assert_int_equal(record_version(buf_span(&into)), 9);
    assert_int_equal(record_parse(buf_span(&into), SEGMENT, &found, &bytes, NULL), RECORD_BAD);
    buf_release(&into);
}

static const struct attempt last = {
    .code     = 550,
    .enhanced = {5, 1, 1},
    .outcome  = OUTCOME_FAILED,
    .wall_ms  = 99,
    .text     = "no such user",
    .mx       = "mx.example"
};

static void an_entry_comes_back_as_it_was(void **state)
{
    (void)state;
    struct buf into          = {0};
    struct spool_entry entry = {
        .id              = 77,
        .arrival_wall_ms = 1,
        .expire_wall_ms  = 2,
        .envelope   = {.sender = "a@b.example", .envid = "e", .ret = RET_HDRS, .is_8bit = true},
        .flow       = "flow",
        .message_id = "",
        .is_report  = true,
    };
    struct payload_entry found;
    payload_put_entry(&into, &entry);
    buf_put_text(&into, "more");
    struct reader r = {buf_span(&into), false};
    assert_true(payload_read_entry(&r, &found));
    assert_int_equal(found.id, 77);
    assert_true(found.is_report && found.is_8bit && !found.needs_utf8);
    assert_int_equal(found.ret, RET_HDRS);
    assert_true(span_is(found.sender, "a@b.example") && span_is(found.flow, "flow"));
    assert_int_equal(found.message_id.len, 0);
    assert_int_equal(found.bytes, into.len - 4);
    buf_release(&into);
}

static void an_entry_that_varies_and_grows_comes_back(void **state)
{
    (void)state;
    struct buf into          = {0};
    struct spool_entry entry = {
        .envelope   = {.sender  = "dogs@l.example",
                       .envid   = "",
                       .verp    = "+=",
                       .merge   = MERGE_ALL,
                       .list_id = 42},
        .flow       = "",
        .message_id = "",
        .is_open    = true,
        .is_growing = true,
        .cursor     = 0x1234567890,
    };
    struct payload_entry found;
    payload_put_entry(&into, &entry);
    assert_int_equal(bytes_get64(into.at + into.len - PAYLOAD_CURSOR_BYTES), entry.cursor);
    struct reader r = {buf_span(&into), false};
    assert_true(payload_read_entry(&r, &found));
    assert_true(span_is(found.verp, "+="));
    assert_int_equal(found.merge, MERGE_ALL);
    assert_int_equal(found.list_id, 42);
    assert_true(found.is_growing && found.is_open);
    assert_int_equal(found.cursor, entry.cursor);
    assert_int_equal(found.bytes, into.len);
    for (size_t len = 0; len < into.len; len++) {
        struct reader cut = {span_first(buf_span(&into), len), false};
        assert_false(payload_read_entry(&cut, &found));
    }
    buf_release(&into);
}

static void delimiters_that_nobody_wrote_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"+", "\r\n", "ab"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf into          = {0};
        struct spool_entry entry = {
            .envelope = {.sender = "", .envid = "", .list_id = 1},
              .flow = "", .message_id = ""
        };
        struct payload_entry found;
        span_copy_text(span_of(bad[i]), entry.envelope.verp, sizeof entry.envelope.verp);
        payload_put_entry(&into, &entry);
        struct reader r = {buf_span(&into), false};
        assert_false(payload_read_entry(&r, &found));
        buf_release(&into);
    }
}

static void mail_that_does_not_vary_costs_what_it_did(void **state)
{
    (void)state;
    struct buf into          = {0};
    struct spool_entry entry = {
        .envelope = {.sender = "", .envid = ""},
          .flow = "", .message_id = ""
    };
    struct envelope_rcpt to = {.address = "", .orcpt = ""};
    payload_put_entry(&into, &entry);
    assert_int_equal(into.len, 3 * 8 + 2 + 4 * 2);
    payload_put_fresh_rcpt(&into, 0, &to);
    assert_int_equal(into.len, 3 * 8 + 2 + 4 * 2 + 1 + 4 + 1 + 2 * 2);
    buf_release(&into);
}

static void a_recipient_keeps_its_data(void **state)
{
    (void)state;
    struct buf into         = {0};
    struct envelope_rcpt to = {
        .address = "r@x.example", .orcpt = "", .data = "id=42&name=Ann%20Lee"};
    struct spool_rcpt tried = {
        .envelope = {.address = "dogs@l.example", .orcpt = "", .is_local = true, .data = ""},
        .state    = RCPT_WAITING,
        .attempts = 3,
        .last     = last
    };
    struct payload_rcpt found;
    payload_put_fresh_rcpt(&into, 1, &to);
    payload_put_rcpt(&into, 4, &tried);
    struct reader r = {buf_span(&into), false};
    assert_true(payload_read_rcpt(&r, &found));
    assert_true(span_is(found.data, "id=42&name=Ann%20Lee") && !found.is_local);
    assert_true(payload_read_rcpt(&r, &found));
    assert_true(found.data.len == 0 && found.is_local && found.fate.attempts == 3);
    assert_int_equal(r.rest.len, 0);
    buf_release(&into);
}

static void joins_may_carry_a_cursor(void **state)
{
    (void)state;
    struct buf into            = {0};
    struct payload_joins given = {.first = 7, .is_growing = true, .cursor = 99}, found;
    payload_put_joins_head(&into, &given);
    payload_put_rcpts_head(&into, 0, 0);
    struct reader r = {buf_span(&into), false};
    assert_true(payload_read_joins_head(&r, &found));
    assert_true(found.first == 7 && found.count == 0 && found.is_growing && found.cursor == 99);
    buf_clear(&into);
    given.is_growing = false;
    payload_put_joins_head(&into, &given);
    payload_put_rcpts_head(&into, 0, 0);
    r = (struct reader){buf_span(&into), false};
    assert_false(payload_read_joins_head(&r, &found)); /* then somebody must join */
    buf_release(&into);
}

static void a_text_is_cut_at_its_limit(void **state)
{
    (void)state;
    struct buf into = {0}, flow = {0};
    struct payload_entry found;
    for (int i = 0; i < 10000; i++)
        buf_put_byte(&flow, 'f');
    struct spool_entry entry = {
        .envelope   = {.sender = "", .envid = ""},
        .flow       = buf_text(&flow),
        .message_id = buf_text(&flow)
    };
    payload_put_entry(&into, &entry);
    assert_true(into.len <= PAYLOAD_ENTRY_BYTES_MAX);
    struct reader r = {buf_span(&into), false};
    assert_true(payload_read_entry(&r, &found));
    assert_int_equal(found.flow.len, PAYLOAD_TEXT_BYTES_MAX);
    buf_release(&into);
    buf_release(&flow);
}

static void recipients_come_back_with_their_state(void **state)
{
    (void)state;
    struct buf into         = {0};
    struct envelope_rcpt to = {.address = "r@x.example", .orcpt = "rfc822;r", .notify = 3};
    struct spool_rcpt tried = {
        .envelope = to, .state = RCPT_OWES_FAILURE, .attempts = 3, .next_wall_ms = 5, .last = last};
    struct payload_rcpt found;
    uint32_t total, given;
    payload_put_rcpts_head(&into, 10, 2);
    payload_put_fresh_rcpt(&into, 1, &to);
    payload_put_rcpt(&into, 4, &tried);
    struct reader r = {buf_span(&into), false};
    assert_true(payload_read_rcpts_head(&r, &total, &given));
    assert_int_equal(total * 100 + given, 1002);
    assert_true(payload_read_rcpt(&r, &found));
    assert_true(found.index == 1 && found.notify == 3 && found.fate.state == RCPT_WAITING);
    assert_true(payload_read_rcpt(&r, &found));
    assert_true(found.index == 4 && found.fate.state == RCPT_OWES_FAILURE);
    assert_true(span_is(found.fate.text, "no such user") && found.fate.enhanced[0] == 5);
    assert_true(found.fate.attempts == 3 && found.fate.last_wall_ms == 99);
    assert_int_equal(r.rest.len, 0);
    buf_release(&into);
}

static void an_end_is_thirteen_bytes(void **state)
{
    (void)state;
    struct buf into          = {0};
    struct payload_fate fate = payload_fate_of(RCPT_ENDED, 7, 8, &last);
    struct payload_outcome found;
    payload_put_outcome(&into, 5, 6, &fate);
    assert_int_equal(into.len, 13);
    struct reader r = {buf_span(&into), false};
    assert_true(payload_read_outcome(&r, &found));
    assert_true(found.id == 5 && found.rcpt == 6 && found.fate.state == RCPT_ENDED);
    buf_release(&into);
}

static void counts_are_bounded_by_the_bytes_there_are(void **state)
{
    (void)state;
    static const char many[16] = {'\x7f', '\x7f', '\x7f', '\x7f', '\x7f', '\x7f', '\x7f', '\x7f',
                                  '\x7f', '\x7f', '\x7f', '\x7f', '\x7f', '\x7f', '\x7f', '\x7f'};
    uint32_t count, given;
    uint64_t bytes;
    struct reader ends =
                      {
                          {many, sizeof many},
                          false
    },
                  content = ends, rcpts = ends, text = ends;
    assert_false(payload_read_ends_head(&ends, &count));
    assert_false(payload_read_content_head(&content, &bytes, &count));
    assert_false(payload_read_rcpts_head(&rcpts, &count, &given));
    assert_int_equal(read_text(&text).len, 0);
    assert_true(text.is_bad);
}

static void a_text_with_a_nul_is_refused(void **state)
{
    (void)state;
    static const char text[] = {0, 3, 'a', 0, 'b'};
    struct reader r          = {
                 {text, sizeof text},
                 false
    };
    assert_int_equal(read_text(&r).len, 0);
    assert_true(r.is_bad);
}

static void a_payload_cut_anywhere_is_bad(void **state)
{
    (void)state;
    struct buf into          = {0};
    struct payload_fate fate = payload_fate_of(RCPT_WAITING, 7, 8, &last);
    payload_put_outcome(&into, 5, 6, &fate);
    for (size_t len = 0; len < into.len; len++) {
        struct payload_outcome found;
        char *exact     = mem_new(len);
        struct reader r = {
            {memcpy(exact, into.at, len), len},
            false
        };
        assert_false(payload_read_outcome(&r, &found));
        mem_free(exact);
    }
    buf_release(&into);
}

static void a_segment_head_names_ends(void **state)
{
    (void)state;
    struct buf into                           = {0};
    const struct payload_segment_end given[2] = {
        {3, 99, false},
        {4, 77, true }
    };
    struct payload_segment_end found[PAYLOAD_ENDS_MAX];
    size_t count;
    payload_put_segment(&into, given, 2);
    assert_true(payload_read_segment(buf_span(&into), found, &count));
    assert_int_equal(count, 2);
    assert_true(found[1].segment == 4 && found[1].last == 77 && found[1].is_cut);
    buf_put_byte(&into, 0);
    assert_false(payload_read_segment(buf_span(&into), found, &count));
    buf_release(&into);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_it_was),
        cmocka_unit_test(the_bytes_on_disk_never_change),
        cmocka_unit_test(a_flipped_bit_anywhere_is_seen),
        cmocka_unit_test(a_record_cut_anywhere_is_short),
        cmocka_unit_test(a_record_of_another_segment_does_not_count),
        cmocka_unit_test(an_entry_comes_back_as_it_was),
        cmocka_unit_test(an_entry_that_varies_and_grows_comes_back),
        cmocka_unit_test(delimiters_that_nobody_wrote_are_refused),
        cmocka_unit_test(mail_that_does_not_vary_costs_what_it_did),
        cmocka_unit_test(a_recipient_keeps_its_data),
        cmocka_unit_test(joins_may_carry_a_cursor),
        cmocka_unit_test(a_text_is_cut_at_its_limit),
        cmocka_unit_test(recipients_come_back_with_their_state),
        cmocka_unit_test(an_end_is_thirteen_bytes),
        cmocka_unit_test(counts_are_bounded_by_the_bytes_there_are),
        cmocka_unit_test(a_text_with_a_nul_is_refused),
        cmocka_unit_test(a_payload_cut_anywhere_is_bad),
        cmocka_unit_test(a_segment_head_names_ends),
    };
    return RUN(tests);
}
