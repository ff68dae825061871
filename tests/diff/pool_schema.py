# SPDX-License-Identifier: Apache-2.0
"""The tables of the pool part: two schemas with the same names and different rows, so that a lost USE shows.

s_*: never written after setup, so replicas may answer; w*, u*, p*, c*, g*: one set for each writer.
"""
SCHEMAS = ("pl_a", "pl_b")
STATIC = """
CREATE TABLE s_int (id INT PRIMARY KEY, t TINYINT, ut TINYINT UNSIGNED, s SMALLINT, us SMALLINT UNSIGNED, m MEDIUMINT, i INT, ui INT UNSIGNED, b BIGINT, ub BIGINT UNSIGNED, z INT(6) ZEROFILL, y YEAR, bits BIT(20), KEY (i))
INSERT INTO s_int VALUES (1, -128, 255, -32768, 65535, -8388608, -2147483648, 4294967295, -9223372036854775808, 18446744073709551615, 42, 1999, b'10101'), (2, 127, 0, 32767, 0, 8388607, 2147483647, 0, 9223372036854775807, 0, 7, 2155, b'0'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, {n}, {n}, {n}, {n}, {n}, {n}, {n}, {n}, {n}, {n}, 2000, b'1')
CREATE TABLE s_num (id INT PRIMARY KEY, d DECIMAL(20,6), dd DECIMAL(65,30), f FLOAT, dbl DOUBLE)
INSERT INTO s_num VALUES (1, -12345678901234.567890, 0.000000000000000000000000000001, 1.5, -1.7976931348623157e308), (2, {n}.5, -99999999999999999999999999999999999.9, -0.25, 0.1), (3, NULL, NULL, NULL, NULL)
CREATE TABLE s_text (id INT PRIMARY KEY, c CHAR(10), v VARCHAR(100), tt TINYTEXT, t TEXT, l LONGTEXT, e ENUM('a', 'b', 'ü'), st SET('x', 'y', 'z'), lat VARCHAR(20) CHARACTER SET latin1, sj VARCHAR(20) CHARACTER SET sjis, FULLTEXT (t)) CHARACTER SET utf8mb4
INSERT INTO s_text VALUES (1, 'one', 'value {n}', 'tiny', 'some text to find', REPEAT('long ', 200), 'a', 'x,z', 'müller', 'abc'), (2, '', '', '', '', '', 'ü', '', 'ß', ''), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, 'ÄÖÜ', CONCAT('emoji ', _utf8mb4 x'F09F9880'), 'x', 'y', 'z', 'b', 'y', 'é', 'z')
CREATE TABLE s_bin (id INT PRIMARY KEY, b BINARY(8), vb VARBINARY(20), bl BLOB, lb LONGBLOB)
INSERT INTO s_bin VALUES (1, x'00FF', x'DEADBEEF', x'00', REPEAT(x'01FE', 300)), (2, '', '', '', ''), (3, NULL, NULL, NULL, NULL), (4, 'n{n}', 'n', 'n', 'n')
CREATE TABLE s_time (id INT PRIMARY KEY, d DATE, dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP NULL, ts3 TIMESTAMP(3) NULL, t TIME, t2 TIME(2))
INSERT INTO s_time VALUES (1, '2024-02-29', '2024-02-29 12:34:56', '2024-02-29 12:34:56.789012', '2024-06-01 00:00:00', '2024-06-01 00:00:00.123', '-838:59:59', '12:34:56.78'), (2, '1000-01-01', '9999-12-31 23:59:59', '1000-01-01 00:00:00', '1971-01-01 00:00:01', '2037-12-31 23:59:59.999', '838:59:59', '00:00:00'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, '2000-01-01', '2000-01-01', '2000-01-01', '20{n}-01-01 10:00:00', '2000-01-01', '00:00:{n}', '00:00:{n}')
CREATE TABLE s_json (id INT PRIMARY KEY, j JSON, g POINT)
INSERT INTO s_json VALUES (1, '{{"a": [1, 2, {{"b": {n}}}], "c": null}}', ST_GeomFromText('POINT(1 2)')), (2, '[]', ST_GeomFromText('POINT(-1.5 {n})')), (3, NULL, NULL)
CREATE TABLE s_many (id INT PRIMARY KEY, k INT, pad VARCHAR(60), KEY (k))
CREATE VIEW s_view AS SELECT id, k FROM s_many WHERE id < 20
CREATE PROCEDURE p_two(IN a INT) BEGIN SELECT id, k FROM s_many WHERE id <= a ORDER BY id; SELECT 'second', a; END
CREATE PROCEDURE p_out(IN a INT, OUT b INT, INOUT c VARCHAR(20)) BEGIN SET b = a + {n}; SET c = CONCAT(c, '-', a); END
CREATE PROCEDURE p_fail(IN a INT) BEGIN SELECT a; SELECT * FROM s_nothing; END
CREATE FUNCTION f_plus(a INT) RETURNS INT DETERMINISTIC NO SQL RETURN a + {n}
""".strip().splitlines()
WRITER = """
CREATE TABLE w{c} (id INT PRIMARY KEY AUTO_INCREMENT, v INT, s VARCHAR(12), d DECIMAL(8,2) DEFAULT 1.5, ts TIMESTAMP NULL DEFAULT NULL)
CREATE TABLE u{c} (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL UNIQUE, v VARCHAR(40), n INT NOT NULL DEFAULT 0)
CREATE TABLE p{c} (id INT PRIMARY KEY, v INT)
CREATE TABLE c{c} (id INT PRIMARY KEY AUTO_INCREMENT, pid INT, FOREIGN KEY (pid) REFERENCES p{c} (id))
CREATE TABLE g{c} (id INT PRIMARY KEY AUTO_INCREMENT, v INT, twice INT)
CREATE TRIGGER tr{c} BEFORE INSERT ON g{c} FOR EACH ROW SET NEW.twice = NEW.v * 2
CREATE TABLE b{c} (id INT PRIMARY KEY AUTO_INCREMENT, i BIGINT, ui BIGINT UNSIGNED, f DOUBLE, s VARCHAR(200), bl LONGBLOB, d DATE, dt DATETIME(6), t TIME(6), de DECIMAL(20,5))
""".strip().splitlines()
EMPTIED = ("c", "w", "u", "g", "b")  # c before p: of its foreign key


