/* SPDX-License-Identifier: MIT */
/* Who is on a list: looking, putting on, taking off. */
#include "lists/attributes.h"
#include "lists/cli_inside.h"
#include "lists/suppress.h"
#include "mta/base/mem.h"
#include "mta/mail/date.h"
#include "mta/mail/escape.h"
#include "mta/mail/fields.h"
#include <string.h>
#include <sysexits.h>

/* --- looking --- */

static void put_json(const struct member *m, struct buf *into)
{
    buf_put_byte(into, '{');
    field_number(into, "id", m->id);
    field_text(into, "address", m->shown);
    field_text(into, "name", m->name);
    field_text(into, "state", member_state_text(m->state));
    field_time(into, "since", m->since_wall_ms);
    field_text(into, "cause", m->cause);
    field_key(into, "attributes");
    buf_put_text(into, m->attributes[0] == '\0' ? "{}" : m->attributes);
    buf_put_text(into, "}\n");
}

static void put_line(const struct member *m, struct buf *into)
{
    char date[DATE_TEXT_BYTES];
    buf_printf(into, "%-*s %-12s %.10s  ", ORDER_WIDTH_ADDRESS, m->shown,
               member_state_text(m->state), date_rfc3339(m->since_wall_ms, date));
    escape_text(span_of(m->name), PERSON_NAME_BYTES_MAX, into);
    if (m->cause[0] != '\0') {
        buf_put_text(into, m->name[0] != '\0' ? " (" : "(");
        escape_text(span_of(m->cause), MEMBER_CAUSE_BYTES_MAX, into);
        buf_put_byte(into, ')');
    }
    buf_put_byte(into, '\n');
}

static void put_member(const struct order *o, const struct member *m, struct buf *into)
{
    if (o->as_json)
        put_json(m, into);
    else
        put_line(m, into);
}

static enum status show_named(struct order *o, const char *word, struct buf *text, int *code)
{
    struct arena arena = {0};
    struct person person;
    struct member m;
    const char *problem = person_parse(span_of(word), &person);
    enum status status  = OK;
    if (problem != NULL) {
        *code = order_refuse(EX_DATAERR, "'%s': %s", word, problem);
    } else {
        status = roster_find(o->store, o->list, person.canonical, &arena, &m);
        if (status == OK)
            put_member(o, &m, text);
        else if (status == NOT_FOUND)
            *code = order_refuse(EX_DATAERR, "'%s' is not on the list", word);
    }
    arena_release(&arena);
    return status == NOT_FOUND ? OK : status;
}

static enum status show_walked(struct order *o, struct roster_walk *walk, struct buf *text)
{
    struct arena arena     = {0};
    struct member *members = mem_new_array(ORDER_PAGE_ROWS, sizeof *members);
    size_t given           = ORDER_PAGE_ROWS;
    enum status status     = OK;
    while (status == OK && given == ORDER_PAGE_ROWS) {
        arena_reset(&arena);
        status = roster_walk(o->store, walk, &arena, members, ORDER_PAGE_ROWS, &given);
        for (size_t i = 0; i < given; i++)
            put_member(o, &members[i], text);
        order_print(text);
    }
    mem_free(members);
    arena_release(&arena);
    return status;
}

int order_members(struct order *o)
{
    struct buf text         = {0};
    struct roster_walk walk = {.list = o->list};
    const char *state       = args_value(&o->args, "state");
    int code                = EX_OK;
    enum status status      = OK;
    walk.is_in_state        = state != NULL && strcmp(state, "all") != 0;
    if (walk.is_in_state && !member_state_parse(span_of(state), &walk.state))
        return order_refuse(EX_USAGE,
                            "--state: '%s' should be pending, active, unsubscribed, "
                            "bounced, complained, suppressed or all",
                            state);
    for (size_t i = 1; status == OK && i < o->args.word_count; i++)
        status = show_named(o, o->args.words[i], &text, &code);
    if (o->args.word_count == 1)
        status = show_walked(o, &walk, &text);
    order_print(&text);
    buf_release(&text);
    return status == OK ? code : order_failed(o, status);
}

/* --- putting on --- */

/* "KEY=VALUE" of every --set. */
static int read_attributes(const struct order *o, struct buf *json)
{
    char name[ATTRIBUTE_NAME_BYTES_MAX + 1];
    for (size_t i = 0; i < o->args.option_count; i++) {
        struct span key, value = span_of(o->args.options[i].value);
        if (strcmp(o->args.options[i].name, "set") != 0)
            continue;
        bool is_pair = span_find(value, '=') < value.len && span_cut(&value, '=', &key);
        if (!is_pair || !attribute_name(key, name))
            return order_refuse(EX_USAGE, "--set '%s' should be a name and a value, like city=Bern",
                                o->args.options[i].value);
        if (!attribute_put(json, name, value))
            return order_refuse(EX_USAGE, "--set '%s': too long, or no text in UTF-8", name);
    }
    attribute_end(json);
    return EX_OK;
}

