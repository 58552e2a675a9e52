/* SPDX-License-Identifier: MIT */
/* Export: the members of a list, in the forms that import reads. */
#include "lists/attributes.h"
#include "lists/cli_inside.h"
#include "lists/csv.h"
#include "mta/base/mem.h"
#include "mta/mail/date.h"
#include "mta/mail/fields.h"
#include <string.h>
#include <sysexits.h>

enum export_form { EXPORT_LINES, EXPORT_CSV, EXPORT_JSON };

struct run {
    struct order *order;
    enum export_form form;
    struct roster_walk walk;
    char names[ATTRIBUTES_MAX][ATTRIBUTE_NAME_BYTES_MAX + 1]; /* of the columns of a CSV */
    size_t name_count;
    struct buf text, value;
};

/* --- a CSV's columns --- */

static void add_names(struct run *run, struct span json)
{
    struct span name;
    char text[ATTRIBUTE_NAME_BYTES_MAX + 1];
    buf_clear(&run->value);
    while (attribute_next(&json, &name, &run->value)) {
        size_t i = 0;
        span_copy_text(name, text, sizeof text);
        while (i < run->name_count && strcmp(run->names[i], text) != 0)
            i++;
        if (i == run->name_count && i < ATTRIBUTES_MAX)
            memcpy(run->names[run->name_count++], text, sizeof text);
        buf_clear(&run->value);
    }
}

static void put_head(struct run *run)
{
    buf_put_text(&run->text, "email,name,state,since,cause");
    for (size_t i = 0; i < run->name_count; i++)
        buf_printf(&run->text, ",%s", run->names[i]);
    buf_put_text(&run->text, "\r\n");
}

/* The value of an attribute, or nothing. */
static void put_attribute(struct run *run, const struct member *m, const char *wanted)
{
    struct span json = span_of(m->attributes), name;
    buf_put_byte(&run->text, ',');
    buf_clear(&run->value);
    while (attribute_next(&json, &name, &run->value)) {
        if (span_is(name, wanted)) {
            csv_put(&run->text, buf_span(&run->value), ',');
            return;
        }
        buf_clear(&run->value);
    }
}

static void put_csv(struct run *run, const struct member *m)
{
    char date[DATE_TEXT_BYTES];
    const char *fields[] = {m->shown, m->name, member_state_text(m->state),
                            date_rfc3339(m->since_wall_ms, date), m->cause};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        buf_put_text(&run->text, i == 0 ? "" : ",");
        csv_put(&run->text, span_of(fields[i]), ',');
    }
    for (size_t i = 0; i < run->name_count; i++)
        put_attribute(run, m, run->names[i]);
    buf_put_text(&run->text, "\r\n");
}

/* --- the others --- */

static void put_json(struct run *run, const struct member *m)
{
    buf_put_byte(&run->text, '{');
    field_text(&run->text, "address", m->shown);
    field_text(&run->text, "name", m->name);
    field_text(&run->text, "state", member_state_text(m->state));
    field_time(&run->text, "since", m->since_wall_ms);
    field_text(&run->text, "cause", m->cause);
    field_key(&run->text, "attributes");
    buf_put_text(&run->text, m->attributes[0] == '\0' ? "{}" : m->attributes);
    buf_put_text(&run->text, "}\n");
}

static void put_member(struct run *run, const struct member *m)
{
    switch (run->form) {
    case EXPORT_LINES:
        buf_printf(&run->text, "%s\n", m->shown);
        return;
    case EXPORT_CSV:
        put_csv(run, m);
        return;
    case EXPORT_JSON:
        put_json(run, m);
        return;
    }
}

/* All members, a page at a time: their attributes' names, or themselves. */
static enum status walk(struct run *run, bool only_names)
{
    struct arena arena     = {0};
    struct member *members = mem_new_array(ORDER_PAGE_ROWS, sizeof *members);
    size_t given           = ORDER_PAGE_ROWS;
    enum status status     = OK;
    run->walk.after        = 0;
    while (status == OK && given == ORDER_PAGE_ROWS) {
        arena_reset(&arena);
        status =
            roster_walk(run->order->store, &run->walk, &arena, members, ORDER_PAGE_ROWS, &given);
        for (size_t i = 0; i < given; i++) {
            if (only_names)
                add_names(run, span_of(members[i].attributes));
            else
                put_member(run, &members[i]);
        }
        order_print(&run->text);
    }
    mem_free(members);
    arena_release(&arena);
    return status;
}

/* As they are at one moment, however long it takes. */
static enum status export(struct run *run) {
    enum status status = store_begin_view(run->order->store);
    if (status == OK && run->form == EXPORT_CSV){status = walk(run, true); put_head(run);}
if (status == OK) status = walk(run, false);
store_rollback(run->order->store);
return status;
}

int order_export(struct order *o)
{
    struct run run    = {.order = o, .form = EXPORT_LINES};
    const char *state = args_value(&o->args, "state");
    if (args_has(&o->args, "csv") && o->as_json)
        return order_refuse(EX_USAGE, "--csv and --json are two forms: choose one");
    if (args_has(&o->args, "csv"))
        run.form = EXPORT_CSV;
    else if (o->as_json)
        run.form = EXPORT_JSON;
    run.walk = (struct roster_walk){.list = o->list, .is_in_state = true, .state = MEMBER_ACTIVE};
    if (state != NULL && strcmp(state, "all") == 0)
        run.walk.is_in_state = false;
    else if (state != NULL && !member_state_parse(span_of(state), &run.walk.state))
        return order_refuse(EX_USAGE,
                            "--state: '%s' should be pending, active, unsubscribed, "
                            "bounced, complained, suppressed or all",
                            state);
    enum status status = export(&run);
    buf_release(&run.text);
    buf_release(&run.value);
    return status == OK ? EX_OK : order_failed(o, status);
}
