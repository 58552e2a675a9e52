/* SPDX-License-Identifier: MIT */
/*
 * Check: cmocka with the closing line that `make check` sums up.  A test program is
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = {cmocka_unit_test(a_list_keeps_its_order), ...};
 *         return RUN(tests);
 *     }
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define RUN(tests)                                                                                 \
    check_report(cmocka_run_group_tests(tests, NULL, NULL), sizeof(tests) / sizeof((tests)[0]))

static inline int check_report(int failed, size_t count)
{
    (void)fflush(stderr);
    printf("%zu passed, %d failed\n", count - (size_t)failed, failed);
    return failed != 0;
}
