/* SPDX-License-Identifier: MIT */
#include "lists/columns.h"

/* How other programs call them; compared in lower case, with '_' for blanks, '-' and '.'. */
static const struct {
    const char *name;
    enum column_role role;
} known[] = {
    {"address",        COLUMN_ADDRESS},
    {"email",          COLUMN_ADDRESS},
    {"e_mail",         COLUMN_ADDRESS},
    {"mail",           COLUMN_ADDRESS},
    {"email_address",  COLUMN_ADDRESS},
    {"emailaddress",   COLUMN_ADDRESS},
    {"e_mail_address", COLUMN_ADDRESS},
    {"mail_address",   COLUMN_ADDRESS},
    {"name",           COLUMN_NAME   },
    {"full_name",      COLUMN_NAME   },
    {"fullname",       COLUMN_NAME   },
    {"display_name",   COLUMN_NAME   },
    {"displayname",    COLUMN_NAME   },
    {"real_name",      COLUMN_NAME   },
    {"state",          COLUMN_STATE  },
    {"status",         COLUMN_STATE  },
    {"cause",          COLUMN_CAUSE  },
    {"id",             COLUMN_UNUSED },
    {"since",          COLUMN_UNUSED },
};

static bool has_role(const struct columns *columns, enum column_role role)
{
    for (size_t i = 0; i < columns->count; i++)
        if (columns->all[i].role == role)
            return true;
    return false;
}

static bool has_attribute(const struct columns *columns, const char *name)
{
    for (size_t i = 0; i < columns->count; i++)
        if (columns->all[i].role == COLUMN_ATTRIBUTE && strcmp(columns->all[i].name, name) == 0)
            return true;
    return false;
}

static void fold(struct span field, char into[ATTRIBUTE_NAME_BYTES_MAX + 1])
{
    field = span_trim(field);
    span_copy_text(field, into, ATTRIBUTE_NAME_BYTES_MAX + 1);
    for (char *c = into; *c != '\0'; c++)
        *c = *c == ' ' || *c == '-' || *c == '.' ? '_' : ascii_lower(*c);
}

static bool find_known(struct span field, enum column_role *role)
{
    char folded[ATTRIBUTE_NAME_BYTES_MAX + 1];
    fold(field, folded);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, folded) != 0)
            continue;
        *role = known[i].role;
        return true;
    }
    return false;
}

static struct column unused(const char *problem)
{
    return (struct column){.role = COLUMN_UNUSED, .problem = problem};
}

static struct column column_of(const struct columns *columns, struct span field)
{
    struct column column = {.role = COLUMN_ATTRIBUTE};
    if (find_known(field, &column.role)) {
        if (column.role != COLUMN_UNUSED && has_role(columns, column.role))
            return unused("another column says the same");
        return column;
    }
    if (!attribute_name(field, column.name))
        return unused("its name is no attribute: letters, digits and '_', a letter first, at most "
                      "32, and none that posts use themselves");
    if (has_attribute(columns, column.name))
        return unused("another column has the same name");
    return column;
}

bool columns_read(struct columns *columns, const struct csv_record *header)
{
    columns->count = 0;
    for (size_t i = 0; i < header->count; i++) {
        struct column column = column_of(columns, header->fields[i]);
        if (column.role == COLUMN_ATTRIBUTE && columns->count >= ATTRIBUTES_MAX)
            column = unused("there are too many columns");
        columns->all[columns->count++] = column;
    }
    columns->has_name       = has_role(columns, COLUMN_NAME);
    columns->has_attributes = has_role(columns, COLUMN_ATTRIBUTE);
    return has_role(columns, COLUMN_ADDRESS);
}
