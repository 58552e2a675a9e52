/* SPDX-License-Identifier: MIT */
#include "lists/footer.h"
#include "mta/mail/escape.h"
#include "mta/mail/header.h"
#include "mta/mail/mime.h"
#include <inttypes.h>
#include <stdio.h>

enum { CHARSET_BYTES_MAX = 40 };

enum how { LEAVE, APPEND_PLAIN, APPEND_QUOTED, WRAP };

bool footer_moves(struct span name)
{
    return span_starts_nocase(name, span_of("Content-"));
}

static void encoding_of(struct span header, char into[CHARSET_BYTES_MAX])
{
    struct span field = header_find(header, "Content-Transfer-Encoding");
    if (field.at == NULL || !mime_value(field, into, CHARSET_BYTES_MAX))
        span_copy_text(span_of("7bit"), into, CHARSET_BYTES_MAX);
}

/* Whether the bytes of 'text' mean the same in the charset of the part. */
static bool fits_charset(struct span type, const char *text)
{
    static const char *const like_ascii[] = {"us-ascii",   "iso-8859-1",   "iso-8859-15",
                                             "iso-8859-2", "windows-1252", "windows-1250"};
    char charset[CHARSET_BYTES_MAX]       = "us-ascii";
    if (type.at != NULL)
        (void)mime_parameter(type, "charset", charset, sizeof charset);
    if (span_is_nocase(span_of(charset), "utf-8"))
        return true;
    if (!text_is_ascii(span_of(text)))
        return false;
    for (size_t i = 0; i < sizeof like_ascii / sizeof like_ascii[0]; i++)
        if (span_is_nocase(span_of(charset), like_ascii[i]))
            return true;
    return false;
}

static enum how choose(const char *text, struct span header)
{
    char type[MIME_TYPE_BYTES_MAX] = "text/plain", encoding[CHARSET_BYTES_MAX];
    struct span field              = header_find(header, "Content-Type");
    if (text[0] == '\0')
        return LEAVE;
    if (field.at != NULL && !mime_value(field, type, sizeof type))
        return WRAP;
    if (strcmp(type, "multipart/encrypted") == 0 || strcmp(type, "application/pkcs7-mime") == 0)
        return LEAVE; /* a reader shows what is inside, and only that */
    if (strcmp(type, "text/plain") != 0 || !fits_charset(field, text))
        return WRAP;
    encoding_of(header, encoding);
    if (strcmp(encoding, "quoted-printable") == 0)
        return APPEND_QUOTED;
    bool is_7bit  = strcmp(encoding, "7bit") == 0;
    bool is_plain = is_7bit || strcmp(encoding, "8bit") == 0;
    return is_plain && (!is_7bit || text_is_ascii(span_of(text))) ? APPEND_PLAIN : WRAP;
}

/* With CRLF, and one behind the last line. */
static void put_lines(const char *text, struct buf *into)
{
    struct span rest = span_of(text), line;
    while (span_cut(&rest, '\n', &line)) {
        buf_put(into, line);
        buf_put_text(into, "\r\n");
    }
}

static void append(struct footer *footer, const char *text, bool is_quoted)
{
    struct buf lines = {0};
    put_lines("\n", &lines);
    put_lines(text, &lines);
    if (is_quoted)
        mime_encode_quoted(buf_span(&lines), &footer->close);
    else
        buf_put(&footer->close, buf_span(&lines));
    buf_release(&lines);
}

/* The fields that describe the body, as they stood. */
static void move_fields(struct span header, struct buf *into)
{
    struct header_field field;
    bool has_type = header_find(header, "Content-Type").at != NULL;
    while (header_next(&header, &field)) {
        if (!footer_moves(field.name))
            continue;
        buf_put(into, field.name);
        buf_put_byte(into, ':');
        buf_put(into, field.value);
        buf_put_text(into, "\r\n");
    }
    if (!has_type)
        buf_put_text(into, "Content-Type: text/plain\r\n");
}

/* Placeholders must not be torn by soft line breaks: a footer with some is not quoted. */
static void put_part(const char *text, struct buf *into)
{
    struct buf lines = {0};
    bool is_ascii    = text_is_ascii(span_of(text));
    bool is_8bit     = !is_ascii && strstr(text, "{{") != NULL;
    buf_put_text(into, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ");
    buf_put_text(into, is_ascii ? "7bit" : is_8bit ? "8bit" : "quoted-printable");
    buf_put_text(into, "\r\nContent-Disposition: inline\r\n\r\n");
    put_lines(text, &lines);
    if (is_ascii || is_8bit)
        buf_put(into, buf_span(&lines));
    else
        mime_encode_quoted(buf_span(&lines), into);
    buf_release(&lines);
}

static void wrap(struct footer *footer, const char *text, struct span header, uint64_t chance)
{
    char boundary[48];
    (void)snprintf(boundary, sizeof boundary, "=_mailrace_%016" PRIx64, chance);
    footer->wraps = true;
    buf_printf(&footer->fields, "Content-Type: multipart/mixed;\r\n boundary=\"%s\"\r\n", boundary);
    buf_printf(&footer->open, "--%s\r\n", boundary);
    move_fields(header, &footer->open);
    buf_put_text(&footer->open, "\r\n");
    buf_printf(&footer->close, "\r\n--%s\r\n", boundary);
    put_part(text, &footer->close);
    buf_printf(&footer->close, "\r\n--%s--\r\n", boundary);
}

void footer_make(struct footer *footer, const char *text, struct span header, uint64_t chance)
{
    *footer = (struct footer){0};
    switch (choose(text, header)) {
    case LEAVE:
        return;
    case APPEND_PLAIN:
        append(footer, text, false);
        return;
    case APPEND_QUOTED:
        append(footer, text, true);
        return;
    case WRAP:
        wrap(footer, text, header, chance);
        return;
    }
}

void footer_release(struct footer *footer)
{
    buf_release(&footer->fields);
    buf_release(&footer->open);
    buf_release(&footer->close);
}
