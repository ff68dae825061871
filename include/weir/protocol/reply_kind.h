/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply_kind - the shapes that a server's reply to a command can have.
 *
 * WHY       The command table and the reply tracker name the same shapes.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_PROTOCOL_REPLY_KIND_H
#define WEIR_PROTOCOL_REPLY_KIND_H

#define REPLY_KINDS(X)                                                           \
    X(NONE, "none")             /* the command has no reply                   */ \
    X(SIMPLE, "simple")         /* one OK, EOF or ERR                         */ \
    X(QUERY, "query")           /* OK, ERR, LOCAL INFILE or text result sets  */ \
    X(EXECUTE, "execute")       /* OK, ERR or binary result sets              */ \
    X(PREPARE, "prepare")       /* statement id, definitions                  */ \
    X(FETCH, "fetch")           /* rows of a cursor                           */ \
    X(FIELD_LIST, "field_list") /* definitions up to an end                   */ \
    X(STATISTICS, "statistics") /* one bare string                            */

enum reply_kind {
#define X(name, text) REPLY_##name,
    REPLY_KINDS(X)
#undef X
};

#endif
