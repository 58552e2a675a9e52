/* SPDX-License-Identifier: MIT */
/*
 * The resolver is a zone in the test: its functions are defined here, so resolver_cares.o is never
 * taken from the archive.  A name without any row does not exist.
 */
#include "dns/mx.h"
#include "mta/base/mem.h"
#include "tests/unit/check.h"
#include "tests/unit/dns_fixture.h"

enum { NOW_MS = 1000000, ASKED_MAX = 5000, ROWS_MAX = 64 };

/* "10 mx1.d.example", an address, or what else happens: "SERVFAIL", "SILENT", "UNREACHABLE",
 * "NODATA", "NXDOMAIN", "GARBAGE", "BAD_INPUT", "TRUNCATED". */
struct row {
    const char *name;
    enum dns_type type;
    const char *data;
};

struct asked {
    char name[256];
    unsigned type;
    void *tag;
};

struct resolver {
    const struct row *zone;
    struct asked asked[ASKED_MAX];
    size_t asked_count, taken;
    bool is_held; /* no answers for now */
    struct buf packet;
};

/* The door. */

struct resolver *resolver_open(struct loop *loop, const struct resolver_config *config,
                               struct buf *error)
{
    (void)loop;
    if (config->server_count > 0) {
        buf_put_text(error, "no address");
        return NULL;
    }
    return mem_new(sizeof(struct resolver));
}

void resolver_close(struct resolver *r)
{
    buf_release(&r->packet);
    mem_free(r);
}

static struct resolver *last_asked; /* the fake of the one dns that a test opens */

void resolver_ask(struct resolver *r, struct span name, unsigned type, void *tag)
{
    assert_true(r->asked_count < ASKED_MAX && name.len < 256);
    struct asked *asked = &r->asked[r->asked_count++];
    memcpy(asked->name, name.at, name.len);
    asked->type = type;
    asked->tag  = tag;
    last_asked  = r;
}

static void put_row(struct buf *p, const struct row *row)
{
    unsigned preference;
    char target[256] = "";
    if (row->type == DNS_CNAME)
        dns_cname(p, row->name, 300, row->data);
    else if (row->type != DNS_MX)
        dns_ip(p, row->name, 300, row->data);
    else if (sscanf(row->data, "%u %255s", &preference, target) >= 1)
        dns_mx(p, row->name, 300, preference, strcmp(target, ".") == 0 ? "" : target);
}

static bool is_trouble(const char *data, enum status *status, unsigned *rcode)
{
    static const struct {
        const char *name;
        enum status status;
        unsigned rcode;
    } troubles[] = {
        {"SERVFAIL",    OK,          DNS_SERVFAIL},
        {"REFUSED",     OK,          DNS_REFUSED },
        {"NXDOMAIN",    OK,          DNS_NXDOMAIN},
        {"NODATA",      OK,          DNS_NOERROR },
        {"TRUNCATED",   OK,          DNS_NOERROR },
        {"GARBAGE",     OK,          DNS_NOERROR },
        {"SILENT",      TIMED_OUT,   0           },
        {"UNREACHABLE", UNREACHABLE, 0           },
        {"BAD_INPUT",   BAD_INPUT,   0           },
    };
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++)
        if (strcmp(troubles[i].name, data) == 0) {
            *status = troubles[i].status;
            *rcode  = troubles[i].rcode;
            return true;
        }
    return false;
}

static enum status answer_from(struct resolver *r, const struct asked *q)
{
    enum status status = OK;
    unsigned rcode     = DNS_NOERROR;
    bool is_there      = false;
    const char *data   = "";
    dns_begin(&r->packet, q->name, (enum dns_type)q->type, DNS_NOERROR);
    for (const struct row *row = r->zone; row->name != NULL; row++) {
        if (strcmp(row->name, q->name) != 0)
            continue;
        is_there = true;
        if (row->type != q->type && row->type != DNS_CNAME)
            continue;
        data = row->data;
        if (!is_trouble(data, &status, &rcode))
            put_row(&r->packet, row);
    }
    if (!is_there)
        rcode = DNS_NXDOMAIN;
    if (bytes_get16(r->packet.at + DNS_ANSWER) == 0)
        dns_soa(&r->packet, "example", 120, 120);
    r->packet.at[3] = (char)((r->packet.at[3] & 0xf0) | (int)rcode);
    if (strcmp(data, "TRUNCATED") == 0)
        r->packet.at[2] = (char)(r->packet.at[2] | 2);
    if (strcmp(data, "GARBAGE") == 0)
        r->packet.len = 11;
    return status;
}

