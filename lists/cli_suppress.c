/* SPDX-License-Identifier: MIT */
/* The suppression list: who gets nothing, whatever the rosters say. */
#include "lists/cli_inside.h"
#include "lists/suppress.h"
#include "mta/base/mem.h"
#include "mta/mail/date.h"
#include "mta/mail/escape.h"
#include "mta/mail/fields.h"
#include <errno.h>
#include <string.h>
#include <sysexits.h>

enum { LINE_BYTES = 1024, LINES_A_TRANSACTION = 10000 };

/* What --list names, or all lists. */
static int find_list(struct order *o)
{
    const char *name = args_value(&o->args, "list");
    o->list          = SUPPRESS_ALL;
    if (name == NULL)
        return EX_OK;
    enum status status = mlist_find(o->store, span_of(name), &o->list);
    if (status == NOT_FOUND || status == LIMIT)
        return order_refuse(EX_DATAERR, "there is no list '%s', or several are called so", name);
    return status == OK ? EX_OK : order_failed(o, status);
}

/* --- adding --- */

static int add(struct order *o, struct span text, const char *place)
{
    struct person person;
    const char *cause   = args_value(&o->args, "cause");
    const char *problem = person_parse(text, &person);
    if (problem != NULL)
        return order_refuse(EX_DATAERR, "%s'%.*s': %s", place, (int)text.len, text.at, problem);
    enum status status =
        suppress_add(o->store, o->list, person.canonical,
                     span_of(cause == NULL ? "by the administrator" : cause), o->wall_ms);
    if (status != OK && status != EXISTS)
        return order_failed(o, status);
    o->cli->has_changed = true;
    return EX_OK;
}

/* An address a line; blank lines and # are passed over.  The worst that happened. */
static int add_lines(struct order *o, FILE *file, const char *name)
{
    char line[LINE_BYTES], place[LINE_BYTES];
    int worst = EX_OK;
    for (unsigned number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        struct span text = span_trim(span_of(line));
        (void)snprintf(place, sizeof place, "%s:%u: ", name, number);
        if (text.len == 0 || text.at[0] == '#')
            continue;
        int code = add(o, text, place);
        if (code != EX_OK)
            worst = code;
        if (code != EX_OK && code != EX_DATAERR)
            return code;
        if (number % LINES_A_TRANSACTION != 0)
            continue;
        enum status status = store_commit(o->store);
        if (status == OK)
            status = store_begin(o->store);
        if (status != OK)
            return order_failed(o, status);
    }
    return worst;
}

static int add_file(struct order *o, const char *path)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *file    = is_input ? stdin : fopen(path, "re");
    if (file == NULL)
        return order_refuse(EX_NOINPUT, "%s: %s", path, strerror(errno));
    int code = add_lines(o, file, is_input ? "(standard input)" : path);
    if (!is_input)
        (void)fclose(file);
    return code;
}

static int add_all(struct order *o)
{
    const char *path = args_value(&o->args, "from");
    int worst        = EX_OK;
    for (size_t i = 0; i < o->args.word_count; i++) {
        int code = add(o, span_of(o->args.words[i]), "");
        worst    = code == EX_OK ? worst : code;
    }
    if (path != NULL && (worst == EX_OK || worst == EX_DATAERR)) {
        int code = add_file(o, path);
        worst    = code == EX_OK ? worst : code;
    }
    return worst;
}

int order_suppress_add(struct order *o)
{
    const char *cause = args_value(&o->args, "cause");
    if (o->args.word_count == 0 && args_value(&o->args, "from") == NULL)
        return order_refuse(EX_USAGE, "nobody to suppress: give addresses, or --from FILE");
    if (cause != NULL &&
        (strlen(cause) > MEMBER_CAUSE_BYTES_MAX || !utf8_is_printable(span_of(cause))))
        return order_refuse(EX_USAGE, "--cause: one line of UTF-8, at most 500 bytes");
    int code           = find_list(o);
    enum status status = code == EX_OK ? store_begin(o->store) : OK;
    if (code == EX_OK && status == OK) {
        code   = add_all(o);
        status = store_finish(o->store, code == EX_OK || code == EX_DATAERR ? OK : BAD_INPUT);
    }
    return status == OK || status == BAD_INPUT ? code : order_failed(o, status);
}

