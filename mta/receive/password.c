/* SPDX-License-Identifier: MIT */
#include "mta/receive/password.h"
#include "mta/base/base64.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include <crypt.h>
#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

enum { SETTING_RANDOM_BYTES = 32, PLAIN_SALT_BYTES_MAX = 64 };

_Static_assert((int)PASSWORD_HASH_BYTES == CRYPT_OUTPUT_SIZE, "a hash fits");
_Static_assert(SCRAM_SALT_TEXT_BYTES == BASE64_BYTES(PLAIN_SALT_BYTES_MAX) + 1, "a salt fits");
_Static_assert(SCRAM_KEY_TEXT_BYTES == BASE64_BYTES(SCRAM_KEY_BYTES) + 1, "a key fits");

static const char method[] = "$y$"; /* yescrypt, at the library's default cost */

void password_wipe(void *bytes, size_t len)
{
    OPENSSL_cleanse(bytes, len);
}

/* --- SASLprep --- */

const char *password_prepare(const char *text, bool is_new, struct buf *into)
{
    char *prepared = NULL;
    if (strlen(text) > PASSWORD_BYTES_MAX)
        return "it is too long";
    if (gsasl_saslprep(text, is_new ? 0 : GSASL_ALLOW_UNASSIGNED, &prepared, NULL) != GSASL_OK)
        return "it is no UTF-8, or holds a control or an unassigned character";
    bool is_empty = prepared[0] == '\0';
    buf_put_text(into, prepared);
    password_wipe(prepared, strlen(prepared));
    gsasl_free(prepared);
    return is_empty ? "it is empty" : NULL;
}

/* --- crypt --- */

static bool run_crypt(const char *password, const char *setting, char into[PASSWORD_HASH_BYTES])
{
    struct crypt_data *data = mem_new(sizeof *data); /* 32 KiB */
    const char *hash        = crypt_r(password, setting, data);
    bool is_good            = hash != NULL && hash[0] != '*';
    if (is_good)
        span_copy_text(span_of(hash), into, PASSWORD_HASH_BYTES);
    password_wipe(data, sizeof *data);
    mem_free(data);
    return is_good;
}

void password_hash(const char *password, char into[PASSWORD_HASH_BYTES])
{
    char random[SETTING_RANDOM_BYTES], setting[CRYPT_GENSALT_OUTPUT_SIZE];
    clock_random(random, sizeof random);
    must(crypt_gensalt_rn(method, 0, random, sizeof random, setting, sizeof setting) != NULL);
    must(run_crypt(password, setting, into));
}

bool password_matches(const char *password, const char *hash)
{
    char found[PASSWORD_HASH_BYTES] = "", wanted[PASSWORD_HASH_BYTES] = "";
    span_copy_text(span_of(hash), wanted, sizeof wanted);
    bool is_right =
        run_crypt(password, hash, found) && CRYPTO_memcmp(found, wanted, sizeof wanted) == 0;
    password_wipe(found, sizeof found);
    return is_right;
}

/* Its last character is none that yescrypt writes there. */
const char *password_no_hash(void)
{
    return "$y$j9T$k2XAnEHBqQ1Ct2aMXFKNa/HAmA1BpMnBsYHMWB4NZN4$"
           "z.GdfLsAC0pKFN0YHue5p4W4SPNsBcVg1X9olFucxxz";
}

bool password_hash_is_good(const char *hash)
{
    struct span text = span_of(hash);
    int verdict      = crypt_checksalt(hash);
    bool is_known    = verdict == CRYPT_SALT_OK || verdict == CRYPT_SALT_METHOD_LEGACY ||
                    verdict == CRYPT_SALT_TOO_CHEAP;
    return text.len < PASSWORD_HASH_BYTES && text.len > 0 && text.at[0] == '$' && is_known;
}

/* --- SCRAM --- */

static void put_key(const unsigned char *bytes, size_t len, char *into, size_t cap)
{
    struct buf text = {0};
    base64_put(&text, span_make((const char *)bytes, len));
    must(text.len < cap);
    span_copy_text(buf_span(&text), into, cap);
    buf_release(&text);
}

static void hmac(const unsigned char *key, size_t key_len, struct span text,
                 unsigned char into[SCRAM_KEY_BYTES])
{
    unsigned len = 0;
    must(HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text.at, text.len, into,
              &len) != NULL &&
         len == SCRAM_KEY_BYTES);
}

