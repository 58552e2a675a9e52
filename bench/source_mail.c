/* SPDX-License-Identifier: MIT */
/* The filler has lines that begin with a dot and lines of every length, so that dot-stuffing and
 * line ends are exercised by every message. */
#include "bench/source_mail.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_BYTES_ABOUT = 500, LINE_BYTES_MAX = 76, DOT_LINE_EVERY = 7 };

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

void source_mail_init(struct source_mail *mail, const struct source_mail_config *config)
{
    memset(mail, 0, sizeof *mail);
    mail->config = config;
    for (size_t i = 0; i == 0 || mail->filler.len + HEADER_BYTES_ABOUT < config->bytes; i++)
        put_filler_line(&mail->filler, i);
}

void source_mail_release(struct source_mail *mail)
{
    buf_release(&mail->filler);
    buf_release(&mail->message);
}

static void hash(struct source_mail *mail, struct span first, struct span second)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length     = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    EVP_DigestUpdate(context, first.at, first.len);
    EVP_DigestUpdate(context, second.at, second.len);
    EVP_DigestFinal_ex(context, digest, &length);
    EVP_MD_CTX_free(context);
    for (unsigned i = 0; i < length; i++)
        (void)snprintf(mail->sha256 + 2 * (size_t)i, 3, "%02x", digest[i]);
}

static void put_header(struct source_mail *mail, struct span rcpt, const char *id, struct buf *out)
{
    const struct source_mail_config *config = mail->config;
    buf_printf(out, "From: Race List <%s@lists.example>\r\n", config->list);
    if (rcpt.len > 0)
        buf_printf(out, "To: %.*s\r\n", (int)rcpt.len, rcpt.at);
    else
        buf_printf(out, "To: %s@lists.example\r\n", config->list);
    buf_printf(out,
               "Subject: [%s] Message %s\r\n"
               "Date: %s\r\n"
               "Message-ID: <%s@source.lists.example>\r\n"
               "X-Mailrace-Id: %s\r\n"
               "X-Mailrace-Sha256: %s\r\n"
               "List-Id: Race List <%s.lists.example>\r\n"
               "List-Unsubscribe: <mailto:%s-leave@lists.example>\r\n"
               "Precedence: list\r\n"
               "MIME-Version: 1.0\r\n"
               "Content-Type: text/plain; charset=us-ascii\r\n"
               "\r\n",
               config->list, id, config->date, id, id, mail->sha256, config->list, config->list);
}

/* RFC 5321 4.5.2, and the final dot. */
static void stuff(struct span text, struct buf *out)
{
    struct span line;
    while (span_cut(&text, '\n', &line)) {
        if (line.len > 0 && line.at[0] == '.')
            buf_put_byte(out, '.');
        buf_put(out, line);
        buf_put_byte(out, '\n');
    }
    buf_put_text(out, ".\r\n");
}

size_t source_mail_compose(struct source_mail *mail, struct span rcpt, size_t n, struct buf *out)
{
    struct buf greeting = {0}, id = {0};
    buf_put_text(&id, mail->config->id);
    if (rcpt.len > 0) {
        buf_printf(&greeting, "Dear %.*s,\r\n\r\n", (int)rcpt.len, rcpt.at);
        buf_printf(&id, "-%zu", n);
    }
    hash(mail, buf_span(&greeting), buf_span(&mail->filler));
    buf_clear(&mail->message);
    put_header(mail, rcpt, buf_text(&id), &mail->message);
    buf_put(&mail->message, buf_span(&greeting));
    buf_put(&mail->message, buf_span(&mail->filler));
    buf_release(&greeting);
    buf_release(&id);

    buf_clear(out);
    stuff(buf_span(&mail->message), out);
    return mail->message.len;
}
