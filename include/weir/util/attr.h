/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attr - compiler attributes by their plain names.
 *
 * WHY       The one place where a compiler extension is spelled out.
 * OWNS      none
 * THREADS   none
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_UTIL_ATTR_H
#define WEIR_UTIL_ATTR_H

#define WR_NODISCARD        __attribute__((warn_unused_result))
#define WR_NORETURN         __attribute__((noreturn))
#define WR_UNUSED           __attribute__((unused))
#define WR_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define WR_COLD             __attribute__((cold, noinline))
#define WR_LIKELY(x)        __builtin_expect(!!(x), 1)
#define WR_UNLIKELY(x)      __builtin_expect(!!(x), 0)
#define WR_CONTAINER_OF(ptr, type, member) \
    ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
#define WR_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