bool resolver_take(struct resolver *r, struct resolver_answer *answer)
{
    if (r->is_held || r->taken == r->asked_count)
        return false;
    const struct asked *asked = &r->asked[r->taken++];
    enum status status        = answer_from(r, asked);
    *answer                   = (struct resolver_answer){asked->tag, status, buf_span(&r->packet)};
    return true;
}

/* A world: one dns over one zone, and its time. */

struct world {
    struct dns *dns;
    struct resolver *resolver;
    uint64_t now_ms;
};

static struct world open_with(const struct row *zone, const char *hostname)
{
    struct buf error         = {0};
    struct dns_config config = {.hostname = hostname};
    struct world w           = {.now_ms = NOW_MS};
    w.dns                    = dns_open(NULL, &config, &error);
    assert_non_null(w.dns);
    (void)dns_turn(w.dns, w.now_ms);
    /* the resolver is private to dns: one question makes it known */
    dns_lookup_addresses(w.dns, span_of("x"), NULL);
    w.resolver       = last_asked;
    w.resolver->zone = zone;
    (void)dns_turn(w.dns, w.now_ms);
    assert_non_null(dns_take_addresses(w.dns));
    return w;
}

static void turn(struct world *w)
{
    w->now_ms++;
    assert_true(dns_turn(w->dns, w->now_ms) == UINT64_MAX);
}

enum { TURNS_MAX = 40 };

static const struct mx_result *mx(struct world *w, const char *domain)
{
    const struct mx_result *result = NULL;
    dns_lookup_mx(w->dns, span_of(domain), w);
    for (int i = 0; i < TURNS_MAX && (result = dns_take_mx(w->dns)) == NULL; i++)
        turn(w);
    assert_non_null(result);
    assert_ptr_equal(result->tag, w);
    return result;
}

static const struct address_result *addresses(struct world *w, const char *host)
{
    const struct address_result *result = NULL;
    dns_lookup_addresses(w->dns, span_of(host), w);
    for (int i = 0; i < TURNS_MAX && (result = dns_take_addresses(w->dns)) == NULL; i++)
        turn(w);
    assert_non_null(result);
    assert_ptr_equal(result->tag, w);
    return result;
}

/* "FOUND 10 a.example 20 b.example": the whole result as a line. */
static void expect_mx(struct world *w, const char *domain, const char *expected)
{
#define NAME(id, enhanced, text) #id,
    static const char *const names[] = {DNS_VERDICTS(NAME)};
#undef NAME
    const struct mx_result *result = mx(w, domain);
    struct buf line                = {0};
    buf_put_text(&line, names[result->verdict]);
    if (result->is_implicit)
        buf_put_text(&line, " itself");
    for (size_t i = 0; i < result->host_count; i++)
        buf_printf(&line, " %u %s", result->hosts[i].preference, result->hosts[i].name);
    assert_string_equal(buf_text(&line), expected);
    buf_release(&line);
}

static void expect_addresses(struct world *w, const char *host, enum dns_verdict verdict,
                             const char *expected)
{
    const struct address_result *result = addresses(w, host);
    struct buf line                     = {0};
    char text[NET_ADDRESS_TEXT_BYTES];
    for (size_t i = 0; i < result->address_count; i++) {
        assert_int_equal(result->addresses[i].port, 0);
        buf_printf(&line, "%s%s", i > 0 ? " " : "", net_address_text(&result->addresses[i], text));
    }
    assert_string_equal(buf_text(&line), expected);
    assert_int_equal(result->verdict, verdict);
    buf_release(&line);
}

static void hosts_come_by_preference_then_name(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"d.example", DNS_MX, "20 c.example"},
        {"d.example", DNS_MX, "10 b.example"},
        {"d.example", DNS_MX, "10 A.Example"},
        {"d.example", DNS_MX, "5 z.example" },
        {NULL,        0,      NULL          },
    };
    struct world w = open_with(zone, NULL);
    expect_mx(&w, "d.example", "FOUND 5 z.example 10 a.example 10 b.example 20 c.example");
    expect_mx(&w, "D.EXAMPLE.", "FOUND 5 z.example 10 a.example 10 b.example 20 c.example");
    dns_close(w.dns);
}

