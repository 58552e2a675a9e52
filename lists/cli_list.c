/* SPDX-License-Identifier: MIT */
/* Making, changing, showing and ending lists. */
#include "lists/cli_inside.h"
#include "mta/mail/escape.h"
#include "mta/mail/fields.h"
#include <errno.h>
#include <string.h>
#include <sysexits.h>

const struct arg_option mlist_options[] = {
    {"owner",         true },
    {"remove-owner",  true },
    {"poster",        true },
    {"remove-poster", true },
    {"footer-file",   true },
    {"kind",          true },
    {"title",         true },
    {"post",          true },
    {"from",          true },
    {"reply-to",      true },
    {"prefix",        true },
    {"footer",        true },
    {"to",            true },
    {"merge",         true },
    {"archive-url",   true },
    {"help-url",      true },
    {"size",          true },
    {NULL,            false},
};

/* --- settings from the command line --- */

static int set_value(struct order *o, const char *key, struct span value)
{
    const char *wanted = mlist_check(key, value);
    if (wanted != NULL)
        return order_refuse(EX_USAGE, "--%s: '%.*s' should be %s", key, (int)value.len, value.at,
                            wanted);
    enum status status = mlist_set(o->store, o->list, key, value);
    return status == OK ? EX_OK : order_failed(o, status);
}

static int set_from_file(struct order *o, const char *key, const char *path)
{
    struct buf text = {0};
    FILE *file      = fopen(path, "re");
    if (file == NULL)
        return order_refuse(EX_NOINPUT, "%s: %s", path, strerror(errno));
    size_t got;
    while (text.len <= MLIST_TEXT_BYTES_MAX &&
           (got = fread(buf_reserve(&text, 4096), 1, 4096, file)) > 0)
        text.len += got;
    (void)fclose(file);
    while (text.len > 0 && text.at[text.len - 1] == '\n')
        text.len--;
    int code = set_value(o, key, buf_span(&text));
    buf_release(&text);
    return code;
}

static int change_person(struct order *o, enum mlist_role role, bool is_added, const char *text)
{
    char name[PERSON_ADDRESS_BYTES_MAX + 1];
    const char *problem = mlist_person(span_of(text), name);
    if (problem != NULL)
        return order_refuse(EX_USAGE, "'%s': %s", text, problem);
    enum status status = is_added ? mlist_add_person(o->store, o->list, role, name)
                                  : mlist_remove_person(o->store, o->list, role, name);
    if (status == LIMIT)
        return order_refuse(EX_DATAERR, "a list has at most %d owners, and posters",
                            MLIST_PEOPLE_MAX);
    if (status == NOT_FOUND)
        return order_refuse(EX_DATAERR, "'%s' is not one of them", text);
    return status == OK ? EX_OK : order_failed(o, status);
}

static int apply_option(struct order *o, const char *name, const char *value)
{
    if (strcmp(name, "json") == 0)
        return EX_OK;
    if (strcmp(name, "owner") == 0 || strcmp(name, "remove-owner") == 0)
        return change_person(o, MLIST_OWNER, name[0] == 'o', value);
    if (strcmp(name, "poster") == 0 || strcmp(name, "remove-poster") == 0)
        return change_person(o, MLIST_POSTER, name[0] == 'p', value);
    if (strcmp(name, "footer-file") == 0)
        return set_from_file(o, "footer", value);
    return set_value(o, name, span_of(value));
}

static int apply_options(struct order *o)
{
    int code = EX_OK;
    for (size_t i = 0; code == EX_OK && i < o->args.option_count; i++)
        code = apply_option(o, o->args.options[i].name, o->args.options[i].value);
    return code;
}

/* All of it or nothing. */
static int finish(struct order *o, int code)
{
    enum status status = store_finish(o->store, code == EX_OK ? OK : BAD_INPUT);
    if (code == EX_OK && status != OK)
        return order_failed(o, status);
    o->cli->has_changed = o->cli->has_changed || code == EX_OK;
    return code;
}

static int create(struct order *o, const char *address)
{
    enum status status = mlist_create(o->store, address, o->wall_ms, &o->list);
    if (status == EXISTS)
        return order_refuse(EX_CANTCREAT,
                            "there is a list %s already; 'mailrace list set' changes "
                            "it",
                            address);
    return status == OK ? apply_options(o) : order_failed(o, status);
}

int order_create(struct order *o)
{
    char address[PERSON_ADDRESS_BYTES_MAX + 1];
    const char *wanted = mlist_check_address(span_of(o->args.words[0]), address);
    if (wanted != NULL)
        return order_refuse(EX_USAGE, "'%s' should be %s", o->args.words[0], wanted);
    enum status status = store_begin(o->store);
    if (status != OK)
        return order_failed(o, status);
    int code = finish(o, create(o, address));
    if (code == EX_OK && !o->as_json)
        printf("%s is there; 'mailrace list import %s FILE' brings members\n", address, address);
    if (code == EX_OK && !args_has(&o->args, "owner"))
        (void)order_refuse(0,
                           "nobody owns %s, so nobody can post to it: 'mailrace list set %s "
                           "--owner NAME'",
                           address, address);
    return code;
}

int order_set(struct order *o)
{
    if (o->args.option_count == o->as_json)
        return order_refuse(EX_USAGE, "nothing to set; 'mailrace list --help' names the keys");
    enum status status = store_begin(o->store);
    if (status != OK)
        return order_failed(o, status);
    return finish(o, apply_options(o));
}

