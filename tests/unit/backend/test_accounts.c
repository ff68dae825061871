/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/accounts.h"
#include "weir/util/err.h"

static void test_host_patterns(void **state)
{
    static const struct {
        const char *pattern;
        const char *addr;
        bool matches;
    } rows[] = {
        {"%", "10.0.0.1", true},
        {"", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.10", false},
        {"10.0.%", "10.0.0.1", true},
        {"10.0.%", "10.1.0.1", false},
        {"10.0.0._", "10.0.0.7", true},
        {"10.0.0._", "10.0.0.77", false},
        {"%.7", "10.0.0.7", true},
        {"1%0%7", "10.0.0.7", true},
        {"%%", "x", true},
        {"a\\_b", "a_b", true},
        {"a\\_b", "axb", false},
        {"a\\%", "a%", true},
        {"FE80::%", "fe80::1", true},
        {"192.168.0.0/255.255.0.0", "192.168.9.9", true},
        {"192.168.0.0/255.255.0.0", "192.169.0.1", false},
        {"192.168.1.0/255.255.0.0", "192.168.1.1",
         false}, /* as servers: net bits beyond the mask */
        {"198.51.100.0/24", "198.51.100.44", true},
        {"198.51.100.0/24", "198.51.101.44", false},
        {"0.0.0.0/0", "9.9.9.9", true},
        {"198.51.100.0/33", "198.51.100.44", false},
        {"198.51.100.0/", "198.51.100.44", false},
        {"198.51.100.0/2x", "198.51.100.44", false},
        {"10.0.0.0/255.0.0.0", "::1", false},
        {"localhost", "localhost", true},
        {"localhost", "127.0.0.1", true},
        {"LocalHost", "::1", true},
        {"localhost", "10.0.0.1", false},
        {"db.example.com", "10.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (account_host_matches(span_of(rows[i].pattern), span_of(rows[i].addr)) !=
            rows[i].matches) {
            fail_msg("%s and %s", rows[i].pattern, rows[i].addr);
        }
    }
}

static void add(struct accounts_builder *builder, const char *user, const char *host,
                const char *plugin, bool is_role)
{
    struct account account = {.user = span_of(user), .host = span_of(host)};

    account.plugin = span_of(plugin);
    account.is_role = is_role;
    assert_int_equal(accounts_builder_add(builder, &account), 0);
}

static void test_most_specific(void **state)
{
    static const struct {
        const char *user;
        const char *addr;
        const char *plugin; /* tells the entries apart; NULL: none */
    } rows[] = {
        {"ann", "10.1.2.3", "ann-exact"},  {"ann", "10.1.9.9", "ann-net"},
        {"ann", "10.2.9.9", "ann-10"},     {"ann", "11.0.0.1", "ann-any"},
        {"ann", "localhost", "anonymous"}, /* a more specific host beats the name */
        {"bob", "localhost", "anonymous"}, {"bob", "11.0.0.1", NULL},
        {"", "localhost", "anonymous"},    {"group", "10.0.0.1", NULL},
        {"an", "10.1.2.3", NULL},          {"zoe", "10.0.0.1", "zoe"},
        {"Zoe", "10.0.0.1", NULL}, /* user names have a case */
    };
    struct accounts_builder *builder = accounts_builder_create();
    struct accounts *accounts = NULL;

    (void)state;
    add(builder, "zoe", "%", "zoe", false);
    add(builder, "ann", "%", "ann-any", false);
    add(builder, "ann", "10.%", "ann-10", false);
    add(builder, "ann", "10.1.0.0/255.255.0.0", "ann-net", false);
    add(builder, "ann", "10.1.2.3", "ann-exact", false);
    add(builder, "", "localhost", "anonymous", false);
    add(builder, "group", "%", "role", true);
    accounts = accounts_builder_finish(builder, 9);
    assert_int_equal(accounts_count(accounts), 7);
    assert_int_equal(accounts_generation(accounts), 9);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct account *got =
            accounts_find(accounts, span_of(rows[i].user), span_of(rows[i].addr));

        if (!got != !rows[i].plugin || (got && !span_eq_text(got->plugin, rows[i].plugin))) {
            fail_msg("%s@%s: %s", rows[i].user, rows[i].addr,
                     got ? (const char *)got->plugin.p : "none");
        }
    }
    accounts_unref(accounts_ref(accounts));
    accounts_unref(accounts);
    assert_null(accounts_find(NULL, SPAN_LIT("ann"), SPAN_LIT("10.1.2.3")));
    assert_int_equal(accounts_count(NULL), 0);
    accounts_unref(NULL);
}

static void test_native(void **state)
{
    static const char hash[] = "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19";
    struct account account;

    (void)state;
    memset(&account, 0, sizeof(account));
    assert_true(account_native_parse(span_of(hash), &account));
    assert_true(account.has_native && !account.no_password);
    assert_int_equal(account.stage2[0], 0x24);
    assert_int_equal(account.stage2[19], 0x19);
    memset(&account, 0, sizeof(account));
    assert_true(account_native_parse(SPAN_LIT(""), &account));
    assert_true(account.has_native && account.no_password);
    memset(&account, 0, sizeof(account));
    assert_false(account_native_parse(SPAN_LIT("invalid"), &account));
    assert_false(
        account_native_parse(SPAN_LIT("*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E1x"), &account));
    assert_false(
        account_native_parse(SPAN_LIT("2470C0C06DEE42FD1618BB99005ADCA2EC9D1E190"), &account));
    assert_false(account.has_native);
}

static void test_limits(void **state)
{
    struct accounts_builder *builder = accounts_builder_create();
    static const uint8_t bytes[600] = {'x'};
    struct account account = {.user = {bytes, 513}, .host = SPAN_LIT("%")};

    (void)state;
    assert_int_equal(accounts_builder_add(builder, &account), -WR_E_TOO_LARGE);
    account.user.len = 512;
    assert_int_equal(accounts_builder_add(builder, &account), 0);
    /* copies: the caller's bytes may go */
    for (int i = 0; i < 100; i++) {
        char name[8] = {'u', (char)('A' + i % 26), (char)('0' + i / 26), '\0'};

        add(builder, name, "%", "p", false);
        memset(name, 0, sizeof(name));
    }
    accounts_unref(accounts_builder_finish(builder, 1));
    accounts_builder_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_patterns),
        cmocka_unit_test(test_most_specific),
        cmocka_unit_test(test_native),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
