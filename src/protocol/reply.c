/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reply tracker.
 *
 *     begin --> FIRST --count--> DEFS --> [HOLD] --> ROWS --OK(FE)--+--> DONE
 *                 |  ^                                              |
 *                 |  +------------------ MORE_RESULTS --------------+
 *                 +--OK, ERR--> DONE or FIRST
 *                 +--PREPARE_OK--> PARAMS --> COLS --> DONE
 *                 +--FB name--> INFILE --reply_infile_sent()--> FIRST
 *
 * A packet is looked into only when its first byte can mean something: rows and definitions cost a
 * header each, wherever the bytes are cut. `skip` counts what is missing of the current frame, and
 * `is_continued` that the next frame belongs to the same packet (16 MiB and more).
 *
 * Old clients (no DEPRECATE_EOF) expect an EOF packet behind definitions. weir's connections never
 * get one, so it is made up here and every later packet's sequence id is raised by one in place.
 * Its status flags are those that the server's thread had at that moment, which nobody tells us:
 * the last known ones are used, or those at the end of the rows where the end is in the same chunk.
 * For the binary protocol that is not good enough: PS_OUT_PARAMS must be right (PHP's driver looks
 * for it there), and an open cursor has no second EOF at all. Both show in what follows, so HOLD
 * keeps back the packets behind the definitions until it is clear: OUT parameters are one row.
 */
#include "weir/protocol/reply.h"

#include <string.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/frame.h"
#include "weir/util/attr.h"

#include "reply_priv.h"

enum reply_state {
    STATE_DONE,
    STATE_FIRST,  /* a packet that says what comes */
    STATE_DEFS,   /* column definitions of a result set */
    STATE_HOLD,   /* all of them seen; EOF for an old client still undecided */
    STATE_ROWS,   /* rows, up to OK(FE) or ERR */
    STATE_PARAMS, /* PREPARE: definitions of parameters */
    STATE_COLS,   /* PREPARE: definitions of columns */
    STATE_INFILE, /* the server waits for a file */
};

/* One call's progress. Bytes from seg to p are accepted but not handed out yet. */
struct walk {
    struct reply *reply;
    struct reply_step *step;
    uint8_t *seg;
    uint8_t *p;
    uint8_t *end;
    uint8_t *eof; /* EOF behind the definitions made in this call */
    unsigned own_count;
};

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void set_state(struct reply *reply, enum reply_state state)
{
    reply->state = (uint8_t)state;
}

static size_t left(const struct walk *walk)
{
    return (size_t)(walk->end - walk->p);
}

static void hand_out(struct walk *walk, uint8_t *from, size_t len)
{
    struct reply_step *step = walk->step;
    if (len == 0 || step->iov_count == REPLY_IOV) {
        return;
    }
    struct iovec *iov = &step->iov[step->iov_count++];
    iov->iov_base = from;
    iov->iov_len = len;
    walk->reply->out_bytes += len;
}

/* Hand out what is accepted, up to `to`; go on behind p. */
static void close_segment(struct walk *walk, const uint8_t *to)
{
    hand_out(walk, walk->seg, (size_t)(to - walk->seg));
    walk->seg = walk->p;
}

/* Old clients: the EOF behind definitions, and one more to add to what follows. */
static void insert_eof(struct walk *walk)
{
    struct reply *reply = walk->reply;
    uint8_t *packet = walk->step->own[walk->own_count++];
    close_segment(walk, walk->p);
    reply_eof_encode(packet, (uint8_t)(reply->seq + reply->shift), reply->status);
    hand_out(walk, packet, REPLY_EOF_PACKET);
    reply->shift++;
    walk->eof = packet;
}

/* A packet that has to be seen whole: on DEC_OK p is behind it, its header is checked and its id
 * set for the client. */