int order_remove(struct order *o)
{
    if (!args_has(&o->args, "yes"))
        return order_refuse(EX_USAGE,
                            "this forgets all members of %s, also who has left and must "
                            "not be written to again: say --yes",
                            o->args.words[0]);
    enum status status = mlist_remove(o->store, o->list);
    if (status != OK)
        return order_failed(o, status);
    o->cli->has_changed = true;
    return EX_OK;
}

/* --- showing --- */

static void put_people(const struct mlist_people *people, const char *key, bool as_json,
                       struct buf *into)
{
    if (as_json) {
        field_key(into, key);
        buf_put_byte(into, '[');
    }
    for (size_t i = 0; i < people->count; i++) {
        if (as_json) {
            buf_put_text(into, i == 0 ? "" : ",");
            escape_json(span_of(people->names[i]), into);
        } else {
            buf_printf(into, "%-12s %s\n", key, people->names[i]);
        }
    }
    if (as_json)
        buf_put_byte(into, ']');
}

static void put_settings(const struct mlist *list, bool as_json, struct buf *into)
{
    struct buf value = {0};
    for (const struct mlist_setting *s = mlist_settings; s->key != NULL; s++) {
        buf_clear(&value);
        mlist_value_text(list, s, &value);
        if (as_json) {
            field_text(into, s->key, buf_text(&value));
        } else if (value.len > 0) {
            struct span rest = buf_span(&value), line;
            for (bool is_first = true; span_cut(&rest, '\n', &line); is_first = false)
                buf_printf(into, "%-12s %.*s\n", is_first ? s->key : "", (int)line.len, line.at);
        }
    }
    buf_release(&value);
}

static void put_counts(const uint64_t counts[MEMBER_STATE_COUNT], bool as_json, struct buf *into)
{
    if (as_json) {
        field_key(into, "members");
        buf_put_byte(into, '{');
    }
    for (unsigned i = 0; i < MEMBER_STATE_COUNT; i++) {
        const char *state = member_state_text((enum member_state)i);
        if (as_json)
            field_number(into, state, counts[i]);
        else if (counts[i] > 0 || i == MEMBER_ACTIVE)
            buf_printf(into, "%-12s %llu\n", state, (unsigned long long)counts[i]);
    }
    if (as_json)
        buf_put_byte(into, '}');
}

static void put_whole(const struct mlist *list, const uint64_t counts[MEMBER_STATE_COUNT],
                      bool as_json, struct buf *into)
{
    if (as_json) {
        buf_put_byte(into, '{');
        field_text(into, "address", list->address);
        field_time(into, "created", list->created_wall_ms);
    } else {
        buf_printf(into, "%-12s %s\n", "address", list->address);
    }
    put_people(&list->people[MLIST_OWNER], as_json ? "owners" : "owner", as_json, into);
    put_people(&list->people[MLIST_POSTER], as_json ? "posters" : "poster", as_json, into);
    put_settings(list, as_json, into);
    put_counts(counts, as_json, into);
    buf_put_text(into, as_json ? "}\n" : "");
}

static void put_row(const struct mlist *list, const uint64_t counts[MEMBER_STATE_COUNT],
                    struct buf *into)
{
    buf_printf(into, "%-*s %-10s %9llu  ", ORDER_WIDTH_ADDRESS, list->address,
               list->kind == MLIST_DISCUSSION ? "discussion" : "announce",
               (unsigned long long)counts[MEMBER_ACTIVE]);
    escape_text(span_of(list->title), PERSON_NAME_BYTES_MAX, into);
    buf_put_byte(into, '\n');
}

static enum status show(struct order *o, uint32_t id, bool is_whole, struct buf *into)
{
    struct mlist *list;
    uint64_t counts[MEMBER_STATE_COUNT];
    enum status status = mlist_load(o->store, id, &list);
    if (status != OK)
        return status;
    status = roster_count(o->store, id, counts);
    if (status == OK && (is_whole || o->as_json))
        put_whole(list, counts, o->as_json, into);
    else if (status == OK)
        put_row(list, counts, into);
    mlist_free(list);
    return status;
}

static int show_all(struct order *o, struct buf *text)
{
    enum status status;
    uint32_t id = 0;
    if (!o->as_json)
        buf_printf(text, "%-*s %-10s %9s  %s\n", ORDER_WIDTH_ADDRESS, "LIST", "KIND", "MEMBERS",
                   "TITLE");
    while ((status = mlist_next(o->store, id, &id)) == OK) {
        status = show(o, id, false, text);
        if (status != OK && status != NOT_FOUND) /* it has just gone */
            break;
        order_print(text);
    }
    return status == NOT_FOUND ? EX_OK : order_failed(o, status);
}

int order_show(struct order *o)
{
    struct buf text = {0};
    int code        = EX_OK;
    if (o->args.word_count == 0) {
        code = show_all(o, &text);
    } else {
        enum status status = mlist_find(o->store, span_of(o->args.words[0]), &o->list);
        if (status == OK)
            status = show(o, o->list, true, &text);
        if (status == NOT_FOUND || status == LIMIT)
            code = order_refuse(EX_DATAERR, "there is no list '%s', or several are called so",
                                o->args.words[0]);
        else if (status != OK)
            code = order_failed(o, status);
        order_print(&text);
    }
    buf_release(&text);
    return code;
}
