/* SPDX-License-Identifier: MIT */
/* One table for each kind of suffix; the number in front of it is decimal digits and nothing else.
 */
#include "bench/units.h"

enum { NUMBER_MAX = 1000000000, SHARE_DIGITS = 4, NS_PER_MS = 1000000 };

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1       },
    {"s",  1000    },
    {"m",  60000   },
    {"h",  3600000 },
    {"d",  86400000},
    {"",   1       }
};
static const struct unit sizes[] = {
    {"k", 1024      },
    {"K", 1024      },
    {"M", 1048576   },
    {"G", 1073741824},
    {"",  1         }
};

static bool with_unit(struct span text, const struct unit *units, size_t count, uint64_t *value)
{
    uint64_t number;
    for (size_t i = 0; i < count; i++) {
        struct span suffix = span_of(units[i].suffix);
        if (text.len <= suffix.len || !span_ends_nocase(text, suffix))
            continue;
        if (!span_to_number(span_first(text, text.len - suffix.len), NUMBER_MAX, &number))
            continue;
        *value = number * units[i].factor;
        return true;
    }
    return false;
}

bool units_number(struct span text, uint64_t *value)
{
    return span_to_number(text, NUMBER_MAX, value);
}

bool units_duration(struct span text, uint64_t *ms)
{
    return with_unit(text, durations, sizeof durations / sizeof durations[0], ms);
}

bool units_size(struct span text, uint64_t *bytes)
{
    return with_unit(text, sizes, sizeof sizes / sizeof sizes[0], bytes);
}

bool units_rate(struct span text, uint64_t *interval_ns)
{
    struct span unit = text, number;
    uint64_t count, ms = 0;
    (void)span_cut(&unit, '/', &number);
    if (unit.len != 1 || !units_number(number, &count) || count == 0)
        return false;
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
        if (span_is(unit, durations[i].suffix))
            ms = durations[i].factor;
    if (ms == 0)
        return false;
    *interval_ns = ms * NS_PER_MS / count;
    return true;
}

bool units_share(struct span text, uint64_t *millionths)
{
    if (text.len < 2 || text.at[text.len - 1] != '%')
        return false;
    struct span fraction = span_first(text, text.len - 1), whole;
    uint64_t percent, part = 0, scale = UNITS_SHARE_WHOLE / 100;
    if (!span_cut(&fraction, '.', &whole) || !span_to_number(whole, 100, &percent))
        return false;
    if (fraction.len > SHARE_DIGITS || (fraction.len > 0 && !units_number(fraction, &part)))
        return false;
    for (size_t i = 0; i < fraction.len; i++)
        scale /= 10;
    uint64_t value = percent * (UNITS_SHARE_WHOLE / 100) + part * scale;
    if (value > UNITS_SHARE_WHOLE)
        return false;
    *millionths = value;
    return true;
}
