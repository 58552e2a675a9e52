/* SPDX-License-Identifier: MIT */
/*
 * Name: the names mail goes to, in the one form that is compared and asked for: host names (lower
 * case, no dot at the end) and address literals.
 */
#pragma once
#include "dns/packet.h"
#include "mta/sys/net.h"

enum { DNS_LABEL_BYTES_MAX = 63 };

enum dns_name_kind { DNS_NAME_HOST, DNS_NAME_LITERAL, DNS_NAME_BAD };

/*
 * Letters, digits, hyphens and underscores; the last label is not all digits, that would be an IPv4
 * address or look like one (RFC 3696 2).  One dot at the end is dropped.  false: no host name.
 */
bool dns_name_clean(struct span name, char into[DNS_NAME_BYTES_MAX + 1]);

/*
 * A host name as above, or an address literal "[192.0.2.1]", "[IPv6:2001:db8::1]" (also without the
 * tag), which is written as it stands behind the @ of an address.  'into' is empty for a bad name.
 */
enum dns_name_kind dns_name_classify(struct span name, char into[DNS_NAME_BYTES_MAX + 1],
                                     struct net_address *literal);
