# SPDX-License-Identifier: Apache-2.0
# Statements that run in one session, direct and through weir; the replies must be the same bytes.
# One a line. "--- name" begins a group and a new session. "@mariadb " or "@mysql " in front: there
# only. "~" in front: only the kind of reply and the error are compared (times, ids, estimates).
--- reads after writes
INSERT INTO se_w (v, s) VALUES (1, 'a')
SELECT * FROM se_w
INSERT INTO se_w (v, s) VALUES (2, 'b'), (3, 'c')
SELECT LAST_INSERT_ID()
SELECT LAST_INSERT_ID(), ROW_COUNT()
SELECT @@last_insert_id, @@identity, @@insert_id
SELECT ROW_COUNT()
UPDATE se_w SET v = v + 1
SELECT ROW_COUNT()
SELECT * FROM se_w WHERE v > 1
SELECT FOUND_ROWS()
DELETE FROM se_w WHERE id = 2
SELECT COUNT(*) FROM se_w
INSERT INTO se_w (id, v) VALUES (1, 9) ON DUPLICATE KEY UPDATE v = v * 10
SELECT v FROM se_w WHERE id = 1
INSERT INTO se_w (id, v) VALUES (LAST_INSERT_ID(100), 1)
SELECT LAST_INSERT_ID()
SELECT id FROM se_w WHERE id = LAST_INSERT_ID()
UPDATE se_w SET id = LAST_INSERT_ID(id + 1) WHERE id = 100
SELECT LAST_INSERT_ID()
REPLACE INTO se_w (id, v) VALUES (1, 1), (200, 2)
INSERT IGNORE INTO se_w (id, v) VALUES (1, 5), (201, 6)
SHOW WARNINGS
INSERT INTO se_w SELECT NULL, v, s FROM se_w
SELECT SUM(v), COUNT(*) FROM se_w
@mariadb INSERT INTO se_w (v) VALUES (77) RETURNING v, s
@mariadb DELETE FROM se_w WHERE v = 77 RETURNING v
@mariadb SELECT LASTVAL(se_w)
TRUNCATE se_w
SELECT * FROM se_w
--- warnings and diagnostics
SELECT 1/0
SHOW WARNINGS
SHOW COUNT(*) WARNINGS
SELECT @@warning_count
SELECT @@error_count
SELECT CAST('12abc' AS SIGNED)
SELECT @@warning_count, @@error_count
SELECT * FROM se_none
SHOW ERRORS
SHOW COUNT(*) ERRORS
SELECT @@error_count
SHOW WARNINGS LIMIT 1
INSERT INTO se_w (v, s) VALUES ('x', 'toolong')
SHOW WARNINGS
INSERT IGNORE INTO se_w (v, s) VALUES ('7x', 'toolong')
SHOW WARNINGS
GET DIAGNOSTICS @n = NUMBER
SELECT @n
SELECT * FROM se_none
GET DIAGNOSTICS CONDITION 1 @c = MYSQL_ERRNO, @s = RETURNED_SQLSTATE, @m = MESSAGE_TEXT
SELECT @c, @s, @m
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'mine', MYSQL_ERRNO = 1234
SHOW WARNINGS
RESIGNAL
DROP TABLE IF EXISTS se_none, se_none2
SHOW WARNINGS
CREATE TABLE IF NOT EXISTS se_t (id INT)
SHOW WARNINGS
SET max_error_count = 1
DROP TABLE IF EXISTS se_none, se_none2
SHOW WARNINGS
SET sql_notes = 0
DROP TABLE IF EXISTS se_none
SET sql_notes = DEFAULT, max_error_count = DEFAULT
DELETE FROM se_w
SELECT id FROM se_t LIMIT 1
SHOW WARNINGS
SELECT 1/0, id FROM se_t ORDER BY id
SELECT id FROM se_t ORDER BY id
SHOW WARNINGS
SELECT ROW_COUNT()
--- found rows
SELECT SQL_CALC_FOUND_ROWS id FROM se_t ORDER BY id LIMIT 1
SELECT FOUND_ROWS()
SELECT id FROM se_t ORDER BY id LIMIT 2
SELECT FOUND_ROWS()
SELECT FOUND_ROWS(), ROW_COUNT()
SHOW TABLES LIKE 'se\_%'
SELECT FOUND_ROWS()
SELECT id FROM se_t UNION ALL SELECT id FROM se_t ORDER BY id LIMIT 3
SELECT FOUND_ROWS()
UPDATE se_t SET v = v
SELECT ROW_COUNT(), FOUND_ROWS()
--- user variables
SET @a = 1, @b := 'two', @c = 3.5, @d = NULL, @e = x'4142'
SELECT @a, @b, @c, @d, @e
SELECT id FROM se_t WHERE id = @a
SELECT @r := id FROM se_t WHERE id = 2
SELECT @r
SELECT id, v INTO @i, @j FROM se_t WHERE id = 3
SELECT @i, @j
SELECT COUNT(*) FROM se_t INTO @cnt
SELECT @cnt
SET @x = (SELECT MAX(id) FROM se_t)
SELECT @x
SELECT @undefined
SET @`q r` = 5
SELECT @`q r`
DO @z := 5
SELECT @z
UPDATE se_t SET v = (@u := v) WHERE id = 1
SELECT @u
SET @row = 0
SELECT @row := @row + 1 AS n, id FROM se_t ORDER BY id
INSERT INTO se_w (v) VALUES (@m := 42)
SELECT @m
DELETE FROM se_w
--- names
SET NAMES latin1
SELECT 'a', CHARSET('a'), COLLATION('a'), @@character_set_client
SET NAMES utf8mb4 COLLATE utf8mb4_bin
SELECT 'a' = 'A', COLLATION('a')
SELECT id FROM se_t WHERE s = 'ONE'
SET NAMES utf8mb4
SELECT 'a' = 'A', COLLATION('a')
SELECT id FROM se_t WHERE s = 'ONE'
SET NAMES 'utf8mb3'
SELECT @@character_set_client, @@character_set_results, @@character_set_connection, @@collation_connection
SET NAMES DEFAULT
SELECT @@character_set_client, @@character_set_results, @@collation_connection
SET NAMES no_such
SELECT @@character_set_client
SET CHARACTER SET latin1
SELECT @@character_set_client, @@character_set_results, @@character_set_connection, @@collation_connection
SET CHARSET 'utf8mb4'
SELECT @@character_set_connection
SET character_set_results = NULL
SELECT @@character_set_results, s FROM se_t ORDER BY id
SET character_set_results = utf8mb4
SET collation_connection = utf8mb4_unicode_ci
SELECT 'ss' = 'ß', @@character_set_connection
SET collation_connection = latin1_german2_ci
SELECT @@character_set_connection, COLLATION('x')
SET character_set_client = gbk
SELECT @@character_set_client
SET @@character_set_client = utf8mb4, @@session.character_set_connection = utf8mb4
SELECT @@character_set_client, @@character_set_connection, @@collation_connection
SET NAMES binary
SELECT 'x', s FROM se_t ORDER BY id
SET NAMES utf8mb4
SELECT _latin1'x' COLLATE latin1_bin, N'n', _utf8mb4 x'c3bc'
--- sql_mode
SELECT @@sql_mode
SET sql_mode = 'ANSI_QUOTES'
SELECT "id" FROM "se_t" ORDER BY "id"
SELECT 'a' "b"
SET sql_mode = 'NO_BACKSLASH_ESCAPES'
SELECT 'a\', 'b'
SELECT '\'
SET sql_mode = 'PIPES_AS_CONCAT'
SELECT 'a' || 'b', id || '!' FROM se_t ORDER BY id
SET sql_mode = 'IGNORE_SPACE'
SELECT COUNT (*) FROM se_t
SET sql_mode = ''
SELECT 1 || 0, "text"
SELECT v, COUNT(*) FROM se_t GROUP BY s
INSERT INTO se_w (v, s) VALUES ('9x', 'toolong')
SHOW WARNINGS
SET sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO'
INSERT INTO se_w (v, s) VALUES ('9x', 'toolong')
INSERT INTO se_w (v) VALUES (1/0)
SET sql_mode = 'no_such_mode'
SET sql_mode = NULL
SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI')
SELECT @@sql_mode
SELECT "v" FROM se_t WHERE id = 1
SET @old = @@sql_mode, sql_mode = 'TRADITIONAL'
SELECT @@sql_mode
SET sql_mode = @old
SELECT @@sql_mode
SET sql_mode = DEFAULT
SELECT @@sql_mode
SET @@sql_mode = 'HIGH_NOT_PRECEDENCE', @@session.time_zone = '+01:00'
SELECT @@sql_mode, @@time_zone
SET SESSION sql_mode = 'NO_UNSIGNED_SUBTRACTION', LOCAL time_zone = '-02:00'
SELECT CAST(1 AS UNSIGNED) - 2, @@time_zone
SET sql_mode = 4
SELECT @@sql_mode
@mariadb SET sql_mode = ORACLE
@mariadb SELECT 'a' || 'b'
SET sql_mode = DEFAULT
DELETE FROM se_w
--- time zone and other variables
SET time_zone = '+05:30'
SELECT FROM_UNIXTIME(0), @@time_zone
SELECT ts FROM se_t WHERE id = 1
SET time_zone = '-11:00'
SELECT ts FROM se_t WHERE id = 1
SET time_zone = 'SYSTEM'
SELECT @@time_zone
SET time_zone = 'no/such'
SET time_zone = DEFAULT
SELECT @@time_zone
SET timestamp = 1000000000
~SELECT NOW(), UNIX_TIMESTAMP(), CURRENT_DATE
SET timestamp = DEFAULT
SET sql_select_limit = 2
SELECT id FROM se_t
SET sql_select_limit = DEFAULT
SELECT COUNT(*) FROM se_t
SET group_concat_max_len = 5
SELECT GROUP_CONCAT(s ORDER BY id) FROM se_t
SHOW WARNINGS
SET group_concat_max_len = DEFAULT
SET lc_time_names = 'de_DE'
SELECT DAYNAME('2024-01-01')
SET div_precision_increment = 8
SELECT 1/7
SET max_sort_length = 8
SET sql_safe_updates = 1
DELETE FROM se_w
SET sql_safe_updates = 0
SET foreign_key_checks = 0, unique_checks = 0
SELECT @@foreign_key_checks, @@unique_checks
SET rand_seed1 = 1, rand_seed2 = 2
~SELECT RAND()
SET insert_id = 500
INSERT INTO se_w (v) VALUES (1)
SELECT id FROM se_w
SET SESSION no_such_variable = 1
SET GLOBAL max_connections = 10
SET max_connections = 10
SET wait_timeout = 1000, net_read_timeout = 99
SELECT @@wait_timeout, @@net_read_timeout, @@session.wait_timeout
SELECT @@version_comment LIMIT 1
SELECT @@max_allowed_packet, @@auto_increment_increment, @@lower_case_table_names
SHOW VARIABLES LIKE 'sql_mode'
SHOW SESSION VARIABLES LIKE 'time_zone'
SHOW GLOBAL VARIABLES LIKE 'time_zone'
SHOW VARIABLES WHERE Variable_name IN ('autocommit', 'tx_isolation', 'transaction_isolation')
@mysql SET optimizer_switch = 'mrr=off'
@mysql SELECT /*+ SET_VAR(sort_buffer_size = 100000) */ id FROM se_t
@mariadb SET STATEMENT time_zone = '+09:00' FOR SELECT FROM_UNIXTIME(0)
@mariadb SELECT @@time_zone
@mariadb SET STATEMENT max_statement_time = 5 FOR SELECT id FROM se_t
@mariadb SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SELECT "id" FROM se_t
@mariadb SELECT "id" FROM se_t WHERE id = 1
DELETE FROM se_w
--- transactions
BEGIN
SELECT COUNT(*) FROM se_w
INSERT INTO se_w (v) VALUES (1)
SELECT COUNT(*) FROM se_w
ROLLBACK
SELECT COUNT(*) FROM se_w
START TRANSACTION
INSERT INTO se_w (v) VALUES (2)
SAVEPOINT one
INSERT INTO se_w (v) VALUES (3)
SAVEPOINT `two`
ROLLBACK TO SAVEPOINT one
SELECT v FROM se_w
RELEASE SAVEPOINT one
ROLLBACK TO two
COMMIT
SELECT v FROM se_w
BEGIN WORK
DELETE FROM se_w
ROLLBACK WORK
SELECT v FROM se_w
START TRANSACTION READ ONLY
SELECT v FROM se_w
INSERT INTO se_w (v) VALUES (4)
SELECT v FROM se_w
COMMIT
START TRANSACTION READ WRITE
INSERT INTO se_w (v) VALUES (5)
COMMIT AND CHAIN
SELECT v FROM se_w
INSERT INTO se_w (v) VALUES (6)
ROLLBACK AND CHAIN
SELECT v FROM se_w
COMMIT AND NO CHAIN
START TRANSACTION WITH CONSISTENT SNAPSHOT
SELECT v FROM se_w
COMMIT
START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY
SELECT v FROM se_w
COMMIT
START TRANSACTION READ ONLY, READ WRITE
BEGIN
CREATE TABLE se_ddl (id INT)
ROLLBACK
SELECT * FROM se_ddl
BEGIN
INSERT INTO se_w (v) VALUES (7)
DROP TABLE se_ddl
ROLLBACK
SELECT v FROM se_w
BEGIN
INSERT INTO se_w (v) VALUES (8)
BEGIN
ROLLBACK
SELECT v FROM se_w
BEGIN
SELECT * FROM se_none
INSERT INTO se_w (v) VALUES (9)
INSERT INTO se_w (id) VALUES (1)
COMMIT
SELECT v FROM se_w
COMMIT
ROLLBACK
ROLLBACK TO SAVEPOINT nope
SAVEPOINT lost
RELEASE SAVEPOINT lost
SELECT v FROM se_w
DELETE FROM se_w
--- autocommit
SET autocommit = 0
SELECT @@autocommit
SELECT COUNT(*) FROM se_w
INSERT INTO se_w (v) VALUES (1)
ROLLBACK
SELECT COUNT(*) FROM se_w
INSERT INTO se_w (v) VALUES (2)
COMMIT
SELECT v FROM se_w
SET autocommit = 1
SELECT v FROM se_w
SET autocommit = OFF
INSERT INTO se_w (v) VALUES (3)
SET autocommit = ON
ROLLBACK
SELECT v FROM se_w
SET @@autocommit = 0
SELECT id FROM se_t WHERE id = 1
SELECT @@autocommit
SET @@session.autocommit = DEFAULT
SELECT @@autocommit
SET autocommit = 2
SET autocommit = NULL
SET autocommit = 'ON'
DELETE FROM se_w
--- isolation
SELECT @@tx_isolation
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
SHOW VARIABLES LIKE '%isolation%'
SELECT id FROM se_t WHERE id = 1
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
SHOW VARIABLES LIKE '%isolation%'
BEGIN
SELECT COUNT(*) FROM se_t
SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED
COMMIT
SET SESSION TRANSACTION READ ONLY
INSERT INTO se_w (v) VALUES (1)
SELECT COUNT(*) FROM se_w
START TRANSACTION READ WRITE
INSERT INTO se_w (v) VALUES (2)
COMMIT
SET SESSION TRANSACTION READ WRITE
INSERT INTO se_w (v) VALUES (3)
SET TRANSACTION READ ONLY
SELECT COUNT(*) FROM se_w
INSERT INTO se_w (v) VALUES (4)
SET TRANSACTION READ ONLY
INSERT INTO se_w (v) VALUES (5)
INSERT INTO se_w (v) VALUES (6)
SET TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ
START TRANSACTION
INSERT INTO se_w (v) VALUES (7)
COMMIT
SELECT v FROM se_w
@mysql SET transaction_isolation = 'READ-COMMITTED'
@mysql SELECT @@transaction_isolation, @@transaction_read_only
@mysql SET @@transaction_isolation = 'SERIALIZABLE'
@mysql SELECT @@transaction_isolation
@mysql SELECT v FROM se_w
@mysql SELECT @@transaction_isolation
@mysql SET SESSION transaction_read_only = 1
@mysql SELECT @@transaction_read_only
@mysql DELETE FROM se_w
@mysql SET SESSION transaction_read_only = 0
@mariadb SET tx_isolation = 'READ-COMMITTED'
@mariadb SELECT @@tx_isolation, @@tx_read_only
@mariadb SET SESSION tx_read_only = 1
@mariadb SELECT @@tx_read_only
@mariadb DELETE FROM se_w
@mariadb SET SESSION tx_read_only = 0
SET SESSION TRANSACTION ISOLATION LEVEL NO SUCH
SET SESSION completion_type = 1
BEGIN
INSERT INTO se_w (v) VALUES (8)
COMMIT
SELECT v FROM se_w
ROLLBACK
SET SESSION completion_type = DEFAULT
COMMIT
DELETE FROM se_w
--- xa
XA START 'se'
INSERT INTO se_w (v) VALUES (1)
SELECT v FROM se_w
COMMIT
BEGIN
SELECT 1
XA END 'se'
SELECT v FROM se_w
XA PREPARE 'se'
XA COMMIT 'se'
SELECT v FROM se_w
XA BEGIN 'se2', 'b', 3
XA END 'se2', 'b', 3
XA ROLLBACK 'se2', 'b', 3
XA START 'se3'
INSERT INTO se_w (v) VALUES (2)
XA END 'se3'
XA COMMIT 'se3' ONE PHASE
XA COMMIT 'none'
XA END 'none'
SELECT v FROM se_w
DELETE FROM se_w
--- temporary tables
CREATE TEMPORARY TABLE se_tmp (id INT PRIMARY KEY, v INT)
INSERT INTO se_tmp VALUES (1, 1), (2, 2)
SELECT * FROM se_tmp
SELECT t.id FROM se_t t JOIN se_tmp p ON t.id = p.id ORDER BY 1
CREATE TEMPORARY TABLE se_t (other INT)
SELECT * FROM se_t
INSERT INTO se_t VALUES (77)
SELECT * FROM se_t
SELECT * FROM test.se_t
DROP TEMPORARY TABLE se_t
SELECT id FROM se_t ORDER BY id
ALTER TABLE se_tmp ADD COLUMN w INT DEFAULT 3
SELECT * FROM se_tmp
SHOW CREATE TABLE se_tmp
DESCRIBE se_tmp
TRUNCATE se_tmp
CREATE TEMPORARY TABLE se_like LIKE se_t
SELECT COUNT(*) FROM se_like
CREATE TEMPORARY TABLE se_sel SELECT id FROM se_t
SELECT COUNT(*) FROM se_sel
DROP TABLE se_like, se_sel
DROP TEMPORARY TABLE IF EXISTS se_tmp, se_tmp2
SELECT * FROM se_tmp
--- table locks
LOCK TABLES se_t READ
SELECT COUNT(*) FROM se_t
SELECT COUNT(*) FROM se_w
INSERT INTO se_t (id) VALUES (50)
UNLOCK TABLES
LOCK TABLES se_w WRITE, se_t AS x READ LOCAL
INSERT INTO se_w (v) VALUES (1)
SELECT COUNT(*) FROM se_t
SELECT COUNT(*) FROM se_t AS x
BEGIN
SELECT COUNT(*) FROM se_t
ROLLBACK
LOCK TABLE se_none WRITE
SELECT COUNT(*) FROM se_t
LOCK TABLES se_t READ
START TRANSACTION
SELECT COUNT(*) FROM se_w
COMMIT
UNLOCK TABLES
DELETE FROM se_w
FLUSH TABLES WITH READ LOCK
FLUSH TABLES se_t
FLUSH TABLES se_t FOR EXPORT
UNLOCK TABLES
--- named locks
SELECT GET_LOCK('se1', 0)
SELECT IS_FREE_LOCK('se1'), IS_USED_LOCK('se1') = CONNECTION_ID()
SELECT GET_LOCK('se2', 0), GET_LOCK('se1', 0)
SELECT id FROM se_t WHERE id = 1
SELECT RELEASE_LOCK('se1')
DO RELEASE_LOCK('se2')
SELECT RELEASE_LOCK('se_none')
SELECT RELEASE_ALL_LOCKS()
SELECT IS_FREE_LOCK('se1')
--- statements of text
PREPARE s1 FROM 'SELECT id, v FROM se_t WHERE id = ?'
SET @p = 2
EXECUTE s1 USING @p
EXECUTE s1
EXECUTE s1 USING @p, @p
SET @p = 3
EXECUTE s1 USING @p
SELECT id FROM se_t WHERE id = 1
PREPARE s1 FROM 'INSERT INTO se_w (v) VALUES (?)'
EXECUTE s1 USING @p
SELECT ROW_COUNT(), LAST_INSERT_ID()
SELECT v FROM se_w
SET @q = 'SELECT COUNT(*) FROM se_w'
PREPARE s2 FROM @q
EXECUTE s2
DEALLOCATE PREPARE s1
DROP PREPARE s2
EXECUTE s1
PREPARE s3 FROM 'SELEC'
PREPARE s3 FROM 'SELECT 1; SELECT 2'
@mariadb EXECUTE IMMEDIATE 'SELECT 5'
@mariadb EXECUTE IMMEDIATE CONCAT('SELECT ', '?') USING 7
DELETE FROM se_w
--- schemas
SELECT DATABASE(), SCHEMA()
USE demo
SELECT DATABASE()
SELECT COUNT(*) FROM se_t
SELECT COUNT(*) FROM test.se_t
USE `test`
SELECT COUNT(*) FROM se_t
USE se_no_such
SELECT DATABASE()
USE mysql
SELECT DATABASE()
SHOW TABLES LIKE 'se\_t'
USE bar
CREATE TABLE se_bar (id INT)
INSERT INTO se_bar VALUES (1)
SELECT * FROM se_bar
DROP DATABASE bar
SELECT DATABASE()
SELECT * FROM se_bar
SHOW TABLES
CREATE TABLE se_nodb (id INT)
SELECT COUNT(*) FROM test.se_t
CREATE DATABASE bar
USE bar
SHOW TABLES
SELECT DATABASE()
CREATE DATABASE bar
DROP DATABASE se_no_such
ALTER DATABASE bar CHARACTER SET latin1
SHOW CREATE DATABASE bar
USE test
--- definitions
CREATE TABLE se_new (id INT PRIMARY KEY, v VARCHAR(10) DEFAULT 'd')
SELECT * FROM se_new
INSERT INTO se_new (id) VALUES (1)
SELECT * FROM se_new
ALTER TABLE se_new ADD COLUMN w INT
SELECT * FROM se_new
ALTER TABLE se_new RENAME TO se_new2
SELECT * FROM se_new
SELECT * FROM se_new2
CREATE INDEX se_i ON se_new2 (v)
SHOW INDEX FROM se_new2
CREATE VIEW se_v AS SELECT id, v FROM se_new2
SELECT * FROM se_v
SHOW CREATE VIEW se_v
INSERT INTO se_v VALUES (2, 'two')
SELECT * FROM se_v ORDER BY id
CREATE OR REPLACE VIEW se_v AS SELECT id FROM se_new2
SELECT * FROM se_v ORDER BY id
DROP VIEW se_v
SELECT * FROM se_v
CREATE TABLE se_copy LIKE se_new2
CREATE TABLE se_copy2 AS SELECT * FROM se_new2
SELECT * FROM se_copy2 ORDER BY id
CREATE TABLE se_copy3 AS WITH c AS (SELECT 5 AS five) SELECT * FROM c
SELECT * FROM se_copy3
RENAME TABLE se_copy TO se_copy4, se_copy2 TO se_copy5
DROP TABLE se_copy4, se_copy5, se_copy3, se_none
DROP TABLE se_new2
TRUNCATE TABLE se_none
CREATE TABLE se_t (id INT)
@mariadb CREATE SEQUENCE se_seq START WITH 5
@mariadb SELECT NEXT VALUE FOR se_seq
@mariadb SELECT NEXTVAL(se_seq), LASTVAL(se_seq)
@mariadb SELECT PREVIOUS VALUE FOR se_seq
@mariadb SELECT SETVAL(se_seq, 50)
@mariadb SELECT next_not_cached_value FROM se_seq
@mariadb DROP SEQUENCE se_seq
@mariadb CREATE OR REPLACE TABLE se_cor (id INT)
@mariadb DROP TABLE IF EXISTS se_cor
ANALYZE TABLE se_t
CHECK TABLE se_t
CHECKSUM TABLE se_t
~OPTIMIZE TABLE se_w
REPAIR TABLE se_w
--- routines and triggers
CALL se_two()
CALL se_out(5, @o)
SELECT @o
CALL se_write(7)
SELECT v FROM se_w
SELECT ROW_COUNT()
SELECT se_fread(4)
SELECT se_fwrite(8)
SELECT v FROM se_w ORDER BY id
SELECT LAST_INSERT_ID()
SELECT se_fvar(3)
SELECT @se_var
INSERT INTO se_trig (v) VALUES (5)
SELECT @se_seen
SELECT * FROM se_trig
CALL se_trans()
SELECT v FROM se_w ORDER BY id
CALL se_begin()
SELECT COUNT(*) FROM se_w
ROLLBACK
CALL se_set()
SELECT @@sql_mode, @@time_zone
CALL se_setmode()
SELECT @@sql_mode
SELECT "id" FROM se_t WHERE id = 1
SET sql_mode = DEFAULT
CALL se_use()
SELECT DATABASE()
CALL se_err()
CALL se_none()
SELECT se_nofn(1)
SHOW CREATE PROCEDURE se_two
~SHOW PROCEDURE STATUS LIKE 'se\_none%'
DROP PROCEDURE se_none
DELETE FROM se_w
--- locking reads
SELECT id FROM se_t WHERE id = 1 FOR UPDATE
SELECT id FROM se_t WHERE id = 1 LOCK IN SHARE MODE
@mysql SELECT id FROM se_t WHERE id = 1 FOR SHARE
SELECT id FROM se_t WHERE id = 1 FOR UPDATE NOWAIT
SELECT id FROM se_t WHERE id = 1 FOR UPDATE SKIP LOCKED
@mysql SELECT id FROM se_t WHERE id = 1 FOR SHARE OF se_t NOWAIT
(SELECT id FROM se_t WHERE id = 1 FOR UPDATE) UNION (SELECT 2)
BEGIN
SELECT id FROM se_t WHERE id = 1 FOR UPDATE
SELECT id FROM se_t WHERE id = 2
COMMIT
--- explain and show
~EXPLAIN SELECT * FROM se_t WHERE id = 1
~EXPLAIN EXTENDED SELECT * FROM se_t
~EXPLAIN FORMAT=JSON SELECT * FROM se_t
~EXPLAIN UPDATE se_t SET v = 1
~EXPLAIN DELETE FROM se_t WHERE id = 1
@mysql ~EXPLAIN ANALYZE SELECT * FROM se_t
@mysql ~EXPLAIN FORMAT=TREE SELECT * FROM se_t
@mariadb ~ANALYZE SELECT * FROM se_t
@mariadb ~ANALYZE FORMAT=JSON SELECT * FROM se_t
@mariadb ~ANALYZE UPDATE se_w SET v = 1
DESC se_t
DESCRIBE se_t id
EXPLAIN se_t
~DESC SELECT 1
EXPLAIN SELECT * FROM se_none
SHOW TABLES
SHOW FULL TABLES LIKE 'se\_%'
SHOW COLUMNS FROM se_t
SHOW FULL COLUMNS FROM se_t FROM test
SHOW FIELDS IN se_t LIKE 'i%'
SHOW INDEX FROM se_t
SHOW KEYS FROM se_t IN test
SHOW CREATE TABLE se_t
SHOW CREATE TABLE se_none
SHOW DATABASES
SHOW SCHEMAS LIKE 'te%'
SHOW COLLATION LIKE 'utf8mb4_bin'
SHOW CHARACTER SET LIKE 'latin1'
SHOW ENGINES
SHOW PRIVILEGES
SHOW GRANTS
SHOW GRANTS FOR CURRENT_USER
~SHOW TRIGGERS LIKE 'se\_trig%'
SHOW EVENTS
SHOW OPEN TABLES FROM test LIKE 'se\_none'
~SHOW TABLE STATUS LIKE 'se\_t'
~SHOW STATUS LIKE 'Com_select'
~SHOW SESSION STATUS LIKE 'Handler_read_first'
~SHOW GLOBAL STATUS LIKE 'Uptime'
~SHOW PROCESSLIST
~SHOW FULL PROCESSLIST
SHOW PLUGINS LIKE 'x'
SHOW MASTER STATUS
SHOW SLAVE STATUS
SHOW REPLICA STATUS
SHOW BINARY LOGS
SHOW ENGINE INNODB STATUS
SHOW FUNCTION CODE f
HELP 'SELECT'
@mysql SHOW BINARY LOG STATUS
@mariadb SHOW USER_STATISTICS
@mariadb SHOW EXPLAIN FOR 999999
--- reads of every shape
SELECT 1
SELECT 1 FROM DUAL
SELECT * FROM se_t ORDER BY id
SELECT ALL id FROM se_t ORDER BY id DESC LIMIT 1, 1
SELECT DISTINCT v FROM se_t ORDER BY v
SELECT v, COUNT(*) c FROM se_t GROUP BY v HAVING c > 0 ORDER BY v
SELECT v, SUM(id) FROM se_t GROUP BY v WITH ROLLUP
SELECT t.id, w.id FROM se_t t LEFT JOIN se_w w ON t.id = w.id ORDER BY 1
SELECT id FROM se_t WHERE id IN (SELECT id FROM se_t WHERE v > 1) ORDER BY id
SELECT id FROM se_t WHERE EXISTS (SELECT 1 FROM se_w) OR id = 1 ORDER BY id
WITH c AS (SELECT id FROM se_t) SELECT COUNT(*) FROM c
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r
SELECT id, ROW_NUMBER() OVER (ORDER BY id) FROM se_t
SELECT id FROM se_t UNION SELECT id + 100 FROM se_t ORDER BY 1
(SELECT id FROM se_t ORDER BY id LIMIT 1) UNION ALL (SELECT 5)
SELECT id FROM se_t EXCEPT SELECT 1 ORDER BY 1
SELECT id FROM se_t INTERSECT SELECT 1
@mysql TABLE se_t ORDER BY id
@mysql VALUES ROW(1, 2), ROW(3, 4)
@mariadb VALUES (1, 2), (3, 4)
SELECT JSON_EXTRACT('{"a": 1}', '$.a'), JSON_ARRAY(1, 'x')
SELECT GROUP_CONCAT(s ORDER BY id SEPARATOR '|') FROM se_t
SELECT CASE WHEN id = 1 THEN 'x' END FROM se_t ORDER BY id
SELECT CONVERT('1' , SIGNED), CAST('2024-01-01' AS DATE), BINARY 'x'
SELECT DATE_ADD('2024-01-31', INTERVAL 1 MONTH), LAST_DAY('2024-02-01')
SELECT MD5('x'), SHA1('x'), CRC32('x'), HEX(INET6_ATON('::1'))
SELECT s, CHAR_LENGTH(s), UPPER(s) FROM se_t ORDER BY id
SELECT id FROM se_t PROCEDURE ANALYSE()
SELECT id FROM se_t LIMIT 0
SELECT SQL_NO_CACHE id FROM se_t ORDER BY id
SELECT HIGH_PRIORITY STRAIGHT_JOIN SQL_SMALL_RESULT id FROM se_t ORDER BY id
SELECT id AS "alias", v 'other' FROM se_t WHERE id = 1
SELECT `id` FROM `test`.`se_t` WHERE `se_t`.`id` = 1
SELECT /* c */ id -- x
SELECT id FROM se_t WHERE id = 1 -- trailing
SELECT id FROM se_t WHERE id = 1 # trailing
SELECT /*! id, */ v FROM se_t WHERE id = 1
SELECT /*!99999 no, */ v FROM se_t WHERE id = 1
SELECT /*!50000 STRAIGHT_JOIN */ id FROM se_t WHERE id = 1
@mariadb SELECT /*M! 1 AS m, */ v FROM se_t WHERE id = 1
SELECT 1;
SELECT 1;;
;SELECT 1
SELECT 1 UNION SELECT 1, 2
SELECT id FROM se_t, se_w
SELECT v FROM se_t JOIN se_t x
SELECT (SELECT 1 UNION SELECT 2)
SELECT POW(10, 1000)
SELECT -9223372036854775808 - 1
SELECT BINARY 'abc' = 'ABC', 'a' LIKE 'A', 'a' REGEXP '^A'
SELECT CONNECTION_ID() = CONNECTION_ID(), CONNECTION_ID() > 0
SELECT USER(), CURRENT_USER()
SELECT VERSION(), @@version
SELECT @@hostname = @@hostname, @@server_id > 0
~SELECT NOW(), RAND(), UUID(), UUID_SHORT(), SYSDATE()
SELECT SLEEP(0), BENCHMARK(1, 1)
SELECT LOAD_FILE('/etc/passwd')
SELECT id FROM se_t INTO OUTFILE '/tmp/se_none'
SELECT id FROM se_t INTO DUMPFILE '/tmp/se_none'
SELECT MASTER_POS_WAIT('x', 1, 0)
SELECT NAME_CONST('a', 1)
SELECT VALUES(v) FROM se_t WHERE id = 1
SELECT COALESCE(NULL, 1), NULLIF(1, 1), IF(1, 2, 3), GREATEST(1, 2)
DO 1, 2
DO SLEEP(0)
--- handler
HANDLER se_t OPEN
HANDLER se_t READ FIRST
HANDLER se_t READ `PRIMARY` = (2)
HANDLER se_t READ NEXT LIMIT 2
SELECT id FROM se_t WHERE id = 1
HANDLER se_t CLOSE
HANDLER se_t READ NEXT
HANDLER se_t OPEN AS h
HANDLER h READ FIRST
HANDLER h CLOSE
--- kill
KILL 0
KILL 4294967295
KILL QUERY 4294967295
KILL CONNECTION 123456789012
KILL 'x'
KILL
KILL QUERY
KILL 1 + 1
SELECT 1
--- administration
SHUTDOWN
RESET MASTER
FLUSH PRIVILEGES
FLUSH STATUS
FLUSH LOGS
CREATE USER se_x IDENTIFIED BY 'x'
DROP USER se_x
GRANT SELECT ON test.* TO se_x
REVOKE SELECT ON test.* FROM demo
SET PASSWORD FOR root@localhost = 'x y'
INSTALL PLUGIN x SONAME 'x'
LOAD DATA INFILE '/etc/hostname' INTO TABLE se_w
LOAD INDEX INTO CACHE se_w
CACHE INDEX se_w IN nope
PURGE BINARY LOGS TO 'x'
CHANGE MASTER TO MASTER_HOST = 'x'
START SLAVE
STOP REPLICA
BINLOG 'x'
SET ROLE NONE
SET ROLE se_norole
SET DEFAULT ROLE NONE
@mysql SELECT CURRENT_ROLE()
@mariadb SELECT CURRENT_ROLE
CREATE EVENT se_e ON SCHEDULE EVERY 1 DAY DO SELECT 1
DROP EVENT se_e
@mysql LOCK INSTANCE FOR BACKUP
@mysql UNLOCK INSTANCE
@mariadb BACKUP STAGE START
@mariadb BACKUP STAGE END
@mariadb BACKUP LOCK se_t
@mariadb BACKUP UNLOCK
@mysql IMPORT TABLE FROM 'x'
@mysql RESTART
@mysql CLONE LOCAL DATA DIRECTORY '/tmp/se_none'
SELECT 1
--- several in one
SELECT 1; SELECT id FROM se_t WHERE id = 1
BEGIN; INSERT INTO se_w (v) VALUES (1); COMMIT
SELECT v FROM se_w
SET @m = 5; SELECT @m
SELECT @m
SET autocommit = 0; SELECT COUNT(*) FROM se_w
ROLLBACK; SET autocommit = 1
SELECT @@autocommit
USE demo; SELECT DATABASE()
SELECT DATABASE()
USE test; SET time_zone = '+02:00'
SELECT @@time_zone, DATABASE()
SELECT 1; SELEC
INSERT INTO se_w (v) VALUES (2); SELECT * FROM se_none; INSERT INTO se_w (v) VALUES (3)
SELECT v FROM se_w
DELETE FROM se_w; SELECT ROW_COUNT()
SELECT COUNT(*) FROM se_w
@mariadb BEGIN NOT ATOMIC SELECT 1; SELECT id FROM se_t WHERE id = 1; END
@mariadb BEGIN NOT ATOMIC INSERT INTO se_w (v) VALUES (9); END
@mariadb SELECT v FROM se_w
@mariadb IF 1 THEN SELECT 'yes'; END IF
DELETE FROM se_w
--- hints and odd texts
/* weir:primary */ SELECT id FROM se_t WHERE id = 1
SELECT /* weir:replica */ id FROM se_t WHERE id = 1
/* weir:no_such=1 */ SELECT id FROM se_t WHERE id = 1
SELECT /*+ NO_SUCH_HINT */ id FROM se_t WHERE id = 1
select ID from se_t where Id=1
SeLeCt(1)
SELECT`id`FROM`se_t`WHERE`id`=1
SELECT'x'
SELECT+1
SELECT 1AS x
SELECT @@session.autocommit, @@global.autocommit
SELECT 0x41, b'1000001', X'41'
SELECT 1.e1, .5, 1e-2
SELECT "a""b", 'a''b', 'a\'b'
SELECT 'multi' ' part'
SELECT NULL IS NULL, NOT 1, !0, ~0
SELECT 'unterminated
SELECT /* unterminated
SELECT `unterminated
(SELECT 1)
((SELECT id FROM se_t WHERE id = 1))
(SELECT id FROM se_t WHERE id = 1) LIMIT 1
SELECT 1 LIMIT 1 OFFSET 1
ſelect 1
SELECT 'é', 'Ж', '日本', '🌍'
{ SELECT 1 }
INSERT INTO se_w (v) VALUES
UPDATE
CREATE
SHOW
--- release
BEGIN
INSERT INTO se_w (v) VALUES (5)
ROLLBACK RELEASE
