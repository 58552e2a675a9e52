/* SPDX-License-Identifier: MIT */
/*
 * The scanners say how many bytes a part takes and never look back: first the local part by its
 * grammar, then the '@' that must follow it, then all the rest as a domain.  So no second '@', no
 * '%' and no '!' is ever given a meaning (security.md 1.2), and a '>' inside quotes ends nothing.
 */
#include "mta/mail/address.h"
#include "mta/mail/domain.h"
#include "mta/mail/escape.h"
#include <arpa/inet.h>
#include <string.h>

/* The bytes of the non-ASCII character at the start of 'text'; 0: none that may stand in a mailbox.
 */
static size_t scan_utf8(struct span text)
{
    uint32_t point = 0;
    size_t n       = utf8_decode(text, &point);
    return n > 1 && !utf8_is_control(point) ? n : 0;
}

static size_t scan_atext(struct span text)
{
    static const char specials[] = "!#$%&'*+-/=?^_`{|}~";
    if (text.len == 0)
        return 0;
    char c        = text.at[0];
    bool is_atext = ascii_is_alnum(c) || (c != '\0' && strchr(specials, c) != NULL);
    return is_atext ? 1 : scan_utf8(text);
}

static size_t scan_atom(struct span text)
{
    size_t len = 0, n;
    while ((n = scan_atext(span_skip(text, len))) > 0)
        len += n;
    return len;
}

/* Atom *("." Atom); 0: it is none. */
static size_t scan_dot_string(struct span text)
{
    size_t len = 0;
    for (;;) {
        size_t n = scan_atom(span_skip(text, len));
        if (n == 0)
            return 0;
        len += n;
        if (len == text.len || text.at[len] != '.')
            return len;
        len++;
    }
}

/* One QcontentSMTP: a character, or a quoted pair. */
static size_t scan_quoted(struct span text)
{
    if (text.len == 0)
        return 0;
    char c = text.at[0];
    if (c == '\\')
        return text.len > 1 && text.at[1] >= ' ' && text.at[1] < 0x7f ? 2 : 0;
    return c >= ' ' && c < 0x7f && c != '"' ? 1 : scan_utf8(text);
}

static size_t scan_quoted_string(struct span text)
{
    size_t len = 1, n;
    while ((n = scan_quoted(span_skip(text, len))) > 0)
        len += n;
    return len < text.len && text.at[len] == '"' ? len + 1 : 0;
}

static size_t scan_local(struct span text)
{
    return text.len > 0 && text.at[0] == '"' ? scan_quoted_string(text) : scan_dot_string(text);
}

bool address_literal_is_valid(struct span text)
{
    static const struct span tag = SPAN("IPv6:");
    char ip[INET6_ADDRSTRLEN];
    unsigned char binary[sizeof(struct in6_addr)];
    if (text.len < 2 || text.at[0] != '[' || text.at[text.len - 1] != ']')
        return false;
    struct span inside = span_make(text.at + 1, text.len - 2);
    bool is_ipv6       = span_starts_nocase(inside, tag);
    if (is_ipv6)
        inside = span_skip(inside, tag.len);
    if (inside.len >= sizeof ip || span_find(inside, '\0') < inside.len)
        return false;
    memcpy(ip, inside.at, inside.len);
    ip[inside.len] = '\0';
    return inet_pton(is_ipv6 ? AF_INET6 : AF_INET, ip, binary) == 1;
}

/* Appends the domain; says what is wrong with it. */
static const char *take_domain(struct span domain, bool utf8, struct address *address)
{
    char ascii[DOMAIN_BYTES_MAX + 1];
    if (domain.len == 0)
        return "no domain";
    address->is_literal = domain.at[0] == '[';
    if (address->is_literal && !address_literal_is_valid(domain))
        return "bad address literal";
    bool is_ascii = text_is_ascii(domain);
    if (!is_ascii && !utf8)
        return "non-ASCII domain without SMTPUTF8";
    bool ends_in_dot = domain.at[domain.len - 1] == '.';
    if (!address->is_literal && (ends_in_dot || !domain_canonical(domain, ascii)))
        return "bad domain";
    if (!is_ascii)
        domain = span_of(ascii);
    memcpy(address->text + address->len, domain.at, domain.len);
    address->len += domain.len;
    address->text[address->len] = '\0';
    return NULL;
}

