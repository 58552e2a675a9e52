/* SPDX-License-Identifier: MIT */
#include "mta/control/option.h"
#include "mta/base/fault.h"
#include "mta/control/value.h"
#include "mta/mail/domain.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* --- kinds of values --- */

const char *option_text(struct config_reader *r, const struct option *o, struct span text,
                        void *into)
{
    (void)o;
    *(const char **)into = text.len == 0 ? NULL : arena_text(&r->config->arena, text);
    return NULL;
}

/* Relative to the folder of the file. */
const char *option_path(struct config_reader *r, const struct option *o, struct span text,
                        void *into)
{
    struct buf path    = {0};
    struct span folder = span_of(r->config->file);
    while (folder.len > 0 && folder.at[folder.len - 1] != '/')
        folder.len--;
    (void)o;
    if (text.len > 0 && *text.at != '/')
        buf_put(&path, folder);
    buf_put(&path, text);
    *(const char **)into = path.len == 0 ? NULL : arena_text(&r->config->arena, buf_span(&path));
    buf_release(&path);
    return NULL;
}

static const char *within(const struct option *o, uint64_t value, const char *what)
{
    return value < o->min || (o->max > 0 && value > o->max) ? what : NULL;
}

const char *option_duration(struct config_reader *r, const struct option *o, struct span text,
                            void *into)
{
    uint64_t ms = 0;
    (void)r;
    if (!value_duration(text, &ms))
        return "a duration like 90s, 5m, 4h or 5d";
    *(uint64_t *)into = ms;
    return within(o, ms, "a longer or shorter duration: this one is out of range");
}

const char *option_size(struct config_reader *r, const struct option *o, struct span text,
                        void *into)
{
    uint64_t bytes = 0;
    (void)r;
    if (!value_size(text, &bytes))
        return "a size like 64k, 20M or 1G";
    *(uint64_t *)into = bytes;
    return within(o, bytes, "another size: this one is out of range");
}

const char *option_count(struct config_reader *r, const struct option *o, struct span text,
                         void *into)
{
    uint64_t number = 0;
    (void)r;
    if (!span_to_number(text, UINT_MAX, &number))
        return "a whole number";
    *(unsigned *)into = (unsigned)number;
    return within(o, number, "another number: this one is out of range");
}

const char *option_port(struct config_reader *r, const struct option *o, struct span text,
                        void *into)
{
    uint64_t number = 0;
    (void)r, (void)o;
    if (!span_to_number(text, UINT16_MAX, &number) || number == 0)
        return "a port, 1 to 65535";
    *(uint16_t *)into = (uint16_t)number;
    return NULL;
}

const char *option_bool(struct config_reader *r, const struct option *o, struct span text,
                        void *into)
{
    (void)r, (void)o;
    return value_bool(text, into) ? NULL : "true or false";
}

const char *option_rate(struct config_reader *r, const struct option *o, struct span text,
                        void *into)
{
    (void)r, (void)o;
    return value_rate(text, into) ? NULL : "a rate like 100/s, 500/m or 2000/h, or none";
}

const char *option_percent(struct config_reader *r, const struct option *o, struct span text,
                           void *into)
{
    (void)r;
    return value_percent(text, (unsigned)o->max, into) ? NULL
                                                       : "a percentage like 20%, within its range";
}

const char *option_tls(struct config_reader *r, const struct option *o, struct span text,
                       void *into)
{
    static const char *const words[] = {[POLICY_TLS_NONE]          = "none",
                                        [POLICY_TLS_OPPORTUNISTIC] = "opportunistic",
                                        [POLICY_TLS_REQUIRED]      = "required"};
    (void)r, (void)o;
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_is(text, words[i])) {
            *(enum policy_tls *)into = (enum policy_tls)i;
            return NULL;
        }
    }
    return "none, opportunistic or required";
}

const char *option_hostname(struct config_reader *r, const struct option *o, struct span text,
                            void *into)
{
    char name[DOMAIN_BYTES_MAX + 1];
    (void)o;
    if (!domain_canonical(text, name))
        return "a host name like mail.example.org";
    *(const char **)into = arena_text(&r->config->arena, span_of(name));
    return NULL;
}

/* --- reading --- */

static void set(struct config_reader *r, const struct option *o, const struct yaml_node *node,
                void *base)
{
    const char *wanted = o->set(r, o, span_of(node->text), (char *)base + o->offset);
    if (wanted != NULL)
        yaml_complain(r->file, node->line, node->column, "%s: '%s' should be %s", o->path,
                      node->text, wanted);
}

void option_read(struct config_reader *r, const struct option *o, const struct yaml_node *node,
                 void *base)
{
    if (o->is_list && node->kind == YAML_LIST) {
        (void)o->set(r, o, (struct span){NULL, 0},
                     (char *)base + o->offset); /* begins the list anew */
        for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
            if (item->kind == YAML_SCALAR)
                set(r, o, item, base);
            else
                yaml_complain(r->file, item->line, item->column,
                              "%s: an item must be a single value", o->path);
        }
    } else if (node->kind != YAML_SCALAR) {
        yaml_complain(r->file, node->key_line, node->key_column, "%s must be a %s", o->path,
                      o->is_list ? "list, like [a, b]" : "single value");
    } else {
        if (o->is_list)
            (void)o->set(r, o, (struct span){NULL, 0}, (char *)base + o->offset);
        set(r, o, node, base);
    }
}

void option_default(struct config_reader *r, const struct option *o, void *base)
{
    struct span rest = span_of(o->fallback), item;
    void *into       = (char *)base + o->offset;
    if (!o->is_list) {
        if (rest.len > 0 && o->set(r, o, rest, into) != NULL)
            must(!"a default is wrong");
        return;
    }
    (void)o->set(r, o, (struct span){NULL, 0}, into);
    while (span_cut(&rest, ' ', &item))
        if (o->set(r, o, item, into) != NULL)
            must(!"a default is wrong");
}

struct guess {
    const char *word;
    unsigned distance;
};

static void consider(struct guess *guess, const char *key, const char *candidate)
{
    unsigned distance = value_distance(span_of(key), span_of(candidate), 3);
    if (distance < guess->distance)
        *guess = (struct guess){candidate, distance};
}

/* Keys of issues to come: known, but not in this version. */
static bool is_of_later(const char *key)
{
    static const char *const later[] = {"metrics"};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (strcmp(key, later[i]) == 0)
            return true;
    return false;
}

void option_unknown(struct config_reader *r, const struct yaml_node *node, const char *prefix,
                    const struct option *options, const char *const *more)
{
    struct guess guess = {NULL, 4};
    size_t skip        = strlen(prefix);
    for (const struct option *o = options; o->path != NULL; o++) {
        char word[64];
        if (strncmp(o->path, prefix, skip) != 0)
            continue;
        (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(o->path + skip, "."),
                       o->path + skip);
        consider(&guess, node->key, arena_text(&r->config->arena, span_of(word)));
    }
    for (; more != NULL && *more != NULL; more++)
        consider(&guess, node->key, *more);
    if (*prefix == '\0' && is_of_later(node->key))
        yaml_complain(r->file, node->key_line, node->key_column, "'%s' is not in this version",
                      node->key);
    else if (guess.word != NULL)
        yaml_complain(r->file, node->key_line, node->key_column,
                      "unknown key '%s%s', did you mean '%s'?", prefix, node->key, guess.word);
    else
        yaml_complain(r->file, node->key_line, node->key_column, "unknown key '%s%s'", prefix,
                      node->key);
}
