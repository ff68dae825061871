/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Good files: what they say arrives, what they leave out has its default, and secrets show up
 * nowhere.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/config/config.h"
#include "weir/util/err.h"
#include "weir/util/fault.h"

#define SERVER "servers: [{name: a, address: \"h:1\"}]\n"
#define CANARY "c4nary-s3cret"

static char dir[] = "/tmp/weir-config-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static const char *file_path(const char *name)
{
    static char path[2][256];
    static int turn = 0;

    turn = 1 - turn;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static int drop_dir(void **state)
{
    static const char *const names[] = {"weir.yaml", "secret", "cert", "key"};

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(names); i++) {
        (void)unlink(file_path(names[i]));
    }
    return rmdir(dir);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    const char *path = file_path(name);
    int fd = -1;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static struct config *parse(const char *text)
{
    struct config_errors errs;
    struct config *config = NULL;

    if (config_parse(file_path("weir.yaml"), (const uint8_t *)text, strlen(text), &config, &errs) !=
        0) {
        config_print_errors(&errs, stderr);
        fail();
    }
    return config;
}

static void test_defaults(void **state)
{
    struct config *c = parse(SERVER "monitor: {user: m, password: x}\n");

    (void)state;
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->listener_count, 1);
    assert_string_equal(c->listeners[0].address.text, "127.0.0.1:3310");
    assert_string_equal(c->listeners[0].address.host, "127.0.0.1");
    assert_int_equal(c->listeners[0].address.port, 3310);
    assert_int_equal(c->listeners[0].tls, CONFIG_TLS_PREFERRED);
    assert_int_equal(c->listeners[0].backlog, 1024);
    assert_int_equal(c->server_count, 1);
    assert_int_equal(c->servers[0].role, CONFIG_ROLE_AUTO);
    assert_int_equal(c->servers[0].weight, 100);
    assert_int_equal(c->servers[0].max_connections, 0);
    assert_int_equal(c->servers[0].tls, CONFIG_TLS_PREFERRED);
    assert_null(c->servers[0].tls_ca);
    assert_null(c->tls.cert);
    assert_string_equal(c->tls.dir, "/var/lib/weir");
    assert_int_equal(c->users.source_count, 1);
    assert_int_equal(c->users.source[0], CONFIG_SOURCE_PASSTHROUGH);
    assert_true(c->users.recheck_us == 60000000);
    assert_true(c->auth.login_timeout_us == 10000000);
    assert_int_equal(c->auth.max_packet_before_login_bytes, 65536);
    assert_true(c->monitor.interval_us == 250000);
    assert_true(c->monitor.max_lag_us == 5000000);
    assert_int_equal(c->balance.policy, CONFIG_WEIGHTED_RANDOM);
    assert_int_equal(c->read_after_write.mode, CONFIG_RAW_AUTO);
    assert_int_equal(c->read_after_write.scope, CONFIG_SCOPE_SESSION);
    /* max_lag + interval x (failures + 1) + 1s */
    assert_true(c->read_after_write.window_us == 5000000 + 250000 * 4 + 1000000);
    assert_true(c->limits.client_idle_us == 0);
    assert_int_equal(c->limits.max_packet_bytes, 64 * 1024 * 1024);
    assert_int_equal(c->http.address.kind, CONFIG_ADDR_TCP);
    assert_int_equal(c->http.address.port, 9310);
    assert_null(c->log.file);
    assert_int_equal(c->log.level, CONFIG_LOG_INFO);
    assert_true(c->drain.timeout_us == 30000000);
    config_unref(c);
}

