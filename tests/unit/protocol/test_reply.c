/* SPDX-License-Identifier: Apache-2.0 */
/* Replies recorded from real servers, translated for every kind of client, for every way to cut
 * the bytes; what a client of that kind got from the same server is what must come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "weir/protocol/caps.h"
#include "weir/protocol/reply.h"

#include "capture.h"

#define MAX_EVENTS 64

/* What one run of the tracker gave, in a form that must not depend on the cuts. */
struct outcome {
    struct bytes out;
    struct bytes events; /* one line each, as text */
    bool done;
    bool bad;
    uint16_t first_status;
};

static void note(struct outcome *o, const char *text)
{
    bytes_add(&o->events, text, strlen(text));
}

static void note_tracks(struct outcome *o, struct span bytes)
{
    char line[256];
    struct ok_tracks tracks;
    struct ok_track track;
    size_t count = 0;
    size_t weight = 0; /* a filter may change their order, not their contents */
    enum dec_rc rc = DEC_MORE;

    ok_tracks_init(&tracks, bytes);
    while ((rc = ok_track_next(&tracks, &track)) == DEC_OK) {
        count++;
        weight += track.type + track.name.len * 100 + track.value.len;
    }
    assert_int_equal(rc, DEC_MORE);
    (void)snprintf(line, sizeof line, " tracks=%zu/%zu\n", count, weight);
    note(o, line);
}

static void note_event(struct outcome *o, const struct reply_step *step)
{
    char line[256];
    switch (step->event) {
    case REPLY_EV_NONE:
        return;
    case REPLY_EV_OK:
    case REPLY_EV_RESULT_END:
        (void)snprintf(line, sizeof line, "%s %llu %llu %04x %u info=%zu\n",
                       step->event == REPLY_EV_OK ? "ok" : "end",
                       (unsigned long long)step->ok.affected,
                       (unsigned long long)step->ok.insert_id, step->ok.status, step->ok.warnings,
                       step->ok.info.len);
        note(o, line);
        note_tracks(o, step->ok.tracks);
        return;
    case REPLY_EV_ERR:
        (void)snprintf(line, sizeof line, "err %u %s %.*s\n", step->err.code, step->err.sqlstate,
                       (int)step->err.text.len, (const char *)step->err.text.p);
        note(o, line);
        return;
    case REPLY_EV_PREPARED:
        (void)snprintf(line, sizeof line, "prepared %u %u %u\n", step->prepared.id,
                       step->prepared.columns, step->prepared.params);
        note(o, line);
        return;
    case REPLY_EV_LOCAL_INFILE:
        (void)snprintf(line, sizeof line, "infile %.*s\n", (int)step->filename.len,
                       (const char *)step->filename.p);
        note(o, line);
        return;
    }
}

/* Feeds bytes in pieces that next_cut chooses; what is left over is kept as a session would. */
typedef size_t (*cut_fn)(void *arg, size_t at, size_t len);

static struct outcome drive(enum reply_kind kind, const struct reply_front *front, uint16_t status,
                            const struct bytes *in, cut_fn next_cut, void *arg)
{
    struct outcome o = {0};
    struct reply reply;
    size_t at = 0;   /* handed to us so far */
    size_t used = 0; /* consumed by the tracker */

    reply_begin(&reply, kind, front, 1, status);
    while (at < in->len && !o.done && !o.bad) {
        size_t part = next_cut(arg, at, in->len);
        at += part;
        /* A block of its own size each time: any byte read too far is seen by ASan. */
        size_t held = at - used;
        uint8_t *chunk = malloc(held);
        assert_non_null(chunk);
        memcpy(chunk, in->p + used, held);
        size_t off = 0;
        for (;;) {
            struct reply_step step;
            enum dec_rc rc = reply_feed(&reply, chunk + off, held - off, &step);
            assert_true(step.used <= held - off);
            assert_int_equal(step.is_first, o.out.len == 0);
            if (step.event == REPLY_EV_PREPARED) {
                memset(step.id_at, 0xab, 4);
            }
            for (unsigned i = 0; i < step.iov_count; i++) {
                bytes_add(&o.out, step.iov[i].iov_base, step.iov[i].iov_len);
            }
            assert_int_equal(reply.out_bytes, o.out.len);
            assert_int_equal(reply_is_fresh(&reply), o.out.len == 0);
            note_event(&o, &step);
            off += step.used;
            o.done = step.done;
            o.bad = rc == DEC_BAD;
            if (step.event == REPLY_EV_LOCAL_INFILE) {
                reply_infile_sent(&reply, (uint8_t)(reply.seq + 2));
            }
            if (rc != DEC_OK || step.done || off == held) {
                break;
            }
        }
        used += off;
        free(chunk);
    }
    if (o.done) {
        assert_int_equal(used, at); /* nothing of the next reply was touched or is missing */
        assert_int_equal(at, in->len);
        assert_true(reply_is_done(&reply));
    }
    return o;
}

static void outcome_free(struct outcome *o)
{
    bytes_free(&o->out);
    bytes_free(&o->events);
}