static void a_host_named_twice_keeps_its_better_preference(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"d.example", DNS_MX, "20 a.example"},
        {"d.example", DNS_MX, "15 b.example"},
        {"d.example", DNS_MX, "10 a.example"},
        {"d.example", DNS_MX, "30 b.example"},
        {NULL,        0,      NULL          },
    };
    struct world w = open_with(zone, NULL);
    expect_mx(&w, "d.example", "FOUND 10 a.example 15 b.example");
    dns_close(w.dns);
}

static void without_mx_the_domain_itself_takes_mail(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"a.example",    DNS_A,    "192.0.2.1"  },
        {"aaaa.example", DNS_AAAA, "2001:db8::1"},
        {"half.example", DNS_A,    "192.0.2.1"  },
        {"half.example", DNS_AAAA, "SERVFAIL"   },
        {"odd.example",  DNS_A,    "192.0.2.1"  },
        {"odd.example",  DNS_AAAA, "NXDOMAIN"   },
        {"none.example", DNS_TXT,  "NODATA"     },
        {"bad.example",  DNS_A,    "NODATA"     },
        {"bad.example",  DNS_AAAA, "SERVFAIL"   },
        {"slow.example", DNS_A,    "SILENT"     },
        {"slow.example", DNS_AAAA, "NODATA"     },
        {NULL,           0,        NULL         },
    };
    struct world w = open_with(zone, NULL);
    expect_mx(&w, "a.example", "FOUND itself 0 a.example");
    expect_mx(&w, "aaaa.example", "FOUND itself 0 aaaa.example");
    expect_mx(&w, "half.example", "FOUND itself 0 half.example");
    expect_mx(&w, "odd.example", "FOUND itself 0 odd.example");
    expect_mx(&w, "none.example", "NO_ADDRESS");
    expect_mx(&w, "bad.example", "SERVER_FAILED");
    expect_mx(&w, "slow.example", "NO_ANSWER");
    dns_close(w.dns);
}

static void trouble_with_the_mx_never_falls_back(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"fail.example",        DNS_MX, "SERVFAIL"   },
        {"fail.example",        DNS_A,  "192.0.2.1"  },
        {"refused.example",     DNS_MX, "REFUSED"    },
        {"refused.example",     DNS_A,  "192.0.2.1"  },
        {"silent.example",      DNS_MX, "SILENT"     },
        {"silent.example",      DNS_A,  "192.0.2.1"  },
        {"unreachable.example", DNS_MX, "UNREACHABLE"},
        {"unreachable.example", DNS_A,  "192.0.2.1"  },
        {"garbage.example",     DNS_MX, "GARBAGE"    },
        {"garbage.example",     DNS_A,  "192.0.2.1"  },
        {"cut.example",         DNS_MX, "TRUNCATED"  },
        {"cut.example",         DNS_A,  "192.0.2.1"  },
        {"odd.example",         DNS_MX, "BAD_INPUT"  },
        {"gone.example",        DNS_MX, "NXDOMAIN"   },
        {"gone.example",        DNS_A,  "192.0.2.1"  },
        {NULL,                  0,      NULL         },
    };
    struct world w = open_with(zone, NULL);
    expect_mx(&w, "fail.example", "SERVER_FAILED");
    expect_mx(&w, "refused.example", "SERVER_FAILED");
    expect_mx(&w, "silent.example", "NO_ANSWER");
    expect_mx(&w, "unreachable.example", "NO_ANSWER");
    expect_mx(&w, "garbage.example", "SERVER_FAILED");
    expect_mx(&w, "cut.example", "SERVER_FAILED");
    expect_mx(&w, "odd.example", "SERVER_FAILED");
    expect_mx(&w, "gone.example", "NO_DOMAIN");
    expect_mx(&w, "nowhere.example", "NO_DOMAIN");
    dns_close(w.dns);
}

static void null_mx_means_no_mail(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"null.example",  DNS_MX, "0 ."         },
        {"null.example",  DNS_A,  "192.0.2.1"   },
        {"local.example", DNS_MX, "10 localhost"},
        {"local.example", DNS_A,  "192.0.2.1"   },
        {"two.example",   DNS_MX, "0 ."         },
        {"two.example",   DNS_MX, "10 localhost"},
        {"mixed.example", DNS_MX, "0 ."         },
        {"mixed.example", DNS_MX, "10 a.example"},
        {"mixed.example", DNS_MX, "5 LocalHost" },
        {NULL,            0,      NULL          },
    };
    struct world w = open_with(zone, NULL);
    expect_mx(&w, "null.example", "NULL_MX");
    expect_mx(&w, "local.example", "NULL_MX");
    expect_mx(&w, "two.example", "NULL_MX");
    expect_mx(&w, "mixed.example", "FOUND 10 a.example");
    dns_close(w.dns);
}

