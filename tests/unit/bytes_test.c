/* SPDX-License-Identifier: MIT */
#include "mta/base/bytes.h"
#include "tests/unit/check.h"
#include <string.h>

static void numbers_are_written_big_end_first(void **state)
{
    (void)state;
    unsigned char at[9] = {0}; /* one behind each number, to see that nothing more is written */
    bytes_put16(at, 0x0102);
    assert_memory_equal(at, "\x01\x02\0", 3);
    bytes_put32(at, 0xfffefdfc);
    assert_memory_equal(at, "\xff\xfe\xfd\xfc\0", 5);
    bytes_put64(at, 0x0102030405060708);
    assert_memory_equal(at, "\x01\x02\x03\x04\x05\x06\x07\x08\0", 9);
}

static void numbers_come_back_from_any_place(void **state)
{
    (void)state;
    static const uint64_t values[] = {0,         1,      0x7f,       0x80,       0xff,
                                      0x8000,    0xffff, 0x80000000, 0xffffffff, 0x8000000000000000,
                                      UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (int shift = 0; shift < 8; shift++) { /* unaligned as well */
            unsigned char at[16];
            bytes_put64(at + shift, values[i]);
            assert_true(bytes_get64(at + shift) == values[i]);
            bytes_put32(at + shift, (uint32_t)values[i]);
            assert_int_equal(bytes_get32(at + shift), (uint32_t)values[i]);
            bytes_put16(at + shift, (uint16_t)values[i]);
            assert_int_equal(bytes_get16(at + shift), (uint16_t)values[i]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_big_end_first),
        cmocka_unit_test(numbers_come_back_from_any_place),
    };
    return RUN(tests);
}
