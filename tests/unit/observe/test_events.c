/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/observe/events.h"

static void test_ring(void **state)
{
    struct events *events = NULL;
    char text[32];

    (void)state;
    assert_int_equal(events_create(&events), 0);
    assert_int_equal(events_count(events), 0);
    for (unsigned i = 1; i <= EVENTS_MAX + 10; i++) {
        (void)snprintf(text, sizeof(text), "event %u", i);
        events_add(events, i, EVENT_SERVER_DOWN, "db1", text);
        assert_int_equal(events_count(events), i < EVENTS_MAX ? i : EVENTS_MAX);
        /* the newest is the last, the oldest the first */
        assert_int_equal(events_at(events, events_count(events) - 1)->number, i);
        assert_int_equal(events_at(events, 0)->number, i <= EVENTS_MAX ? 1 : i - EVENTS_MAX + 1);
    }
    for (size_t i = 0; i < events_count(events); i++) {
        const struct event *event = events_at(events, i);

        assert_int_equal(event->number, 11 + i);
        assert_int_equal(event->at_ms, 11 + i);
        (void)snprintf(text, sizeof(text), "event %u", (unsigned)(11 + i));
        assert_string_equal(event->text, text);
    }
    events_destroy(events);
    events_destroy(NULL);
}

static void test_cut(void **state)
{
    struct events *events = NULL;
    char text[EVENT_TEXT_BYTES * 2];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(events_create(&events), 0);
    events_add(events, 1, EVENT_SWITCH, text, text);
    assert_int_equal(strlen(events_at(events, 0)->text), EVENT_TEXT_BYTES - 1);
    assert_int_equal(strlen(events_at(events, 0)->server), EVENT_SERVER_BYTES - 1);
    assert_string_equal(event_kind_text(events_at(events, 0)->kind), "switch");
    events_destroy(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
