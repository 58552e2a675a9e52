/* SPDX-License-Identifier: MIT */
/*
 * Attributes: what is known about a member beside name and address, for {{placeholders}}: a flat
 * JSON object of texts, like {"city":"Bern","since":"2019"}.  SQLite merges two of them
 * (json_patch), so what is read here may also have come from there.
 */
#pragma once
#include "mta/base/buf.h"

enum {
    ATTRIBUTES_MAX           = 64,
    ATTRIBUTE_NAME_BYTES_MAX = 32,
    ATTRIBUTE_BYTES_MAX      = 500,  /* of one value */
    ATTRIBUTES_BYTES_MAX     = 8192, /* of all, as JSON */
};

/* What a column or key is called: lower case, [a-z0-9_], a letter first; false when it cannot be,
 * or when it means something else in a post (address, name, unsubscribe_url...). */
bool attribute_name(struct span text, char into[ATTRIBUTE_NAME_BYTES_MAX + 1]);
/* Adds a member to an object that begins as an empty buf; false, and nothing was: a control, no
 * UTF-8, or too long. */
bool attribute_put(struct buf *json, const char *name, struct span value);
/* Ends the object; an empty buf stays empty. */
void attribute_end(struct buf *json);

/* Takes the first member out of an object, or of what is left of one; the value is appended to
 * 'value', the name holds as long as the JSON.  false at its end, or at what is no such object. */
bool attribute_next(struct span *json, struct span *name, struct buf *value);
