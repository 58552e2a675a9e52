/* SPDX-License-Identifier: MIT */
/*
 * Schema: the tables of the lists database, as steps from nothing to the newest version
 * (PRAGMA user_version).  A step that was released never changes; what is new comes as one more.
 *
 *     meta        what belongs to the whole: the secret behind all tokens
 *     lists       a mailing list: its id, which is never used twice, and its address
 *     settings    what is not at its default, by list and key (mlist.h has the table of keys)
 *     people      owners and posters of a list
 *     members     one row for an address on a list, whatever its state; ids are never used twice
 *     suppressed  addresses that get nothing: from one list, or from all (list 0)
 *     posts       what was sent to a list
 *     seen        what a list has taken already, by Message-ID
 *
 * Times are milliseconds since 1970, addresses canonical (roster.h), unless they say 'shown'.
 */
#pragma once
#include <stddef.h>

enum { SCHEMA_APPLICATION_ID = 0x6d726c31 }; /* "mrl1": so that file(1) and we know the file */

/* The SQL that brings version 'n' to version n + 1; NULL: n is the newest. */
const char *schema_step(size_t n);
