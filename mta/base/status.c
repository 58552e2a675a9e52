/* SPDX-License-Identifier: MIT */
#include "mta/base/status.h"
#include "mta/base/fault.h"

#define STATUS_TEXT(id, text) [id] = text,
static const char *const texts[STATUS_COUNT] = {STATUSES(STATUS_TEXT)};
#undef STATUS_TEXT

const char *status_text(enum status status)
{
    must(status < STATUS_COUNT);
    return texts[status];
}
