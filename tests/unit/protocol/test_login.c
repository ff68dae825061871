/* SPDX-License-Identifier: Apache-2.0 */
/* Greetings and logins: what real clients and servers said to each other, round trips, and every
 * way to cut a packet short. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "weir/protocol/auth.h"
#include "weir/protocol/auth_native.h"
#include "weir/protocol/auth_sha2.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/command.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/login.h"
#include "weir/protocol/ok.h"

#include "capture.h"

#define PASSWORD SPAN_LIT("lab-secret")

static uint64_t everything(void)
{
    return UINT32_MAX;
}

/* A copy of exactly the right size, so that ASan sees the first byte read too far. */
static uint8_t *exact_copy(const void *p, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (p != NULL) {
        memcpy(copy, p, len);
    }
    return copy;
}

static bool is_right_answer(struct span plugin, struct span auth, const uint8_t *scramble)
{
    uint8_t stage2[AUTH_NATIVE_LEN];
    uint8_t verifier[AUTH_SHA2_LEN];
    if (span_eq_text(plugin, AUTH_PLUGIN_NATIVE)) {
        auth_native_stage2(PASSWORD, stage2);
        return auth_native_verify(auth, scramble, stage2, NULL);
    }
    auth_sha2_verifier(PASSWORD, verifier);
    return auth_sha2_verify(auth, scramble, verifier);
}

/* One recorded conversation, packet by packet, as weir's two halves would see it. */
struct talk {
    struct greet greet;
    uint8_t scramble[20];
    char plugin[64];
    bool has_greet;
    bool has_switch;
    unsigned right;
    unsigned change_users;
    unsigned ssl_requests;
};

static void from_server(struct talk *talk, struct span payload)
{
    struct auth_switch sw;
    if (!talk->has_greet) {
        assert_int_equal(greet_decode(payload, &talk->greet), DEC_OK);
        assert_int_equal(caps_missing(talk->greet.caps), 0);
        memcpy(talk->scramble, talk->greet.scramble, 20);
        talk->has_greet = true;
        return;
    }
    if (auth_packet_kind(payload) == AUTH_PACKET_SWITCH) {
        assert_int_equal(auth_switch_decode(payload, &sw), DEC_OK);
        assert_int_equal(sw.data.len, 20);
        memcpy(talk->scramble, sw.data.p, 20);
        (void)span_copy(sw.plugin, talk->plugin, sizeof talk->plugin);
        talk->has_switch = true;
    }
}

static void from_client(struct talk *talk, struct span payload, uint8_t seq)
{
    struct login login;
    if (seq == 1 && !talk->has_switch && talk->plugin[0] == '\0') {
        assert_int_equal(login_decode(payload, everything(), &login), DEC_OK);
        if (login.is_ssl_request) {
            talk->ssl_requests++;
            return;
        }
        assert_true(span_eq_text(login.user, "lab"));
        assert_true(login.db.len == 0 || span_eq_text(login.db, "lab"));
        assert_true(login.has_plugin);
        (void)span_copy(login.plugin, talk->plugin, sizeof talk->plugin);
        /* Clients may answer for a plugin of their own choice; then a switch follows. */
        if (login.auth.len > 0 && span_eq(login.plugin, talk->greet.plugin)) {
            talk->right += is_right_answer(login.plugin, login.auth, talk->scramble);
        }
    } else if (seq == 0 && payload.p[0] == COM_CHANGE_USER) {
        struct span body = {payload.p + 1, payload.len - 1};
        assert_int_equal(login_decode_change_user(body, everything(), &login), DEC_OK);
        assert_true(span_eq_text(login.user, "lab"));
        assert_true(login.plugin.len > 10);
        talk->change_users++;
    } else if (talk->has_switch && payload.len >= 20 && payload.len <= 32) {
        talk->has_switch = false;
        talk->right += is_right_answer(span_of(talk->plugin), payload, talk->scramble);
    }
}

