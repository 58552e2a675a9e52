/* SPDX-License-Identifier: MIT */
/*
 * Every packet is parsed out of a page that ends where the packet ends, so that one byte too far is
 * a crash, with or without a sanitizer.
 */
#include "dns/packet.h"
#include "mta/base/mem.h"
#include "mta/base/rng.h"
#include "tests/unit/check.h"
#include "tests/unit/dns_fixture.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARDED_BYTES = 1 << 17, QUERY_FIXED_BYTES = 12 + 4 + 11 };

/* Memory whose end no read may pass. */
struct guard {
    char *map, *end;
};

static struct guard guard_open(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map   = mmap(NULL, GUARDED_BYTES + page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + GUARDED_BYTES, page, PROT_NONE), 0);
    return (struct guard){map, map + GUARDED_BYTES};
}

static void guard_close(struct guard *g)
{
    (void)munmap(g->map, GUARDED_BYTES + (size_t)sysconf(_SC_PAGESIZE));
}

static struct span guarded(const struct guard *g, struct span bytes)
{
    assert_true(bytes.len <= GUARDED_BYTES);
    if (bytes.len > 0)
        memcpy(g->end - bytes.len, bytes.at, bytes.len);
    return span_make(g->end - bytes.len, bytes.len);
}

/* Parses and reads all records; the status of what ended it. */
static enum status read_all(struct span packet, unsigned *count)
{
    struct dns_answer answer;
    struct dns_record record;
    enum status status = dns_answer_parse(&answer, packet);
    *count             = 0;
    while (status == OK && (status = dns_answer_next(&answer, &record)) == OK) {
        assert_true(record.data.at >= packet.at);
        assert_true(record.data.at + record.data.len <= packet.at + packet.len);
        ++*count;
    }
    return status;
}

static void parse_ok(struct dns_answer *answer, const struct buf *packet)
{
    assert_int_equal(dns_answer_parse(answer, buf_span(packet)), OK);
}

static void a_query_has_rd_ad_and_opt(void **state)
{
    (void)state;
    static const char expected[] = "\xbe\xef\x01\x20\x00\x01\x00\x00\x00\x00\x00\x01"
                                   "\x01"
                                   "d\x07"
                                   "example\x00\x00\x0f\x00\x01"
                                   "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    struct buf query             = {0};
    assert_true(dns_write_query(&query, span_of("d.example"), DNS_MX, 0xbeef));
    assert_int_equal(query.len, sizeof expected - 1);
    assert_memory_equal(query.at, expected, query.len);
    buf_release(&query);
}

static void a_dot_at_the_end_changes_nothing(void **state)
{
    (void)state;
    struct buf a = {0}, b = {0};
    assert_true(dns_write_query(&a, span_of("d.example"), DNS_A, 1));
    assert_true(dns_write_query(&b, span_of("d.example."), DNS_A, 1));
    assert_true(span_equals(buf_span(&a), buf_span(&b)));
    buf_release(&a);
    buf_release(&b);
}

static void what_is_no_name_is_not_written(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "a..b",
        ".a",
        "a..",
        "a b.example",
        "a\\b.example",
        "a?.example",
        "\xc3\xa4.example",
        "a\r\nb",
        "0123456789012345678901234567890123456789012345678901234567890"
        "123.example"};
    struct buf query = {0};
    buf_put_text(&query, "before");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(dns_write_query(&query, span_of(bad[i]), DNS_A, 1));
        assert_true(span_is(buf_span(&query), "before"));
    }
    assert_false(dns_write_query(&query, span_make("a\0b", 3), DNS_A, 1));
    buf_release(&query);
}

static void long_name(char *into, size_t len)
{
    for (size_t i = 0; i < len; i++)
        into[i] = i % 64 == 63 ? '.' : 'a';
    into[len] = '\0';
}

static void the_longest_name_has_253_characters(void **state)
{
    (void)state;
    char name[300];
    struct buf query = {0};
    long_name(name, 253);
    assert_true(dns_write_query(&query, span_of(name), DNS_A, 1));
    assert_int_equal(query.len, DNS_NAME_BYTES_MAX + QUERY_FIXED_BYTES);
    long_name(name, 254);
    assert_false(dns_write_query(&query, span_of(name), DNS_A, 1));
    buf_release(&query);
}

