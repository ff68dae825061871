/* SPDX-License-Identifier: Apache-2.0 */
/* log: lines that cannot be forged, rings that never block, one writer. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "weir/util/clock.h"
#include "weir/util/fault.h"
#include "weir/util/log.h"

#include "log_priv.h"

static void check_line(bool is_json, const char *value, const char *want)
{
    struct log_line line;

    line.len = 0;
    line.is_json = is_json;
    log_line_text(&line, "k", value);
    log_line_end(&line);
    line.text[line.len] = '\0';
    assert_string_equal(line.text, want);
}

static void values_are_escaped(void **unused)
{
    (void)unused;
    static const struct {
        const char *value;
        const char *logfmt;
        const char *json;
    } rows[] = {
        {"", "k=\"\"\n", "{\"k\":\"\"}\n"},
        {"a b", "k=\"a b\"\n", "{\"k\":\"a b\"}\n"},
        {"a\"b\\", "k=\"a\\\"b\\\\\"\n", "{\"k\":\"a\\\"b\\\\\"}\n"},
        {"x\nlevel=error\t\r", "k=\"x\\nlevel=error\\t\\x0d\"\n",
         "{\"k\":\"x\\nlevel=error\\t\\u000d\"}\n"},
        {"\x1b[2J\x7f", "k=\"\\x1b[2J\\x7f\"\n", "{\"k\":\"\\u001b[2J\\u007f\"}\n"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xac", "k=\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xac\"\n",
         "{\"k\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xac\"}\n"},
        /* cut short, stray, overlong, surrogate, above the last, C1 control, line separator */
        {"\xc3", "k=\"\\xc3\"\n", "{\"k\":\"\\ufffd\"}\n"},
        {"\x80z", "k=\"\\x80z\"\n", "{\"k\":\"\\ufffdz\"}\n"},
        {"\xc0\xaf", "k=\"\\xc0\\xaf\"\n", "{\"k\":\"\\ufffd\\ufffd\"}\n"},
        {"\xe0\x80\xaf", "k=\"\\xe0\\x80\\xaf\"\n", "{\"k\":\"\\ufffd\\ufffd\\ufffd\"}\n"},
        {"\xed\xa0\x80", "k=\"\\xed\\xa0\\x80\"\n", "{\"k\":\"\\ufffd\\ufffd\\ufffd\"}\n"},
        {"\xf4\x90\x80\x80", "k=\"\\xf4\\x90\\x80\\x80\"\n",
         "{\"k\":\"\\ufffd\\ufffd\\ufffd\\ufffd\"}\n"},
        {"\xc2\x9b", "k=\"\\xc2\\x9b\"\n", "{\"k\":\"\\ufffd\\ufffd\"}\n"},
        {"\xe2\x80\xa8", "k=\"\\xe2\\x80\\xa8\"\n", "{\"k\":\"\\ufffd\\ufffd\\ufffd\"}\n"},
        {"\xff", "k=\"\\xff\"\n", "{\"k\":\"\\ufffd\"}\n"},
    };
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        check_line(false, rows[i].value, rows[i].logfmt);
        check_line(true, rows[i].value, rows[i].json);
    }
}

/* For every length around the limit the line ends well-formed. */
static void long_values_are_cut(void **unused)
{
    (void)unused;
    char value[LOG_LINE_MAX + 64];

    for (size_t len = LOG_LINE_MAX - 64; len < sizeof(value); len++) {
        for (int byte = 1; byte < 256; byte += 126) {
            struct log_line line;
            memset(value, byte, len);
            value[len - 1] = '\0';
            log_line_begin(&line, true, 0, LOG_INFO, "t");
            log_line_text(&line, "msg", value);
            log_line_text(&line, "more", "dropped or whole");
            log_line_number(&line, "n", UINT64_MAX);
            log_line_end(&line);
            assert_true(line.len <= LOG_LINE_MAX);
            assert_int_equal(line.text[line.len - 1], '\n');
            assert_int_equal(line.text[line.len - 2], '}');
            size_t quotes = 0;
            for (size_t i = 0; i < line.len; i++) {
                quotes += line.text[i] == '"';
            }
            assert_int_equal(quotes % 2, 0);
        }
    }
}

