/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors: what trackers make of them, what differs, and the SET that follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "weir/backend/svec.h"
#include "weir/protocol/ok.h"
#include "weir/protocol/result.h"
#include "weir/util/buf.h"
#include "weir/util/err.h"

#include "svec_priv.h"

struct pair {
    struct svec_values *values;
    struct svec have;
    struct svec want;
};

static const struct svec_policy mysql = {.flavour = TOPO_FLAVOUR_MYSQL};
static const struct svec_policy mariadb = {.flavour = TOPO_FLAVOUR_MARIADB};
static const struct svec_policy replica = {.flavour = TOPO_FLAVOUR_MYSQL, .is_replica = true};

static uint32_t bit(enum svec_var var)
{
    return UINT32_C(1) << var;
}

/* have already tracks what weir needs */
static void pair_init(struct pair *pair, enum topo_flavour flavour)
{
    assert_int_equal(svec_values_create(&pair->values), 0);
    svec_init(&pair->have, pair->values);
    svec_init(&pair->want, pair->values);
    assert_int_equal(svec_set(&pair->have, SVEC_TRACK_SCHEMA, SPAN_LIT("ON")), 0);
    assert_int_equal(svec_set(&pair->have, SVEC_TRACK_STATE, SPAN_LIT("1")), 0);
    assert_int_equal(svec_set(&pair->have, SVEC_TRACK_VARS, span_of(svec_tracked_names(flavour))),
                     0);
}

static void pair_fini(struct pair *pair)
{
    svec_fini(&pair->have);
    svec_fini(&pair->want);
    svec_values_destroy(pair->values);
}

static void put(struct svec *svec, enum svec_var var, const char *value)
{
    assert_int_equal(svec_set(svec, var, span_of(value)), 0);
}

static void check_text(const struct pair *pair, uint32_t diff, const struct svec_policy *policy,
                       const char *expected)
{
    struct buf text;
    buf_init(&text);
    int count = svec_format_set(NULL, &pair->want, diff, policy, &text);
    assert_true(count >= 0);
    if (expected == NULL) {
        assert_int_equal(count, 0);
        assert_int_equal(buf_len(&text), 0);
    } else {
        assert_string_equal(buf_text(&text), expected);
    }
    buf_fini(&text);
}

static void test_intern(void **state)
{
    (void)state;
    struct pair pair;
    struct svec copy;
    pair_init(&pair, TOPO_FLAVOUR_MYSQL);
    size_t before = svec_values_count(pair.values);
    put(&pair.want, SVEC_SQL_MODE, "ANSI");
    put(&pair.have, SVEC_SQL_MODE, "ANSI");
    assert_int_equal(svec_values_count(pair.values), before + 1);
    assert_ptr_equal(pair.want.v[SVEC_SQL_MODE], pair.have.v[SVEC_SQL_MODE]);
    svec_init(&copy, pair.values);
    svec_copy(&copy, &pair.want);
    assert_true(svec_is_equal(&copy, &pair.want));
    svec_clear(&pair.want, SVEC_SQL_MODE);
    svec_clear(&pair.have, SVEC_SQL_MODE);
    assert_true(span_eq_text(svec_get(&copy, SVEC_SQL_MODE), "ANSI"));
    svec_fini(&copy);
    assert_int_equal(svec_values_count(pair.values), before);
    pair_fini(&pair);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(svec_var_find(SPAN_LIT("tx_isolation")), SVEC_ISOLATION);
    assert_int_equal(svec_var_find(SPAN_LIT("Transaction_Isolation")), SVEC_ISOLATION);
    assert_int_equal(svec_var_find(SPAN_LIT("sql_modes")), -1);
    assert_int_equal(svec_var_find(SPAN_LIT("")), -1);
    assert_string_equal(svec_var_name(SVEC_READ_ONLY, TOPO_FLAVOUR_MARIADB), "tx_read_only");
    assert_string_equal(svec_var_name(SVEC_READ_ONLY, TOPO_FLAVOUR_MYSQL), "transaction_read_only");
    /* every variable of the vector is tracked, by the name of its flavour */
    for (int flavour = TOPO_FLAVOUR_MYSQL; flavour <= TOPO_FLAVOUR_MARIADB; flavour++) {
        for (int i = SVEC_SCHEMA + 1; i < SVEC_COUNT; i++) {
            const char *name = svec_var_name((enum svec_var)i, (enum topo_flavour)flavour);
            assert_non_null(strstr(svec_tracked_names((enum topo_flavour)flavour), name));
            assert_non_null(strstr(svec_select_text((enum topo_flavour)flavour), name));
        }
    }
}

