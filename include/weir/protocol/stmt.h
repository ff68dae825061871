/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stmt - prepared statements on the wire: the answer to PREPARE, the bodies of EXECUTE and of
 *        MariaDB's bulk execution.
 *
 * WHY       A statement that is executed on another connection than the client believes needs
 *           another id, and its parameter types sent again.
 * OWNS      none: decoded spans borrow the payload.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    enum dec_rc, never DEC_MORE
 * BOUNDS    at most 65535 parameters (16 bits on the wire)
 */
#ifndef WEIR_PROTOCOL_STMT_H
#define WEIR_PROTOCOL_STMT_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/protocol/wire.h"

#define STMT_CURSOR_NONE      0x00u
#define STMT_CURSOR_READ_ONLY 0x01u
#define STMT_CURSOR_MASK      0x07u
#define STMT_PARAMETER_COUNT  0x08u /* with attributes: a count stands there in any case */
/* The one flag of a bulk execution that weir lets through; others change what the reply is. */
#define STMT_BULK_SEND_TYPES 0x0080u

struct stmt_prepared {
    uint32_t id;
    uint16_t columns;
    uint16_t params;
    uint16_t warnings;
};

/* payload: the PREPARE_OK packet, beginning with 0x00. */
enum dec_rc stmt_prepared_decode(struct span payload, struct stmt_prepared *ret_prepared);

struct stmt_execute {
    uint32_t id;
    uint32_t iterations;
    uint8_t flags;       /* cursor type */
    bool has_types;      /* new_params_bound: types is set */
    bool is_named;       /* of who has agreed on attributes: a count, and types with names */
    bool has_count;      /* likewise; only false without parameters */
    bool is_bulk;        /* rows of values, each with an indicator in front; nulls is empty */
    uint16_t bulk_flags; /* STMT_BULK_*, and whatever else the client has set */
    uint32_t count;      /* of values, when is_named: parameters, then attributes */
    struct span nulls;   /* bitmap, (params + 7) / 8 bytes; is_named: of count */
    struct span types; /* two bytes for each parameter; is_named: and a name, and the attributes' */
    struct span values; /* whatever follows */
};

/* payload begins with the command byte. params: as PREPARE said. With params == 0 whatever
 * follows the fixed part is taken as values and ignored, as servers do. */
enum dec_rc stmt_execute_decode(struct span payload, uint16_t params,
                                struct stmt_execute *ret_execute);

/* The same from who has agreed on query attributes. */
enum dec_rc stmt_execute_named_decode(struct span payload, uint16_t params,
                                      struct stmt_execute *ret_execute);
/* The parameters' types (has_types), two bytes each. */
void stmt_execute_types(const struct stmt_execute *execute, uint16_t params, uint8_t *types);

/* The same for COM_STMT_BULK_EXECUTE. */
enum dec_rc stmt_bulk_decode(struct span payload, uint16_t params,
                             struct stmt_execute *ret_execute);

/* Walk the values: checks that they fill `values` exactly as the types demand (has_types or
 * types given). Long data parameters (bit set in `long_data`, NULL for none) carry no value. */
enum dec_rc stmt_execute_check_values(const struct stmt_execute *execute, uint16_t params,
                                      struct span types, const uint8_t *long_data);

/* The same for the rows of a bulk execution, of which there must be one at least. */
enum dec_rc stmt_bulk_check_values(const struct stmt_execute *execute, uint16_t params,
                                   struct span types, uint32_t *ret_rows);

/* The value of one parameter: of integers as decimal digits in digits, of strings their bytes; both
 * live as long as their storage. False: NULL, another type, or no such value. types: two bytes for each
 * of params. */
#define STMT_DIGITS_MAX 24
bool stmt_execute_value(const struct stmt_execute *execute, uint16_t params, struct span types,
                        uint16_t index, char digits[STMT_DIGITS_MAX], struct span *ret_value);

/* Append the payload of an EXECUTE that means the same on another connection: id replaced and,
 * when the client sent no types, `types` (remembered from an earlier EXECUTE) put in. */
void stmt_execute_encode(struct wire_out *out, const struct stmt_execute *execute, uint32_t id,
                         struct span types, uint16_t params);
/* By how many bytes it grows then. */
size_t stmt_execute_grows(const struct stmt_execute *execute, uint16_t params);

#endif
