/* SPDX-License-Identifier: Apache-2.0 */
/* The servers of a pipe: links, breakers, and who has which slot. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/util/err.h"

#include "pipe_priv.h"

#define WHERE_BYTES (REDIS_HOST_BYTES + 8)

static void tell(struct redis_node *node, enum redis_pipe_event event, const char *why)
{
    char where[WHERE_BYTES];

    (void)snprintf(where, sizeof(where), "%s:%u", node->host, (unsigned)node->port);
    node->pipe->calls.on_event(node->pipe->calls.arg, event, where, why);
}

/* --- breaker --- */

static void probe_arm(struct redis_pipe *pipe)
{
    uint64_t next_us = UINT64_MAX;

    for (uint32_t i = 0; i < PIPE_NODES_MAX; i++) {
        const struct redis_node *node = pipe->nodes[i];

        if (node != NULL && node->breaker.state == BREAKER_ST_OPEN &&
            redis_link_is_up(node->link) && node->breaker.until_us < next_us) {
            next_us = node->breaker.until_us;
        }
    }
    if (next_us == UINT64_MAX) {
        timer_cancel(&pipe->probe);
    } else {
        timer_arm_at(&pipe->probe, next_us);
    }
}

void node_result(struct redis_node *node, bool is_good, bool is_probe)
{
    uint64_t now_us = loop_now_us(node->pipe->loop);
    bool was_closed = breaker_is_closed(&node->breaker);
    bool has_changed = is_good ? breaker_good(&node->breaker, is_probe, now_us)
                               : breaker_bad(&node->breaker, is_probe, now_us);

    if (!has_changed) {
        return;
    }
    if (was_closed) {
        tell(node, PIPE_EVENT_OPENED, "it does not answer in time, or refuses");
    } else if (breaker_is_closed(&node->breaker)) {
        tell(node, PIPE_EVENT_CLOSED, "it answers in time");
    }
    probe_arm(node->pipe);
}

void on_probe(void *arg)
{
    struct redis_pipe *pipe = arg;

    for (uint32_t i = 0; i < PIPE_NODES_MAX; i++) {
        struct redis_node *node = pipe->nodes[i];

        if (node != NULL && redis_link_is_up(node->link) &&
            breaker_begin_probe(&node->breaker, loop_now_us(pipe->loop))) {
            op_probe(node);
        }
    }
    probe_arm(pipe);
}

/* --- a server's connection --- */

static void on_up(void *arg)
{
    struct redis_node *node = arg;

    node->was_tried = true;
    tell(node, PIPE_EVENT_UP, "connected");
    if (node->pipe->slots != NULL && node->pipe->refreshed_us == 0) {
        map_want(node->pipe);
    }
    probe_arm(node->pipe);
    ops_of_node(node, 0);
}

static void on_down(void *arg, bool was_up, const char *why)
{
    struct redis_node *node = arg;
    struct redis_pipe *pipe = node->pipe;
    bool has_lost = node->lost > 0;

    node->was_tried = true;
    node->lost = 0;
    pipe->stats.malformed +=
        was_up && redis_link_last_error(node->link) == -WR_E_BAD_PACKET ? 1 : 0;
    if (has_lost) {
        node_result(node, false, false);
    }
    if (has_lost || !was_up) {
        tell(node, PIPE_EVENT_DOWN, why);
    }
    if (pipe->slots != NULL) {
        map_want(pipe);
    }
    probe_arm(pipe);
    ops_of_node(node, -WR_E_CLOSED);
}

bool node_is_ready(const struct redis_node *node)
{
    return redis_link_is_up(node->link) && breaker_is_closed(&node->breaker);
}

int node_open(struct redis_pipe *pipe, struct span host, uint16_t port,
              struct redis_node **ret_node)
{
    const struct redis_calls calls = {.on_up = on_up, .on_down = on_down};
    struct redis_node *node = NULL;
    struct redis_conf conf = pipe->conf.link;
    struct redis_calls own = calls;
    uint32_t place = 0;
    int r = 0;

    while (place < PIPE_NODES_MAX && pipe->nodes[place] != NULL) {
        place++;
    }
    if (place == PIPE_NODES_MAX || host.len >= REDIS_HOST_BYTES) {
        return -WR_E_LIMIT;
    }
    node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return -ENOMEM;
    }
    node->pipe = pipe;
    node->port = port;
    (void)span_copy(host, node->host, sizeof(node->host));
    breaker_init(&node->breaker, rand_u64(&pipe->rng));
    conf.host = node->host;
    conf.port = port;
    conf.tls_name = conf.tls_name != NULL ? conf.tls_name : node->host;
    own.arg = node;
    r = redis_link_create(pipe->loop, pipe->resolver, &conf, &own, &node->link);
    if (r < 0) {
        free(node);
        return r;
    }
    pipe->nodes[place] = node;
    *ret_node = node;
    return 0;
}

void nodes_close(struct redis_pipe *pipe)
{
    for (uint32_t i = 0; i < PIPE_NODES_MAX; i++) {
        if (pipe->nodes[i] != NULL) {
            redis_link_destroy(pipe->nodes[i]->link);
        }
    }
}

