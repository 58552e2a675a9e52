/* SPDX-License-Identifier: MIT */
/* No getopt: its state is global and its table cannot say units. */
#include "bench/options.h"
#include "bench/units.h"

static const struct option_row *row_named(const struct option_row *rows, size_t count,
                                          struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

static bool take_value(const struct option_row *row, const char *value)
{
    switch (row->kind) {
    case OPTION_NUMBER:
        return units_number(span_of(value), row->into);
    case OPTION_DURATION:
        return units_duration(span_of(value), row->into);
    case OPTION_SIZE:
        return units_size(span_of(value), row->into);
    case OPTION_RATE:
        return units_rate(span_of(value), row->into);
    case OPTION_TEXT:
        *(const char **)row->into = value;
        return true;
    case OPTION_FLAG:
        break;
    }
    return false;
}

/* Takes the option at argv[*at] and moves *at behind it and its value. */
static bool take_option(const struct option_row *rows, size_t count, char **argv, int *at,
                        struct buf *error)
{
    const char *word = argv[(*at)++];
    struct span rest = span_of(word), name;
    if (!span_starts(rest, span_of("--"))) {
        buf_printf(error, "'%s' is no option", word);
        return false;
    }
    size_t equals = span_find(rest, '=');
    name          = span_skip(span_first(rest, equals), 2);

    const struct option_row *row = row_named(rows, count, name);
    if (row == NULL) {
        buf_printf(error, "unknown option '--%.*s'", (int)name.len, name.at);
        return false;
    }
    if (row->kind == OPTION_FLAG && equals == rest.len) {
        *(bool *)row->into = true;
        return true;
    }
    const char *value = equals < rest.len ? word + equals + 1 : argv[*at];
    if (equals == rest.len && value != NULL)
        (*at)++;
    if (value != NULL && take_value(row, value))
        return true;
    buf_printf(error, "'--%s' needs %s, not '%s'", row->name,
               row->value == NULL ? "no value" : row->value, value == NULL ? "" : value);
    return false;
}

bool options_parse(const struct option_row *rows, size_t count, int argc, char **argv,
                   struct buf *error)
{
    int at = 0;
    while (at < argc)
        if (!take_option(rows, count, argv, &at, error))
            return false;
    return true;
}

void options_usage(const struct option_row *rows, size_t count, const char *subcommand,
                   struct buf *out)
{
    buf_printf(out, "usage: mailrace-bench %s [options]\n", subcommand);
    for (size_t i = 0; i < count; i++) {
        struct buf left = {0};
        buf_printf(&left, "--%s %s", rows[i].name, rows[i].value == NULL ? "" : rows[i].value);
        buf_printf(out, "  %-30s %s\n", buf_text(&left), rows[i].help);
        buf_release(&left);
    }
}
