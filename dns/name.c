/* SPDX-License-Identifier: MIT */
#include "dns/name.h"
#include <stdio.h>

static bool label_is_host(struct span label)
{
    for (size_t i = 0; i < label.len; i++)
        if (!ascii_is_alnum(label.at[i]) && label.at[i] != '-' && label.at[i] != '_')
            return false;
    return label.len >= 1 && label.len <= DNS_LABEL_BYTES_MAX;
}

static bool is_all_digits(struct span label)
{
    for (size_t i = 0; i < label.len; i++)
        if (!ascii_is_digit(label.at[i]))
            return false;
    return true;
}

bool dns_name_clean(struct span name, char into[DNS_NAME_BYTES_MAX + 1])
{
    struct span label = SPAN(""), rest;
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > DNS_NAME_BYTES_MAX - 2 || name.at[name.len - 1] == '.')
        return false;
    rest = name;
    while (span_cut(&rest, '.', &label))
        if (!label_is_host(label))
            return false;
    for (size_t i = 0; i < name.len; i++)
        into[i] = ascii_lower(name.at[i]);
    into[name.len] = '\0';
    return !is_all_digits(label);
}

static bool parse_literal(struct span text, struct net_address *address)
{
    static const struct span tag = SPAN("IPv6:");
    if (text.len < 2 || text.at[0] != '[' || text.at[text.len - 1] != ']')
        return false;
    struct span inner = span_make(text.at + 1, text.len - 2);
    bool is_tagged    = span_starts_nocase(inner, tag);
    if (is_tagged)
        inner = span_skip(inner, tag.len);
    if (inner.len == 0 || inner.at[0] == '[' || net_address_parse(inner, address) != OK)
        return false;
    return !is_tagged || address->family == NET_IPV6;
}

/* As it stands behind the @ of an address. */
static void write_literal(const struct net_address *address, char into[DNS_NAME_BYTES_MAX + 1])
{
    char ip[NET_ADDRESS_TEXT_BYTES];
    const char *tag = address->family == NET_IPV6 ? "IPv6:" : "";
    (void)snprintf(into, DNS_NAME_BYTES_MAX + 1, "[%s%s]", tag, net_address_text(address, ip));
}

enum dns_name_kind dns_name_classify(struct span name, char into[DNS_NAME_BYTES_MAX + 1],
                                     struct net_address *literal)
{
    if (dns_name_clean(name, into))
        return DNS_NAME_HOST;
    into[0] = '\0';
    if (!parse_literal(name, literal))
        return DNS_NAME_BAD;
    write_literal(literal, into);
    return DNS_NAME_LITERAL;
}
