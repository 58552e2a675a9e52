/* SPDX-License-Identifier: MIT */
#include "mta/sys/net.h"
#include "tests/unit/check.h"
#include <string.h>

#define EACH(row, table) for (size_t row = 0; row < sizeof(table) / sizeof((table)[0]); row++)

static struct net_address address_of(const char *text)
{
    struct net_address address;
    if (net_address_parse(span_of(text), &address) != OK)
        fail_msg("no address: %s", text);
    return address;
}

static void addresses_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written;
        enum net_family family;
    } rows[] = {
        {"192.0.2.1",                                     "192.0.2.1",                               NET_IPV4},
        {"0.0.0.0",                                       "0.0.0.0",                                 NET_IPV4},
        {"255.255.255.255",                               "255.255.255.255",                         NET_IPV4},
        {"2001:db8::1",                                   "2001:db8::1",                             NET_IPV6},
        {"[2001:DB8::1]",                                 "2001:db8::1",                             NET_IPV6},
        {"::",                                            "::",                                      NET_IPV6},
        {"[::1]",                                         "::1",                                     NET_IPV6},
        {"::ffff:192.0.2.1",                              "::ffff:192.0.2.1",                        NET_IPV6},
        {"1111:2222:3333:4444:5555:6666:255.255.255.255", "1111:2222:3333:4444:5555:6666:ffff:ffff",
         NET_IPV6                                                                                            },
    };
    EACH(i, rows)
    {
        char text[NET_ADDRESS_TEXT_BYTES];
        struct net_address address = address_of(rows[i].text);
        assert_int_equal(address.family, rows[i].family);
        assert_int_equal(address.port, 0);
        assert_string_equal(net_address_text(&address, text), rows[i].written);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4:25",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "[]",
        "[",
        "]",
        ":::",
        "fe80::1%eth0",
        "1::2::3",
        "g::",
        "example.org",
        "0x7f.1",
        "2130706433",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999",
        "1111:2222:3333:4444:5555:6666:255.255.255.2550000000",
    };
    EACH(i, rows)
    {
        struct net_address address = {.family = NET_UNIX};
        if (net_address_parse(span_of(rows[i]), &address) != BAD_INPUT)
            fail_msg("taken: %s", rows[i]);
        assert_int_equal(address.family, NET_UNIX); /* untouched */
    }
    struct net_address address;
    assert_int_equal(net_address_parse(span_make("1.2.3.4\0x", 9), &address), BAD_INPUT);
}

static void endpoints_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum net_family family;
        uint16_t port;
    } rows[] = {
        {"192.0.2.1:25",                    NET_IPV4, 25   },
        {"127.0.0.1:0",                     NET_IPV4, 0    },
        {"[2001:db8::1]:65535",             NET_IPV6, 65535},
        {"unix:/run/mailrace/control.sock", NET_UNIX, 0    },
    };
    EACH(i, rows)
    {
        char text[NET_ENDPOINT_TEXT_BYTES];
        struct net_address address;
        assert_int_equal(net_endpoint_parse(span_of(rows[i].text), &address), OK);
        assert_int_equal(address.family, rows[i].family);
        assert_int_equal(address.port, rows[i].port);
        assert_string_equal(net_endpoint_text(&address, text), rows[i].text);
    }
}

static void what_is_no_endpoint_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        ":",
        ":25",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:-1",
        "192.0.2.1:25x",
        "192.0.2.1: 25",
        "::1:25",
        "2001:db8::1:25",
        "[::1]",
        "[::1]25",
        "[::1]:",
        "localhost:25",
        "unix:",
        "[192.0.2.1]:25",
    };
    EACH(i, rows)
    {
        struct net_address address;
        if (net_endpoint_parse(span_of(rows[i]), &address) != BAD_INPUT)
            fail_msg("taken: %s", rows[i]);
    }
}

static void a_path_fits_or_is_refused(void **state)
{
    (void)state;
    char text[NET_UNIX_PATH_BYTES + 8], written[NET_ENDPOINT_TEXT_BYTES];
    char short_text[NET_ADDRESS_TEXT_BYTES];
    struct net_address address;
    memcpy(text, "unix:", 5);
    memset(text + 5, 'p', NET_UNIX_PATH_BYTES);
    assert_int_equal(net_endpoint_parse(span_make(text, 5 + NET_UNIX_PATH_BYTES), &address),
                     BAD_INPUT);
    struct span longest = span_make(text, 5 + NET_UNIX_PATH_BYTES - 1);
    assert_int_equal(net_endpoint_parse(longest, &address), OK);
    assert_true(span_equals(span_of(net_endpoint_text(&address, written)), longest));
    assert_int_equal(strlen(net_address_text(&address, short_text)), NET_ADDRESS_TEXT_BYTES - 1);
    assert_int_equal(net_endpoint_parse(span_make("unix:/a\0b", 9), &address), BAD_INPUT);
}

