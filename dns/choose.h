/* SPDX-License-Identifier: MIT */
/*
 * Choose: what facts mean for mail: the hosts of an MX answer, the addresses of a host, or why
 * there are none.  Pure.
 */
#pragma once
#include "dns/fact.h"
#include "dns/mx.h"

/* Of one fact that is no alias. */
enum dns_verdict dns_verdict_of(const struct dns_fact *fact);

/*
 * The hosts of an MX answer with records: FOUND, NULL_MX ("." or "localhost" and nothing else),
 * LOOP (nobody better than us), NO_ADDRESS (no target is a host name).  'hostname' is ours, "" if
 * there is none.
 */
enum dns_verdict dns_choose_hosts(const struct dns_fact *mx, const char *hostname,
                                  struct mx_result *result);

/* The addresses of both answers. */
enum dns_verdict dns_choose_addresses(const struct dns_fact *a, const struct dns_fact *aaaa,
                                      struct address_result *result);