static enum dec_rc take_packet(struct walk *walk, uint8_t **ret_payload, size_t *ret_len)
{
    struct reply *reply = walk->reply;
    uint8_t *p = walk->p;
    if (left(walk) < FRAME_HEADER) {
        return DEC_MORE;
    }
    uint32_t header = load32(p);
    size_t len = header & 0xffffff;
    if (header >> 24 != reply->seq || len == 0 || len > REPLY_MAX_CONTROL) {
        return DEC_BAD;
    }
    if (left(walk) - FRAME_HEADER < len) {
        return DEC_MORE;
    }
    p[3] = (uint8_t)(reply->seq + reply->shift);
    reply->seq++;
    walk->p = p + FRAME_HEADER + len;
    *ret_payload = p + FRAME_HEADER;
    *ret_len = len;
    return DEC_OK;
}

/* What take_packet() took makes no sense: the client must not have a byte of it. */
static enum dec_rc refuse_packet(struct walk *walk, uint8_t *payload)
{
    walk->p = payload - FRAME_HEADER;
    walk->reply->seq--;
    return DEC_BAD;
}

static enum dec_rc take_err(struct walk *walk)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    enum dec_rc rc = take_packet(walk, &payload, &len);
    if (rc != DEC_OK) {
        return rc;
    }
    /* 0xffff is MariaDB's progress report, which weir never asks for. */
    if (errpkt_decode((struct span){payload, len}, &walk->step->err) != DEC_OK ||
        walk->step->err.code == 0xffff) {
        return refuse_packet(walk, payload);
    }
    walk->step->event = REPLY_EV_ERR;
    set_state(walk->reply, STATE_DONE);
    return DEC_OK;
}

/* An OK that ends a result. */
static enum dec_rc take_ok(struct walk *walk, enum reply_event event)
{
    struct reply *reply = walk->reply;
    struct ok *ok = &walk->step->ok;
    uint8_t *payload = NULL;
    size_t len = 0;
    enum dec_rc rc = take_packet(walk, &payload, &len);
    if (rc != DEC_OK) {
        return rc;
    }
    if (reply_ok_decode(payload, len, ok) != DEC_OK) {
        return refuse_packet(walk, payload);
    }
    if (walk->eof != NULL) {
        reply_eof_patch(walk->eof, ok->status);
    }
    if (!reply->is_plain) {
        size_t before = len;
        if (reply_ok_translate(reply->front, payload, &len, ok) != DEC_OK) {
            return refuse_packet(walk, payload);
        }
        if (len != before) {
            frame_encode(payload - FRAME_HEADER, (uint32_t)len, payload[-1]);
            close_segment(walk, payload + len);
        }
    }
    reply->status = (uint16_t)(ok->status & (STATUS_OF_SESSION | STATUS_MORE_RESULTS));
    walk->step->event = event;
    set_state(reply, (ok->status & STATUS_MORE_RESULTS) != 0 ? STATE_FIRST : STATE_DONE);
    return DEC_OK;
}

static enum dec_rc take_prepared(struct walk *walk)
{
    struct reply *reply = walk->reply;
    struct stmt_prepared *prepared = &walk->step->prepared;
    uint8_t *payload = NULL;
    size_t len = 0;
    enum dec_rc rc = take_packet(walk, &payload, &len);
    if (rc != DEC_OK) {
        return rc;
    }
    if (stmt_prepared_decode((struct span){payload, len}, prepared) != DEC_OK) {
        return refuse_packet(walk, payload);
    }
    walk->step->id_at = payload + 1;
    walk->step->event = REPLY_EV_PREPARED;
    reply->cols_after = prepared->columns;
    reply->defs_left = prepared->params > 0 ? prepared->params : prepared->columns;
    if (prepared->params > 0) {
        set_state(reply, STATE_PARAMS);
    } else {
        set_state(reply, prepared->columns > 0 ? STATE_COLS : STATE_DONE);
    }
    return DEC_OK;
}

static enum dec_rc take_infile(struct walk *walk)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    close_segment(walk, walk->p);
    enum dec_rc rc = take_packet(walk, &payload, &len);
    if (rc != DEC_OK) {
        return rc;
    }
    walk->seg = walk->p; /* not for the client */
    walk->step->filename = (struct span){payload + 1, len - 1};
    walk->step->event = REPLY_EV_LOCAL_INFILE;
    set_state(walk->reply, STATE_INFILE);
    return DEC_OK;
}

