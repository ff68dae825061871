/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/rand.h"

#include <sys/random.h>

#include "weir/util/assert.h"

static uint64_t rotate(uint64_t x, unsigned by)
{
    return (x << by) | (x >> (64 - by));
}

/* splitmix64: spreads one word over the state, so that near seeds give far streams. */
static uint64_t spread(uint64_t *x)
{
    *x += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *x;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void rand_seed(struct rand_state *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        rng->s[i] = spread(&seed);
    }
}

void rand_seed_system(struct rand_state *rng)
{
    uint64_t seed = 0;

    ssize_t got = getrandom(&seed, sizeof(seed), 0);
    WR_ASSERT(got == (ssize_t)sizeof(seed));
    rand_seed(rng, seed);
}

uint64_t rand_u64(struct rand_state *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rand_below(struct rand_state *rng, uint64_t bound)
{
    if (bound == 0) {
        return 0;
    }
    /* The numbers below 2^64 mod bound would make small results likelier: drawn again. */
    uint64_t skip = (UINT64_MAX - bound + 1) % bound;
    uint64_t x = rand_u64(rng);
    while (x < skip) {
        x = rand_u64(rng);
    }
    return x % bound;
}

double rand_unit(struct rand_state *rng)
{
    return (double)(rand_u64(rng) >> 11) * 0x1.0p-53;
}