static void targets_that_are_no_host_names_are_ignored(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"ip.example",    DNS_MX, "10 10.0.0.1"   },
        {"ip.example",    DNS_MX, "20 a.example"  },
        {"only.example",  DNS_MX, "10 192.0.2.1"  },
        {"only.example",  DNS_A,  "192.0.2.1"     },
        {"odd.example",   DNS_MX, "10 a$b.example"},
        {"odd.example",   DNS_MX, "10 2001:db8::1"},
        {"odd.example",   DNS_MX, "10 a_b.example"},
        {"local.example", DNS_MX, "10 192.0.2.1"  },
        {"local.example", DNS_MX, "20 localhost"  },
        {NULL,            0,      NULL            },
    };
    struct world w = open_with(zone, NULL);
    expect_mx(&w, "ip.example", "FOUND 20 a.example");
    expect_mx(&w, "only.example", "NO_ADDRESS"); /* an MX is there: never the A */
    expect_mx(&w, "odd.example", "FOUND 10 a_b.example");
    expect_mx(&w, "local.example", "NO_ADDRESS");
    dns_close(w.dns);
}

static void we_and_all_that_is_no_better_are_dropped(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"d.example",    DNS_MX, "10 a.example" },
        {"d.example",    DNS_MX, "20 Us.Example"},
        {"d.example",    DNS_MX, "20 b.example" },
        {"d.example",    DNS_MX, "30 c.example" },
        {"best.example", DNS_MX, "10 us.example"},
        {"best.example", DNS_MX, "10 a.example" },
        {"best.example", DNS_MX, "20 c.example" },
        {"null.example", DNS_MX, "0 ."          },
        {"null.example", DNS_MX, "10 us.example"},
        {"us.example",   DNS_A,  "192.0.2.1"    },
        {NULL,           0,      NULL           },
    };
    struct world w = open_with(zone, "US.example");
    expect_mx(&w, "d.example", "FOUND 10 a.example");
    expect_mx(&w, "best.example", "LOOP");
    expect_mx(&w, "null.example", "LOOP");
    expect_mx(&w, "us.example", "LOOP");
    dns_close(w.dns);
}

static void many_hosts_are_cut_to_the_best_twenty(void **state)
{
    (void)state;
    static char data[50][32];
    static struct row zone[51];
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(data[i], sizeof data[i], "%u h%02u.example", 100 - i, i);
        zone[i] = (struct row){"d.example", DNS_MX, data[i]};
    }
    struct world w                 = open_with(zone, NULL);
    const struct mx_result *result = mx(&w, "d.example");
    assert_int_equal(result->host_count, MX_HOSTS_MAX);
    for (unsigned i = 0; i < MX_HOSTS_MAX; i++)
        assert_int_equal(result->hosts[i].preference, 51 + i);
    dns_close(w.dns);
}

static void aliases_are_followed_from_answer_to_answer(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"d.example",    DNS_CNAME, "e.example"   },
        {"e.example",    DNS_CNAME, "f.example"   },
        {"f.example",    DNS_MX,    "10 m.example"},
        {"m.example",    DNS_CNAME, "n.example"   },
        {"n.example",    DNS_A,     "192.0.2.1"   },
        {"web.example",  DNS_CNAME, "n.example"   },
        {"dead.example", DNS_CNAME, "gone.example"},
        {"fail.example", DNS_CNAME, "bad.example" },
        {"bad.example",  DNS_MX,    "SERVFAIL"    },
        {"root.example", DNS_CNAME, "10.0.0.1"    },
        {NULL,           0,         NULL          },
    };
    struct world w = open_with(zone, NULL);
    expect_mx(&w, "d.example", "FOUND 10 m.example");
    expect_addresses(&w, "m.example", DNS_FOUND, "192.0.2.1");
    expect_mx(&w, "web.example", "FOUND itself 0 web.example");
    expect_mx(&w, "dead.example", "NO_DOMAIN");
    expect_mx(&w, "fail.example", "SERVER_FAILED");
    dns_close(w.dns);
}

