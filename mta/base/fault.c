/* SPDX-License-Identifier: MIT */
#include "mta/base/fault.h"
#include <stdio.h>
#include <stdlib.h>

_Noreturn void fault_die(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "mailrace: fault at %s:%d: %s\n", file, line, what);
    abort();
}