const char *address_parse(struct span text, bool utf8, struct address *address)
{
    size_t local_len  = scan_local(text);
    struct span local = span_first(text, local_len);
    if (text.len == 0 || text.at[0] == '@')
        return "no local part";
    if (local_len == 0 || (local_len < text.len && text.at[local_len] != '@'))
        return "bad local part";
    if (local_len == text.len)
        return "no domain";
    if (local_len > ADDRESS_LOCAL_BYTES_MAX)
        return "local part too long";

    struct address parsed = {.len = local_len + 1, .local_len = local_len};
    parsed.is_utf8        = !text_is_ascii(local);
    if (parsed.is_utf8 && !utf8)
        return "non-ASCII local part without SMTPUTF8";
    memcpy(parsed.text, text.at, parsed.len);
    const char *problem = take_domain(span_skip(text, parsed.len), utf8, &parsed);
    if (problem == NULL)
        *address = parsed;
    return problem;
}

/*
 * "@one,@two:" (RFC 5321 4.1.2 A-d-l).  It is dropped, but not before it was found to be one.
 * Returns its length, 0 if there is none; text.len if it is bad.
 */
static size_t scan_route(struct span text)
{
    char ascii[DOMAIN_BYTES_MAX + 1];
    struct span hop, hops = span_first(text, span_find(text, ':'));
    size_t len = hops.len + 1;
    if (text.len == 0 || text.at[0] != '@')
        return 0;
    if (hops.len == text.len || hops.at[hops.len - 1] == ',')
        return text.len;
    while (span_cut(&hops, ',', &hop))
        if (hop.len < 2 || hop.at[0] != '@' || !domain_canonical(span_skip(hop, 1), ascii))
            return text.len;
    return len;
}

static bool take_null(unsigned allowed, struct address *address)
{
    *address = (struct address){0};
    return (allowed & ADDRESS_NULL_ALLOWED) != 0;
}

static bool take_postmaster(struct span text, unsigned allowed, struct address *address)
{
    static const struct span name = SPAN("postmaster");
    if (!(allowed & ADDRESS_POSTMASTER_ALLOWED) || !span_equals_nocase(text, name))
        return false;
    *address = (struct address){.len = name.len, .local_len = name.len};
    memcpy(address->text, name.at, name.len);
    return true;
}

const char *address_parse_path(struct span text, unsigned allowed, struct address *address,
                               size_t *used)
{
    if (text.len == 0 || text.at[0] != '<')
        return "no '<'";
    struct span rest = span_skip(text, 1);
    size_t route     = scan_route(rest);
    rest             = span_skip(rest, route);
    size_t local     = scan_local(rest);
    size_t len       = local + span_find(span_skip(rest, local), '>');
    if (route > 0 && rest.len == 0)
        return "bad source route";
    if (len == rest.len)
        return "no '>'";

    struct span mailbox = span_first(rest, len);
    *used               = 1 + route + len + 1;
    if (mailbox.len == 0 && route == 0)
        return take_null(allowed, address) ? NULL : "empty address";
    if (route == 0 && take_postmaster(mailbox, allowed, address))
        return NULL;
    return address_parse(mailbox, (allowed & ADDRESS_UTF8_ALLOWED) != 0, address);
}

/* Of a checked text: a domain holds no '@', so the last one is the one. */
static size_t at_sign(struct span text)
{
    size_t i = text.len;
    while (i > 0 && text.at[i - 1] != '@')
        i--;
    return i == 0 ? text.len : i - 1;
}

struct span address_domain(struct span text)
{
    return span_skip(text, at_sign(text) + 1);
}

struct span address_local(struct span text)
{
    return span_first(text, at_sign(text));
}

bool address_equals(struct span a, struct span b)
{
    return span_equals(address_local(a), address_local(b)) &&
           span_equals_nocase(address_domain(a), address_domain(b));
}
