-- SPDX-License-Identifier: Apache-2.0
--
-- The account of monitor.user on MariaDB 10.5 and later: the least it needs. Run it on the primary
-- (replicas get it by replication), then give the account a password of your own:
--
--     SOURCE conf/grants-mariadb.sql
--     ALTER USER weir_monitor@'%' IDENTIFIED BY '...';
--
-- It may be run again. Narrow '%' to the addresses that weir runs on.

-- No password is right until then.
CREATE USER IF NOT EXISTS weir_monitor@'%' IDENTIFIED VIA mysql_native_password USING 'invalid';

-- Health and lag: SHOW REPLICA STATUS (10.5 calls the privilege REPLICA MONITOR; it is not part of
-- REPLICATION CLIENT, which is the older name of BINLOG MONITOR here), SHOW MASTER STATUS.
GRANT REPLICA MONITOR ON *.* TO weir_monitor@'%';
GRANT BINLOG MONITOR ON *.* TO weir_monitor@'%';

-- Catalogue: the names of all tables, views and sequences (SHOW VIEW lets an account see names, no
-- rows), and the names and bodies of all routines. What stays hidden is treated as unknown:
-- statements that use it go to the primary.
GRANT SHOW VIEW ON *.* TO weir_monitor@'%';
GRANT SELECT ON mysql.proc TO weir_monitor@'%';

-- The names of loadable functions, which hide stored ones: without them, statements that call stored
-- functions go to the primary.
GRANT SELECT ON mysql.func TO weir_monitor@'%';

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
-- newer (those that know caching_sha2_password log in without it, whatever the account uses). The
-- hashes are as good as passwords: leave this out when there are none.
--
--     GRANT SELECT ON mysql.global_priv TO weir_monitor@'%';

-- A heartbeat table (monitor.heartbeat), once it exists:
--
--     GRANT SELECT ON percona.heartbeat TO weir_monitor@'%';

-- The cache: following the primary's binary log, so that writes that do not pass through weir count
-- (where it ends is asked by BINLOG MONITOR, which the part on health above has). Who has this may
-- read all that is written on the server: leave it out when no rule caches with coherence: binlog.
--
--     GRANT REPLICATION SLAVE ON *.* TO weir_monitor@'%';
