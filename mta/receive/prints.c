/* SPDX-License-Identifier: MIT */
#include "mta/receive/prints.h"
#include "mta/base/mem.h"
#include "mta/mail/address.h"

enum { SLOTS_MIN = 16 };

uint64_t print_of(struct span address, uint64_t seed)
{
    struct span domain = address_domain(address);
    uint64_t local     = span_hash(span_first(address, address.len - domain.len), seed);
    uint64_t print     = span_hash_nocase(domain, local);
    return print == 0 ? 1 : print;
}

void prints_release(struct prints *prints)
{
    mem_free(prints->slots);
    *prints = (struct prints){0};
}

/* Where it is, or would be. */
static size_t slot_of(const struct prints *prints, uint64_t print)
{
    size_t at = print & (prints->cap - 1);
    while (prints->slots[at] != 0 && prints->slots[at] != print)
        at = (at + 1) & (prints->cap - 1);
    return at;
}

bool prints_hold(const struct prints *prints, uint64_t print)
{
    return prints->cap > 0 && prints->slots[slot_of(prints, print)] != 0;
}

static void grow(struct prints *prints)
{
    struct prints old = *prints;
    prints->cap       = old.cap == 0 ? SLOTS_MIN : old.cap * 2;
    prints->slots     = mem_new_array(prints->cap, sizeof *prints->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i] != 0)
            prints->slots[slot_of(prints, old.slots[i])] = old.slots[i];
    mem_free(old.slots);
}

void prints_add(struct prints *prints, uint64_t print)
{
    if ((prints->count + 1) * 4 > prints->cap * 3)
        grow(prints);
    size_t at = slot_of(prints, print);
    prints->count += prints->slots[at] == 0;
    prints->slots[at] = print;
}

size_t prints_memory(const struct prints *prints)
{
    return prints->cap * sizeof *prints->slots;
}
