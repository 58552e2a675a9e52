/* SPDX-License-Identifier: MIT */
/*
 * The answer is built in one pass: header, the question as it came, then records, whose counts are
 * put into the header at the end.  Only the question's name is ever pointed at; other names are
 * written out, so answers are a little longer than those of real servers, which only makes
 * truncation come sooner.
 */
#include "bench/dns_answer.h"
#include "mta/base/bytes.h"
#include <string.h>

enum { HEADER_BYTES = 12, POINTER_TO_QUESTION = 0xc00c, LABEL_BYTES_MAX = 63 };
enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_MX = 15, TYPE_AAAA = 28, TYPE_OPT = 41 };
enum { CLASS_IN = 1 };
enum { RCODE_OK, RCODE_FORMERR, RCODE_SERVFAIL, RCODE_NXDOMAIN, RCODE_NOTIMP, RCODE_REFUSED };
enum { FLAG_RESPONSE = 0x8000, FLAG_AUTHORITATIVE = 0x0400, FLAG_TRUNCATED = 0x0200 };
enum { FLAGS_KEPT = 0x7910 /* opcode, RD and CD as they came */ };
enum { GARBAGE_BYTES_CUT = 5 };

struct question {
    char text[WORLD_NAME_BYTES_MAX + 1];
    struct span name; /* in 'text', lower case */
    unsigned type;
    size_t end; /* of the question in the query */
    bool has_edns;
    size_t udp_bytes; /* what the asker takes */
};

struct answer {
    struct world *world;
    struct buf *out;
    const struct question *question;
    struct span name; /* whose records come next: the question's, or behind an alias */
    unsigned rcode, answers, authorities;
    bool is_udp, is_truncated, is_silent, is_garbage;
};

/* Reads the question's name; returns where it ends, 0 if it is none. */
static size_t read_name(struct span query, struct question *q)
{
    size_t at = HEADER_BYTES, len = 0;
    while (at < query.len && query.at[at] != 0) {
        size_t label = (uint8_t)query.at[at++];
        if (label > LABEL_BYTES_MAX || at + label >= query.len ||
            len + label + 1 > WORLD_NAME_BYTES_MAX)
            return 0;
        if (len > 0)
            q->text[len++] = '.';
        for (size_t i = 0; i < label; i++)
            q->text[len++] = ascii_lower(query.at[at + i]);
        at += label;
    }
    q->name = span_make(q->text, len);
    return at < query.len ? at + 1 : 0;
}

/* An OPT record right behind the question (we never get anything else there). */
static void read_edns(struct span query, struct question *q)
{
    const char *at = query.at + q->end;
    if (bytes_get16(query.at + 10) == 0 || query.len < q->end + 11 || at[0] != 0 ||
        bytes_get16(at + 1) != TYPE_OPT)
        return;
    q->has_edns  = true;
    q->udp_bytes = bytes_get16(at + 3);
    if (q->udp_bytes < DNS_UDP_BYTES)
        q->udp_bytes = DNS_UDP_BYTES;
    if (q->udp_bytes > DNS_UDP_BYTES_MAX)
        q->udp_bytes = DNS_UDP_BYTES_MAX;
}

static unsigned read_question(struct span query, struct question *q)
{
    if (bytes_get16(query.at + 2) & 0x7800)
        return RCODE_NOTIMP;
    if (bytes_get16(query.at + 4) != 1)
        return RCODE_FORMERR;
    size_t end = read_name(query, q);
    if (end == 0 || end + 4 > query.len)
        return RCODE_FORMERR;
    q->type = bytes_get16(query.at + end);
    q->end  = end + 4;
    read_edns(query, q);
    return RCODE_OK;
}

static void put16(struct buf *out, unsigned value)
{
    bytes_put16(buf_reserve(out, 2), (uint16_t)value);
    out->len += 2;
}

static void put32(struct buf *out, uint64_t value)
{
    bytes_put32(buf_reserve(out, 4), (uint32_t)value);
    out->len += 4;
}