static void check_logins(const char *path, unsigned want_talks, unsigned want_right)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    unsigned talks = 0;
    unsigned right = 0;
    unsigned change_users = 0;
    unsigned ssl_requests = 0;
    struct talk talk = {0};
    struct bytes greeting = {0};
    assert_non_null(f);
    for (;;) {
        bool is_end = getline(&line, &cap, f) <= 0;
        if (is_end || strncmp(line, "login ", 6) == 0) {
            talks += talk.has_greet;
            right += talk.right > 0 || talk.ssl_requests > 0;
            change_users += talk.change_users;
            ssl_requests += talk.ssl_requests;
            talk = (struct talk){0};
            bytes_free(&greeting);
            if (is_end) {
                break;
            }
        } else if (line[0] == 'C' || line[0] == 'S') {
            struct bytes packet = {0};
            capture_unpack(line + 2, &packet);
            assert_non_null(packet.p);
            assert_true(packet.len >= 4);
            if (packet.p == NULL) {
                break; /* for the analyzer, which does not know that an assertion returns no more */
            }
            uint8_t *copy = exact_copy(packet.p + 4, packet.len - 4);
            struct span payload = {copy, packet.len - 4};
            if (line[0] == 'S' && !talk.has_greet) {
                bytes_add(&greeting, copy, payload.len);
                payload.p = greeting.p;
            }
            if (line[0] == 'S') {
                from_server(&talk, payload);
            } else {
                from_client(&talk, payload, packet.p[3]);
            }
            free(copy);
            bytes_free(&packet);
        }
    }
    free(line);
    (void)fclose(f);
    assert_int_equal(talks, want_talks);
    assert_int_equal(right, want_right);
    assert_true(change_users >= 2);
    assert_true(ssl_requests <= 2);
}

static void test_recorded_logins(void **state)
{
    (void)state;
    /* Both logins of the MySQL 9.7 client end at MariaDB's switch: it has no native plugin. */
    check_logins(WEIR_SOURCE_DIR "/tests/data/wire/mariadb-10.11/logins.txt", 8, 6);
    check_logins(WEIR_SOURCE_DIR "/tests/data/wire/mysql-9.7/logins.txt", 8, 8);
}

static void test_greeting_round_trip(void **state)
{
    (void)state;
    uint8_t array[256];
    struct wire_out out;
    struct greet got;
    struct greet greet = {
        .version = SPAN_LIT("9.7.4"),
        .plugin = SPAN_LIT(AUTH_PLUGIN_SHA2),
        .caps = caps_offer(UINT32_MAX, true),
        .conn_id = 0x89abcdef,
        .status = STATUS_AUTOCOMMIT,
        .collation = 255,
        .scramble = "abcdefghijklmnopqrs",
    };
    greet.scramble[19] = 't';
    wire_out_array(&out, array, sizeof array);
    greet_encode(&out, &greet);
    assert_true(wire_out_ok(&out));
    assert_int_equal(greet_decode((struct span){array, out.len}, &got), DEC_OK);
    assert_true(span_eq(got.version, greet.version));
    assert_true(span_eq(got.plugin, greet.plugin));
    assert_true(got.caps == greet.caps);
    assert_int_equal(got.conn_id, greet.conn_id);
    assert_int_equal(got.status, greet.status);
    assert_int_equal(got.collation, greet.collation);
    assert_memory_equal(got.scramble, greet.scramble, 20);
    for (size_t len = 0; len < out.len - 23; len++) {
        uint8_t *copy = exact_copy(array, len);
        assert_int_equal(greet_decode((struct span){copy, len}, &got), DEC_BAD);
        free(copy);
    }
}

