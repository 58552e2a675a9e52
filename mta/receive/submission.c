/* SPDX-License-Identifier: MIT */
#include "mta/receive/submission.h"
#include "mta/base/fault.h"
#include <stdarg.h>
#include <stdio.h>

enum { MINUTE_MS = 60000, HOUR_MS = 60 * MINUTE_MS };

__attribute__((format(printf, 3, 4))) static struct submission_no
refusal(int code, const char *enhanced, const char *format, ...)
{
    struct submission_no no = {.code = code};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(no.text, sizeof no.text, format, args);
    va_end(args);
    (void)snprintf(no.enhanced, sizeof no.enhanced, "%s", enhanced);
    return no;
}

static struct submission_no fine(void)
{
    return (struct submission_no){0};
}

static const struct quota_limits *messages_of(const struct submission_rules *rules,
                                              const struct user *user)
{
    return user->has_messages ? &user->messages : &rules->messages;
}

static const struct quota_limits *recipients_of(const struct submission_rules *rules,
                                                const struct user *user)
{
    return user->has_recipients ? &user->recipients : &rules->recipients;
}

/* RFC 5321: 452 is tried again; which is right, for time makes room. */
static struct submission_no check_quota(const struct quota_meter *meter,
                                        const struct quota_limits *limits, const char *what,
                                        uint64_t wall_ms)
{
    const char *window;
    uint64_t wait_ms = quota_wait_ms(meter, limits, 1, wall_ms, &window);
    uint64_t minutes = wait_ms / MINUTE_MS + 1;
    uint32_t limit   = window[0] == 'h' ? limits->hour : limits->day;
    if (wait_ms == 0)
        return fine();
    if (wait_ms >= HOUR_MS)
        return refusal(452, "4.7.1", "you may send %u %s a %s, try again in %u hours", limit, what,
                       window, (unsigned)(wait_ms / HOUR_MS + 1));
    return refusal(452, "4.7.1", "you may send %u %s a %s, try again in %u minutes", limit, what,
                   window, (unsigned)minutes);
}

struct submission_no submission_begin(struct submission *s, const struct submission_rules *rules,
                                      struct quotas *quotas, const struct user *user,
                                      struct span sender, uint64_t wall_ms)
{
    must(s->use == NULL);
    if (user == NULL || user->is_disabled)
        return refusal(550, "5.7.1", "this account may not send any more");
    /* RFC 8098 3: a receipt for a read mail has the null sender. */
    if (sender.len > 0 && !user_may_send_as(user, sender))
        return refusal(550, "5.7.1", "you may not send as <%.*s>", (int)sender.len, sender.at);
    struct quota_use *use = quotas_of(quotas, span_of(user->name));
    struct submission_no no =
        check_quota(&use->messages, messages_of(rules, user), "messages", wall_ms);
    if (no.code != 0)
        return no;
    quota_hold(&use->messages, 1);
    *s = (struct submission){.use = use, .limits = *recipients_of(rules, user)};
    manuscript_init(&s->manuscript);
    return fine();
}

struct submission_no submission_rcpt(struct submission *s, uint64_t wall_ms)
{
    struct submission_no no = check_quota(&s->use->recipients, &s->limits, "recipients", wall_ms);
    if (no.code == 0) {
        quota_hold(&s->use->recipients, 1);
        s->recipients++;
    }
    return no;
}

void submission_end(struct submission *s, bool is_sent, uint32_t recipients, uint64_t wall_ms)
{
    if (s->use == NULL)
        return;
    must(recipients <= s->recipients);
    quota_let_go(&s->use->recipients, is_sent ? s->recipients - recipients : s->recipients);
    if (is_sent) {
        quota_use(&s->use->recipients, recipients, wall_ms);
        quota_use(&s->use->messages, 1, wall_ms);
    } else {
        quota_let_go(&s->use->messages, 1);
    }
    manuscript_release(&s->manuscript);
    *s = (struct submission){0};
}
