/* SPDX-License-Identifier: MIT */
/* The list in the header is written once; this is its second face. */
#include "bench/tally.h"
#include "bench/json.h"

void tally_json(const struct tally *tally, struct buf *out)
{
#define TALLY_JSON(name) json_number(out, #name, tally->name);
    TALLIES(TALLY_JSON)
#undef TALLY_JSON
    json_number(out, "open", tally->open);
    json_number(out, "open_max", tally->open_max);
}

void tally_open(struct tally *tally)
{
    tally->connections++;
    if (++tally->open > tally->open_max)
        tally->open_max = tally->open;
}

void tally_close(struct tally *tally)
{
    tally->open--;
}