static size_t cut_none(void *arg, size_t at, size_t len)
{
    (void)arg;
    return len - at;
}

static size_t cut_bytewise(void *arg, size_t at, size_t len)
{
    (void)arg;
    (void)at;
    (void)len;
    return 1;
}

/* One cut, at *arg. */
static size_t cut_once(void *arg, size_t at, size_t len)
{
    const size_t *where = arg;
    return at == 0 && *where > 0 && *where < len ? *where : len - at;
}

static size_t cut_random(void *arg, size_t at, size_t len)
{
    uint32_t *seed = arg;
    *seed = *seed * 1664525u + 1013904223u;
    size_t max = (*seed >> 8) % 16 == 0 ? 70000 : 40;
    size_t part = 1 + (*seed >> 12) % max;
    return part < len - at ? part : len - at;
}

/* For replies of many megabytes. */
static size_t cut_large(void *arg, size_t at, size_t len)
{
    uint32_t *seed = arg;
    *seed = *seed * 1664525u + 1013904223u;
    size_t part = 100000 + (*seed >> 12) % 1000000;
    return part < len - at ? part : len - at;
}

static bool var_default(void *arg, struct span name)
{
    (void)arg;
    static const char *const names[] = {"autocommit", "time_zone", "character_set_client",
                                        "character_set_connection", "character_set_results"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (span_eq_text(name, names[i])) {
            return true;
        }
    }
    return false;
}

static const struct reply_front fronts[MODE_CMD] = {
    [MODE_NEW] = {.has_deprecate_eof = true, .has_session_track = true, .track_types = 0xff},
    [MODE_DEF] = {.has_deprecate_eof = true,
                  .has_session_track = true,
                  .track_types = 1u << OK_TRACK_SYSTEM_VARIABLES | 1u << OK_TRACK_SCHEMA,
                  .var_pass = var_default},
    [MODE_EOF] = {.has_deprecate_eof = true},
    [MODE_TRK] = {.has_session_track = true,
                  .track_types = 1u << OK_TRACK_SYSTEM_VARIABLES | 1u << OK_TRACK_SCHEMA,
                  .var_pass = var_default},
    [MODE_OLD] = {0},
};

static void hexdump(const char *what, const struct bytes *b)
{
    print_message("  %s %zu: ", what, b->len);
    for (size_t i = 0; i < b->len && i < 400; i++) {
        print_message("%02x", b->p[i]);
    }
    print_message("\n");
}

/* Clear flags in the EOF packets behind column definitions (old clients only): those flags are
 * what the server's thread had half-way, which a proxy can know only in part. */
static void mask_middle_eof(struct bytes *b, enum reply_kind kind, uint16_t clear)
{
    size_t at = 0;
    bool in_rows = false;
    if (kind != REPLY_QUERY && kind != REPLY_EXECUTE) {
        return;
    }
    while (at + 5 <= b->len) {
        size_t len = b->p[at] | (size_t)b->p[at + 1] << 8 | (size_t)b->p[at + 2] << 16;
        uint8_t first = b->p[at + 4];
        if (!in_rows && first != 0x00 && first < 0xfb) {
            for (unsigned defs = first == 0 ? 0 : first; defs > 0 && at + 4 + len < b->len;
                 defs--) {
                at += 4 + len;
                len = b->p[at] | (size_t)b->p[at + 1] << 8 | (size_t)b->p[at + 2] << 16;
            }
            at += 4 + len;
            if (at + 9 > b->len || b->p[at] != 5 || b->p[at + 4] != 0xfe) {
                return;
            }
            b->p[at + 7] &= (uint8_t)~clear;
            b->p[at + 8] &= (uint8_t) ~(clear >> 8);
            at += 9;
            in_rows = true;
            continue;
        }
        if (first == 0xfe && len < 0xffffff) {
            in_rows = false;
        }
        at += 4 + len;
    }
}

static bool same(const struct bytes *a, const struct bytes *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
}

/* What differs for reasons that are no business of the tracker. */
enum difference {
    DIFF_NONE,
    DIFF_ALL,    /* counters of the server, or its statement ids in a text */
    DIFF_INFILE, /* the request is not handed out; its answer is numbered anew */
};

static enum difference difference_of(const struct exchange *x)
{
    if (strcmp(x->name, "statistics") == 0 || strcmp(x->name, "fetch_none") == 0 ||
        strcmp(x->name, "fetch_closed") == 0) {
        return DIFF_ALL;
    }
    return strcmp(x->name, "load_local") == 0 ? DIFF_INFILE : DIFF_NONE;
}

/* MySQL clears MORE_RESULTS in the last EOF of the OUT parameters' result although an OK follows,
 * for old clients only; they have to remember it from the EOF before. MariaDB does not, and weir
 * passes on what the server says to new ones: clients that look at either are served. */
