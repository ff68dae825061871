/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cache/version.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "weir/util/assert.h"
#include "weir/util/err.h"

/* The board's parts, by what is hashed into them. */
enum {
    SCHEMAS_AT = 1,
    SCHEMAS = 2047,
    TABLES_AT = SCHEMAS_AT + SCHEMAS,
    TABLES = 30720,
    TAGS_AT = TABLES_AT + TABLES,
    TAGS = VERSION_SLOTS - TAGS_AT,
};

/* One word says both how often it was written and how many writes are under way, so that a reader
 * sees them as of one moment. */
#define UNDER_BITS 20
#define UNDER_MASK ((UINT64_C(1) << UNDER_BITS) - 1)
#define VERSION_1  (UINT64_C(1) << UNDER_BITS)

struct slot {
    _Atomic uint64_t word;
    _Atomic uint64_t written_us;
};

struct version_board {
    struct slot slots[VERSION_SLOTS];
};

int version_board_create(struct version_board **ret_board)
{
    struct version_board *board = calloc(1, sizeof(*board));

    if (board == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < VERSION_SLOTS; i++) {
        atomic_init(&board->slots[i].word, 0);
        atomic_init(&board->slots[i].written_us, 0);
    }
    *ret_board = board;
    return 0;
}

void version_board_destroy(struct version_board *board)
{
    free(board);
}

/* --- names --- */

#define NAME_MAX_BYTES 256 /* 64 characters of at most 4 bytes; longer names are no names */

static uint64_t hash_folded(struct span name, uint64_t seed)
{
    uint8_t folded[NAME_MAX_BYTES];
    size_t len = name.len < sizeof(folded) ? name.len : sizeof(folded);

    for (size_t i = 0; i < len; i++) {
        uint8_t c = name.p[i];
        folded[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20U) : c;
    }
    return XXH3_64bits_withSeed(folded, len, seed);
}

uint32_t version_slot_schema(struct span schema)
{
    return SCHEMAS_AT + (uint32_t)(hash_folded(schema, 0) % SCHEMAS);
}

uint32_t version_slot_table(struct span schema, struct span name)
{
    return TABLES_AT + (uint32_t)(hash_folded(name, hash_folded(schema, 0)) % TABLES);
}

enum {
    SEED_ROWS = 1,
    SEED_COLUMN = 2,
    SEED_ROW = 3,
};

uint32_t version_slot_rows(struct span schema, struct span name)
{
    return TABLES_AT + (uint32_t)(hash_folded(name, hash_folded(schema, SEED_ROWS)) % TABLES);
}

static uint64_t hash_column(const struct version_row *row, uint64_t seed)
{
    return hash_folded(row->column, hash_folded(row->name, hash_folded(row->schema, seed)));
}

uint32_t version_slot_column(const struct version_row *row)
{
    return TABLES_AT + (uint32_t)(hash_column(row, SEED_COLUMN) % TABLES);
}

uint32_t version_slot_row(const struct version_row *row)
{
    uint64_t hash = XXH3_64bits_withSeed(row->value.p, row->value.len, hash_column(row, SEED_ROW));

    return TAGS_AT + (uint32_t)(hash % TAGS);
}

/* Letters that are equal in some collation of ASCII text: i and j and y, u and v and w. */
uint32_t version_slot_tag(struct span tag)
{
    uint8_t folded[NAME_MAX_BYTES];
    size_t len = tag.len < sizeof(folded) ? tag.len : sizeof(folded);

    for (size_t i = 0; i < len; i++) {
        uint8_t c = tag.p[i];

        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20U) : c;
        c = c == 'j' || c == 'y' ? 'i' : c;
        folded[i] = c == 'v' || c == 'w' ? 'u' : c;
    }
    return TAGS_AT + (uint32_t)(XXH3_64bits(folded, len) % TAGS);
}

bool version_name_is_plain(struct span name)
{
    uint8_t all = 0;

    for (size_t i = 0; i < name.len; i++) {
        all |= name.p[i];
    }
    return (all & 0x80U) == 0 && name.len > 0 && name.len <= NAME_MAX_BYTES;
}

/* --- leases --- */

static uint64_t load(const struct version_board *board, uint32_t slot)
{
    WR_ASSERT(slot < VERSION_SLOTS);
    return atomic_load_explicit(&board->slots[slot].word, memory_order_seq_cst);
}

void version_lease_begin(const struct version_board *board, struct version_lease *ret_lease)
{
    ret_lease->count = 1;
    ret_lease->held[0].slot = VERSION_SLOT_ALL;
    ret_lease->held[0].version = load(board, VERSION_SLOT_ALL) >> UNDER_BITS;
}

int version_lease_add(const struct version_board *board, struct version_lease *lease, uint32_t slot)
{
    for (uint32_t i = 0; i < lease->count; i++) {
        if (lease->held[i].slot == slot) {
            return 0;
        }
    }
    if (lease->count == VERSION_LEASE_MAX) {
        return -WR_E_LIMIT;
    }
    lease->held[lease->count++] =
        (struct version_held){.slot = slot, .version = load(board, slot) >> UNDER_BITS};
    return 0;
}

int version_lease_add_table(const struct version_board *board, struct version_lease *lease,
                            struct span schema, struct span name)
{
    if (!version_name_is_plain(schema) || !version_name_is_plain(name)) {
        return -WR_E_LIMIT;
    }
    int r = version_lease_add(board, lease, version_slot_schema(schema));

    r = r < 0 ? r : version_lease_add(board, lease, version_slot_table(schema, name));
    return r < 0 ? r : version_lease_add(board, lease, version_slot_rows(schema, name));
}

