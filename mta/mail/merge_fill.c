/* SPDX-License-Identifier: MIT */
#include "mta/mail/escape.h"
#include "mta/mail/merge_parts.h"
#include "mta/mail/mime.h"
#include "mta/mail/token.h"
#include "mta/mail/words.h"

#define FOLD "\r\n "

enum { QP_CHUNK_BYTES = 72 };

static const char hex[] = "0123456789ABCDEF";

/* --- data --- */

static void decode_url(struct span coded, struct buf *into)
{
    for (size_t i = 0; i < coded.len; i++) {
        int high      = i + 2 < coded.len ? ascii_hex_value(coded.at[i + 1]) : -1;
        int low       = i + 2 < coded.len ? ascii_hex_value(coded.at[i + 2]) : -1;
        bool is_coded = coded.at[i] == '%' && high >= 0 && low >= 0;
        buf_put_byte(into, is_coded ? (char)(high << 4 | low) : coded.at[i]);
        i += is_coded ? 2 : 0;
    }
}

static bool is_unreserved(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static void encode_url(struct span plain, struct buf *into)
{
    for (size_t i = 0; i < plain.len; i++) {
        unsigned char c     = (unsigned char)plain.at[i];
        const char coded[3] = {'%', hex[c >> 4], hex[c & 15]};
        buf_put(into, is_unreserved(plain.at[i]) ? span_make(plain.at + i, 1)
                                                 : span_make(coded, sizeof coded));
    }
}

void merge_put_data(struct buf *into, struct span name, struct span value)
{
    if (into->len > 0)
        buf_put_byte(into, '&');
    encode_url(name, into);
    buf_put_byte(into, '=');
    encode_url(value, into);
}

static bool find_data(struct span data, struct span name, struct span *coded)
{
    struct span pair;
    while (span_cut(&data, '&', &pair)) {
        size_t equals = span_find(pair, '=');
        if (span_equals_nocase(span_first(pair, equals), name)) {
            *coded = span_skip(pair, equals + 1);
            return true;
        }
    }
    return false;
}

bool merge_value(const struct merge_values *values, struct span name, struct buf *into)
{
    struct buf plain = {0};
    struct span coded;
    size_t start = into->len;
    if (span_is_nocase(name, "address"))
        buf_put(&plain, values->address);
    for (size_t i = 0; plain.len == 0 && i < values->extra_count; i++)
        if (span_is_nocase(name, values->extras[i].name))
            buf_put(&plain, values->extras[i].value);
    if (plain.len == 0 && find_data(values->data, name, &coded))
        decode_url(coded, &plain);
    escape_text(buf_span(&plain), MERGE_VALUE_BYTES_MAX, into);
    buf_release(&plain);
    return into->len > start;
}

uint64_t merge_member(const struct merge_values *values)
{
    struct buf text = {0};
    uint64_t member = 0;
    if (merge_value(values, span_of("id"), &text) &&
        !span_to_number(buf_span(&text), (UINT64_C(1) << TOKEN_MEMBER_BITS) - 1, &member))
        member = 0;
    buf_release(&text);
    return member;
}

/* --- forms --- */

static void put_html(struct span text, struct buf *into)
{
    static const struct {
        char c;
        const char *entity;
    } entities[] = {
        {'&',  "&amp;" },
        {'<',  "&lt;"  },
        {'>',  "&gt;"  },
        {'"',  "&quot;"},
        {'\'', "&#39;" },
    };
    for (size_t i = 0; i < text.len; i++) {
        const char *entity = NULL;
        for (size_t j = 0; j < sizeof entities / sizeof entities[0]; j++)
            if (entities[j].c == text.at[i])
                entity = entities[j].entity;
        buf_put(into, entity != NULL ? span_of(entity) : span_make(text.at + i, 1));
    }
}

/* Between two soft line breaks, so that no line gets too long whatever stands around it. */
static void put_quoted(struct span text, struct buf *into)
{
    for (size_t i = 0, column = QP_CHUNK_BYTES; i < text.len; i++) {
        unsigned char c      = (unsigned char)text.at[i];
        const char quoted[3] = {'=', hex[c >> 4], hex[c & 15]};
        bool is_plain        = c > 32 && c < 127 && c != '=' && c != '.';
        if (column >= QP_CHUNK_BYTES) {
            buf_put_text(into, "=\r\n");
            column = 0;
        }
        buf_put(into, is_plain ? span_make(text.at + i, 1) : span_make(quoted, sizeof quoted));
        column += is_plain ? 1 : sizeof quoted;
    }
    if (text.len > 0)
        buf_put_text(into, "=\r\n");
}

/* A word of an unstructured field: what touches the hole is encoded along with it. */
static void put_in_words(const struct hole *hole, struct span value, struct buf *into)
{
    struct buf word = {0};
    buf_put(&word, hole->prefix);
    buf_put(&word, value);
    buf_put(&word, hole->suffix);
    bool is_plain = text_is_ascii(buf_span(&word));
    if (hole->is_glued && !is_plain)
        buf_put_text(into, "\r\n ");
    if (is_plain)
        buf_put(into, buf_span(&word));
    else
        words_encode(buf_span(&word), FOLD, into);
    buf_release(&word);
}

/* --- filling --- */

static void put_in_body(const struct hole *hole, struct span value, struct buf *into)
{
    struct buf ascii = {0}, escaped = {0};
    if (hole->is_ascii_only) {
        escape_ascii(value, MERGE_VALUE_BYTES_MAX, &ascii);
        value = buf_span(&ascii);
    }
    if (hole->place == MERGE_IN_HTML) {
        put_html(value, &escaped);
        value = buf_span(&escaped);
    }
    if (hole->is_quoted_printable)
        put_quoted(value, into);
    else
        buf_put(into, value);
    buf_release(&ascii);
    buf_release(&escaped);
}

void merge_fill(const struct hole *hole, const struct merge_values *values, struct buf *into)
{
    struct buf plain = {0};
    if (!merge_value(values, hole->name, &plain))
        buf_put(&plain, hole->fallback);
    struct span value = buf_span(&plain);
    switch (hole->place) {
    case MERGE_IN_TEXT:
    case MERGE_IN_HTML:
        put_in_body(hole, value, into);
        break;
    case MERGE_IN_WORDS:
        put_in_words(hole, value, into);
        break;
    case MERGE_IN_PHRASE:
        if (span_is_nocase(hole->name, "address"))
            buf_put(into, value);
        else if (value.len > 0)
            words_phrase(value, FOLD, into);
        break;
    case MERGE_IN_URL:
        escape_ascii(value, MERGE_VALUE_BYTES_MAX, into);
        break;
    }
    buf_release(&plain);
}
