/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/fault.h"

#include <stdlib.h>
#include <string.h>

#ifdef WEIR_DEBUG
/* A thread's plan; tests run one thing per thread. */
struct fault_plan {
    const char *name;
    uint64_t nth;
    uint64_t passes;
};

/* Test builds only, and per thread by intent.
 * NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
static _Thread_local struct fault_plan plan;

void fault_arm(const char *name, uint64_t nth)
{
    plan = (struct fault_plan){.name = name, .nth = nth};
}

bool fault_is_spent(void)
{
    return plan.nth > 0 && plan.passes >= plan.nth;
}

uint64_t fault_passes(void)
{
    return plan.passes;
}

bool fault_hit(const char *name)
{
    if (WR_LIKELY(plan.name == NULL)) {
        return false;
    }
    if (strcmp(plan.name, "*") != 0 && strcmp(plan.name, name) != 0) {
        return false;
    }
    plan.passes++;
    return plan.passes == plan.nth;
}

bool fault_is_mutant(const char *name)
{
    /* nothing changes this process's environment: NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *mutant = getenv("WEIR_MUTANT");

    return mutant != NULL && strcmp(mutant, name) == 0;
}
#endif

void *fault_malloc(size_t size)
{
    return WR_FAULT("alloc") ? NULL : malloc(size);
}

void *fault_calloc(size_t count, size_t size)
{
    return WR_FAULT("alloc") ? NULL : calloc(count, size);
}

void *fault_realloc(void *old, size_t size)
{
    return WR_FAULT("alloc") ? NULL : realloc(old, size);
}