static void test_diff_and_text(void **state)
{
    (void)state;
    static const struct {
        enum svec_var var;
        const char *have;
        const char *want;
        uint32_t diff; /* bits of variables */
        const char *text;
    } rows[] = {
        {SVEC_SQL_MODE, NULL, NULL, 0, NULL},
        {SVEC_SQL_MODE, "A", "A", 0, NULL},
        {SVEC_SQL_MODE, NULL, "A,B", 1u << SVEC_SQL_MODE, "SET sql_mode='A,B'"},
        {SVEC_SQL_MODE, "A", "", 1u << SVEC_SQL_MODE, "SET sql_mode=''"},
        {SVEC_SQL_MODE, "A", NULL, SVEC_DIFF_REOPEN, NULL},
        {SVEC_TIME_ZONE, NULL, "+02:00", 1u << SVEC_TIME_ZONE, "SET time_zone='+02:00'"},
        {SVEC_TIME_ZONE, "x", "Europe/Berlin", 1u << SVEC_TIME_ZONE,
         "SET time_zone='Europe/Berlin'"},
        {SVEC_CS_RESULTS, "latin1", "", 1u << SVEC_CS_RESULTS, "SET character_set_results=NULL"},
        {SVEC_CS_CONNECTION, "latin1", "utf8mb4", 1u << SVEC_CS_CONNECTION,
         "SET character_set_connection='utf8mb4'"},
        {SVEC_ISOLATION, NULL, "READ-COMMITTED", 1u << SVEC_ISOLATION,
         "SET transaction_isolation='READ-COMMITTED'"},
        {SVEC_READ_ONLY, "OFF", "ON", 1u << SVEC_READ_ONLY, "SET transaction_read_only='ON'"},
        {SVEC_AUTOCOMMIT, "ON", "OFF", 1u << SVEC_AUTOCOMMIT, "SET autocommit='OFF'"},
        {SVEC_SCHEMA, NULL, "", 0, NULL},
        {SVEC_SCHEMA, "a", "b", 1u << SVEC_SCHEMA, NULL},
        {SVEC_SCHEMA, "a", "", SVEC_DIFF_REOPEN, NULL},
        {SVEC_SCHEMA, "a", NULL, SVEC_DIFF_REOPEN, NULL},
        {SVEC_TRACK_TXINFO, NULL, "STATE", 1u << SVEC_TRACK_TXINFO,
         "SET session_track_transaction_info='STATE'"},
        {SVEC_TRACK_TXINFO, "STATE", NULL, 0, NULL},
        {SVEC_TRACK_SCHEMA, "OFF", "OFF", 1u << SVEC_TRACK_SCHEMA, "SET session_track_schema=ON"},
        {SVEC_TRACK_STATE, "ON", "OFF", 0, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair pair;
        pair_init(&pair, TOPO_FLAVOUR_MYSQL);
        if (rows[i].have != NULL) {
            put(&pair.have, rows[i].var, rows[i].have);
        }
        if (rows[i].want != NULL) {
            put(&pair.want, rows[i].var, rows[i].want);
        }
        uint32_t diff = svec_diff(&pair.have, &pair.want, &mysql);
        if (diff != rows[i].diff) {
            print_error("row %zu\n", i);
        }
        assert_int_equal(diff, rows[i].diff);
        check_text(&pair, diff & ~SVEC_DIFF_REOPEN, &mysql, rows[i].text);
        if ((diff & SVEC_DIFF_REOPEN) == 0) {
            assert_int_equal(svec_apply(&pair.have, &pair.want, diff, &mysql), 0);
            assert_int_equal(svec_diff(&pair.have, &pair.want, &mysql), 0);
        }
        pair_fini(&pair);
    }
}

static void test_collation_pair(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, TOPO_FLAVOUR_MYSQL);
    /* the same set, another collation: both are sent, the set first, as it moves the other */
    put(&pair.have, SVEC_CS_CONNECTION, "utf8mb4");
    put(&pair.have, SVEC_COLLATION, "utf8mb4_bin");
    put(&pair.want, SVEC_CS_CONNECTION, "utf8mb4");
    put(&pair.want, SVEC_COLLATION, "utf8mb4_general_ci");
    uint32_t diff = svec_diff(&pair.have, &pair.want, &mysql);
    check_text(&pair, diff, &mysql,
               "SET character_set_connection='utf8mb4',"
               "collation_connection='utf8mb4_general_ci'");
    assert_int_equal(svec_apply(&pair.have, &pair.want, diff, &mysql), 0);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mysql), 0);
    /* back to the set's default */
    put(&pair.want, SVEC_COLLATION, "");
    diff = svec_diff(&pair.have, &pair.want, &mysql);
    check_text(&pair, diff, &mysql, "SET character_set_connection='utf8mb4'");
    assert_int_equal(svec_apply(&pair.have, &pair.want, diff, &mysql), 0);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mysql), 0);
    pair_fini(&pair);
}

