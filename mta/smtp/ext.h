/* SPDX-License-Identifier: MIT */
/* Ext: the service extensions both sides know, as one list. */
#pragma once
#include "mta/base/span.h"

#define SMTP_EXTENSIONS(X)                                                                         \
    X(SIZE, "SIZE")                                                                                \
    X(8BITMIME, "8BITMIME")                                                                        \
    X(SMTPUTF8, "SMTPUTF8")                                                                        \
    X(PIPELINING, "PIPELINING")                                                                    \
    X(CHUNKING, "CHUNKING")                                                                        \
    X(ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES")                                                  \
    X(DSN, "DSN")                                                                                  \
    X(STARTTLS, "STARTTLS")                                                                        \
    X(AUTH, "AUTH")                                                                                \
    X(LIMITS, "LIMITS")                                                                            \
    X(XVERP, "XVERP")

#define SMTP_EXT_INDEX(id, text) SMTP_EXT_INDEX_##id,
enum smtp_ext_index { SMTP_EXTENSIONS(SMTP_EXT_INDEX) SMTP_EXT_COUNT };
#undef SMTP_EXT_INDEX
#define SMTP_EXT_BIT(id, text) SMTP_EXT_##id = 1 << SMTP_EXT_INDEX_##id,
enum smtp_ext { SMTP_EXTENSIONS(SMTP_EXT_BIT) };
#undef SMTP_EXT_BIT

/* The bit of an EHLO keyword, without case; 0 if we do not know it. */
unsigned smtp_ext_bit(struct span keyword);
const char *smtp_ext_keyword(enum smtp_ext_index index);
