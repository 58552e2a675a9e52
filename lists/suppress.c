/* SPDX-License-Identifier: MIT */
#include "lists/suppress.h"

enum status suppress_add(struct store *s, uint32_t list, const char *canonical, struct span cause,
                         uint64_t wall_ms)
{
    struct query *q =
        store_query(s, "INSERT INTO suppressed (address, list, cause, time) VALUES (?, ?, ?, ?)");
    query_put_text(q, span_of(canonical));
    query_put_number(q, list);
    query_put_optional(q, cause);
    query_put_number(q, (int64_t)wall_ms);
    return query_run(q);
}

enum status suppress_remove(struct store *s, uint32_t list, const char *canonical)
{
    struct query *q = store_query(s, "DELETE FROM suppressed WHERE address = ? AND list = ?");
    query_put_text(q, span_of(canonical));
    query_put_number(q, list);
    enum status status = query_run(q);
    return status == OK && store_changes(s) == 0 ? NOT_FOUND : status;
}

static void read_row(struct query *q, struct arena *arena, struct suppressed *row)
{
    *row = (struct suppressed){
        .address = arena_text(arena, query_text(q, 0)),
        .list    = (uint32_t)query_number(q, 1),
        .cause   = arena_text(arena, query_text(q, 2)),
        .wall_ms = (uint64_t)query_number(q, 3),
    };
}

enum status suppress_find(struct store *s, uint32_t list, const char *canonical,
                          struct arena *arena, struct suppressed *found)
{
    struct query *q = store_query(s, "SELECT address, list, cause, time FROM suppressed"
                                     " WHERE address = ? AND list IN (0, ?) ORDER BY list LIMIT 1");
    query_put_text(q, span_of(canonical));
    query_put_number(q, list);
    bool is_found = query_row(q);
    if (is_found)
        read_row(q, arena, found);
    enum status status = query_end(q);
    return status == OK && !is_found ? NOT_FOUND : status;
}

enum status suppress_walk(struct store *s, const char *after, uint32_t after_list,
                          struct arena *arena, struct suppressed *rows, size_t max, size_t *given)
{
    struct query *q = store_query(s, "SELECT address, list, cause, time FROM suppressed WHERE"
                                     " (address, list) > (?, ?) ORDER BY address, list LIMIT ?");
    query_put_text(q, span_of(after));
    query_put_number(q, after_list);
    query_put_number(q, (int64_t)max);
    for (*given = 0; query_row(q);)
        read_row(q, arena, &rows[(*given)++]);
    return query_end(q);
}
