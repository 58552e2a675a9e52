/* SPDX-License-Identifier: MIT */
#include "mta/mail/sender.h"
#include "mta/mail/address.h"
#include "mta/mail/merge.h"
#include "mta/mail/token.h"
#include "mta/mail/verp.h"

static bool has_holes(const struct envelope *e)
{
    static const struct span hole = SPAN("{{");
    struct span sender            = span_of(e->sender);
    return e->merge != MERGE_NONE && span_find_text(sender, hole) < sender.len;
}

static void put_filled(const struct envelope *e, const struct envelope_rcpt *rcpt,
                       struct tokens *tokens, struct buf *into)
{
    char token[TOKEN_CHARS + 1];
    struct merge_values values = {.address = span_of(rcpt->address), .data = span_of(rcpt->data)};
    const struct token_subject subject = {e->list_id, merge_member(&values)};
    struct merge_extra bounce          = {
                 "bounce_token", {token, TOKEN_CHARS}
    };
    if (tokens != NULL && e->list_id != 0) {
        token_make(tokens, TOKEN_BOUNCE, &subject, token);
        values.extras      = &bounce;
        values.extra_count = 1;
    }
    merge_text(span_of(e->sender), &values, into);
}

/* Names may stand in it that make it no address. */
static bool fill(const struct envelope *e, const struct envelope_rcpt *rcpt, struct tokens *tokens,
                 struct buf *into)
{
    struct buf text = {0};
    struct address address;
    put_filled(e, rcpt, tokens, &text);
    bool is_good = address_parse(buf_span(&text), e->needs_utf8, &address) == NULL &&
                   address.local_len <= VERP_LOCAL_BYTES_MAX;
    if (is_good)
        buf_put_text(into, address.text);
    buf_release(&text);
    return is_good;
}

enum sender_form sender_write(const struct envelope *e, const struct envelope_rcpt *rcpt,
                              struct tokens *tokens, struct buf *into)
{
    if (has_holes(e))
        return fill(e, rcpt, tokens, into) ? SENDER_MADE : SENDER_KEPT;
    if (e->verp[0] != '\0' && e->sender[0] != '\0' &&
        verp_write(span_of(e->sender), e->verp, span_of(rcpt->address), into))
        return SENDER_MADE;
    buf_put_text(into, e->sender);
    return e->verp[0] == '\0' || e->sender[0] == '\0' ? SENDER_PLAIN : SENDER_KEPT;
}