static int refuse_return(const struct order *o, const struct person *person)
{
    struct arena arena = {0};
    struct member m;
    if (roster_find(o->store, o->list, person->canonical, &arena, &m) == OK) {
        char date[DATE_TEXT_BYTES];
        (void)order_refuse(
            EX_DATAERR, "%s has %s on %.10s%s%s: only if they have asked for it, say --again",
            m.shown, member_state_text(m.stored_state), date_rfc3339(m.since_wall_ms, date),
            m.cause[0] != '\0' ? ", " : "", m.cause);
    }
    arena_release(&arena);
    return EX_DATAERR;
}

static void warn_of_suppression(const struct order *o, const struct person *person)
{
    struct arena arena = {0};
    struct suppressed row;
    if (suppress_find(o->store, o->list, person->canonical, &arena, &row) == OK)
        (void)order_refuse(0,
                           "%s is suppressed (%s) and gets nothing until 'mailrace suppress "
                           "remove'",
                           person->shown, row.cause);
    arena_release(&arena);
}

static int subscribe(struct order *o, const char *word, struct span attributes)
{
    struct person person;
    const char *problem = person_parse(span_of(word), &person);
    const char *name = args_value(&o->args, "name"), *cause = args_value(&o->args, "cause");
    if (problem != NULL)
        return order_refuse(EX_DATAERR, "'%s': %s", word, problem);
    if (name != NULL && !person_set_name(&person, span_of(name)))
        return order_refuse(EX_USAGE, "--name: too long, or no text in UTF-8");
    enum status status = roster_subscribe(
        o->store, o->list, &person, attributes,
        args_has(&o->args, "pending") ? MEMBER_PENDING : MEMBER_ACTIVE, args_has(&o->args, "again"),
        span_of(cause == NULL ? "by the list's administrator" : cause), o->wall_ms);
    if (status == REFUSED)
        return refuse_return(o, &person);
    if (status != OK && status != EXISTS)
        return order_failed(o, status);
    if (status == EXISTS && !o->as_json)
        (void)order_refuse(0, "%s is on the list already", person.shown);
    warn_of_suppression(o, &person);
    o->cli->has_changed = true;
    return EX_OK;
}

static bool has_good_cause(const struct order *o)
{
    const char *cause = args_value(&o->args, "cause");
    return cause == NULL ||
           (strlen(cause) <= MEMBER_CAUSE_BYTES_MAX && utf8_is_printable(span_of(cause)));
}

/* The worst of both. */
static int worse(int code, int other)
{
    return code == EX_OK ? other : code;
}

int order_subscribe(struct order *o)
{
    struct buf attributes = {0};
    if (!has_good_cause(o))
        return order_refuse(EX_USAGE, "--cause: one line of UTF-8, at most 500 bytes");
    int code = read_attributes(o, &attributes);
    for (size_t i = 1; code != EX_USAGE && i < o->args.word_count; i++)
        code = worse(code, subscribe(o, o->args.words[i], buf_span(&attributes)));
    buf_release(&attributes);
    return code;
}

/* --- taking off --- */

static int unsubscribe(struct order *o, const char *word)
{
    struct arena arena = {0};
    struct person person;
    struct member m;
    const char *cause   = args_value(&o->args, "cause");
    const char *problem = person_parse(span_of(word), &person);
    if (problem != NULL)
        return order_refuse(EX_DATAERR, "'%s': %s", word, problem);
    enum status status = roster_find(o->store, o->list, person.canonical, &arena, &m);
    if (status == OK)
        status = roster_set_state(o->store, m.id, MEMBER_UNSUBSCRIBED,
                                  span_of(cause == NULL ? "by the list's administrator" : cause),
                                  o->wall_ms);
    arena_release(&arena);
    if (status == NOT_FOUND)
        return order_refuse(EX_DATAERR, "'%s' is not on the list", word);
    if (status == EXISTS || status == REFUSED)
        return order_refuse(EX_OK, "'%s' has left the list before", word);
    if (status != OK)
        return order_failed(o, status);
    o->cli->has_changed = true;
    return EX_OK;
}

int order_unsubscribe(struct order *o)
{
    int code = EX_OK;
    if (!has_good_cause(o))
        return order_refuse(EX_USAGE, "--cause: one line of UTF-8, at most 500 bytes");
    for (size_t i = 1; i < o->args.word_count; i++)
        code = worse(code, unsubscribe(o, o->args.words[i]));
    return code;
}
