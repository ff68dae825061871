/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rand - a small seedable generator (xoshiro256**) for choices, never for secrets.
 *
 * WHY       Load balancing and tests want fast numbers that a seed repeats.
 * OWNS      none
 * THREADS   One thread per state.
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_UTIL_RAND_H
#define WEIR_UTIL_RAND_H

#include <stdint.h>

struct rand_state {
    uint64_t s[4];
};

void rand_seed(struct rand_state *rng, uint64_t seed);
/* From the system's generator. */
void rand_seed_system(struct rand_state *rng);
uint64_t rand_u64(struct rand_state *rng);
/* Evenly from [0, bound); 0 when bound is 0. */
uint64_t rand_below(struct rand_state *rng, uint64_t bound);
/* From [0, 1). */
double rand_unit(struct rand_state *rng);

#endif
