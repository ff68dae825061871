/* SPDX-License-Identifier: Apache-2.0 */
/* Verifiers, refusals, limits on checks. Time is what the test says it is. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/conn.h"
#include "weir/backend/cred.h"
#include "weir/client/users.h"
#include "weir/util/err.h"
#include "weir/util/secret.h"

#define SECOND UINT64_C(1000000)
#define NOW    (UINT64_C(1000) * SECOND)
#define NONE   ((struct span){NULL, 0})

static struct users *make(void)
{
    const struct users_conf conf = {
        .recheck_us = 60 * SECOND,
        .negative_us = SECOND,
        .max_checks = 4,
        .max_checks_per_address = 3,
        .max_checks_per_user = 2,
    };
    struct users *users = NULL;
    assert_int_equal(users_create(&conf, &users), 0);
    return users;
}

static struct cred *cred_of(struct users *users, const char *user, const char *password)
{
    struct cred *cred = NULL;
    assert_int_equal(
        cred_create(users_secrets(users), span_of(user), CRED_PASSWORD, span_of(password), &cred),
        0);
    return cred;
}

static enum users_fresh look(struct users *users, const char *user, const char *schema,
                             uint64_t now_us)
{
    struct cred *cred = NULL;
    enum users_fresh fresh = users_find(users, span_of(user), span_of(schema), now_us, &cred);
    assert_true((cred == NULL) == (fresh == USERS_UNKNOWN));
    cred_unref(cred);
    return fresh;
}

static void test_freshness(void **state)
{
    (void)state;
    struct users *users = make();
    struct cred *cred = cred_of(users, "app", "one");
    assert_int_equal(look(users, "app", "", NOW), USERS_UNKNOWN);
    assert_int_equal(users_accept(users, cred, SPAN_LIT("shop"), NOW), 0);
    assert_int_equal(look(users, "app", "", NOW), USERS_FRESH);
    assert_int_equal(look(users, "app", "shop", NOW), USERS_FRESH);
    assert_int_equal(look(users, "app", "other", NOW), USERS_STALE);
    assert_int_equal(look(users, "App", "", NOW), USERS_UNKNOWN);
    assert_int_equal(look(users, "app", "", NOW + 60 * SECOND - 1), USERS_FRESH);
    assert_int_equal(look(users, "app", "", NOW + 60 * SECOND), USERS_STALE);

    /* the user is renewed without a schema: the schema's own yes grows old all the same */
    assert_int_equal(users_accept(users, cred, NONE, NOW + 50 * SECOND), 0);
    assert_int_equal(look(users, "app", "shop", NOW + 59 * SECOND), USERS_FRESH);
    assert_int_equal(look(users, "app", "shop", NOW + 61 * SECOND), USERS_STALE);
    assert_int_equal(look(users, "app", "", NOW + 61 * SECOND), USERS_FRESH);

    const struct users_conf quick = {.recheck_us = SECOND};
    users_set_conf(users, &quick);
    assert_int_equal(look(users, "app", "", NOW + 61 * SECOND), USERS_STALE);
    cred_unref(cred);
    users_destroy(users);
}

static void test_changed_password(void **state)
{
    (void)state;
    struct users *users = make();
    struct cred *one = cred_of(users, "app", "one");
    struct cred *two = cred_of(users, "app", "two");
    struct cred *held = NULL;
    assert_int_equal(users_accept(users, one, SPAN_LIT("shop"), NOW), 0);
    users_refuse(users, two); /* a wrong guess takes nothing away */
    assert_int_equal(look(users, "app", "", NOW), USERS_FRESH);
    assert_int_equal(users_accept(users, two, NONE, NOW), 0);
    assert_int_equal(users_find(users, SPAN_LIT("app"), NONE, NOW, &held), USERS_FRESH);
    assert_true(cred_equal(held, two));
    assert_false(cred_equal(held, one));
    cred_unref(held);
    assert_int_equal(look(users, "app", "shop", NOW), USERS_STALE);
    users_refuse(users, two);
    assert_int_equal(look(users, "app", "", NOW), USERS_UNKNOWN);
    assert_int_equal(users_accept(users, two, NONE, NOW), 0);
    users_forget(users, SPAN_LIT("app"));
    assert_int_equal(users_count(users), 0);
    cred_unref(one);
    cred_unref(two);
    assert_int_equal(secret_store_used(users_secrets(users)), 0);
    users_destroy(users);
}