static void test_replica(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, TOPO_FLAVOUR_MYSQL);
    put(&pair.want, SVEC_READ_ONLY, "OFF");
    uint32_t diff = svec_diff(&pair.have, &pair.want, &replica);
    assert_int_equal(diff, bit(SVEC_READ_ONLY));
    check_text(&pair, diff, &replica, "SET transaction_read_only=ON");
    assert_int_equal(svec_apply(&pair.have, &pair.want, diff, &replica), 0);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &replica), 0);
    assert_true(span_eq_text(svec_get(&pair.have, SVEC_READ_ONLY), "ON"));
    pair_fini(&pair);
}

/* Where weir wants GTIDs: a session's own, or all when the session wants those; not on replicas. */
static void test_gtids(void **state)
{
    static const struct svec_policy wants = {.flavour = TOPO_FLAVOUR_MYSQL, .wants_gtids = true};
    static const struct svec_policy elsewhere = {.flavour = TOPO_FLAVOUR_MARIADB,
                                                 .wants_gtids = true};
    (void)state;
    struct pair pair;
    pair_init(&pair, TOPO_FLAVOUR_MYSQL);
    put(&pair.have, SVEC_TRACK_GTIDS, "OFF");
    put(&pair.want, SVEC_TRACK_GTIDS, "OFF");
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mysql), 0);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &wants), bit(SVEC_TRACK_GTIDS));
    check_text(&pair, bit(SVEC_TRACK_GTIDS), &wants, "SET session_track_gtids='OWN_GTID'");
    assert_int_equal(svec_apply(&pair.have, &pair.want, bit(SVEC_TRACK_GTIDS), &wants), 0);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &wants), 0);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mysql), bit(SVEC_TRACK_GTIDS));
    put(&pair.want, SVEC_TRACK_GTIDS, "ALL_GTIDS");
    assert_int_equal(svec_diff(&pair.have, &pair.want, &wants), bit(SVEC_TRACK_GTIDS));
    check_text(&pair, bit(SVEC_TRACK_GTIDS), &wants, "SET session_track_gtids='ALL_GTIDS'");
    pair_fini(&pair);
    pair_init(&pair, TOPO_FLAVOUR_MARIADB);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &elsewhere), 0);
    assert_true(
        svec_names_have(span_of(svec_tracked_names(TOPO_FLAVOUR_MARIADB)), SPAN_LIT("last_gtid")));
    pair_fini(&pair);
}