static void alias_loops_end_as_a_failure(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"self.example", DNS_CNAME, "self.example"},
        {"a.example",    DNS_CNAME, "b.example"   },
        {"b.example",    DNS_CNAME, "a.example"   },
        {NULL,           0,         NULL          },
    };
    struct world w = open_with(zone, NULL);
    expect_mx(&w, "self.example", "SERVER_FAILED");
    expect_mx(&w, "a.example", "SERVER_FAILED");
    expect_addresses(&w, "b.example", DNS_SERVER_FAILED, "");
    /* from the cache as well */
    size_t asked = w.resolver->asked_count;
    expect_mx(&w, "a.example", "SERVER_FAILED");
    assert_int_equal(w.resolver->asked_count, asked);
    dns_close(w.dns);
}

static void an_alias_chain_has_eight_links(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"n0.example", DNS_CNAME, "n1.example"},
        {"n1.example", DNS_CNAME, "n2.example"},
        {"n2.example", DNS_CNAME, "n3.example"},
        {"n3.example", DNS_CNAME, "n4.example"},
        {"n4.example", DNS_CNAME, "n5.example"},
        {"n5.example", DNS_CNAME, "n6.example"},
        {"n6.example", DNS_CNAME, "n7.example"},
        {"n7.example", DNS_CNAME, "n8.example"},
        {"n8.example", DNS_CNAME, "n9.example"},
        {"n9.example", DNS_A,     "192.0.2.1" },
        {NULL,         0,         NULL        },
    };
    struct world w = open_with(zone, NULL);
    expect_addresses(&w, "n1.example", DNS_FOUND, "192.0.2.1");
    expect_addresses(&w, "n0.example", DNS_SERVER_FAILED, "");
    dns_close(w.dns);
}

static void a_long_walk_along_aliases_is_given_up(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"n0.example", DNS_CNAME, "n1.example"  },
        {"n1.example", DNS_CNAME, "n2.example"  },
        {"n2.example", DNS_MX,    "10 a.example"},
        {NULL,         0,         NULL          },
    };
    struct world w = open_with(zone, NULL);
    dns_lookup_mx(w.dns, span_of("n0.example"), NULL);
    w.now_ms += 20000;
    turn(&w);
    assert_null(dns_take_mx(w.dns));
    w.now_ms += 20000;
    turn(&w);
    const struct mx_result *result = dns_take_mx(w.dns);
    assert_non_null(result);
    assert_int_equal(result->verdict, DNS_NO_ANSWER);
    dns_close(w.dns);
}

static void addresses_alternate_beginning_with_ipv6(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"m.example",  DNS_A,    "192.0.2.9"  },
        {"m.example",  DNS_A,    "192.0.2.1"  },
        {"m.example",  DNS_A,    "192.0.2.9"  },
        {"m.example",  DNS_A,    "192.0.2.3"  },
        {"m.example",  DNS_AAAA, "2001:db8::2"},
        {"m.example",  DNS_AAAA, "2001:db8::1"},
        {"v4.example", DNS_A,    "192.0.2.1"  },
        {"v6.example", DNS_AAAA, "2001:db8::1"},
        {NULL,         0,        NULL         },
    };
    struct world w = open_with(zone, NULL);
    expect_addresses(&w, "m.example", DNS_FOUND,
                     "2001:db8::2 192.0.2.9 2001:db8::1 192.0.2.1 192.0.2.3");
    expect_addresses(&w, "v4.example", DNS_FOUND, "192.0.2.1");
    expect_addresses(&w, "v6.example", DNS_FOUND, "2001:db8::1");
    dns_close(w.dns);
}

static void at_most_ten_addresses_of_both_kinds_are_given(void **state)
{
    (void)state;
    static char data[40][32];
    static struct row zone[41];
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(data[i], sizeof data[i], i % 2 == 0 ? "192.0.2.%u" : "2001:db8::%u", i);
        zone[i] = (struct row){"m.example", i % 2 == 0 ? DNS_A : DNS_AAAA, data[i]};
    }
    struct world w = open_with(zone, NULL);
    expect_addresses(&w, "m.example", DNS_FOUND,
                     "2001:db8::1 192.0.2.0 2001:db8::3 192.0.2.2 2001:db8::5 192.0.2.4 "
                     "2001:db8::7 192.0.2.6 2001:db8::9 192.0.2.8");
    dns_close(w.dns);
}

