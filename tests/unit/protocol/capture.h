/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded exchanges (tests/data/wire/capture.py) for the tests of the reply tracker. */
#ifndef TESTS_PROTOCOL_CAPTURE_H
#define TESTS_PROTOCOL_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/protocol/reply.h"

enum capture_mode {
    MODE_NEW,
    MODE_DEF,
    MODE_EOF,
    MODE_TRK,
    MODE_OLD,
    MODE_CMD,
    MODE_COUNT
};
static const char *const capture_mode_names[MODE_COUNT] = {"new", "def", "eof",
                                                           "trk", "old", "cmd"};

struct bytes {
    uint8_t *p;
    size_t len;
    size_t cap;
};

struct exchange {
    char name[64];
    enum reply_kind kind;
    uint16_t status;
    struct bytes mode[MODE_COUNT];
};

struct capture {
    struct exchange *exchanges;
    size_t count;
};

static inline void bytes_add(struct bytes *b, const void *p, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = (b->len + len) * 2 + 64;
        b->p = realloc(b->p, b->cap);
        if (b->p == NULL) {
            abort();
        }
    }
    if (len > 0) {
        memcpy(b->p + b->len, p, len);
        b->len += len;
    }
}

static inline void bytes_free(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){0};
}

/* "00ff 61*20": hex, and runs of one byte */
static inline void capture_unpack(const char *text, struct bytes *ret)
{
    while (*text != '\0' && *text != '\n') {
        if (*text == ' ') {
            text++;
            continue;
        }
        const char pair[3] = {text[0], text[1], '\0'};
        uint8_t byte = (uint8_t)strtoul(pair, NULL, 16);
        size_t run = 1;
        text += 2;
        if (*text == '*') {
            char *end = NULL;
            run = strtoul(text + 1, &end, 10);
            text = end;
        }
        uint8_t *fill = malloc(run);
        if (fill == NULL) {
            abort();
        }
        memset(fill, byte, run);
        bytes_add(ret, fill, run);
        free(fill);
    }
}

static inline enum reply_kind capture_kind(const char *name)
{
#define X(kind, text)              \
    if (strcmp(name, text) == 0) { \
        return REPLY_##kind;       \
    }
    REPLY_KINDS(X)
#undef X
    abort();
}

static inline struct capture capture_load(const char *path)
{
    struct capture capture = {0};
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    if (f == NULL) {
        abort();
    }
    while (getline(&line, &cap, f) > 0) {
        char kind[32];
        unsigned status = 0;
        char name[64];
        if (sscanf(line, "exchange %63s %31s %x", name, kind, &status) == 3) {
            capture.exchanges =
                realloc(capture.exchanges, (capture.count + 1) * sizeof *capture.exchanges);
            if (capture.exchanges == NULL) {
                abort();
            }
            struct exchange *x = &capture.exchanges[capture.count++];
            *x = (struct exchange){.kind = capture_kind(kind), .status = (uint16_t)status};
            memcpy(x->name, name, sizeof name);
            continue;
        }
        for (int m = 0; m < MODE_COUNT && capture.count > 0; m++) {
            if (strncmp(line, capture_mode_names[m], 3) == 0 && line[3] == ' ') {
                capture_unpack(line + 4, &capture.exchanges[capture.count - 1].mode[m]);
            }
        }
    }
    free(line);
    (void)fclose(f);
    return capture;
}

static inline void capture_free(struct capture *capture)
{
    for (size_t i = 0; i < capture->count; i++) {
        for (int m = 0; m < MODE_COUNT; m++) {
            bytes_free(&capture->exchanges[i].mode[m]);
        }
    }
    free(capture->exchanges);
}

#endif