/* What could mean something else in another mode or character set is not sent. */
static void test_unsafe_values(void **state)
{
    (void)state;
    static const char *const values[] = {"a'b", "a\\",  "a\"b",  "x`y",   "caf\xc3\xa9",
                                         "a;b", "a\nb", "/*x*/", "a--b(", "@@x"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct pair pair;
        struct buf text;
        buf_init(&text);
        pair_init(&pair, TOPO_FLAVOUR_MYSQL);
        put(&pair.want, SVEC_TIME_ZONE, values[i]);
        int r = svec_format_set(NULL, &pair.want, bit(SVEC_TIME_ZONE), &mysql, &text);
        assert_int_equal(r, -WR_E_UNSUPPORTED);
        buf_fini(&text);
        pair_fini(&pair);
    }
    struct pair pair;
    static uint8_t big[SVEC_VALUE_MAX + 1];
    pair_init(&pair, TOPO_FLAVOUR_MYSQL);
    put(&pair.want, SVEC_SQL_MODE, "A");
    assert_int_equal(svec_set(&pair.want, SVEC_SQL_MODE, (struct span){big, sizeof(big)}),
                     -WR_E_TOO_LARGE);
    assert_true(span_eq_text(svec_get(&pair.want, SVEC_SQL_MODE), "A"));
    pair_fini(&pair);
}

static void test_trackers_of_client(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, TOPO_FLAVOUR_MARIADB);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mariadb), 0);
    /* the client asks for names of its own: they come on top */
    put(&pair.want, SVEC_TRACK_VARS, "time_zone, last_gtid,*,auto_increment_increment");
    uint32_t diff = svec_diff(&pair.have, &pair.want, &mariadb);
    assert_int_equal(diff, bit(SVEC_TRACK_VARS));
    assert_int_equal(svec_apply(&pair.have, &pair.want, diff, &mariadb), 0);
    struct span list = svec_get(&pair.have, SVEC_TRACK_VARS);
    assert_non_null(memmem(list.p, list.len, ",last_gtid,auto_increment_increment", 35));
    assert_null(memchr(list.p, '*', list.len));
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mariadb), 0);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mariadb), 0); /* by memory this time */
    /* the server's own order of the same names is as good */
    put(&pair.have, SVEC_TRACK_VARS, "autocommit");
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mariadb), bit(SVEC_TRACK_VARS));
    put(&pair.have, SVEC_TRACK_VARS, "*");
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mariadb), bit(SVEC_TRACK_VARS));
    assert_int_equal(svec_set_unknown(&pair.have, SVEC_TRACK_VARS), 0);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mariadb), bit(SVEC_TRACK_VARS));
    pair_fini(&pair);
}

static void test_unknown(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, TOPO_FLAVOUR_MYSQL);
    put(&pair.want, SVEC_SQL_MODE, "A");
    assert_int_equal(svec_set_unknown(&pair.have, SVEC_SQL_MODE), 0);
    assert_false(svec_is_set(&pair.have, SVEC_SQL_MODE));
    assert_null(svec_get(&pair.have, SVEC_SQL_MODE).p);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mysql), bit(SVEC_SQL_MODE));
    svec_clear(&pair.want, SVEC_SQL_MODE);
    assert_int_equal(svec_diff(&pair.have, &pair.want, &mysql), SVEC_DIFF_REOPEN);
    pair_fini(&pair);
}

