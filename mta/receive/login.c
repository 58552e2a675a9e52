/* SPDX-License-Identifier: MIT */
#include "mta/receive/login.h"
#include "mta/base/fault.h"
#include <stdio.h>
#include <string.h>

void login_init(struct login *l, struct porter *porter, const struct net_address *from,
                bool is_trusted)
{
    *l = (struct login){.porter = porter, .from = *from, .is_trusted = is_trusted};
}

void login_abandon(struct login *l)
{
    auth_free(l->auth);
    l->auth = NULL;
    if (l->check != NULL)
        checks_disown(l->check);
    l->check    = NULL;
    l->is_tried = false;
}

void login_release(struct login *l)
{
    login_abandon(l);
}

/* --- answers --- */

static void answer(struct login_said *said, int code, const char *enhanced, const char *text)
{
    said->next        = LOGIN_ANSWER;
    said->answer.code = code;
    (void)snprintf(said->answer.enhanced, sizeof said->answer.enhanced, "%s", enhanced);
    (void)snprintf(said->answer.text, sizeof said->answer.text, "%s", text);
}

static void end(struct login *l, struct login_said *said, const char *cause)
{
    span_copy_text(span_of(l->auth == NULL ? "" : auth_user(l->auth)), said->user,
                   sizeof said->user);
    said->cause = cause;
    login_abandon(l);
}

/* The next one is said later, and the third is the last. */
static void fail(struct login *l, struct login_said *said, const char *cause)
{
    l->failures++;
    said->delay_ms = (uint64_t)LOGIN_DELAY_MS * l->failures;
    said->is_last  = l->failures >= LOGIN_FAILURES_MAX;
    end(l, said, cause);
}

static void refuse(struct login *l, uint64_t now_ms, struct login_said *said)
{
    guard_end(&l->porter->guard, &l->attempt, false, now_ms);
    answer(said, 535, "5.7.8", "authentication failed");
    fail(l, said, "wrong user or password");
}

static void accept(struct login *l, uint64_t now_ms, struct login_said *said)
{
    guard_end(&l->porter->guard, &l->attempt, true, now_ms);
    answer(said, 235, "2.7.0", "authentication succeeded");
    end(l, said, NULL);
    span_copy_text(span_of(said->user), l->user, sizeof l->user);
}

static void turn_away(struct login *l, uint64_t wait_ms, struct login_said *said)
{
    char text[64];
    (void)snprintf(text, sizeof text, "too many failed attempts, try again in %u s",
                   (unsigned)(wait_ms / 1000 + 1));
    answer(said, 454, "4.7.0", text);
    fail(l, said, "slowed down after failed attempts");
}

/* --- steps --- */

static void begin(struct login *l, const struct smtp_server_auth *asked)
{
    login_abandon(l);
    span_copy_text(span_of(asked->mechanism), l->mechanism, sizeof l->mechanism);
    l->auth = auth_new(l->porter->sasl, l->mechanism, &l->bindings);
    must(l->auth != NULL); /* the core has compared it with what we announce */
}

/* Once an exchange, when its user is known; false: he must wait, and was told. */
static bool passes_guard(struct login *l, uint64_t now_ms, struct login_said *said)
{
    if (l->is_tried)
        return true;
    uint64_t wait_ms = guard_begin(&l->porter->guard, &l->attempt, &l->from,
                                   span_of(auth_user(l->auth)), l->is_trusted, now_ms);
    l->is_tried      = true;
    if (wait_ms > 0)
        turn_away(l, wait_ms, said);
    return wait_ms == 0;
}

static void compare(struct login *l, void *owner, uint64_t now_ms, struct login_said *said)
{
    const struct user *user = users_find(l->porter->users, auth_user(l->auth));
    bool may_log_in         = user != NULL && !user->is_disabled;
    switch (checks_begin(l->porter->checks, span_of(auth_user(l->auth)),
                         may_log_in ? user->hash : NULL, auth_password(l->auth), owner, now_ms,
                         &l->check)) {
    case CHECK_RIGHT:
        accept(l, now_ms, said);
        break;
    case CHECK_BEGUN:
        said->next = LOGIN_WAIT;
        break;
    case CHECK_FULL:
        guard_undo(&l->porter->guard, &l->attempt);
        answer(said, 454, "4.7.0", "too many logins at once, try again later");
        said->delay_ms = LOGIN_DELAY_MS;
        end(l, said, "too many passwords wait to be compared");
        break;
    }
}

/* What the exchange has come to, and the guard lets pass. */
static void act(struct login *l, enum auth_step step, void *owner, uint64_t now_ms,
                struct login_said *said)
{
    switch (step) {
    case AUTH_CHALLENGE:
        said->next = LOGIN_CHALLENGE;
        break;
    case AUTH_CHECK:
        compare(l, owner, now_ms, said);
        break;
    case AUTH_RIGHT:
        accept(l, now_ms, said);
        break;
    case AUTH_WRONG:
        refuse(l, now_ms, said);
        break;
    case AUTH_MALFORMED:
        answer(said, 501, "5.5.2", "that is no message of this mechanism");
        fail(l, said, "malformed message");
        break;
    }
}

void login_step(struct login *l, const struct smtp_server_auth *asked, void *owner, uint64_t now_ms,
                struct login_said *said)
{
    *said = (struct login_said){0};
    must(l->check == NULL && l->user[0] == '\0');
    if (asked->is_first)
        begin(l, asked);
    must(l->auth != NULL);
    enum auth_step step =
        auth_step(l->auth, l->porter->users, asked->has_response, asked->response, said->challenge);
    bool is_known = auth_user(l->auth)[0] != '\0';
    if ((step == AUTH_CHALLENGE && !is_known) || passes_guard(l, now_ms, said))
        act(l, step, owner, now_ms, said);
}

void login_checked(struct login *l, bool is_right, uint64_t now_ms, struct login_said *said)
{
    *said    = (struct login_said){0};
    l->check = NULL; /* it has ended */
    if (is_right)
        accept(l, now_ms, said);
    else
        refuse(l, now_ms, said);
}
