/* SPDX-License-Identifier: MIT */
/* One row a knob; a row's place in the table is its bit in personality.set. */
#include "bench/personality.h"
#include "bench/units.h"
#include <string.h>

enum knob_kind { FLAG, NUMBER, SIZE, DURATION, SHARE, TEXT, CHOICE, ACTION, GREYLIST };
enum knob_scope { HOST, MAILBOX, BOTH };

struct knob {
    const char *name;
    enum knob_kind kind;
    enum knob_scope scope;
    size_t offset, bytes;
    const char *const *choices; /* ends in NULL */
};

#define NAME(id, text) text,
static const char *const act_names[]      = {ACTS(NAME) NULL};
static const char *const starttls_names[] = {STARTTLS_MODES(NAME) NULL};
static const char *const dns_names[]      = {DNS_MODES(NAME) NULL};
#undef NAME

#define FIELD(member)                                                                              \
    offsetof(struct personality, member), sizeof(((struct personality *)NULL)->member)
#define AT(id, text) {"at-" text, ACTION, HOST, FIELD(at[STAGE_##id]), NULL},

/* clang-format off */
static const struct knob knobs[] = {
    STAGES(AT)
    {"times",             NUMBER,   HOST,    FIELD(times), NULL},
    {"every",             NUMBER,   HOST,    FIELD(every), NULL},
    {"dead",              FLAG,     HOST,    FIELD(dead), NULL},
    {"dead-for",          DURATION, HOST,    FIELD(dead_ms), NULL},
    {"blackhole",         FLAG,     HOST,    FIELD(blackhole), NULL},
    {"blackholes",        NUMBER,   HOST,    FIELD(blackholes), NULL},
    {"latency",           DURATION, HOST,    FIELD(latency_ms), NULL},
    {"tarpit",            DURATION, HOST,    FIELD(tarpit_ms), NULL},
    {"idle",              DURATION, HOST,    FIELD(idle_ms), NULL},
    {"read-rate",         SIZE,     HOST,    FIELD(read_rate), NULL},
    {"connections",       NUMBER,   HOST,    FIELD(connections), NULL},
    {"connections-close", NUMBER,   HOST,    FIELD(connections_close), NULL},
    {"messages",          NUMBER,   HOST,    FIELD(messages), NULL},
    {"messages-close",    NUMBER,   HOST,    FIELD(messages_close), NULL},
    {"rcpts",             NUMBER,   HOST,    FIELD(rcpts), NULL},
    {"no-esmtp",          FLAG,     HOST,    FIELD(no_esmtp), NULL},
    {"no-pipelining",     FLAG,     HOST,    FIELD(no_pipelining), NULL},
    {"no-size",           FLAG,     HOST,    FIELD(no_size), NULL},
    {"no-8bitmime",       FLAG,     HOST,    FIELD(no_8bitmime), NULL},
    {"no-smtputf8",       FLAG,     HOST,    FIELD(no_smtputf8), NULL},
    {"no-dsn",            FLAG,     HOST,    FIELD(no_dsn), NULL},
    {"no-enhanced",       FLAG,     HOST,    FIELD(no_enhanced), NULL},
    {"no-tls13",          FLAG,     HOST,    FIELD(no_tls13), NULL},
    {"drop-behind",       FLAG,     HOST,    FIELD(drop_behind), NULL},
    {"chunking",          FLAG,     HOST,    FIELD(chunking), NULL},
    {"lmtp",              FLAG,     HOST,    FIELD(lmtp), NULL},
    {"relay",             FLAG,     HOST,    FIELD(relay), NULL},
    {"tls-required",      FLAG,     HOST,    FIELD(tls_required), NULL},
    {"size",              SIZE,     HOST,    FIELD(size), NULL},
    {"starttls",          CHOICE,   HOST,    FIELD(starttls), starttls_names},
    {"auth",              TEXT,     HOST,    FIELD(auth), NULL},
    {"unknown",           SHARE,    MAILBOX, FIELD(unknown), NULL},
    {"full",              SHARE,    MAILBOX, FIELD(full), NULL},
    {"defer",             SHARE,    MAILBOX, FIELD(defer), NULL},
    {"greylist",          GREYLIST, MAILBOX, FIELD(greylist_ms), NULL},
    {"store",             FLAG,     BOTH,    FIELD(store), NULL},
    {"dns",               CHOICE,   BOTH,    FIELD(dns), dns_names},
    {"ttl",               NUMBER,   BOTH,    FIELD(ttl_s), NULL},
};
/* clang-format on */