static void test_track_block(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t block[1024];
    struct wire_out out;
    pair_init(&pair, TOPO_FLAVOUR_MYSQL);
    wire_out_array(&out, block, sizeof(block));
    result_track_put_var(&out, SPAN_LIT("collation_connection"), SPAN_LIT("latin1_bin"));
    result_track_put_var(&out, SPAN_LIT("character_set_connection"), SPAN_LIT("latin1"));
    result_track_put_var(&out, SPAN_LIT("tx_isolation"), SPAN_LIT("SERIALIZABLE"));
    result_track_put_var(&out, SPAN_LIT("statement_id"), SPAN_LIT("12"));
    result_track_put(&out, OK_TRACK_SCHEMA, SPAN_LIT("shop"));
    result_track_put(&out, OK_TRACK_STATE_CHANGE, SPAN_LIT("1"));
    result_track_put(&out, 9, SPAN_LIT("of the future"));
    int seen = svec_track_block(&pair.want, (struct span){block, out.len});
    assert_int_equal(seen, bit(SVEC_COLLATION) | bit(SVEC_CS_CONNECTION) | bit(SVEC_ISOLATION) |
                               bit(SVEC_SCHEMA));
    assert_true(span_eq_text(svec_get(&pair.want, SVEC_COLLATION), "latin1_bin"));
    assert_true(span_eq_text(svec_get(&pair.want, SVEC_SCHEMA), "shop"));

    /* SET NAMES: the sets only. SET collation_connection: the collation only. */
    assert_int_equal(
        svec_track(&pair.want, SPAN_LIT("character_set_connection"), SPAN_LIT("utf8mb4")), 1);
    assert_int_equal(svec_get(&pair.want, SVEC_COLLATION).len, 0);
    assert_int_equal(svec_track(&pair.want, SPAN_LIT("collation_connection"), SPAN_LIT("big5_bin")),
                     1);
    assert_true(span_eq_text(svec_get(&pair.want, SVEC_CS_CONNECTION), "big5"));
    assert_int_equal(svec_track(&pair.want, SPAN_LIT("collation_connection"), SPAN_LIT("binary")),
                     1);
    assert_true(span_eq_text(svec_get(&pair.want, SVEC_CS_CONNECTION), "binary"));
    assert_int_equal(svec_track(&pair.want, SPAN_LIT("nonsense"), SPAN_LIT("1")), 0);

    for (size_t cut = 1; cut < out.len; cut++) {
        /* every cut is an end, or an error, and never a read behind it */
        int r = svec_track_block(&pair.want, (struct span){block, cut});
        assert_true(r >= 0 || r == -WR_E_BAD_PACKET);
    }
    pair_fini(&pair);
}

static const char *role_text(struct svec_values *values, const char *answer,
                             enum topo_flavour flavour, char *text, size_t cap)
{
    struct span said = {NULL, 0};
    struct svec svec;
    struct buf buf;

    if (answer != NULL) {
        said = span_of(answer);
    }
    svec_init(&svec, values);
    buf_init(&buf);
    text[0] = '\0';
    if (svec_track_role(&svec, said, flavour) >= 0) {
        assert_int_equal(svec_format_role(&svec, &buf), 0);
        (void)span_copy(buf_span(&buf), text, cap);
    } else {
        assert_false(svec_is_set(&svec, SVEC_ROLE));
        assert_int_equal(svec_format_role(&svec, &buf), -WR_E_UNSUPPORTED);
    }
    buf_fini(&buf);
    svec_fini(&svec);
    return text;
}

/* What CURRENT_ROLE() says, and the statement that says so elsewhere. */
static void test_role_text(void **state)
{
    static const struct {
        enum topo_flavour flavour;
        const char *answer;
        const char *text; /* empty: none */
    } rows[] = {
        {TOPO_FLAVOUR_MYSQL, "NONE", "SET ROLE NONE"},
        {TOPO_FLAVOUR_MYSQL, "`a`@`%`", "SET ROLE `a`@`%`"},
        {TOPO_FLAVOUR_MYSQL, "\"a\"@\"%\",`b c`@`h,@`", "SET ROLE `a`@`%`,`b c`@`h,@`"},
        {TOPO_FLAVOUR_MYSQL, "a@`%`,b@localhost", "SET ROLE `a`@`%`,`b`@`localhost`"},
        {TOPO_FLAVOUR_MYSQL, "`NONE`@`%`", "SET ROLE `NONE`@`%`"},
        {TOPO_FLAVOUR_MYSQL, NULL, ""},
        {TOPO_FLAVOUR_MYSQL, "", ""},
        {TOPO_FLAVOUR_MYSQL, "`a`", ""},
        {TOPO_FLAVOUR_MYSQL, "`a`@", ""},
        {TOPO_FLAVOUR_MYSQL, "`a`@`%`,", ""},
        {TOPO_FLAVOUR_MYSQL, "`a`@`%` ,`b`@`%`", ""},
        {TOPO_FLAVOUR_MYSQL, "`a`@`%", ""},
        {TOPO_FLAVOUR_MYSQL, "`a``b`@`%`", ""},
        {TOPO_FLAVOUR_MYSQL, "`\xc3\xa4`@`%`", ""},
        {TOPO_FLAVOUR_MYSQL, "`a\\`@`%`", ""},
        {TOPO_FLAVOUR_MARIADB, NULL, "SET ROLE NONE"},
        {TOPO_FLAVOUR_MARIADB, "a", "SET ROLE `a`"},
        {TOPO_FLAVOUR_MARIADB, "a b@c", "SET ROLE `a b@c`"},
        {TOPO_FLAVOUR_MARIADB, "none", ""},
        {TOPO_FLAVOUR_MARIADB, "", ""},
        {TOPO_FLAVOUR_MARIADB, "a`b", ""},
        {TOPO_FLAVOUR_MARIADB, "\xe4", ""},
    };
    struct svec_values *values = NULL;
    char text[256];

    (void)state;
    assert_int_equal(svec_values_create(&values), 0);
    for (size_t i = 0; i < WR_ARRAY_LEN(rows); i++) {
        assert_string_equal(role_text(values, rows[i].answer, rows[i].flavour, text, sizeof(text)),
                            rows[i].text);
    }
    svec_values_destroy(values);
}