static void test_bounds(void **state)
{
    (void)state;
    struct users *users = make();
    char name[32];
    for (unsigned i = 0; i < USERS_MAX + 20; i++) {
        struct cred *cred = NULL;
        (void)snprintf(name, sizeof(name), "u%u", i);
        assert_int_equal(cred_create(users_secrets(users), span_of(name), CRED_EMPTY, NONE, &cred),
                         0);
        assert_int_equal(users_accept(users, cred, NONE, NOW + i), 0);
        cred_unref(cred);
    }
    assert_int_equal(users_count(users), USERS_MAX);
    assert_int_equal(look(users, "u19", "", NOW), USERS_UNKNOWN); /* the oldest have gone */
    assert_int_equal(look(users, "u20", "", NOW), USERS_FRESH);

    struct cred *cred = cred_of(users, "app", "one");
    for (unsigned i = 0; i < USERS_SCHEMAS_MAX + 1; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        assert_int_equal(users_accept(users, cred, span_of(name), NOW + i), 0);
    }
    assert_int_equal(look(users, "app", "s0", NOW + 50), USERS_STALE);
    assert_int_equal(look(users, "app", "s1", NOW + 50), USERS_FRESH);
    assert_int_equal(look(users, "app", "s16", NOW + 50), USERS_FRESH);
    cred_unref(cred);
    users_destroy(users);
}

static void test_refusals(void **state)
{
    (void)state;
    struct users *users = make();
    struct cred *bad = cred_of(users, "app", "bad");
    struct cred *other = cred_of(users, "app", "other");
    struct conn_failure failure = {.err = -WR_E_SERVER_ERROR, .code = 1045};
    struct conn_failure got = {.err = 0};
    assert_false(users_is_refused(users, bad, NONE, NOW, &got));
    users_remember_refusal(users, bad, NONE, &failure, NOW);
    assert_true(users_is_refused(users, bad, NONE, NOW + SECOND - 1, &got));
    assert_int_equal(got.code, 1045);
    assert_false(users_is_refused(users, bad, NONE, NOW + SECOND, &got));
    assert_false(users_is_refused(users, bad, SPAN_LIT("shop"), NOW, &got));
    assert_false(users_is_refused(users, other, NONE, NOW, &got));
    /* the ring turns: the oldest is forgotten, nothing grows */
    for (unsigned i = 0; i < USERS_NEGATIVE_MAX; i++) {
        users_remember_refusal(users, other, NONE, &failure, NOW);
    }
    assert_false(users_is_refused(users, bad, NONE, NOW, &got));
    cred_unref(bad);
    cred_unref(other);
    users_destroy(users);
}

static int begin(struct users *users, const char *user, const char *address)
{
    return users_check_begin(users, span_of(user), span_of(address));
}

static void test_checks(void **state)
{
    (void)state;
    struct users *users = make(); /* 4 in all, 3 per address, 2 per user */
    int a = begin(users, "a", "h1");
    int b = begin(users, "a", "h1");
    assert_true(a >= 0 && b >= 0 && a != b);
    assert_int_equal(begin(users, "a", "h2"), -WR_E_LIMIT);
    int c = begin(users, "b", "h1");
    assert_true(c >= 0);
    assert_int_equal(begin(users, "c", "h1"), -WR_E_LIMIT);
    int d = begin(users, "c", "h2");
    assert_true(d >= 0);
    assert_int_equal(begin(users, "d", "h3"), -WR_E_LIMIT);
    assert_int_equal(users_checks_running(users), 4);
    users_check_end(users, b);
    int e = begin(users, "a", "h3");
    assert_true(e >= 0);
    users_check_end(users, a);
    users_check_end(users, c);
    users_check_end(users, d);
    users_check_end(users, e);
    assert_int_equal(users_checks_running(users), 0);
    users_destroy(users);
}

static void *storm(void *arg)
{
    struct users *users = arg;
    for (int i = 0; i < 300; i++) {
        char name[8];
        struct cred *held = NULL;
        struct conn_failure failure = {.err = -1};
        (void)snprintf(name, sizeof(name), "u%d", i % 5);
        struct cred *cred = cred_of(users, name, i % 2 == 0 ? "x" : "y");
        int ticket = begin(users, name, "h");
        (void)users_find(users, span_of(name), NONE, NOW, &held);
        cred_unref(held);
        assert_int_equal(users_accept(users, cred, SPAN_LIT("s"), NOW), 0);
        users_remember_refusal(users, cred, NONE, &failure, NOW);
        (void)users_is_refused(users, cred, NONE, NOW, &failure);
        if (i % 7 == 0) {
            users_refuse(users, cred);
        }
        if (ticket >= 0) {
            users_check_end(users, ticket);
        }
        cred_unref(cred);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct users *users = make();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, storm, users), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(users_checks_running(users), 0);
    assert_true(users_count(users) <= 5);
    users_destroy(users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freshness), cmocka_unit_test(test_changed_password),
        cmocka_unit_test(test_bounds),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_checks),    cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
