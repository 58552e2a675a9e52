/* SPDX-License-Identifier: MIT */
/*
 * Users: who may log in to submit mail, as the users' file has it.  'mailrace user' writes it, the
 * server reads it.
 *
 *     # a comment
 *     :key BASE64                                   for what users that do not exist are told
 *     ann@example.org password=$y$... scram=SCRAM-SHA-256$...
 * from=ann@example.org,@lists.example.org
 *
 * A line a user: the name, then words key=value: password, scram (password.h), from (addresses,
 * @domain or *; a name that is an address is always one of them), messages and recipients
 * (quota.h), and the word disabled.  Names have gone through SASLprep and have no upper case
 * letters of ASCII: they are compared without case.
 */
#pragma once
#include "mta/base/arena.h"
#include "mta/base/buf.h"
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/receive/password.h"
#include "mta/receive/quota.h"

enum {
    USER_NAME_BYTES_MAX = 255,
    USER_SENDERS_MAX    = 100,
    USER_LINE_BYTES_MAX = 64 << 10,
    USERS_KEY_BYTES     = 32,
};

struct user {
    struct table_node by_name;
    struct list in_file;
    const char *name;
    const char *comment; /* not NULL: the line is none of a user, and stays as it is */
    const char *hash;    /* of crypt(3); NULL: none */
    struct scram scram;
    const char *senders[USER_SENDERS_MAX]; /* as in from= */
    size_t sender_count;
    bool has_messages, has_recipients; /* limits of its own; else those of the configuration */
    struct quota_limits messages, recipients;
    bool is_disabled;
};

struct users {
    struct arena arena;
    struct table by_name;
    struct list in_file; /* comments too */
    size_t count;
    bool has_key;
    unsigned char key[USERS_KEY_BYTES];
};

/* Empty. */
struct users *users_new(void);
void users_free(struct users *users);
/* NULL and a line for each error in 'error': file, line, what is wrong, and the remedy. */
struct users *users_parse(struct span text, const char *file, struct buf *error);
/* The file's bytes; gives it a key if it has none. */
void users_write(struct users *users, struct buf *into);

/* NULL: there is none.  'name' in any case, prepared or not. */
struct user *users_find(const struct users *users, const char *name);
/* The name as it is kept; NULL when good, else why not. */
const char *user_prepare_name(const char *name, struct buf *into);
/* A new one, without anything; the name is prepared and not there yet. */
struct user *users_add(struct users *users, const char *name);
void users_remove(struct users *users, struct user *user);
void user_set_password(struct users *users, struct user *user, const char *prepared);
/* NULL when good, else what an entry of from= should be. */
const char *user_add_sender(struct users *users, struct user *user, struct span sender);
void user_clear_senders(struct user *user);

/* Whether he may send as this address: one of his, or one with a +tag, domains and local parts
 * without case; or all of a domain. */
bool user_may_send_as(const struct user *user, struct span address);
/* The address that is his own, for Sender: his name, else the first of from=; NULL: he has none. */
const char *user_own_address(const struct user *user);
