/* SPDX-License-Identifier: MIT */
#include "lists/roster.h"
#include "mta/base/fault.h"

static const char *const state_texts[] = {
#define MEMBER_STATE_TEXT(id, text) text,
    MEMBER_STATES(MEMBER_STATE_TEXT)
#undef MEMBER_STATE_TEXT
};

const char *member_state_text(enum member_state state)
{
    must(state < MEMBER_STATE_COUNT);
    return state_texts[state];
}

bool member_state_parse(struct span text, enum member_state *state)
{
    for (unsigned i = 0; i < MEMBER_STATE_COUNT; i++) {
        if (!span_is(text, state_texts[i]))
            continue;
        *state = (enum member_state)i;
        return true;
    }
    return false;
}

/* --- reading --- */

/* The columns of every query that gives members; the suppression that counts is that for all lists,
 * else that for this one. */
#define MEMBER_COLUMNS                                                                             \
    "m.id, m.list, m.state, m.address, coalesce(m.shown, m.address), m.name, m.attributes,"        \
    " m.since, m.cause, s.address IS NOT NULL, s.time, s.cause"
#define MEMBER_TABLES                                                                              \
    " FROM members m LEFT JOIN suppressed s ON s.address = m.address AND s.list ="                 \
    " (SELECT min(list) FROM suppressed WHERE address = m.address AND list IN (0, m.list))"

static enum member_state state_of(int64_t number)
{
    return number >= 0 && number < MEMBER_SUPPRESSED ? (enum member_state)number
                                                     : MEMBER_UNSUBSCRIBED;
}

static const char *text_at(struct query *q, int column, struct arena *arena)
{
    struct span text = query_text(q, column);
    return text.len == 0 ? "" : arena_text(arena, text);
}

static void read_member(struct query *q, struct arena *arena, struct member *m)
{
    *m = (struct member){
        .id            = (uint64_t)query_number(q, 0),
        .list          = (uint32_t)query_number(q, 1),
        .stored_state  = state_of(query_number(q, 2)),
        .address       = text_at(q, 3, arena),
        .shown         = text_at(q, 4, arena),
        .name          = text_at(q, 5, arena),
        .attributes    = text_at(q, 6, arena),
        .since_wall_ms = (uint64_t)query_number(q, 7),
    };
    bool gets_posts    = m->stored_state == MEMBER_ACTIVE || m->stored_state == MEMBER_PENDING;
    bool is_suppressed = gets_posts && query_number(q, 9) != 0;
    m->state           = is_suppressed ? MEMBER_SUPPRESSED : m->stored_state;
    m->cause           = text_at(q, is_suppressed ? 11 : 8, arena);
    if (is_suppressed)
        m->since_wall_ms = (uint64_t)query_number(q, 10);
}

static enum status only_member(struct query *q, struct arena *arena, struct member *member)
{
    bool is_found = query_row(q);
    if (is_found)
        read_member(q, arena, member);
    enum status status = query_end(q);
    return status == OK && !is_found ? NOT_FOUND : status;
}

enum status roster_find(struct store *s, uint32_t list, const char *canonical, struct arena *arena,
                        struct member *member)
{
    struct query *q = store_query(s, "SELECT " MEMBER_COLUMNS MEMBER_TABLES
                                     " WHERE m.list = ? AND m.address = ?");
    query_put_number(q, list);
    query_put_text(q, span_of(canonical));
    return only_member(q, arena, member);
}

enum status roster_find_id(struct store *s, uint64_t id, struct arena *arena, struct member *member)
{
    struct query *q = store_query(s, "SELECT " MEMBER_COLUMNS MEMBER_TABLES " WHERE m.id = ?");
    query_put_number(q, (int64_t)id);
    return only_member(q, arena, member);
}

static struct query *ask_walk(struct store *s, const struct roster_walk *walk, size_t max)
{
    struct query *q;
    bool by_state = walk->is_in_state && walk->state != MEMBER_SUPPRESSED;
    if (by_state) {
        q = store_query(s, "SELECT " MEMBER_COLUMNS MEMBER_TABLES
                           " WHERE m.list = ? AND m.state = ? AND m.id > ? ORDER BY m.id LIMIT ?");
        query_put_number(q, walk->list);
        query_put_number(q, walk->state);
    } else {
        q = store_query(s, "SELECT " MEMBER_COLUMNS MEMBER_TABLES
                           " WHERE m.list = ? AND m.id > ? ORDER BY m.id LIMIT ?");
        query_put_number(q, walk->list);
    }
    query_put_number(q, (int64_t)walk->after);
    query_put_number(q, (int64_t)max);
    return q;
}

/* One page of rows; those in another state are passed over. */
static enum status walk_page(struct store *s, struct roster_walk *walk, struct arena *arena,
                             struct member *members, size_t max, size_t *given, size_t *seen)
{
    struct query *q = ask_walk(s, walk, max - *given);
    *seen           = 0;
    while (query_row(q)) {
        struct member *m = &members[*given];
        read_member(q, arena, m);
        walk->after = m->id;
        (*seen)++;
        if (!walk->is_in_state || m->state == walk->state)
            (*given)++;
    }
    return query_end(q);
}

enum status roster_walk(struct store *s, struct roster_walk *walk, struct arena *arena,
                        struct member *members, size_t max, size_t *given)
{
    enum status status = OK;
    size_t seen        = 1;
    *given             = 0;
    while (status == OK && seen > 0 && *given < max)
        status = walk_page(s, walk, arena, members, max, given, &seen);
    return status;
}

