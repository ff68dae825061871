/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result - builders for replies that weir writes itself.
 *
 * WHY       Errors, local OKs and small tables must look as the server's would, whatever the client
 *           negotiated.
 * OWNS      none: appends to the caller's writer; spans are copied.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    sticky failure of the writer
 * BOUNDS    one packet stays below 16 MiB (else the writer fails)
 */
#ifndef WEIR_PROTOCOL_RESULT_H
#define WEIR_PROTOCOL_RESULT_H

#include <stdint.h>

#include "weir/protocol/wire.h"

struct result {
    struct wire_out *out;
    uint64_t caps;   /* agreed flags of the client */
    uint16_t status; /* the session's current status flags */
    uint8_t seq;     /* of the next packet; advanced */
};

struct result_ok {
    uint64_t affected;
    uint64_t insert_id;
    uint16_t warnings;
    struct span info;
    struct span tracks; /* session-state block, dropped for clients that cannot read it */
};

/* A whole packet each, header included. ok may be NULL: all zero. */
void result_put_ok(struct result *result, const struct result_ok *ok);
/* sqlstate: five characters, or NULL for a packet without one (before the login packet). */
void result_put_err(struct result *result, uint16_t code, const char *sqlstate, struct span text);
/* The answer of commands that end in an EOF (SET_OPTION): EOF, or OK with 0xFE. */
void result_put_eof(struct result *result, uint16_t warnings);

enum result_type {
    RESULT_TYPE_STRING = 0xfd,
    RESULT_TYPE_INT = 0x03,
    RESULT_TYPE_BIGINT = 0x08,
};

struct result_column {
    const char *name;
    enum result_type type;
    uint32_t length; /* display width, in characters */
};

/* Column count, definitions and, for old clients, the EOF behind them. */
void result_put_columns(struct result *result, const struct result_column *columns, uint16_t count);
/* One text row; a span whose p is NULL is SQL's NULL. */
void result_put_row(struct result *result, const struct span *values, uint16_t count);
/* The packet behind the last row. */
/* The same as the binary protocol has it; values are all text. */
void result_put_row_binary(struct result *result, const struct span *values, uint16_t count);
void result_put_end(struct result *result, uint16_t warnings);
/* The answer to a PREPARE of a statement without parameters. */
void result_put_prepared(struct result *result, uint32_t id, const struct result_column *columns,
                         uint16_t count);

/* Session-state blocks: append one entry. */
void result_track_put(struct wire_out *out, uint8_t type, struct span value);
void result_track_put_var(struct wire_out *out, struct span name, struct span value);

#endif