/* A logger that writes into memory. */
struct sink {
    struct logger *logger;
    struct log_ctx ctx;
    int fd;
    char text[512 * 1024];
};

static void sink_open(struct sink *sink, bool is_json, enum log_level level)
{
    struct log_conf conf = {.is_json = is_json, .level = level};

    memset(sink, 0, sizeof(*sink));
    sink->fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(sink->fd >= 0);
    conf.fd = sink->fd;
    assert_int_equal(log_create(&conf, &sink->logger), 0);
    assert_int_equal(log_ring_create(sink->logger, "main", &sink->ctx.ring), 0);
    sink->ctx.room = "test";
}

static const char *sink_text(struct sink *sink)
{
    ssize_t len = pread(sink->fd, sink->text, sizeof(sink->text) - 1, 0);

    assert_true(len >= 0);
    sink->text[len] = '\0';
    return sink->text;
}

static void sink_close(struct sink *sink)
{
    log_destroy(sink->logger);
    (void)close(sink->fd);
    free(sink);
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;

    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

static void lines_have_their_fields(void **unused)
{
    (void)unused;
    struct sink *sink = malloc(sizeof(*sink));

    sink_open(sink, false, LOG_INFO);
    log_info(&sink->ctx, "started", "%d workers", 2);
    sink->ctx.session = 77;
    sink->ctx.server = "db 1";
    log_error(&sink->ctx, "server_down", "no \"answer\"");
    log_debug(&sink->ctx, "hidden", "not at this level");
    log_set_level(sink->logger, LOG_DEBUG);
    assert_int_equal(log_level(sink->logger), LOG_DEBUG);
    log_debug(&sink->ctx, "shown", "now");
    struct log_ctx none = {0};
    log_error(&none, "nowhere", "a context without a ring");
    log_write(&none, LOG_ERROR, NULL, "nowhere", "the same");
    log_flush(sink->logger);
    const char *text = sink_text(sink);
    assert_int_equal(count_of(text, "\n"), 3);
    assert_memory_equal(text, "time=2", 6);
    assert_non_null(strstr(text, "Z level=info thread=main room=\"test\" event=\"started\" "
                                 "msg=\"2 workers\"\n"));
    assert_non_null(strstr(text, " level=error thread=main room=\"test\" session=77 "
                                 "server=\"db 1\" event=\"server_down\" "
                                 "msg=\"no \\\"answer\\\"\"\n"));
    assert_non_null(strstr(text, "event=\"shown\""));
    sink_close(sink);
}

static void json_and_another_descriptor(void **unused)
{
    (void)unused;
    struct sink *sink = malloc(sizeof(*sink));
    int old_fd = -1;

    sink_open(sink, true, LOG_TRACE);
    sink->ctx.session = 1;
    log_trace(&sink->ctx, "one", "first");
    log_flush(sink->logger);
    assert_non_null(strstr(sink_text(sink), "\"level\":\"trace\",\"thread\":\"main\",\"room\":"
                                            "\"test\",\"session\":1,\"event\":\"one\",\"msg\":"
                                            "\"first\"}\n"));
    old_fd = sink->fd;
    sink->fd = memfd_create("log2", MFD_CLOEXEC);
    log_set_fd(sink->logger, sink->fd);
    log_info(&sink->ctx, "two", "second");
    log_flush(sink->logger);
    assert_int_equal(count_of(sink_text(sink), "\n"), 1);
    assert_non_null(strstr(sink->text, "second"));
    (void)close(old_fd);
    sink_close(sink);
}

static void level_names_parse(void **unused)
{
    (void)unused;
    enum log_level level = LOG_ERROR;

    assert_true(log_level_parse("trace", &level));
    assert_int_equal(level, LOG_TRACE);
    assert_false(log_level_parse("loud", &level));
    assert_int_equal(level, LOG_TRACE);
    assert_string_equal(log_level_name(LOG_WARN), "warn");
    assert_string_equal(log_level_name(LOG_LEVEL_COUNT_), "?");
}

static void storm_is_suppressed_and_counted(void **unused)
{
    (void)unused;
    struct sink *sink = malloc(sizeof(*sink));
    unsigned long told = 0;

    sink_open(sink, false, LOG_INFO);
    uint64_t until = clock_now_us() + 1100000;
    unsigned long said = 0;
    while (clock_now_us() < until) {
        if (said < 500 || clock_now_us() + 60000 > until) {
            log_warn(&sink->ctx, "storm", "again");
            said++;
        }
        (void)usleep(1000);
    }
    for (int i = 0; i < 100; i++) {
        log_info(&sink->ctx, "calm", "information is not limited");
    }
    log_flush(sink->logger);
    const char *text = sink_text(sink);
    assert_int_equal(count_of(text, "event=\"calm\""), 100);
    /* Two windows at most three: the loop runs a little over a second. */
    assert_in_range(count_of(text, "event=\"storm\""), LOG_SITE_BURST, 3 * LOG_SITE_BURST);
    const char *at = strstr(text, "suppressed=");
    assert_non_null(at);
    told = strtoul(at + strlen("suppressed="), NULL, 10);
    assert_in_range(told, 1, said);
    sink_close(sink);
}

/* The reader of the pipe sleeps: lines are dropped, the caller goes on, the count is told. */
static void full_ring_drops_and_tells(void **unused)
{
    (void)unused;
    int pipe_fds[2];
    struct logger *logger = NULL;
    struct log_ctx ctx = {.room = "test"};
    static char text[4096 * 1024];
    size_t used = 0;

    assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
    struct log_conf conf = {.fd = pipe_fds[1], .level = LOG_INFO};
    assert_int_equal(log_create(&conf, &logger), 0);
    assert_int_equal(log_ring_create(logger, "main", &ctx.ring), 0);
    uint64_t before = clock_thread_cpu_us();
    for (int i = 0; i < 20000; i++) {
        log_info(&ctx, "flood", "line number %d", i);
    }
    assert_true(clock_thread_cpu_us() - before < 10 * CLOCK_US_PER_SECOND);
    uint64_t drops = log_drops(logger);
    assert_true(drops > 0);
    for (;;) {
        ssize_t got = read(pipe_fds[0], text + used, sizeof(text) - 1 - used);
        if (got > 0) {
            used += (size_t)got;
            continue;
        }
        if (got < 0 && errno == EAGAIN && strstr(text, "log_lines_dropped") == NULL) {
            (void)usleep(1000);
            continue;
        }
        break;
    }
    log_destroy(logger);
    (void)close(pipe_fds[1]);
    ssize_t got = read(pipe_fds[0], text + used, sizeof(text) - 1 - used);
    assert_true(got >= 0);
    assert_non_null(strstr(text, "event=\"log_lines_dropped\" count="));
    (void)close(pipe_fds[0]);
}

static uint64_t flood(int fd, int count)
{
    struct log_conf conf = {.fd = fd, .level = LOG_INFO};
    struct logger *logger = NULL;
    struct log_ctx ctx = {.room = "test"};
    uint64_t drops = 0;

    assert_int_equal(log_create(&conf, &logger), 0);
    assert_int_equal(log_ring_create(logger, "main", &ctx.ring), 0);
    for (int i = 0; i < count; i++) {
        log_info(&ctx, "flood", "line number %d", i);
    }
    log_flush(logger);
    drops = log_drops(logger);
    log_destroy(logger);
    return drops;
}

/* Nobody reads, and the descriptor is one that waits: flush and end come all the same, what was
 * written are whole lines, and each other one is counted. */
static void stuck_reader_stops_nobody(void **unused)
{
    static char text[1024 * 1024];
    int pipe_fds[2];
    uint64_t drops = 0;
    uint64_t lines = 0;
    ssize_t got = 0;

    (void)unused;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    drops = flood(pipe_fds[1], 5000);
    (void)close(pipe_fds[1]);
    for (size_t used = 0; (got = read(pipe_fds[0], text + used, sizeof(text) - 1 - used)) > 0;) {
        used += (size_t)got;
    }
    assert_int_equal(got, 0);
    (void)close(pipe_fds[0]);
    assert_true(drops > 0);
    for (char *at = text, *end = NULL; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        assert_int_equal(strncmp(at, "time=", 5), 0);
        assert_non_null(strstr(at, "line number "));
        lines++;
    }
    assert_int_equal(lines + drops, 5000);
}

static void full_disk_is_counted(void **unused)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)unused;
    assert_true(fd >= 0);
    assert_int_equal(flood(fd, 100), 100);
    (void)close(fd);
    assert_int_equal(flood(-1, 10), 10);
}