static void an_answer_gives_its_header(void **state)
{
    (void)state;
    struct buf packet = {0};
    struct dns_answer answer;
    dns_begin(&packet, "D.Example", DNS_MX, DNS_NXDOMAIN);
    packet.at[3] = (char)(packet.at[3] | 0x20);
    parse_ok(&answer, &packet);
    assert_int_equal(answer.id, 0x1234);
    assert_int_equal(answer.rcode, DNS_NXDOMAIN);
    assert_true(answer.is_authentic);
    assert_false(answer.is_truncated);
    assert_false(answer.has_opt);
    assert_string_equal(answer.question, "d.example");
    assert_int_equal(answer.question_type, DNS_MX);
    assert_int_equal(answer.negative_ttl_s, DNS_TTL_MIN_S);
    buf_release(&packet);
}

static void records_come_in_order_with_their_contents(void **state)
{
    (void)state;
    struct buf packet = {0};
    struct dns_answer answer;
    struct dns_record record;
    dns_begin(&packet, "d.example", DNS_MX, DNS_NOERROR);
    dns_mx(&packet, "d.example", 300, 10, "MX1.d.example");
    dns_mx(&packet, "d.example", 300, 0, "");
    dns_cname(&packet, "w.example", 60, "d.example");
    dns_ip(&packet, "d.example", 60, "192.0.2.1");
    dns_ip(&packet, "d.example", 60, "2001:db8::1");
    dns_record(&packet, DNS_ANSWER, "d.example", DNS_TXT, 60, span_of("\3abc"));
    parse_ok(&answer, &packet);

    assert_int_equal(dns_answer_next(&answer, &record), OK);
    assert_int_equal(record.type, DNS_MX);
    assert_int_equal(record.preference, 10);
    assert_int_equal(record.ttl_s, 300);
    assert_string_equal(record.name, "d.example");
    assert_string_equal(record.target, "mx1.d.example");
    assert_int_equal(dns_answer_next(&answer, &record), OK);
    assert_string_equal(record.target, "");
    assert_int_equal(dns_answer_next(&answer, &record), OK);
    assert_int_equal(record.type, DNS_CNAME);
    assert_string_equal(record.target, "d.example");
    assert_int_equal(dns_answer_next(&answer, &record), OK);
    assert_memory_equal(record.ip, "\xc0\0\2\1", 4);
    assert_int_equal(dns_answer_next(&answer, &record), OK);
    assert_memory_equal(record.ip, "\x20\x01\x0d\xb8", 4);
    assert_int_equal(record.ip[15], 1);
    assert_int_equal(dns_answer_next(&answer, &record), OK);
    assert_true(span_is(record.data, "\3abc"));
    assert_int_equal(dns_answer_next(&answer, &record), END);
    assert_int_equal(dns_answer_next(&answer, &record), END);
    buf_release(&packet);
}

static void other_classes_are_passed_over(void **state)
{
    (void)state;
    struct buf packet = {0};
    unsigned count;
    dns_begin(&packet, "d.example", DNS_A, DNS_NOERROR);
    dns_ip(&packet, "d.example", 60, "192.0.2.1");
    packet.at[packet.len - 4 - 10 + 3] = 3; /* CHAOS */
    dns_ip(&packet, "d.example", 60, "192.0.2.2");
    assert_int_equal(read_all(buf_span(&packet), &count), END);
    assert_int_equal(count, 1);
    buf_release(&packet);
}

static void times_to_live_are_clipped(void **state)
{
    (void)state;
    static const struct {
        uint32_t wire_s, ours_s;
    } rows[] = {
        {0,          5    },
        {4,          5    },
        {5,          5    },
        {3600,       3600 },
        {86400,      86400},
        {86401,      86400},
        {0x7fffffff, 86400},
        {0x80000000, 5    },
        {0xffffffff, 5    },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf packet = {0};
        struct dns_answer answer;
        struct dns_record record;
        dns_begin(&packet, "d.example", DNS_A, DNS_NOERROR);
        dns_ip(&packet, "d.example", rows[i].wire_s, "192.0.2.1");
        parse_ok(&answer, &packet);
        assert_int_equal(dns_answer_next(&answer, &record), OK);
        assert_int_equal(record.ttl_s, rows[i].ours_s);
        buf_release(&packet);
    }
}