static enum dec_rc take_column_count(struct walk *walk)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    enum dec_rc rc = take_packet(walk, &payload, &len);
    if (rc != DEC_OK) {
        return rc;
    }
    uint64_t count = payload[0];
    if (len > 1 || count >= 0xfb) {
        struct wire wire;
        wire_init(&wire, (struct span){payload, len});
        count = wire_lenenc(&wire);
        count = wire_is_done(&wire) ? count : 0;
    }
    if (count == 0 || count > 0xffff) {
        return refuse_packet(walk, payload);
    }
    walk->reply->defs_left = (uint32_t)count;
    set_state(walk->reply, STATE_DEFS);
    return DEC_OK;
}

static enum dec_rc take_bare(struct walk *walk)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    enum dec_rc rc = take_packet(walk, &payload, &len);
    if (rc == DEC_OK) {
        set_state(walk->reply, STATE_DONE);
    }
    return rc;
}

static enum dec_rc walk_first(struct walk *walk)
{
    if (left(walk) <= FRAME_HEADER) {
        /* An empty packet means nothing here. */
        return left(walk) == FRAME_HEADER && (load32(walk->p) & 0xffffff) == 0 ? DEC_BAD : DEC_MORE;
    }
    uint8_t first = walk->p[FRAME_HEADER];
    if (first == 0xff) {
        return take_err(walk);
    }
    switch ((enum reply_kind)walk->reply->kind) {
    case REPLY_STATISTICS:
        return take_bare(walk);
    case REPLY_PREPARE:
        return take_prepared(walk);
    case REPLY_SIMPLE:
        return first == 0x00 || first == 0xfe ? take_ok(walk, REPLY_EV_OK) : DEC_BAD;
    case REPLY_QUERY:
    case REPLY_EXECUTE:
    case REPLY_NONE:
    case REPLY_FETCH:
    case REPLY_FIELD_LIST:
        break;
    }
    if (first == 0x00) {
        return take_ok(walk, REPLY_EV_OK);
    }
    return first == 0xfb ? take_infile(walk) : take_column_count(walk);
}

/* One frame of a large packet, or the beginning of one: rare. At least a header is there. */
static enum dec_rc skip_large(struct walk *walk)
{
    struct reply *reply = walk->reply;
    uint32_t header = load32(walk->p);
    size_t len = header & 0xffffff;
    if (header >> 24 != reply->seq || (len == 0 && !reply->is_continued)) {
        return DEC_BAD;
    }
    walk->p[3] = (uint8_t)(reply->seq + reply->shift);
    reply->seq++;
    reply->is_continued = len == FRAME_MAX_PAYLOAD;
    walk->p += FRAME_HEADER;
    reply->skip = len;
    return DEC_OK;
}

/* Walk definitions or rows up to `limit` packets, or to a packet whose first byte is `stop` or
 * above. DEC_OK: stopped at one of those; DEC_MORE: out of bytes. */
static enum dec_rc skip_packets(struct walk *walk, uint8_t stop, uint32_t *limit)
{
    struct reply *reply = walk->reply;
    uint8_t *p = walk->p;
    const uint8_t *end = walk->end;
    uint32_t seq = reply->seq;
    const uint8_t shift = reply->shift;
    uint32_t count = *limit;
    enum dec_rc rc = DEC_MORE;

    while (count > 0 && (size_t)(end - p) > FRAME_HEADER) {
        uint32_t header = load32(p);
        uint32_t len = header & 0xffffff;
        if (WR_UNLIKELY(header >> 24 != seq)) {
            rc = DEC_BAD;
            break;
        }
        if (WR_UNLIKELY(len - 1 >= FRAME_MAX_PAYLOAD - 1)) { /* empty, or a full frame */
            reply->seq = (uint8_t)seq;
            walk->p = p;
            rc = skip_large(walk);
            *limit = count - 1;
            return rc;
        }
        if (WR_UNLIKELY(p[FRAME_HEADER] >= stop)) {
            rc = DEC_OK;
            break;
        }
        if (shift != 0) {
            p[3] = (uint8_t)(seq + shift);
        }
        seq = (seq + 1) & 0xff;
        count--;
        size_t have = (size_t)(end - p) - FRAME_HEADER;
        if (len > have) {
            reply->skip = len - have;
            p += FRAME_HEADER + have;
            break;
        }
        p += FRAME_HEADER + len;
    }
    reply->seq = (uint8_t)seq;
    walk->p = p;
    *limit = count;
    return rc;
}

