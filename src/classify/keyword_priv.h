/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyword - the words of keyword.txt: found by hash, with what they mean as a function.
 *
 * WHY       One look-up per word of SQL answers every later question about it.
 * OWNS      none
 * THREADS   any; constant tables.
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    Words longer than KW_MAX_LEN are never keywords.
 */
#ifndef WEIR_CLASSIFY_KEYWORD_PRIV_H
#define WEIR_CLASSIFY_KEYWORD_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "keyword_ids.h"

#define KW_MAX_LEN 35

#define KWF_MYSQL         0x001U
#define KWF_MARIADB       0x002U
#define KWF_SPACE         0x004U
#define KWF_VOLATILE      0x008U
#define KWF_VOLATILE_BARE 0x010U
#define KWF_FROM          0x020U
#define KWF_RESERVED      0x040U
#define KWF_PAREN         0x080U
#define KWF_TYPE          0x100U
#define KWF_CLAUSE        0x200U

/* What a call does that keeps it off the replicas. */
enum kw_effect {
    KW_FX_NONE,
    KW_FX_LOCK_GET,
    KW_FX_LOCK_FREE,
    KW_FX_LOCK_FREE_ALL,
    KW_FX_LOCK_TEST,
    KW_FX_INSERT_ID,
    KW_FX_LAST,
    KW_FX_CONN_ID,
    KW_FX_SEQUENCE,
    KW_FX_PRIMARY
};

struct kw_def {
    uint64_t tail; /* its last eight letters: see keyword_match() */
    char text[KW_MAX_LEN + 1];
    uint8_t len;
    enum kw_effect effect;
    uint32_t mysql_min;
    uint32_t mysql_end; /* 0: still there */
    uint32_t mariadb_min;
};

#define KW_SLOT_BITS 12

/* Ids, KW_NONE: empty. Open addressing: the first slot is keyword_slot(). */
extern const uint16_t keyword_slots[1U << KW_SLOT_BITS];

static inline uint64_t keyword_hash(uint64_t tail)
{
    return tail * UINT64_C(0x9e3779b97f4a7c15);
}

static inline size_t keyword_slot(uint64_t tail)
{
    return keyword_hash(tail) >> (64 - KW_SLOT_BITS);
}

/* KWF_* by id. */
extern const uint16_t keyword_flags[KW_COUNT_];

/* word: letters, digits, _ and $ as written. KW_NONE when it is no keyword. */
uint16_t keyword_find(const uint8_t *word, size_t len);
/* The same for who has been over the word already: tail is its last eight bytes in upper case, the
 * last one lowest; zero bytes above a shorter word. */
uint16_t keyword_match(uint64_t tail, const uint8_t *word, size_t len);

/* id below KW_COUNT_. */
const struct kw_def *keyword_def(uint16_t id);

#endif
