/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "weir/util/err.h"

#include "load_priv.h"
#include "parse_priv.h"

#define NATIVE "mysql_native_password"

static const char MYSQL_SQL[] =
    "SELECT User, Host, plugin, authentication_string, account_locked = 'Y' AS locked,"
    " password_expired = 'Y' OR COALESCE(password_lifetime, @@global.default_password_lifetime) > 0"
    " AND password_last_changed + INTERVAL COALESCE(password_lifetime,"
    " @@global.default_password_lifetime) DAY < NOW() AS expired,"
    " ssl_type <> '' AS tls, 0 AS is_role FROM mysql.user";

/* auth_or lists alternatives; an empty object in it stands for the outer pair. The first native one
 * is taken, wherever it stands. */
static const char MARIADB_SQL[] =
    "SELECT User, Host, p AS plugin, CASE WHEN p = '" NATIVE "' AND a LIKE '*%' THEN a"
    " WHEN JSON_VALUE(Priv, '$.auth_or[0].plugin') = '" NATIVE "'"
    " THEN JSON_VALUE(Priv, '$.auth_or[0].authentication_string')"
    " WHEN JSON_VALUE(Priv, '$.auth_or[1].plugin') = '" NATIVE "'"
    " THEN JSON_VALUE(Priv, '$.auth_or[1].authentication_string')"
    " WHEN JSON_VALUE(Priv, '$.auth_or[2].plugin') = '" NATIVE "'"
    " THEN JSON_VALUE(Priv, '$.auth_or[2].authentication_string')"
    " ELSE a END AS authentication_string,"
    " CASE WHEN p = '" NATIVE "' OR JSON_VALUE(Priv, '$.auth_or[0].plugin') = '" NATIVE "'"
    " OR JSON_VALUE(Priv, '$.auth_or[1].plugin') = '" NATIVE "'"
    " OR JSON_VALUE(Priv, '$.auth_or[2].plugin') = '" NATIVE "' THEN 1 ELSE 0 END AS is_native,"
    " COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) AS locked,"
    " COALESCE(JSON_VALUE(Priv, '$.password_last_changed'), 1) = 0 OR"
    " (CASE WHEN COALESCE(JSON_VALUE(Priv, '$.password_lifetime'), -1) < 0"
    " THEN @@global.default_password_lifetime ELSE JSON_VALUE(Priv, '$.password_lifetime') END) > 0"
    " AND JSON_VALUE(Priv, '$.password_last_changed') + 86400 *"
    " (CASE WHEN COALESCE(JSON_VALUE(Priv, '$.password_lifetime'), -1) < 0"
    " THEN @@global.default_password_lifetime ELSE JSON_VALUE(Priv, '$.password_lifetime') END)"
    " < UNIX_TIMESTAMP() AS expired,"
    " COALESCE(JSON_VALUE(Priv, '$.ssl_type'), 0) > 0 AS tls,"
    " COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) AS is_role FROM"
    " (SELECT User, Host, Priv, COALESCE(JSON_VALUE(Priv, '$.plugin'), '" NATIVE "') AS p,"
    " COALESCE(JSON_VALUE(Priv, '$.authentication_string'), '') AS a FROM mysql.global_priv) t";

static int account_read(const struct db_rows *rows, struct accounts_builder *builder)
{
    struct account account = {.has_native = false};
    struct span native = db_rows_named(rows, "is_native", NULL);

    account.user = db_rows_named(rows, "User", NULL);
    account.host = db_rows_named(rows, "Host", NULL);
    account.plugin = db_rows_named(rows, "plugin", NULL);
    account.locked = parse_flag(db_rows_named(rows, "locked", NULL));
    account.expired = parse_flag(db_rows_named(rows, "expired", NULL));
    account.tls_required = parse_flag(db_rows_named(rows, "tls", NULL));
    account.is_role = parse_flag(db_rows_named(rows, "is_role", NULL));
    if (parse_flag(native) || span_eq_text(account.plugin, NATIVE)) {
        /* "invalid" and the like is no password that anybody has: has_native stays false. */
        (void)account_native_parse(db_rows_named(rows, "authentication_string", NULL), &account);
    }
    return accounts_builder_add(builder, &account);
}

int load_accounts(const struct load_source *source, uint64_t generation,
                  struct accounts **ret_accounts, struct load_report *report)
{
    struct accounts_builder *builder = accounts_builder_create();
    struct accounts *accounts = NULL;
    struct db_rows *rows = NULL;
    int rc = builder ? 0 : -ENOMEM;

    memset(report, 0, sizeof(*report));
    if (rc == 0 &&
        db_query(source->db, source->flavour == TOPO_FLAVOUR_MARIADB ? MARIADB_SQL : MYSQL_SQL,
                 &rows) < 0) {
        (void)snprintf(report->error, sizeof(report->error), "account table: %s",
                       db_error(source->db));
        rc = -WR_E_SERVER_ERROR;
    }
    while (rc == 0 && db_rows_next(rows)) {
        rc = account_read(rows, builder);
    }
    db_rows_free(rows);
    if (rc < 0) {
        if (report->error[0] == '\0') {
            (void)snprintf(report->error, sizeof(report->error), "account table: %s", err_text(rc));
        }
        accounts_builder_destroy(builder);
        return rc;
    }
    accounts = accounts_builder_finish(builder, generation);
    if (!accounts) {
        return -ENOMEM;
    }
    *ret_accounts = accounts;
    return 0;
}