def create(writers, users):
    """Everything, from nothing; run on the primary as root."""
    out = ["SET SESSION sql_mode = 'STRICT_TRANS_TABLES'"]
    for n, schema in enumerate(SCHEMAS):
        out += [f"DROP DATABASE IF EXISTS {schema}", f"CREATE DATABASE {schema} CHARACTER SET utf8mb4", f"USE {schema}"]
        out += [sql.format(n=11 + n) for sql in STATIC]
        rows = ", ".join(f"({i}, {i * (7 + n) % 50}, 'pad {schema} {i}')" for i in range(1, 301))
        out.append(f"INSERT INTO s_many VALUES {rows}")
        for c in range(writers):
            out += [sql.format(c=c) for sql in WRITER]
        out += [f"GRANT ALL ON {schema}.* TO {u}@'%'" for u in users]
        out.append("ANALYZE TABLE s_int, s_num, s_text, s_bin, s_time, s_json, s_many")
    return out + empty(writers)


def empty(writers):
    """The writers' tables as they were at first, counters included."""
    out = ["SET SESSION foreign_key_checks = 0"]
    for schema in SCHEMAS:
        for c in range(writers):
            out += [f"TRUNCATE TABLE {schema}.{t}{c}" for t in EMPTIED]
            out += [f"DELETE FROM {schema}.p{c}", f"INSERT INTO {schema}.p{c} VALUES (1, 1), (2, 2), (3, 3)",
                    f"INSERT INTO {schema}.w{c} (v, s) VALUES (1, 'first'), (2, 'second'), (3, NULL)",
                    f"INSERT INTO {schema}.u{c} (k, v) VALUES (10, 'ten'), (20, 'twenty')"]
            out += [f"DROP TABLE IF EXISTS {schema}.n{c}"]
    return out
