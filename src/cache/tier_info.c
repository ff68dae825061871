/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/io/loop.h"
#include "weir/io/timer.h"

#include "tier_priv.h"

#define INFO_US        UINT64_C(5000000)
#define INFO_REPLY_MAX ((size_t)256 * 1024)

struct tier_info {
    struct redis_link *link;
    struct loop *loop;
    struct metric_shard *metrics;
    struct timer timer;
    bool is_asked;
};

static const struct {
    const char *name;
    enum metric metric;
} fields[] = {
    {"used_memory", METRIC_REDIS_MEMORY},        {"used_memory_peak", METRIC_REDIS_MEMORY_PEAK},
    {"connected_clients", METRIC_REDIS_CLIENTS}, {"instantaneous_ops_per_sec", METRIC_REDIS_RATE},
    {"keyspace_hits", METRIC_REDIS_HITS},        {"keyspace_misses", METRIC_REDIS_MISSES},
    {"evicted_keys", METRIC_REDIS_EVICTED},      {"expired_keys", METRIC_REDIS_EXPIRED},
};

/* Digits, and nothing else, up to what a gauge holds. */
static bool number_of(struct span text, int64_t *ret_number)
{
    int64_t number = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || number > INT64_MAX / 10 - 1) {
            return false;
        }
        number = number * 10 + (text.p[i] - '0');
    }
    *ret_number = number;
    return text.len > 0;
}

static void line_read(struct span line, struct metric_shard *metrics)
{
    const uint8_t *colon = line.len == 0 ? NULL : memchr(line.p, ':', line.len);
    struct span name = {line.p, 0};
    struct span rest = {NULL, 0};
    int64_t number = 0;

    if (colon == NULL) {
        return;
    }
    name.len = (size_t)(colon - line.p);
    rest = (struct span){colon + 1, line.len - name.len - 1};
    if (!number_of(rest, &number)) {
        return;
    }
    for (size_t i = 0; i < WR_ARRAY_LEN(fields); i++) {
        if (span_eq_text(name, fields[i].name)) {
            metric_set(metrics, fields[i].metric, METRIC_NONE, number);
        }
    }
}

void tier_info_read(struct span text, struct metric_shard *metrics)
{
    while (text.len > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.p);
        struct span line = {text.p, len};

        if (line.len > 0 && line.p[line.len - 1] == '\r') {
            line.len--;
        }
        line_read(line, metrics);
        len += end == NULL ? 0 : 1;
        text = (struct span){text.p + len, text.len - len};
    }
}

static void on_info(void *arg, int err, const struct redis_value *value)
{
    struct tier_info *info = arg;

    (void)err;
    info->is_asked = false;
    if (value != NULL && value->kind == REDIS_STRING) {
        tier_info_read(value->text, info->metrics);
    }
}

static void on_timer(void *arg)
{
    static const struct span words[1] = {{(const uint8_t *)"INFO", 4}};
    struct tier_info *info = arg;

    if (!info->is_asked && redis_link_is_up(info->link)) {
        info->is_asked = redis_link_send(info->link, words, 1, on_info, info) == 0;
    }
    timer_arm_in(&info->timer, INFO_US);
}

/* The first are there soon after the start. */
static void on_up(void *arg)
{
    struct tier_info *info = arg;

    timer_arm_in(&info->timer, 0);
}

static void on_down(void *arg, bool was_up, const char *why)
{
    (void)arg;
    (void)was_up;
    (void)why; /* the pipe tells */
}

int tier_info_create(struct loop *loop, struct resolver *resolver, const struct redis_conf *conf,
                     struct metric_shard *metrics, struct tier_info **ret_info)
{
    struct tier_info *info = calloc(1, sizeof(*info));
    struct redis_conf link = *conf;
    struct redis_calls calls = {.on_up = on_up, .on_down = on_down, .arg = info};
    int r = 0;

    if (info == NULL) {
        return -ENOMEM;
    }
    info->loop = loop;
    info->metrics = metrics;
    timer_init(&info->timer, loop, on_timer, info);
    link.max_reply_bytes = INFO_REPLY_MAX;
    r = redis_link_create(loop, resolver, &link, &calls, &info->link);
    if (r < 0) {
        free(info);
        return r;
    }
    timer_arm_in(&info->timer, INFO_US);
    *ret_info = info;
    return 0;
}

void tier_info_destroy(struct tier_info *info)
{
    if (info != NULL) {
        redis_link_destroy(info->link);
        timer_cancel(&info->timer);
        loop_bury(info->loop, info, free);
    }
}