static void both_answers_together_decide(void **state)
{
    (void)state;
    static const struct {
        const char *a, *aaaa;
        enum dns_verdict verdict;
        size_t count;
    } rows[] = {
        {"192.0.2.1",   "2001:db8::1", DNS_FOUND,         2},
        {"192.0.2.1",   "NODATA",      DNS_FOUND,         1},
        {"192.0.2.1",   "NXDOMAIN",    DNS_FOUND,         1},
        {"192.0.2.1",   "SERVFAIL",    DNS_FOUND,         1},
        {"192.0.2.1",   "SILENT",      DNS_FOUND,         1},
        {"SERVFAIL",    "2001:db8::1", DNS_FOUND,         1},
        {"SILENT",      "2001:db8::1", DNS_FOUND,         1},
        {"NODATA",      "NODATA",      DNS_NO_ADDRESS,    0},
        {"NODATA",      "NXDOMAIN",    DNS_NO_ADDRESS,    0},
        {"NXDOMAIN",    "NODATA",      DNS_NO_ADDRESS,    0},
        {"NXDOMAIN",    "NXDOMAIN",    DNS_NO_DOMAIN,     0},
        {"NODATA",      "SERVFAIL",    DNS_SERVER_FAILED, 0},
        {"SERVFAIL",    "NODATA",      DNS_SERVER_FAILED, 0},
        {"NXDOMAIN",    "SERVFAIL",    DNS_SERVER_FAILED, 0},
        {"SILENT",      "NODATA",      DNS_NO_ANSWER,     0},
        {"NODATA",      "UNREACHABLE", DNS_NO_ANSWER,     0},
        {"SERVFAIL",    "SERVFAIL",    DNS_SERVER_FAILED, 0},
        {"SILENT",      "SILENT",      DNS_NO_ANSWER,     0},
        {"GARBAGE",     "NODATA",      DNS_SERVER_FAILED, 0},
        {"GARBAGE",     "2001:db8::1", DNS_FOUND,         1},
        {"UNREACHABLE", "UNREACHABLE", DNS_NO_ANSWER,     0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row zone[] = {
            {"m.example", DNS_A,    rows[i].a   },
            {"m.example", DNS_AAAA, rows[i].aaaa},
            {NULL,        0,        NULL        },
        };
        struct world w                      = open_with(zone, NULL);
        const struct address_result *result = addresses(&w, "m.example");
        assert_int_equal(result->verdict, rows[i].verdict);
        assert_int_equal(result->address_count, rows[i].count);
        dns_close(w.dns);
    }
}

static void literals_answer_themselves_at_once(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {NULL, 0, NULL}
    };
    struct world w = open_with(zone, NULL);
    size_t asked   = w.resolver->asked_count;
    expect_mx(&w, "[192.0.2.1]", "FOUND itself 0 [192.0.2.1]");
    expect_mx(&w, "[IPv6:2001:DB8:0::1]", "FOUND itself 0 [IPv6:2001:db8::1]");
    expect_mx(&w, "[ipv6:::1]", "FOUND itself 0 [IPv6:::1]");
    expect_addresses(&w, "[192.0.2.1]", DNS_FOUND, "192.0.2.1");
    expect_addresses(&w, "[IPv6:2001:db8::1]", DNS_FOUND, "2001:db8::1");
    expect_addresses(&w, "192.0.2.7", DNS_FOUND, "192.0.2.7");
    dns_lookup_mx(w.dns, span_of("[192.0.2.1]"), &w);
    assert_non_null(dns_take_mx(w.dns)); /* without a turn */
    assert_int_equal(w.resolver->asked_count, asked);
    dns_close(w.dns);
}

static void what_is_no_name_is_not_asked(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      ".",
                                      "a..example",
                                      "a b.example",
                                      "192.0.2.1",
                                      "example.123",
                                      "\xc3\xa4.example",
                                      "[192.0.2.1",
                                      "[]",
                                      "[IPv6:192.0.2.1]",
                                      "[IPv6:]",
                                      "[x]",
                                      "[[::1]]",
                                      "[300.0.2.1]",
                                      "a\r\nb.example"};
    static const struct row zone[] = {
        {NULL, 0, NULL}
    };
    struct world w = open_with(zone, NULL);
    size_t asked   = w.resolver->asked_count;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_mx(&w, bad[i], "BAD_NAME");
    expect_addresses(&w, "a..example", DNS_BAD_NAME, "");
    assert_int_equal(w.resolver->asked_count, asked);
    dns_close(w.dns);
}

static void names_of_253_characters_are_the_longest(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {NULL, 0, NULL}
    };
    char name[260];
    struct world w = open_with(zone, NULL);
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 60 == 59 ? '.' : 'a';
    name[253] = '\0';
    expect_mx(&w, name, "NO_DOMAIN");
    name[253] = 'a';
    name[254] = '\0';
    expect_mx(&w, name, "BAD_NAME");
    dns_close(w.dns);
}

