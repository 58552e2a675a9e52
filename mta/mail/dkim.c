/* SPDX-License-Identifier: MIT */
#include "mta/mail/dkim.h"
#include "mta/mail/addresses.h"
#include "mta/mail/header.h"
#include <openssl/evp.h>

enum {
    SIGNED_FIELDS_MAX = 128, /* instances; a header with more is signed from below, up to these */
    LINE_BYTES        = 72,
};

/* RFC 6376 5.4.1, and what the large receivers ask for (providers.md 2, 36 and 37).  'over': named
 * once more than it occurs. */
static const struct signed_name {
    const char *name;
    bool over;
} signed_names[] = {
    {"from",                      true },
    {"to",                        true },
    {"cc",                        true },
    {"subject",                   true },
    {"date",                      true },
    {"message-id",                true },
    {"reply-to",                  true },
    {"sender",                    true },
    {"in-reply-to",               true },
    {"references",                true },
    {"mime-version",              true },
    {"content-type",              true },
    {"content-transfer-encoding", true },
    {"list-id",                   true },
    {"list-unsubscribe",          true },
    {"list-unsubscribe-post",     true },
    {"list-post",                 false},
    {"list-help",                 false},
    {"list-owner",                false},
    {"list-subscribe",            false},
    {"list-archive",              false},
    {"feedback-id",               true },
    {"auto-submitted",            false},
    {"precedence",                false},
    {"content-id",                false},
    {"content-description",       false},
    {"resent-date",               false},
    {"resent-from",               false},
    {"resent-to",                 false},
    {"resent-message-id",         false},
};
enum { SIGNED_NAMES = sizeof signed_names / sizeof signed_names[0] };

struct selection {
    struct {
        struct header_field field;
        unsigned char name;
    } found[SIGNED_FIELDS_MAX];
    size_t count;
};

static int name_index(struct span name)
{
    for (int i = 0; i < SIGNED_NAMES; i++)
        if (span_is_nocase(name, signed_names[i].name))
            return i;
    return -1;
}

/* The last ones, in the order of the header: verifiers count from below (RFC 6376 5.4.2). */
static void select_fields(struct selection *selection, struct span header)
{
    struct header_field field;
    while (header_next(&header, &field)) {
        int name = name_index(span_trim(field.name));
        if (name < 0)
            continue;
        size_t at                  = selection->count++ % SIGNED_FIELDS_MAX;
        selection->found[at].field = field;
        selection->found[at].name  = (unsigned char)name;
    }
}

/* --- the text of the field --- */

/* Appends a part of a tag's value, on a new line if this one is full; 'line' is where it begins. */
static void put_folded(struct buf *into, size_t *line, struct span part)
{
    if (into->len - *line + part.len > LINE_BYTES) {
        buf_put_text(into, "\r\n\t");
        *line = into->len - 1;
    }
    buf_put(into, part);
}

struct name_list {
    struct buf *into;
    size_t line;
    bool has_some;
};

static void put_name(struct name_list *list, const char *name)
{
    if (list->has_some)
        buf_put_byte(list->into, ':');
    list->has_some = true;
    put_folded(list->into, &list->line, span_of(name));
}

/* One name: its instances from below, into h= and into the signed text. */
static void sign_name(const struct selection *selection, int name, struct name_list *list,
                      struct buf *text)
{
    size_t count  = selection->count;
    size_t oldest = count > SIGNED_FIELDS_MAX ? count - SIGNED_FIELDS_MAX : 0;
    for (size_t i = count; i > oldest; i--) {
        size_t at = (i - 1) % SIGNED_FIELDS_MAX;
        if (selection->found[at].name != name)
            continue;
        const struct header_field *field = &selection->found[at].field;
        put_name(list, signed_names[name].name);
        dkim_canonical_field(field->name, field->value, text);
        buf_put_text(text, "\r\n");
    }
    if (signed_names[name].over)
        put_name(list, signed_names[name].name);
}

static void put_base64(struct buf *into, size_t *line, const unsigned char *bytes, size_t len)
{
    char text[(DKIM_SIGNATURE_BYTES_MAX + 2) / 3 * 4 + 1];
    int text_len     = EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);
    struct span rest = span_make(text, (size_t)text_len);
    while (rest.len > 0) {
        size_t room      = LINE_BYTES > into->len - *line ? LINE_BYTES - (into->len - *line) : 0;
        struct span part = span_first(rest, room > 0 ? room : LINE_BYTES - 1);
        put_folded(into, line, part);
        rest = span_skip(rest, part.len);
    }
}

static void put_tags(const struct dkim_identity *identity, uint64_t wall_ms, struct buf *into)
{
    static const char *const algorithms[DKIM_ALGORITHMS] = {"rsa-sha256", "ed25519-sha256"};
    buf_put_text(into, "DKIM-Signature: v=1; a=");
    buf_put_text(into, algorithms[dkim_key_algorithm(identity->key)]);
    buf_put_text(into, "; c=relaxed/relaxed; d=");
    buf_put_text(into, identity->domain);
    buf_put_text(into, ";\r\n\ts=");
    buf_put_text(into, identity->selector);
    buf_put_text(into, "; t=");
    buf_put_number(into, wall_ms / 1000);
    buf_put_text(into, ";\r\n\t");
}

/* The field itself is the last thing signed, with an empty b= and without a line end. */
static void add_itself(struct span field, struct buf *text)
{
    size_t colon = span_find(field, ':');
    dkim_canonical_field(span_first(field, colon), span_skip(field, colon + 1), text);
}

void dkim_sign(const struct dkim_identity *identity, struct span header,
               const unsigned char body_hash[DIGEST_BYTES], uint64_t wall_ms, struct digest *digest,
               struct buf *scratch, struct buf *into)
{
    struct selection selection;
    unsigned char hash[DIGEST_BYTES], signature[DKIM_SIGNATURE_BYTES_MAX];
    size_t start    = into->len;
    selection.count = 0;
    buf_clear(scratch);
    select_fields(&selection, header);
    put_tags(identity, wall_ms, into);
    struct name_list list = {.into = into, .line = into->len - 1};
    buf_put_text(into, "h=");
    for (int name = 0; name < SIGNED_NAMES; name++)
        sign_name(&selection, name, &list, scratch);
    buf_put_text(into, ";\r\n\tbh=");
    size_t line = into->len - 4;
    put_base64(into, &line, body_hash, DIGEST_BYTES);
    buf_put_text(into, ";\r\n\tb=");
    line = into->len - 3;
    add_itself(span_skip(buf_span(into), start), scratch);
    digest_begin(digest);
    digest_add(digest, buf_span(scratch));
    digest_end(digest, hash);
    put_base64(into, &line, signature, dkim_key_sign(identity->key, hash, signature));
    buf_put_text(into, "\r\n");
}

/* --- whose signature --- */

bool dkim_signs_for(const char *domain, struct span from_domain)
{
    struct span own = span_of(domain);
    if (span_equals_nocase(own, from_domain))
        return true;
    return from_domain.len > own.len && span_ends_nocase(from_domain, own) &&
           from_domain.at[from_domain.len - own.len - 1] == '.';
}

struct span dkim_from_domain(struct span header, char into[256])
{
    struct span value = header_find(header, "From");
    struct mailbox_entry entry;
    if (value.at == NULL || !addresses_single(value, &entry) || entry.address.is_literal)
        return (struct span){NULL, 0};
    struct span domain = address_domain(span_of(entry.address.text));
    span_copy_text(domain, into, 256);
    return span_of(into);
}