static void the_negative_ttl_is_the_smaller_of_two(void **state)
{
    (void)state;
    static const struct {
        uint32_t own_s, minimum_s, ours_s;
    } rows[] = {
        {900,   300,   300               },
        {200,   300,   200               },
        {0,     300,   DNS_TTL_MIN_S     },
        {86400, 86400, DNS_NEGATIVE_MAX_S},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf packet = {0};
        struct dns_answer answer;
        dns_begin(&packet, "d.example", DNS_MX, DNS_NXDOMAIN);
        dns_soa(&packet, "example", rows[i].own_s, rows[i].minimum_s);
        parse_ok(&answer, &packet);
        assert_int_equal(answer.negative_ttl_s, rows[i].ours_s);
        buf_release(&packet);
    }
}

static void opt_carries_the_upper_bits_of_the_rcode(void **state)
{
    (void)state;
    struct buf packet = {0};
    struct dns_answer answer;
    dns_begin(&packet, "d.example", DNS_MX, DNS_NOERROR);
    dns_record(&packet, DNS_ADDITIONAL, "", DNS_OPT, 0x01000000, span_of(""));
    parse_ok(&answer, &packet);
    assert_true(answer.has_opt);
    assert_int_equal(answer.rcode, 16); /* BADVERS, no NOERROR */
    buf_release(&packet);
}

static void a_truncated_answer_gives_no_records(void **state)
{
    (void)state;
    struct buf packet = {0};
    struct dns_answer answer;
    struct dns_record record;
    dns_begin(&packet, "d.example", DNS_A, DNS_NOERROR);
    dns_ip(&packet, "d.example", 60, "192.0.2.1");
    packet.at[2] = (char)(packet.at[2] | 2);
    packet.len -= 7; /* servers cut where they like */
    parse_ok(&answer, &packet);
    assert_true(answer.is_truncated);
    assert_int_equal(dns_answer_next(&answer, &record), END);
    buf_release(&packet);
}

static void only_the_first_hundred_records_count(void **state)
{
    (void)state;
    struct buf packet = {0};
    unsigned count;
    dns_begin(&packet, "d.example", DNS_A, DNS_NOERROR);
    for (int i = 0; i < 2000; i++)
        dns_ip(&packet, "d.example", 60, "192.0.2.1");
    assert_int_equal(read_all(buf_span(&packet), &count), END);
    assert_int_equal(count, DNS_RECORDS_MAX);
    buf_release(&packet);
}

/* An answer whose one record is a CNAME with these bytes as owner and target. */
static enum status with_names(struct span owner, struct span target, struct dns_record *record)
{
    struct buf packet = {0};
    struct dns_answer answer;
    dns_begin(&packet, "d.example", DNS_CNAME, DNS_NOERROR);
    bytes_put16(packet.at + DNS_ANSWER, 1);
    buf_put(&packet, owner);
    dns_put16(&packet, DNS_CNAME);
    dns_put16(&packet, 1);
    dns_put32(&packet, 60);
    dns_put16(&packet, (unsigned)target.len);
    buf_put(&packet, target);
    struct guard g     = guard_open();
    enum status status = dns_answer_parse(&answer, guarded(&g, buf_span(&packet)));
    if (status == OK)
        status = dns_answer_next(&answer, record);
    guard_close(&g);
    buf_release(&packet);
    return status;
}

#define BYTES(literal) span_make((literal), sizeof(literal) - 1)

