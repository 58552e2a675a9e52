/* SPDX-License-Identifier: MIT */
/* What a context accepts, and the sentences it refuses with. */
#include "tests/unit/tls_fixture.h"

static struct fixture fixture;

/* The context is refused, and the sentence names all of the words. */
static void assert_refused(struct tls_context *context, struct buf *error, const char *file,
                           const char *words)
{
    assert_null(context);
    if (strstr(buf_text(error), words) == NULL || strstr(buf_text(error), file) == NULL)
        fail_msg("'%s' does not say '%s' of '%s'", buf_text(error), words, file);
    buf_release(error);
}

static void write_file(char path[FIXTURE_PATH_BYTES], const char *name, const char *text)
{
    FILE *file = fixture_file(path, &fixture, name, "pem");
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(0, fclose(file));
}

static void missing_files_are_named(void **state)
{
    (void)state;
    struct buf error = {0};
    const char *good = fixture.good.certificate_path, *key = fixture.good.key_path;

    assert_refused(tls_context_server("/nowhere/cert.pem", key, "s", &error), &error,
                   "/nowhere/cert.pem", "cannot read the certificate: No such file");
    assert_refused(tls_context_server(good, "/nowhere/key.pem", "s", &error), &error,
                   "/nowhere/key.pem", "cannot read the private key: No such file");
    assert_refused(tls_context_client(TLS_REQUIRED, "/nowhere/ca.pem", &error), &error,
                   "/nowhere/ca.pem", "cannot read the trusted certificates: No such file");
}

static void a_file_that_is_no_pem_is_refused(void **state)
{
    (void)state;
    struct buf error = {0};
    char path[FIXTURE_PATH_BYTES];
    write_file(path, "text", "this is no certificate\n");
    assert_refused(tls_context_server(path, fixture.good.key_path, "s", &error), &error, path,
                   "cannot read the certificate: no start line");
    assert_refused(tls_context_server(fixture.good.certificate_path, path, "s", &error), &error,
                   path, "cannot read the private key: ");
    assert_refused(tls_context_client(TLS_ENCRYPT, path, &error), &error, path,
                   "cannot read the trusted certificates: ");
    assert_int_equal(0, unlink(path));
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    (void)state;
    struct buf error = {0};
    const char *mine = fixture.good.certificate_path;

    assert_refused(tls_context_server(mine, fixture.other.key_path, "s", &error), &error,
                   fixture.other.key_path, "the key does not belong to the certificate");
    assert_refused(tls_context_server(mine, fixture.rsa.key_path, "s", &error), &error, mine,
                   "the key does not belong to the certificate");
}

static void a_short_key_is_refused(void **state)
{
    (void)state;
    struct buf error               = {0};
    const struct fixture_pair *own = &fixture.short_rsa;
    assert_refused(tls_context_server(own->certificate_path, own->key_path, "s", &error), &error,
                   own->certificate_path, "key too small");
}

/* It would have to be typed on a terminal that a daemon does not have. */
static void a_key_with_a_password_is_refused_without_asking(void **state)
{
    (void)state;
    struct buf error = {0};
    char path[FIXTURE_PATH_BYTES];
    FILE *file = fixture_file(path, &fixture, "locked", "key");
    assert_int_equal(1, PEM_write_PKCS8PrivateKey(file, fixture.good.key, EVP_aes_128_cbc(), "word",
                                                  4, NULL, NULL));
    assert_int_equal(0, fclose(file));
    assert_refused(tls_context_server(fixture.good.certificate_path, path, "s", &error), &error,
                   path, "cannot read the private key: ");
    assert_int_equal(0, unlink(path));
}

static void the_systems_trust_store_is_the_default(void **state)
{
    (void)state;
    struct buf error = {0};
    for (enum tls_level level = TLS_OPPORTUNISTIC; level <= TLS_ENCRYPT; level++) {
        struct tls_context *context = tls_context_client(level, NULL, &error);
        assert_non_null(context);
        tls_context_release(context);
    }
    assert_int_equal(0, error.len);
    tls_context_release(NULL);
}

