/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/io/watch.h"

#include <errno.h>
#include <stddef.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "loop_priv.h"

_Static_assert(sizeof(struct event) <= sizeof(((struct watch *)0)->event), "watch.event");

static struct event *event_of(struct watch *watch)
{
    return (struct event *)(void *)watch->event;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;

    (void)fd;
    (void)what;
    watch->on_readable(watch->arg);
}

int watch_start(struct watch *watch, struct loop *loop, int fd, watch_fn on_readable, void *arg)
{
    watch->loop = loop;
    watch->on_readable = on_readable;
    watch->arg = arg;
    watch->is_on = false;
    if (event_assign(event_of(watch), loop_base(loop), fd, EV_READ | EV_PERSIST, on_event, watch) !=
            0 ||
        event_add(event_of(watch), NULL) != 0) {
        return -ENOMEM;
    }
    watch->is_on = true;
    return 0;
}

void watch_stop(struct watch *watch)
{
    if (watch->is_on) {
        (void)event_del(event_of(watch));
        watch->is_on = false;
    }
}