static void compression_points_backwards(void **state)
{
    (void)state;
    struct dns_record record;
    assert_int_equal(with_names(BYTES("\xc0\x0c"), BYTES("\3mx1\xc0\x0c"), &record), OK);
    assert_string_equal(record.name, "d.example");
    assert_string_equal(record.target, "mx1.d.example");
    /* 0x1b is where the question ends: the owner name itself; and behind it */
    assert_int_equal(with_names(BYTES("\xc0\x1b"), BYTES("\0"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\xc0\x1c"), BYTES("\0"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\1a\xc0\x1b"), BYTES("\0"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\xc0\x0c"), BYTES("\xc0\xff"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\xc0\x0c"), BYTES("\xff\xff"), &record), CORRUPT);
    /* into the header, which is no name */
    assert_int_equal(with_names(BYTES("\xc0\x00"), BYTES("\0"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\xc0\x0b"), BYTES("\0"), &record), CORRUPT);
}

static void unknown_label_types_are_refused(void **state)
{
    (void)state;
    struct dns_record record;
    assert_int_equal(with_names(BYTES("\x40\0"), BYTES("\0"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\x80\0"), BYTES("\0"), &record), CORRUPT);
}

static void a_name_fills_its_rdata_exactly(void **state)
{
    (void)state;
    struct dns_record record;
    assert_int_equal(with_names(BYTES("\0"), BYTES("\1a\0"), &record), OK);
    assert_int_equal(with_names(BYTES("\0"), BYTES("\1a\0x"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\0"), BYTES("\1a"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\0"), BYTES("\2a\0"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\0"), BYTES("\xc0"), &record), CORRUPT);
    assert_int_equal(with_names(BYTES("\0"), BYTES(""), &record), CORRUPT);
}

static void bytes_that_are_no_text_become_question_marks(void **state)
{
    (void)state;
    struct dns_record record;
    assert_int_equal(with_names(BYTES("\0"), BYTES("\7a.b c\0\xff\1X\0"), &record), OK);
    assert_string_equal(record.target, "a?b?c??.x");
}

static void names_of_256_bytes_are_refused(void **state)
{
    (void)state;
    struct buf target = {0};
    struct dns_record record;
    char name[300];
    long_name(name, 253);
    dns_put_name(&target, name);
    assert_int_equal(with_names(BYTES("\0"), buf_span(&target), &record), OK);
    assert_string_equal(record.target, name);
    buf_clear(&target);
    long_name(name, 254);
    dns_put_name(&target, name);
    assert_int_equal(with_names(BYTES("\0"), buf_span(&target), &record), CORRUPT);
    /* by way of a pointer too: 244 bytes and d.example */
    buf_clear(&target);
    long_name(name, 243);
    dns_put_name(&target, name);
    target.len--;
    buf_put(&target, BYTES("\xc0\x0c"));
    assert_int_equal(with_names(BYTES("\0"), buf_span(&target), &record), OK);
    buf_clear(&target);
    long_name(name, 244);
    dns_put_name(&target, name);
    target.len--;
    buf_put(&target, BYTES("\xc0\x0c"));
    assert_int_equal(with_names(BYTES("\0"), buf_span(&target), &record), CORRUPT);
    buf_release(&target);
}

static void addresses_have_their_size(void **state)
{
    (void)state;
    static const struct {
        enum dns_type type;
        size_t bytes;
        enum status status;
    } rows[] = {
        {DNS_A,    0,  CORRUPT},
        {DNS_A,    3,  CORRUPT},
        {DNS_A,    4,  END    },
        {DNS_A,    5,  CORRUPT},
        {DNS_AAAA, 4,  CORRUPT},
        {DNS_AAAA, 15, CORRUPT},
        {DNS_AAAA, 16, END    },
        {DNS_AAAA, 17, CORRUPT},
        {DNS_MX,   0,  CORRUPT},
        {DNS_MX,   1,  CORRUPT},
        {DNS_MX,   2,  CORRUPT},
        {DNS_MX,   3,  END    },
        {DNS_MX,   4,  CORRUPT},
        {DNS_TLSA, 0,  END    },
        {DNS_TXT,  0,  END    },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const char zeros[32];
        struct buf packet = {0};
        struct guard g    = guard_open();
        unsigned count;
        dns_begin(&packet, "d.example", rows[i].type, DNS_NOERROR);
        dns_record(&packet, DNS_ANSWER, "d.example", rows[i].type, 60,
                   span_make(zeros, rows[i].bytes));
        assert_int_equal(read_all(guarded(&g, buf_span(&packet)), &count), rows[i].status);
        guard_close(&g);
        buf_release(&packet);
    }
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        char byte;
    } rows[] = {
        {2,  0x01}, /* a question */
        {2,  0x28}, /* another opcode */
        {5,  0   }, /* no question in it */
        {5,  2   }, /* two */
        {26, 3   }, /* not of the Internet */
        {7,  1   }, /* a record that is not there */
        {9,  1   },
        {11, 1   },
        {6,  0x7f},
    };
    struct dns_answer answer;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf packet = {0};
        struct guard g    = guard_open();
        dns_begin(&packet, "d.example", DNS_MX, DNS_NOERROR);
        assert_int_equal(packet.len, 27);
        packet.at[rows[i].at] = rows[i].byte;
        assert_int_equal(dns_answer_parse(&answer, guarded(&g, buf_span(&packet))), CORRUPT);
        guard_close(&g);
        buf_release(&packet);
    }
    assert_int_equal(dns_answer_parse(&answer, (struct span){NULL, 0}), CORRUPT);
}

static void a_rich_answer(struct buf *packet)
{
    dns_begin(packet, "d.example", DNS_MX, DNS_NOERROR);
    dns_mx(packet, "d.example", 300, 10, "mx1.d.example");
    dns_cname(packet, "w.example", 60, "d.example");
    dns_ip(packet, "d.example", 60, "2001:db8::1");
    dns_soa(packet, "example", 300, 60);
    dns_record(packet, DNS_ADDITIONAL, "", DNS_OPT, 0, span_of("\0\0"));
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct buf packet = {0};
    struct guard g    = guard_open();
    unsigned count;
    a_rich_answer(&packet);
    assert_int_equal(read_all(guarded(&g, buf_span(&packet)), &count), END);
    assert_int_equal(count, 3);
    for (size_t len = 0; len < packet.len; len++)
        assert_int_equal(read_all(guarded(&g, span_first(buf_span(&packet), len)), &count),
                         CORRUPT);
    guard_close(&g);
    buf_release(&packet);
}

static void no_broken_byte_reads_too_far(void **state)
{
    (void)state;
    struct buf packet = {0};
    struct guard g    = guard_open();
    struct rng rng;
    unsigned count;
    rng_seed(&rng, 1);
    a_rich_answer(&packet);
    for (size_t at = 0; at < packet.len; at++)
        for (unsigned value = 0; value < 256; value++) {
            struct span copy           = guarded(&g, buf_span(&packet));
            *(g.end - packet.len + at) = (char)value;
            (void)read_all(copy, &count);
        }
    for (int i = 0; i < 100000; i++) {
        struct span copy = guarded(&g, buf_span(&packet));
        for (int j = 0; j < 4; j++)
            g.end[-(ptrdiff_t)rng_below(&rng, packet.len) - 1] = (char)rng_next(&rng);
        (void)read_all(copy, &count);
    }
    guard_close(&g);
    buf_release(&packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_has_rd_ad_and_opt),
        cmocka_unit_test(a_dot_at_the_end_changes_nothing),
        cmocka_unit_test(what_is_no_name_is_not_written),
        cmocka_unit_test(the_longest_name_has_253_characters),
        cmocka_unit_test(an_answer_gives_its_header),
        cmocka_unit_test(records_come_in_order_with_their_contents),
        cmocka_unit_test(other_classes_are_passed_over),
        cmocka_unit_test(times_to_live_are_clipped),
        cmocka_unit_test(the_negative_ttl_is_the_smaller_of_two),
        cmocka_unit_test(opt_carries_the_upper_bits_of_the_rcode),
        cmocka_unit_test(a_truncated_answer_gives_no_records),
        cmocka_unit_test(only_the_first_hundred_records_count),
        cmocka_unit_test(compression_points_backwards),
        cmocka_unit_test(unknown_label_types_are_refused),
        cmocka_unit_test(a_name_fills_its_rdata_exactly),
        cmocka_unit_test(bytes_that_are_no_text_become_question_marks),
        cmocka_unit_test(names_of_256_bytes_are_refused),
        cmocka_unit_test(addresses_have_their_size),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(no_broken_byte_reads_too_far),
    };
    return RUN(tests);
}