/* Who signs what another CA should have signed is not trusted. */
static void trust_comes_from_the_given_file(void **state)
{
    (void)state;
    struct buf error = {0};
    struct tls_context *client =
        tls_context_client(TLS_REQUIRED, fixture.other_ca.certificate_path, &error);
    struct tls_context *server = fixture_server(&fixture.good, "s");
    assert_non_null(client);
    struct tls_engine *c = tls_engine_client(client, "mx.example", NULL);
    struct tls_engine *s = tls_engine_server(server);
    fixture_talk(c, s, SIZE_MAX);
    assert_int_equal(TLS_FAILED, tls_engine_state(c));
    assert_non_null(strstr(tls_engine_error(c), "unable to get local issuer certificate"));
    tls_engine_free(c);
    tls_engine_free(s);
    tls_context_release(client);
    tls_context_release(server);
    buf_release(&error);
}

static bool is_weak(const char *cipher)
{
    const char *const weak[] = {"RC4",  "DES",  "MD5", "EXP",   "DSS", "SEED", "IDEA",
                                "NULL", "anon", "ADH", "AECDH", "PSK", "SRP"};
    for (size_t i = 0; i < sizeof weak / sizeof *weak; i++)
        if (strstr(cipher, weak[i]) != NULL)
            return true;
    return false;
}

/* Before 1.3 the name of the suite says it all. */
static bool is_strong(const char *cipher)
{
    return strncmp(cipher, "TLS_", 4) == 0 ||
           (strncmp(cipher, "ECDHE-", 6) == 0 &&
            (strstr(cipher, "-GCM-") != NULL || strstr(cipher, "CHACHA20") != NULL));
}

/* Counts what a client of the level offers, as a foreign server hears it. */
static size_t offered(enum tls_level level, bool (*counts)(const char *), size_t *all)
{
    struct foreign peer;
    struct tls_context *context = fixture_client(&fixture, level);
    struct tls_engine *e        = tls_engine_client(context, "mx.example", NULL);
    foreign_init(&peer, &fixture.good, TLS1_2_VERSION);
    (void)foreign_move(&peer, e);
    (void)SSL_do_handshake(peer.ssl);
    STACK_OF(SSL_CIPHER) *ciphers = SSL_get_client_ciphers(peer.ssl);
    size_t count                  = 0;
    *all                          = (size_t)sk_SSL_CIPHER_num(ciphers);
    for (size_t i = 0; i < *all; i++)
        count += counts(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, (int)i)));
    foreign_release(&peer);
    tls_engine_free(e);
    tls_context_release(context);
    return count;
}

static void ciphers_are_limited_by_the_level(void **state)
{
    (void)state;
    size_t all, strong_only;
    assert_int_equal(0, offered(TLS_OPPORTUNISTIC, is_weak, &all));
    assert_true(all > 20);
    size_t strong = offered(TLS_REQUIRED, is_strong, &strong_only);
    assert_int_equal(strong, strong_only);
    assert_true(strong_only >= 6 && strong_only < all);
    strong = offered(TLS_ENCRYPT, is_strong, &strong_only);
    assert_int_equal(strong, strong_only);
}

/* A reloaded certificate is a new context; connections of the old one go on. */
static void a_context_may_go_before_its_connections(void **state)
{
    (void)state;
    struct tls_context *client = fixture_client(&fixture, TLS_ENCRYPT);
    struct tls_context *server = fixture_server(&fixture.good, "s");
    struct tls_engine *c       = tls_engine_client(client, "mx.example", NULL);
    struct tls_engine *s       = tls_engine_server(server);
    tls_context_release(client);
    tls_context_release(server);
    fixture_talk(c, s, SIZE_MAX);
    assert_int_equal(TLS_SECURE, tls_engine_state(c));
    assert_int_equal(TLS_SECURE, tls_engine_state(s));
    tls_engine_free(c);
    tls_engine_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_files_are_named),
        cmocka_unit_test(a_file_that_is_no_pem_is_refused),
        cmocka_unit_test(a_key_of_another_certificate_is_refused),
        cmocka_unit_test(a_short_key_is_refused),
        cmocka_unit_test(a_key_with_a_password_is_refused_without_asking),
        cmocka_unit_test(the_systems_trust_store_is_the_default),
        cmocka_unit_test(trust_comes_from_the_given_file),
        cmocka_unit_test(ciphers_are_limited_by_the_level),
        cmocka_unit_test(a_context_may_go_before_its_connections),
    };
    fixture_init(&fixture);
    int failed = RUN(tests);
    fixture_release(&fixture);
    return failed;
}
