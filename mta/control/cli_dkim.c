/* SPDX-License-Identifier: MIT */
#include "mta/control/cli_dkim.h"
#include "mta/control/config.h"
#include "mta/mail/domain.h"
#include "mta/mail/escape.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { TXT_STRING_BYTES = 255 }; /* RFC 1035 3.3.14 */

struct order {
    const char *domain, *selector; /* as typed */
    const char *file;              /* must not be there yet */
    enum dkim_algorithm algorithm;
    unsigned rsa_bits;
};

static void put_name(const struct dkim_identity *identity, struct buf *into)
{
    buf_printf(into, "%s._domainkey.%s", identity->selector, identity->domain);
}

/* A TXT record is a row of strings: a zone file takes each in quotes. */
static void put_zone_line(const struct dkim_identity *identity, struct buf *into)
{
    struct buf record = {0};
    dkim_key_write_record(identity->key, &record);
    put_name(identity, into);
    buf_put_text(into, ". IN TXT (");
    for (struct span rest = buf_span(&record); rest.len > 0;
         rest             = span_skip(rest, TXT_STRING_BYTES)) {
        buf_put_text(into, " \"");
        buf_put(into, span_first(rest, TXT_STRING_BYTES));
        buf_put_byte(into, '"');
    }
    buf_put_text(into, " )\n");
    buf_release(&record);
}

static void put_row(const struct dkim_identity *identity, struct buf *into)
{
    struct buf record = {0}, name = {0};
    dkim_key_write_record(identity->key, &record);
    put_name(identity, &name);
    buf_put_text(into, "{\"name\":");
    escape_json(buf_span(&name), into);
    buf_put_text(into, ",\"type\":\"TXT\",\"value\":");
    escape_json(buf_span(&record), into);
    buf_put_text(into, "}\n");
    buf_release(&record);
    buf_release(&name);
}

/* Of all keys, or of those of one domain ("": all), as lines of a zone file or as JSON lines. */
static int print_records(const struct config *config, const char *domain, bool as_json)
{
    struct buf text = {0};
    for (size_t i = 0; i < config->dkim_count; i++) {
        const struct dkim_identity *identity = &config->dkim[i];
        if (*domain != '\0' && !span_is_nocase(span_of(domain), identity->domain))
            continue;
        if (as_json)
            put_row(identity, &text);
        else
            put_zone_line(identity, &text);
    }
    bool has_some = text.len > 0;
    (void)fwrite(text.at, 1, text.len, stdout);
    buf_release(&text);
    if (has_some)
        return EX_OK;
    fprintf(stderr,
            "mailrace: no key%s%s stands under 'dkim:' in %s: 'mailrace dkim keygen' makes one\n",
            *domain == '\0' ? "" : " of ", domain, config->file);
    return EX_DATAERR;
}

/* --- making one --- */

static bool write_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0 && errno != EINTR)
            return false;
        bytes = span_skip(bytes, n > 0 ? (size_t)n : 0);
    }
    return fsync(fd) == 0;
}

/* A key that is there is never written over: mail signed with it is still on its way. */
static int write_key(const char *file, struct span pem)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd >= 0 && write_all(fd, pem) && close(fd) == 0)
        return EX_OK;
    fprintf(stderr, "mailrace: %s: %s%s\n", file, strerror(errno),
            errno == EEXIST ? ": give another name, or move it away" : "");
    return EX_CANTCREAT;
}

static void print_advice(const struct dkim_identity *identity, const char *file)
{
    struct buf text = {0};
    buf_printf(&text, "%s holds the private key.  The DNS must say:\n\n", file);
    put_zone_line(identity, &text);
    buf_printf(
        &text,
        "\nand the configuration, once it does:\n\ndkim:\n  - {domain: %s, selector: %s, key: "
        "\"%s\"}\n",
        identity->domain, identity->selector, file);
    (void)fwrite(text.at, 1, text.len, stdout);
    buf_release(&text);
}

static int make_key(const struct order *order)
{
    char domain[DOMAIN_BYTES_MAX + 1], selector[DOMAIN_BYTES_MAX + 1];
    if (!domain_canonical(span_of(order->domain), domain) ||
        !domain_canonical(span_of(order->selector), selector)) {
        fputs("mailrace: a domain and a selector are needed, like: dkim keygen example.org m1 "
              "m1.pem\n",
              stderr);
        return EX_USAGE;
    }
    struct dkim_identity identity = {domain, selector,
                                     dkim_key_generate(order->algorithm, order->rsa_bits)};
    struct buf pem                = {0};
    dkim_key_write(identity.key, &pem);
    int code = write_key(order->file, buf_span(&pem));
    if (code == EX_OK)
        print_advice(&identity, order->file);
    memset(pem.at, 0, pem.len);
    buf_release(&pem);
    dkim_key_free(identity.key);
    return code;
}

/* --- the words --- */

struct words {
    char **at;
    int count;
};

static int say_usage(void)
{
    fputs("usage: mailrace dkim keygen DOMAIN SELECTOR FILE [--ed25519] [--bits N]\n"
          "       mailrace [-c FILE] dkim record [DOMAIN] [--json]\n",
          stderr);
    return EX_USAGE;
}

/* Takes an option out of the words; its value too, if it has one. */
static bool take_option(struct words *given, const char *name, const char **value)
{
    int width = value != NULL ? 2 : 1;
    for (int i = 0; i + width <= given->count; i++) {
        if (strcmp(given->at[i], name) != 0)
            continue;
        if (value != NULL)
            *value = given->at[i + 1];
        given->count -= width;
        memmove(&given->at[i], &given->at[i + width],
                (size_t)(given->count - i) * sizeof *given->at);
        return true;
    }
    return false;
}

static int run_keygen(struct words *given)
{
    const char *bits_text = "2048";
    uint64_t bits;
    struct order order = {.algorithm = DKIM_RSA_SHA256};
    if (take_option(given, "--ed25519", NULL))
        order.algorithm = DKIM_ED25519_SHA256;
    (void)take_option(given, "--bits", &bits_text);
    if (given->count != 4 || given->at[1][0] == '-')
        return say_usage();
    if (!span_to_number(span_of(bits_text), DKIM_RSA_BITS_MAX, &bits) || bits < DKIM_RSA_BITS_MIN) {
        fprintf(stderr, "mailrace: --bits %s: from %d to %d; 2048 is what receivers advise\n",
                bits_text, DKIM_RSA_BITS_MIN, DKIM_RSA_BITS_MAX);
        return EX_USAGE;
    }
    order.rsa_bits = (unsigned)bits;
    order.domain   = given->at[1];
    order.selector = given->at[2];
    order.file     = given->at[3];
    return make_key(&order);
}

static int run_record(const char *config_file, struct words *given)
{
    struct buf errors = {0};
    bool as_json      = take_option(given, "--json", NULL);
    if (given->count > 2)
        return say_usage();
    struct config *config = config_read(config_file, &errors);
    int code              = EX_CONFIG;
    if (config == NULL)
        (void)fputs(buf_text(&errors), stderr);
    else
        code = print_records(config, given->count == 2 ? given->at[1] : "", as_json);
    if (config != NULL)
        config_free(config);
    buf_release(&errors);
    return code;
}

int cli_dkim(const char *config_file, char **words, int word_count)
{
    struct words given = {words, word_count};
    if (word_count > 0 && strcmp(words[0], "keygen") == 0)
        return run_keygen(&given);
    if (word_count > 0 && strcmp(words[0], "record") == 0)
        return run_record(config_file, &given);
    return say_usage();
}
