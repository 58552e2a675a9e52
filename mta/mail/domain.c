/* SPDX-License-Identifier: MIT */
/*
 * A name in ASCII is only checked and lowered: libidn2 would refuse names that DNS has (r3---sn.x,
 * _dmarc.x).  Whatever libidn2 makes of a name in Unicode passes the same check, so nothing that
 * compatibility mapping hides in it (a dot, an '@', a slash) gets through.
 */
#include "mta/mail/domain.h"
#include "mta/mail/escape.h"
#include <idn2.h>
#include <string.h>

enum {
    NAME_BYTES_MAX  = 253, /* RFC 1035 3.1: 255 on the wire, with lengths and root */
    INPUT_BYTES_MAX = 4 * DOMAIN_BYTES_MAX, /* four bytes for a character at most */
};

static bool is_name_char(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '_';
}

static bool is_label(struct span label)
{
    if (label.len == 0 || label.len > DOMAIN_LABEL_BYTES_MAX)
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_name_char(label.at[i]))
            return false;
    return label.at[0] != '-' && label.at[label.len - 1] != '-';
}

/* A name whose last label is a number could be taken for an IPv4 address by who looks it up. */
static bool is_number(struct span label)
{
    size_t digits = 0;
    while (digits < label.len && ascii_is_digit(label.at[digits]))
        digits++;
    return digits == label.len;
}

static bool is_ascii_name(struct span name)
{
    struct span label = {0};
    if (name.len == 0 || name.len > NAME_BYTES_MAX || name.at[name.len - 1] == '.')
        return false;
    while (span_cut(&name, '.', &label))
        if (!is_label(label))
            return false;
    return !is_number(label);
}

static bool put_lower(struct span name, char into[DOMAIN_BYTES_MAX + 1])
{
    if (!is_ascii_name(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        into[i] = ascii_lower(name.at[i]);
    into[name.len] = '\0';
    return true;
}

static bool put_a_labels(struct span name, char into[DOMAIN_BYTES_MAX + 1])
{
    char text[INPUT_BYTES_MAX + 1];
    if (name.len > INPUT_BYTES_MAX || !utf8_is_printable(name))
        return false;
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';

    uint8_t *ascii = NULL;
    int flags      = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
    if (idn2_lookup_u8((const uint8_t *)text, &ascii, flags) != IDN2_OK)
        return false;
    bool is_good = put_lower(span_of((const char *)ascii), into);
    idn2_free(ascii);
    return is_good;
}

bool domain_canonical(struct span name, char into[DOMAIN_BYTES_MAX + 1])
{
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    return text_is_ascii(name) ? put_lower(name, into) : put_a_labels(name, into);
}

static void put_text(struct span text, char *into, size_t cap)
{
    struct buf clean = {0};
    escape_text(text, cap - 1, &clean);
    memcpy(into, buf_text(&clean), clean.len + 1);
    buf_release(&clean);
}

void domain_display(struct span name, char *into, size_t cap)
{
    char ascii[DOMAIN_BYTES_MAX + 1], again[DOMAIN_BYTES_MAX + 1];
    char *unicode = NULL;
    if (cap == 0)
        return;
    bool is_shown = domain_canonical(name, ascii) &&
                    idn2_to_unicode_8z8z(ascii, &unicode, IDN2_NONTRANSITIONAL) == IDN2_OK &&
                    strlen(unicode) < cap && domain_canonical(span_of(unicode), again) &&
                    strcmp(ascii, again) == 0;
    put_text(is_shown ? span_of(unicode) : name, into, cap);
    idn2_free(unicode);
}

bool domain_matches(struct span pattern, struct span name)
{
    if (span_is(pattern, "*"))
        return true;
    if (!span_starts(pattern, span_of("*.")))
        return span_equals_nocase(pattern, name);
    struct span suffix = span_skip(pattern, 1); /* with its dot */
    return name.len > suffix.len && span_ends_nocase(name, suffix);
}
