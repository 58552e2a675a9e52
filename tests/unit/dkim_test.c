/* SPDX-License-Identifier: MIT */
#include "mta/mail/dkim.h"
#include "tests/unit/check.h"
#include <openssl/evp.h>
#include <string.h>

/* The key and the message of RFC 8463, appendix A. */
static const char rfc8463_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const char header[] = "From: Joe SixPack <joe@football.example.com>\r\n"
                             "To: Suzie Q <suzie@shopping.example.net>\r\n"
                             "Subject: Is dinner ready?\r\n"
                             "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
                             "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n";
static const char body[]   = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

static void base64_of(const unsigned char *bytes, size_t len, char *into)
{
    EVP_EncodeBlock((unsigned char *)into, bytes, (int)len);
}

/* In two pieces, cut at 'cut'. */
static void hash_body(struct span text, size_t cut, unsigned char hash[DIGEST_BYTES])
{
    struct digest *digest = digest_new();
    struct dkim_body canonical;
    dkim_body_begin(&canonical, digest);
    dkim_body_add(&canonical, span_first(text, cut));
    dkim_body_add(&canonical, span_skip(text, cut));
    dkim_body_end(&canonical, hash);
    digest_free(digest);
}

static void hash_text(const char *text, unsigned char hash[DIGEST_BYTES])
{
    struct digest *digest = digest_new();
    digest_begin(digest);
    digest_add(digest, span_of(text));
    digest_end(digest, hash);
    digest_free(digest);
}

static void a_body_has_its_relaxed_form_wherever_it_is_cut(void **state)
{
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        {" C \r\nD \t E\r\n\r\n\r\n",                              " C\r\nD E\r\n"     }, /* RFC 6376 3.4.5 */
        {"",                                                       ""                  },
        {"\r\n\r\n",                                               ""                  },
        {" \t\r\n \r\n",                                           ""                  },
        {"no end",                                                 "no end\r\n"        },
        {"end in spaces  ",                                        "end in spaces\r\n" },
        {"a\r\n\r\n\r\nb\r\n",                                     "a\r\n\r\n\r\nb\r\n"},
        {"a\r\n \t \r\nb  c\td\r\n",                               "a\r\n\r\nb c d\r\n"},
        {"a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb", /* more than are written at once
         */
         "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb\r\n"                     },
        {"a\rb\r\n",                                                        "a\rb\r\n"                                             },
        {"a\r\r\n",                                                        "a\r\r\n"                      },
    };
    unsigned char expected[DIGEST_BYTES], found[DIGEST_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hash_text(cases[i].canonical, expected);
        for (size_t cut = 0; cut <= strlen(cases[i].text); cut++) {
            hash_body(span_of(cases[i].text), cut, found);
            if (memcmp(found, expected, sizeof found) != 0)
                fail_msg("case %zu, cut at %zu", i, cut);
        }
    }
}

static void a_field_has_its_relaxed_form(void **state)
{
    static const char *const cases[][3] = {
        {"A",       " X",                  "a:X"                  }, /* RFC 6376 3.4.5 */
        {"B ",      " Y\t\r\n\tZ  ",       "b:Y Z"                },
        {"Subject", "",                    "subject:"             },
        {"Subject", " \r\n \r\n",          "subject:"             },
        {"To",      "a,\r\n b,  \t c",     "to:a, b, c"           },
        {"X-Y",     "\xc3\xa4  \xc3\xb6 ", "x-y:\xc3\xa4 \xc3\xb6"},
    };
    struct buf into = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&into);
        dkim_canonical_field(span_of(cases[i][0]), span_of(cases[i][1]), &into);
        assert_string_equal(buf_text(&into), cases[i][2]);
    }
    buf_release(&into);
}

