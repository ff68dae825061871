/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value - one answer as it lies in Redis: what was asked, what it depends on, until when, the body.
 *
 * WHY       Whoever reaches Redis can write there, and what comes back may be cut, old, of another
 *           version of weir or of nobody's. Only what weir itself has written, for exactly this
 *           question, comes out again; all else is a miss with a reason.
 * OWNS      none: appends to the caller's buf; what is decoded borrows from the value or from that buf.
 * THREADS   any; a codec is not changed once made
 * REENTRY   none
 * UNITS     *_wall_us: microseconds of the wall clock, for it is compared with other machines'.
 * ERRORS    Encode: 0, -ENOMEM, -WR_E_TOO_LARGE, -WR_E_LIMIT. Decode: a reason, never an error.
 * BOUNDS    VALUE_KEY_MAX, VALUE_VERSIONS_MAX, max_body of the codec, also for what is unpacked.
 *
 * Layout, little endian: magic (4) format (1) flags (1) versions (2) key bytes (4) body bytes (4)
 * stored bytes (4) filled (8) expires (8) | versions: slot (4) epoch (16) | key | stored body |
 * HMAC-SHA-256 of all before it (32). Nothing before the MAC is believed until the MAC is right, but
 * what tells a foreign value from a forged one for the counters.
 *
 * How the tier in Redis, which is not there yet, has to use it.
 *
 * Keys. PREFIX:v:NAME for values, NAME by value_name(); they expire in Redis a little later than by themselves. PREFIX:e:SLOT
 * for each slot of the board (version.h) that answers depend on: a letter and 16 random bytes, the epoch; 'v':
 * settled, 'w': being written. Epochs never count from anything, so no old one is ever reached again.
 *
 * Read. The value and the epochs of the statement's own lease go out together, in one pipeline. In a cluster they come
 * from several servers in any order: no harm, as each epoch only has to be there, the same, at some moment after the
 * question was asked. Served when value_decode() and value_check() say so, all epochs are 'v', and the lease on this
 * weir's own board held from before the read until after it. Then it becomes an entry of the memory.
 * No epoch there (evicted, FLUSHALL, never made): SET NX with a random one, and a miss.
 *
 * Fill. Under the epochs read before the statement was sent; not when one is missing or 'w'. A replica's answer also has
 * to be later than the moment at which this weir first saw these epochs.
 *
 * Write. Before it is sent: 'w' and a new epoch, with an expiry above the longest write. After its answer, whatever that
 * is: 'v' and another one. A read that raced it lies under an epoch that ends with it. No client waits for either, so
 * a slot is owed until Redis has taken what is to be told of it; while it is, this weir neither reads nor fills anything that depends on
 * it, and tells again. Other weirs cannot be told while Redis is away: they learn of the write from the primary's log,
 * and set a new epoch themselves, which is always right. Hence coherence "binlog" with the log heard, or "ttl".
 *
 * Gaps. A lost connection or a slot with another owner (redis_pipe_gap()) may be a failover that lost writes: an old epoch
 * would be there again, and what lies under it. After a gap each epoch is replaced before anything under it is served.
 *
 * Not covered: two weirs write one table at once, and the first to end says 'v'. Until the second ends somebody may be
 * shown what was before it; afterwards nobody. A proxy in front of Redis that hides a failover.
 */
#ifndef WEIR_CACHE_VALUE_H
#define WEIR_CACHE_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "weir/cache/version.h"
#include "weir/util/attr.h"
#include "weir/util/crypto.h"
#include "weir/util/str.h"

#define VALUE_VERSIONS_MAX VERSION_LEASE_MAX
#define VALUE_EPOCH_BYTES  16U
#define VALUE_KEY_MAX      ((size_t)16 * 1024 * 1024)
#define VALUE_NAME_BYTES   33U /* hex of 16 bytes, and a terminator */
#define VALUE_SECRET_MIN   16U

struct buf;

/* X(name, label): why it is not served */
#define VALUE_MISSES(X)                                                            \
    X(NONE, "none")           /* it is served                                   */ \
    X(SHORT, "short")         /* fewer bytes than any value has                 */ \
    X(FOREIGN, "foreign")     /* not weir's                                     */ \
    X(FORMAT, "format")       /* of another version of weir, or flags unknown   */ \
    X(FORGED, "forged")       /* cut, changed, or made under another secret     */ \
    X(BROKEN, "broken")       /* the MAC is right, what it covers is not        */ \
    X(OTHER_KEY, "other_key") /* the answer to another question                 */ \
    X(EXPIRED, "expired")     /* its time is over                               */ \
    X(WRITTEN, "written")     /* what it depends on has been written since      */ \
    X(TOO_LARGE, "too_large") /* above max_body                                 */ \
    X(NO_MEMORY, "no_memory")

enum value_miss {
#define X(name, label) VALUE_MISS_##name,
    VALUE_MISSES(X)
#undef X
};

struct value_codec {
    uint8_t mac_key[CRYPTO_SHA256_SIZE];
    uint8_t name_key[CRYPTO_SHA256_SIZE];
    size_t max_body;
    size_t pack_above; /* bytes; smaller bodies are stored as they are */
};

struct value_version {
    uint32_t slot;
    uint8_t epoch[VALUE_EPOCH_BYTES];
};

struct value {
    struct span key;
    struct span body;
    uint64_t filled_wall_us; /* before its statement was sent */
    uint64_t expires_wall_us;
    uint32_t count;
    struct value_version versions[VALUE_VERSIONS_MAX];
};

/* What is there now, asked for together with the value or later. */
struct value_now {
    uint64_t wall_us;
    uint32_t count;
    const struct value_version *versions;
};

/* secret: at least VALUE_SECRET_MIN bytes, else -WR_E_CONFIG. Not kept: two keys are derived. */
WR_NODISCARD int value_codec_init(struct value_codec *codec, struct span secret, size_t max_body,
                                  size_t pack_above);
void value_codec_fini(struct value_codec *codec); /* wipes */
/* Under which name a question's answer lies; only who has the secret can tell, or aim. */
void value_name(const struct value_codec *codec, struct span key, char ret_name[VALUE_NAME_BYTES]);
const char *value_miss_text(enum value_miss miss);

WR_NODISCARD int value_encode(const struct value_codec *codec, const struct value *value,
                              struct buf *out);
/* Is it weir's, whole, and the answer to key? Does not ask whether it still holds: versions are in
 * *ret_value for that. room: cleared; has the body when it was packed. */
WR_NODISCARD enum value_miss value_decode(const struct value_codec *codec, struct span bytes,
                                          struct span key, struct buf *room,
                                          struct value *ret_value);
/* Its time is not over, and each of its versions is in now, the same. Without versions it never holds. */
WR_NODISCARD enum value_miss value_check(const struct value *value, const struct value_now *now);

#endif