static void a_name_is_asked_once_however_many_wait(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"d.example", DNS_MX, "10 a.example"},
        {NULL,        0,      NULL          },
    };
    struct world w = open_with(zone, NULL);
    size_t asked   = w.resolver->asked_count;
    int tags[1000];
    for (size_t i = 0; i < 1000; i++)
        dns_lookup_mx(w.dns, span_of("d.example"), &tags[i]);
    assert_null(dns_take_mx(w.dns));
    turn(&w);
    for (size_t i = 0; i < 1000; i++) {
        const struct mx_result *result = dns_take_mx(w.dns);
        assert_non_null(result);
        assert_ptr_equal(result->tag, &tags[i]);
        assert_int_equal(result->verdict, DNS_FOUND);
    }
    assert_null(dns_take_mx(w.dns));
    assert_int_equal(w.resolver->asked_count, asked + 1);
    dns_close(w.dns);
}

static void only_so_many_questions_are_on_the_wire(void **state)
{
    (void)state;
    enum { NAMES = MX_INFLIGHT_MAX * 5 / 2 };
    static const struct row zone[] = {
        {NULL, 0, NULL}
    };
    struct world w = open_with(zone, NULL);
    size_t asked = w.resolver->asked_count, done = 0;
    w.resolver->is_held = true;
    struct dns_stats stats;
    for (unsigned i = 0; i < NAMES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "d%u.example", i);
        dns_lookup_mx(w.dns, span_of(name), NULL);
    }
    turn(&w);
    dns_stats(w.dns, &stats);
    assert_int_equal(stats.inflight, MX_INFLIGHT_MAX);
    assert_int_equal(w.resolver->asked_count, asked + MX_INFLIGHT_MAX);
    w.resolver->is_held = false;
    for (int i = 0; i < 3; i++) {
        turn(&w);
        while (dns_take_mx(w.dns) != NULL)
            done++;
    }
    assert_int_equal(done, NAMES);
    assert_int_equal(w.resolver->asked_count, asked + NAMES);
    dns_stats(w.dns, &stats);
    assert_int_equal(stats.inflight, 0);
    dns_close(w.dns);
}

static void answers_are_kept_as_long_as_they_hold(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"d.example",    DNS_MX, "10 a.example"},
        {"fail.example", DNS_MX, "SERVFAIL"    },
        {NULL,           0,      NULL          },
    };
    static const struct {
        const char *name;
        unsigned ttl_s; /* of the fixture: records 300, SOA 120 */
    } rows[] = {
        {"d.example",    300},
        {"gone.example", 120},
        {"fail.example", 30 },
    };
    struct world w = open_with(zone, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mx_result *result = mx(&w, rows[i].name);
        size_t asked                   = w.resolver->asked_count;
        assert_int_equal(result->expires_ms, w.now_ms + rows[i].ttl_s * 1000);
        w.now_ms += rows[i].ttl_s * 1000 - 2;
        turn(&w);
        dns_lookup_mx(w.dns, span_of(rows[i].name), NULL);
        assert_non_null(dns_take_mx(w.dns)); /* in the same turn */
        assert_int_equal(w.resolver->asked_count, asked);
        turn(&w);
        (void)mx(&w, rows[i].name);
        assert_int_equal(w.resolver->asked_count, asked + 1);
    }
    dns_close(w.dns);
}

static void a_half_failed_answer_holds_as_short_as_the_failure(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"m.example", DNS_A,    "192.0.2.1"},
        {"m.example", DNS_AAAA, "SERVFAIL" },
        {NULL,        0,        NULL       },
    };
    struct world w                      = open_with(zone, NULL);
    const struct address_result *result = addresses(&w, "m.example");
    assert_int_equal(result->expires_ms, w.now_ms + 30000);
    dns_close(w.dns);
}

static void an_alias_shortens_what_it_leads_to(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"d.example", DNS_CNAME, "e.example"},
        {"e.example", DNS_MX,    "SERVFAIL" },
        {NULL,        0,         NULL       },
    };
    struct world w            = open_with(zone, NULL);
    uint64_t alias_expires_ms = w.now_ms + 1 + 300000; /* it comes in the next turn */
    (void)mx(&w, "d.example");
    w.now_ms += 290000; /* the alias is still known, the failure is a new one */
    turn(&w);
    assert_int_equal(mx(&w, "d.example")->expires_ms, alias_expires_ms);
    dns_close(w.dns);
}

