/* SPDX-License-Identifier: MIT */
/*
 * Reason: one entry of OpenSSL's error queue, translated.
 *
 * The text may hold bytes that a peer chose (never trust a library's strings to be clean), so
 * everything passes tls_reason_copy() before anybody logs it.
 */
#include "mta/tls/reason.h"
#include "mta/base/fault.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

enum { REASON_TEXT_BYTES = 200 };

static bool is_alert_of_peer(unsigned long error)
{
    return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET;
}

static void put_words(struct buf *into, unsigned long error)
{
    char text[REASON_TEXT_BYTES];
    const char *words = ERR_reason_error_string(error);

    if (ERR_SYSTEM_ERROR(error))
        words = strerror_r(ERR_GET_REASON(error), text, sizeof text);
    if (words == NULL) {
        ERR_error_string_n(error, text, sizeof text);
        words = text;
    }
    if (is_alert_of_peer(error))
        buf_put_text(into, "the peer says: ");
    buf_put_text(into, words);
}

void tls_reason_put(struct buf *into)
{
    unsigned long error = ERR_get_error();

    if (error == 0)
        buf_put_text(into, "no reason given");
    else
        put_words(into, error);
    ERR_clear_error();
}

void tls_reason_copy(char *into, size_t cap, struct span text)
{
    must(cap > 0);
    text = span_first(text, cap - 1);
    for (size_t i = 0; i < text.len; i++) {
        into[i] = text.at[i];
        if (into[i] < ' ' || into[i] > '~')
            into[i] = '?';
    }
    into[text.len] = '\0';
}
