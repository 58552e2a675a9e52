/* SPDX-License-Identifier: MIT */
/*
 * Person: an address as lists know it: the form it is compared by, the form it is written to, and
 * perhaps a name.
 *
 * Canonical is the whole address in lower case (ASCII letters; the local part too, although it may
 * tell them apart: nobody has two mailboxes Ann@ and ann@), the domain in A-labels.  Shown is what
 * goes into RCPT: the local part byte for byte.
 */
#pragma once
#include "mta/mail/address.h"

enum {
    PERSON_LOCAL_BYTES_MAX   = 64,  /* RFC 5321 4.5.3.1.1 */
    PERSON_ADDRESS_BYTES_MAX = 254, /* 4.5.3.1.3, without <> */
    PERSON_NAME_BYTES_MAX    = 200,
};

struct person {
    char canonical[PERSON_ADDRESS_BYTES_MAX + 1];
    char shown[PERSON_ADDRESS_BYTES_MAX + 1];
    char name[PERSON_NAME_BYTES_MAX + 1]; /* UTF-8 without controls; "" if there is none */
    bool is_changed; /* more than blanks was taken off, or the domain was not ASCII */
};

/*
 * Understands "ann@example.org", "<ann@example.org>", "Ann Lee <ann@example.org>", "\"Lee, Ann\"
 * <ann@example.org>", "mailto:ann@example.org", with blanks around.  NULL when good, else why not,
 * as a fragment ("no domain").
 */
const char *person_parse(struct span text, struct person *person);
/* The canonical form of a checked address; false when it is none that may be on a list. */
bool person_canonical(struct span address, char into[PERSON_ADDRESS_BYTES_MAX + 1]);
/* Sets the name, without blanks at its ends; false, and no name: it is too long, no UTF-8, or holds
 * controls. */
bool person_set_name(struct person *person, struct span name);