static void test_values(void **state)
{
    struct config *c =
        parse("workers: 3\n"
              "listeners:\n"
              "  - {address: \"[::1]:4000\", tls: required, backlog: 7}\n"
              "  - address: unix:/run/w.sock\n"
              "    tls: off\n"
              "servers:\n"
              "  - {name: p, address: \"10.0.0.1:3306\", role: primary, weight: 0, tls: verify,\n"
              "     tls_server_name: db, max_connections: 9}\n"
              "  - {name: r, address: \"unix:/s\", role: replica, tls: off}\n"
              "monitor: {user: m, password: \"\", interval: 1s, max_lag: 2s, failures: 1}\n"
              "users:\n"
              "  source: [server, list]\n"
              "  list:\n"
              "    - {name: zoe, password: p1}\n"
              "    - {name: adam, password_hash: \"*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19\"}\n"
              "    - {name: mia, password: \"\"}\n"
              "balance: {policy: least_pending, reads_on_primary: never}\n"
              "read_after_write: {scope: global, window: 10s}\n"
              "http: {address: off}\n"
              "log: {level: trace, format: json, file: weir.log}\n");
    const struct config_user *u = NULL;
    char want[256];

    (void)state;
    assert_int_equal(c->workers, 3);
    assert_int_equal(c->listener_count, 2);
    assert_int_equal(c->listeners[0].backlog, 7);
    assert_int_equal(c->listeners[0].tls, CONFIG_TLS_REQUIRED);
    assert_string_equal(c->listeners[0].address.host, "::1");
    assert_int_equal(c->listeners[1].address.kind, CONFIG_ADDR_UNIX);
    assert_string_equal(c->listeners[1].address.path, "/run/w.sock");
    assert_int_equal(c->listeners[1].tls, CONFIG_TLS_OFF);
    assert_int_equal(c->listeners[1].backlog, 1024);
    assert_int_equal(c->server_count, 2);
    assert_int_equal(c->servers[0].tls, CONFIG_TLS_VERIFY);
    assert_int_equal(c->servers[0].weight, 0);
    assert_int_equal(c->servers[0].max_connections, 9);
    assert_string_equal(c->servers[0].tls_server_name, "db");
    assert_int_equal(c->servers[1].role, CONFIG_ROLE_REPLICA);
    assert_int_equal(c->monitor.password.len, 0);
    assert_non_null(c->monitor.password.p);
    assert_true(config_has_source(c, CONFIG_SOURCE_LIST));
    assert_true(config_has_source(c, CONFIG_SOURCE_SERVER));
    assert_false(config_has_source(c, CONFIG_SOURCE_PASSTHROUGH));
    assert_int_equal(c->users.source[0], CONFIG_SOURCE_SERVER);
    assert_int_equal(c->users.list_count, 3);
    assert_string_equal(c->users.list[0].name, "adam");
    u = config_find_user(c, "zoe");
    assert_non_null(u);
    assert_int_equal(u->password.len, 2);
    assert_memory_equal(u->password.p, "p1", 2);
    assert_null(u->native_hash);
    u = config_find_user(c, "adam");
    assert_non_null(u);
    assert_null(u->password.p);
    assert_int_equal(u->native_hash[1], 0x70);
    assert_non_null(config_find_user(c, "mia"));
    assert_null(config_find_user(c, "adan"));
    assert_null(config_find_user(c, ""));
    assert_int_equal(c->balance.policy, CONFIG_LEAST_PENDING);
    assert_int_equal(c->balance.reads_on_primary, CONFIG_READS_NEVER);
    assert_int_equal(c->read_after_write.scope, CONFIG_SCOPE_GLOBAL);
    assert_true(c->read_after_write.window_us == 10000000);
    assert_int_equal(c->http.address.kind, CONFIG_ADDR_NONE);
    assert_int_equal(c->log.level, CONFIG_LOG_TRACE);
    assert_int_equal(c->log.format, CONFIG_LOG_JSON);
    /* relative to the directory of the file */
    (void)snprintf(want, sizeof want, "%s/weir.log", dir);
    assert_string_equal(c->log.file, want);
    config_unref(c);
}

