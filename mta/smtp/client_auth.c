/* SPDX-License-Identifier: MIT */
/*
 * AUTH to a smart host (RFC 4954): PLAIN, or LOGIN where only that is offered or PLAIN is said to
 * be unknown.  Credentials never leave in clear unless the configuration says so, and having them
 * means needing them: a session in which they cannot be used ends.
 */
#include "mta/smtp/client_parts.h"
#include <string.h>

enum { AUTH_PLAIN = 1, AUTH_LOGIN = 2 };

enum {
    PLAIN_BYTES_MAX  = 2 * SMTP_CREDENTIAL_BYTES_MAX + 2, /* NUL user NUL password */
    BASE64_BYTES_MAX = (PLAIN_BYTES_MAX + 2) / 3 * 4 + 1,
};

void client_auth_offer(struct smtp_client *c, struct span mechanisms)
{
    struct span name;
    while (span_cut(&mechanisms, ' ', &name)) {
        if (span_is_nocase(name, "PLAIN"))
            c->auth_offered |= AUTH_PLAIN;
        else if (span_is_nocase(name, "LOGIN"))
            c->auth_offered |= AUTH_LOGIN;
    }
}

static const char *base64(struct span from, char into[BASE64_BYTES_MAX])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *to                   = into;
    for (size_t i = 0; i < from.len; i += 3) {
        unsigned group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (i + k < from.len ? (unsigned char)from.at[i + k] : 0U);
        for (size_t k = 0; k < 4; k++)
            *to++ = (char)(i + k > from.len ? '=' : digits[group >> (18 - 6 * k) & 63]);
    }
    *to = '\0';
    return into;
}

static struct span plain_message(const struct smtp_client_config *config,
                                 char into[PLAIN_BYTES_MAX])
{
    struct span user = span_of(config->user), password = span_of(config->password);
    into[0] = into[user.len + 1] = '\0';
    memcpy(into + 1, user.at, user.len);
    memcpy(into + user.len + 2, password.at, password.len);
    return span_make(into, user.len + password.len + 2);
}

/* RFC 4954 4: a message that makes the command too long waits for the challenge. */
static enum smtp_phase start_plain(struct smtp_client *c)
{
    enum { MESSAGE_BYTES_MAX = 512 - sizeof "AUTH PLAIN \r\n" + 1 };
    char message[PLAIN_BYTES_MAX], text[BASE64_BYTES_MAX];
    (void)base64(plain_message(c->config, message), text);
    if (strlen(text) <= MESSAGE_BYTES_MAX)
        client_command(c, SMTP_AUTH, "AUTH PLAIN %s", text);
    else
        client_command(c, SMTP_AUTH, "AUTH PLAIN");
    return SMTP_PHASE_AUTH;
}

static enum smtp_phase start_login(struct smtp_client *c)
{
    client_command(c, SMTP_AUTH, "AUTH LOGIN");
    return SMTP_PHASE_AUTH;
}

/* The next mechanism that is offered and was not tried. */
static enum smtp_phase try_next(struct smtp_client *c, const struct smtp_reply *refusal)
{
    unsigned left = c->auth_offered & ~(unsigned)c->auth_tried;
    if (left == 0)
        return client_fail(c, refusal != NULL ? SMTP_CAUSE_REPLY : SMTP_CAUSE_POLICY, SMTP_AUTH,
                           refusal);
    c->auth_now = (left & AUTH_PLAIN) != 0 ? AUTH_PLAIN : AUTH_LOGIN;
    c->auth_tried |= c->auth_now;
    c->auth_step = 0;
    return c->auth_now == AUTH_PLAIN ? start_plain(c) : start_login(c);
}

enum smtp_phase client_auth_start(struct smtp_client *c)
{
    bool fits = span_of(c->config->user).len <= SMTP_CREDENTIAL_BYTES_MAX &&
                span_of(c->config->password).len <= SMTP_CREDENTIAL_BYTES_MAX;
    if (!fits || (!c->is_secured && !c->config->auth_in_clear))
        return client_fail(c, SMTP_CAUSE_POLICY, SMTP_AUTH, NULL);
    c->auth_tried = 0;
    return try_next(c, NULL);
}

/* 334: PLAIN is asked for its message again by peers that do not know the short form; LOGIN is
 * asked for user, then password. */
static enum smtp_phase answer_challenge(struct smtp_client *c)
{
    char message[PLAIN_BYTES_MAX], text[BASE64_BYTES_MAX];
    unsigned step = c->auth_step++;
    if (step >= (c->auth_now == AUTH_PLAIN ? 1U : 2U))
        return client_break(c, SMTP_AUTH);
    struct span answer = c->auth_now == AUTH_PLAIN
                             ? plain_message(c->config, message)
                             : span_of(step == 0 ? c->config->user : c->config->password);
    client_command(c, SMTP_AUTH, "%s", base64(answer, text));
    return SMTP_PHASE_AUTH;
}

enum smtp_phase client_after_auth(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (smtp_reply_class(reply) == 2)
        return SMTP_PHASE_READY;
    if (reply->code == 334)
        return answer_challenge(c);
    bool is_mechanism = reply->code == 504 || reply->code == 534; /* not what we said with it */
    return is_mechanism ? try_next(c, reply) : client_fail(c, SMTP_CAUSE_REPLY, SMTP_AUTH, reply);
}