static enum status count_suppressed(struct store *s, uint32_t list, enum member_state state,
                                    uint64_t *count)
{
    struct query *q = store_query(
        s, "SELECT count(*) FROM members m WHERE m.list = ?1 AND m.state = ?2 AND m.address IN"
           " (SELECT address FROM suppressed WHERE list IN (0, ?1))");
    query_put_number(q, list);
    query_put_number(q, state);
    *count = query_row(q) ? (uint64_t)query_number(q, 0) : 0;
    return query_end(q);
}

enum status roster_count(struct store *s, uint32_t list, uint64_t counts[MEMBER_STATE_COUNT])
{
    static const enum member_state hidden[] = {MEMBER_ACTIVE, MEMBER_PENDING};
    for (unsigned i = 0; i < MEMBER_STATE_COUNT; i++)
        counts[i] = 0;
    struct query *q =
        store_query(s, "SELECT state, count(*) FROM members WHERE list = ? GROUP BY state");
    query_put_number(q, list);
    while (query_row(q))
        counts[state_of(query_number(q, 0))] += (uint64_t)query_number(q, 1);
    enum status status = query_end(q);
    for (unsigned i = 0; status == OK && i < 2; i++) {
        uint64_t count;
        status = count_suppressed(s, list, hidden[i], &count);
        count  = count < counts[hidden[i]] ? count : counts[hidden[i]];
        counts[hidden[i]] -= count;
        counts[MEMBER_SUPPRESSED] += count;
    }
    return status;
}

/* --- changing --- */

static enum status insert(struct store *s, uint32_t list, const struct person *person,
                          struct span attributes, enum member_state state, struct span cause,
                          uint64_t wall_ms)
{
    bool is_plain   = strcmp(person->shown, person->canonical) == 0;
    struct query *q = store_query(
        s, "INSERT INTO members (list, address, shown, name, attributes, state, since, cause)"
           " VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    query_put_number(q, list);
    query_put_text(q, span_of(person->canonical));
    query_put_optional(q, span_of(is_plain ? "" : person->shown));
    query_put_optional(q, span_of(person->name));
    query_put_optional(q, attributes);
    query_put_number(q, state);
    query_put_number(q, (int64_t)wall_ms);
    query_put_optional(q, cause);
    return query_run(q);
}

/* What is given replaces what was there; attributes of other names stay. */
static enum status describe(struct store *s, uint64_t id, const struct person *person,
                            struct span attributes)
{
    if (person->name[0] == '\0' && attributes.len == 0)
        return OK;
    struct query *q =
        store_query(s, "UPDATE members SET name = coalesce(?2, name), attributes = CASE WHEN ?3"
                       " IS NULL THEN attributes ELSE"
                       " json_patch(coalesce(attributes, '{}'), ?3) END WHERE id = ?1");
    query_put_number(q, (int64_t)id);
    query_put_optional(q, span_of(person->name));
    query_put_optional(q, attributes);
    return query_run(q);
}

static enum status set_state(struct store *s, uint64_t id, enum member_state state,
                             struct span cause, uint64_t wall_ms)
{
    must(state < MEMBER_SUPPRESSED);
    struct query *q =
        store_query(s, "UPDATE members SET state = ?, since = ?, cause = ? WHERE id = ?");
    query_put_number(q, state);
    query_put_number(q, (int64_t)wall_ms);
    query_put_optional(q, cause);
    query_put_number(q, (int64_t)id);
    return query_run(q);
}

/* Whether a member may become active or pending without having been asked for it by name. */
static bool may_come_back(enum member_state state)
{
    return state == MEMBER_PENDING || state == MEMBER_ACTIVE;
}

static enum status change(struct store *s, const struct member *m, const struct person *person,
                          struct span attributes, enum member_state state, bool again,
                          struct span cause, uint64_t wall_ms)
{
    if (!again && !may_come_back(m->stored_state))
        return REFUSED;
    enum status status = describe(s, m->id, person, attributes);
    if (status != OK)
        return status;
    if (m->stored_state == state)
        return EXISTS;
    return set_state(s, m->id, state, cause, wall_ms);
}

enum status roster_subscribe(struct store *s, uint32_t list, const struct person *person,
                             struct span attributes, enum member_state state, bool again,
                             struct span cause, uint64_t wall_ms)
{
    struct arena arena = {0};
    struct member m;
    enum status status = roster_find(s, list, person->canonical, &arena, &m);
    if (status == NOT_FOUND)
        status = insert(s, list, person, attributes, state, cause, wall_ms);
    else if (status == OK)
        status = change(s, &m, person, attributes, state, again, cause, wall_ms);
    arena_release(&arena);
    return status;
}

enum status roster_set_state(struct store *s, uint64_t id, enum member_state state,
                             struct span cause, uint64_t wall_ms)
{
    struct arena arena = {0};
    struct member m;
    enum status status = roster_find_id(s, id, &arena, &m);
    if (status == OK && m.stored_state == state)
        status = EXISTS;
    else if (status == OK && m.stored_state == MEMBER_COMPLAINED && state != MEMBER_ACTIVE)
        status = REFUSED;
    else if (status == OK)
        status = set_state(s, id, state, cause, wall_ms);
    arena_release(&arena);
    return status;
}
