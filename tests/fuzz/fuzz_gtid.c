/* SPDX-License-Identifier: Apache-2.0 */
/* GTID sets: two texts with a zero byte between them. What parses is written and parses again to
 * the same set; a sum holds its parts; closing gaps adds nothing that the whole does not have. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/gtid.h"
#include "weir/util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct gtid_limits LIMITS = {.sources = 8, .ranges = 32};

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The bytes in memory of their own, so that reading past their end is seen. */
static int parse(const uint8_t *bytes, size_t len, struct gtid_set *set)
{
    uint8_t *copy = malloc(len + (len == 0));
    int r = -1;

    if (copy != NULL) {
        memcpy(copy, bytes, len);
        r = gtid_parse((struct span){copy, len}, GTID_ANY, &LIMITS, set);
    }
    free(copy);
    return r;
}

static void again(const struct gtid_set *set)
{
    struct gtid_set back;
    struct buf text;

    gtid_init(&back);
    buf_init(&text);
    must(gtid_format(set, &text, SIZE_MAX / 2) >= 0);
    must(gtid_parse(buf_span(&text), set->kind, &LIMITS, &back) >= 0);
    must(gtid_has(set, &back) && gtid_has(&back, set) && back.count == set->count);
    buf_fini(&text);
    gtid_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size == 0 ? NULL : memchr(data, 0, size);
    size_t first = zero == NULL ? size : (size_t)(zero - data);
    struct gtid_set a;
    struct gtid_set b;

    gtid_init(&a);
    gtid_init(&b);
    if (parse(data, first, &a) >= 0) {
        again(&a);
        if (zero != NULL && parse(zero + 1, size - first - 1, &b) >= 0) {
            struct gtid_set sum;
            again(&b);
            gtid_init(&sum);
            must(gtid_copy(&sum, &a) >= 0);
            if (gtid_add(&sum, &b, &LIMITS) >= 0) {
                must(gtid_has(&sum, &a) && gtid_has(&sum, &b));
                must(gtid_has(&a, &b) == gtid_has(&a, &sum));
                gtid_close_gaps(&b, &sum);
                must(gtid_has(&sum, &b));
            }
            gtid_fini(&sum);
        }
    }
    gtid_fini(&a);
    gtid_fini(&b);
    return 0;
}
