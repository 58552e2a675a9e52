/* SPDX-License-Identifier: MIT */
#include "lists/person.h"
#include "mta/mail/domain.h"
#include "mta/mail/escape.h"
#include <stdio.h>

/* NULL when the parsed address may be on a list, and into is filled. */
static const char *canonicalise(const struct address *a, char into[PERSON_ADDRESS_BYTES_MAX + 1])
{
    char domain[DOMAIN_BYTES_MAX + 1];
    if (a->is_literal)
        return "an address literal instead of a domain";
    if (a->local_len > PERSON_LOCAL_BYTES_MAX)
        return "local part too long (64 bytes at most)";
    if (!domain_canonical(address_domain(span_make(a->text, a->len)), domain))
        return "bad domain";
    if (span_find(span_of(domain), '.') == strlen(domain))
        return "a domain without a dot";
    size_t len = a->local_len + 1 + strlen(domain);
    if (len > PERSON_ADDRESS_BYTES_MAX || a->len > PERSON_ADDRESS_BYTES_MAX)
        return "address too long (254 bytes at most)";
    for (size_t i = 0; i < a->local_len; i++)
        into[i] = ascii_lower(a->text[i]);
    (void)snprintf(into + a->local_len, PERSON_ADDRESS_BYTES_MAX + 1 - a->local_len, "@%s", domain);
    return NULL;
}

bool person_canonical(struct span address, char into[PERSON_ADDRESS_BYTES_MAX + 1])
{
    struct address a;
    return address_parse(address, true, &a) == NULL && canonicalise(&a, into) == NULL;
}

bool person_set_name(struct person *person, struct span name)
{
    name            = span_trim(name);
    person->name[0] = '\0';
    if (name.len > PERSON_NAME_BYTES_MAX || !utf8_is_printable(name))
        return false;
    span_copy_text(name, person->name, sizeof person->name);
    return true;
}

/* "\"Lee, Ann\"": without the quotes and the backslashes that quote (RFC 5322 3.2.4). */
static bool set_phrase(struct person *person, struct span phrase)
{
    char plain[PERSON_NAME_BYTES_MAX + 1];
    size_t len = 0;
    phrase     = span_trim(phrase);
    if (phrase.len < 2 || phrase.at[0] != '"' || phrase.at[phrase.len - 1] != '"')
        return person_set_name(person, phrase);
    for (size_t i = 1; i + 1 < phrase.len; i++) {
        if (phrase.at[i] == '\\' && i + 2 < phrase.len)
            i++;
        if (len == sizeof plain)
            return false;
        plain[len++] = phrase.at[i];
    }
    return person_set_name(person, span_make(plain, len));
}

/* What stands in the last <>, with the words before it as the name. */
static struct span take_brackets(struct span text, struct person *person)
{
    size_t start = text.len;
    if (text.len == 0 || text.at[text.len - 1] != '>')
        return text;
    while (start > 0 && text.at[start - 1] != '<')
        start--;
    if (start == 0)
        return text;
    (void)set_phrase(person, span_first(text, start - 1));
    person->is_changed = true;
    return span_trim(span_make(text.at + start, text.len - 1 - start));
}

const char *person_parse(struct span text, struct person *person)
{
    static const struct span scheme = SPAN("mailto:");
    struct address a;
    *person            = (struct person){.name = ""};
    struct span inside = take_brackets(span_trim(text), person);
    if (span_starts_nocase(inside, scheme)) {
        inside             = span_skip(inside, scheme.len);
        person->is_changed = true;
    }
    const char *problem = address_parse(inside, true, &a);
    if (problem == NULL)
        problem = canonicalise(&a, person->canonical);
    if (problem != NULL)
        return problem;
    span_copy_text(span_make(a.text, a.len), person->shown, sizeof person->shown);
    if (!span_is(inside, person->shown))
        person->is_changed = true;
    return NULL;
}
