/* SPDX-License-Identifier: MIT */
/*
 * Option: the one table of configuration keys: it drives parsing, defaults, 'mailrace config', the
 * manual page and the JSON schema. Scalars and lists of scalars are rows; 'listen', 'sites',
 * 'routes' and 'dkim' are lists of structures, with tables of their own in config_parts.c and
 * config_dkim.c.
 */
#pragma once
#include "mta/control/config.h"
#include "mta/control/yaml.h"

struct config_reader {
    struct yaml_file *file;
    struct config *config;
    bool holds_password; /* the file itself, not one that it names */
};

struct option;
/* Sets the value of a scalar; NULL when good, else what it should be. */
typedef const char *option_set_fn(struct config_reader *reader, const struct option *option,
                                  struct span text, void *into);

struct option {
    const char *path; /* "limits.message_size" */
    option_set_fn *set;
    size_t offset;        /* of the value in struct config, or of the structure at hand */
    const char *fallback; /* the default, as it would be written; "" none; items of lists stand
                             between blanks */
    bool is_list;
    bool needs_restart;
    uint64_t min, max; /* of numbers, in the value's own unit */
    const char *help;
};

/* All keys that are not inside listen, sites or routes; ends with a NULL path. */
extern const struct option config_options[];

/* The kinds of values. */
option_set_fn option_text, option_path, option_duration, option_size, option_count, option_port,
    option_bool, option_rate, option_percent, option_tls, option_hostname;

/* Sets one option from its node, or complains. */
void option_read(struct config_reader *reader, const struct option *option,
                 const struct yaml_node *node, void *base);
/* Sets the default. */
void option_default(struct config_reader *reader, const struct option *option, void *base);
/* 'key' is none of them: says so, and what may have been meant. */
void option_unknown(struct config_reader *reader, const struct yaml_node *node, const char *prefix,
                    const struct option *options, const char *const *more);

/* config_parts.c: the lists of structures. */
void config_read_listen(struct config_reader *reader, const struct yaml_node *node);
void config_read_sites(struct config_reader *reader, const struct yaml_node *node);
void config_read_routes(struct config_reader *reader, const struct yaml_node *node);
void config_read_dkim(struct config_reader *reader,
                      const struct yaml_node *node); /* config_dkim.c */
/* Reads every key of a map by the table; what is unknown is said. */
void config_read_by_table(struct config_reader *reader, const struct yaml_node *map,
                          const char *prefix, const struct option *options, void *base);
/* false: it is not of this kind, and 'what' was said about it. */
bool config_is_kind(struct config_reader *reader, const struct yaml_node *node, enum yaml_kind kind,
                    const char *what);
extern const struct option site_options[], route_options[], listen_options[], dkim_options[];
