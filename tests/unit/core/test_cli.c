/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, and what `weir explain` says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/core/run.h"

#define ARGS_MAX 8

struct outcome {
    int code;
    char text[8192]; /* stdout and stderr */
};

/* In a child, so that what is written can be read. */
static void run_words(const char *const *words, struct outcome *ret_outcome)
{
    char *argv[ARGS_MAX + 1] = {NULL};
    int fds[2];
    int argc = 0;
    size_t len = 0;
    ssize_t n = 0;
    int status = 0;

    for (; words[argc] != NULL; argc++) {
        assert_true(argc < ARGS_MAX);
        argv[argc] = strdup(words[argc]);
        assert_non_null(argv[argc]);
    }
    assert_int_equal(pipe(fds), 0);

    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)dup2(fds[1], STDERR_FILENO);
        int code = run_main(argc, argv);

        (void)fflush(NULL);
        _exit(code);
    }
    (void)close(fds[1]);
    while ((n = read(fds[0], ret_outcome->text + len, sizeof(ret_outcome->text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    ret_outcome->text[len] = '\0';
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    ret_outcome->code = WEXITSTATUS(status);
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
}

static void test_words(void **state)
{
    static const struct {
        const char *words[ARGS_MAX];
        int code;
        const char *says;
    } rows[] = {
        {{"weir", "--version"}, RUN_OK, "weir " WEIR_VERSION "\n"},
        {{"weir", "--help"}, RUN_OK, "weir check [--servers] FILE"},
        {{"weir"}, RUN_USAGE, "usage:"},
        {{"weir", "--verison"}, RUN_USAGE, "not understood: --verison"},
        {{"weir", "--version", "x"}, RUN_USAGE, "not understood"},
        {{"weir", "--config"}, RUN_USAGE, "usage:"},
        {{"weir", "--config", "/nonexistent.yaml"}, RUN_USAGE, "/nonexistent.yaml"},
        {{"weir", "check"}, RUN_USAGE, "which FILE?"},
        {{"weir", "check", "a", "b"}, RUN_USAGE, "not understood: b"},
        {{"weir", "check", "--server", "a"}, RUN_USAGE, "not understood: --server"},
        {{"weir", "check", "/nonexistent.yaml"}, RUN_USAGE, "/nonexistent.yaml"},
        {{"weir", "verify"}, RUN_USAGE, "which --config FILE"},
        {{"weir", "verify", "--user"}, RUN_USAGE, "not understood: --user"},
        {{"weir", "verify", "--rate", "0"}, RUN_USAGE, "not understood: --rate"},
        {{"weir", "verify", "--rate", "7x"}, RUN_USAGE, "not understood: --rate"},
        {{"weir", "verify", "--tls", "maybe"}, RUN_USAGE, "not understood: --tls"},
        {{"weir", "verify", "--config", "/nonexistent.yaml", "--user", "app"},
         RUN_USAGE,
         "/nonexistent.yaml"},
        {{"weir", "explain"}, RUN_USAGE, "which statement?"},
        {{"weir", "explain", "--flavour", "oracle", "select 1"}, RUN_USAGE, "not understood"},
        {{"weir", "explain", "select 1", "select 2"}, RUN_USAGE, "not understood: select 2"},
        {{"weir", "explain", "--config", "/nonexistent.yaml", "select 1"},
         RUN_USAGE,
         "/nonexistent.yaml"},
        {{"weir", "explain", "-- a comment\nselect * from t"}, RUN_OK, "replica"},
        {{"weir", "explain", "--flavour", "mariadb", "--schema", "shop", "delete from t"},
         RUN_OK,
         "primary"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome outcome;

        run_words(rows[i].words, &outcome);
        if (outcome.code != rows[i].code || strstr(outcome.text, rows[i].says) == NULL) {
            fail_msg("row %zu: code %d, says: %s", i, outcome.code, outcome.text);
        }
    }
}

/* The line "item   text" of an explanation. */
static void assert_item(const char *text, const char *item, const char *want)
{
    size_t len = strlen(item);

    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, item, len) == 0 && line[len] == ' ') {
            line += len + strspn(line + len, " ");
            if (strncmp(line, want, strlen(want)) != 0) {
                fail_msg("%s should be %s in: %s", item, want, text);
            }
            return;
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    fail_msg("no %s in: %s", item, text);
}

static void test_explain(void **state)
{
    static const struct {
        const char *sql;
        const char *target;
    } rows[] = {
        {"SELECT * FROM devices WHERE id = 7", "replica"},
        {"SELECT * FROM other.devices JOIN x USING (id)", "replica"},
        {"EXPLAIN ROUTE SELECT * FROM `de``vices`", "replica"},
        {"SELECT * FROM devices FOR UPDATE", "primary"},
        {"INSERT INTO devices VALUES (1)", "primary"},
        {"SELECT get_lock('a', 1)", "primary"},
        {"SELECT own_function(id) FROM devices", "primary"},
        {"/* weir:primary */ SELECT * FROM devices", "primary"},
        {"COMMIT", "primary"},
        {"not sql at all", "primary"},
        {"", "primary"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct run_explain_args args = {.sql = rows[i].sql};
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        assert_non_null(out);
        assert_int_equal(run_explain(&args, out), RUN_OK);
        assert_int_equal(fclose(out), 0);
        assert_item(text, "target", rows[i].target);
        free(text);
    }
}

/* With a configuration: its servers, its roles, its rules. */
static void test_explain_config(void **state)
{
    char dir[] = "/tmp/weir-cli-XXXXXX";
    char path[64];
    char *text = NULL;
    size_t len = 0;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/c.yaml", dir);

    FILE *conf = fopen(path, "w");

    assert_non_null(conf);
    assert_true(fputs("listeners: [{address: \"127.0.0.1:0\"}]\n"
                      "servers:\n"
                      "  - {name: reader, address: \"127.0.0.1:1\", role: replica}\n"
                      "  - {name: lazy, address: \"127.0.0.1:2\", role: replica, weight: 0}\n"
                      "  - {name: writer, address: \"127.0.0.1:3\", role: primary}\n"
                      "monitor: {user: m, password_env: PATH}\n",
                      conf) >= 0);
    assert_int_equal(fclose(conf), 0);

    for (int i = 0; i < 2; i++) {
        struct run_explain_args args = {.config_path = path,
                                        .sql = i == 0 ? "SELECT * FROM t" : "UPDATE t SET a = 1"};
        FILE *out = open_memstream(&text, &len);

        assert_non_null(out);
        assert_int_equal(run_explain(&args, out), RUN_OK);
        assert_int_equal(fclose(out), 0);
        assert_item(text, "server", i == 0 ? "reader" : "writer");
        free(text);
    }
    (void)unlink(path);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_explain_config),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