static void test_role_diff(void **state)
{
    const uint32_t role = bit(SVEC_ROLE);
    struct svec_values *values = NULL;
    struct svec have;
    struct svec want;
    struct svec born;
    struct svec view;

    (void)state;
    assert_int_equal(svec_values_create(&values), 0);
    svec_init(&have, values);
    svec_init(&want, values);
    svec_init(&born, values);
    /* nobody has asked what the connection has: as it is */
    assert_int_equal(svec_diff_born(&have, &want, &born, &mysql, &view) & role, 0);
    assert_int_equal(svec_set(&want, SVEC_ROLE, SPAN_LIT("`a`@`%`")), 0);
    assert_int_equal(svec_diff_born(&have, &want, &born, &mysql, &view) & role, role);
    /* asked, set, and wanted back */
    assert_int_equal(svec_set(&born, SVEC_ROLE, SPAN_LIT("NONE")), 0);
    assert_int_equal(svec_apply(&have, &view, role, &mysql), 0);
    assert_int_equal(svec_diff_born(&have, &want, &born, &mysql, &view) & role, 0);
    svec_clear(&want, SVEC_ROLE);
    assert_int_equal(svec_diff_born(&have, &want, &born, &mysql, &view) & role, role);
    assert_true(span_eq_text(svec_get(&view, SVEC_ROLE), "NONE"));
    assert_int_equal(svec_apply(&have, &view, role, &mysql), 0);
    assert_int_equal(svec_diff_born(&have, &want, &born, &mysql, &view) & role, 0);
    /* a SET says nothing of it, and what a reset sets again does not name it */
    assert_int_equal(svec_all_born(&born) & role, 0);
    /* not known: to be set, or a new connection */
    assert_int_equal(svec_set_unknown(&have, SVEC_ROLE), 0);
    assert_int_equal(svec_diff_born(&have, &want, &born, &mysql, &view) & role, role);
    svec_clear(&born, SVEC_ROLE);
    assert_int_not_equal(svec_diff_born(&have, &want, &born, &mysql, &view) & SVEC_DIFF_REOPEN, 0);
    svec_fini(&have);
    svec_fini(&want);
    svec_fini(&born);
    svec_values_destroy(values);
}

static void test_defaults(void **state)
{
    (void)state;
    struct pair pair;
    struct topo_server server = {.has_defaults = false};
    pair_init(&pair, TOPO_FLAVOUR_MYSQL);
    assert_int_equal(svec_set_defaults(&pair.want, &server), 0);
    assert_int_equal(svec_set_defaults(&pair.want, NULL), 0);
    assert_false(svec_is_set(&pair.want, SVEC_SQL_MODE));
    server.has_defaults = true;
    server.defaults.isolation = TOPO_ISO_READ_COMMITTED;
    server.defaults.autocommit = true;
    assert_int_equal(svec_set_defaults(&pair.want, &server), 0);
    assert_true(span_eq_text(svec_get(&pair.want, SVEC_ISOLATION), "READ-COMMITTED"));
    assert_true(span_eq_text(svec_get(&pair.want, SVEC_AUTOCOMMIT), "ON"));
    assert_true(span_eq_text(svec_get(&pair.want, SVEC_READ_ONLY), "OFF"));
    pair_fini(&pair);
}

