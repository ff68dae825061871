# SPDX-License-Identifier: Apache-2.0
# Statements of the pool part, one a line; pool_words.py puts them together. "--- name" begins a group.
# {c}: the number of the writer's tables, {k}: 1 to 49, {i}: 1 to 300; (empty): a statement of no bytes.
--- sets: what a session sets and every connection that it uses is given
SET sql_mode = ''
SET sql_mode = 'STRICT_ALL_TABLES'
SET SESSION sql_mode = 'ANSI_QUOTES'
SET sql_mode = 'PIPES_AS_CONCAT,STRICT_TRANS_TABLES'
SET sql_mode = 'NO_BACKSLASH_ESCAPES'
SET sql_mode = 'NO_UNSIGNED_SUBTRACTION'
SET sql_mode = DEFAULT
SET @@sql_mode = 'HIGH_NOT_PRECEDENCE'
SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_ZERO_DATE')
SET sql_mode = 'no_such'
SET time_zone = '+05:30'
SET time_zone = '-11:00'
SET @@session.time_zone = '+00:00'
SET time_zone = DEFAULT
SET time_zone = 'no/such'
SET NAMES latin1
SET NAMES utf8mb4
SET NAMES utf8mb4 COLLATE utf8mb4_bin
SET NAMES binary
SET NAMES DEFAULT
SET NAMES no_such
SET CHARACTER SET latin1
SET CHARACTER SET DEFAULT
SET character_set_results = NULL
SET character_set_results = latin1
SET character_set_results = utf8mb4
SET character_set_client = gbk
SET collation_connection = utf8mb4_unicode_ci
SET collation_connection = latin1_german2_ci
SET character_set_connection = utf8mb4
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ
SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE
SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED
SET sql_mode = 'ANSI', time_zone = '+02:00'
SET autocommit = 1
SET SESSION TRANSACTION READ WRITE
SET no_such_variable = 1
--- asks: what shows the session's state
SELECT @@sql_mode, @@time_zone, @@autocommit
SELECT DATABASE()
SELECT @@character_set_client, @@character_set_results, @@character_set_connection, @@collation_connection
SHOW VARIABLES LIKE '%isolation%'
SHOW VARIABLES WHERE Variable_name IN ('sql_mode', 'time_zone', 'character_set_client', 'autocommit')
SELECT CURRENT_USER(), USER() LIKE '%@%'
SELECT FROM_UNIXTIME(0), 1 || 0, 'a' = 'A'
SELECT CAST(1 AS UNSIGNED) - 1, NOT 1 BETWEEN -5 AND 5, 'a\\b'
--- reads: of tables that nobody writes
SELECT * FROM s_int ORDER BY id
SELECT * FROM s_num ORDER BY id
SELECT * FROM s_text ORDER BY id
SELECT * FROM s_bin
SELECT * FROM s_time ORDER BY id
SELECT * FROM s_json ORDER BY id
SELECT id, k FROM s_many WHERE k = {k} ORDER BY id
SELECT * FROM s_many WHERE id = {i}
SELECT k, COUNT(*), SUM(id), AVG(id) FROM s_many GROUP BY k ORDER BY k LIMIT 7
SELECT a.id, b.k FROM s_many a JOIN s_many b ON a.id = b.k WHERE a.id < {k} ORDER BY a.id, b.id LIMIT 9
SELECT COUNT(*) FROM s_many WHERE pad LIKE '%{i}%'
SELECT * FROM s_view WHERE id = {k}
SELECT id FROM s_many WHERE id IN (SELECT k FROM s_many WHERE id < {i}) ORDER BY id LIMIT 5
(SELECT id FROM s_int) UNION ALL (SELECT id + 10 FROM s_num) ORDER BY 1
WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < {k}) SELECT SUM(a) FROM n
SELECT id, ROW_NUMBER() OVER (ORDER BY id DESC) FROM s_many WHERE id < 6 ORDER BY id
SELECT DATE_FORMAT(ts, '%Y-%m-%d %H:%i'), UNIX_TIMESTAMP(ts) FROM s_time ORDER BY id
SELECT JSON_EXTRACT(j, '$.a[2].b') FROM s_json WHERE id = 1
SELECT CASE WHEN k > 25 THEN 'high' ELSE 'low' END AS w, COUNT(*) FROM s_many GROUP BY w ORDER BY w
SELECT id FROM s_many WHERE id > 300
SELECT 1
SELECT NULL, '', 0, -1.50, x'00'
SELECT REPEAT('x', {i}00)
SELECT lat, sj, HEX(lat) FROM s_text ORDER BY id
SELECT DISTINCT k FROM s_many ORDER BY k LIMIT {k}
SELECT /* weir:replica */ k FROM s_many WHERE id = {i}
SELECT EXISTS (SELECT 1 FROM s_many WHERE k = {k})
SELECT st + 0, e + 0 FROM s_text ORDER BY id
SELECT f_plus({k})
SELECT 'q''uote', "str" FROM s_int WHERE id = 1
DESCRIBE s_int
SHOW TABLES LIKE 's\_%'
SHOW CREATE TABLE s_json
SHOW COLUMNS FROM s_time
SHOW CREATE VIEW s_view
TABLE s_num
VALUES ROW(1, 2)
SELECT id FROM s_many LIMIT {k}, 3
SELECT MAX(pad) FROM s_many WHERE id <= {i} AND k <> {k}
SELECT ST_AsText(g) FROM s_json ORDER BY id
SELECT 'ü', CHARSET('ü'), LENGTH('ü')
SELECT GROUP_CONCAT(id ORDER BY id SEPARATOR '-') FROM s_many WHERE k = {k}
--- writes: by a writer, on its own tables
INSERT INTO w{c} (v, s) VALUES ({i}, 's{k}')
INSERT INTO w{c} (v) VALUES ({k}), ({i}), (NULL)
UPDATE w{c} SET v = v + 1 WHERE id = {k}
UPDATE w{c} SET s = CONCAT('u', id) WHERE v > {k} ORDER BY id LIMIT 3
DELETE FROM w{c} WHERE id = {k}
REPLACE INTO u{c} (k, v) VALUES ({k}, 'r{i}')
INSERT INTO u{c} (k, v) VALUES ({k}, 'd{i}') ON DUPLICATE KEY UPDATE n = n + 1, v = VALUES(v)
INSERT INTO g{c} (v) VALUES ({i})
INSERT INTO c{c} (pid) VALUES (1)
INSERT INTO w{c} (v, s) SELECT k, 'sel' FROM s_many WHERE id < 4
UPDATE u{c} SET v = v WHERE k = 10
UPDATE w{c} a JOIN p{c} b ON a.id = b.id SET a.v = b.v + {k}
DELETE FROM w{c} WHERE v = {i} ORDER BY id LIMIT 1
INSERT INTO w{c} (v, ts) VALUES ({k}, '2024-05-05 05:05:05')
INSERT INTO b{c} (i, f, s, d, dt) VALUES (-{i}, 0.5, 'b', '2024-01-31', '2024-01-31 01:02:03.000004')
UPDATE w{c} SET v = -1 WHERE id = -5
INSERT INTO w{c} VALUES ()
--- checks: what it has written
SELECT * FROM w{c} ORDER BY id
SELECT * FROM u{c} ORDER BY id
SELECT COUNT(*), SUM(v) FROM w{c}
SELECT * FROM g{c} ORDER BY id
SELECT ts FROM w{c} WHERE ts IS NOT NULL ORDER BY id
SELECT id, i, f, s, LENGTH(bl), d, dt, t, de FROM b{c} ORDER BY id
--- warned: with a warning or an error to ask about
INSERT IGNORE INTO w{c} (v, s) VALUES ('{k}x', 'much too long a text')
SELECT CAST('{k}abc' AS SIGNED)
DROP TABLE IF EXISTS no_{k}, no_more
SELECT 1/0
CREATE TABLE IF NOT EXISTS w{c} (id INT)
SELECT * FROM s_none_{k}
SELECT CONVERT('x', DATE)
--- errors: by many numbers
SELEC {k}
SELECT no_such FROM s_int
SELECT * FROM no_table_{k}
SELECT * FROM no_schema.t
INSERT INTO u{c} (k) VALUES (10), (10)
INSERT INTO u{c} (k) VALUES (NULL)
SELECT id FROM s_int, s_num
SELECT COUNT(*) FROM s_int WHERE SUM(id) > 1
INSERT INTO c{c} (pid) VALUES ({i}000)
DELETE FROM p{c} WHERE id = 1 AND EXISTS (SELECT * FROM no_table)
CALL no_proc()
CALL p_two()
SELECT no_function({k})
USE no_schema
CREATE TABLE s_int (id INT)
DROP TABLE no_table
ALTER TABLE w{c} DROP COLUMN no_col
ALTER TABLE w{c} ADD COLUMN v INT
INSERT INTO w{c} (v) VALUES (1, 2)
SELECT 1 UNION SELECT 1, 2
SELECT (SELECT id FROM s_int)
SELECT (SELECT 1, 2)
SELECT * FROM (SELECT 1)
SELECT * FROM s_int JOIN s_int ON 1
INSERT INTO w{c} (v, v) VALUES (1, 1)
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'mine {k}', MYSQL_ERRNO = 1{k}
SELECT 9223372036854775807 + 1
SELECT ~0 + {k}
SELECT ABS()
SELECT 'a' COLLATE latin1_bin = _utf8mb4 'b' COLLATE utf8mb4_bin
INSERT INTO w{c} (s) VALUES ('much too long a text for it')
RELEASE SAVEPOINT no_such
ROLLBACK TO no_such
EXECUTE no_such
DEALLOCATE PREPARE no_such
SET GLOBAL max_connections = 5
XA COMMIT 'no_such'
GRANT ALL ON pl_a.* TO no_user
SELECT * FROM s_int WHERE id = 1 INTO @a, @b
DROP DATABASE no_schema
SELECT JSON_EXTRACT('{{', '$')
CREATE INDEX x ON s_int (no_col)
TRUNCATE no_table
SHOW CREATE TABLE no_table
SHOW GRANTS FOR nobody
SELECT @@no_such_variable
LOCK TABLES no_table READ
PREPARE x FROM 'SELEC'
HANDLER no_such READ FIRST
CREATE VIEW s_view AS SELECT 1
(empty)
--- prepared: by PREPARE and EXECUTE
SELECT id, k, pad FROM s_many WHERE id = ?
SELECT * FROM s_int WHERE id >= ? ORDER BY id
SELECT * FROM s_time WHERE d = ? OR id = ? ORDER BY id
SELECT * FROM s_text WHERE v LIKE ? ORDER BY id
SELECT ?, ?
SELECT ? AS a, ? + 0 AS b
SELECT * FROM s_num WHERE d > ? ORDER BY id
SELECT * FROM s_bin WHERE id < ? ORDER BY id
SELECT COUNT(*) FROM s_many WHERE k BETWEEN ? AND ?
SELECT DATABASE(), @@time_zone, ? = 'A'
SELECT 1
SELECT * FROM s_json WHERE id = ?
SELECT 'no_such' FROM no_table WHERE id = ?
SELECT LENGTH(?), CRC32(?)
SELECT HEX(?), ? IS NULL
SHOW TABLES LIKE 's\_int'
DO ?
--- writes prepared: by PREPARE and EXECUTE
INSERT INTO b{c} (i, s) VALUES (?, ?)
INSERT INTO w{c} (v, s) VALUES (?, ?)
UPDATE w{c} SET v = ? WHERE id = ?
DELETE FROM w{c} WHERE id = ?
INSERT INTO b{c} (bl, s) VALUES (?, ?)
INSERT INTO u{c} (k, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE n = n + 1
INSERT INTO b{c} (i, ui, f, s, bl, d, dt, t, de) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
