/* SPDX-License-Identifier: MIT */
/*
 * From an answer to a fact: follow the CNAMEs from the name asked for, then collect what stands at
 * the end of them.  The fact lives as long as the shortest TTL on that way.
 */
#include "dns/fact.h"
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

enum { LENGTH_BYTES = 2, SECOND_MS = 1000 };

struct span dns_key(struct span name, enum dns_type type, char into[DNS_KEY_BYTES_MAX])
{
    must(name.len <= DNS_NAME_BYTES_MAX);
    memcpy(into, name.at, name.len);
    bytes_put16(into + name.len, (uint16_t)type);
    return span_make(into, name.len + 2);
}

/* What is found out about a name, before it becomes a fact. */
struct reading {
    struct span packet, name; /* the name asked for */
    enum dns_type type;
    enum dns_outcome outcome;
    bool is_authentic;
    unsigned hops;
    uint32_t ttl_s;
    char current[DNS_NAME_BYTES_MAX + 1]; /* where the CNAMEs have led to */
    struct buf data;
};

static void keep(struct reading *r, struct span bytes)
{
    char length[LENGTH_BYTES];
    bytes_put16(length, (uint16_t)bytes.len);
    buf_put(&r->data, span_make(length, sizeof length));
    buf_put(&r->data, bytes);
}

static void keep_record(struct reading *r, const struct dns_record *record)
{
    char mx[2 + DNS_NAME_BYTES_MAX + 1];
    if (record->type != DNS_MX) {
        keep(r, record->data);
        return;
    }
    size_t len = strlen(record->target);
    bytes_put16(mx, record->preference);
    memcpy(mx + 2, record->target, len);
    keep(r, span_make(mx, 2 + len));
}

static void shorten(struct reading *r, uint32_t ttl_s)
{
    if (ttl_s < r->ttl_s)
        r->ttl_s = ttl_s;
}

/*
 * Looks through the answer section once for what stands at 'current': records are kept; else a
 * CNAME becomes the new 'current'.  AGAIN: it did; OK: nothing more to follow; CORRUPT.
 */
static enum status follow(struct reading *r, struct dns_answer answer)
{
    char target[DNS_NAME_BYTES_MAX + 1];
    struct dns_record record;
    bool has_alias = false;
    uint32_t ttl_s = DNS_TTL_MAX_S;
    enum status status;
    while ((status = dns_answer_next(&answer, &record)) == OK) {
        if (strcmp(record.name, r->current) != 0)
            continue;
        if (record.type == r->type) {
            r->outcome = DNS_RECORDS;
            shorten(r, record.ttl_s);
            keep_record(r, &record);
        } else if (record.type == DNS_CNAME && !has_alias) {
            has_alias = true;
            ttl_s     = record.ttl_s;
            memcpy(target, record.target, sizeof target);
        }
    }
    if (status != END)
        return CORRUPT;
    if (r->outcome == DNS_RECORDS || !has_alias)
        return OK;
    shorten(r, ttl_s);
    memcpy(r->current, target, sizeof target);
    return AGAIN;
}

static enum dns_outcome fail(struct reading *r)
{
    buf_clear(&r->data);
    r->ttl_s = DNS_FAILURE_TTL_S;
    return DNS_FAILED;
}

/* RFC 6604 2.1: the rcode speaks of the last name of the chain. */
static enum dns_outcome at_the_end(struct reading *r, const struct dns_answer *answer)
{
    if (r->outcome == DNS_RECORDS)
        return DNS_RECORDS;
    if (answer->rcode == DNS_NOERROR && r->hops > 0) {
        keep(r, span_of(r->current));
        return DNS_ALIAS;
    }
    shorten(r, answer->negative_ttl_s);
    return answer->rcode == DNS_NXDOMAIN ? DNS_NO_NAME : DNS_NO_DATA;
}

static enum dns_outcome read_answer(struct reading *r)
{
    struct dns_answer answer;
    if (dns_answer_parse(&answer, r->packet) != OK || answer.is_truncated ||
        answer.question_type != r->type || !span_is(r->name, answer.question))
        return fail(r);
    if (answer.rcode != DNS_NOERROR && answer.rcode != DNS_NXDOMAIN)
        return fail(r);
    r->is_authentic = answer.is_authentic;
    enum status status;
    while ((status = follow(r, answer)) == AGAIN)
        if (++r->hops > DNS_CNAME_DEPTH_MAX)
            return fail(r); /* a loop, or as good as one */
    return status == OK ? at_the_end(r, &answer) : fail(r);
}

static struct dns_fact *fact_of(const struct reading *r, uint64_t now_ms)
{
    size_t key_bytes      = r->name.len + 2;
    size_t bytes          = sizeof(struct dns_fact) + key_bytes + r->data.len;
    struct dns_fact *fact = mem_new(bytes);
    fact->type            = r->type;
    fact->outcome         = r->outcome;
    fact->is_authentic    = r->is_authentic;
    fact->hops            = r->hops;
    fact->expires_ms      = now_ms + (uint64_t)r->ttl_s * SECOND_MS;
    fact->cost_bytes      = bytes;
    fact->references      = 1;
    fact->data_bytes      = r->data.len;
    fact->key             = dns_key(r->name, r->type, fact->bytes);
    fact->name            = span_first(fact->key, r->name.len);
    if (r->data.len > 0)
        memcpy(fact->bytes + key_bytes, r->data.at, r->data.len);
    return fact;
}

struct dns_fact *dns_fact_read(struct span name, enum dns_type type, struct span packet,
                               uint64_t now_ms)
{
    struct reading r = {.packet  = packet,
                        .name    = name,
                        .type    = type,
                        .outcome = DNS_NO_DATA,
                        .ttl_s   = DNS_TTL_MAX_S};
    must(name.len <= DNS_NAME_BYTES_MAX);
    memcpy(r.current, name.at, name.len);
    r.outcome             = read_answer(&r);
    struct dns_fact *fact = fact_of(&r, now_ms);
    buf_release(&r.data);
    return fact;
}

struct dns_fact *dns_fact_failed(struct span name, enum dns_type type, enum dns_outcome outcome,
                                 uint64_t now_ms)
{
    struct reading r = {.name = name, .type = type, .outcome = outcome, .ttl_s = DNS_FAILURE_TTL_S};
    return fact_of(&r, now_ms);
}

struct dns_fact *dns_fact_share(struct dns_fact *fact)
{
    fact->references++;
    return fact;
}

void dns_fact_drop(struct dns_fact *fact)
{
    if (fact != NULL && --fact->references == 0)
        mem_free(fact);
}

bool dns_fact_next(const struct dns_fact *fact, size_t *at, struct span *record)
{
    const char *data = fact->bytes + fact->key.len;
    if (fact->data_bytes - *at < LENGTH_BYTES)
        return false;
    size_t len = bytes_get16(data + *at);
    *record    = span_make(data + *at + LENGTH_BYTES, len);
    *at += LENGTH_BYTES + len;
    return true;
}

struct span dns_fact_alias(const struct dns_fact *fact)
{
    size_t at         = 0;
    struct span alias = SPAN("");
    must(fact->outcome == DNS_ALIAS && dns_fact_next(fact, &at, &alias));
    return alias;
}
