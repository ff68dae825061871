/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logins to a real server, when the environment names one; tests/integration/conn_real says which
 * and what must come of it. Alone it has nothing to log in to, and skips.
 *   WEIR_LIVE_SERVER  host:port (numeric) or /path/of/socket
 *   WEIR_LIVE_USERS   user=password,... ; an empty password is an account without
 *   WEIR_LIVE_TLS     off | preferred | required | verify
 *   WEIR_LIVE_CA, WEIR_LIVE_NAME, WEIR_LIVE_SCHEMA
 * Prints a line per user: "user READY ..." or "user FAILED code=...".
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "weir/backend/conn.h"
#include "weir/protocol/caps.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/secret.h"

struct live {
    struct loop *loop;
    struct svec_values *values;
    struct secret_store *store;
    struct conn_tls tls;
    struct conn_env env;
    struct topo_server server;
    int events;
    int kills;
    int kill_err;
};

static void on_event(void *arg, struct conn *conn, enum conn_event event)
{
    struct live *live = arg;
    (void)conn;
    (void)event;
    live->events++;
}

static void on_kill(void *arg, int err, uint16_t code)
{
    struct live *live = arg;
    (void)code;
    live->kills++;
    live->kill_err = err;
}

static void spin(struct live *live, const int *counter)
{
    uint64_t end = clock_now_us() + 10 * CLOCK_US_PER_SECOND;
    while (*counter == 0 && clock_now_us() < end) {
        assert_int_equal(loop_turn(live->loop, 10000), 0);
    }
}

static void parse_server(struct live *live, const char *text)
{
    if (text[0] == '/') {
        struct sockaddr_un *un = (struct sockaddr_un *)(void *)&live->server.addr;
        un->sun_family = AF_UNIX;
        (void)snprintf(un->sun_path, sizeof(un->sun_path), "%s", text);
        live->server.addr_len = sizeof(*un);
        return;
    }
    char host[64];
    const char *colon = strrchr(text, ':');
    assert_non_null(colon);
    (void)span_copy((struct span){(const uint8_t *)text, (size_t)(colon - text)}, host,
                    sizeof(host));
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&live->server.addr;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    assert_int_equal(inet_pton(AF_INET, host, &in->sin_addr), 1);
    live->server.addr_len = sizeof(*in);
}

static void setup_tls(struct live *live, const char *mode)
{
    static const char *const modes[] = {"off", "preferred", "required", "verify"};
    char why[TLS_WHY_BYTES];
    for (size_t i = 0; i < WR_ARRAY_LEN(modes); i++) {
        if (mode != NULL && strcmp(mode, modes[i]) == 0) {
            live->tls.mode = (enum tls_mode)i;
        }
    }
    live->tls.server_name = getenv("WEIR_LIVE_NAME");
    if (live->tls.mode != TLS_MODE_OFF) {
        assert_int_equal(
            tls_client_create(live->tls.mode, getenv("WEIR_LIVE_CA"), why, &live->tls.ctx), 0);
    }
}

static void login_one(struct live *live, char *pair)
{
    char *equals = strchr(pair, '=');
    assert_non_null(equals);
    *equals = '\0';
    struct cred *cred = NULL;
    enum cred_kind kind = equals[1] == '\0' ? CRED_EMPTY : CRED_PASSWORD;
    assert_int_equal(cred_create(live->store, span_of(pair), kind, span_of(equals + 1), &cred), 0);
    struct conn_params params = {
        .server = &live->server,
        .cred = cred,
        .schema = span_of(getenv("WEIR_LIVE_SCHEMA")),
        .collation = 45,
        .client_host = "192.0.2.9",
        .deadline_us = clock_now_us() + 5 * CLOCK_US_PER_SECOND,
    };
    struct conn *conn = NULL;
    live->events = 0;
    assert_int_equal(conn_open(&live->env, &params, on_event, live, &conn), 0);
    spin(live, &live->events);
    if (conn->state == CONN_ST_FAILED) {
        const struct conn_failure *f = conn_failure(conn);
        printf("%s FAILED code=%u err=%s text=%s\n", pair, f->code, err_text(f->err), f->text);
    } else {
        live->kills = 0;
        params.deadline_us = clock_now_us() + 5 * CLOCK_US_PER_SECOND;
        assert_int_equal(conn_kill(&live->env, &params, conn->thread_id, false, on_kill, live), 0);
        spin(live, &live->kills);
        struct span collation = svec_get(&conn->svec, SVEC_COLLATION);
        printf("%s %s flavour=%s version=%u tls=%s collation=%.*s sandboxed=%d kill=%d\n", pair,
               conn->state == CONN_ST_READY ? "READY" : conn_state_text(conn->state),
               topo_flavour_text(conn->flavour), conn->version,
               stream_is_tls(&conn->stream) ? stream_tls_version(&conn->stream) : "none",
               (int)collation.len, (const char *)collation.p, conn->is_sandboxed, live->kill_err);
        for (int i = SVEC_CS_CLIENT; i < SVEC_TRACK_GTIDS; i++) {
            assert_true(svec_is_set(&conn->svec, (enum svec_var)i) || conn->is_sandboxed);
        }
    }
    conn_close(conn, true);
    assert_int_equal(loop_turn(live->loop, 0), 0);
    cred_unref(cred);
}

static void test_live(void **state)
{
    (void)state;
    const char *server = getenv("WEIR_LIVE_SERVER");
    if (server == NULL) {
        skip();
    }
    struct live live = {.loop = NULL};
    parse_server(&live, server);
    setup_tls(&live, getenv("WEIR_LIVE_TLS"));
    assert_int_equal(loop_create(&live.loop), 0);
    assert_int_equal(svec_values_create(&live.values), 0);
    assert_int_equal(secret_store_create(65536, &live.store), 0);
    live.env = (struct conn_env){
        .loop = live.loop, .values = live.values, .tls = &live.tls, .tls_count = 1};

    char users[512];
    (void)snprintf(users, sizeof(users), "%s", getenv("WEIR_LIVE_USERS"));
    char *save = NULL;
    for (char *pair = strtok_r(users, ",", &save); pair != NULL;
         pair = strtok_r(NULL, ",", &save)) {
        login_one(&live, pair);
    }
    loop_destroy(live.loop);
    svec_values_destroy(live.values);
    tls_unref(live.tls.ctx);
    secret_store_destroy(live.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_live)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
