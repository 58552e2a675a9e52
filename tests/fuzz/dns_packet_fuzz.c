/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an answer.  What is parsed stays inside the packet; a name is lower-case text of
 * legal length, and one without '?' can be asked for; the same bytes always make the same fact.
 *
 *     clang -fsanitize=fuzzer,address,undefined: libFuzzer; or any driver that calls the function
 */
#include "dns/choose.h"
#include "mta/base/fault.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { LONGEST_TEXT = 253 };

static void check_name(const char *name)
{
    size_t len = strlen(name);
    must(len <= LONGEST_TEXT);
    for (size_t i = 0; i < len; i++)
        must(name[i] > ' ' && name[i] < 0x7f && name[i] == ascii_lower(name[i]));
    if (len == 0 || strchr(name, '?') != NULL)
        return;
    struct buf query = {0};
    must(dns_write_query(&query, span_of(name), DNS_A, 1));
    query.at[2] = (char)0x81; /* an answer now, to the same question */
    struct dns_answer answer;
    must(dns_answer_parse(&answer, buf_span(&query)) == OK);
    must(strcmp(answer.question, name) == 0 && answer.has_opt);
    buf_release(&query);
}

static void check_records(struct dns_answer answer)
{
    struct span packet = answer.packet;
    struct dns_record record;
    unsigned count = 0;
    while (dns_answer_next(&answer, &record) == OK) {
        must(++count <= DNS_RECORDS_MAX);
        must(record.data.at >= packet.at);
        must(record.data.at + record.data.len <= packet.at + packet.len);
        must(record.ttl_s >= DNS_TTL_MIN_S && record.ttl_s <= DNS_TTL_MAX_S);
        check_name(record.name);
        check_name(record.target);
    }
}

static void check_fact(const struct dns_answer *answer)
{
    struct span name                = span_of(answer->question), record;
    enum dns_type type              = answer->question_type;
    struct dns_fact *fact           = dns_fact_read(name, type, answer->packet, 0);
    struct dns_fact *same           = dns_fact_read(name, type, answer->packet, 0);
    struct mx_result mx             = {0};
    struct address_result addresses = {0};
    size_t at                       = 0;
    must(fact->outcome == same->outcome && fact->expires_ms == same->expires_ms);
    must(fact->cost_bytes == same->cost_bytes);
    while (dns_fact_next(fact, &at, &record))
        ;
    if (fact->outcome == DNS_RECORDS && type == DNS_MX)
        must((dns_choose_hosts(fact, "d.example", &mx) == DNS_FOUND) == (mx.host_count > 0));
    if (type == DNS_A && fact->outcome != DNS_ALIAS) {
        struct dns_fact *none    = dns_fact_failed(name, DNS_AAAA, DNS_NO_DATA, 0);
        enum dns_verdict verdict = dns_choose_addresses(fact, none, &addresses);
        must((verdict == DNS_FOUND) == (addresses.address_count > 0));
        dns_fact_drop(none);
    }
    if (fact->outcome == DNS_ALIAS)
        must(dns_fact_alias(fact).len <= LONGEST_TEXT);
    dns_fact_drop(fact);
    dns_fact_drop(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct dns_answer answer;
    if (dns_answer_parse(&answer, span_make((const char *)data, bytes)) != OK)
        return 0;
    must(answer.negative_ttl_s >= DNS_TTL_MIN_S && answer.negative_ttl_s <= DNS_NEGATIVE_MAX_S);
    check_name(answer.question);
    check_records(answer);
    check_fact(&answer);
    return 0;
}
