/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histcheck - the clients and the judge of src/verify, led by tests/histcheck/run.
 *
 *     histcheck --port N --user NAME [--OPTION VALUE]...      password in HISTCHECK_PASSWORD
 *
 * Says on standard output, and is told on standard input, one line each:
 *
 *     > ready SCHEMA          tables are there         < go
 *     > running               clients run              < begin ID calm|errors|lossy    < end ID    < stop
 *     > noted ID              since then it counts
 *     > truth SCHEMA          clients are done         < ranks FILE              < none
 *     > counts K1=0 K2=3 ...  all counts, enforced or not
 *     > stats reads=... ...   one line
 *
 * and the report for a reader, each line behind four blanks. FILE holds an op a line, in the order in
 * which the primary's binary log has their commits. Ends with 0: kept, 1: broken, 2: no verdict.
 */
#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/util/clock.h"
#include "weir/verify/verify.h"

#define LINE_MAX_BYTES 512
#define FAULTS_MAX     64
#define KEPT_MAX       5
#define SLOW_US        (5 * CLOCK_US_PER_SECOND)
#define TIMEOUT_S      20 /* what hangs, hangs for longer, on a slow machine too */

struct fault_window {
    char id[32];
    struct history_event event;
};

struct lead {
    struct fault_window open[FAULTS_MAX];
    size_t open_count;
    const char *keep; /* where a broken history goes; NULL: nowhere */
    char buffer[LINE_MAX_BYTES];
    size_t len;
};

static void say(const char *word, const char *rest)
{
    (void)printf("%s%s%s\n", word, rest[0] == '\0' ? "" : " ", rest);
    (void)fflush(stdout);
}

/* A whole line of standard input, or false: none yet (wait_ms), or no more. */
static int next_line(struct lead *lead, int wait_ms, char line[LINE_MAX_BYTES])
{
    for (;;) {
        char *end = memchr(lead->buffer, '\n', lead->len);
        struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
        ssize_t n = 0;

        if (end != NULL) {
            size_t used = (size_t)(end - lead->buffer) + 1;

            memcpy(line, lead->buffer, used - 1);
            line[used - 1] = '\0';
            memmove(lead->buffer, lead->buffer + used, lead->len - used);
            lead->len -= used;
            return 1;
        }
        if (lead->len == sizeof(lead->buffer)) {
            return -E2BIG;
        }
        if (poll(&fd, 1, wait_ms) == 0) {
            return 0;
        }
        n = read(STDIN_FILENO, lead->buffer + lead->len, sizeof(lead->buffer) - lead->len);
        if (n <= 0) {
            return -EPIPE; /* whoever leads is gone */
        }
        lead->len += (size_t)n;
    }
}

static int on_ready(void *arg, const char *schema)
{
    char line[LINE_MAX_BYTES];
    int rc = 0;

    say("ready", schema);
    rc = next_line(arg, -1, line);
    say("running", "");
    return rc < 0 ? rc : 0;
}

static int fault_begin(struct lead *lead, const char *id, const char *kind)
{
    struct fault_window *one = &lead->open[lead->open_count];

    if (lead->open_count == FAULTS_MAX) {
        return -E2BIG;
    }
    lead->open_count++;
    (void)snprintf(one->id, sizeof(one->id), "%s", id);
    one->event = (struct history_event){
        .begin_us = clock_now_us(),
        .kind = HISTORY_FAULT,
        .flags = strcmp(kind, "errors") == 0  ? HISTORY_F_ERRORS
                 : strcmp(kind, "lossy") == 0 ? HISTORY_F_ERRORS | HISTORY_F_LOSSY
                                              : 0,
    };
    return 0;
}

static int fault_end(struct lead *lead, const char *id, struct history *faults)
{
    for (size_t i = 0; i < lead->open_count; i++) {
        if (strcmp(lead->open[i].id, id) == 0) {
            lead->open[i].event.end_us = clock_now_us();
            if (history_add(faults, &lead->open[i].event) < 0) {
                return -ENOMEM;
            }
            lead->open[i] = lead->open[--lead->open_count];
            return 0;
        }
    }
    return -ENOENT;
}

static int on_tick(void *arg, struct history *faults)
{
    struct lead *lead = arg;
    char line[LINE_MAX_BYTES];
    int rc = 0;

    while ((rc = next_line(lead, 0, line)) > 0) {
        char word[16] = "";
        char id[32] = "";
        char kind[16] = "";

        (void)sscanf(line, "%15s %31s %15s", word, id, kind);
        if (strcmp(word, "stop") == 0) {
            return 1;
        }
        if (strcmp(word, "begin") == 0) {
            rc = fault_begin(lead, id, kind);
        } else if (strcmp(word, "end") == 0) {
            rc = fault_end(lead, id, faults);
        } else {
            rc = -EINVAL;
        }
        if (rc < 0) {
            return rc;
        }
        say("noted", id);
    }
    return rc;
}

