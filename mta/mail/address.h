/* SPDX-License-Identifier: MIT */
/*
 * Address: a mailbox as SMTP writes it (RFC 5321 4.1.2, RFC 6531 3.3), checked once at the door and
 * a plain text from then on.
 *
 * text is "local@domain": the local part byte for byte as it came (quotes kept: "a b"@x.example; a
 * needless quoting is not undone), the domain in A-label form (libidn2, UTS 46 non-transitional) if
 * it was not ASCII, else as it came, or an address literal "[192.0.2.1]", "[IPv6:...]". It holds no
 * CR, LF, NUL or other control, so it may stand in a command line.
 */
#pragma once
#include "mta/base/span.h"

enum {
    ADDRESS_LOCAL_BYTES_MAX  = 256, /* RFC 5321 says 64; VERP needs more and every peer takes it */
    ADDRESS_DOMAIN_BYTES_MAX = 255, /* RFC 5321 4.5.3.1.2 */
    ADDRESS_BYTES_MAX        = ADDRESS_LOCAL_BYTES_MAX + 1 + ADDRESS_DOMAIN_BYTES_MAX,
};

struct address {
    char text[ADDRESS_BYTES_MAX + 1]; /* NUL-terminated */
    size_t len;
    size_t local_len; /* text[local_len] is the '@' */
    bool is_utf8;     /* the local part holds non-ASCII: needs SMTPUTF8 (the domain never does) */
    bool is_literal;  /* the domain is an address literal */
};

/*
 * Parses a whole "local@domain" (no angle brackets, no source route).  'utf8' allows non-ASCII in
 * the local part and domain. NULL when good, else why not, as a fragment for a reply ("no domain",
 * "bad local part").
 */
const char *address_parse(struct span text, bool utf8, struct address *address);

/*
 * Parses a path "<...>" as MAIL and RCPT carry it, with a source route dropped (RFC 5321 C).  "<>"
 * gives len 0 if 'null_allowed'; "<postmaster>" in any case gives "postmaster" with local_len ==
 * len if 'postmaster_allowed'.  *used is the number of bytes up to and with the '>'.
 */
enum { ADDRESS_NULL_ALLOWED = 1, ADDRESS_POSTMASTER_ALLOWED = 2, ADDRESS_UTF8_ALLOWED = 4 };
const char *address_parse_path(struct span text, unsigned allowed, struct address *address,
                               size_t *used);

/* The domain of a checked text, behind its last '@'; empty if there is none. */
struct span address_domain(struct span text);
/* The local part of a checked text. */
struct span address_local(struct span text);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 4.1.3); no other tag is known. */
bool address_literal_is_valid(struct span text);
/* The same mailbox: local parts byte by byte, domains without case. */
bool address_equals(struct span a, struct span b);
