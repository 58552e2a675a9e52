/* SPDX-License-Identifier: MIT */
/*
 * Checks: passwords on their way to be compared with a hash.  That takes 50 ms of a core, so a crew
 * does it; how many may wait is bounded.  A password that was right is remembered for a short time
 * (as an HMAC under a key of this process), for clients that log in anew for each message.
 *
 * Whether a user exists changes nothing in what is done.  Engine thread.
 */
#pragma once
#include "mta/base/span.h"
#include <stdint.h>

enum {
    CHECKS_WAITING_MAX    = 64,
    CHECKS_REMEMBERED_MAX = 1024,
    CHECKS_REMEMBERED_MS  = 5 * 60 * 1000,
};

struct checks;
struct check;
struct loop;

struct checks *checks_open(struct loop *loop);
void checks_close(struct checks *checks);

enum check_start { CHECK_RIGHT, CHECK_BEGUN, CHECK_FULL };
/*
 * RIGHT: it was so a short time ago.  BEGUN: '*check' will come out of checks_take(), with 'owner'.
 * FULL: too many wait, try again later.  'hash' NULL: there is no such user, so it will be wrong.
 * 'password' is prepared; a copy is kept until it is compared.
 */
enum check_start checks_begin(struct checks *checks, struct span user, const char *hash,
                              const char *password, void *owner, uint64_t now_ms,
                              struct check **check);
/* The owner has gone away. */
void checks_disown(struct check *check);

struct check_done {
    void *owner; /* NULL: disowned */
    bool is_right;
};
/* The next one that is done; false when none is. */
bool checks_take(struct checks *checks, uint64_t now_ms, struct check_done *done);
