/* SPDX-License-Identifier: MIT */
/* Decoding a key costs as much as a signature, so it is done once; an RSA context is set up once as
 * well and signs again and again. */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/dkim.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

struct dkim_key {
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *rsa; /* NULL for Ed25519 */
};

static EVP_PKEY_CTX *rsa_context(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    must(context != NULL && EVP_PKEY_sign_init(context) == 1 &&
         EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
         EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1);
    return context;
}

/* Takes the key. */
static struct dkim_key *wrap(EVP_PKEY *pkey)
{
    struct dkim_key *key = mem_new(sizeof *key);
    key->pkey            = pkey;
    key->rsa             = EVP_PKEY_is_a(pkey, "RSA") ? rsa_context(pkey) : NULL;
    return key;
}

/* NULL when the key may sign, else why not. */
static const char *objection(EVP_PKEY *pkey)
{
    int bits = EVP_PKEY_get_bits(pkey);
    if (EVP_PKEY_is_a(pkey, "ED25519"))
        return NULL;
    if (!EVP_PKEY_is_a(pkey, "RSA"))
        return "it is neither an RSA nor an Ed25519 key";
    if (bits < DKIM_RSA_BITS_MIN)
        return "its RSA modulus has less than 1024 bits, which no receiver accepts (RFC 8301)";
    if (bits > DKIM_RSA_BITS_MAX)
        return "its RSA modulus has more than 4096 bits";
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    bool is_sound         = context != NULL && EVP_PKEY_private_check(context) == 1 &&
                    EVP_PKEY_pairwise_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return is_sound ? NULL : "its numbers do not fit together";
}

struct dkim_key *dkim_key_read(struct span pem, struct buf *error)
{
    static char no_password[] = "";
    BIO *bio                  = BIO_new_mem_buf(pem.at, (int)pem.len);
    must(bio != NULL);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password);
    const char *why =
        pkey == NULL ? "it holds no private key in PEM form without a password" : objection(pkey);
    BIO_free(bio);
    ERR_clear_error();
    if (why == NULL)
        return wrap(pkey);
    buf_put_text(error, why);
    EVP_PKEY_free(pkey);
    return NULL;
}

struct dkim_key *dkim_key_generate(enum dkim_algorithm algorithm, unsigned rsa_bits)
{
    EVP_PKEY *pkey = algorithm == DKIM_RSA_SHA256 ? EVP_RSA_gen(rsa_bits)
                                                  : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    must(pkey != NULL);
    return wrap(pkey);
}

struct dkim_key *dkim_key_copy(const struct dkim_key *key)
{
    EVP_PKEY *pkey = EVP_PKEY_dup(key->pkey);
    must(pkey != NULL);
    return wrap(pkey);
}

void dkim_key_free(struct dkim_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_CTX_free(key->rsa);
    EVP_PKEY_free(key->pkey);
    mem_free(key);
}

enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *key)
{
    return key->rsa != NULL ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256;
}

unsigned dkim_key_bits(const struct dkim_key *key)
{
    return (unsigned)EVP_PKEY_get_bits(key->pkey);
}

void dkim_key_write(const struct dkim_key *key, struct buf *into)
{
    BIO *bio   = BIO_new(BIO_s_mem());
    char *text = NULL;
    must(bio != NULL &&
         PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) == 1);
    long len = BIO_get_mem_data(bio, &text);
    buf_put(into, span_make(text, (size_t)len));
    BIO_free(bio);
}

static void put_base64(struct buf *into, const unsigned char *bytes, size_t len)
{
    char *at = buf_reserve(into, (len + 2) / 3 * 4 + 1);
    into->len += (size_t)EVP_EncodeBlock((unsigned char *)at, bytes, (int)len);
}

/* RFC 6376 3.6.1 takes an RSA key as SubjectPublicKeyInfo, RFC 8463 4 an Ed25519 key bare. */
void dkim_key_write_record(const struct dkim_key *key, struct buf *into)
{
    unsigned char *der = NULL, bare[32];
    size_t bare_len    = sizeof bare;
    if (key->rsa != NULL) {
        int len = i2d_PUBKEY(key->pkey, &der);
        must(len > 0);
        buf_put_text(into, "v=DKIM1; k=rsa; p=");
        put_base64(into, der, (size_t)len);
        OPENSSL_free(der);
    } else {
        must(EVP_PKEY_get_raw_public_key(key->pkey, bare, &bare_len) == 1);
        buf_put_text(into, "v=DKIM1; k=ed25519; p=");
        put_base64(into, bare, bare_len);
    }
}

/* PureEdDSA over the hash (RFC 8463 3). */
static size_t sign_ed25519(EVP_PKEY *pkey, const unsigned char *hash, unsigned char *into)
{
    size_t len          = DKIM_SIGNATURE_BYTES_MAX;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) == 1 &&
         EVP_DigestSign(context, into, &len, hash, DIGEST_BYTES) == 1);
    EVP_MD_CTX_free(context);
    return len;
}

size_t dkim_key_sign(struct dkim_key *key, const unsigned char hash[DIGEST_BYTES],
                     unsigned char into[DKIM_SIGNATURE_BYTES_MAX])
{
    size_t len = DKIM_SIGNATURE_BYTES_MAX;
    if (key->rsa == NULL)
        return sign_ed25519(key->pkey, hash, into);
    must(EVP_PKEY_sign(key->rsa, into, &len, hash, DIGEST_BYTES) == 1);
    return len;
}