/* --- taking off --- */

static int take_off(struct order *o, const char *word)
{
    struct person person;
    const char *problem = person_parse(span_of(word), &person);
    if (problem != NULL)
        return order_refuse(EX_DATAERR, "'%s': %s", word, problem);
    enum status status = suppress_remove(o->store, o->list, person.canonical);
    if (status == NOT_FOUND)
        return order_refuse(EX_DATAERR, "'%s' is not suppressed%s", word,
                            o->list == SUPPRESS_ALL ? " for all lists" : " for this list");
    if (status != OK)
        return order_failed(o, status);
    o->cli->has_changed = true;
    return EX_OK;
}

int order_suppress_remove(struct order *o)
{
    int worst = find_list(o);
    if (worst != EX_OK)
        return worst;
    for (size_t i = 0; i < o->args.word_count; i++) {
        int code = take_off(o, o->args.words[i]);
        worst    = code == EX_OK ? worst : code;
    }
    return worst;
}

/* --- looking --- */

/* Of the list a row is about; "" for all lists, or when it has gone. */
static void put_list_address(struct order *o, uint32_t id, struct buf *into)
{
    struct query *q = store_query(o->store, "SELECT address FROM lists WHERE id = ?");
    query_put_number(q, id);
    if (query_row(q))
        buf_put(into, query_text(q, 0));
    (void)query_end(q);
}

static void put_row(struct order *o, const struct suppressed *row, struct buf *into)
{
    struct buf list = {0};
    char date[DATE_TEXT_BYTES];
    if (row->list != SUPPRESS_ALL)
        put_list_address(o, row->list, &list);
    if (o->as_json) {
        buf_put_byte(into, '{');
        field_text(into, "address", row->address);
        field_text(into, "list", row->list == SUPPRESS_ALL ? NULL : buf_text(&list));
        field_time(into, "since", row->wall_ms);
        field_text(into, "cause", row->cause);
        buf_put_text(into, "}\n");
    } else {
        buf_printf(into, "%-*s %.10s  %-24s ", ORDER_WIDTH_ADDRESS, row->address,
                   date_rfc3339(row->wall_ms, date),
                   row->list == SUPPRESS_ALL ? "all lists" : buf_text(&list));
        escape_text(span_of(row->cause), MEMBER_CAUSE_BYTES_MAX, into);
        buf_put_byte(into, '\n');
    }
    buf_release(&list);
}

/* Whether the row is one that was asked for; all are without words. */
static bool is_asked(const struct order *o, const struct suppressed *row)
{
    char canonical[PERSON_ADDRESS_BYTES_MAX + 1];
    for (size_t i = 0; i < o->args.word_count; i++)
        if (person_canonical(span_of(o->args.words[i]), canonical) &&
            strcmp(canonical, row->address) == 0)
            return true;
    return o->args.word_count == 0;
}

int order_suppress_list(struct order *o)
{
    struct arena arenas[2]  = {{0}, {0}}; /* the last row of a page says where the next begins */
    struct suppressed *rows = mem_new_array(ORDER_PAGE_ROWS, sizeof *rows);
    struct suppressed last  = {.address = ""};
    struct buf text         = {0};
    size_t given            = ORDER_PAGE_ROWS;
    enum status status      = OK;
    for (unsigned page = 0; status == OK && given == ORDER_PAGE_ROWS; page++) {
        struct arena *arena = &arenas[page % 2];
        arena_reset(arena);
        status =
            suppress_walk(o->store, last.address, last.list, arena, rows, ORDER_PAGE_ROWS, &given);
        for (size_t i = 0; i < given; i++)
            if (is_asked(o, &rows[i]))
                put_row(o, &rows[i], &text);
        if (given > 0)
            last = rows[given - 1];
        order_print(&text);
    }
    buf_release(&text);
    mem_free(rows);
    arena_release(&arenas[0]);
    arena_release(&arenas[1]);
    return status == OK ? EX_OK : order_failed(o, status);
}
