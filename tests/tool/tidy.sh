#!/bin/sh
# SPDX-License-Identifier: MIT
# Style that a compiler does not see.  Prints every line that breaks it; silent and 0 when all is well.
set -u
bad=0
complain() { # TEXT LINES
    [ -z "$2" ] || { printf '%s\n' "$2" | sed "s|\$|   <- $1|"; bad=1; }
}
sources=$(git ls-files 'mta/*.[ch]' 'dns/*.[ch]' 'lists/*.[ch]')
all=$(git ls-files 'mta/*.[ch]' 'dns/*.[ch]' 'lists/*.[ch]' 'bench/*.[ch]' 'tests/*.[ch]')

complain 'libuv stays behind the doors' "$(grep -n '#include <uv.h>' $sources | grep -v '_uv\.[ch]:' | grep -v '^dns/resolver_cares.c:')"
complain 'SQLite stays behind lists/store.h' "$(grep -n '#include <sqlite3.h>' $sources | grep -v '^lists/store.c:')"
complain 'memory comes from mta/base/mem.h' "$(grep -nE '\b(malloc|calloc|realloc|free|strdup|strndup)\(' $sources | grep -v '^mta/base/mem.c:')"
complain 'time and chance are arguments; only mta/sys asks the system' \
    "$(grep -nE '\b(clock_gettime|gettimeofday|time|getrandom|random|rand|uv_now|uv_hrtime)\(' $sources | grep -v '^mta/sys/')"
complain 'a promise, not code' "$(grep -nE '\b(TODO|FIXME|XXX|HACK)\b' $all)"
complain 'no code is kept in comments or #if 0' "$(grep -nE '^#if 0' $all)"
complain 'a file begins with its licence' "$(for f in $all; do head -1 "$f" | grep -q SPDX || echo "$f:1"; done)"
complain 'is this still one noun? (800 lines)' "$(wc -l $sources | awk '$2 != "total" && $1 > 800 {print $2 ": " $1 " lines"}')"
complain 'a header says #pragma once' "$(for f in $all; do case $f in *.h) grep -q '^#pragma once' "$f" || echo "$f";; esac; done)"
exit $bad
