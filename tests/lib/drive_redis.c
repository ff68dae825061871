/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe to Redis under load: `drive_redis PORT single|cluster BUDGET_US [USER PASSWORD]` keeps 16 commands on their way,
 * SET and GET of 512 keys by turns, until its standard input ends. Each value names its key, so that a reply that is another's
 * is seen. A line for each 100 ms: what came (right, nil, error of Redis, none, wrong), the longest wait, whether it is ready. At
 * the end the pipe's counts. Events as they come. tests/integration/redis_tier_real speaks to it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/io/loop.h"
#include "weir/io/resolve.h"
#include "weir/io/timer.h"
#include "weir/io/watch.h"
#include "weir/redis/pipe.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#define ASKERS   16
#define KEYS     512U
#define TICK_US  UINT64_C(100000)
#define PAUSE_US UINT64_C(2000) /* after a refusal */

struct drive;

struct asker {
    struct drive *drive;
    struct timer pause;
    char key[32];
    bool is_get;
    uint64_t sent_us;
};

struct counts {
    uint64_t right;
    uint64_t nil;
    uint64_t error;
    uint64_t none;
    uint64_t refused;
    uint64_t wrong;
    uint64_t worst_us;
};

struct drive {
    struct loop *loop;
    struct redis_pipe *pipe;
    struct timer tick;
    struct rand_state rng;
    struct counts counts;
    struct asker askers[ASKERS];
    bool is_ending;
};

static void ask(struct asker *asker);

static void on_pause(void *arg)
{
    ask(arg);
}

static void on_reply(void *arg, int err, const struct redis_value *value)
{
    struct asker *asker = arg;
    struct drive *drive = asker->drive;
    uint64_t took_us = clock_now_us() - asker->sent_us;
    size_t len = strlen(asker->key);

    (void)err;
    drive->counts.worst_us = took_us > drive->counts.worst_us ? took_us : drive->counts.worst_us;
    if (value == NULL) {
        drive->counts.none++;
    } else if (value->kind == REDIS_ERROR) {
        drive->counts.error++;
    } else if (value->kind == REDIS_NIL && asker->is_get) {
        drive->counts.nil++;
    } else if (asker->is_get ? value->kind == REDIS_STRING && value->text.len > len &&
                                   memcmp(value->text.p, asker->key, len) == 0
                             : value->kind == REDIS_STATUS && span_eq_text(value->text, "OK")) {
        drive->counts.right++;
    } else {
        drive->counts.wrong++;
    }
    if (!drive->is_ending) {
        ask(asker);
    }
}

static void ask(struct asker *asker)
{
    struct drive *drive = asker->drive;
    unsigned number = (unsigned)rand_below(&drive->rng, KEYS);
    char text[400];

    (void)snprintf(asker->key, sizeof(asker->key), "lab:%04u:", number);
    memset(text, 'v', sizeof(text));
    memcpy(text, asker->key, strlen(asker->key));
    const struct span key = span_of(asker->key);
    const struct span set[] = {SPAN_LIT("SET"), key, {(const uint8_t *)text, sizeof(text)}};
    const struct span get[] = {SPAN_LIT("GET"), key};

    asker->is_get = rand_below(&drive->rng, 4) != 0;
    asker->sent_us = clock_now_us();
    if (redis_pipe_send(drive->pipe, key, asker->is_get ? get : set, asker->is_get ? 2 : 3,
                        on_reply, asker, NULL) < 0) {
        drive->counts.refused++;
        timer_arm_in(&asker->pause, PAUSE_US);
    }
}

static void on_tick(void *arg)
{
    struct drive *drive = arg;
    struct redis_pipe_stats stats;
    const struct counts *c = &drive->counts;

    redis_pipe_stats(drive->pipe, &stats);
    printf("tick right=%" PRIu64 " nil=%" PRIu64 " error=%" PRIu64 " none=%" PRIu64
           " refused=%" PRIu64 " wrong=%" PRIu64 " worst_us=%" PRIu64 " nodes_up=%u\n",
           c->right, c->nil, c->error, c->none, c->refused, c->wrong, c->worst_us,
           (unsigned)stats.nodes_up);
    (void)fflush(stdout);
    drive->counts = (struct counts){0};
    timer_arm_in(&drive->tick, TICK_US);
}

static void on_event(void *arg, enum redis_pipe_event event, const char *where, const char *why)
{
    static const char *const texts[] = {
#define X(name, text) [PIPE_EVENT_##name] = (text),
        PIPE_EVENTS(X)
#undef X
    };

    (void)arg;
    printf("event %s %s: %s\n", texts[event], where, why);
}

static void on_input(void *arg)
{
    struct drive *drive = arg;

    loop_stop(drive->loop);
}

int main(int argc, char **argv)
{
    struct drive drive = {.is_ending = false};
    struct resolver *resolver = NULL;
    struct watch watch;
    struct redis_pipe_stats stats;
    const struct redis_pipe_calls calls = {.on_event = on_event, .arg = &drive};
    struct redis_pipe_conf conf = {
        .link = {.host = "127.0.0.1", .connect_timeout_us = 500000, .max_reply_bytes = 65536}};

    if (argc != 4 && argc != 6) {
        return 2;
    }
    conf.link.port = (uint16_t)strtoul(argv[1], NULL, 10);
    conf.is_cluster = strcmp(argv[2], "cluster") == 0;
    conf.budget_us = strtoull(argv[3], NULL, 10);
    if (argc == 6) {
        conf.link.user = argv[4];
        conf.link.password = span_of(argv[5]);
    }
    rand_seed(&drive.rng, 4711);
    if (loop_create(&drive.loop) < 0 || resolver_create(&resolver) < 0 ||
        redis_pipe_create(drive.loop, resolver, &conf, &calls, &drive.pipe) < 0 ||
        watch_start(&watch, drive.loop, STDIN_FILENO, on_input, &drive) < 0) {
        return 1;
    }
    timer_init(&drive.tick, drive.loop, on_tick, &drive);
    timer_arm_in(&drive.tick, TICK_US);
    for (unsigned i = 0; i < ASKERS; i++) {
        drive.askers[i].drive = &drive;
        timer_init(&drive.askers[i].pause, drive.loop, on_pause, &drive.askers[i]);
        ask(&drive.askers[i]);
    }
    if (loop_run(drive.loop) < 0) {
        return 1;
    }
    drive.is_ending = true;
    redis_pipe_stats(drive.pipe, &stats);
#define X(name, help) printf("count %s %" PRIu64 "\n", #name, stats.name);
    PIPE_COUNTS(X)
#undef X
    timer_cancel(&drive.tick);
    for (unsigned i = 0; i < ASKERS; i++) {
        timer_cancel(&drive.askers[i].pause);
    }
    watch_stop(&watch);
    redis_pipe_destroy(drive.pipe);
    resolver_destroy(resolver);
    loop_destroy(drive.loop);
    return 0;
}
