/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "decide_priv.h"

#define DURATION_MAX_US UINT64_C(86400000000)

bool route_duration_parse(struct span text, uint64_t *ret_us)
{
    static const struct {
        const char *name;
        uint64_t us;
    } units[] = {{"", 1000000},  {"us", 1},       {"ms", 1000},
                 {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}};
    uint64_t value = 0;
    size_t at = 0;

    while (at < text.len && text.p[at] >= '0' && text.p[at] <= '9' && value <= DURATION_MAX_US) {
        value = value * 10 + (uint64_t)(text.p[at++] - '0');
    }
    if (at == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (span_eq_text((struct span){text.p + at, text.len - at}, units[i].name) &&
            value <= DURATION_MAX_US / units[i].us) {
            *ret_us = value * units[i].us;
            return true;
        }
    }
    return false;
}

void route_duration_format(uint64_t us, char *dst, size_t cap)
{
    if (us < 1000) {
        (void)snprintf(dst, cap, "%" PRIu64 "us", us);
    } else if (us < 1000000) {
        (void)snprintf(dst, cap, "%" PRIu64 "ms", us / 1000);
    } else {
        (void)snprintf(dst, cap, "%" PRIu64 ".%03" PRIu64 "s", us / 1000000, us / 1000 % 1000);
    }
}