static void put_name(struct buf *out, struct span name)
{
    struct span label;
    while (span_cut(&name, '.', &label)) {
        if (label.len > LABEL_BYTES_MAX)
            label.len = LABEL_BYTES_MAX; /* a scenario may say what no server could */
        buf_put_byte(out, (char)label.len);
        buf_put(out, label);
    }
    buf_put_byte(out, 0);
}

/* Everything of a record but its data; returns where the length goes. */
static size_t begin_record(struct answer *a, unsigned type, uint64_t ttl_s)
{
    if (span_equals(a->name, a->question->name))
        put16(a->out, POINTER_TO_QUESTION);
    else
        put_name(a->out, a->name);
    put16(a->out, type);
    put16(a->out, CLASS_IN);
    put32(a->out, ttl_s);
    put16(a->out, 0);
    return a->out->len;
}

static void end_record(struct answer *a, size_t start)
{
    bytes_put16(a->out->at + start - 2, (uint16_t)(a->out->len - start));
}

static void put_cname(struct answer *a, const struct alias *alias)
{
    size_t start = begin_record(a, TYPE_CNAME, alias->ttl_s);
    put_name(a->out, alias->target);
    end_record(a, start);
    a->answers++;
}

static void put_mx(struct answer *a, struct span host, unsigned preference, uint64_t ttl_s)
{
    size_t start = begin_record(a, TYPE_MX, ttl_s);
    put16(a->out, preference);
    put_name(a->out, host);
    end_record(a, start);
    a->answers++;
}

static void put_addresses(struct answer *a, const struct host *host)
{
    for (size_t i = 0; i < host->address_count; i++) {
        const struct host_address *address = &host->addresses[i];
        if (address->is_ipv6 != (a->question->type == TYPE_AAAA))
            continue;
        size_t start = begin_record(a, a->question->type, personality_ttl_s(&host->p));
        buf_put(a->out, span_make((const char *)address->ip, address->is_ipv6 ? 16 : 4));
        end_record(a, start);
        a->answers++;
    }
}

/* RFC 2308: the root's SOA says how long "no" holds. */
static void put_soa(struct answer *a)
{
    buf_put_byte(a->out, 0);
    put16(a->out, TYPE_SOA);
    put16(a->out, CLASS_IN);
    put32(a->out, DNS_NEGATIVE_S);
    put16(a->out, 0);
    size_t start = a->out->len;
    put_name(a->out, span_of("ns.invalid"));
    put_name(a->out, span_of("hostmaster.invalid"));
    put32(a->out, 1);
    put32(a->out, 3600);
    put32(a->out, 600);
    put32(a->out, 86400);
    put32(a->out, DNS_NEGATIVE_S);
    end_record(a, start);
    a->authorities++;
}

static void put_domain_mx(struct answer *a, const struct domain *domain)
{
    uint64_t ttl_s = personality_ttl_s(&domain->p);
    if (domain->p.dns == DNS_NULL_MX) {
        put_mx(a, span_make("", 0), 0, ttl_s);
        return;
    }
    for (size_t i = 0; i < domain->mx_count && domain->p.dns != DNS_IMPLICIT; i++)
        put_mx(a, domain->mx[i].name, domain->mx[i].preference, ttl_s);
}

/* The fault that the scenario wants for this name; NORMAL and the like: answer. */
static void apply_mode(struct answer *a, unsigned mode)
{
    a->is_silent    = mode == DNS_TIMEOUT;
    a->is_truncated = mode == DNS_TRUNCATE && a->is_udp;
    a->is_garbage   = mode == DNS_GARBAGE;
    if (mode == DNS_SERVFAIL)
        a->rcode = RCODE_SERVFAIL;
    if (mode == DNS_REFUSED)
        a->rcode = RCODE_REFUSED;
    if (mode == DNS_NXDOMAIN)
        a->rcode = RCODE_NXDOMAIN;
}

