/* SPDX-License-Identifier: MIT */
#include "dns/name.h"
#include "tests/unit/check.h"
#include <string.h>

static void names_have_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *clean; /* NULL: none */
    } rows[] = {
        {"d.example",      "d.example"    },
        {"D.Example.",     "d.example"    },
        {"localhost",      "localhost"    },
        {"_dmarc.a-b.c1",  "_dmarc.a-b.c1"},
        {"1.2.3.x4",       "1.2.3.x4"     },
        {"xn--bcher-kva.", "xn--bcher-kva"},
        {"",               NULL           },
        {".",              NULL           },
        {"d.example..",    NULL           },
        {".d.example",     NULL           },
        {"d..example",     NULL           },
        {"d.example?",     NULL           },
        {"192.0.2.1",      NULL           },
        {"2001:db8::1",    NULL           },
        {"a.1",            NULL           },
        {"a b",            NULL           },
        {"\xc3\xa4.de",    NULL           },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char clean[DNS_NAME_BYTES_MAX + 1];
        assert_int_equal(dns_name_clean(span_of(rows[i].text), clean), rows[i].clean != NULL);
        if (rows[i].clean != NULL)
            assert_string_equal(clean, rows[i].clean);
    }
}

static void labels_have_63_characters(void **state)
{
    (void)state;
    char text[70], clean[DNS_NAME_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    assert_true(dns_name_clean(span_make(text, 63), clean));
    assert_false(dns_name_clean(span_make(text, 64), clean));
}

static void literals_have_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum dns_name_kind kind;
        const char *form;
    } rows[] = {
        {"[192.0.2.1]",             DNS_NAME_LITERAL, "[192.0.2.1]"            },
        {"[IPv6:2001:DB8:0:0::1]",  DNS_NAME_LITERAL, "[IPv6:2001:db8::1]"     },
        {"[ipV6:::ffff:192.0.2.1]", DNS_NAME_LITERAL, "[IPv6:::ffff:192.0.2.1]"},
        {"[2001:db8::1]",           DNS_NAME_LITERAL, "[IPv6:2001:db8::1]"     },
        {"d.example",               DNS_NAME_HOST,    "d.example"              },
        {"192.0.2.1",               DNS_NAME_BAD,     ""                       },
        {"[]",                      DNS_NAME_BAD,     ""                       },
        {"[",                       DNS_NAME_BAD,     ""                       },
        {"]",                       DNS_NAME_BAD,     ""                       },
        {"[192.0.2.1].",            DNS_NAME_BAD,     ""                       },
        {"[IPv6:192.0.2.1]",        DNS_NAME_BAD,     ""                       },
        {"[IPv7:2001:db8::1]",      DNS_NAME_BAD,     ""                       },
        {"[[2001:db8::1]]",         DNS_NAME_BAD,     ""                       },
        {"[IPv6:[2001:db8::1]]",    DNS_NAME_BAD,     ""                       },
        {"[IPv6:2001:db8::1%lo]",   DNS_NAME_BAD,     ""                       },
        {"[unix:/x]",               DNS_NAME_BAD,     ""                       },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char form[DNS_NAME_BYTES_MAX + 1];
        struct net_address literal;
        assert_int_equal(dns_name_classify(span_of(rows[i].text), form, &literal), rows[i].kind);
        assert_string_equal(form, rows[i].form);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_one_form),
        cmocka_unit_test(labels_have_63_characters),
        cmocka_unit_test(literals_have_one_form),
    };
    return RUN(tests);
}
