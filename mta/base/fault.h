/* SPDX-License-Identifier: MIT */
/*
 * Fault: the one place to die.  must() states what only a bug can break; it stays on in production,
 * because an engine that goes on with a broken invariant may write it to the spool.  Running out of
 * memory ends here too: everything that was answered 250 is on disk, so stopping loses nothing.
 */
#pragma once
#include <stdbool.h>

#define must(condition) ((condition) ? (void)0 : fault_die(__FILE__, __LINE__, #condition))

/* Says where and what on stderr, and aborts. */
_Noreturn void fault_die(const char *file, int line, const char *what);