static void test_mariadb_extended_caps(void **state)
{
    (void)state;
    uint8_t array[256];
    struct wire_out out;
    struct greet got;
    struct greet greet = {.version = SPAN_LIT("11.4.2-MariaDB"),
                          .plugin = SPAN_LIT(AUTH_PLUGIN_NATIVE),
                          .caps = CAP_PLUGIN_AUTH | CAP_PROTOCOL_41 | CAP_MARIADB_CACHE_METADATA};
    memset(greet.scramble, 'x', sizeof greet.scramble);
    wire_out_array(&out, array, sizeof array);
    greet_encode(&out, &greet);
    assert_int_equal(greet_decode((struct span){array, out.len}, &got), DEC_OK);
    assert_true((got.caps & CAP_MARIADB_CACHE_METADATA) != 0);
    /* With bit 0 set the same bytes mean nothing. */
    array[1 + 15 + 4 + 8 + 1] |= 1;
    assert_int_equal(greet_decode((struct span){array, out.len}, &got), DEC_OK);
    assert_true((got.caps >> 32) == 0);
}

static void test_offer_and_request(void **state)
{
    (void)state;
    uint64_t all = UINT64_MAX;
    uint64_t offer = caps_offer(all, true);
    uint64_t never = CAP_COMPRESS | CAP_ZSTD | CAP_LOCAL_FILES | CAP_MULTI_FACTOR |
                     CAP_OPTIONAL_RESULTSET_METADATA | CAP_SSL_VERIFY_SERVER_CERT |
                     CAP_REMEMBER_OPTIONS | CAP_CAPABILITY_EXTENSION;
    assert_true((offer & never) == 0);
    /* Bit 0 is what tells MariaDB's clients that there are no extended flags. */
    assert_true(offer >> 32 == CAPS_EXTENDED >> 32);
    assert_true((offer & CAP_MARIADB_BULK_UNIT_RESULTS) == 0);
    assert_true((offer & CAP_LONG_PASSWORD) == 0);
    offer = caps_offer(all & ~CAP_MARIADB_EXTENDED_METADATA, true);
    assert_true(offer >> 32 == CAP_MARIADB_STMT_BULK >> 32);
    assert_true((offer & CAP_LONG_PASSWORD) == 0);
    offer = caps_offer(all & ~CAPS_EXTENDED, true);
    assert_true(offer >> 32 == 0);
    assert_true((offer & CAP_LONG_PASSWORD) != 0);
    assert_true((offer & CAP_SSL) != 0);
    assert_true((caps_offer(all, false) & CAP_SSL) == 0);
    /* A server without a flag that it alone can honour: not offered. */
    assert_true((caps_offer(all & ~CAP_FOUND_ROWS, true) & CAP_FOUND_ROWS) == 0);
    /* Translated by weir: offered whatever the server has. */
    assert_true((caps_offer(0, true) & CAP_SESSION_TRACK) != 0);

    uint64_t request = caps_request(all, 0, false, false);
    assert_true((request & (never | CAP_SSL | CAP_CONNECT_WITH_DB | CAP_FOUND_ROWS)) == 0);
    assert_true((request & CAP_DEPRECATE_EOF) != 0);
    assert_true((request & CAP_SESSION_TRACK) != 0);
    assert_true(request >> 32 == 0);
    /* An old client: its semantics, weir's own framing. */
    request = caps_request(all, CAP_PROTOCOL_41 | CAP_FOUND_ROWS, true, true);
    assert_true((request & CAP_FOUND_ROWS) != 0);
    assert_true((request & CAP_MULTI_RESULTS) == 0);
    assert_true((request & CAP_DEPRECATE_EOF) != 0);
    assert_true((request & CAP_SSL) != 0);
    assert_true((request & CAP_CONNECT_WITH_DB) != 0);
    assert_true((caps_request(all & ~CAP_LONG_PASSWORD, 0, false, false) & CAP_LONG_PASSWORD) != 0);

    /* Definitions are relayed: the server is asked for the client's kind of them. */
    request = caps_request(all & ~CAP_LONG_PASSWORD,
                           CAP_PROTOCOL_41 | CAP_MARIADB_EXTENDED_METADATA, false, false);
    assert_true(request >> 32 == CAP_MARIADB_EXTENDED_METADATA >> 32);
    assert_true((request & CAP_LONG_PASSWORD) == 0);
    request = caps_request(all & ~CAP_LONG_PASSWORD,
                           CAP_PROTOCOL_41 | CAP_MARIADB_STMT_BULK | CAP_MARIADB_BULK_UNIT_RESULTS,
                           false, false);
    assert_true(request >> 32 == CAP_MARIADB_STMT_BULK >> 32);
    assert_true((request & CAP_LONG_PASSWORD) == 0);
    request = caps_request(CAP_PROTOCOL_41 | CAP_LONG_PASSWORD,
                           CAP_PROTOCOL_41 | CAP_MARIADB_EXTENDED_METADATA, false, false);
    assert_true(request >> 32 == 0);

    assert_true(caps_missing(all) == 0);
    assert_true(caps_missing(all & ~CAP_DEPRECATE_EOF) == CAP_DEPRECATE_EOF);
    assert_string_equal(caps_name(CAP_DEPRECATE_EOF), "DEPRECATE_EOF");
    assert_string_equal(caps_name(0), "none");
    assert_true(caps_semantic(all & ~CAP_FOUND_ROWS) != caps_semantic(all));
    assert_true(caps_semantic(all & ~CAP_SSL) == caps_semantic(all));
}