static void what_is_counted(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"d.example",      DNS_MX, "10 a.example"},
        {"fail.example",   DNS_MX, "SERVFAIL"    },
        {"silent.example", DNS_MX, "SILENT"      },
        {NULL,             0,      NULL          },
    };
    struct world w = open_with(zone, NULL);
    struct dns_stats before, after;
    dns_stats(w.dns, &before);
    (void)mx(&w, "d.example");
    (void)mx(&w, "d.example");
    (void)mx(&w, "fail.example");
    (void)mx(&w, "silent.example");
    dns_stats(w.dns, &after);
    assert_int_equal(after.questions - before.questions, 3);
    assert_int_equal(after.cache_hits - before.cache_hits, 1);
    assert_int_equal(after.failures - before.failures, 1);
    assert_int_equal(after.timeouts - before.timeouts, 1);
    assert_int_equal(after.cached - before.cached, 3);
    assert_int_equal(after.inflight, 0);
    dns_close(w.dns);
}

static void closing_drops_what_is_open(void **state)
{
    (void)state;
    static const struct row zone[] = {
        {"d.example", DNS_MX, "10 a.example"},
        {NULL,        0,      NULL          },
    };
    struct world w = open_with(zone, NULL);
    (void)mx(&w, "d.example");
    dns_lookup_mx(w.dns, span_of("d.example"), NULL); /* done, not taken */
    w.resolver->is_held = true;
    for (unsigned i = 0; i < 700; i++) { /* on the wire, and waiting for it */
        char name[32];
        (void)snprintf(name, sizeof name, "d%u.example", i);
        dns_lookup_addresses(w.dns, span_of(name), NULL);
    }
    turn(&w);
    dns_close(w.dns);
}

static void a_server_that_is_no_address_is_told(void **state)
{
    (void)state;
    static const char *const servers[] = {"x"};
    struct dns_config config           = {
                  .resolver = {.servers = servers, .server_count = 1}
    };
    struct buf error = {0};
    assert_null(dns_open(NULL, &config, &error));
    assert_string_equal(buf_text(&error), "no address");
    buf_release(&error);
}

static void verdicts_say_whether_to_try_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DNS_VERDICT_COUNT; i++) {
        enum dns_verdict verdict = (enum dns_verdict)i;
        assert_true(strlen(dns_verdict_text(verdict)) > 0);
        assert_int_equal(dns_verdict_is_temporary(verdict),
                         verdict == DNS_SERVER_FAILED || verdict == DNS_NO_ANSWER);
    }
    assert_string_equal(dns_verdict_enhanced(DNS_NULL_MX), "5.1.10");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_come_by_preference_then_name),
        cmocka_unit_test(a_host_named_twice_keeps_its_better_preference),
        cmocka_unit_test(without_mx_the_domain_itself_takes_mail),
        cmocka_unit_test(trouble_with_the_mx_never_falls_back),
        cmocka_unit_test(null_mx_means_no_mail),
        cmocka_unit_test(targets_that_are_no_host_names_are_ignored),
        cmocka_unit_test(we_and_all_that_is_no_better_are_dropped),
        cmocka_unit_test(many_hosts_are_cut_to_the_best_twenty),
        cmocka_unit_test(aliases_are_followed_from_answer_to_answer),
        cmocka_unit_test(alias_loops_end_as_a_failure),
        cmocka_unit_test(an_alias_chain_has_eight_links),
        cmocka_unit_test(a_long_walk_along_aliases_is_given_up),
        cmocka_unit_test(addresses_alternate_beginning_with_ipv6),
        cmocka_unit_test(at_most_ten_addresses_of_both_kinds_are_given),
        cmocka_unit_test(both_answers_together_decide),
        cmocka_unit_test(literals_answer_themselves_at_once),
        cmocka_unit_test(what_is_no_name_is_not_asked),
        cmocka_unit_test(names_of_253_characters_are_the_longest),
        cmocka_unit_test(a_name_is_asked_once_however_many_wait),
        cmocka_unit_test(only_so_many_questions_are_on_the_wire),
        cmocka_unit_test(answers_are_kept_as_long_as_they_hold),
        cmocka_unit_test(a_half_failed_answer_holds_as_short_as_the_failure),
        cmocka_unit_test(an_alias_shortens_what_it_leads_to),
        cmocka_unit_test(what_is_counted),
        cmocka_unit_test(closing_drops_what_is_open),
        cmocka_unit_test(a_server_that_is_no_address_is_told),
        cmocka_unit_test(verdicts_say_whether_to_try_again),
    };
    return RUN(tests);
}
