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
 * BOUNDS    VALUE_KEY_MAX, max_body of the codec, also for what is unpacked.
 *
 * Layout, little endian: magic (4) format (1) flags (1) zero (2) key bytes (4) body bytes (4) stored bytes (4)
 * filled (8) expires (8) log (8) file (4) born (4) offset (8) | key | stored body | HMAC-SHA-256 of all before it
 * (32). Nothing before the MAC is believed until the MAC is right, but what tells a foreign value from a forged one for
 * the counters.
 *
 * Redis holds values and nothing else: PREFIX:v:NAME, NAME by value_name(). Whether a value is still right is never
 * asked there; each weir knows that from its own board (version.h) and its own marks (marks.h), so that nothing that
 * Redis loses, keeps too long or makes up can have an old one served:
 *
 * Fill. When an answer is kept, the place up to which the log has been taken in is read, then the answer's lease is
 * looked at once more. It still holds: nothing up to that place has written what the answer was read from after it was
 * asked for, and all before was in it. So the value has all that its tables had got before the place.
 *
 * Read. Take the lease on this weir's own board; then ask Redis. What comes is served when it is weir's, whole, of this
 * question and of its time; when the lease still holds; and when the last write to what the lease is on, own or heard,
 * is not later than marks_until_us() of the value's place. Then it becomes an entry of the memory, under that lease.
 *
 * Not covered: a write that is not in the log (sql_log_bin=0), by this weir itself, in a weir that other weirs then
 * fill for. Clocks of weirs that differ by more than VALUE_SKEW_US: a time to live is off by as much, and a value may
 * outlive a CACHE PURGE.
 */
#ifndef WEIR_CACHE_VALUE_H
#define WEIR_CACHE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/cache/marks.h"
#include "weir/util/attr.h"
#include "weir/util/crypto.h"
#include "weir/util/str.h"

#define VALUE_KEY_MAX    ((size_t)16 * 1024 * 1024)
#define VALUE_NAME_BYTES 33U /* hex of 16 bytes, and a terminator */
#define VALUE_SECRET_MIN 16U
#define VALUE_FORMAT     2U
#define VALUE_FIXED_MAX  1024U /* beside key and body */
#define VALUE_SKEW_US    UINT64_C(2000000)

struct buf;

/* X(name, label): why it is not served */
#define VALUE_MISSES(X)                                                             \
    X(NONE, "none")           /* it is served                                   */  \
    X(SHORT, "short")         /* fewer bytes than any value has                 */  \
    X(FOREIGN, "foreign")     /* not weir's                                     */  \
    X(FORMAT, "format")       /* of another version of weir, or flags unknown   */  \
    X(FORGED, "forged")       /* cut, changed, or made under another secret     */  \
    X(BROKEN, "broken")       /* the MAC is right, what it covers is not        */  \
    X(OTHER_KEY, "other_key") /* the answer to another question                 */  \
    X(EXPIRED, "expired")     /* its time is over                               */  \
    X(PURGED, "purged")       /* an operator has ended it                       */  \
    X(UNPLACED, "unplaced")   /* of another log, or from before this weir's time */ \
    X(WRITTEN, "written")     /* it may lack what is known to be written        */  \
    X(TOO_LARGE, "too_large") /* above max_body                                 */  \
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

struct value {
    struct span key;
    struct span body;
    uint64_t filled_wall_us; /* before its statement was sent */
    uint64_t expires_wall_us;
    struct log_place place; /* log 0: its time alone counts */
};

/* What this weir knows, when the value has come. */
struct value_now {
    uint64_t wall_us;
    uint64_t purged_wall_us; /* when an operator last ended anything; 0: never */
    bool by_place;           /* else its time alone counts */
    uint64_t until_us;       /* marks_until_us() of its place */
    uint64_t written_us;     /* the last write to what it depends on: version_lease_written_us() */
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
/* Is it weir's, whole, and the answer to key? Does not ask whether it still holds. room: cleared; has the body when it
 * was packed. */
WR_NODISCARD enum value_miss value_decode(const struct value_codec *codec, struct span bytes,
                                          struct span key, struct buf *room,
                                          struct value *ret_value);
/* Its time is not over, and it has all that is known here to be written. */
WR_NODISCARD enum value_miss value_check(const struct value *value, const struct value_now *now);

#endif
