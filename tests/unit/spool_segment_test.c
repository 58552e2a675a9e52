/* SPDX-License-Identifier: MIT */
#include "mta/base/mem.h"
#include "mta/spool/scan.h"
#include "mta/spool/segment.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_disk.h"

static void names_and_numbers_belong_together(void **state)
{
    (void)state;
    static const char *const foreign[] = {"",
                                          "reserve",
                                          "1.seg",
                                          "000000000000000A.seg",
                                          "000000000000000a.seG",
                                          "000000000000000a.seg~",
                                          "0000000000000000.seg",
                                          "ffffffffffffffff.seg"};
    char name[DISK_NAME_BYTES];
    uint64_t id = 0;
    segment_name(0xfedcba9876543210, name);
    assert_string_equal(name, "fedcba9876543210.seg");
    assert_true(segment_id_of(name, &id));
    assert_true(id == 0xfedcba9876543210);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        assert_false(segment_id_of(foreign[i], &id));
}

static struct segment *make(struct list *all, uint64_t id, enum segment_state end)
{
    char name[DISK_NAME_BYTES];
    struct disk_file *file;
    segment_name(id, name);
    assert_int_equal(disk_create(NULL, name, SEGMENT_BYTES_MIN, &file), OK);
    struct segment *segment = segment_new(id, file);
    segment_insert(all, segment);
    for (int state = SEGMENT_OPEN; state <= (int)end; state++)
        segment_enter(segment, (enum segment_state)state);
    return segment;
}

static void free_all(struct list *all)
{
    struct segment *segment;
    while ((segment = segment_first(all)) != NULL)
        segment_free(segment);
}

static void segments_stand_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    static const uint64_t ids[] = {5, 2, 9, 1, 7};
    struct list all;
    uint64_t last = 0;
    fake_reset();
    list_init(&all);
    for (size_t i = 0; i < 5; i++)
        (void)make(&all, ids[i], SEGMENT_SPARE);
    for (struct segment *s = segment_first(&all); s != NULL; s = segment_next(&all, s)) {
        assert_true(s->id > last);
        last = s->id;
    }
    assert_int_equal(last, 9);
    free_all(&all);
}

static void a_segment_stays_while_facts_in_it_speak_of_an_older_one(void **state)
{
    (void)state;
    struct list all;
    fake_reset();
    list_init(&all);
    struct segment *one = make(&all, 1, SEGMENT_SEALED), *two = make(&all, 2, SEGMENT_SEALED);
    struct segment *three = make(&all, 3, SEGMENT_SEALED);
    one->live             = 100;
    assert_true(segment_is_dead(&all, two));
    segment_pin(two, 1);
    segment_pin(three, 3);
    assert_false(segment_is_dead(&all, two));
    assert_true(segment_is_dead(&all, three)); /* it speaks of nothing older than itself */
    assert_false(segment_is_dead(&all, one));
    one->live = 0;
    assert_true(segment_is_dead(&all, one));
    segment_free(one);
    assert_true(segment_is_dead(&all, two));
    two->busy = 1;
    assert_false(segment_is_dead(&all, two));
    two->busy = 0;
    free_all(&all);
}

static void the_open_one_is_never_dead(void **state)
{
    (void)state;
    struct list all;
    fake_reset();
    list_init(&all);
    assert_false(segment_is_dead(&all, make(&all, 1, SEGMENT_OPEN)));
    assert_false(segment_is_dead(&all, make(&all, 2, SEGMENT_SPARE)));
    free_all(&all);
}

/* --- scanning --- */

static struct disk_file *file_with(const struct buf *bytes)
{
    struct disk_file *file;
    fake_reset();
    assert_int_equal(disk_create(NULL, "x", 4 << 20, &file), OK);
    assert_int_equal(disk_write(file, 0, buf_span(bytes)), OK);
    return file;
}

static void put_records(struct buf *into, uint64_t first, uint64_t count, size_t payload_bytes)
{
    char *payload = mem_new(payload_bytes);
    memset(payload, 'p', payload_bytes);
    for (uint64_t i = 0; i < count; i++) {
        struct record record = {
            .type     = RECORD_CHUNK,
            .segment  = 1,
            .sequence = first + i,
            .payload  = {payload, payload_bytes}
        };
        record_put(into, &record, span_of(""));
    }
    mem_free(payload);
}

static uint64_t count_records(struct disk_file *file, uint64_t *damaged)
{
    struct scan scan;
    struct scanned found;
    uint64_t count = 0;
    *damaged       = 0;
    scan_init(&scan, file, 1);
    while (scan_next(&scan, &found)) {
        count++;
        *damaged += found.damaged_bytes;
    }
    *damaged += found.damaged_bytes;
    scan_release(&scan);
    return count;
}

static void records_are_found_across_blocks_and_windows(void **state)
{
    (void)state;
    struct buf bytes = {0};
    uint64_t damaged;
    for (uint64_t i = 0; i < 40; i++) {
        put_records(&bytes, 1 + i, 1, i % 2 ? 60000 : 11);
        size_t pad = i % 3 ? 0 : 4096 - bytes.len % 4096;
        memset(buf_reserve(&bytes, pad), 0, pad);
        bytes.len += pad;
    }
    struct disk_file *file = file_with(&bytes);
    assert_int_equal(count_records(file, &damaged), 40);
    assert_int_equal(damaged, 0);
    disk_close_file(file);
    buf_release(&bytes);
}

static void damage_costs_only_what_it_touches(void **state)
{
    enum { NUMBER_END = 24 }; /* magic, version, number of the segment: what says whose it is */
    (void)state;
    struct buf bytes = {0};
    uint64_t damaged;
    put_records(&bytes, 1, 100, 200);
    size_t each = bytes.len / 100;
    for (size_t at = 0; at < bytes.len; at += 37) {
        bytes.at[at] ^= 0x55;
        struct disk_file *file = file_with(&bytes);
        assert_int_equal(count_records(file, &damaged), 99);
        assert_true(damaged <= each);
        assert_true(damaged > 0 || at % each < NUMBER_END); /* else it is not known for ours */
        disk_close_file(file);
        bytes.at[at] ^= 0x55;
    }
    buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_belong_together),
        cmocka_unit_test(segments_stand_in_the_order_of_their_numbers),
        cmocka_unit_test(a_segment_stays_while_facts_in_it_speak_of_an_older_one),
        cmocka_unit_test(the_open_one_is_never_dead),
        cmocka_unit_test(records_are_found_across_blocks_and_windows),
        cmocka_unit_test(damage_costs_only_what_it_touches),
    };
    return RUN(tests);
}
