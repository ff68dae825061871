/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attrs - query attributes: named values that a client sends along with a statement.
 *
 * WHY       With CLIENT_QUERY_ATTRIBUTES they stand between COM_QUERY and the text, and behind the
 *           parameters of COM_STMT_EXECUTE; some of them are for weir.
 * OWNS      none: what is decoded borrows the payload.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    enum dec_rc, never DEC_MORE
 * BOUNDS    ATTRS_MAX values in one packet, the parameters included.
 */
#ifndef WEIR_PROTOCOL_ATTRS_H
#define WEIR_PROTOCOL_ATTRS_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/protocol/wire.h"

#define ATTRS_MAX 65535u

struct stmt_execute;

/* Values with their names, as they lie in a packet. */
struct attrs {
    uint32_t count;
    uint32_t from;      /* those before it are parameters of the statement */
    struct span nulls;  /* bitmap */
    struct wire types;  /* two bytes and a name for each */
    struct wire values; /* from the first one on */
};

struct attr {
    struct span name;
    struct span text; /* of a value that is bytes; p NULL: NULL, or of another type */
    bool is_null;
};

/* A COM_QUERY of who has agreed on attributes: payload begins with the command byte; *ret_at is
 * where the text begins in it. */
enum dec_rc attrs_query_decode(struct span payload, struct attrs *ret_attrs, size_t *ret_at);
/* Those behind the parameters. No parameter has had its value by long data. */
void attrs_of_execute(const struct stmt_execute *execute, uint16_t params, struct attrs *ret_attrs);
/* The next one; false: there is none, or it makes no sense. */
bool attrs_next(struct attrs *attrs, struct attr *ret_attr);

#endif
