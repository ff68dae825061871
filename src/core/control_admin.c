/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin is given to see and to do. */
#include "weir/admin/admin.h"
#include "weir/client/listener.h"
#include "weir/config/config.h"
#include "weir/monitor/monitor.h"
#include "weir/pool/slots.h"
#include "weir/util/err.h"

#include "control_priv.h"

static void on_view(void *arg, struct admin_view *ret_view)
{
    const struct control *control = arg;

    *ret_view = (struct admin_view){
        .config = control->config,
        .topo = control->topo,
        .catalogue = control->catalogue,
        .board = control->house->board,
        .events = control->events,
        .registry = control->registry,
        .started_us = control->started_us,
        .workers = workers_count(control->workers),
        .sessions = workers_load(control->workers),
        .instance_tag = control->house->instance_tag,
        .is_draining = control->is_draining,
    };
}

static uint32_t on_ask(void *arg, uint32_t ticket, unsigned what)
{
    const struct control *control = arg;

    return workers_ask(control->workers, ticket, what);
}

static int on_kill(void *arg, uint32_t ticket, uint32_t id, bool is_query_only)
{
    const struct control *control = arg;

    return workers_kill(control->workers, ticket, id, is_query_only);
}

static void on_drain(void *arg, uint16_t server, bool is_drained)
{
    const struct control *control = arg;

    monitor_drain(control->house->monitor, server, is_drained);
}

static void on_set_weight(void *arg, uint16_t server, uint32_t weight)
{
    const struct control *control = arg;

    monitor_set_weight(control->house->monitor, server,
                       weight == UINT32_MAX ? MONITOR_WEIGHT_CONFIGURED : weight);
}

static void on_event(void *arg, enum event_kind kind, const char *server, const char *text)
{
    control_event(arg, kind, server, text);
}

static void on_pool(void *arg, uint16_t server, struct admin_pool *ret_pool)
{
    const struct control *control = arg;
    const struct slots *slots = control->house->slots;

    ret_pool->used = slots_used(slots, server);
    ret_pool->max = slots_max(slots, server);
    ret_pool->refused = slots_refused(slots, server);
    ret_pool->waiting = 0; /* nobody waits: a full server refuses */
}

int control_admin_start(struct control *control)
{
    const struct control_house *house = control->house;
    struct admin_conf conf = {
        .loop = control->loop,
        .listeners = house->admin_listeners,
        .tls = house->server_tls,
        .metrics = control->metrics,
        .log = &control->admin_log,
        .calls =
            {
                .view = on_view,
                .ask = on_ask,
                .kill = on_kill,
                .drain = on_drain,
                .set_weight = on_set_weight,
                .event = on_event,
                .pool = on_pool,
                .reload = NULL, /* RELOAD: the report's lines, one row each */
                .rules = NULL,
                .arg = control,
            },
    };

    if (house->admin_listeners == NULL) {
        return 0;
    }

    int rc = admin_create(&conf, &control->admin);

    if (rc < 0) {
        log_error(&control->log, "admin_failed", "admin.address %s: %s",
                  control->config->admin.address.text, err_text(rc));
        return rc;
    }
    for (size_t i = 0; i < listener_count(house->admin_listeners); i++) {
        log_info(&control->log, "admin_listening", "%s", listener_text(house->admin_listeners, i));
    }
    return 0;
}

void control_admin_stop(struct control *control)
{
    admin_destroy(control->admin);
    control->admin = NULL;
}