/* All definitions of one list have been accepted. */
static void defs_end(struct walk *walk)
{
    struct reply *reply = walk->reply;
    bool is_old = !reply->front->has_deprecate_eof;

    reply->rows = 0;
    if (reply->state == STATE_DEFS) {
        if (is_old && reply->kind == REPLY_EXECUTE) {
            set_state(reply, STATE_HOLD);
            return;
        }
        set_state(reply, STATE_ROWS);
    } else if (reply->state == STATE_PARAMS && reply->cols_after > 0) {
        reply->defs_left = reply->cols_after;
        set_state(reply, STATE_COLS);
    } else {
        set_state(reply, STATE_DONE);
    }
    if (is_old) {
        insert_eof(walk);
    }
}

static enum dec_rc walk_defs(struct walk *walk)
{
    struct reply *reply = walk->reply;
    enum dec_rc rc = skip_packets(walk, 0xff, &reply->defs_left);
    if (rc == DEC_OK && reply->skip == 0 && !reply->is_continued && reply->defs_left > 0) {
        return take_err(walk);
    }
    return rc;
}

static enum dec_rc walk_rows(struct walk *walk)
{
    uint32_t no_limit = UINT32_MAX;
    enum dec_rc rc = skip_packets(walk, 0xfe, &no_limit);
    walk->reply->rows += UINT32_MAX - no_limit;
    if (rc != DEC_OK || walk->reply->skip > 0 || walk->reply->is_continued) {
        return rc;
    }
    return walk->p[FRAME_HEADER] == 0xff ? take_err(walk) : take_ok(walk, REPLY_EV_RESULT_END);
}

/* Is the end of the rows among the first two packets? DEC_OK: *ret_end is its status (0 when there
 * is none); DEC_MORE: cannot be told yet. */
static enum dec_rc peek_end(const struct walk *walk, bool *ret_is_cursor)
{
    const uint8_t *p = walk->p;
    *ret_is_cursor = false;
    for (int i = 0; i < 2; i++) {
        size_t have = (size_t)(walk->end - p);
        if (have <= FRAME_HEADER) {
            return DEC_MORE;
        }
        size_t len = load32(p) & 0xffffff;
        uint8_t first = p[FRAME_HEADER];
        bool is_end = first == 0xfe && len < FRAME_MAX_PAYLOAD;
        if (first == 0xff || len == 0 || len > (is_end ? REPLY_MAX_CONTROL : REPLY_MAX_HOLD) ||
            (i == 1 && !is_end)) {
            return DEC_OK;
        }
        if (have - FRAME_HEADER < len) {
            return DEC_MORE;
        }
        if (is_end) {
            struct ok ok;
            if (reply_ok_decode(p + FRAME_HEADER, len, &ok) != DEC_OK) {
                return DEC_BAD;
            }
            *ret_is_cursor = i == 0 && (ok.status & STATUS_CURSOR_EXISTS) != 0;
            return DEC_OK;
        }
        p += FRAME_HEADER + len;
    }
    return DEC_OK;
}

static enum dec_rc walk_hold(struct walk *walk)
{
    bool is_cursor = false;
    enum dec_rc rc = peek_end(walk, &is_cursor);
    if (rc == DEC_OK) {
        /* A cursor's end is the only EOF that its EXECUTE has. */
        if (!is_cursor) {
            insert_eof(walk);
        }
        set_state(walk->reply, STATE_ROWS);
    }
    return rc;
}

/* The rest of a frame that began in an earlier call, and further frames of the same packet.
 * DEC_OK: at the beginning of a packet. */
