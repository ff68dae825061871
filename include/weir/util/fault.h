/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - named points, and allocations, that tests make fail; and whole mutants.
 *
 * WHY       Every error path is walked by failing the n-th chance until none is left.
 * OWNS      none
 * THREADS   Armed per thread; a thread sees its own plan only.
 * REENTRY   none
 * UNITS     none
 * ERRORS    As the thing that fails.
 * BOUNDS    none
 */
#ifndef WEIR_UTIL_FAULT_H
#define WEIR_UTIL_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/attr.h"

/* Allocation of everything that a peer can make us allocate. As malloc and friends; the point's
 * name is "alloc". free() frees. */
WR_NODISCARD void *fault_malloc(size_t size);
WR_NODISCARD void *fault_calloc(size_t count, size_t size);
WR_NODISCARD void *fault_realloc(void *old, size_t size);

#ifdef WEIR_DEBUG
/* Fails the n-th pass (1 is the next) of the named point in this thread; "*" means any point.
 * 0 disarms. */
void fault_arm(const char *name, uint64_t nth);
/* Whether the armed failure has happened. */
bool fault_is_spent(void);
/* Passes seen since fault_arm(). */
uint64_t fault_passes(void);
bool fault_hit(const char *name);
/* WEIR_MUTANT in the environment names one way in which this process is wrong on purpose: the tests'
 * tests. The whole process has it. */
bool fault_is_mutant(const char *name);
#    define WR_FAULT(name)  fault_hit(name)
#    define WR_MUTANT(name) fault_is_mutant(name)
#else
#    define WR_FAULT(name)  false
#    define WR_MUTANT(name) false
#endif

#endif
