#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs once, on the new primary, after conf/grants-mariadb.sql: gives the monitor's account its
# password, and lets it read the account table, so that clients which speak only
# mysql_native_password (PHP, older drivers) can log in, too.
set -euo pipefail
password=$(sed "s/['\\\\]/\\\\&/g" /run/secrets/monitor_password)
MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb --protocol=socket -u root <<END
SET sql_mode = '';
ALTER USER weir_monitor@'%' IDENTIFIED BY '$password';
GRANT SELECT ON mysql.global_priv TO weir_monitor@'%';
END