/* RFC 5802 3: StoredKey = H(HMAC(salted, "Client Key")), ServerKey = HMAC(salted, "Server Key") */
void password_scram_of(const char *password, struct span salt, unsigned iterations,
                       struct scram *into)
{
    unsigned char salted[SCRAM_KEY_BYTES], client[SCRAM_KEY_BYTES], stored[SCRAM_KEY_BYTES],
        server[SCRAM_KEY_BYTES];
    must(PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (const unsigned char *)salt.at,
                           (int)salt.len, (int)iterations, EVP_sha256(), sizeof salted,
                           salted) == 1);
    hmac(salted, sizeof salted, span_of("Client Key"), client);
    hmac(salted, sizeof salted, span_of("Server Key"), server);
    (void)SHA256(client, sizeof client, stored);
    *into = (struct scram){.iterations = iterations};
    put_key((const unsigned char *)salt.at, salt.len, into->salt, sizeof into->salt);
    put_key(stored, sizeof stored, into->stored_key, sizeof into->stored_key);
    put_key(server, sizeof server, into->server_key, sizeof into->server_key);
    password_wipe(salted, sizeof salted);
    password_wipe(client, sizeof client);
}

void password_scram(const char *password, struct scram *into)
{
    char salt[SCRAM_SALT_BYTES];
    clock_random(salt, sizeof salt);
    password_scram_of(password, span_make(salt, sizeof salt), SCRAM_ITERATIONS, into);
}

static void derive(struct span name, struct span key, const char *what,
                   unsigned char into[SCRAM_KEY_BYTES])
{
    struct buf text = {0};
    buf_put_text(&text, what);
    buf_put_byte(&text, '\0');
    buf_put(&text, name);
    hmac((const unsigned char *)key.at, key.len, buf_span(&text), into);
    buf_release(&text);
}

void scram_of_nobody(struct span name, struct span key, unsigned iterations, struct scram *into)
{
    unsigned char bytes[SCRAM_KEY_BYTES];
    *into = (struct scram){.iterations = iterations};
    derive(name, key, "salt", bytes);
    put_key(bytes, SCRAM_SALT_BYTES, into->salt, sizeof into->salt);
    derive(name, key, "stored", bytes);
    put_key(bytes, sizeof bytes, into->stored_key, sizeof into->stored_key);
    derive(name, key, "server", bytes);
    put_key(bytes, sizeof bytes, into->server_key, sizeof into->server_key);
}

static bool take_base64(struct span text, size_t bytes_min, size_t bytes_max, char *into,
                        size_t cap)
{
    struct buf bytes = {0};
    bool is_good = base64_take(text, &bytes) && bytes.len >= bytes_min && bytes.len <= bytes_max &&
                   text.len < cap;
    if (is_good)
        span_copy_text(text, into, cap);
    buf_release(&bytes);
    return is_good;
}

bool scram_parse(struct span text, struct scram *into)
{
    struct span name, iterations, salt, stored;
    uint64_t number = 0;
    *into           = (struct scram){0};
    if (!span_cut(&text, '$', &name) || !span_is(name, "SCRAM-SHA-256") ||
        !span_cut(&text, ':', &iterations) || !span_cut(&text, '$', &salt) ||
        !span_cut(&text, ':', &stored) ||
        !span_to_number(iterations, SCRAM_ITERATIONS_MAX, &number) || number < SCRAM_ITERATIONS_MIN)
        return false;
    into->iterations = (unsigned)number;
    return take_base64(salt, 1, PLAIN_SALT_BYTES_MAX, into->salt, sizeof into->salt) &&
           take_base64(stored, SCRAM_KEY_BYTES, SCRAM_KEY_BYTES, into->stored_key,
                       sizeof into->stored_key) &&
           take_base64(text, SCRAM_KEY_BYTES, SCRAM_KEY_BYTES, into->server_key,
                       sizeof into->server_key);
}

void scram_put(const struct scram *scram, struct buf *into)
{
    buf_printf(into, "SCRAM-SHA-256$%u:%s$%s:%s", scram->iterations, scram->salt, scram->stored_key,
               scram->server_key);
}

/* --- chance --- */

void password_generate(char into[PASSWORD_GENERATED_BYTES])
{
    static const char letters[] =
        "abcdefghijkmnpqrstuvwxyz23456789"; /* 32: neither l nor o, 0, 1 */
    enum { GROUPS = 4, LETTERS = 5 };
    unsigned char random[GROUPS * LETTERS];
    char *to = into;
    clock_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        if (i > 0 && i % LETTERS == 0)
            *to++ = '-';
        *to++ = letters[random[i] % (sizeof letters - 1)];
    }
    *to = '\0';
    password_wipe(random, sizeof random);
}
