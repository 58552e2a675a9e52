/* SPDX-License-Identifier: MIT */
/* The other end is GNU SASL's own client. */
#include "check.h"
#include "mta/base/base64.h"
#include "mta/base/rng.h"
#include "mta/receive/auth.h"
#include <gsasl.h>
#include <stdlib.h>

enum { ROUNDS_MAX = 6 };

static struct sasl *sasl;
static struct users *users;
static const struct auth_bindings unbound = {"", ""};
static const struct auth_bindings bound   = {"ZXhwb3J0ZXI=", "dW5pcXVl"};

static int begin(void **state)
{
    (void)state;
    sasl  = sasl_new();
    users = users_new();
    user_set_password(users, users_add(users, "ann@x.example"), "sesame");
    user_set_password(users, users_add(users, "\xc3\xbcser"), "IX");
    struct user *gone = users_add(users, "gone");
    user_set_password(users, gone, "sesame");
    gone->is_disabled = true;
    return 0;
}

static int end(void **state)
{
    (void)state;
    users_free(users);
    sasl_free(sasl);
    return 0;
}

/* What a client knows. */
struct client {
    const char *mechanism, *user, *authzid, *password;
    const char *exporter, *unique; /* NULL: it knows no binding */
    bool sends_first;
};

static int on_client(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    const struct client *c = gsasl_callback_hook_get(context);
    const char *value      = property == GSASL_AUTHID            ? c->user
                             : property == GSASL_AUTHZID         ? c->authzid
                             : property == GSASL_PASSWORD        ? c->password
                             : property == GSASL_CB_TLS_EXPORTER ? c->exporter
                             : property == GSASL_CB_TLS_UNIQUE   ? c->unique
                                                                 : NULL;
    if (value == NULL)
        return GSASL_NO_CALLBACK;
    return gsasl_property_set(session, property, value);
}

/* How it ended. */
struct outcome {
    enum auth_step step;
    bool is_right; /* with the comparison */
    bool client_is_content;
    char user[256], first_challenge[AUTH_CHALLENGE_BYTES];
};

static bool compare(const struct auth *auth)
{
    const struct user *user = users_find(users, auth_user(auth));
    return user != NULL && !user->is_disabled && password_matches(auth_password(auth), user->hash);
}

static struct outcome meet(struct client c, const struct auth_bindings *bindings)
{
    struct outcome o = {0};
    char challenge[AUTH_CHALLENGE_BYTES], *said = NULL;
    Gsasl *context;
    Gsasl_session *session;
    struct auth *auth = auth_new(sasl, c.mechanism, bindings);
    assert_non_null(auth);
    assert_int_equal(gsasl_init(&context), GSASL_OK);
    gsasl_callback_set(context, on_client);
    gsasl_callback_hook_set(context, &c);
    assert_int_equal(gsasl_client_start(context, c.mechanism, &session), GSASL_OK);
    int result = GSASL_NEEDS_MORE;
    if (c.sends_first)
        result = gsasl_step64(session, "", &said);
    o.step = auth_step(auth, users, c.sends_first, span_of(said), challenge);
    memcpy(o.first_challenge, challenge, o.step == AUTH_CHALLENGE ? sizeof challenge : 0);
    for (int i = 0; i < ROUNDS_MAX && o.step == AUTH_CHALLENGE; i++) {
        gsasl_free(said);
        said   = NULL;
        result = gsasl_step64(session, challenge, &said);
        if (result != GSASL_OK && result != GSASL_NEEDS_MORE)
            break;
        o.step = auth_step(auth, users, true, span_of(said), challenge);
    }
    o.client_is_content = result == GSASL_OK;
    o.is_right          = o.step == AUTH_RIGHT || (o.step == AUTH_CHECK && compare(auth));
    (void)snprintf(o.user, sizeof o.user, "%s", auth_user(auth));
    gsasl_free(said);
    gsasl_finish(session);
    gsasl_done(context);
    auth_free(auth);
    return o;
}

static bool enters(const char *mechanism, const char *user, const char *password)
{
    return meet((struct client){.mechanism = mechanism, .user = user, .password = password},
                &unbound)
        .is_right;
}

static const char *const plain_ones[] = {"PLAIN", "LOGIN", "SCRAM-SHA-256"};

static void the_right_password_enters_with_every_mechanism(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(enters(plain_ones[i], "ann@x.example", "sesame"));
        assert_true(enters(plain_ones[i], "Ann@X.example", "sesame"));
        assert_false(enters(plain_ones[i], "ann@x.example", "Sesame"));
        assert_false(enters(plain_ones[i], "ann@x.example", "sesame "));
        assert_false(enters(plain_ones[i], "nobody", "sesame"));
        assert_false(enters(plain_ones[i], "gone", "sesame"));
    }
}