static void prefixes_hold_what_is_in_them(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *address;
        bool holds;
    } rows[] = {
        {"127.0.0.0/8",         "127.255.255.255",  true },
        {"127.0.0.0/8",         "128.0.0.0",        false},
        {"192.0.2.128/25",      "192.0.2.128",      true },
        {"192.0.2.128/25",      "192.0.2.127",      false},
        {"192.0.2.4/30",        "192.0.2.7",        true },
        {"192.0.2.4/30",        "192.0.2.8",        false},
        {"192.0.2.1",           "192.0.2.1",        true },
        {"192.0.2.1",           "192.0.2.2",        false},
        {"0.0.0.0/0",           "203.0.113.9",      true },
        {"0.0.0.0/0",           "::1",              false},
        {"::/0",                "2001:db8::1",      true },
        {"::/0",                "192.0.2.1",        false},
        {"::1/128",             "::1",              true },
        {"::1/128",             "::2",              false},
        {"2001:db8::/33",       "2001:db8:7fff::1", true },
        {"2001:db8::/33",       "2001:db8:8000::1", false},
        {"10.0.0.0/8",          "::ffff:10.1.2.3",  true },
        {"10.0.0.0/8",          "::ffff:11.1.2.3",  false},
        {"::ffff:10.0.0.0/104", "10.1.2.3",         true },
        {"::ffff:10.0.0.0/104", "::ffff:10.1.2.3",  true },
        {"::ffff:10.0.0.0/104", "11.1.2.3",         false},
    };
    EACH(i, rows)
    {
        struct net_prefix prefix;
        struct net_address address = address_of(rows[i].address);
        assert_int_equal(net_prefix_parse(span_of(rows[i].prefix), &prefix), OK);
        if (net_prefix_holds(&prefix, &address) != rows[i].holds)
            fail_msg("%s, %s", rows[i].prefix, rows[i].address);
    }
    struct net_prefix all        = {{.family = NET_IPV4}, 0};
    struct net_address unix_peer = {.family = NET_UNIX};
    assert_false(net_prefix_holds(&all, &unix_peer));
}

static void what_is_no_prefix_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "::/129",
        "10.0.0.1/8",
        "192.0.2.129/25",
        "2001:db8::1/64",
        "10/8",
    };
    EACH(i, rows)
    {
        struct net_prefix prefix;
        if (net_prefix_parse(span_of(rows[i]), &prefix) != BAD_INPUT)
            fail_msg("taken: %s", rows[i]);
    }
}

static void private_addresses_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool is_private;
    } rows[] = {
        {"0.0.0.0",           true },
        {"0.255.0.1",         true },
        {"1.0.0.0",           false},
        {"9.255.255.255",     false},
        {"10.0.0.0",          true },
        {"10.255.255.255",    true },
        {"11.0.0.0",          false},
        {"100.63.255.255",    false},
        {"100.64.0.0",        true },
        {"100.127.255.255",   true },
        {"100.128.0.0",       false},
        {"127.0.0.1",         true },
        {"127.255.255.255",   true },
        {"128.0.0.0",         false},
        {"169.253.255.255",   false},
        {"169.254.169.254",   true },
        {"169.255.0.0",       false},
        {"172.15.255.255",    false},
        {"172.16.0.0",        true },
        {"172.31.255.255",    true },
        {"172.32.0.0",        false},
        {"192.167.255.255",   false},
        {"192.168.0.0",       true },
        {"192.169.0.0",       false},
        {"223.255.255.255",   false},
        {"224.0.0.1",         true },
        {"239.255.255.255",   true },
        {"240.0.0.1",         true },
        {"255.255.255.255",   true },
        {"192.0.2.1",         false},
        {"::",                true },
        {"::1",               true },
        {"fe80::1",           true },
        {"febf::1",           true },
        {"fec0::1",           true },
        {"fbff::1",           false},
        {"fc00::1",           true },
        {"fdff::1",           true },
        {"ff02::1",           true },
        {"2001:db8::1",       false},
        {"2a00:1450::1",      false},
        {"::ffff:127.0.0.1",  true },
        {"::ffff:10.1.1.1",   true },
        {"::ffff:8.8.8.8",    false},
        {"::127.0.0.1",       true },
        {"64:ff9b::10.0.0.1", true },
        {"64:ff9b::8.8.8.8",  false},
        {"2002:7f00:1::",     true },
        {"2002:c0a8:101::1",  true },
        {"2002:808:808::1",   false},
    };
    EACH(i, rows)
    {
        struct net_address address = address_of(rows[i].address);
        if (net_address_is_private(&address) != rows[i].is_private)
            fail_msg("%s", rows[i].address);
    }
    struct net_address unix_peer = {.family = NET_UNIX};
    assert_true(net_address_is_private(&unix_peer));
}

static void equality_ignores_the_port(void **state)
{
    (void)state;
    struct net_address a = address_of("192.0.2.1"), b = address_of("192.0.2.1");
    struct net_address c = address_of("192.0.2.2"), d = address_of("2001:db8::1");
    b.port = 25;
    assert_true(net_address_equals(&a, &b));
    assert_false(net_address_equals(&a, &c));
    assert_false(net_address_equals(&a, &d));
    assert_true(net_address_equals(&d, &d));
    d.ip[15]             = 2;
    struct net_address e = address_of("2001:db8::1");
    assert_false(net_address_equals(&d, &e));
    struct net_address p = {.family = NET_UNIX, .path = "/a"},
                       q = {.family = NET_UNIX, .path = "/b"};
    assert_false(net_address_equals(&p, &q));
    assert_true(net_address_equals(&p, &p));
}

static void mapped_addresses_are_unmapped(void **state)
{
    (void)state;
    struct net_address mapped = address_of("::ffff:192.0.2.1"), plain = address_of("192.0.2.1");
    struct net_address other = address_of("2001:db8::1");
    mapped.port              = 25;
    struct net_address found = net_address_unmapped(&mapped);
    assert_true(net_address_equals(&found, &plain));
    assert_int_equal(found.port, 25);
    found = net_address_unmapped(&other);
    assert_true(net_address_equals(&found, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(endpoints_are_read_and_written),
        cmocka_unit_test(what_is_no_endpoint_is_refused),
        cmocka_unit_test(a_path_fits_or_is_refused),
        cmocka_unit_test(prefixes_hold_what_is_in_them),
        cmocka_unit_test(what_is_no_prefix_is_refused),
        cmocka_unit_test(private_addresses_are_known),
        cmocka_unit_test(equality_ignores_the_port),
        cmocka_unit_test(mapped_addresses_are_unmapped),
    };
    return RUN(tests);
}