static void test_cache(void **state)
{
    struct config *off = parse(SERVER "monitor: {user: m, password: x}\nrules: [{table: t}]\n");
    struct config *c =
        parse(SERVER "monitor: {user: m, password: x}\n"
                     "cache: {memory: 5GiB, coherence: own, hints: false, stale_if_error: 1h}\n"
                     "rules:\n"
                     "  - {table: t, cache: 30s, cache_coherence: ttl, cache_share: g,\n"
                     "     cache_max_entry: 8KiB, cache_stale_while_revalidate: 5s,\n"
                     "     cache_stale_if_error: off, cache_tags: [\"t:{k}\", t], cache_purge: u,\n"
                     "     cache_scope: row, cache_refresh: [\"u:{k}\", \"v\"]}\n"
                     "  - {table: u, cache: off}\n");

    (void)state;
    assert_true(off->cache.memory_bytes == 0);
    assert_true(off->cache.ttl_us == 300000000);
    assert_int_equal(off->cache.max_entry_bytes, 1024 * 1024);
    assert_int_equal(off->cache.coherence, CONFIG_COHERENCE_BINLOG);
    assert_true(off->cache.hints);
    assert_true(off->cache.stale_while_revalidate_us == 0);
    assert_true(off->cache.stale_if_error_us == 0);
    assert_int_equal(off->cache.refresh_rate, 100);
    assert_false(off->cache.has_rows);
    assert_false(off->cache.has_refresh);
    assert_int_equal(off->rules[0].cache_scope, CONFIG_CACHE_SCOPE_TABLE);
    assert_true(off->rules[0].cache_us == UINT64_MAX);
    assert_int_equal(off->rules[0].cache_coherence, CONFIG_RULE_COHERENCE_DEFAULT);
    assert_null(off->rules[0].cache_share);
    assert_int_equal(off->rules[0].cache_max_entry_bytes, 0);
    assert_true(off->rules[0].cache_stale_while_revalidate_us == UINT64_MAX);
    assert_true(off->rules[0].cache_stale_if_error_us == UINT64_MAX);
    assert_true(c->cache.memory_bytes == UINT64_C(5) << 30);
    assert_int_equal(c->cache.coherence, CONFIG_COHERENCE_OWN);
    assert_false(c->cache.hints);
    assert_true(c->cache.stale_if_error_us == 3600000000);
    assert_true(c->rules[0].cache_us == 30000000);
    assert_int_equal(c->rules[0].cache_coherence, CONFIG_RULE_COHERENCE_TTL);
    assert_string_equal(c->rules[0].cache_share, "g");
    assert_int_equal(c->rules[0].cache_max_entry_bytes, 8192);
    assert_true(c->rules[0].cache_stale_while_revalidate_us == 5000000);
    assert_true(c->rules[0].cache_stale_if_error_us == 0);
    assert_int_equal(c->rules[0].cache_tags.count, 2);
    assert_string_equal(c->rules[0].cache_tags.item[0], "t:{k}");
    assert_int_equal(c->rules[0].cache_purge.count, 1);
    assert_true(c->cache.has_rows);
    assert_true(c->cache.has_refresh);
    assert_int_equal(c->rules[0].cache_scope, CONFIG_CACHE_SCOPE_ROW);
    assert_int_equal(c->rules[0].cache_refresh.count, 2);
    assert_int_equal(c->rules[1].cache_tags.count, 0);
    assert_true(c->rules[1].cache_us == 0);
    config_unref(off);
    config_unref(c);
}

struct secret_case {
    const char *content;
    const char *want; /* NULL: refused */
};

static void test_password_file(void **state)
{
    static const struct secret_case cases[] = {
        {CANARY, CANARY},
        {CANARY "\n", CANARY},
        {CANARY "\r\n", CANARY},
        {"", ""},
        {"\n", ""},
        {" a b ", " a b "},
        {"a\nb\n", NULL},
        {"a\n\n", NULL},
        {"\xc3\xa9", "\xc3\xa9"},
    };
    char long_text[300];

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        static const char text[] = SERVER "monitor: {user: m, password_file: secret}\n";
        struct config_errors errs;
        struct config *c = NULL;
        int rc = 0;

        write_file("secret", cases[i].content, 0600);
        rc =
            config_parse(file_path("weir.yaml"), (const uint8_t *)text, sizeof text - 1, &c, &errs);
        if (cases[i].want == NULL) {
            assert_int_equal(rc, -WR_E_CONFIG);
            assert_non_null(strstr(errs.item[0].text, "must hold one line"));
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(errs.count, 0);
        assert_int_equal(c->monitor.password.len, strlen(cases[i].want));
        assert_memory_equal(c->monitor.password.p, cases[i].want, strlen(cases[i].want));
        config_unref(c);
    }
    /* as long as servers take, and one more */
    for (size_t len = 256; len <= 257; len++) {
        static const char text[] = SERVER "monitor: {user: m, password_file: secret}\n";
        struct config_errors errs;
        struct config *c = NULL;

        memset(long_text, 'p', len);
        long_text[len] = '\0';
        write_file("secret", long_text, 0600);
        assert_int_equal(
            config_parse(file_path("weir.yaml"), (const uint8_t *)text, sizeof text - 1, &c, &errs),
            len == 256 ? 0 : -WR_E_CONFIG);
        config_unref(c);
    }
}

static void test_password_env(void **state)
{
    struct config *c = NULL;

    (void)state;
    assert_int_equal(setenv("WEIR_TEST_SECRET", CANARY, 1), 0);
    c = parse(SERVER "monitor: {user: m, password_env: WEIR_TEST_SECRET}\n");
    assert_int_equal(c->monitor.password.len, strlen(CANARY));
    assert_memory_equal(c->monitor.password.p, CANARY, strlen(CANARY));
    config_unref(c);
}

struct mode_case {
    mode_t mode;
    bool has_literal;
    bool is_taken;
};

