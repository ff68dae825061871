/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a log: nothing that a server sends does more than have everything counted as written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event_priv.h"
#include "statement_priv.h"

#define MAX (1U << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_table(void *arg, struct version_writes *writes, struct span schema, struct span name)
{
    (void)arg;
    version_writes_add_table(writes, schema, name);
}

static void query_take(const struct event *event, struct buf *buf)
{
    const struct statement_env env = {.flavour = event->type == EVENT_MARIA_QUERY ? CLASSIFY_MARIADB
                                                                                  : CLASSIFY_MYSQL,
                                      .version = 90700,
                                      .on_table = on_table};
    struct version_writes writes = {0};
    struct event_query query;
    struct span text;
    bool is_ddl = false;

    if (event_query(event, &query) && event_query_text(&query, buf, MAX, &text)) {
        (void)statement_read(&query, text, &env, &writes, &is_ddl);
        if (writes.count > VERSION_WRITES_MAX) {
            abort();
        }
    }
}

static void take(const struct event *event, unsigned depth)
{
    struct span a;
    struct span b;
    struct event_gtid gtid;
    struct event inner;
    uint64_t position = 0;
    bool has = false;
    struct buf buf;

    buf_init(&buf);
    (void)event_format(event, &has);
    (void)event_rotate(event, &a, &position);
    (void)event_table(event, &a, &b);
    if (event_gtid(event, &gtid)) {
        struct gtid_set set = event_gtid_set(&gtid);
        struct gtid_set copy;

        gtid_init(&copy);
        if (gtid_add(&copy, &set, &GTID_LIMITS_SERVER) == 0 && !gtid_has(&copy, &set)) {
            abort();
        }
        gtid_fini(&copy);
    }
    query_take(event, &buf);
    buf_clear(&buf);
    if (depth == 0 && event_payload(event, &buf, MAX, &a)) {
        while (a.len > 0 && event_next(&a, &inner)) {
            take(&inner, 1);
        }
    }
    buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0));
    struct span bytes = {copy, size};
    struct event event;

    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    while (event_next(&bytes, &event)) {
        take(&event, 0);
    }
    if (event_decode((struct span){copy, size}, true, &event)) {
        take(&event, 0);
    }
    free(copy);
    return 0;
}
