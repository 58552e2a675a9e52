/* SPDX-License-Identifier: MIT */
/*
 * PLAIN and LOGIN end in GNU SASL asking whether user and password are right; they are noted, and
 * the answer is always yes: what counts is the comparison behind AUTH_CHECK.  SCRAM asks for the
 * user's verifier, which is copied when the name is known, so that a reload in between changes
 * nothing.
 */
#include "mta/receive/auth.h"
#include "mta/base/base64.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include <gsasl.h>
#include <stdio.h>
#include <string.h>

enum { KEY_BYTES = 32, NUMBER_BYTES = 16 };

struct sasl {
    Gsasl *context;
    unsigned char key[KEY_BYTES]; /* stands in for that of a users' file without one */
};

enum auth_kind { KIND_PLAIN, KIND_LOGIN, KIND_SCRAM };

struct auth {
    struct sasl *sasl;
    Gsasl_session *session;
    const struct auth_bindings *bindings;
    const struct users *users; /* during a step */
    enum auth_kind kind;
    unsigned steps;
    struct buf user, password;
    struct scram scram;
    bool has_scram, may_log_in;
    bool is_proven; /* the last word of SCRAM went to the client */
};

/* --- the mechanisms --- */

static const struct {
    const char *name;
    enum auth_kind kind;
} mechanisms[] = {
    {"PLAIN",              KIND_PLAIN},
    {"LOGIN",              KIND_LOGIN},
    {"SCRAM-SHA-256",      KIND_SCRAM},
    {"SCRAM-SHA-256-PLUS", KIND_SCRAM},
};

static int on_property(Gsasl *context, Gsasl_session *session, Gsasl_property property);

struct sasl *sasl_new(void)
{
    struct sasl *sasl = mem_new(sizeof *sasl);
    must(gsasl_init(&sasl->context) == GSASL_OK);
    gsasl_callback_set(sasl->context, on_property);
    clock_random(sasl->key, sizeof sasl->key);
    return sasl;
}

void sasl_free(struct sasl *sasl)
{
    gsasl_done(sasl->context);
    password_wipe(sasl->key, sizeof sasl->key);
    mem_free(sasl);
}

struct auth *auth_new(struct sasl *sasl, const char *mechanism,
                      const struct auth_bindings *bindings)
{
    size_t i = 0, count = sizeof mechanisms / sizeof mechanisms[0];
    while (i < count && strcmp(mechanisms[i].name, mechanism) != 0)
        i++;
    if (i == count)
        return NULL;
    struct auth *auth = mem_new(sizeof *auth);
    auth->sasl        = sasl;
    auth->kind        = mechanisms[i].kind;
    auth->bindings    = bindings;
    must(gsasl_server_start(sasl->context, mechanism, &auth->session) == GSASL_OK);
    gsasl_session_hook_set(auth->session, auth);
    return auth;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    gsasl_finish(auth->session);
    password_wipe(auth->password.at, auth->password.len);
    buf_release(&auth->password);
    buf_release(&auth->user);
    mem_free(auth);
}

const char *auth_user(const struct auth *auth)
{
    return auth->user.len == 0 ? "" : auth->user.at;
}

const char *auth_password(const struct auth *auth)
{
    return auth->password.len == 0 ? "" : auth->password.at;
}

/* --- who it is --- */

/* A name that no user can have still is one, to be counted and told. */
static void note_user(struct auth *auth)
{
    const char *said = gsasl_property_fast(auth->session, GSASL_AUTHID);
    if (auth->user.len > 0 || said == NULL)
        return;
    if (user_prepare_name(said, &auth->user) != NULL) {
        buf_clear(&auth->user);
        buf_put(&auth->user, span_first(span_of(said), USER_NAME_BYTES_MAX));
    }
    (void)buf_text(&auth->user);
}

/* RFC 4616 2, 5802 5.1: to act as somebody else; nobody may. */
static bool acts_as_himself(struct auth *auth)
{
    const char *said    = gsasl_property_fast(auth->session, GSASL_AUTHZID);
    struct buf prepared = {0};
    if (said == NULL || said[0] == '\0')
        return true;
    bool is_same = user_prepare_name(said, &prepared) == NULL &&
                   strcmp(buf_text(&prepared), auth_user(auth)) == 0;
    buf_release(&prepared);
    return is_same;
}

/* --- what GNU SASL asks for --- */

static unsigned usual_iterations(const struct users *users)
{
    for (struct list *n = list_first(&users->in_file); n != NULL;
         n              = list_next(&users->in_file, n)) {
        const struct user *user = CONTAINER_OF(n, struct user, in_file);
        if (user->scram.iterations > 0)
            return user->scram.iterations;
    }
    return SCRAM_ITERATIONS;
}

static void find_scram(struct auth *auth)
{
    const struct users *users = auth->users;
    const struct user *user   = users_find(users, auth_user(auth));
    const unsigned char *key  = users->has_key ? users->key : auth->sasl->key;
    auth->has_scram           = true;
    auth->may_log_in          = user != NULL && !user->is_disabled && user->scram.iterations > 0;
    if (user != NULL && user->scram.iterations > 0)
        auth->scram = user->scram;
    else
        scram_of_nobody(span_of(auth_user(auth)), span_make((const char *)key, KEY_BYTES),
                        usual_iterations(users), &auth->scram);
}

