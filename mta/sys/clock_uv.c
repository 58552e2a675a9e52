/* SPDX-License-Identifier: MIT */
#include "mta/base/fault.h"
#include "mta/sys/clock.h"
#include <time.h>
#include <uv.h>

enum { NS_PER_US = 1000, NS_PER_MS = 1000000, US_PER_S = 1000000, MS_PER_S = 1000 };

uint64_t clock_now_ms(void)
{
    return uv_hrtime() / NS_PER_MS;
}

uint64_t clock_now_us(void)
{
    return uv_hrtime() / NS_PER_US;
}

uint64_t clock_wall_ms(void)
{
    struct timespec wall;
    must(clock_gettime(CLOCK_REALTIME, &wall) == 0);
    return (uint64_t)wall.tv_sec * MS_PER_S + (uint64_t)wall.tv_nsec / NS_PER_MS;
}

uint64_t clock_wall_us(void)
{
    struct timespec wall;
    must(clock_gettime(CLOCK_REALTIME, &wall) == 0);
    return (uint64_t)wall.tv_sec * US_PER_S + (uint64_t)wall.tv_nsec / NS_PER_US;
}

void clock_random(void *into, unsigned bytes)
{
    must(uv_random(NULL, NULL, into, bytes, 0, NULL) == 0);
}
