/* SPDX-License-Identifier: MIT */
/* Client against server: the bytes choose what is offered, answered, cut and lost. */
#include "smtp_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pair p;
    if (size == 0)
        return 0;
    pair_init(&p, span_make((const char *)data + 1, size - 1), data[0], (data[0] & 1) != 0);
    pair_run(&p);
    pair_release(&p);
    return 0;
}
