/* SPDX-License-Identifier: MIT */
#include "mta/queue/selector.h"
#include "mta/mail/msgid.h"
#include <string.h>

typedef bool take_fn(struct selector *selector, struct span value, struct buf *error);

void selector_init(struct selector *selector)
{
    *selector = (struct selector){.is_empty = true};
}

static bool take_text(char into[SELECTOR_VALUE_BYTES], struct span value, struct buf *error)
{
    if (value.len == 0 || value.len >= SELECTOR_VALUE_BYTES) {
        buf_printf(error, "a value has 1 to %d characters", SELECTOR_VALUE_BYTES - 1);
        return false;
    }
    memcpy(into, value.at, value.len);
    into[value.len] = '\0';
    return true;
}

static bool take_id(struct selector *s, struct span value, struct buf *error)
{
    if (msgid_parse(value, &s->id) && s->id != 0)
        return true;
    buf_put_text(error, "not a message id; ids look like 01J8Z3K4M5N6P");
    return false;
}

static bool take_to(struct selector *s, struct span value, struct buf *error)
{
    return take_text(s->to, value, error);
}

static bool take_domain(struct selector *s, struct span value, struct buf *error)
{
    return take_text(s->domain, value, error);
}

static bool take_site(struct selector *s, struct span value, struct buf *error)
{
    return take_text(s->site, value, error);
}

static bool take_list(struct selector *s, struct span value, struct buf *error)
{
    return take_text(s->list, value, error);
}

static bool take_flow(struct selector *s, struct span value, struct buf *error)
{
    return take_text(s->flow, value, error);
}

static const struct {
    char unit;
    uint64_t ms;
} age_units[] = {
    {'s', 1000    },
    {'m', 60000   },
    {'h', 3600000 },
    {'d', 86400000}
};

enum { AGE_NUMBER_MAX = 1000000 };

static bool take_older(struct selector *s, struct span value, struct buf *error)
{
    uint64_t number;
    for (size_t i = 0; value.len > 1 && i < sizeof age_units / sizeof age_units[0]; i++) {
        if (value.at[value.len - 1] != age_units[i].unit ||
            !span_to_number(span_first(value, value.len - 1), AGE_NUMBER_MAX, &number) ||
            number == 0)
            continue;
        s->older_ms = number * age_units[i].ms;
        return true;
    }
    buf_put_text(error, "not an age; ages look like 90s 5m 4h 5d");
    return false;
}

static const char *const statuses[] = {"waiting", "sending",   "deferred", "held",
                                       "failed",  "delivered", "routing"};

static bool take_status(struct selector *s, struct span value, struct buf *error)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (span_is_nocase(value, statuses[i]))
            return take_text(s->status, span_of(statuses[i]), error);
    buf_put_text(error, "not a status; known are");
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        buf_printf(error, " %s", statuses[i]);
    return false;
}

static const struct {
    const char *name;
    take_fn *take;
} terms[] = {
    {"id",     take_id    },
    {"to",     take_to    },
    {"domain", take_domain},
    {"site",   take_site  },
    {"list",   take_list  },
    {"flow",   take_flow  },
    {"older",  take_older },
    {"status", take_status},
};

static bool refuse(struct span term, struct buf *why, struct buf *error)
{
    buf_put_text(error, "'");
    buf_put(error, term);
    buf_put_text(error, "': ");
    buf_put(error, buf_span(why));
    return false;
}

static bool take_term(struct selector *selector, struct span term, struct buf *why)
{
    struct span value = term, name;
    if (span_find(term, '=') < term.len && span_cut(&value, '=', &name))
        for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
            if (span_is_nocase(name, terms[i].name))
                return terms[i].take(selector, value, why);
    buf_put_text(why, "not a selector; known are all");
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        buf_printf(why, " %s=", terms[i].name);
    return false;
}

bool selector_add(struct selector *selector, struct span term, struct buf *error)
{
    struct buf why = {0};
    bool is_good   = span_is_nocase(term, "all") || take_term(selector, term, &why);
    if (is_good)
        selector->is_empty = false;
    else
        (void)refuse(term, &why, error);
    buf_release(&why);
    return is_good;
}
