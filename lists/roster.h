/* SPDX-License-Identifier: MIT */
/*
 * Roster: who is on a list, in which state, since when and why.
 *
 * An address is on a list at most once, by its canonical form (person.h), and its row stays when it
 * leaves: so an import cannot bring back whoever has left.  MEMBER_SUPPRESSED is not stored: it is
 * what an active member is while the suppression list holds the address (suppress.h); taken off it,
 * the member is what it was before.
 */
#pragma once
#include "lists/person.h"
#include "lists/store.h"
#include "mta/base/arena.h"

#define MEMBER_STATES(X)                                                                           \
    X(PENDING, "pending")           /* asked to join, and has not confirmed */                     \
    X(ACTIVE, "active")             /* gets the posts */                                           \
    X(UNSUBSCRIBED, "unsubscribed") /* left, or was taken off */                                   \
    X(BOUNCED, "bounced")           /* the mailbox does not take our mail */                       \
    X(COMPLAINED, "complained")     /* called it spam */                                           \
    X(SUPPRESSED, "suppressed")
#define MEMBER_STATE_NAME(id, text) MEMBER_##id,
enum member_state { MEMBER_STATES(MEMBER_STATE_NAME) MEMBER_STATE_COUNT };
#undef MEMBER_STATE_NAME

enum { MEMBER_CAUSE_BYTES_MAX = 500 };

const char *member_state_text(enum member_state state);
bool member_state_parse(struct span text, enum member_state *state);

/* Texts are NUL-terminated, never NULL. */
struct member {
    uint64_t id; /* never used twice; goes into tokens */
    uint32_t list;
    enum member_state state; /* MEMBER_SUPPRESSED wins over MEMBER_ACTIVE and MEMBER_PENDING */
    enum member_state stored_state;
    const char *address;    /* canonical */
    const char *shown;      /* to write to */
    const char *name;       /* "" if unknown */
    const char *attributes; /* attributes.h; "" if none */
    uint64_t since_wall_ms; /* in this state */
    const char *cause;      /* "" if none was given */
};

/* NOT_FOUND, or the texts are in 'arena'. */
enum status roster_find(struct store *store, uint32_t list, const char *canonical,
                        struct arena *arena, struct member *member);
enum status roster_find_id(struct store *store, uint64_t id, struct arena *arena,
                           struct member *member);

/*
 * Puts a person on the list, or changes the state of one who is.  'again': also one who has
 * unsubscribed, bounced or complained; without it REFUSED, and nothing changes.  EXISTS: already in
 * that state (name and attributes are set all the same when they are given).
 */
enum status roster_subscribe(struct store *store, uint32_t list, const struct person *person,
                             struct span attributes, enum member_state state, bool again,
                             struct span cause, uint64_t wall_ms);
/* NOT_FOUND, EXISTS (it is in that state already: time and cause stay), REFUSED (complained stays,
 * whatever bounces later). */
enum status roster_set_state(struct store *store, uint64_t id, enum member_state state,
                             struct span cause, uint64_t wall_ms);

enum status roster_count(struct store *store, uint32_t list, uint64_t counts[MEMBER_STATE_COUNT]);

/* --- walking: all members of a list, or those in one state, in the order of their ids --- */

struct roster_walk {
    uint32_t list;
    bool is_in_state;
    enum member_state state;
    uint64_t after; /* the id of the last one given */
};
/*
 * The next 'max' (at most), their texts in 'arena'; fewer mean that the walk is at its end. Between
 * two calls anything may change.
 */
enum status roster_walk(struct store *store, struct roster_walk *walk, struct arena *arena,
                        struct member *members, size_t max, size_t *given);
