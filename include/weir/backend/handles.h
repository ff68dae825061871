/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handles - the prepared statements that one connection knows, by text, least recently used first.
 *
 * WHY       A statement is prepared where it is executed. Sessions that prepare the same text in
 *           the same state can use one handle of the server, one after the other; a server counts
 *           all handles of all connections, so each connection keeps a bounded number.
 * OWNS      Copies of the texts and of the parameter types sent last. The server's own handles are
 *           its connection's: who takes a handle out sends the COM_STMT_CLOSE.
 * THREADS   The connection's worker.
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    0, -ENOMEM, -WR_E_LIMIT: every handle is busy.
 * BOUNDS    The number given to handles_add(), and HANDLES_TEXT_MAX bytes of texts.
 */
#ifndef WEIR_BACKEND_HANDLES_H
#define WEIR_BACKEND_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/backend/svec.h"
#include "weir/util/attr.h"
#include "weir/util/list.h"
#include "weir/util/str.h"

#define HANDLES_TEXT_MAX ((size_t)8 * 1024 * 1024)

struct buf;

/* One session's statement. */
struct handle_user {
    uint64_t session; /* its serial; 0: nobody */
    uint32_t stmt;
};

/* What a text means when it is prepared: its bytes, and the state that servers bind it to. */
struct handle_key {
    uint64_t hash; /* handle_key_hash() of the text */
    struct span text;
    struct svec at; /* only the variables of handle_is_bound() count */
    /* Where a server keeps the types that a handle was first executed with: those of whoever wants
     * it now, and who that is. p NULL: whatever it has been executed with will do. */
    struct span types;
    struct handle_user user;
};

struct handle {
    struct list_node lru;
    struct handle *next; /* of the same bucket */
    uint64_t hash;
    uint32_t id; /* the server's */
    uint16_t params;
    bool is_busy;            /* a cursor is open on it: not shared, not evicted */
    bool is_mixed;           /* has been executed with other types before */
    uint8_t *types;          /* sent last, two bytes for each parameter; NULL: never */
    struct handle_user user; /* who alone has executed it with types */
    struct svec at;
    size_t text_len;
    uint8_t text[];
};

struct handles {
    struct handle **buckets; /* NULL until the first */
    uint32_t bucket_count;   /* a power of two */
    uint32_t count;
    size_t text_bytes;
    struct list lru; /* least recently used first */
};

void handles_init(struct handles *handles);
/* Forgets them all: the connection is gone or was reset. Fine on a zeroed one. */
void handles_clear(struct handles *handles);
void handles_fini(struct handles *handles);

uint64_t handle_key_hash(struct span text);
/* The same in both vectors, as far as servers bind texts to them. */
bool handle_at_equal(const struct svec *a, const struct svec *b);
/* Those variables of src, which may be a view, into dst. */
void handle_at_copy(struct svec *dst, const struct svec *src);

/* A handle that is not busy, and now the most recently used. With types in the key: one that has not
 * been executed with others, unless by that user alone. NULL: none. */
struct handle *handles_find(struct handles *handles, const struct handle_key *key);
/* One more. When there are max already, or too many bytes, the least recently used that is not busy goes first:
 * *ret_close is its id then, else 0, to be closed on the server. */
WR_NODISCARD int handles_add(struct handles *handles, const struct handle_key *key, uint32_t id,
                             uint16_t params, uint32_t max, struct handle **ret_handle,
                             uint32_t *ret_close);
/* Take it out and free it; its id is the caller's to close. */
void handles_remove(struct handles *handles, struct handle *handle);
/* Remember the types that went out with an EXECUTE, and whose it was. */
WR_NODISCARD int handle_set_types(struct handle *handle, struct span types,
                                  struct handle_user user);

/* For a connection that goes to another worker: the vectors as bytes, and back. */
WR_NODISCARD int handles_pack(struct handles *handles, struct buf *out);
WR_NODISCARD int handles_unpack(struct handles *handles, struct svec_values *values,
                                struct span *bytes);

#endif