static struct login sample(uint64_t caps);

/* The extended flags lie in the reserved bytes, and only when bit 0 is clear on both sides. */
static void test_extended_flags(void **state)
{
    uint8_t bytes[256];
    struct wire_out out;
    struct login login = sample(CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH |
                                CAP_MARIADB_EXTENDED_METADATA);
    struct login got;
    uint64_t offered = caps_offer(UINT64_MAX, false);

    (void)state;
    wire_out_array(&out, bytes, sizeof(bytes));
    login_encode(&out, &login);
    assert_true(wire_out_ok(&out));
    assert_int_equal(login_decode((struct span){bytes, out.len}, offered, &got), DEC_OK);
    assert_true((got.caps & CAP_MARIADB_EXTENDED_METADATA) != 0);
    assert_int_equal(login_decode((struct span){bytes, out.len}, offered | CAP_LONG_PASSWORD, &got),
                     DEC_OK);
    assert_true(got.caps >> 32 == 0);
    login.caps |= CAP_LONG_PASSWORD;
    wire_out_array(&out, bytes, sizeof(bytes));
    login_encode(&out, &login);
    assert_int_equal(login_decode((struct span){bytes, out.len}, offered, &got), DEC_OK);
    assert_true(got.caps >> 32 == 0);
}

static struct login sample(uint64_t caps)
{
    return (struct login){
        .caps = caps,
        .max_packet = 1 << 24,
        .collation = 45,
        .user = SPAN_LIT("user"),
        .auth = SPAN_LIT("0123456789abcdefghij"),
        .db = SPAN_LIT("shop"),
        .plugin = SPAN_LIT(AUTH_PLUGIN_NATIVE),
    };
}

