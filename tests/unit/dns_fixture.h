/* SPDX-License-Identifier: MIT */
/*
 * Answers for the DNS tests, written record by record.  It shares nothing with dns/packet.c, which
 * it feeds.
 */
#pragma once
#include "dns/packet.h"
#include "mta/base/bytes.h"
#include <arpa/inet.h>
#include <string.h>

static inline void dns_put16(struct buf *b, unsigned value)
{
    char bytes[2];
    bytes_put16(bytes, (uint16_t)value);
    buf_put(b, span_make(bytes, sizeof bytes));
}

static inline void dns_put32(struct buf *b, uint32_t value)
{
    char bytes[4];
    bytes_put32(bytes, value);
    buf_put(b, span_make(bytes, sizeof bytes));
}

static inline void dns_put_name(struct buf *b, const char *text)
{
    struct span name = span_of(text), label;
    while (span_cut(&name, '.', &label)) {
        buf_put_byte(b, (char)label.len);
        buf_put(b, label);
    }
    buf_put_byte(b, 0);
}

/* Starts an answer, without records so far. */
static inline void dns_begin(struct buf *b, const char *name, enum dns_type type, unsigned rcode)
{
    buf_clear(b);
    dns_put16(b, 0x1234);
    dns_put16(b, 0x8180 | rcode);
    dns_put16(b, 1);
    for (int i = 0; i < 3; i++)
        dns_put16(b, 0);
    dns_put_name(b, name);
    dns_put16(b, type);
    dns_put16(b, 1);
}

enum dns_section { DNS_ANSWER = 6, DNS_AUTHORITY = 8, DNS_ADDITIONAL = 10 };

/* Sections have to be filled in their order. */
static inline void dns_record(struct buf *b, enum dns_section section, const char *name,
                              enum dns_type type, uint32_t ttl_s, struct span data)
{
    bytes_put16(b->at + section, (uint16_t)(bytes_get16(b->at + section) + 1));
    dns_put_name(b, name);
    dns_put16(b, type);
    dns_put16(b, 1);
    dns_put32(b, ttl_s);
    dns_put16(b, (unsigned)data.len);
    buf_put(b, data);
}

static inline void dns_mx(struct buf *b, const char *name, uint32_t ttl_s, unsigned preference,
                          const char *target)
{
    struct buf data = {0};
    dns_put16(&data, preference);
    dns_put_name(&data, target);
    dns_record(b, DNS_ANSWER, name, DNS_MX, ttl_s, buf_span(&data));
    buf_release(&data);
}

static inline void dns_cname(struct buf *b, const char *name, uint32_t ttl_s, const char *target)
{
    struct buf data = {0};
    dns_put_name(&data, target);
    dns_record(b, DNS_ANSWER, name, DNS_CNAME, ttl_s, buf_span(&data));
    buf_release(&data);
}

/* A or AAAA, as the text is. */
static inline void dns_ip(struct buf *b, const char *name, uint32_t ttl_s, const char *text)
{
    char ip[16];
    bool is_v4 = inet_pton(AF_INET, text, ip) == 1;
    if (!is_v4 && inet_pton(AF_INET6, text, ip) != 1)
        return;
    dns_record(b, DNS_ANSWER, name, is_v4 ? DNS_A : DNS_AAAA, ttl_s,
               span_make(ip, is_v4 ? 4 : sizeof ip));
}

static inline void dns_soa(struct buf *b, const char *zone, uint32_t ttl_s, uint32_t minimum_s)
{
    struct buf data = {0};
    dns_put_name(&data, "ns.example");
    dns_put_name(&data, "hostmaster.example");
    for (uint32_t i = 0; i < 4; i++)
        dns_put32(&data, 1000);
    dns_put32(&data, minimum_s);
    dns_record(b, DNS_AUTHORITY, zone, DNS_SOA, ttl_s, buf_span(&data));
    buf_release(&data);
}