/* A file that others may read must hold no secret; one without may be read by anybody. */
static void test_file_mode(void **state)
{
    static const struct mode_case cases[] = {
        {0600, true, true},  {0400, true, true},  {0640, true, false}, {0604, true, false},
        {0620, true, false}, {0644, false, true}, {0666, false, true},
    };

    (void)state;
    write_file("secret", "x", 0600);
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        struct config_errors errs;
        struct config *c = NULL;
        int rc = 0;

        write_file("weir.yaml",
                   cases[i].has_literal ? SERVER "monitor: {user: m, password: " CANARY "}\n"
                                        : SERVER "monitor: {user: m, password_file: secret}\n",
                   cases[i].mode);
        rc = config_load(file_path("weir.yaml"), &c, &errs);
        assert_int_equal(rc, cases[i].is_taken ? 0 : -WR_E_CONFIG);
        if (!cases[i].is_taken) {
            assert_int_equal(errs.count, 1);
            assert_int_equal(errs.item[0].line, 2);
            assert_int_equal(errs.item[0].column, 30);
            assert_non_null(strstr(errs.item[0].text, "a secret stands in a file that others"));
            assert_null(strstr(errs.item[0].text, CANARY));
        }
        config_unref(c);
    }
    /* a listed hash logs in as well as a password does */
    {
        struct config_errors errs;
        struct config *c = NULL;

        write_file("weir.yaml",
                   SERVER "monitor: {user: m, password_file: secret}\n"
                          "users: {source: list, list: [{name: a, password_hash: "
                          "\"*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19\"}]}\n",
                   0644);
        assert_int_equal(config_load(file_path("weir.yaml"), &c, &errs), -WR_E_CONFIG);
    }
    /* others may read the password file: told, and taken */
    {
        struct config_errors errs;
        struct config *c = NULL;

        write_file("secret", "x", 0644);
        write_file("weir.yaml", SERVER "monitor: {user: m, password_file: secret}\n", 0600);
        assert_int_equal(config_load(file_path("weir.yaml"), &c, &errs), 0);
        assert_int_equal(errs.count, 1);
        assert_true(errs.item[0].is_warning);
        config_unref(c);
    }
}

static void test_key_mode(void **state)
{
    static const char text[] =
        SERVER "monitor: {user: m, password: x}\ntls: {cert: cert, key: key}\n";

    (void)state;
    write_file("cert", "x", 0644);
    for (int i = 0; i < 2; i++) {
        struct config_errors errs;
        struct config *c = NULL;

        write_file("key", "x", i == 0 ? 0640 : 0644);
        assert_int_equal(
            config_parse(file_path("weir.yaml"), (const uint8_t *)text, sizeof text - 1, &c, &errs),
            i == 0 ? 0 : -WR_E_CONFIG);
        if (i == 1) {
            assert_non_null(strstr(errs.item[0].text, "others may read the private key"));
        }
        config_unref(c);
    }
}

static void test_no_such_file(void **state)
{
    struct config_errors errs;
    struct config *c = NULL;

    (void)state;
    assert_int_equal(config_load(file_path("absent"), &c, &errs), -WR_E_CONFIG);
    assert_non_null(strstr(errs.item[0].text, "cannot be opened (No such file or directory)"));
    assert_int_equal(config_load(dir, &c, &errs), -WR_E_CONFIG);
    assert_non_null(strstr(errs.item[0].text, "not a regular file"));
    assert_int_equal(config_load("/dev/zero", &c, &errs), -WR_E_CONFIG);
    assert_null(c);
}

