/* SPDX-License-Identifier: MIT */
#include "mta/smtp/ext.h"
#include "mta/base/fault.h"

#define SMTP_EXT_KEYWORD(id, text) [SMTP_EXT_INDEX_##id] = (text),
static const char *const keywords[SMTP_EXT_COUNT] = {SMTP_EXTENSIONS(SMTP_EXT_KEYWORD)};
#undef SMTP_EXT_KEYWORD

unsigned smtp_ext_bit(struct span keyword)
{
    for (unsigned i = 0; i < SMTP_EXT_COUNT; i++)
        if (span_is_nocase(keyword, keywords[i]))
            return 1U << i;
    return 0;
}

const char *smtp_ext_keyword(enum smtp_ext_index index)
{
    must(index < SMTP_EXT_COUNT);
    return keywords[index];
}
