/* SPDX-License-Identifier: MIT */
/*
 * Yaml: a configuration file as a plain tree that knows where everything stands, and the complaints
 * about it.  libfyaml lives in yaml.c alone. Scalars are texts; what they mean is the option
 * table's business.  Anchors, aliases and tags are refused.
 */
#pragma once
#include "mta/base/arena.h"
#include "mta/base/buf.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    const char *key;               /* in a map; NULL elsewhere */
    unsigned key_line, key_column; /* from 1 */
    const char *text;              /* of a scalar */
    unsigned line, column;
    struct yaml_node *first, *next; /* children; the next of the same parent */
};

/* The file and what is wrong with it. */
struct yaml_file {
    const char *name;
    struct arena *arena; /* nodes and texts */
    struct buf source;
    struct buf *complaints;
    unsigned errors;
};

/* The root, a map; NULL with complaints when it cannot be read or is no YAML.  An empty file is an
 * empty map. */
struct yaml_node *yaml_read(struct yaml_file *file);
void yaml_file_release(struct yaml_file *file);

/* "name:line:column: sentence", the line, a caret below the place. */
void yaml_complain(struct yaml_file *file, unsigned line, unsigned column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
