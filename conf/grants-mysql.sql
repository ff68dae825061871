-- SPDX-License-Identifier: Apache-2.0
--
-- The account of monitor.user on MySQL 8.0.20 and later: the least it needs. Run it on the primary
-- (replicas get it by replication), then give the account a password of your own:
--
--     SOURCE conf/grants-mysql.sql
--     ALTER USER weir_monitor@'%' IDENTIFIED BY '...';
--
-- It may be run again. Narrow '%' to the addresses that weir runs on.

-- A random password until then: no account with a known one is ever made.
CREATE USER IF NOT EXISTS weir_monitor@'%' IDENTIFIED BY RANDOM PASSWORD;

-- Health and lag: SHOW REPLICA STATUS, SHOW BINARY LOG STATUS.
GRANT REPLICATION CLIENT ON *.* TO weir_monitor@'%';

-- Lag below a second: when the last transaction was applied, and how far the applier is.
GRANT SELECT ON performance_schema.replication_connection_status TO weir_monitor@'%';
GRANT SELECT ON performance_schema.replication_applier_status_by_worker TO weir_monitor@'%';

-- Catalogue: the names of all tables and views (SHOW VIEW lets an account see names, no rows), and
-- the names and bodies of all routines. What stays hidden is treated as unknown: statements that
-- use it go to the primary.
GRANT SHOW VIEW ON *.* TO weir_monitor@'%';
GRANT SHOW_ROUTINE ON *.* TO weir_monitor@'%';

-- The names of loadable functions, which hide stored ones: without them, statements that call stored
-- functions go to the primary.
GRANT SELECT ON performance_schema.user_defined_functions TO weir_monitor@'%';

-- For the cache: what triggers write. Servers show triggers only to those who may make some, so leave
-- this out when nothing is cached; with it missing, each write is taken for one to every table.
GRANT TRIGGER ON *.* TO weir_monitor@'%';

-- Views: their definition is shown only to those who may read them. Without this, statements that
-- use a view go to the primary. For each schema whose views are to be read from replicas (this one
-- lets the account read the rows of that schema too), or for single views:
--
--     GRANT SELECT ON app.* TO weir_monitor@'%';
--     GRANT SELECT ON app.a_view TO weir_monitor@'%';

-- Rows (rules[].cache_scope: row): servers show columns only to those who have some right to them.
-- REFERENCES is such a right, and lets the account read no rows. Without it, a write ends all answers
-- of its table:
--
--     GRANT REFERENCES ON app.* TO weir_monitor@'%';

-- Accounts: for users.source: server, and for clients that speak mysql_native_password and nothing
-- newer. The hashes are as good as passwords: leave this out when there are none. (MySQL 9 has no
-- mysql_native_password any more, and this is of no use there.)
--
--     GRANT SELECT (user, host, plugin, authentication_string, account_locked, ssl_type,
--                   password_expired, password_lifetime, password_last_changed)
--         ON mysql.user TO weir_monitor@'%';

-- A heartbeat table (monitor.heartbeat), once it exists:
--
--     GRANT SELECT ON percona.heartbeat TO weir_monitor@'%';

-- The cache: following the primary's binary log, so that writes that do not pass through weir count
-- (where it ends is asked by SHOW BINARY LOG STATUS, which the part on health above allows). Who has this may
-- read all that is written on the server: leave it out when no rule caches with coherence: binlog.
--
--     GRANT REPLICATION SLAVE ON *.* TO weir_monitor@'%';