static void test_learn(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text);
    assert_true(svec_format_learn(&mariadb, &text) > 0);
    const char *sql = buf_text(&text);
    assert_non_null(strstr(sql, "collation_connection=@@collation_connection"));
    assert_non_null(strstr(sql, "tx_isolation=@@tx_isolation"));
    assert_null(strstr(sql, "character_set_connection=@@"));
    assert_null(strstr(sql, "session_track_gtids"));
    assert_int_equal(strncmp(sql, "SET session_track_system_variables=", 35), 0);
    buf_clear(&text);
    assert_true(svec_format_learn(&replica, &text) > 0);
    assert_non_null(strstr(buf_text(&text), "transaction_read_only=ON"));
    buf_fini(&text);
}

/* More vectors than are remembered, in both directions, twice; cut bytes are refused. */
static void test_pack(void **state)
{
    struct svec_values *from = NULL;
    struct svec_values *to = NULL;

    (void)state;
    assert_int_equal(svec_values_create(&from), 0);
    assert_int_equal(svec_values_create(&to), 0);
    for (unsigned round = 0; round < 2 * (2 * SVEC_PACKS + 1); round++) {
        const char zone[] = {(char)('a' + round % (2 * SVEC_PACKS + 1)), '\0'};
        struct svec sent;
        struct svec got;
        struct buf bytes;

        svec_init(&sent, from);
        buf_init(&bytes);
        put(&sent, SVEC_SCHEMA, "");
        put(&sent, SVEC_TIME_ZONE, zone);
        put(&sent, SVEC_AUTOCOMMIT, "ON");
        assert_int_equal(svec_set_unknown(&sent, SVEC_SQL_MODE), 0);
        for (unsigned again = 0; again < 2; again++) {
            buf_clear(&bytes);
            assert_int_equal(svec_pack(&sent, &bytes), 0);
            assert_int_equal(buf_append_text(&bytes, "behind", SIZE_MAX), 0);
            for (size_t cut = 0; again == 1 && cut < buf_len(&bytes) - 6; cut++) {
                struct span part = {buf_span(&bytes).p, cut};

                svec_init(&got, to);
                assert_int_equal(svec_unpack(&got, &part), -WR_E_BAD_PACKET);
                svec_fini(&got);
            }
            struct span rest = buf_span(&bytes);
            svec_init(&got, to);
            assert_int_equal(svec_unpack(&got, &rest), 0);
            assert_true(span_eq_text(rest, "behind"));
            assert_true(span_eq_text(svec_get(&got, SVEC_TIME_ZONE), zone));
            assert_true(span_eq_text(svec_get(&got, SVEC_AUTOCOMMIT), "ON"));
            assert_true(svec_is_set(&got, SVEC_SCHEMA));
            assert_true(svec_is_unknown(&got, SVEC_SQL_MODE));
            assert_false(svec_is_set(&got, SVEC_ISOLATION));
            svec_fini(&got);
        }
        svec_fini(&sent);
        buf_fini(&bytes);
    }
    svec_values_destroy(from);
    svec_values_destroy(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intern),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_diff_and_text), cmocka_unit_test(test_collation_pair),
        cmocka_unit_test(test_replica),       cmocka_unit_test(test_gtids),
        cmocka_unit_test(test_unsafe_values), cmocka_unit_test(test_trackers_of_client),
        cmocka_unit_test(test_unknown),       cmocka_unit_test(test_track_block),
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_role_text),
        cmocka_unit_test(test_role_diff),     cmocka_unit_test(test_learn),
        cmocka_unit_test(test_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
