/* SPDX-License-Identifier: MIT */
#include "mta/mail/verp.h"
#include "mta/mail/address.h"

bool verp_is_valid(struct span delimiters)
{
    static const struct span allowed = SPAN("-+=");
    for (size_t i = 0; i < delimiters.len; i++)
        if (span_find(allowed, delimiters.at[i]) == allowed.len)
            return false;
    return delimiters.len == ENVELOPE_VERP_BYTES;
}

static bool is_quoted(struct span local)
{
    return local.len > 0 && local.at[0] == '"';
}

static bool fits(struct span sender, struct span rcpt, const char *delimiters)
{
    struct span local = address_local(rcpt), domain = address_domain(rcpt);
    struct span own = address_local(sender);
    return own.len > 0 && local.len > 0 && domain.len > 0 && domain.at[0] != '[' &&
           !is_quoted(own) && !is_quoted(local) && span_find(local, delimiters[1]) == local.len &&
           own.len + local.len + domain.len + ENVELOPE_VERP_BYTES <= VERP_LOCAL_BYTES_MAX;
}

bool verp_write(struct span sender, const char *delimiters, struct span rcpt, struct buf *into)
{
    if (!fits(sender, rcpt, delimiters))
        return false;
    buf_put(into, address_local(sender));
    buf_put_byte(into, delimiters[0]);
    buf_put(into, address_local(rcpt));
    buf_put_byte(into, delimiters[1]);
    buf_put(into, address_domain(rcpt));
    buf_put_byte(into, '@');
    buf_put(into, address_domain(sender));
    return true;
}
