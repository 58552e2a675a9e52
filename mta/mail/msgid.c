/* SPDX-License-Identifier: MIT */
/*
 * Thirteen digits of five bits hold 65 bits, so the first one is below 16; a text with a greater
 * one is no id.  Text and number sort alike.
 */
#include "mta/mail/msgid.h"
#include "mta/base/fault.h"

enum { DIGITS = MSGID_TEXT_BYTES - 1, DIGIT_BITS = 5, SAME_MS_BITS = 20, WALL_MS_BITS = 44 };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const char *msgid_text(uint64_t id, char into[MSGID_TEXT_BYTES])
{
    for (int i = DIGITS - 1; i >= 0; i--) {
        into[i] = alphabet[id & 31];
        id >>= DIGIT_BITS;
    }
    into[DIGITS] = '\0';
    return into;
}

/* 32: no digit. */
static unsigned digit_of(char c)
{
    c = ascii_upper(c);
    if (c == 'O')
        c = '0';
    if (c == 'I' || c == 'L')
        c = '1';
    return (unsigned)span_find(span_of(alphabet), c);
}

bool msgid_parse(struct span text, uint64_t *id)
{
    uint64_t value = 0;
    if (text.len != DIGITS || digit_of(text.at[0]) >= 16)
        return false;
    for (size_t i = 0; i < DIGITS; i++) {
        unsigned digit = digit_of(text.at[i]);
        if (digit >= 32)
            return false;
        value = value << DIGIT_BITS | digit;
    }
    *id = value;
    return true;
}

uint64_t msgid_next(uint64_t last, uint64_t wall_ms)
{
    uint64_t wall_max = ((uint64_t)1 << WALL_MS_BITS) - 1;
    uint64_t id       = (wall_ms < wall_max ? wall_ms : wall_max) << SAME_MS_BITS;
    must(last < UINT64_MAX);
    return id > last ? id : last + 1;
}
