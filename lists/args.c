/* SPDX-License-Identifier: MIT */
#include "lists/args.h"

static const struct arg_option *find(const struct arg_option *table, struct span name)
{
    for (; table->name != NULL; table++)
        if (span_is(name, table->name))
            return table;
    return NULL;
}

static bool refuse(struct buf *error, const char *word, const char *why)
{
    buf_printf(error, "'%s' %s", word, why);
    return false;
}

/* Takes words[*at], and the next one if that is its value. */
static bool take_option(struct args *args, int count, char **words, int *at,
                        const struct arg_option *table, struct buf *error)
{
    const char *word                = words[*at];
    struct span text                = span_of(word + 2);
    size_t equals                   = span_find(text, '=');
    const char *value               = equals < text.len ? text.at + equals + 1 : NULL;
    const struct arg_option *option = find(table, span_first(text, equals));
    if (option == NULL)
        return refuse(error, word, "is no option of this command");
    if (!option->takes_value && value != NULL)
        return refuse(error, word, "takes no value");
    if (option->takes_value && value == NULL && *at + 1 >= count)
        return refuse(error, word, "needs a value");
    if (args->option_count == ARGS_OPTIONS_MAX)
        return refuse(error, word, "is one option too many");
    if (option->takes_value && value == NULL)
        value = words[++*at];
    args->options[args->option_count].name    = option->name;
    args->options[args->option_count++].value = value;
    return true;
}

bool args_parse(struct args *args, int count, char **words, const struct arg_option *table,
                struct buf *error)
{
    bool has_ended = false;
    *args          = (struct args){.words = words};
    for (int at = 0; at < count; at++) {
        bool is_option = !has_ended && strncmp(words[at], "--", 2) == 0;
        if (!is_option)
            words[args->word_count++] = words[at];
        else if (words[at][2] == '\0')
            has_ended = true;
        else if (!take_option(args, count, words, &at, table, error))
            return false;
    }
    return true;
}

bool args_has(const struct args *args, const char *name)
{
    for (size_t i = 0; i < args->option_count; i++)
        if (strcmp(args->options[i].name, name) == 0)
            return true;
    return false;
}

const char *args_value(const struct args *args, const char *name)
{
    for (size_t i = args->option_count; i-- > 0;)
        if (strcmp(args->options[i].name, name) == 0)
            return args->options[i].value;
    return NULL;
}
