/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/route/balance.h"

#include "weir/util/assert.h"

/* A peak counts half after this time without news. A server that looks slow is not asked, so only
 * this brings it back: 30 ms against 0.3 ms takes seven of it. */
#define EWMA_FADE_US   UINT64_C(1000000)
#define EWMA_UNKNOWN   1000 /* what a server without a sample is taken for */
#define LATENCY_MAX_US UINT64_C(60000000)

/* Even in [0, bound): the high half of a product, its bias below 2^-32 for our bounds. */
static uint64_t random_below(uint32_t random, uint64_t bound)
{
    return (uint64_t)random * bound >> 32;
}

static size_t pick_weighted(const struct balance_choice *choices, size_t count, size_t skip,
                            uint32_t random)
{
    uint64_t total = 0;
    uint64_t at = 0;

    for (size_t i = 0; i < count; i++) {
        total += i == skip ? 0 : choices[i].weight;
    }
    at = random_below(random, total);
    for (size_t i = 0; i < count; i++) {
        uint64_t weight = i == skip ? 0 : choices[i].weight;

        if (at < weight) {
            return i;
        }
        at -= weight;
    }
    return skip == 0 ? 1 : 0; /* all weights 0 */
}

/* The smallest (pending + 1) / weight, by cross multiplication; among equals one by random. */
static size_t pick_least_pending(const struct balance_choice *choices, size_t count,
                                 const struct balance_load *load, uint32_t random)
{
    size_t best = 0;
    uint32_t ties = 1;

    for (size_t i = 1; i < count; i++) {
        uint64_t mine = ((uint64_t)load->pending[choices[i].server] + 1) * choices[best].weight;
        uint64_t others = ((uint64_t)load->pending[choices[best].server] + 1) * choices[i].weight;

        if (mine < others) {
            best = i;
            ties = 1;
        } else if (mine == others) {
            ties++;
            random = random * 2654435761U + 12345U;
            if (random_below(random, ties) == 0) {
                best = i;
            }
        }
    }
    return best;
}

uint32_t balance_latency_us(const struct balance_load *load, int16_t server, uint64_t now_us)
{
    uint32_t ewma = load->ewma_us[server];
    uint64_t age = 0;

    if (ewma == 0) {
        return EWMA_UNKNOWN;
    }
    age = now_us > load->ewma_at_us[server] ? now_us - load->ewma_at_us[server] : 0;
    for (; age >= EWMA_FADE_US && ewma > 1; age -= EWMA_FADE_US) {
        ewma /= 2;
    }
    return ewma;
}

static uint64_t latency_cost(const struct balance_load *load, int16_t server, uint64_t now_us)
{
    return (uint64_t)balance_latency_us(load, server, now_us) *
           ((uint64_t)load->pending[server] + 1);
}

static size_t pick_latency(const struct balance_choice *choices, size_t count,
                           const struct balance_load *load, uint64_t now_us, uint64_t random)
{
    size_t first = pick_weighted(choices, count, SIZE_MAX, (uint32_t)random);
    size_t second = pick_weighted(choices, count, first, (uint32_t)(random >> 32));
    uint64_t cost_first = latency_cost(load, choices[first].server, now_us);
    uint64_t cost_second = latency_cost(load, choices[second].server, now_us);

    return cost_second < cost_first ? second : first;
}

int16_t balance_pick(enum config_policy policy, const struct balance_choice *choices, size_t count,
                     const struct balance_load *load, uint64_t now_us, uint64_t random)
{
    size_t at = 0;

    if (count == 0) {
        return -1;
    }
    if (count > 1) {
        if (!load) {
            policy = CONFIG_WEIGHTED_RANDOM;
        }
        switch (policy) {
        case CONFIG_WEIGHTED_RANDOM:
            at = pick_weighted(choices, count, SIZE_MAX, (uint32_t)random);
            break;
        case CONFIG_LEAST_PENDING:
            at = pick_least_pending(choices, count, load, (uint32_t)random);
            break;
        case CONFIG_LATENCY:
            at = pick_latency(choices, count, load, now_us, random);
            break;
        }
    }
    return choices[at].server;
}

void balance_sent(struct balance_load *load, int16_t server)
{
    load->pending[server]++;
}

void balance_done(struct balance_load *load, int16_t server)
{
    WR_DASSERT(load->pending[server] > 0);
    if (load->pending[server] > 0) {
        load->pending[server]--;
    }
}

void balance_record(struct balance_load *load, int16_t server, uint64_t latency_us, uint64_t now_us)
{
    uint32_t sample = (uint32_t)(latency_us > LATENCY_MAX_US ? LATENCY_MAX_US : latency_us);
    uint32_t ewma = load->ewma_us[server];

    if (sample == 0) {
        sample = 1;
    }
    if (ewma == 0 || sample > ewma) {
        ewma = sample;
    } else {
        /* Fades first, so that a long silence is not followed by a long memory. */
        ewma = balance_latency_us(load, server, now_us);
        ewma = sample > ewma ? sample : (uint32_t)(((uint64_t)ewma * 15 + sample) / 16);
    }
    load->ewma_us[server] = ewma;
    load->ewma_at_us[server] = now_us;
}
