/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "roles_priv.h"

/*
 * A server is four letters: configured (a auto, p primary, r replica), alive (+) or down (-) or
 * never known (?), writable (w) or read only (o), replicating (f) or not (s).
 */
struct row {
    const char *name;
    const char *servers[4];
    int16_t current;
    int16_t primary;
    bool has_second;
};

static const struct row ROWS[] = {
    {"by read_only", {"a+ws", "a+of", "a+of"}, -1, 0, false},
    {"wherever it stands", {"a+of", "a+of", "a+ws"}, -1, 2, false},
    {"nobody is writable", {"a+of", "a+of"}, -1, -1, false},
    {"nobody is known", {"a?os", "a?os"}, -1, -1, false},
    {"two writers, one of them a source", {"a+wf", "a+ws"}, -1, 1, true},
    {"two writers, in doubt", {"a+ws", "a+ws"}, -1, -1, true},
    {"two writers that follow each other", {"a+wf", "a+wf"}, -1, -1, true},
    {"one that follows the other, read only one", {"a+wf", "a+of"}, -1, 0, false},
    {"a second writer moves nothing", {"a+ws", "a+ws", "a+of"}, 0, 0, true},
    {"a second writer that replicates moves nothing", {"a+ws", "a+wf"}, 0, 0, true},
    {"the primary is down, nobody took over", {"a-ws", "a+of"}, 0, 0, false},
    {"the primary is down, one took over", {"a-ws", "a+ws", "a+of"}, 0, 1, false},
    {"the primary is down, a replica was left writable", {"a-ws", "a+wf"}, 0, 0, true},
    {"the primary is down, two took over", {"a-ws", "a+ws", "a+ws"}, 0, 0, true},
    {"the primary became read only", {"a+os", "a+of"}, 0, -1, false},
    {"... and another writable", {"a+os", "a+ws"}, 0, 1, false},
    {"the old one is back, writable", {"a+ws", "a+ws"}, 1, 1, true},
    {"configured", {"p+ws", "r+of"}, -1, 0, false},
    {"configured, before it is known", {"r?os", "p?os"}, -1, 1, false},
    {"configured, read only", {"p+os", "r+of"}, 0, 0, false},
    {"configured, down", {"p-ws", "a+ws"}, 0, 0, true},
    {"a configured replica is never it", {"r+ws", "a+of"}, -1, -1, true},
    {"a configured replica is no rival", {"r+ws", "a+ws"}, -1, 1, true},
    {"current beyond the list", {"a+ws", "a+of"}, 9, 0, false},
};

static size_t servers_parse(const char *const *texts, struct roles_server *ret)
{
    size_t count = 0;

    for (; count < 4 && texts[count]; count++) {
        const char *t = texts[count];

        ret[count] = (struct roles_server){
            .configured = t[0] == 'a'   ? CONFIG_ROLE_AUTO
                          : t[0] == 'p' ? CONFIG_ROLE_PRIMARY
                                        : CONFIG_ROLE_REPLICA,
            .is_known = t[1] != '?',
            .is_alive = t[1] == '+',
            .is_writable = t[2] == 'w',
            .is_replicating = t[3] == 'f',
        };
    }
    return count;
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        const struct row *row = &ROWS[i];
        struct roles_server servers[4];
        struct roles roles;
        size_t count = servers_parse(row->servers, servers);

        roles_decide(servers, count, row->current, &roles);
        if (roles.primary != row->primary || roles.has_second_writer != row->has_second) {
            fail_msg("%s: primary %d, second writer %d", row->name, roles.primary,
                     roles.has_second_writer);
        }
        for (size_t k = 0; k < count; k++) {
            assert_int_equal(roles.role[k] == TOPO_ROLE_PRIMARY, (int16_t)k == roles.primary);
        }
    }
}

static void test_why(void **state)
{
    static const char *const texts[4] = {"a+ws", "a+ws", "r+wf", "a?os"};
    static const char *const fixed[4] = {"p+os", "a-ws", "a+of", NULL};
    struct roles_server servers[4];
    struct roles roles;

    (void)state;
    roles_decide(servers, servers_parse(texts, servers), 0, &roles);
    assert_int_equal(roles.why[0], TOPO_WHY_NONE);
    assert_int_equal(roles.why[1], TOPO_WHY_SECOND_WRITER);
    assert_int_equal(roles.why[2], TOPO_WHY_NONE); /* configured: it is known to be writable */
    assert_int_equal(roles.role[2], TOPO_ROLE_REPLICA);
    assert_int_equal(roles.role[3], TOPO_ROLE_UNKNOWN);
    roles_decide(servers, servers_parse(fixed, servers), 0, &roles);
    assert_int_equal(roles.why[0], TOPO_WHY_ROLE);
    assert_int_equal(roles.why[1], TOPO_WHY_NONE); /* down: what it said last does not count */
    assert_int_equal(roles.role[1], TOPO_ROLE_REPLICA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