static void set_out_params_end(struct bytes *want)
{
    static const uint8_t end[] = {0xfe, 0x00, 0x00, 0x02, 0x00, 0x07, 0x00, 0x00};
    for (size_t at = 0; at + sizeof end <= want->len; at++) {
        if (memcmp(want->p + at, end, sizeof end) == 0) {
            want->p[at + 3] = 0x0a;
            want->p[at + 4] = 0x10;
        }
    }
}

/* MySQL tells the transaction's state at START TRANSACTION and COMMIT even to sessions whose
 * session_track_transaction_info is OFF, and not in between; a client that did not ask gets none. */
static void drop_trx_state(struct bytes *want)
{
    static const char entry[] = {0x0b, 0x05, 0x09, 0x08};
    if (want->len == 24 && memcmp(want->p + 12, entry, sizeof entry) == 0) {
        want->len = 11;
        want->p[0] = 7;
        want->p[8] &= 0xbf;
    }
}

static struct bytes wanted(const struct exchange *x, int mode, uint16_t clear)
{
    struct bytes want = {0};
    bytes_add(&want, x->mode[mode].p, x->mode[mode].len);
    if (want.p == NULL || want.len < 5) {
        fail_msg("%s: nothing recorded", x->name);
        return want;
    }
    if (difference_of(x) == DIFF_INFILE) {
        size_t skip = 4u + want.p[0];
        want.len -= skip;
        memmove(want.p, want.p + skip, want.len);
        want.p[3] = 1;
    }
    if (strstr(x->name, "execute_call_") != NULL && mode >= MODE_TRK) {
        set_out_params_end(&want);
    }
    if (mode == MODE_DEF || mode == MODE_TRK) {
        drop_trx_state(&want);
    }
    if (x->kind == REPLY_PREPARE && want.p[4] == 0x00) {
        memset(want.p + 5, 0xab, 4); /* as drive() does */
    }
    if (mode >= MODE_TRK) {
        mask_middle_eof(&want, x->kind, clear);
    }
    return want;
}

static void check(const struct exchange *x, int mode, cut_fn cut, void *arg, uint16_t clear,
                  const struct bytes *events)
{
    struct outcome o = drive(x->kind, &fronts[mode], x->status, &x->mode[MODE_NEW], cut, arg);
    struct bytes want = wanted(x, mode, clear);
    bool is_old = !fronts[mode].has_deprecate_eof;
    if (is_old) {
        mask_middle_eof(&o.out, x->kind, clear);
    }
    if (!o.done || o.bad ||
        (!same(&o.out, &want) && (difference_of(x) != DIFF_ALL || mode == MODE_NEW)) ||
        (events != NULL && !same(&o.events, events))) {
        print_message("%s for %s\n", x->name, capture_mode_names[mode]);
        hexdump("server", &x->mode[MODE_NEW]);
        hexdump("wanted", &want);
        hexdump("got   ", &o.out);
        print_message("%.*s", (int)o.events.len, (const char *)o.events.p);
        fail();
    }
    bytes_free(&want);
    outcome_free(&o);
}

/* Flags of the EOF in the middle that may differ: of how the statement was executed, not of the
 * session. With cuts, those that are only known at the end may differ as well. */
#define EXECUTION_FLAGS 0x0830u /* no index used, no good index used, slow */
#define ALL_FLAGS       0xffffu

static void check_file(const char *file)
{
    struct capture capture = capture_load(file);
    assert_true(capture.count > 80);
    for (size_t i = 0; i < capture.count; i++) {
        const struct exchange *x = &capture.exchanges[i];
        bool is_huge = x->mode[MODE_NEW].len > 1000000;
        struct outcome whole =
            drive(x->kind, &fronts[MODE_NEW], x->status, &x->mode[MODE_NEW], cut_none, NULL);
        for (int mode = MODE_NEW; mode < MODE_CMD; mode++) {
            size_t len = x->mode[MODE_NEW].len;
            /* PS_OUT_PARAMS must be right for every cut. */
            uint16_t cut_flags =
                x->kind == REPLY_EXECUTE ? (uint16_t)~STATUS_PS_OUT_PARAMS : ALL_FLAGS;
            check(x, mode, cut_none, NULL, EXECUTION_FLAGS, &whole.events);
            if (len < 3000) {
                check(x, mode, cut_bytewise, NULL, cut_flags, &whole.events);
                for (size_t where = 1; where < len; where++) {
                    check(x, mode, cut_once, &where, cut_flags, &whole.events);
                }
            }
            for (uint32_t seed = 1; seed <= (is_huge ? 1 : 20); seed++) {
                uint32_t s = seed;
                check(x, mode, is_huge ? cut_large : cut_random, &s, cut_flags, &whole.events);
            }
        }
        outcome_free(&whole);
    }
    capture_free(&capture);
}

static void test_mariadb(void **state)
{
    (void)state;
    check_file(WEIR_SOURCE_DIR "/tests/data/wire/mariadb-10.11/replies.txt");
}

static void test_mysql(void **state)
{
    (void)state;
    check_file(WEIR_SOURCE_DIR "/tests/data/wire/mysql-9.7/replies.txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mariadb),
        cmocka_unit_test(test_mysql),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
