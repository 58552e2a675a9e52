/* SPDX-License-Identifier: MIT */
/* 'dkim': which key signs for which domain.  A key is read with the file, so that a bad one is
 * found by --check and not by the first message. */
#include "mta/base/fault.h"
#include "mta/control/option.h"
#include "mta/mail/domain.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { KEY_FILE_BYTES_MAX = 16384 };

static const char *set_domain(struct config_reader *r, const struct option *o, struct span text,
                              void *into)
{
    char canonical[DOMAIN_BYTES_MAX + 1];
    (void)o;
    if (!domain_canonical(text, canonical))
        return "a domain";
    *(const char **)into = arena_text(&r->config->arena, span_of(canonical));
    return NULL;
}

/* RFC 6376 3.1: labels, like a domain. */
static const char *set_selector(struct config_reader *r, const struct option *o, struct span text,
                                void *into)
{
    return set_domain(r, o, text, into) == NULL ? NULL
                                                : "a selector: letters, digits, hyphens and dots";
}

static bool read_file(const char *path, struct buf *into)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t got = fread(buf_reserve(into, KEY_FILE_BYTES_MAX), 1, KEY_FILE_BYTES_MAX, file);
    into->len += got;
    bool is_good = ferror(file) == 0;
    (void)fclose(file);
    return is_good;
}

static const char *complaint(struct config_reader *r, const char *path, const char *why)
{
    struct buf text = {0};
    buf_printf(&text, "a private key: %s: %s", path, why);
    const char *kept = arena_text(&r->config->arena, buf_span(&text));
    buf_release(&text);
    return kept;
}

static void warn_of_readers(struct config_reader *r, const char *path)
{
    struct stat about;
    if (stat(path, &about) == 0 && (about.st_mode & S_IROTH) != 0)
        buf_printf(r->file->complaints,
                   "%s: warning: everybody may read this private key: chmod 640\n", path);
}

static const char *set_key(struct config_reader *r, const struct option *o, struct span text,
                           void *into)
{
    const char *path, *wanted = NULL;
    struct buf pem = {0}, error = {0};
    (void)option_path(r, o, text, &path);
    if (!read_file(path, &pem))
        wanted = complaint(r, path, strerror(errno));
    else if ((*(struct dkim_key **)into = dkim_key_read(buf_span(&pem), &error)) == NULL)
        wanted = complaint(r, path, buf_text(&error));
    else
        warn_of_readers(r, path);
    buf_release(&pem);
    buf_release(&error);
    return wanted;
}

/* A row a key, its help below it. */
/* clang-format off */
const struct option dkim_options[] = {
    {"dkim.domain", set_domain, offsetof(struct dkim_identity, domain), "", false, false, 0, 0,
     "Whose mail is signed: what has this domain, or one below it, in From. "
     "The longest that fits signs, with each of its keys."},
    {"dkim.selector", set_selector, offsetof(struct dkim_identity, selector), "", false, false, 0, 0,
     "Where receivers find the public key: SELECTOR._domainkey.DOMAIN in the DNS."},
    {"dkim.key", set_key, offsetof(struct dkim_identity, key), "", false, false, 0, 0,
     "A file with the private key in PEM form, RSA or Ed25519, as 'mailrace dkim keygen' makes it."},
    {NULL, NULL, 0, NULL, false, false, 0, 0, NULL},
};
/* clang-format on */

void config_read_dkim(struct config_reader *r, const struct yaml_node *list)
{
    struct config *c = r->config;
    if (!config_is_kind(r, list, YAML_LIST,
                        "dkim must be a list, like [{domain: example.org, selector: m1, key: "
                        "m1.pem}]"))
        return;
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
        if (!config_is_kind(r, item, YAML_MAP, "an item has keys: domain, selector, key"))
            continue;
        if (c->dkim_count == CONFIG_DKIM_MAX) {
            yaml_complain(r->file, item->line, item->column, "more than %d keys", CONFIG_DKIM_MAX);
            return;
        }
        struct dkim_identity *identity = &c->dkim[c->dkim_count++];
        unsigned errors                = r->file->errors;
        config_read_by_table(r, item, "dkim.", dkim_options, identity);
        if (r->file->errors == errors &&
            (identity->domain == NULL || identity->selector == NULL || identity->key == NULL))
            yaml_complain(r->file, item->line, item->column,
                          "a signing key needs domain, selector and key");
    }
}
