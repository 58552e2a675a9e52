/* SPDX-License-Identifier: MIT */
/* Domain: names in the one form we compare: A-labels, lower case, no dot at the end. */
#pragma once
#include "mta/base/span.h"

enum { DOMAIN_BYTES_MAX = 255, DOMAIN_LABEL_BYTES_MAX = 63 };

/*
 * The comparable form of a name in U- or A-labels (libidn2, UTS 46 non-transitional, RFC 5891
 * limits), NUL-terminated.  One trailing dot is dropped. false: it is no domain name (empty, a
 * label too long, a character no host name has; underscores are let through, as DNS knows them).
 */
bool domain_canonical(struct span name, char into[DOMAIN_BYTES_MAX + 1]);

/* For people: U-labels in UTF-8 where they convert back to the same A-labels, else the name itself.
 */
void domain_display(struct span name, char *into, size_t cap);

/* "*.example.org" holds a.example.org and a.b.example.org, not example.org; "example.org" only
 * itself.  "*" holds all.  Case does not matter. */
bool domain_matches(struct span pattern, struct span name);
