/* SPDX-License-Identifier: MIT */
/* Columns: what the columns of a file of members mean, by the names in its first record. */
#pragma once
#include "lists/attributes.h"
#include "lists/csv.h"

enum column_role {
    COLUMN_UNUSED,
    COLUMN_ADDRESS,
    COLUMN_NAME,
    COLUMN_STATE,
    COLUMN_CAUSE,
    COLUMN_ATTRIBUTE,
};

struct column {
    enum column_role role;
    char name[ATTRIBUTE_NAME_BYTES_MAX + 1]; /* of an attribute */
    const char *problem;                     /* of an unused one: why; NULL: it says nothing new */
};

struct columns {
    struct column all[CSV_FIELDS_MAX];
    size_t count;
    bool has_name, has_attributes;
};

/* false: no column is called address, email or alike, so it is no header. */
bool columns_read(struct columns *columns, const struct csv_record *header);