static void an_initial_response_saves_a_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {"PLAIN", "SCRAM-SHA-256"};
    for (size_t i = 0; i < 2; i++) {
        struct client c  = {names[i], "ann@x.example", NULL, "sesame", NULL, NULL, true};
        struct outcome o = meet(c, &unbound);
        assert_true(o.is_right && o.client_is_content);
        assert_string_equal(o.user, "ann@x.example");
    }
}

/* Clients that are told to send the name at once do it for LOGIN too. */
static void login_takes_the_name_with_the_command(void **state)
{
    char challenge[AUTH_CHALLENGE_BYTES];
    struct auth *auth = auth_new(sasl, "LOGIN", &unbound);
    (void)state;
    assert_int_equal(auth_step(auth, users, true, span_of("YW5uQHguZXhhbXBsZQ=="), challenge),
                     AUTH_CHALLENGE);
    assert_string_equal(challenge, "UGFzc3dvcmQ6");
    assert_int_equal(auth_step(auth, users, true, span_of("c2VzYW1l"), challenge), AUTH_CHECK);
    assert_string_equal(auth_user(auth), "ann@x.example");
    assert_string_equal(auth_password(auth), "sesame");
    auth_free(auth);
    auth = auth_new(sasl, "LOGIN", &unbound);
    assert_int_equal(auth_step(auth, users, false, span_of(""), challenge), AUTH_CHALLENGE);
    assert_string_equal(challenge, "VXNlcm5hbWU6");
    auth_free(auth);
}

static void names_and_passwords_are_compared_as_saslprep_has_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(enters(plain_ones[i], "u\xcc\x88ser", "I\xc2\xadX"));
        assert_true(enters(plain_ones[i], "\xc3\xbcser", "\xe2\x85\xa8"));
        assert_false(enters(plain_ones[i], "\xc3\xbcser", "ix"));
    }
}

static void nobody_acts_as_somebody_else(void **state)
{
    static const char *const names[] = {"PLAIN", "SCRAM-SHA-256"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c = {.mechanism = names[i], .user = "ann@x.example", .password = "sesame"};
        c.authzid       = "ann@x.example";
        assert_true(meet(c, &unbound).is_right);
        c.authzid = "gone";
        assert_int_equal(meet(c, &unbound).step, AUTH_WRONG);
        c.authzid = "root";
        assert_int_equal(meet(c, &unbound).step, AUTH_WRONG);
    }
}

static void a_bound_exchange_is_of_this_connection_only(void **state)
{
    struct client c = {.mechanism = "SCRAM-SHA-256-PLUS",
                       .user      = "ann@x.example",
                       .password  = "sesame",
                       .exporter  = bound.exporter};
    (void)state;
    assert_true(meet(c, &bound).is_right);
    c.exporter = "c29tZWJvZHk=";
    assert_int_equal(meet(c, &bound).step, AUTH_WRONG);
    c.exporter = NULL;
    c.unique   = bound.unique;
    assert_true(meet(c, &bound).is_right);
    c.unique = "c29tZWJvZHk=";
    assert_int_equal(meet(c, &bound).step, AUTH_WRONG);
    c.password = "wrong";
    c.unique   = bound.unique;
    assert_int_equal(meet(c, &bound).step, AUTH_WRONG);
}

static enum auth_step first_step(const char *mechanism, const char *message,
                                 const struct auth_bindings *bindings)
{
    char challenge[AUTH_CHALLENGE_BYTES];
    struct buf text   = {0};
    struct auth *auth = auth_new(sasl, mechanism, bindings);
    base64_put(&text, span_of(message));
    enum auth_step step = auth_step(auth, users, true, buf_span(&text), challenge);
    buf_release(&text);
    auth_free(auth);
    return step;
}

/* RFC 5802 6: who says that we offer no -PLUS was told so by somebody between. */
static void a_stripped_offer_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(first_step("SCRAM-SHA-256", "n,,n=ann@x.example,r=abcdefgh", &bound),
                     AUTH_CHALLENGE);
    assert_int_equal(first_step("SCRAM-SHA-256", "y,,n=ann@x.example,r=abcdefgh", &bound),
                     AUTH_WRONG);
    assert_int_equal(first_step("SCRAM-SHA-256", "y,,n=ann@x.example,r=abcdefgh", &unbound),
                     AUTH_CHALLENGE);
    assert_int_equal(first_step("SCRAM-SHA-256-PLUS", "n,,n=ann@x.example,r=abcdefgh", &bound),
                     AUTH_WRONG);
    assert_int_equal(
        first_step("SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=ann@x.example,r=abcdefgh", &unbound),
        AUTH_WRONG);
}

