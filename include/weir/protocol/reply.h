/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply - the reply tracker: where a server's reply ends, and how its bytes become the client's.
 *
 * WHY       A reply is relayed chunk by chunk as it arrives, never gathered. The tracker walks the
 *           packet headers, looks into the few packets that matter, and hands out the pieces to
 *           write to the client, translated in place where the client negotiated less than weir did
 *           with the server (weir always has DEPRECATE_EOF and SESSION_TRACK there).
 * OWNS      none. step->iov points into the caller's bytes and into the step itself: write or
 *           copy it before either changes. Spans in the step borrow the caller's bytes and are
 *           valid as long; the bytes of a translated packet have already been changed.
 * THREADS   the session's worker
 * REENTRY   the var callback is called from inside reply_feed and may not touch the reply.
 * UNITS     bytes
 * ERRORS    DEC_BAD: the server broke the protocol; close its connection. What the step holds by
 *           then may still be written.
 * BOUNDS    A packet that has to be seen whole is at most REPLY_MAX_CONTROL bytes; at most
 *           REPLY_MAX_HOLD bytes of rows are held back (only for old clients, on EXECUTE).
 */
#ifndef WEIR_PROTOCOL_REPLY_H
#define WEIR_PROTOCOL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "weir/protocol/ok.h"
#include "weir/protocol/reply_kind.h"
#include "weir/protocol/stmt.h"
#include "weir/protocol/wire.h"

#define REPLY_MAX_CONTROL (1024u * 1024u)
#define REPLY_MAX_HOLD    (32u * 1024u)
#define REPLY_IOV         6u
#define REPLY_EOF_PACKET  9u

/* True: the client asked to be told about this variable. */
typedef bool (*reply_var_fn)(void *arg, struct span name);

/* What the client can read. Lives as long as the replies that use it; constant while one runs. */
struct reply_front {
    bool has_deprecate_eof;
    bool has_session_track;
    uint8_t track_types;   /* 1u << enum ok_track_type: which entries pass; 0xff: all */
    reply_var_fn var_pass; /* NULL: every variable passes */
    void *var_arg;
};

enum reply_event {
    REPLY_EV_NONE,         /* nothing to tell; look at step->done all the same */
    REPLY_EV_OK,           /* step->ok: an OK that is a whole result */
    REPLY_EV_ERR,          /* step->err: ends the reply */
    REPLY_EV_RESULT_END,   /* step->ok: behind the last row of a result set */
    REPLY_EV_PREPARED,     /* step->prepared, step->id_at */
    REPLY_EV_LOCAL_INFILE, /* step->filename: the server wants a file; nothing was handed out */
};

struct reply_step {
    size_t used; /* bytes consumed; keep the rest and come back with more behind it */
    unsigned iov_count;
    enum reply_event event;
    bool done;     /* the reply ends with these bytes */
    bool is_first; /* no byte of this reply had been handed out before this step */
    struct iovec iov[REPLY_IOV];
    struct ok ok; /* as the server said: before any stripping, status included */
    struct errpkt err;
    struct stmt_prepared prepared;
    uint8_t *id_at; /* PREPARED: the four bytes of the id inside iov; may be overwritten */
    struct span filename;
    uint8_t own[2][REPLY_EOF_PACKET]; /* inserted packets live here */
};

struct reply {
    const struct reply_front *front;
    size_t skip;         /* bytes of the current packet still to come */
    uint64_t out_bytes;  /* handed out so far */
    uint64_t rows;       /* of the result set in hand, or the last one */
    uint32_t defs_left;  /* definitions still to come */
    uint16_t cols_after; /* PREPARE: column definitions behind the parameters */
    uint16_t status;     /* last status flags seen, or given at the start */
    uint8_t state;       /* enum reply_state, private */
    uint8_t kind;        /* enum reply_kind */
    uint8_t seq;         /* expected of the server's next packet */
    uint8_t shift;       /* to add for the client */
    bool is_continued;   /* the next frame continues a packet of 16 MiB and more */
    bool is_plain;       /* nothing to translate for this client */
};

/* seq: the sequence id of the server's first packet (1 behind a command of one frame).
 * status: the session's status flags now; used for EOF packets that have to be made up. */
void reply_begin(struct reply *reply, enum reply_kind kind, const struct reply_front *front,
                 uint8_t seq, uint16_t status);

/* The client expects its first packet to carry this id (when it differs from the server's). */
void reply_set_client_seq(struct reply *reply, uint8_t seq);

/* Walk bytes. DEC_OK: an event, or done. DEC_MORE: everything that can be used is; the bytes behind
 * step->used (if any) are the beginning of something that must be seen whole. A reply that is done
 * uses no bytes. After an event call again with the rest, unless done. */
enum dec_rc reply_feed(struct reply *reply, uint8_t *bytes, size_t len,
                       struct reply_step *ret_step);

/* The answer to LOCAL INFILE has been sent to the server; its verdict comes with this id. */
void reply_infile_sent(struct reply *reply, uint8_t next_server_seq);

bool reply_is_done(const struct reply *reply);
/* Nothing of it has been handed out: the command can still be run elsewhere. */
bool reply_is_fresh(const struct reply *reply);
/* The id that a packet of weir's own has to carry to come next for the client. */
uint8_t reply_client_seq(const struct reply *reply);

#endif