enum { KNOBS = sizeof knobs / sizeof knobs[0] };
_Static_assert(KNOBS <= 64, "one bit a knob");

static bool take_flag(struct span value, bool *flag)
{
    if (!span_is(value, "yes") && !span_is(value, "no"))
        return false;
    *flag = span_is(value, "yes");
    return true;
}

static bool take_choice(struct span value, const char *const *choices, unsigned *choice)
{
    for (unsigned i = 0; choices[i] != NULL; i++)
        if (span_is(value, choices[i])) {
            *choice = i;
            return true;
        }
    return false;
}

/* A word from ACTS, or the reply itself: "451 4.3.0 not now". */
static bool take_action(struct span value, struct arena *texts, struct action *action)
{
    unsigned act;
    if (take_choice(value, act_names, &act) && act != ACT_REPLY) {
        *action = (struct action){(enum act)act, NULL};
        return true;
    }
    if (value.len < 3 || !ascii_is_digit(value.at[0]) || !ascii_is_digit(value.at[1]) ||
        !ascii_is_digit(value.at[2]))
        return false;
    *action = (struct action){ACT_REPLY, arena_text(texts, value)};
    return true;
}

static bool take_greylist(struct span value, struct personality *p)
{
    p->greylists = !span_is(value, "no");
    return span_is(value, "no") || span_is(value, "yes") || units_duration(value, &p->greylist_ms);
}

static bool take(struct personality *p, const struct knob *knob, struct arena *texts,
                 struct span value)
{
    void *field = (char *)p + knob->offset;
    switch (knob->kind) {
    case FLAG:
        return take_flag(value, field);
    case NUMBER:
        return units_number(value, field);
    case SIZE:
        return units_size(value, field);
    case DURATION:
        return units_duration(value, field);
    case SHARE:
        return units_share(value, field);
    case CHOICE:
        return take_choice(value, knob->choices, field);
    case ACTION:
        return take_action(value, texts, field);
    case GREYLIST:
        return take_greylist(value, p);
    case TEXT:
        *(const char **)field = arena_text(texts, value);
        return true;
    }
    return false;
}

static void put_keys(struct buf *out)
{
    for (size_t i = 0; i < KNOBS; i++)
        buf_printf(out, "%s%s", i > 0 ? " " : "", knobs[i].name);
}

bool personality_set(struct personality *p, struct arena *texts, struct span word,
                     struct buf *error)
{
    size_t equals    = span_find(word, '=');
    struct span name = span_first(word, equals), value = span_skip(word, equals + 1);
    for (size_t i = 0; i < KNOBS; i++) {
        if (!span_is(name, knobs[i].name))
            continue;
        if (equals == word.len && (knobs[i].kind == FLAG || knobs[i].kind == GREYLIST))
            value = span_of("yes");
        struct personality changed = *p;
        if (!take(&changed, &knobs[i], texts, value)) {
            buf_printf(error, "'%.*s' is no value for '%s'", (int)value.len, value.at,
                       knobs[i].name);
            return false;
        }
        *p = changed;
        p->set |= (uint64_t)1 << i;
        return true;
    }
    buf_printf(error, "unknown key '%.*s'; there are: ", (int)name.len, name.at);
    put_keys(error);
    return false;
}

void personality_merge(struct personality *into, const struct personality *from)
{
    for (size_t i = 0; i < KNOBS; i++) {
        if (!(from->set & (uint64_t)1 << i))
            continue;
        memcpy((char *)into + knobs[i].offset, (const char *)from + knobs[i].offset,
               knobs[i].bytes);
        if (knobs[i].kind == GREYLIST)
            into->greylists = from->greylists;
    }
    into->set |= from->set;
}

static bool was_set(const struct personality *p, enum knob_scope scope)
{
    for (size_t i = 0; i < KNOBS; i++)
        if (knobs[i].scope == scope && p->set & (uint64_t)1 << i)
            return true;
    return false;
}

bool personality_rules_mailboxes(const struct personality *p)
{
    return was_set(p, MAILBOX);
}

bool personality_rules_host(const struct personality *p)
{
    return was_set(p, HOST);
}

uint64_t personality_ttl_s(const struct personality *p)
{
    return p->ttl_s > 0 ? p->ttl_s : PERSONALITY_TTL_S;
}

uint64_t personality_idle_ms(const struct personality *p)
{
    return p->idle_ms > 0 ? p->idle_ms : PERSONALITY_IDLE_MS;
}
