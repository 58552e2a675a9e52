/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes address, addresses, domain and xtext.  Oracle: what is taken is safe to stand in a command
 * line, is taken again as itself, and falls into its parts.
 */
#include "mta/base/fault.h"
#include "mta/mail/address.h"
#include "mta/mail/addresses.h"
#include "mta/mail/domain.h"
#include "mta/mail/escape.h"
#include "mta/mail/xtext.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mailbox(const struct address *a, bool utf8)
{
    struct address again;
    char domain[DOMAIN_BYTES_MAX + 1];
    struct span text = {a->text, a->len};
    must(a->len <= ADDRESS_BYTES_MAX && strlen(a->text) == a->len);
    must(utf8_is_printable(text) && (utf8 || text_is_ascii(text)));
    must(a->text[a->local_len] == '@' && address_domain(text).len == a->len - a->local_len - 1);
    must(text_is_ascii(address_domain(text)));
    must(a->is_utf8 == !text_is_ascii(address_local(text)));
    must(a->is_literal || domain_canonical(address_domain(text), domain));
    must(address_parse(text, utf8, &again) == NULL && address_equals(text, span_of(again.text)));
}

static void check_parse(struct span text, bool utf8)
{
    struct address a;
    if (address_parse(text, utf8, &a) == NULL)
        check_mailbox(&a, utf8);
}

static void check_list(struct span list)
{
    struct mailbox_entry entry;
    for (size_t left = list.len; addresses_next(&list, &entry); left = list.len) {
        must(list.len < left || left == 0);
        must((entry.error == NULL) == (entry.address.len > 0));
        if (entry.error == NULL)
            check_mailbox(&entry.address, true);
    }
}

static void check_path(struct span text, unsigned allowed)
{
    struct address a;
    size_t used = 0;
    if (address_parse_path(text, allowed, &a, &used) != NULL)
        return;
    must(used >= 2 && used <= text.len && text.at[used - 1] == '>');
    if (a.len == 0)
        must(allowed & ADDRESS_NULL_ALLOWED);
    else if (a.local_len == a.len)
        must((allowed & ADDRESS_POSTMASTER_ALLOWED) && strcmp(a.text, "postmaster") == 0);
    else
        check_mailbox(&a, (allowed & ADDRESS_UTF8_ALLOWED) != 0);
}

static void check_domain(struct span text)
{
    char once[DOMAIN_BYTES_MAX + 1], twice[DOMAIN_BYTES_MAX + 1], shown[64];
    domain_display(text, shown, sizeof shown);
    must(strlen(shown) < sizeof shown && utf8_is_printable(span_of(shown)));
    if (!domain_canonical(text, once))
        return;
    must(text_is_ascii(span_of(once)));
    must(domain_canonical(span_of(once), twice) && strcmp(once, twice) == 0);
    must(domain_matches(span_of(once), span_of(twice)) && domain_matches(span_of("*"), text));
}

static void check_xtext(struct span text)
{
    struct buf plain = {0}, encoded = {0}, again = {0};
    if (xtext_decode(text, &plain)) {
        xtext_encode(buf_span(&plain), &encoded);
        must(xtext_decode(buf_span(&encoded), &again));
        must(span_equals(buf_span(&plain), buf_span(&again)));
    }
    buf_clear(&plain);
    buf_clear(&encoded);
    buf_clear(&again);
    if (xtext_decode_utf8(text, &plain) && span_find(buf_span(&plain), '\t') == plain.len) {
        xtext_encode_utf8(buf_span(&plain), &encoded);
        must(text_is_ascii(buf_span(&encoded)) && xtext_decode_utf8(buf_span(&encoded), &again));
        must(span_equals(buf_span(&plain), buf_span(&again)));
    }
    buf_release(&plain);
    buf_release(&encoded);
    buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    for (unsigned allowed = 0; allowed < 8; allowed++)
        check_path(text, allowed);
    check_parse(text, false);
    check_parse(text, true);
    check_list(text);
    check_domain(text);
    check_xtext(text);
    return 0;
}