/* Servers that no slot is on any more, when nothing waits for them. */
void on_sweep(void *arg)
{
    struct redis_pipe *pipe = arg;

    for (uint32_t i = 1; i < PIPE_NODES_MAX; i++) {
        struct redis_node *node = pipe->nodes[i];

        if (node != NULL && !node->is_listed && node->ops == 0) {
            pipe->nodes[i] = NULL;
            redis_link_destroy(node->link);
            loop_bury(pipe->loop, node, free);
        }
    }
}

/* --- slots --- */

struct redis_node *node_of_slot(const struct redis_pipe *pipe, uint32_t slot)
{
    if (pipe->slots == NULL) {
        return pipe->nodes[0];
    }
    if (pipe->slots[slot] != NODE_NONE) {
        return pipe->nodes[pipe->slots[slot]];
    }
    /* nobody knows: whoever is there says MOVED */
    for (uint32_t i = 0; i < PIPE_NODES_MAX; i++) {
        if (pipe->nodes[i] != NULL && node_is_ready(pipe->nodes[i])) {
            return pipe->nodes[i];
        }
    }
    return NULL;
}

/* Index of that server, which is opened when it is not known; NODE_NONE: no room. */
static uint32_t node_find(struct redis_node *said_by, struct span host, uint16_t port)
{
    struct redis_pipe *pipe = said_by->pipe;
    struct redis_node *node = NULL;
    struct span name = host.len > 0 ? host : span_of(said_by->host);
    uint32_t i = 0;

    for (i = 0; i < PIPE_NODES_MAX; i++) {
        node = pipe->nodes[i];
        if (node != NULL && node->port == port && span_eq(span_of(node->host), name)) {
            return i;
        }
    }
    if (node_open(pipe, name, port, &node) < 0) {
        return NODE_NONE;
    }
    for (i = 0; pipe->nodes[i] != node; i++) {
    }
    return i;
}

struct redis_node *node_named(struct redis_node *said_by, const struct slot_place *place)
{
    uint32_t i = node_find(said_by, place->host, place->port);

    return i == NODE_NONE ? NULL : said_by->pipe->nodes[i];
}

static void slot_set(struct redis_pipe *pipe, uint32_t slot, uint32_t node)
{
    pipe->slots[slot] = (uint8_t)node;
}

struct redis_node *node_moved(struct redis_node *said_by, const struct slot_place *place)
{
    struct redis_pipe *pipe = said_by->pipe;
    uint32_t i = node_find(said_by, place->host, place->port);

    map_want(pipe);
    if (i == NODE_NONE) {
        return NULL;
    }
    slot_set(pipe, place->slot, i);
    pipe->nodes[i]->is_listed = true;
    return pipe->nodes[i];
}

/* --- the map --- */

void map_want(struct redis_pipe *pipe)
{
    uint64_t at_us = pipe->refreshed_us + PIPE_REFRESH_US;

    if (!pipe->is_refreshing && !timer_is_armed(&pipe->refresh)) {
        timer_arm_at(&pipe->refresh, at_us);
    }
}

static void on_range(void *arg, uint32_t first, uint32_t last, struct span host, uint16_t port)
{
    struct redis_node *said_by = arg;
    uint32_t i = node_find(said_by, host, port);

    if (i == NODE_NONE) {
        return;
    }
    said_by->pipe->nodes[i]->is_listed = true;
    for (uint32_t slot = first; slot <= last; slot++) {
        slot_set(said_by->pipe, slot, i);
    }
}

static void on_map(void *arg, int err, const struct redis_value *value)
{
    struct redis_node *node = arg;
    struct redis_pipe *pipe = node->pipe;

    (void)err;
    pipe->is_refreshing = false;
    node->ops--;
    if (value == NULL) {
        map_want(pipe);
        return;
    }
    for (uint32_t i = 0; i < PIPE_NODES_MAX; i++) {
        if (pipe->nodes[i] != NULL) {
            pipe->nodes[i]->is_listed = false;
        }
    }
    if (slot_ranges(value, on_range, node) < 0) {
        tell(node, PIPE_EVENT_NO_MAP, "CLUSTER SLOTS was answered by something else");
    } else {
        pipe->stats.refreshes++;
    }
    /* what it did not mention stays where it was */
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (pipe->slots[slot] != NODE_NONE) {
            pipe->nodes[pipe->slots[slot]]->is_listed = true;
        }
    }
    loop_defer(pipe->loop, &pipe->sweep);
}

void on_refresh(void *arg)
{
    static const struct span words[] = {{(const uint8_t *)"CLUSTER", 7},
                                        {(const uint8_t *)"SLOTS", 5}};
    struct redis_pipe *pipe = arg;

    pipe->refreshed_us = loop_now_us(pipe->loop);
    for (uint32_t n = 0; n < PIPE_NODES_MAX; n++) {
        struct redis_node *node = pipe->nodes[pipe->next_node++ % PIPE_NODES_MAX];

        if (node != NULL && redis_link_is_up(node->link)) {
            node->ops++;
            pipe->is_refreshing = true;
            if (redis_link_send(node->link, words, 2, on_map, node) == 0) {
                return;
            }
            pipe->is_refreshing = false;
            node->ops--;
        }
    }
    map_want(pipe);
}