static int give_scram(struct auth *auth, Gsasl_property property)
{
    char number[NUMBER_BYTES];
    note_user(auth);
    if (!auth->has_scram)
        find_scram(auth);
    (void)snprintf(number, sizeof number, "%u", auth->scram.iterations);
    const char *value = property == GSASL_SCRAM_ITER        ? number
                        : property == GSASL_SCRAM_SALT      ? auth->scram.salt
                        : property == GSASL_SCRAM_STOREDKEY ? auth->scram.stored_key
                                                            : auth->scram.server_key;
    return gsasl_property_set(auth->session, property, value);
}

static int give_binding(struct auth *auth, Gsasl_property property, const char *base64)
{
    return base64[0] == '\0' ? GSASL_NO_CALLBACK
                             : gsasl_property_set(auth->session, property, base64);
}

static int note_password(struct auth *auth)
{
    const char *said = gsasl_property_fast(auth->session, GSASL_PASSWORD);
    note_user(auth);
    (void)buf_reserve(&auth->password, PASSWORD_BYTES_MAX * 4); /* it never moves: no copies */
    if (said == NULL || password_prepare(said, false, &auth->password) != NULL)
        buf_clear(&auth->password);
    (void)buf_text(&auth->password);
    return GSASL_OK;
}

static int on_property(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    struct auth *auth = gsasl_session_hook_get(session);
    (void)context;
    switch (property) {
    case GSASL_VALIDATE_SIMPLE:
        return note_password(auth);
    case GSASL_SCRAM_ITER:
    case GSASL_SCRAM_SALT:
    case GSASL_SCRAM_STOREDKEY:
    case GSASL_SCRAM_SERVERKEY:
        return give_scram(auth, property);
    case GSASL_CB_TLS_EXPORTER:
        return give_binding(auth, property, auth->bindings->exporter);
    case GSASL_CB_TLS_UNIQUE:
        return give_binding(auth, property, auth->bindings->unique);
    default:
        return GSASL_NO_CALLBACK;
    }
}

/* --- steps --- */

/* What the machine says to the client, in base64; LOGIN in the words that all know. */
static bool put_challenge(const struct auth *auth, const char *bytes, size_t len,
                          char challenge[AUTH_CHALLENGE_BYTES])
{
    static const char *const words[] = {"Username:", "Password:"};
    struct buf text                  = {0};
    struct span said                 = span_make(bytes, len);
    if (auth->kind == KIND_LOGIN && auth->steps >= 1 && auth->steps <= 2)
        said = span_of(words[auth->steps - 1]);
    base64_put(&text, said);
    bool fits = text.len < AUTH_CHALLENGE_BYTES;
    if (fits)
        span_copy_text(buf_span(&text), challenge, AUTH_CHALLENGE_BYTES);
    buf_release(&text);
    return fits;
}

static enum auth_step judge(struct auth *auth, int result, size_t said)
{
    bool is_malformed = result == GSASL_MECHANISM_PARSE_ERROR || result == GSASL_BASE64_ERROR ||
                        result == GSASL_MECHANISM_CALLED_TOO_MANY_TIMES;
    if (result == GSASL_NEEDS_MORE)
        return AUTH_CHALLENGE;
    if (result != GSASL_OK)
        return is_malformed ? AUTH_MALFORMED : AUTH_WRONG;
    if (!acts_as_himself(auth))
        return AUTH_WRONG;
    if (auth->kind != KIND_SCRAM)
        return auth->password.len > 0 ? AUTH_CHECK : AUTH_WRONG;
    if (!auth->may_log_in)
        return AUTH_WRONG;
    auth->is_proven = said > 0;
    return said > 0 ? AUTH_CHALLENGE : AUTH_RIGHT;
}

static enum auth_step run(struct auth *auth, struct span input,
                          char challenge[AUTH_CHALLENGE_BYTES])
{
    char *output = NULL;
    size_t len   = 0;
    int result   = gsasl_step(auth->session, input.at, input.len, &output, &len);
    auth->steps++;
    note_user(auth);
    enum auth_step step = judge(auth, result, len);
    if (step == AUTH_CHALLENGE && !put_challenge(auth, output, len, challenge))
        step = AUTH_MALFORMED;
    gsasl_free(output);
    return step;
}

enum auth_step auth_step(struct auth *auth, const struct users *users, bool has_response,
                         struct span response, char challenge[AUTH_CHALLENGE_BYTES])
{
    static const struct span nothing = SPAN("");
    struct buf input                 = {0};
    enum auth_step step;
    if (auth->is_proven) /* RFC 4954 4: the last word of the server needs an empty answer */
        return response.len == 0 ? AUTH_RIGHT : AUTH_MALFORMED;
    auth->users = users;
    (void)buf_reserve(&input, response.len + 1);
    if (!base64_take(response, &input)) {
        step = AUTH_MALFORMED;
    } else {
        /* LOGIN asks first, whatever came with the command. */
        if (auth->kind == KIND_LOGIN && auth->steps == 0 && has_response)
            (void)run(auth, nothing, challenge);
        step = run(auth, buf_span(&input), challenge);
    }
    password_wipe(input.at, input.len);
    buf_release(&input);
    auth->users = NULL;
    return step;
}
