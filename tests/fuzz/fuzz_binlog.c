/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a log: nothing that a server sends does more than have everything counted as written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event_priv.h"
#include "rows_priv.h"
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

/* A table of the input, and rows of it: of each type in turn. */
static void rows_take(const struct event *event)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 8};
    struct version_writes writes = {0};
    struct rows rows = {.count = 0};

    for (uint16_t i = 0; i < 5; i++) {
        const struct catalogue_key key = {
            .column = SPAN_LIT("id"), .position = i, .bytes = bytes[i], .is_unsigned = i % 2 == 0};
        struct rows_table *table = rows_map(&rows, event, &key, 1);
        struct event as_rows = *event;

        for (uint8_t type = EVENT_WRITE_ROWS; table != NULL && type <= EVENT_DELETE_ROWS; type++) {
            as_rows.type = type;
            (void)rows_read(&as_rows, table, &writes);
        }
    }
    if (writes.count > VERSION_WRITES_MAX) {
        abort();
    }
}

/* Events of one input: a TABLE_MAP, and rows of that table. */
static void rows_of_log(struct rows *logged, const struct event *event)
{
    const struct catalogue_key key = {.column = SPAN_LIT("id"), .position = 0, .bytes = 4};
    struct version_writes writes = {0};
    const struct rows_table *table = NULL;

    if (event->type == EVENT_TABLE_MAP) {
        (void)rows_map(logged, event, &key, 1);
    } else {
        table = rows_find(logged, event);
        if (table != NULL && rows_read(event, table, &writes) &&
            writes.count > VERSION_WRITES_MAX) {
            abort();
        }
    }
}

static void take(struct rows *logged, const struct event *event, unsigned depth)
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
    rows_take(event);
    rows_of_log(logged, event);
    buf_clear(&buf);
    if (depth == 0 && event_payload(event, &buf, MAX, &a)) {
        while (a.len > 0 && event_next(&a, &inner)) {
            take(logged, &inner, 1);
        }
    }
    buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0));
    struct span bytes = {copy, size};
    struct rows logged = {.count = 0};
    struct event event;

    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    while (event_next(&bytes, &event)) {
        take(&logged, &event, 0);
    }
    if (event_decode((struct span){copy, size}, true, &event)) {
        take(&logged, &event, 0);
    }
    free(copy);
    return 0;
}