static void answer_name(struct answer *a)
{
    bool wants_mx         = a->question->type == TYPE_MX;
    bool wants_address    = a->question->type == TYPE_A || a->question->type == TYPE_AAAA;
    struct domain *domain = world_find_domain(a->world, a->name);
    struct host *host     = world_find_host(a->world, a->name);
    if (domain != NULL)
        domain->tally.dns_mx += wants_mx, domain->tally.dns_address += wants_address;
    if (host != NULL)
        host->tally.dns_mx += wants_mx, host->tally.dns_address += wants_address;
    if (domain == NULL && host == NULL) {
        a->rcode = RCODE_NXDOMAIN;
        return;
    }
    unsigned mode = domain != NULL && (wants_mx || host == NULL) ? domain->p.dns : host->p.dns;
    apply_mode(a, mode);
    if (a->rcode != RCODE_OK || a->is_truncated || mode == DNS_NODATA)
        return;
    if (domain != NULL && wants_mx)
        put_domain_mx(a, domain);
    if (host != NULL && wants_address)
        put_addresses(a, host);
}

/* Along the aliases, as a server does that has authority over all of them. */
static void answer_records(struct answer *a)
{
    for (int hops = 0; hops < WORLD_ALIAS_HOPS_MAX; hops++) {
        const struct alias *alias = world_find_alias(a->world, a->name);
        if (alias == NULL) {
            answer_name(a);
            break;
        }
        put_cname(a, alias);
        if (a->question->type == TYPE_CNAME)
            return;
        a->name = alias->target;
    }
    if (a->rcode == RCODE_NXDOMAIN || (a->rcode == RCODE_OK && a->answers == 0))
        put_soa(a);
}

static void finish(struct answer *a, unsigned flags)
{
    size_t limit = a->question->udp_bytes;
    if (a->is_truncated || (a->is_udp && a->out->len + 11 > limit)) {
        a->out->len = a->question->end;
        a->answers = a->authorities = 0;
        a->is_truncated             = true;
    }
    if (a->question->has_edns) {
        buf_put_byte(a->out, 0);
        put16(a->out, TYPE_OPT);
        put16(a->out, DNS_UDP_BYTES_MAX);
        put32(a->out, 0);
        put16(a->out, 0);
    }
    if (a->is_garbage)
        a->out->len -= GARBAGE_BYTES_CUT;
    flags = (flags & FLAGS_KEPT) | FLAG_RESPONSE | FLAG_AUTHORITATIVE | a->rcode;
    bytes_put16(a->out->at + 2, (uint16_t)(flags | (a->is_truncated ? FLAG_TRUNCATED : 0)));
    bytes_put16(a->out->at + 4, 1);
    bytes_put16(a->out->at + 6, (uint16_t)a->answers);
    bytes_put16(a->out->at + 8, (uint16_t)a->authorities);
    bytes_put16(a->out->at + 10, a->question->has_edns);
}

/* A header alone, for what cannot be answered. */
static bool answer_badly(struct span query, unsigned rcode, struct buf *out)
{
    buf_put(out, span_first(query, HEADER_BYTES));
    bytes_put16(out->at + 2,
                (uint16_t)((bytes_get16(query.at + 2) & FLAGS_KEPT) | FLAG_RESPONSE | rcode));
    memset(out->at + 4, 0, 8);
    return true;
}

bool dns_answer(struct world *w, struct dns_tally *tally, struct span query, bool is_udp,
                struct buf *out)
{
    struct question question = {.udp_bytes = DNS_UDP_BYTES};
    if (query.len < HEADER_BYTES || bytes_get16(query.at + 2) & FLAG_RESPONSE) {
        tally->bad++;
        return false;
    }
    tally->questions++;
    tally->over_tcp += !is_udp;
    unsigned rcode = read_question(query, &question);
    if (rcode != RCODE_OK) {
        tally->bad++;
        return answer_badly(query, rcode, out);
    }
    struct answer a = {
        .world = w, .out = out, .question = &question, .name = question.name, .is_udp = is_udp};
    buf_put(out, span_first(query, question.end));
    answer_records(&a);
    finish(&a, bytes_get16(query.at + 2));
    tally->silent += a.is_silent;
    tally->truncated += a.is_truncated;
    return !a.is_silent;
}