static void test_response_round_trip(void **state)
{
    (void)state;
    uint64_t base = CAP_PROTOCOL_41;
    const uint64_t variants[] = {
        base,
        base | CAP_SECURE_CONNECTION,
        base | CAP_PLUGIN_AUTH_LENENC | CAP_SECURE_CONNECTION,
        base | CAP_SECURE_CONNECTION | CAP_CONNECT_WITH_DB,
        base | CAP_SECURE_CONNECTION | CAP_CONNECT_WITH_DB | CAP_PLUGIN_AUTH,
        base | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH | CAP_CONNECT_ATTRS,
        base | CAP_PLUGIN_AUTH_LENENC | CAP_CONNECT_WITH_DB | CAP_PLUGIN_AUTH | CAP_CONNECT_ATTRS,
    };
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        uint8_t array[512];
        uint8_t attrs[64];
        struct wire_out out;
        struct login login = sample(variants[i]);
        struct login got;
        wire_out_array(&out, attrs, sizeof attrs);
        login_attr_put(&out, SPAN_LIT("_client_name"), SPAN_LIT("weir"));
        login_attr_put(&out, SPAN_LIT("program_name"), SPAN_LIT(""));
        login.attrs = (struct span){attrs, out.len};
        wire_out_array(&out, array, sizeof array);
        login_encode(&out, &login);
        assert_true(wire_out_ok(&out));
        size_t len = out.len;
        uint8_t *copy = exact_copy(array, len);
        assert_int_equal(login_decode((struct span){copy, len}, everything(), &got), DEC_OK);
        assert_true(span_eq(got.user, login.user));
        assert_true(span_eq(got.auth, login.auth));
        assert_int_equal(got.collation, 45);
        assert_int_equal(got.max_packet, 1 << 24);
        assert_true((got.caps & CAP_CONNECT_WITH_DB) == 0 || span_eq(got.db, login.db));
        assert_true((got.caps & CAP_PLUGIN_AUTH) == 0 || span_eq(got.plugin, login.plugin));
        if ((got.caps & CAP_CONNECT_ATTRS) != 0) {
            struct wire pairs;
            struct span key;
            struct span value;
            wire_init(&pairs, got.attrs);
            assert_true(login_attr_next(&pairs, &key, &value));
            assert_true(span_eq_text(key, "_client_name"));
            assert_true(span_eq_text(value, "weir"));
            assert_true(login_attr_next(&pairs, &key, &value));
            assert_false(login_attr_next(&pairs, &key, &value));
            assert_true(wire_is_done(&pairs));
        }
        free(copy);
        /* Cut short anywhere: never read too far, and never the whole user with a cut answer. */
        for (size_t cut = 0; cut < len; cut++) {
            copy = exact_copy(array, cut);
            enum dec_rc rc = login_decode((struct span){copy, cut}, everything(), &got);
            assert_true(rc == DEC_BAD || cut >= 32 + 5 + 20);
            free(copy);
        }
    }
}

static void test_ssl_request(void **state)
{
    (void)state;
    uint8_t array[64];
    struct wire_out out;
    struct login got;
    struct login login = {.caps = CAP_PROTOCOL_41 | CAP_SSL, .max_packet = 5, .collation = 33};
    wire_out_array(&out, array, sizeof array);
    login_encode_ssl_request(&out, &login);
    assert_int_equal(out.len, 32);
    assert_int_equal(login_decode((struct span){array, 32}, everything(), &got), DEC_OK);
    assert_true(got.is_ssl_request);
    /* Not offered: it is a login without a user, which is nothing. */
    assert_int_equal(login_decode((struct span){array, 32}, everything() & ~CAP_SSL, &got),
                     DEC_BAD);
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t packet[33 + LOGIN_MAX_USER + 16] = {0};
    struct login got;
    /* 4.0 and older: 16 bit of flags without PROTOCOL_41. */
    assert_true(login_is_pre41(SPAN_LIT("\x85\x24\x00\x00\x00root\0")));
    assert_int_equal(login_decode((struct span){packet, 64}, everything(), &got), DEC_BAD);
    /* A user name without end, and one that is too long. */
    packet[1] = 0x82; /* PROTOCOL_41, SECURE_CONNECTION */
    memset(packet + 32, 'u', sizeof packet - 32);
    assert_int_equal(login_decode((struct span){packet, sizeof packet}, everything(), &got),
                     DEC_BAD);
    packet[32 + LOGIN_MAX_USER + 1] = 0;
    packet[32 + LOGIN_MAX_USER + 2] = 0;
    packet[32 + LOGIN_MAX_USER + 3] = 0;
    assert_int_equal(
        login_decode((struct span){packet, 32 + LOGIN_MAX_USER + 4}, everything(), &got), DEC_BAD);
    packet[32 + LOGIN_MAX_USER] = 0;
    assert_int_equal(
        login_decode((struct span){packet, 32 + LOGIN_MAX_USER + 2}, everything(), &got), DEC_OK);
    /* An answer longer than the packet. */
    packet[32 + 1] = 0;
    packet[32 + 2] = 200;
    assert_int_equal(login_decode((struct span){packet, 32 + 100}, everything(), &got), DEC_BAD);
}

