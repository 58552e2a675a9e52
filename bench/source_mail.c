/* SPDX-License-Identifier: MIT */
/* The filler has lines that begin with a dot and lines of every length, so that dot-stuffing and
 * line ends are exercised by every message.  What differs stands behind it, where the hash of the
 * filler can be gone on with. */
#include "bench/source_mail.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_BYTES_ABOUT = 500, LINE_BYTES_MAX = 76, DOT_LINE_EVERY = 7, NUMBER_BYTES = 24 };

static void put_filler_line(struct buf *filler, size_t number)
{
    static const char letters[] = "the quick brown fox jumps over the lazy dog and runs a race ";
    size_t length               = LINE_BYTES_MAX - number % 40;
    if (number % DOT_LINE_EVERY == 0)
        buf_put_byte(filler, '.');
    for (size_t i = 0; i < length; i++)
        buf_put_byte(filler, letters[(i + number) % (sizeof letters - 1)]);
    buf_put_text(filler, "\r\n");
}

/* RFC 5321 4.5.2 */
static void stuff(struct span text, struct buf *out)
{
    struct span line;
    while (span_cut(&text, '\n', &line)) {
        if (line.len > 0 && line.at[0] == '.')
            buf_put_byte(out, '.');
        buf_put(out, line);
        buf_put_byte(out, '\n');
    }
}

static void make_header(struct source_mail *mail)
{
    const struct source_mail_config *c = mail->config;
    struct buf *pieces                 = mail->header;
    buf_printf(&pieces[SOURCE_MAIL_FRONT], "From: Race List <%s@lists.example>\r\nTo: ", c->list);
    buf_printf(&pieces[SOURCE_MAIL_SUBJECT], "\r\nSubject: [%s] Message ", c->list);
    buf_printf(&pieces[SOURCE_MAIL_DATE], "\r\nDate: %s\r\nMessage-ID: <", c->date);
    buf_printf(&pieces[SOURCE_MAIL_BACK],
               "\r\nList-Id: Race List <%s.lists.example>\r\n"
               "List-Unsubscribe: <mailto:%s-leave@lists.example>\r\n"
               "Precedence: list\r\n"
               "MIME-Version: 1.0\r\n"
               "Content-Type: text/plain; charset=us-ascii\r\n"
               "\r\n",
               c->list, c->list);
}

void source_mail_init(struct source_mail *mail, const struct source_mail_config *config)
{
    memset(mail, 0, sizeof *mail);
    mail->config = config;
    for (size_t i = 0; i == 0 || mail->filler.len + HEADER_BYTES_ABOUT < config->bytes; i++)
        put_filler_line(&mail->filler, i);
    stuff(buf_span(&mail->filler), &mail->stuffed);
    make_header(mail);
    mail->digest  = EVP_MD_CTX_new();
    mail->scratch = EVP_MD_CTX_new();
    EVP_DigestInit_ex(mail->digest, EVP_sha256(), NULL);
    EVP_DigestUpdate(mail->digest, mail->filler.at, mail->filler.len);
}

void source_mail_release(struct source_mail *mail)
{
    buf_release(&mail->filler);
    buf_release(&mail->stuffed);
    for (size_t i = 0; i < SOURCE_MAIL_PIECES; i++)
        buf_release(&mail->header[i]);
    EVP_MD_CTX_free(mail->digest);
    EVP_MD_CTX_free(mail->scratch);
}

/* Of the filler and what stands behind it. */
static void hash(struct source_mail *mail, struct span end)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX_copy_ex(mail->scratch, mail->digest);
    EVP_DigestUpdate(mail->scratch, end.at, end.len);
    EVP_DigestFinal_ex(mail->scratch, digest, &length);
    for (unsigned i = 0; i < length; i++) {
        mail->sha256[2 * i]     = digits[digest[i] >> 4];
        mail->sha256[2 * i + 1] = digits[digest[i] & 15];
    }
}

static void put_number(struct buf *out, uint64_t number)
{
    char digits[NUMBER_BYTES];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buf_put(out, span_make(digits + at, sizeof digits - at));
}

static void put_id(const struct source_mail *mail, const struct source_letter *letter,
                   struct buf *out)
{
    buf_put_text(out, mail->config->id);
    if (letter->rcpt.len == 0)
        return;
    buf_put_byte(out, '-');
    put_number(out, letter->number);
}

static void put_header(struct source_mail *mail, const struct source_letter *letter,
                       struct buf *out)
{
    const struct buf *pieces = mail->header;
    buf_put(out, buf_span(&pieces[SOURCE_MAIL_FRONT]));
    buf_put(out, letter->rcpt);
    if (letter->rcpt.len == 0)
        buf_printf(out, "%s@lists.example", mail->config->list);
    buf_put(out, buf_span(&pieces[SOURCE_MAIL_SUBJECT]));
    put_id(mail, letter, out);
    buf_put(out, buf_span(&pieces[SOURCE_MAIL_DATE]));
    put_id(mail, letter, out);
    buf_put_text(out, "@source.lists.example>\r\nX-Mailrace-Id: ");
    put_id(mail, letter, out);
    buf_put_text(out, "\r\nX-Mailrace-Sent: ");
    put_number(out, letter->sent_us);
    buf_put_text(out, "\r\nX-Mailrace-Sha256: ");
    buf_put(out, span_make(mail->sha256, sizeof mail->sha256 - 1));
    buf_put(out, buf_span(&pieces[SOURCE_MAIL_BACK]));
}

/* The last line of a personalised body. */
static void put_end(const struct source_letter *letter, struct buf *out)
{
    if (letter->rcpt.len == 0)
        return;
    buf_put_text(out, "This message was made for ");
    buf_put(out, letter->rcpt);
    buf_put_text(out, "\r\n");
}

size_t source_mail_compose(struct source_mail *mail, const struct source_letter *letter,
                           struct buf *out)
{
    buf_clear(out);
    put_end(letter, out);
    hash(mail, buf_span(out));

    buf_clear(out);
    put_header(mail, letter, out);
    buf_put(out, buf_span(letter->is_chunk ? &mail->filler : &mail->stuffed));
    put_end(letter, out);
    size_t dots = letter->is_chunk ? 0 : mail->stuffed.len - mail->filler.len;
    size_t size = out->len - dots;
    if (!letter->is_chunk)
        buf_put_text(out, ".\r\n");
    return size;
}