static int take_ranks(const char *path, struct truth *truth)
{
    FILE *file = fopen(path, "r");
    char text[32];
    uint32_t rank = 0;

    if (file == NULL) {
        return -errno;
    }
    while (fgets(text, sizeof(text), file) != NULL) {
        truth_set_rank(truth, (uint32_t)strtoul(text, NULL, 10), ++rank);
    }
    (void)fclose(file);
    return 0;
}

static int on_truth(void *arg, const char *schema, struct truth *truth)
{
    char line[LINE_MAX_BYTES];
    int rc = 0;

    say("truth", schema);
    rc = next_line(arg, -1, line);
    if (rc > 0 && strncmp(line, "ranks ", 6) == 0) {
        return take_ranks(line + 6, truth);
    }
    return rc < 0 ? rc : 0;
}

/* Of a broken history: what concerns the session or the register of each violation. */
static void on_done(void *arg, const struct history *history, const struct check_report *report)
{
    struct lead *lead = arg;
    FILE *file = NULL;

    if (report->slowest_us > SLOW_US) {
        (void)printf("    slow: ");
        history_print_event(stdout, &history->events[report->slowest]);
    }
    if (lead->keep == NULL || report->broken == 0) {
        return;
    }
    file = fopen(lead->keep, "w");
    for (size_t i = 0; file != NULL && i < report->shown_count && i < KEPT_MAX; i++) {
        const struct check_violation *one = &report->shown[i];
        const struct history_event *at =
            one->event < history->count ? &history->events[one->event] : NULL;

        (void)fprintf(file, "# %s: %s\n", check_rule_name(one->rule), one->text);
        if (at == NULL) {
            continue;
        }
        history_print_event(file, at);
        (void)fputs("# its session, its register's writes and the faults:\n", file);
        for (size_t j = 0; j < history->count; j++) {
            const struct history_event *event = &history->events[j];
            bool is_session = event->thread == at->thread && event->session == at->session;
            bool is_key = event->key == at->key &&
                          (event->kind == HISTORY_WRITE || event->kind == HISTORY_ABORT);

            if (is_session || is_key || event->kind == HISTORY_FAULT) {
                history_print_event(file, event);
            }
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* The client library may be what dies of bytes that are cut off: say where. */
static void on_death(int number)
{
    void *frames[48];

    backtrace_symbols_fd(frames, backtrace(frames, 48), STDERR_FILENO);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

struct option {
    const char *name;
    const char **text;
    uint64_t *number;
};

static int parse(int argc, char **argv, const struct option *options)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const struct option *one = options;

        while (one->name != NULL && strcmp(one->name, argv[i]) != 0) {
            one++;
        }
        if (one->name == NULL) {
            (void)fprintf(stderr, "histcheck: not understood: %s\n", argv[i]);
            return -1;
        }
        if (one->text != NULL) {
            *one->text = argv[i + 1];
        } else {
            *one->number = strtoull(argv[i + 1], NULL, 10);
        }
    }
    return 0;
}

static enum verify_mode mode_of(const char *text)
{
    if (strcmp(text, "gtid") == 0) {
        return VERIFY_GTID;
    }
    return strcmp(text, "window") == 0 ? VERIFY_WINDOW : VERIFY_OFF;
}

static void print_indented(const struct verify_conf *conf, const struct verify_result *result)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);

    if (memory == NULL) {
        return;
    }
    (void)verify_print(conf, result, memory);
    (void)fclose(memory);
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');

        (void)printf("    %.*s\n", (int)(end == NULL ? strlen(line) : (size_t)(end - line)), line);
        line = end == NULL ? NULL : end + 1;
    }
    free(text);
}

static void print_numbers(const struct verify_result *result)
{
    const struct check_report *report = &result->report;

    (void)printf("counts");
    for (enum check_rule rule = CHECK_K1; rule < CHECK_RULE_END_; rule++) {
        (void)printf(" %s=%" PRIu64, check_rule_name(rule), report->counts[rule]);
    }
    (void)printf("\nstats operations=%" PRIu64 " reads=%" PRIu64 " replica_reads=%" PRIu64
                 " stale=%" PRIu64 " writes=%" PRIu64 " unknown=%" PRIu64 " errors=%" PRIu64
                 " lost=%" PRIu64 " lost_reads=%" PRIu64 " lost_sessions=%" PRIu64 " ordered=%d\n",
                 result->operations, report->reads, report->replica_reads, report->stale_reads,
                 report->writes, report->unknown, report->errors, report->lost, report->lost_reads,
                 report->lost_sessions, report->has_order);
}

