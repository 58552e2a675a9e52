/* SPDX-License-Identifier: MIT */
/*
 * Porter: what the submission listeners share: the users, who is slowed down, the passwords that
 * are being compared, and how much each has sent, which it writes into a file once a minute.
 *
 * Engine thread.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/status.h"
#include "mta/receive/auth.h"
#include "mta/receive/checks.h"
#include "mta/receive/guard.h"
#include "mta/receive/quota.h"

struct loop;

struct porter {
    struct users *users;
    struct sasl *sasl;
    struct checks *checks;
    struct guard guard;
    struct quotas quotas;
    struct porter_writer *writer; /* private: the file of the counts */
};

/* Reads what was sent before from 'usage'; what is wrong with that file comes out of
 * porter_take_warning(). */
struct porter *porter_open(struct loop *loop, const char *usage);
/* Writes the counts a last time. */
void porter_close(struct porter *porter);

/* NULL and sentences in 'error'.  No file at all is one without users, and a sentence too. */
struct users *porter_read_users(const char *path, struct buf *error);
/* Takes them over. */
void porter_set_users(struct porter *porter, struct users *users);
/* Somebody has sent something. */
void porter_note_sent(struct porter *porter);

/* Writes when it is time; returns when it wants to run again, UINT64_MAX: when there is something.
 */
uint64_t porter_turn(struct porter *porter, uint64_t now_ms, uint64_t wall_ms);
/* A sentence for the log; false when there is none. */
bool porter_take_warning(struct porter *porter, struct buf *sentence);
