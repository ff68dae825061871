/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vector as bytes, for the values of another worker. Connections that go from worker to worker carry
 * the same few vectors all the time, so the last ones are kept in both forms: packing is then a copy
 * of bytes, unpacking a comparison of bytes and a copy of pointers.
 *
 * The bytes: how many follow; then each value as a 32-bit length and its bytes, where two lengths that
 * no value has stand for the others.
 */
#include <string.h>

#include "weir/util/err.h"

#include "svec_priv.h"

#define PACK_ABSENT  UINT32_MAX
#define PACK_UNKNOWN (UINT32_MAX - 1U)

static void packed_fini(struct svec_packed *packed)
{
    if (packed->at.values != NULL) {
        svec_fini(&packed->at);
    }
    buf_fini(&packed->bytes);
}

void svec_packs_fini(struct svec_values *values)
{
    for (size_t i = 0; i < SVEC_PACKS; i++) {
        packed_fini(&values->packs[i]);
    }
}

/* Remember the pair in the place of the oldest. Without memory it is not. */
static void packed_keep(const struct svec *svec, struct span bytes)
{
    struct svec_values *values = svec->values;
    struct svec_packed *packed = &values->packs[values->pack_next];

    packed_fini(packed);
    svec_init(&packed->at, values);
    buf_init(&packed->bytes);
    if (buf_append_span(&packed->bytes, bytes, SIZE_MAX) >= 0) {
        svec_copy(&packed->at, svec);
        values->pack_next = (values->pack_next + 1) % SVEC_PACKS;
    }
}

static int pack(const struct svec *svec, struct buf *out)
{
    for (size_t i = 0; i < SVEC_COUNT; i++) {
        uint32_t len = PACK_ABSENT;
        if (svec_is_unknown(svec, (enum svec_var)i)) {
            len = PACK_UNKNOWN;
        } else if (svec->v[i] != NULL) {
            len = svec->v[i]->len;
        }
        int r = buf_append(out, &len, sizeof(len), SIZE_MAX);
        if (r >= 0 && len < PACK_UNKNOWN) {
            r = buf_append(out, svec->v[i]->bytes, len, SIZE_MAX);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int svec_pack(const struct svec *svec, struct buf *out)
{
    struct buf bytes;
    uint32_t len = 0;

    for (size_t i = 0; i < SVEC_PACKS; i++) {
        const struct svec_packed *packed = &svec->values->packs[i];
        if (buf_len(&packed->bytes) != 0 && svec_is_equal(&packed->at, svec)) {
            return buf_append_span(out, buf_span(&packed->bytes), SIZE_MAX);
        }
    }
    buf_init(&bytes);
    int r = buf_append(&bytes, &len, sizeof(len), SIZE_MAX);
    r = r < 0 ? r : pack(svec, &bytes);
    if (r >= 0) {
        len = (uint32_t)(buf_len(&bytes) - sizeof(len));
        memcpy(bytes.data + bytes.off, &len, sizeof(len));
        packed_keep(svec, buf_span(&bytes));
        r = buf_append_span(out, buf_span(&bytes), SIZE_MAX);
    }
    buf_fini(&bytes);
    return r;
}

/* A length off the front; false: there is none. */
static bool take_len(struct span *bytes, uint32_t *ret_len)
{
    if (bytes->len < sizeof(*ret_len)) {
        return false;
    }
    memcpy(ret_len, bytes->p, sizeof(*ret_len));
    bytes->p += sizeof(*ret_len);
    bytes->len -= sizeof(*ret_len);
    return true;
}

static int unpack(struct svec *svec, struct span bytes)
{
    for (size_t i = 0; i < SVEC_COUNT; i++) {
        uint32_t len = 0;
        int r = 0;
        if (!take_len(&bytes, &len)) {
            return -WR_E_BAD_PACKET;
        }
        if (len == PACK_UNKNOWN) {
            r = svec_set_unknown(svec, (enum svec_var)i);
        } else if (len != PACK_ABSENT) {
            if (len > bytes.len) {
                return -WR_E_BAD_PACKET;
            }
            r = svec_set(svec, (enum svec_var)i, (struct span){bytes.p, len});
            bytes.p += len;
            bytes.len -= len;
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int svec_unpack(struct svec *svec, struct span *bytes)
{
    struct span whole = *bytes;
    uint32_t len = 0;

    if (!take_len(bytes, &len) || len > bytes->len) {
        return -WR_E_BAD_PACKET;
    }
    whole.len = sizeof(len) + len;
    bytes->p += len;
    bytes->len -= len;
    for (size_t i = 0; i < SVEC_PACKS; i++) {
        const struct svec_packed *packed = &svec->values->packs[i];
        if (span_eq(buf_span(&packed->bytes), whole)) {
            svec_copy(svec, &packed->at);
            return 0;
        }
    }
    int r = unpack(svec, (struct span){whole.p + sizeof(len), len});
    if (r >= 0) {
        packed_keep(svec, whole);
    }
    return r;
}