struct talker {
    struct logger *logger;
    char name[16];
};

static void *talk(void *arg)
{
    struct talker *talker = arg;
    struct log_ctx ctx = {.room = "test"};

    if (log_ring_create(talker->logger, talker->name, &ctx.ring) != 0) {
        return NULL;
    }
    for (int i = 0; i < 1000; i++) {
        log_info(&ctx, "talk", "%s says %d.", talker->name, i);
        if (i % 50 == 0) {
            log_flush(talker->logger);
        }
    }
    log_warn(&ctx, "done", "shared call site");
    return arg;
}

static void threads_lose_no_line(void **unused)
{
    (void)unused;
    enum {
        TALKERS = 4
    };
    struct sink *sink = malloc(sizeof(*sink));
    struct talker talkers[TALKERS];
    pthread_t threads[TALKERS];

    sink_open(sink, false, LOG_INFO);
    for (int i = 0; i < TALKERS; i++) {
        talkers[i].logger = sink->logger;
        (void)snprintf(talkers[i].name, sizeof(talkers[i].name), "talker-%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &talkers[i]), 0);
    }
    for (int i = 0; i < TALKERS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    assert_int_equal(log_drops(sink->logger), 0);
    int copy = dup(sink->fd);
    log_destroy(sink->logger); /* writes the rest */
    sink->logger = NULL;
    const char *text = sink_text(sink);
    assert_int_equal(count_of(text, "\n"), TALKERS * 1001);
    for (int i = 0; i < TALKERS; i++) {
        const char *at = text;
        for (int j = 0; j < 1000; j++) {
            char want[64];
            (void)snprintf(want, sizeof(want), "msg=\"talker-%d says %d.\"", i, j);
            at = strstr(at, want); /* each thread's lines in its order */
            assert_non_null(at);
        }
    }
    (void)close(copy);
    sink_close(sink);
}

static void log_survives_no_memory(void **unused)
{
    (void)unused;
#ifdef WEIR_DEBUG
    struct log_conf conf = {.fd = STDERR_FILENO, .level = LOG_ERROR};
    struct logger *logger = NULL;
    struct log_ring *ring = NULL;

    fault_arm("alloc", 1);
    assert_int_equal(log_create(&conf, &logger), -ENOMEM);
    assert_int_equal(log_create(&conf, &logger), 0);
    fault_arm("alloc", 1);
    assert_int_equal(log_ring_create(logger, "x", &ring), -ENOMEM);
    fault_arm(NULL, 0);
    log_destroy(logger);
    log_destroy(NULL);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_escaped),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(lines_have_their_fields),
        cmocka_unit_test(json_and_another_descriptor),
        cmocka_unit_test(level_names_parse),
        cmocka_unit_test(storm_is_suppressed_and_counted),
        cmocka_unit_test(full_ring_drops_and_tells),
        cmocka_unit_test(stuck_reader_stops_nobody),
        cmocka_unit_test(full_disk_is_counted),
        cmocka_unit_test(threads_lose_no_line),
        cmocka_unit_test(log_survives_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
