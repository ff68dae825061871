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

#include <stddef.h>

#define WR_NODISCARD                       __attribute__((warn_unused_result))
#define WR_NORETURN                        __attribute__((noreturn))
#define WR_UNUSED                          __attribute__((unused))
#define WR_PRINTF(fmt, arg)                __attribute__((format(printf, fmt, arg)))
#define WR_COLD                            __attribute__((cold, noinline))
#define WR_ALWAYS_INLINE                   inline __attribute__((always_inline))
#define WR_LIKELY(x)                       __builtin_expect(!!(x), 1)
#define WR_UNLIKELY(x)                     __builtin_expect(!!(x), 0)
#define WR_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define WR_ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))

/* Free memory that stays ours (slabs, arenas) is marked, so that ASan sees a use of it. */
#if defined(__SANITIZE_ADDRESS__)
#    define WR_ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define WR_ASAN 1
#    endif
#endif
#ifdef WR_ASAN
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#    define WR_POISON(p, n)   __asan_poison_memory_region(p, n)
#    define WR_UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#    define WR_POISON(p, n)   ((void)(p), (void)(n))
#    define WR_UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#endif
