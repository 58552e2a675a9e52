/* SPDX-License-Identifier: MIT */
#include "mta/control/value.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* A number and one of the units, the last of which has no name; false on anything else. */
static bool with_unit(struct span text, const struct unit *units, uint64_t *value)
{
    size_t digits = 0;
    uint64_t number;
    while (digits < text.len && ascii_is_digit(text.at[digits]))
        digits++;
    if (!span_to_number(span_first(text, digits), UINT64_MAX / 1000, &number))
        return false;
    struct span name = span_skip(text, digits);
    for (const struct unit *u = units; u->factor > 0; u++) {
        if (!span_is(name, u->name))
            continue;
        if (number > UINT64_MAX / 1000 / u->factor)
            return false;
        *value = number * u->factor;
        return true;
    }
    return false;
}

bool value_duration(struct span text, uint64_t *ms)
{
    static const struct unit units[] = {
        {"ms", 1       },
        {"s",  1000    },
        {"m",  60000   },
        {"h",  3600000 },
        {"d",  86400000},
        {NULL, 0       }
    };
    return with_unit(text, units, ms);
}

bool value_size(struct span text, uint64_t *bytes)
{
    static const struct unit units[] = {
        {"",   1      },
        {"k",  1 << 10},
        {"K",  1 << 10},
        {"M",  1 << 20},
        {"G",  1 << 30},
        {NULL, 0      }
    };
    return with_unit(text, units, bytes);
}

bool value_rate(struct span text, uint64_t *per_hour)
{
    static const struct unit units[] = {
        {"/s", 3600},
        {"/m", 60  },
        {"/h", 1   },
        {NULL, 0   }
    };
    if (span_is(text, "none") || span_is(text, "0")) {
        *per_hour = 0;
        return true;
    }
    return with_unit(text, units, per_hour) && *per_hour > 0;
}

bool value_percent(struct span text, unsigned max, unsigned *percent)
{
    uint64_t number;
    if (text.len < 2 || text.at[text.len - 1] != '%' ||
        !span_to_number(span_first(text, text.len - 1), max, &number))
        return false;
    *percent = (unsigned)number;
    return true;
}

bool value_bool(struct span text, bool *value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_is(text, words[i])) {
            *value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

unsigned value_distance(struct span a, struct span b, unsigned max)
{
    enum { WORD_BYTES_MAX = 40 };
    unsigned row[WORD_BYTES_MAX + 1];
    if (a.len > WORD_BYTES_MAX || b.len > WORD_BYTES_MAX)
        return max + 1;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0]            = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned above = row[j];
            unsigned equal = ascii_lower(a.at[i - 1]) == ascii_lower(b.at[j - 1]) ? 0 : 1;
            row[j]         = least(above + 1, row[j - 1] + 1, diagonal + equal);
            diagonal       = above;
        }
    }
    return row[b.len] > max ? max + 1 : row[b.len];
}