static void test_attrs_bounds(void **state)
{
    (void)state;
    size_t len = LOGIN_MAX_ATTRS + 200;
    uint8_t *packet = calloc(1, len);
    struct login login = sample(CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_CONNECT_ATTRS);
    struct login got;
    uint8_t *attrs = calloc(1, LOGIN_MAX_ATTRS + 2);
    assert_non_null(packet);
    assert_non_null(attrs);
    for (size_t size = LOGIN_MAX_ATTRS - 2; size <= LOGIN_MAX_ATTRS + 2; size += 2) {
        struct wire_out out;
        login.attrs = (struct span){attrs, size}; /* pairs of empty strings */
        wire_out_array(&out, packet, len);
        login_encode(&out, &login);
        assert_true(wire_out_ok(&out));
        assert_int_equal(login_decode((struct span){packet, out.len}, everything(), &got),
                         size <= LOGIN_MAX_ATTRS ? DEC_OK : DEC_BAD);
    }
    /* A key without its value. */
    struct wire_out out;
    login.attrs = SPAN_LIT("\x01k");
    wire_out_array(&out, packet, len);
    login_encode(&out, &login);
    assert_int_equal(login_decode((struct span){packet, out.len}, everything(), &got), DEC_BAD);
    free(attrs);
    free(packet);
}

static void test_change_user(void **state)
{
    (void)state;
    uint8_t array[256];
    struct wire_out out;
    struct login got;
    struct login login = sample(CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH | CAP_CONNECT_ATTRS);
    login.collation = 2304; /* two bytes here */
    login.attrs = SPAN_LIT("\x01k\x01v");
    wire_out_array(&out, array, sizeof array);
    login_encode_change_user(&out, &login);
    assert_true(wire_out_ok(&out));
    size_t len = out.len;
    assert_int_equal(array[0], COM_CHANGE_USER);
    assert_int_equal(login_decode_change_user((struct span){array + 1, len - 1}, login.caps, &got),
                     DEC_OK);
    assert_true(span_eq(got.user, login.user));
    assert_true(span_eq(got.auth, login.auth));
    assert_true(span_eq(got.db, login.db));
    assert_true(span_eq(got.plugin, login.plugin));
    assert_true(span_eq(got.attrs, login.attrs));
    assert_int_equal(got.collation, 2304);
    for (size_t cut = 0; cut + 1 < len; cut++) {
        uint8_t *copy = exact_copy(array + 1, cut);
        enum dec_rc rc = login_decode_change_user((struct span){copy, cut}, login.caps, &got);
        assert_true(rc == DEC_BAD || cut >= 5 + 21);
        free(copy);
    }
    /* Shortest form that servers take: user, answer, schema. */
    assert_int_equal(login_decode_change_user(SPAN_LIT("u\0\0db\0"), login.caps, &got), DEC_OK);
    assert_true(span_eq_text(got.db, "db"));
    assert_int_equal(got.collation, 0);
    assert_false(got.has_plugin);
    /* An answer that does not fit its one byte of length is not sent. */
    uint8_t big[300] = {0};
    login.auth = (struct span){big, 256};
    wire_out_array(&out, array, sizeof array);
    login_encode_change_user(&out, &login);
    assert_false(wire_out_ok(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_logins),       cmocka_unit_test(test_greeting_round_trip),
        cmocka_unit_test(test_mariadb_extended_caps), cmocka_unit_test(test_offer_and_request),
        cmocka_unit_test(test_extended_flags),        cmocka_unit_test(test_response_round_trip),
        cmocka_unit_test(test_ssl_request),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_attrs_bounds),          cmocka_unit_test(test_change_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
