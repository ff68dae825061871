/* SPDX-License-Identifier: Apache-2.0 */
/* For callgrind: what a statement's digest costs. count_digests hash|record
 *   hash    of a point select of 62 bytes
 *   record  found and recorded in a table of 100,000 digests, each of them once */
#include <stdio.h>
#include <string.h>

#include "weir/classify/classify.h"
#include "weir/observe/digests.h"

#define DIGESTS 100000u
#define ROUNDS  1000u

/* Mixed, as digests are: multiples of one number would stay evenly spaced under the table's own
 * multiplication, and crowd or spread by the secret of the day. */
static uint64_t hash_of(uint64_t i)
{
    i = (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    i = (i ^ (i >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    i = (i ^ (i >> 27)) * UINT64_C(0x94D049BB133111EB);
    return i ^ (i >> 31);
}

/* Not inlined: callgrind counts inside it. */
__attribute__((noinline)) static void record(struct digests *digests, uint64_t hash)
{
    const struct digest_sample sample = {.now_us = 1, .latency_us = hash & 4095, .bytes = 100};

    digests_record(digests, digests_find(digests, hash), hash, &sample);
}

static int run_record(void)
{
    struct digests *digests = NULL;
    bool evicted = false;

    if (digests_create(DIGESTS, &digests) < 0) {
        return 1;
    }
    for (uint64_t i = 0; i < DIGESTS; i++) {
        (void)digests_add(digests, hash_of(i), SPAN_LIT("SELECT ?"), 1, &evicted);
    }
    for (uint64_t i = 0; i < DIGESTS; i++) { /* all: the places are random, and some are far */
        record(digests, hash_of(i * 97 % DIGESTS));
    }
    printf("held %u\n", (unsigned)digests_count(digests));
    digests_destroy(digests);
    return 0;
}

int main(int argc, char **argv)
{
    struct classify_env env = {.flavour = CLASSIFY_MYSQL, .version = 90704};
    uint64_t sum = 0;

    if (argc > 1 && strcmp(argv[1], "record") == 0) {
        return run_record();
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        sum += classify_digest_hash(
            SPAN_LIT("SELECT id, name, status FROM devices WHERE id = 4711 LIMIT 100"), &env);
    }
    printf("sum %llx\n", (unsigned long long)sum);
    return 0;
}