int main(int argc, char **argv)
{
    struct verify_conf conf;
    struct verify_result result;
    struct verify_target reads;
    struct lead lead = {.open_count = 0};
    const char *mode = "window";
    const char *scope = "session";
    const char *host = "127.0.0.1";
    uint64_t port = 0, reads_port = 0, clients = 16, keys = 32, seconds = 10, seed = 1, rate = 0;
    uint64_t stale_ms = 0, timeout_ms = 45000, heal_ms = 5000, min_reads = 0, min_stale = 0;
    uint64_t inserts = 0, min_replica = 0, also = 0, abandon = 0, weir = 1, shared = 0;
    void *frame = NULL;
    int rc = 0;

    verify_conf_init(&conf);
    const struct option options[] = {
        {"--host", &host, NULL},
        {"--port", NULL, &port},
        {"--reads-port", NULL, &reads_port},
        {"--user", &conf.target.user, NULL},
        {"--other-user", &conf.other_user, NULL},
        {"--mode", &mode, NULL},
        {"--scope", &scope, NULL},
        {"--keep", &lead.keep, NULL},
        {"--clients", NULL, &clients},
        {"--keys", NULL, &keys},
        {"--seconds", NULL, &seconds},
        {"--seed", NULL, &seed},
        {"--rate", NULL, &rate},
        {"--stale-ms", NULL, &stale_ms},
        {"--timeout-ms", NULL, &timeout_ms},
        {"--heal-ms", NULL, &heal_ms},
        {"--min-reads", NULL, &min_reads},
        {"--min-stale", NULL, &min_stale},
        {"--min-replica", NULL, &min_replica},
        {"--inserts", NULL, &inserts},
        {"--also", NULL, &also}, /* bits of rules that are enforced beside the mode's */
        {"--abandon", NULL, &abandon},
        {"--weir", NULL, &weir},
        {"--shared", NULL, &shared}, /* 1: reads that a cache may answer; 2: by rows */
        {NULL, NULL, NULL},
    };
    if (parse(argc, argv, options) < 0 || port == 0 || conf.target.user == NULL) {
        return 2;
    }
    conf.target.host = host;
    conf.target.timeout_s = TIMEOUT_S;
    conf.target.port = (unsigned)port;
    conf.target.password = getenv("HISTCHECK_PASSWORD");
    conf.other_password = getenv("HISTCHECK_OTHER_PASSWORD");
    reads = conf.target;
    reads.port = (unsigned)reads_port;
    conf.reads = reads_port == 0 ? NULL : &reads;
    conf.mode = mode_of(mode);
    conf.scope = strcmp(scope, "session") == 0 ? VERIFY_SESSION : VERIFY_GLOBAL;
    conf.clients = (uint16_t)clients;
    conf.keys = (uint16_t)keys;
    conf.seconds = seconds;
    conf.seed = seed;
    conf.rate = (uint32_t)rate;
    conf.stale_us = stale_ms * CLOCK_US_PER_MS;
    conf.timeout_us = timeout_ms * CLOCK_US_PER_MS;
    conf.heal_us = heal_ms * CLOCK_US_PER_MS;
    conf.min_reads = (uint32_t)min_reads;
    conf.min_stale = (uint32_t)min_stale;
    conf.min_replica_pct = (uint8_t)min_replica;
    conf.insert_pct = (uint8_t)inserts;
    conf.enforce_also = (uint32_t)also;
    conf.is_abandoning = abandon != 0;
    conf.is_weir = weir != 0;
    conf.is_sharing = shared != 0;
    conf.is_by_row = shared == 2;
    conf.is_marked = true;
    conf.hooks = (struct verify_hooks){on_ready, on_tick, on_truth, on_done, &lead};

    (void)backtrace(&frame, 1); /* the first one allocates, which is too late in a handler */
    (void)signal(SIGABRT, on_death);
    (void)signal(SIGSEGV, on_death);
    (void)signal(SIGBUS, on_death);
    if (verify_library_init() < 0) {
        return 2;
    }
    rc = verify_run(&conf, &result);
    if (result.error[0] != '\0') {
        (void)printf("    %s\n", result.error);
    }
    if (rc == 0) {
        print_indented(&conf, &result);
        print_numbers(&result);
        rc = result.report.broken != 0;
    } else {
        (void)printf("    no verdict: %d\n", rc);
        rc = 2;
    }
    verify_library_fini();
    return rc;
}
