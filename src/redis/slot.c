/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/redis/slot.h"

#include <stdbool.h>
#include <string.h>

#include "weir/util/err.h"

/* The cluster's CRC: polynomial 0x1021, begins with 0, not reflected; four bits at a time. */
static uint16_t crc16(struct span bytes)
{
    static const uint16_t table[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5, 0x60C6, 0x70E7,
        0x8108, 0x9129, 0xA14A, 0xB16B, 0xC18C, 0xD1AD, 0xE1CE, 0xF1EF,
    };
    uint32_t crc = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        crc = (crc << 4 & 0xFFFF) ^ table[(crc >> 12 ^ bytes.p[i] >> 4) & 15];
        crc = (crc << 4 & 0xFFFF) ^ table[(crc >> 12 ^ bytes.p[i]) & 15];
    }
    return (uint16_t)crc;
}

uint32_t slot_of(struct span key)
{
    const uint8_t *open = key.len == 0 ? NULL : memchr(key.p, '{', key.len);

    if (open != NULL) {
        size_t left = key.len - (size_t)(open + 1 - key.p);
        const uint8_t *close = left == 0 ? NULL : memchr(open + 1, '}', left);

        if (close != NULL && close > open + 1) {
            key = (struct span){open + 1, (size_t)(close - open - 1)};
        }
    }
    return crc16(key) % SLOT_COUNT;
}

static bool starts_with(struct span text, const char *word)
{
    size_t len = strlen(word);

    return text.len >= len && memcmp(text.p, word, len) == 0;
}

/* Decimal, up to max; what it ends with is left. False: none. */
static bool number_take(struct span *text, uint32_t max, uint32_t *ret_number)
{
    uint32_t number = 0;
    size_t i = 0;

    for (; i < text->len && text->p[i] >= '0' && text->p[i] <= '9'; i++) {
        number = number * 10 + (uint32_t)(text->p[i] - '0');
        if (number > max) {
            return false;
        }
    }
    *text = (struct span){text->p + i, text->len - i};
    *ret_number = number;
    return i > 0;
}

/* "3999 127.0.0.1:6381"; the port stands behind the last colon, for IPv6. */
static bool place_parse(struct span text, struct slot_place *ret_place)
{
    struct slot_place place = {.slot = 0};
    struct span port = {NULL, 0};
    uint32_t number = 0;
    size_t colon = 0;

    if (!number_take(&text, SLOT_COUNT - 1, &place.slot) || text.len == 0 || text.p[0] != ' ') {
        return false;
    }
    text = (struct span){text.p + 1, text.len - 1};
    for (colon = text.len; colon > 0 && text.p[colon - 1] != ':'; colon--) {
    }
    if (colon == 0 || colon > REDIS_HOST_BYTES) {
        return false;
    }
    place.host = (struct span){text.p, colon - 1};
    port = (struct span){text.p + colon, text.len - colon};
    if (!number_take(&port, UINT16_MAX, &number) || port.len > 0 || number == 0 ||
        memchr(place.host.p, '\0', place.host.len) != NULL) {
        return false;
    }
    place.port = (uint16_t)number;
    *ret_place = place;
    return true;
}

enum slot_answer slot_answer_of(const struct redis_value *value, struct slot_place *ret_place)
{
    struct span text = value->text;

    if (value->kind != REDIS_ERROR) {
        return SLOT_ANSWER_NONE;
    }
    if (starts_with(text, "MOVED ")) {
        return place_parse((struct span){text.p + 6, text.len - 6}, ret_place) ? SLOT_ANSWER_MOVED
                                                                               : SLOT_ANSWER_DOWN;
    }
    if (starts_with(text, "ASK ")) {
        return place_parse((struct span){text.p + 4, text.len - 4}, ret_place) ? SLOT_ANSWER_ASK
                                                                               : SLOT_ANSWER_DOWN;
    }
    if (starts_with(text, "TRYAGAIN")) {
        return SLOT_ANSWER_TRY_AGAIN;
    }
    return starts_with(text, "CLUSTERDOWN") || starts_with(text, "MASTERDOWN") ||
                   starts_with(text, "READONLY")
               ? SLOT_ANSWER_DOWN
               : SLOT_ANSWER_NONE;
}

static bool range_is_good(const struct redis_value *range)
{
    const struct redis_value *master = NULL;

    if (range->kind != REDIS_ARRAY || range->count < 3 || range->items[0].kind != REDIS_INTEGER ||
        range->items[1].kind != REDIS_INTEGER || range->items[0].number < 0 ||
        range->items[1].number < range->items[0].number ||
        range->items[1].number >= (int64_t)SLOT_COUNT) {
        return false;
    }
    master = &range->items[2];
    return master->kind == REDIS_ARRAY && master->count >= 2 &&
           (master->items[0].kind == REDIS_NIL ||
            (master->items[0].kind == REDIS_STRING &&
             master->items[0].text.len < REDIS_HOST_BYTES &&
             (master->items[0].text.len == 0 ||
              memchr(master->items[0].text.p, '\0', master->items[0].text.len) == NULL))) &&
           master->items[1].kind == REDIS_INTEGER && master->items[1].number > 0 &&
           master->items[1].number <= UINT16_MAX;
}

int slot_ranges(const struct redis_value *value,
                void (*on_range)(void *arg, uint32_t first, uint32_t last, struct span host,
                                 uint16_t port),
                void *arg)
{
    if (value->kind != REDIS_ARRAY || value->count == 0) {
        return -WR_E_BAD_PACKET;
    }
    for (uint32_t i = 0; i < value->count; i++) {
        if (!range_is_good(&value->items[i])) {
            return -WR_E_BAD_PACKET;
        }
    }
    for (uint32_t i = 0; i < value->count; i++) {
        const struct redis_value *range = &value->items[i];
        const struct redis_value *master = range->items[2].items;
        struct span host = master[0].kind == REDIS_STRING ? master[0].text : (struct span){NULL, 0};

        /* Redis writes "?" for a host that it was told to have and has not been given */
        if (span_eq_text(host, "?")) {
            host.len = 0;
        }
        on_range(arg, (uint32_t)range->items[0].number, (uint32_t)range->items[1].number, host,
                 (uint16_t)master[1].number);
    }
    return 0;
}