/* The server's first words: r=, s=, i=. */
static void told(const char *user, char into[AUTH_CHALLENGE_BYTES])
{
    struct outcome o = meet(
        (struct client){
            .mechanism = "SCRAM-SHA-256", .user = user, .password = "x", .sends_first = true},
        &unbound);
    struct buf text = {0};
    assert_int_equal(o.step, AUTH_WRONG);
    assert_true(base64_take(span_of(o.first_challenge), &text));
    char *salt = strstr(buf_text(&text), ",s=");
    assert_non_null(salt);
    (void)snprintf(into, AUTH_CHALLENGE_BYTES, "%s", salt);
    buf_release(&text);
}

static void who_does_not_exist_is_told_the_same_each_time(void **state)
{
    char one[AUTH_CHALLENGE_BYTES], again[AUTH_CHALLENGE_BYTES], other[AUTH_CHALLENGE_BYTES];
    (void)state;
    told("nobody", one);
    told("NoBody", again);
    told("somebody", other);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    told("ann@x.example", other);
    assert_int_equal(strlen(one), strlen(other));
    assert_string_equal(strstr(one, ",i="), strstr(other, ",i="));
    told("gone", one);
    assert_int_equal(strlen(one), strlen(other));
}

static void what_is_none_of_the_mechanism_is_said(void **state)
{
    char challenge[AUTH_CHALLENGE_BYTES];
    (void)state;
    assert_int_equal(first_step("PLAIN", "x", &unbound), AUTH_MALFORMED);
    assert_int_equal(first_step("SCRAM-SHA-256", "hello", &unbound), AUTH_MALFORMED);
    assert_int_equal(first_step("SCRAM-SHA-256", "n,,n=,r=x", &unbound), AUTH_MALFORMED);
    assert_null(auth_new(sasl, "CRAM-MD5", &unbound));
    assert_null(auth_new(sasl, "plain", &unbound));
    struct auth *auth = auth_new(sasl, "PLAIN", &unbound);
    assert_int_equal(auth_step(auth, users, true, span_of("AGFubgBz*"), challenge), AUTH_MALFORMED);
    auth_free(auth);
    /* the last word of SCRAM is answered with nothing */
    assert_int_equal(first_step("LOGIN", "", &unbound), AUTH_MALFORMED);
}

/* Messages broken anywhere, at every step: it ends, and never well. */
static void broken_messages_never_enter(void **state)
{
    static const char plain[] = "\0ann@x.example\0sesamx";
    struct rng rng;
    (void)state;
    rng_seed(&rng, 9);
    for (int run = 0; run < 3000; run++) {
        char challenge[AUTH_CHALLENGE_BYTES];
        const char *name    = plain_ones[rng_below(&rng, 3)];
        struct auth *auth   = auth_new(sasl, name, &bound);
        enum auth_step step = AUTH_CHALLENGE;
        for (int i = 0; i < ROUNDS_MAX && step == AUTH_CHALLENGE; i++) {
            struct buf message = {0}, text = {0};
            if (rng_below(&rng, 2) == 0)
                buf_put(&message, span_make(plain, rng_below(&rng, sizeof plain)));
            else
                buf_printf(&message, "n,,n=ann@x.example,r=%u,p=x,c=biws",
                           (unsigned)rng_below(&rng, 9));
            for (uint64_t n = rng_below(&rng, 4); n > 0 && message.len > 0; n--)
                message.at[rng_below(&rng, message.len)] = (char)rng_below(&rng, 256);
            base64_put(&text, buf_span(&message));
            step = auth_step(auth, users, i > 0 || rng_below(&rng, 2) == 0, buf_span(&text),
                             challenge);
            buf_release(&message);
            buf_release(&text);
        }
        assert_int_not_equal(step, AUTH_RIGHT);
        if (step == AUTH_CHECK)
            assert_string_not_equal(auth_password(auth), "sesame");
        auth_free(auth);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_password_enters_with_every_mechanism),
        cmocka_unit_test(an_initial_response_saves_a_round_trip),
        cmocka_unit_test(login_takes_the_name_with_the_command),
        cmocka_unit_test(names_and_passwords_are_compared_as_saslprep_has_them),
        cmocka_unit_test(nobody_acts_as_somebody_else),
        cmocka_unit_test(a_bound_exchange_is_of_this_connection_only),
        cmocka_unit_test(a_stripped_offer_is_noticed),
        cmocka_unit_test(who_does_not_exist_is_told_the_same_each_time),
        cmocka_unit_test(what_is_none_of_the_mechanism_is_said),
        cmocka_unit_test(broken_messages_never_enter),
    };
    return check_report(cmocka_run_group_tests(tests, begin, end), sizeof tests / sizeof tests[0]);
}
