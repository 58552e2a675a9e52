/* SPDX-License-Identifier: MIT */
/*
 * Mlist: a mailing list: its address, what may be set about it, and whose it is.
 *
 * What may be set is one table of keys (mlist_settings): 'mailrace list create' and 'set', 'show',
 * the manual and the database follow.  Only what differs from its default is stored, so a default
 * may improve.
 */
#pragma once
#include "lists/person.h"
#include "lists/store.h"
#include "mta/base/arena.h"

enum {
    MLIST_LOCAL_BYTES_MAX = 40,   /* of its name: room for "-bounces+" and a token in 64 */
    MLIST_TEXT_BYTES_MAX  = 8192, /* of a setting; a footer is the longest */
    MLIST_PEOPLE_MAX      = 64,   /* owners, and posters */
    MLIST_COUNT_MAX       = 10000,
};

enum mlist_kind { MLIST_ANNOUNCE, MLIST_DISCUSSION };
enum mlist_post { MLIST_POST_BY_KIND, MLIST_POST_OWNERS, MLIST_POST_MEMBERS };
enum mlist_from { MLIST_FROM_BY_KIND, MLIST_FROM_KEEP, MLIST_FROM_LIST };
enum mlist_reply { MLIST_REPLY_KEEP, MLIST_REPLY_AUTHOR, MLIST_REPLY_LIST };
enum mlist_to { MLIST_TO_LIST, MLIST_TO_MEMBER };
enum mlist_role { MLIST_OWNER, MLIST_POSTER, MLIST_ROLES };

struct mlist_people {
    const char *names[MLIST_PEOPLE_MAX]; /* addresses in canonical form, or names of users */
    size_t count;
};

struct mlist {
    struct arena arena; /* all texts */
    uint32_t id;
    const char *address; /* canonical */
    uint64_t created_wall_ms;
    unsigned kind, post, from, reply, to; /* the enums above; BY_KIND is already resolved */
    unsigned merge;                       /* 0 or 1: placeholders in the text are filled in */
    const char *title, *prefix, *footer, *archive, *help;
    uint64_t message_bytes_max; /* 0: the server's own limit */
    struct mlist_people people[MLIST_ROLES];
};

enum mlist_value { MLIST_TEXT, MLIST_LINE, MLIST_URL, MLIST_CHOICE, MLIST_SIZE };

struct mlist_setting {
    const char *key; /* as it is stored and shown; on the command line --key */
    enum mlist_value value;
    size_t offset;        /* in struct mlist */
    const char *choices;  /* of MLIST_CHOICE: between blanks, in the order of the enum */
    const char *fallback; /* as it would be written */
    const char *help;
};

/* Ends with a NULL key. */
extern const struct mlist_setting mlist_settings[];

/* What may be a list's address: NULL, or why not; 'into' is canonical. */
const char *mlist_check_address(struct span text, char into[PERSON_ADDRESS_BYTES_MAX + 1]);
/* NULL when 'value' may be set for 'key', else what it should be. */
const char *mlist_check(const char *key, struct span value);

/* EXISTS when there is one at this (canonical) address; *id is the new one's. */
enum status mlist_create(struct store *store, const char *address, uint64_t wall_ms, uint32_t *id);
/* With members, settings, and what was remembered about them. */
enum status mlist_remove(struct store *store, uint32_t id);
/* A checked value; "" is the default again. */
enum status mlist_set(struct store *store, uint32_t id, const char *key, struct span value);
/* 'name' as it will be compared: mlist_person(). */
enum status mlist_add_person(struct store *store, uint32_t id, enum mlist_role role,
                             const char *name);
/* NOT_FOUND: it was not one. */
enum status mlist_remove_person(struct store *store, uint32_t id, enum mlist_role role,
                                const char *name);
/* An address in canonical form, or a user's name in lower case; NULL or why not. */
const char *mlist_person(struct span text, char into[PERSON_ADDRESS_BYTES_MAX + 1]);

/* Whole or not at all: mlist_free() it.  NOT_FOUND. */
enum status mlist_load(struct store *store, uint32_t id, struct mlist **list);
void mlist_free(struct mlist *list);
/* By address, or by the part before the '@' if only one list has it: LIMIT when several have. */
enum status mlist_find(struct store *store, struct span name, uint32_t *id);
/* The list with the next higher id; NOT_FOUND when none is left. */
enum status mlist_next(struct store *store, uint32_t after, uint32_t *id);

/* As it would be written on the command line. */
void mlist_value_text(const struct mlist *list, const struct mlist_setting *setting,
                      struct buf *into);
bool mlist_has_person(const struct mlist *list, enum mlist_role role, struct span name);
