/* SPDX-License-Identifier: MIT */
/* A client that says anything in an exchange: each line is a message.  Nobody enters, because
 * nobody knows the password; and what would be compared has gone through SASLprep. */
#include "mta/base/base64.h"
#include "mta/base/fault.h"
#include "mta/mail/escape.h"
#include "mta/receive/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 8 };

static const char file[] =
    ":key MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"
    "ann password=$y$j9T$k2XAnEHBqQ1Ct2aMXFKNa/HAmA1BpMnBsYHMWB4NZN4$z."
    "GdfLsAC0pKFN0YHue5p4W4SPNsBcVg1X9olFucxx7 "
    "scram=SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n";

static enum auth_step say(struct auth *auth, const struct users *users, struct span message,
                          bool has_response)
{
    char challenge[AUTH_CHALLENGE_BYTES];
    struct buf text = {0};
    base64_put(&text, message);
    enum auth_step step = auth_step(auth, users, has_response, buf_span(&text), challenge);
    must(step != AUTH_CHALLENGE || base64_is_good(span_of(challenge)));
    buf_release(&text);
    return step;
}

static void exchange(struct sasl *sasl, const struct users *users, const char *mechanism,
                     struct span text)
{
    static const struct auth_bindings bindings = {"ZXhwb3J0ZXI=", "dW5pcXVl"};
    struct auth *auth                          = auth_new(sasl, mechanism, &bindings);
    enum auth_step step                        = AUTH_CHALLENGE;
    struct span line;
    for (int i = 0; i < STEPS_MAX && step == AUTH_CHALLENGE && span_cut(&text, '\n', &line); i++)
        step = say(auth, users, line, i > 0 || line.len > 0);
    must(step != AUTH_RIGHT);
    must(step != AUTH_CHECK || utf8_is_valid(span_of(auth_password(auth))));
    must(span_of(auth_user(auth)).len <= USER_NAME_BYTES_MAX * 4);
    auth_free(auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"};
    struct buf error                 = {0};
    if (size == 0)
        return 0;
    struct sasl *sasl   = sasl_new();
    struct users *users = users_parse(span_make(file, sizeof file - 1), "users", &error);
    must(users != NULL);
    exchange(sasl, users, names[data[0] % 4], span_make((const char *)data + 1, size - 1));
    users_free(users);
    sasl_free(sasl);
    buf_release(&error);
    return 0;
}