/* The text of config_print(); the caller frees it. */
static char *printed(const struct config *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    config_print(c, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void test_functions(void **state)
{
    struct config *c = parse(SERVER "monitor: {user: m, password: x}\n"
                                    "functions: {replica: [app.f, lib], primary: G}\n");
    struct config *none = parse(SERVER "monitor: {user: m, password: x}\n");
    char *text = printed(c);

    (void)state;
    assert_int_equal(c->functions.replica.count, 2);
    assert_string_equal(c->functions.replica.list[0].schema, "app");
    assert_string_equal(c->functions.replica.list[0].name, "f");
    assert_null(c->functions.replica.list[1].schema);
    assert_string_equal(c->functions.replica.list[1].name, "lib");
    assert_int_equal(c->functions.primary.count, 1);
    assert_string_equal(c->functions.primary.list[0].name, "G");
    assert_non_null(strstr(text, "  replica: [\"app.f\", \"lib\"]\n  primary: [\"G\"]\n"));
    assert_int_equal(none->functions.replica.count + none->functions.primary.count, 0);
    free(text);
    config_unref(none);
    config_unref(c);
}

static void test_print_hides_secrets(void **state)
{
    struct config *c = parse(
        SERVER "monitor: {user: m, password: " CANARY "}\n"
               "users: {source: list, list: [{name: u, password: " CANARY "},\n"
               "  {name: v, password_hash: \"*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19\"}]}\n");
    char *text = printed(c);

    (void)state;
    assert_null(strstr(text, CANARY));
    assert_null(strstr(text, "2470"));
    assert_non_null(strstr(text, "password: (set)"));
    assert_non_null(strstr(text, "password_hash: (set)"));
    assert_non_null(strstr(text, "  interval: 250ms\n"));
    assert_non_null(strstr(text, "workers: auto\n"));
    free(text);
    config_unref(c);
}

static void test_refs(void **state)
{
    struct config *c = parse(SERVER "monitor: {user: m, password: x}\n");

    (void)state;
    assert_ptr_equal(config_ref(c), c);
    assert_int_equal(snap_refs(&c->snap), 2);
    config_unref(c);
    assert_string_equal(c->servers[0].name, "a"); /* still there: ASan would say otherwise */
    config_unref(c);
    config_unref(NULL);
}

#ifdef WEIR_DEBUG
/* Every allocation fails once: a clean refusal each time, nothing leaked (ASan), then success. */
static void test_no_memory(void **state)
{
    uint64_t n = 1;
    int rc = -WR_E_CONFIG;

    (void)state;
    write_file("secret", "x", 0600);
    write_file("weir.yaml",
               SERVER "listeners: [{address: \"127.0.0.1:1\"}]\n"
                      "monitor: {user: m, password_file: secret}\n"
                      "users: {source: list, list: [{name: u, password_file: secret},\n"
                      "  {name: v, password_file: secret}]}\n",
               0600);
    for (; rc != 0 && n < 500; n++) {
        struct config_errors errs;
        struct config *c = NULL;

        fault_arm("alloc", n);
        rc = config_load(file_path("weir.yaml"), &c, &errs);
        if (rc == 0) {
            assert_false(fault_is_spent());
            assert_int_equal(c->users.list_count, 2);
            config_unref(c);
            break;
        }
        assert_int_equal(rc, -WR_E_CONFIG);
        assert_null(c);
        assert_true(errs.error_count > 0);
    }
    fault_arm("alloc", 0);
    assert_int_equal(rc, 0);
    assert_true(n > 5);
}
#endif

/* conf/weir.yaml with its comments taken off where a default stands: the defaults again. */
static char *shipped(bool uncomment)
{
    char path[512];
    char line[512];
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    FILE *in = NULL;
    size_t uncommented = 0;

    (void)snprintf(path, sizeof path, "%s/conf/weir.yaml", WEIR_SOURCE_DIR);
    in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(out);
    while (fgets(line, sizeof line, in) != NULL) {
        size_t indent = strspn(line, " ");
        bool is_setting = line[indent] == '#' && line[indent + 1] >= 'a' && line[indent + 1] <= 'z';

        if (strstr(line, "password_file: /etc") != NULL && line[indent] == 'p') {
            (void)fputs("  password_env: WEIR_TEST_SECRET\n", out);
            continue;
        }
        if (uncomment && is_setting && strstr(line, "# example") == NULL) {
            memmove(line + indent, line + indent + 1, strlen(line + indent));
            uncommented++;
        }
        (void)fputs(line, out);
    }
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
    assert_true(!uncomment || uncommented > 40);
    return text;
}

static void test_shipped_file(void **state)
{
    char *as_is = shipped(false);
    char *all = shipped(true);
    struct config *a = NULL;
    struct config *b = NULL;
    char *a_text = NULL;
    char *b_text = NULL;

    (void)state;
    assert_int_equal(setenv("WEIR_TEST_SECRET", CANARY, 1), 0);
    a = parse(as_is);
    b = parse(all);
    a_text = printed(a);
    b_text = printed(b);
    assert_string_equal(a_text, b_text);
    assert_int_equal(a->server_count, 2);
    config_unref(a);
    config_unref(b);
    free(a_text);
    free(b_text);
    free(as_is);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_values),
        cmocka_unit_test(test_password_file), cmocka_unit_test(test_password_env),
        cmocka_unit_test(test_file_mode),     cmocka_unit_test(test_key_mode),
        cmocka_unit_test(test_no_such_file),  cmocka_unit_test(test_print_hides_secrets),
        cmocka_unit_test(test_functions),     cmocka_unit_test(test_refs),
        cmocka_unit_test(test_shipped_file),  cmocka_unit_test(test_cache),
#ifdef WEIR_DEBUG
        cmocka_unit_test(test_no_memory),
#endif
    };

    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
