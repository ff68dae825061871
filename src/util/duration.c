/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/duration.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *name;
    uint64_t us;
} units[] = {
    {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000},
};

static bool parse(struct span text, const char *bare, uint64_t *ret_us)
{
    uint64_t value = 0;
    size_t n = span_digits(text, &value);
    struct span unit = {NULL, 0};

    if (n == 0) {
        return false;
    }
    unit = (struct span){text.p + n, text.len - n};
    if (unit.len == 0) {
        unit = span_of(value == 0 ? "us" : bare);
    }
    for (size_t i = 0; i < WR_ARRAY_LEN(units); i++) {
        if (span_eq_text(unit, units[i].name) && value <= UINT64_MAX / units[i].us) {
            *ret_us = value * units[i].us;
            return true;
        }
    }
    return false;
}

bool duration_parse(struct span text, uint64_t *ret_us)
{
    return parse(text, "", ret_us);
}

bool duration_parse_hint(struct span text, uint64_t max_us, uint64_t *ret_us)
{
    uint64_t us = 0;

    if (!parse(text, "s", &us) || us > max_us) {
        return false;
    }
    *ret_us = us;
    return true;
}

void duration_format(uint64_t us, char *dst, size_t cap)
{
    size_t best = 0;

    for (size_t i = 1; i < WR_ARRAY_LEN(units); i++) {
        if (us != 0 && us % units[i].us == 0) {
            best = i;
        }
    }
    (void)snprintf(dst, cap, "%" PRIu64 "%s", us / units[best].us, units[best].name);
}

void duration_format_about(uint64_t us, char *dst, size_t cap)
{
    if (us < 1000) {
        (void)snprintf(dst, cap, "%" PRIu64 "us", us);
    } else if (us < 1000000) {
        (void)snprintf(dst, cap, "%" PRIu64 "ms", us / 1000);
    } else {
        (void)snprintf(dst, cap, "%" PRIu64 ".%03" PRIu64 "s", us / 1000000, us / 1000 % 1000);
    }
}