static void the_body_hash_is_that_of_rfc_8463(void **state)
{
    unsigned char hash[DIGEST_BYTES];
    char text[64];
    (void)state;
    hash_body(span_of(body), 7, hash);
    base64_of(hash, sizeof hash, text);
    assert_string_equal(text, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
}

static struct dkim_key *read_key(const char *pem)
{
    struct buf error     = {0};
    struct dkim_key *key = dkim_key_read(span_of(pem), &error);
    if (key == NULL)
        fail_msg("%s", buf_text(&error));
    buf_release(&error);
    return key;
}

static void the_signature_is_that_of_rfc_8463(void **state)
{
    static const char signed_text[] =
        "from:Joe SixPack <joe@football.example.com>\r\n"
        "to:Suzie Q <suzie@shopping.example.net>\r\n"
        "subject:Is dinner ready?\r\n"
        "date:Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
        "message-id:<20030712040037.46341.5F8J@football.example.com>\r\n"
        "dkim-signature:v=1; a=ed25519-sha256; c=relaxed/relaxed; d=football.example.com; "
        "i=@football.example.com; q=dns/txt; s=brisbane; t=1528637909; h=from : to : subject : "
        "date : message-id : from : subject : date; "
        "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=";
    struct dkim_key *key = read_key(rfc8463_key);
    unsigned char hash[DIGEST_BYTES], signature[DKIM_SIGNATURE_BYTES_MAX];
    char text[128];
    (void)state;
    hash_text(signed_text, hash);
    size_t len = dkim_key_sign(key, hash, signature);
    base64_of(signature, len, text);
    assert_string_equal(text, "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU"
                              "7ZbnKELq+eXdp1Q1Dw==");
    dkim_key_free(key);
}

static void the_record_is_that_of_rfc_8463(void **state)
{
    struct dkim_key *key = read_key(rfc8463_key);
    struct buf record    = {0};
    (void)state;
    dkim_key_write_record(key, &record);
    assert_string_equal(buf_text(&record),
                        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    buf_release(&record);
    dkim_key_free(key);
}

static void sign(struct dkim_key *key, const char *fields, struct buf *into)
{
    const struct dkim_identity identity = {"football.example.com", "brisbane", key};
    unsigned char hash[DIGEST_BYTES];
    struct digest *digest = digest_new();
    struct buf scratch    = {0};
    hash_body(span_of(body), 0, hash);
    dkim_sign(&identity, span_of(fields), hash, 1528637909000, digest, &scratch, into);
    buf_release(&scratch);
    digest_free(digest);
}

static bool has_text(struct buf *in, const char *text)
{
    return strstr(buf_text(in), text) != NULL;
}

static void what_is_signed_is_named_once_more(void **state)
{
    struct dkim_key *key = read_key(rfc8463_key);
    struct buf field     = {0};
    (void)state;
    sign(key, header, &field);
    assert_true(has_text(&field, "h=from:from:to:to:cc:subject:subject:date:date:"));
    assert_true(has_text(&field, "; d=football.example.com;\r\n\ts=brisbane; t=1528637909;\r\n"));
    assert_true(has_text(&field, "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;"));
    buf_release(&field);
    dkim_key_free(key);
}

/* Of the text in 'field' without white space. */
static void squeeze(struct buf *field)
{
    size_t len = 0;
    for (size_t i = 0; i < field->len; i++)
        if (strchr(" \t\r\n", field->at[i]) == NULL)
            field->at[len++] = field->at[i];
    field->len = len;
}

static void each_instance_is_signed_from_below(void **state)
{
    struct dkim_key *key = read_key(rfc8463_key);
    struct buf one = {0}, other = {0};
    (void)state;
    sign(key, "List-Post: <a>\r\nFrom: a@b.example\r\nList-Post: <b>\r\n", &one);
    squeeze(&one);
    assert_true(has_text(&one, ":list-post:list-post:feedback-id"));
    sign(key, "List-Post: <b>\r\nFrom: a@b.example\r\nList-Post: <a>\r\n", &other);
    squeeze(&other);
    assert_string_not_equal(buf_text(&one), buf_text(&other));
    buf_release(&one);
    buf_release(&other);
    dkim_key_free(key);
}

static void no_line_is_long_whatever_the_header(void **state)
{
    struct dkim_key *key = dkim_key_generate(DKIM_RSA_SHA256, 2048);
    struct buf field = {0}, fields = {0};
    (void)state;
    for (int i = 0; i < 300; i++)
        buf_put_text(&fields, "References: <a@b.example>\r\n");
    sign(key, buf_text(&fields), &field);
    struct span rest = buf_span(&field), line;
    while (span_cut(&rest, '\n', &line))
        assert_true(line.len <= 78);
    buf_release(&fields);
    buf_release(&field);
    dkim_key_free(key);
}

static void a_key_survives_writing_and_copying(void **state)
{
    static const enum dkim_algorithm algorithms[] = {DKIM_RSA_SHA256, DKIM_ED25519_SHA256};
    (void)state;
    for (int i = 0; i < 2; i++) {
        unsigned char hash[DIGEST_BYTES] = {1}, one[DKIM_SIGNATURE_BYTES_MAX],
                      other[DKIM_SIGNATURE_BYTES_MAX];
        struct dkim_key *key = dkim_key_generate(algorithms[i], 2048), *copy = dkim_key_copy(key);
        struct buf pem = {0};
        dkim_key_write(key, &pem);
        struct dkim_key *again = read_key(buf_text(&pem));
        size_t len             = dkim_key_sign(again, hash, one);
        assert_int_equal(dkim_key_algorithm(again), algorithms[i]);
        assert_int_equal(dkim_key_sign(copy, hash, other), len);
        assert_memory_equal(one, other, len);
        buf_release(&pem);
        dkim_key_free(again);
        dkim_key_free(copy);
        dkim_key_free(key);
    }
}

static void what_may_not_sign_is_refused(void **state)
{
    struct buf error = {0}, pem = {0};
    struct dkim_key *small = dkim_key_generate(DKIM_RSA_SHA256, 512);
    (void)state;
    assert_null(dkim_key_read(span_of("no key"), &error));
    assert_true(has_text(&error, "no private key"));
    dkim_key_write(small, &pem);
    assert_null(dkim_key_read(buf_span(&pem), &error));
    assert_true(has_text(&error, "less than 1024 bits"));
    dkim_key_free(small);
    buf_release(&error);
    buf_release(&pem);
}

static void a_domain_signs_for_what_is_below_it(void **state)
{
    (void)state;
    assert_true(dkim_signs_for("b.example", span_of("b.example")));
    assert_true(dkim_signs_for("b.example", span_of("Lists.B.example")));
    assert_false(dkim_signs_for("b.example", span_of("evilb.example")));
    assert_false(dkim_signs_for("lists.b.example", span_of("b.example")));
}

static void the_from_domain_is_that_of_a_single_mailbox(void **state)
{
    char into[256];
    (void)state;
    assert_true(span_is(
        dkim_from_domain(span_of("Subject: x\r\nFrom: Ann <a@B.example>\r\n"), into), "B.example"));
    assert_null(dkim_from_domain(span_of("From: a@b.example, c@d.example\r\n"), into).at);
    assert_null(dkim_from_domain(span_of("Subject: x\r\n"), into).at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_has_its_relaxed_form_wherever_it_is_cut),
        cmocka_unit_test(a_field_has_its_relaxed_form),
        cmocka_unit_test(the_body_hash_is_that_of_rfc_8463),
        cmocka_unit_test(the_signature_is_that_of_rfc_8463),
        cmocka_unit_test(the_record_is_that_of_rfc_8463),
        cmocka_unit_test(what_is_signed_is_named_once_more),
        cmocka_unit_test(each_instance_is_signed_from_below),
        cmocka_unit_test(no_line_is_long_whatever_the_header),
        cmocka_unit_test(a_key_survives_writing_and_copying),
        cmocka_unit_test(what_may_not_sign_is_refused),
        cmocka_unit_test(a_domain_signs_for_what_is_below_it),
        cmocka_unit_test(the_from_domain_is_that_of_a_single_mailbox),
    };
    return RUN(tests);
}