static enum dec_rc walk_skip(struct walk *walk)
{
    struct reply *reply = walk->reply;
    for (;;) {
        size_t part = reply->skip < left(walk) ? reply->skip : left(walk);
        walk->p += part;
        reply->skip -= part;
        if (reply->skip > 0) {
            return DEC_MORE;
        }
        if (!reply->is_continued) {
            return DEC_OK;
        }
        if (left(walk) < FRAME_HEADER) {
            return DEC_MORE;
        }
        if (skip_large(walk) != DEC_OK) {
            return DEC_BAD;
        }
    }
}

static enum dec_rc walk_on(struct walk *walk)
{
    struct reply *reply = walk->reply;
    enum dec_rc rc = DEC_OK;

    while (rc == DEC_OK && walk->step->event == REPLY_EV_NONE) {
        if (reply->skip > 0 || reply->is_continued) {
            rc = walk_skip(walk);
            if (rc != DEC_OK) {
                return rc;
            }
        }
        switch ((enum reply_state)reply->state) {
        case STATE_DONE:
            return DEC_OK;
        case STATE_FIRST:
            rc = walk_first(walk);
            break;
        case STATE_DEFS:
        case STATE_PARAMS:
        case STATE_COLS:
            rc = walk_defs(walk);
            /* The last one accepted whole: it may have been the end of what there is. */
            if (rc != DEC_BAD && reply->defs_left == 0 && reply->skip == 0 &&
                !reply->is_continued) {
                defs_end(walk);
                rc = DEC_OK;
            }
            break;
        case STATE_HOLD:
            rc = walk_hold(walk);
            break;
        case STATE_ROWS:
            rc = walk_rows(walk);
            break;
        case STATE_INFILE:
            return left(walk) > 0 ? DEC_BAD : DEC_MORE;
        }
    }
    return rc;
}

enum dec_rc reply_feed(struct reply *reply, uint8_t *bytes, size_t len, struct reply_step *ret_step)
{
    struct walk walk = {.reply = reply, .step = ret_step};
    walk.seg = bytes;
    walk.p = bytes;
    walk.end = bytes + len;
    ret_step->iov_count = 0;
    ret_step->event = REPLY_EV_NONE;
    ret_step->is_first = reply->out_bytes == 0;

    enum dec_rc rc = len > 0 || reply->state == STATE_DONE ? walk_on(&walk) : DEC_MORE;
    close_segment(&walk, walk.p);
    ret_step->used = (size_t)(walk.p - bytes);
    ret_step->done = rc != DEC_BAD && reply->state == STATE_DONE;
    return rc;
}

void reply_begin(struct reply *reply, enum reply_kind kind, const struct reply_front *front,
                 uint8_t seq, uint16_t status)
{
    *reply = (struct reply){
        .front = front,
        .status = (uint16_t)(status & STATUS_OF_SESSION),
        .kind = (uint8_t)kind,
        .seq = seq,
        .is_plain = reply_front_is_plain(front),
    };
    switch (kind) {
    case REPLY_NONE:
        set_state(reply, STATE_DONE);
        break;
    case REPLY_FETCH:
    case REPLY_FIELD_LIST:
        set_state(reply, STATE_ROWS);
        break;
    case REPLY_SIMPLE:
    case REPLY_QUERY:
    case REPLY_EXECUTE:
    case REPLY_PREPARE:
    case REPLY_STATISTICS:
        set_state(reply, STATE_FIRST);
        break;
    }
}

void reply_set_client_seq(struct reply *reply, uint8_t seq)
{
    reply->shift = (uint8_t)(seq - reply->seq);
}

void reply_infile_sent(struct reply *reply, uint8_t next_server_seq)
{
    /* The request counted as one packet that the client never saw. */
    uint8_t client_seq = (uint8_t)(reply->seq - 1 + reply->shift);
    reply->seq = next_server_seq;
    reply->shift = (uint8_t)(client_seq - next_server_seq);
    set_state(reply, STATE_FIRST);
}

bool reply_is_done(const struct reply *reply)
{
    return reply->state == STATE_DONE;
}

bool reply_is_fresh(const struct reply *reply)
{
    return reply->out_bytes == 0;
}

uint8_t reply_client_seq(const struct reply *reply)
{
    return (uint8_t)(reply->seq + reply->shift);
}
