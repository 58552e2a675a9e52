/* SPDX-License-Identifier: MIT */
/* Fate by prefix is a table; fate by share is a number made from the address. */
#include "bench/mx_mailbox.h"
#include "bench/units.h"
#include <string.h>

enum { KEY_BYTES_MAX = 1024 };

struct fate {
    const char *prefix, *reply;
};

static const struct fate at_rcpt[] = {
    {"unknown-", "550 5.1.1 no such mailbox"        },
    {"defer-",   "450 4.2.0 mailbox busy, try later"},
    {"full-",    "452 4.2.2 mailbox full"           },
};
static const struct fate at_dot[] = {
    {"dotfail-",  "550 5.7.1 not wanted here"    },
    {"dotdefer-", "451 4.3.0 cannot store it now"},
};
static const char greylisted[] = "450 4.7.1 greylisted, try again later";

static const char *by_prefix(const struct fate *fates, size_t count, struct span rcpt)
{
    for (size_t i = 0; i < count; i++)
        if (span_starts_nocase(rcpt, span_of(fates[i].prefix)))
            return fates[i].reply;
    return NULL;
}

static const char *by_share(const struct personality *rules, struct span rcpt)
{
    uint64_t share = span_hash_nocase(rcpt, 0) % UNITS_SHARE_WHOLE;
    if (share < rules->unknown)
        return at_rcpt[0].reply;
    if (share < rules->unknown + rules->defer)
        return at_rcpt[1].reply;
    if (share < rules->unknown + rules->defer + rules->full)
        return at_rcpt[2].reply;
    return NULL;
}

static size_t add(char key[KEY_BYTES_MAX], size_t at, struct span part)
{
    part = span_first(part, KEY_BYTES_MAX - 1 - at);
    memcpy(key + at, part.at, part.len);
    key[at + part.len] = '\0';
    return at + part.len + (at + part.len < KEY_BYTES_MAX - 1);
}

static bool passes(struct greylist *greylist, const struct mx_visit *visit, uint64_t wait_ms)
{
    char key[KEY_BYTES_MAX];
    size_t len = add(key, 0, visit->peer);
    len        = add(key, len, visit->sender);
    len        = add(key, len, visit->rcpt);
    return greylist_passes(greylist, span_make(key, len), wait_ms, visit->now_ms);
}

const char *mx_mailbox_at_rcpt(const struct personality *rules, struct greylist *greylist,
                               const struct mx_visit *visit)
{
    const char *reply = by_prefix(at_rcpt, sizeof at_rcpt / sizeof at_rcpt[0], visit->rcpt);
    if (reply == NULL)
        reply = by_share(rules, visit->rcpt);
    if (reply != NULL)
        return reply;
    bool once = span_starts_nocase(visit->rcpt, span_of("once-"));
    if ((once || rules->greylists) &&
        !passes(greylist, visit, rules->greylists ? rules->greylist_ms : 0))
        return greylisted;
    return NULL;
}

const char *mx_mailbox_at_dot(struct span rcpt)
{
    return by_prefix(at_dot, sizeof at_dot / sizeof at_dot[0], rcpt);
}