int version_lease_add_row(const struct version_board *board, struct version_lease *lease,
                          const struct version_row *row)
{
    WR_ASSERT(row->value.len > 0);
    if (!version_name_is_plain(row->schema) || !version_name_is_plain(row->name)) {
        return -WR_E_LIMIT;
    }
    int r = version_lease_add(board, lease, version_slot_schema(row->schema));

    r = r < 0 ? r : version_lease_add(board, lease, version_slot_table(row->schema, row->name));
    r = r < 0 ? r : version_lease_add(board, lease, version_slot_column(row));
    return r < 0 ? r : version_lease_add(board, lease, version_slot_row(row));
}

bool version_lease_holds(const struct version_board *board, const struct version_held *held,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (load(board, held[i].slot) != held[i].version << UNDER_BITS) {
            return false;
        }
    }
    return true;
}

bool version_is_still(const struct version_board *board, const uint32_t *slots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((load(board, slots[i]) & UNDER_MASK) != 0) {
            return false;
        }
    }
    return true;
}

uint64_t version_lease_written_us(const struct version_board *board,
                                  const struct version_lease *lease)
{
    uint64_t last_us = 0;

    for (uint32_t i = 0; i < lease->count; i++) {
        uint64_t us = atomic_load_explicit(&board->slots[lease->held[i].slot].written_us,
                                           memory_order_seq_cst);
        last_us = us > last_us ? us : last_us;
    }
    return last_us;
}

/* --- writes --- */

void version_writes_add(struct version_writes *writes, uint32_t slot)
{
    WR_ASSERT(!writes->is_under && slot < VERSION_SLOTS);
    if (slot == VERSION_SLOT_ALL) {
        version_writes_add_all(writes);
    }
    if (writes->is_all) {
        return;
    }
    for (uint32_t i = 0; i < writes->count; i++) {
        if (writes->slots[i] == slot) {
            return;
        }
    }
    if (writes->count == VERSION_WRITES_MAX) {
        version_writes_add_all(writes);
        return;
    }
    writes->slots[writes->count++] = slot;
}

void version_writes_add_table(struct version_writes *writes, struct span schema, struct span name)
{
    if (!version_name_is_plain(schema)) {
        version_writes_add_all(writes);
    } else if (!version_name_is_plain(name)) {
        version_writes_add(writes, version_slot_schema(schema));
    } else {
        version_writes_add(writes, version_slot_table(schema, name));
    }
}

/* Room that rows leave to tables: what finds none is "all". */
#define TABLES_ROOM 8U

bool version_writes_add_rows(struct version_writes *writes, const struct version_row *rows,
                             uint32_t count)
{
    if (writes->count + count + 1 > VERSION_WRITES_MAX - TABLES_ROOM) {
        version_writes_add_table(writes, rows->schema, rows->name);
        return false;
    }
    version_writes_add(writes, version_slot_rows(rows->schema, rows->name));
    for (uint32_t i = 0; i < count; i++) {
        version_writes_add(writes, rows[i].value.len > 0 ? version_slot_row(&rows[i])
                                                         : version_slot_column(&rows[i]));
    }
    return true;
}

void version_writes_add_all(struct version_writes *writes)
{
    WR_ASSERT(!writes->is_under);
    writes->is_all = true;
    writes->count = 1;
    writes->slots[0] = VERSION_SLOT_ALL;
}

bool version_writes_is_empty(const struct version_writes *writes)
{
    return writes->count == 0;
}

void version_write_begin(struct version_board *board, struct version_writes *writes)
{
    WR_ASSERT(!writes->is_under);
    writes->is_under = true;
    for (uint32_t i = 0; i < writes->count; i++) {
        uint64_t before = atomic_fetch_add_explicit(&board->slots[writes->slots[i]].word, 1,
                                                    memory_order_seq_cst);
        WR_ASSERT((before & UNDER_MASK) != UNDER_MASK); /* a million sessions in one table */
    }
}

/* The time first: whoever leases the new version finds it. */
static void note_written(struct slot *slot, uint64_t now_us)
{
    uint64_t was_us = atomic_load_explicit(&slot->written_us, memory_order_relaxed);

    while (was_us < now_us &&
           !atomic_compare_exchange_weak_explicit(&slot->written_us, &was_us, now_us,
                                                  memory_order_seq_cst, memory_order_relaxed)) {
    }
}

void version_write_end(struct version_board *board, struct version_writes *writes, uint64_t now_us)
{
    WR_ASSERT(writes->is_under);
    for (uint32_t i = 0; i < writes->count; i++) {
        struct slot *slot = &board->slots[writes->slots[i]];

        note_written(slot, now_us);
        (void)atomic_fetch_add_explicit(&slot->word, VERSION_1 - 1, memory_order_seq_cst);
    }
    memset(writes, 0, sizeof(*writes));
}

void version_write_undo(struct version_board *board, struct version_writes *writes)
{
    WR_ASSERT(writes->is_under);
    for (uint32_t i = 0; i < writes->count; i++) {
        (void)atomic_fetch_sub_explicit(&board->slots[writes->slots[i]].word, 1,
                                        memory_order_seq_cst);
    }
    memset(writes, 0, sizeof(*writes));
}

void version_bump(struct version_board *board, uint32_t slot, uint64_t now_us)
{
    WR_ASSERT(slot < VERSION_SLOTS);
    note_written(&board->slots[slot], now_us);
    (void)atomic_fetch_add_explicit(&board->slots[slot].word, VERSION_1, memory_order_seq_cst);
}
