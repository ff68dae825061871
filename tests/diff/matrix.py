# SPDX-License-Identifier: Apache-2.0
"""Every kind of reply, for four kinds of client, byte by byte against a direct connection.

A case is a list of steps; a step gives the packets of one reply. The same case runs on a new
connection to the primary and on one through weir; what must differ (ids) is made equal first.
"""
import re
import struct

import rawclient as rc
from rawclient import (COM_FIELD_LIST, COM_INIT_DB, COM_PING, COM_PROCESS_INFO, COM_QUERY, COM_REFRESH,
                       COM_RESET_CONNECTION, COM_SET_OPTION, COM_STATISTICS, COM_STMT_CLOSE, COM_STMT_FETCH,
                       COM_STMT_RESET, COM_STMT_SEND_LONG_DATA, Raw)

SETUP = """
DROP TABLE IF EXISTS m_t, m_many, m_write, m_wide
CREATE TABLE m_t (id INT PRIMARY KEY, a VARCHAR(40), b DECIMAL(10,2), c DATETIME(3), d BLOB, e BIT(4))
INSERT INTO m_t VALUES (1, 'one', 1.5, '2024-02-29 12:34:56.789', x'00ff', 1), (2, NULL, NULL, NULL, NULL, NULL), (3, '', -7, '1999-01-01', '', 15)
CREATE TABLE m_many (id INT PRIMARY KEY AUTO_INCREMENT, v INT)
INSERT INTO m_many (v) VALUES (1),(2),(3),(4),(5),(6),(7)
INSERT INTO m_many (v) SELECT a.v FROM m_many a, m_many b, m_many c
CREATE TABLE m_write (id INT PRIMARY KEY AUTO_INCREMENT, v INT, s VARCHAR(5))
DROP PROCEDURE IF EXISTS m_two
DROP PROCEDURE IF EXISTS m_out
DROP PROCEDURE IF EXISTS m_fail
DROP PROCEDURE IF EXISTS m_none
CREATE PROCEDURE m_two() BEGIN SELECT id, a FROM m_t; SELECT 'second' AS s; END
CREATE PROCEDURE m_out(IN i INT, OUT o INT, INOUT p VARCHAR(10)) BEGIN SELECT i; SET o = i * 2, p = CONCAT(p, '!'); END
CREATE PROCEDURE m_fail() BEGIN SELECT 1; SELECT * FROM no_such_table; END
CREATE PROCEDURE m_none() BEGIN SET @m_x = 1; END
""".strip().splitlines()

WRITE_CLEAN = [("q", "TRUNCATE TABLE m_write")]


def wide(count):
    return "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(count))


# name: steps. A name that ends with "!" writes: it begins from an empty m_write.
CASES = {
    "text reads": [("q", "SELECT 1"), ("q", "SELECT * FROM m_t"), ("q", "SELECT id FROM m_t WHERE id < 0"),
                   ("q", "SELECT COUNT(*), MAX(v) FROM m_many"), ("q", "SELECT * FROM m_many"), ("q", "SELECT NULL"),
                   ("q", "SELECT ''"), ("q", "SHOW TABLES LIKE 'm\\_t'"), ("q", "EXPLAIN SELECT id FROM m_t WHERE id = 1"),
                   ("q", "SELECT 'Grüße 🌍', x'00ff', 1e300, -1, TRUE, DATE'2024-02-29', TIME'11:12:13'")],
    "names and columns of every length": [("q", wide(n)) for n in (2, 250, 251, 252, 300)]
        + [("q", f"SELECT 1 AS `{'n' * 64}`"), ("q", f"SELECT '{'x' * 300}'")],
    "sizes of values": [("q", f"SELECT REPEAT('y', {n})") for n in (0, 1, 250, 251, 252, 65535, 65536, 200000)],
    "empty set with many columns": [("q", "SELECT * FROM m_t WHERE id = 77"), ("q", "SELECT * FROM m_t LIMIT 0")],
    "errors at once": [("q", "SELEC 1"), ("q", "SELECT * FROM m_no_such"), ("q", "SELECT nope FROM m_t"), ("q", ""),
                       ("q", " "), ("q", ";"), ("q", "-- c"), ("q", "SELECT no_such_fn(1)"), ("q", "DO 1; SELEC 2"),
                       ("q", "SELECT id FROM m_t WHERE id = (SELECT id FROM m_t)"), ("q", "SELECT 1")],
    "error in mid-result": [("q", "SELECT id, (SELECT v FROM m_many x WHERE x.id <= m.id) FROM m_many m ORDER BY id"),
                            ("q", "SELECT id, POW(10, id * 100) * 1e300 FROM m_t"),
                            ("q", "SELECT id, EXP(id * 400) FROM m_t"), ("q", "SELECT 2")],
    "warnings": [("q", "SELECT CAST('1x' AS SIGNED)"), ("q", "SELECT 1 / 0"), ("q", "SHOW WARNINGS"),
                 ("q", "SELECT id FROM m_t WHERE a = 5"), ("q", "SHOW COUNT(*) WARNINGS"), ("q", "SELECT @@warning_count"),
                 ("q", "DROP TABLE IF EXISTS m_no_such"), ("q", "SHOW WARNINGS"), ("q", "SHOW ERRORS")],
    "OK with info!": [("q", "INSERT INTO m_write (v) VALUES (1), (2), (3)"), ("q", "UPDATE m_write SET v = 5 WHERE id >= 2"),
                      ("q", "UPDATE m_write SET v = 5"), ("q", "INSERT INTO m_write (v) SELECT v FROM m_write"),
                      ("q", "DELETE FROM m_write WHERE id > 2"), ("q", "ALTER TABLE m_write COMMENT = 'x'"),
                      ("q", "ALTER TABLE m_write ENGINE = InnoDB"), ("q", "INSERT IGNORE INTO m_write VALUES (1, 1, 'too long')"),
                      ("q", "INSERT IGNORE INTO m_write VALUES (99, 1, 'too long')"), ("q", "SHOW WARNINGS"),
                      ("q", "REPLACE INTO m_write VALUES (1, 9, 'r')"), ("q", "SELECT * FROM m_write ORDER BY id"),
                      ("q", "INSERT INTO m_write (id) VALUES (1)"), ("q", "TRUNCATE TABLE m_write")],
    "SET and USE": [("q", "SET autocommit = 0"), ("q", "SET autocommit = 1"), ("q", "SET NAMES latin1"), ("q", "SET NAMES utf8mb4"),
                    ("q", "SET time_zone = '+05:30'"), ("q", "SET sql_mode = 'ANSI_QUOTES'"), ("q", 'SELECT "id" FROM m_t'),
                    ("q", "SET sql_mode = 'NO_BACKSLASH_ESCAPES'"), ("q", "SELECT 'a\\\\'"), ("q", "SET sql_mode = DEFAULT"),
                    ("q", "SET SESSION wait_timeout = 100"), ("q", "SET @x = 1, @y = 'two'"), ("q", "SELECT @x, @y"),
                    ("q", "USE demo"), ("q", "SELECT DATABASE()"), ("q", "USE test"), ("q", "USE m_no_such"),
                    ("q", "SELECT DATABASE(), @@autocommit, @@time_zone"), ("q", "SET no_such = 1"),
                    ("q", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"), ("q", "SET character_set_results = NULL"),
                    ("q", "SELECT 'ü'"), ("q", "SET CHARACTER SET utf8mb4"), ("q", "SELECT 'ü'")],
    "trackers": [("q", "SET SESSION session_track_schema = OFF"), ("q", "USE demo"), ("q", "USE test"),
                 ("q", "SET SESSION session_track_system_variables = 'sql_mode,lock_wait_timeout'"),
                 ("q", "SET SESSION lock_wait_timeout = 77"), ("q", "SET NAMES utf8mb4"), ("q", "SET sql_mode = ''"),
                 ("q", "SET SESSION session_track_state_change = ON"), ("q", "SET @a = 3"), ("q", "SELECT @a"),
                 ("q", "SET SESSION session_track_transaction_info = 'CHARACTERISTICS'"), ("q", "START TRANSACTION READ ONLY"),
                 ("q", "SELECT COUNT(*) FROM m_t"), ("q", "COMMIT"), ("q", "SET SESSION session_track_schema = ON"), ("q", "USE demo"),
                 ("q", "SELECT @@session_track_system_variables, @@session_track_schema, @@session_track_state_change"),
                 ("q", "SHOW VARIABLES LIKE 'session\\_track%'")],
    "transactions!": [("q", "BEGIN"), ("q", "INSERT INTO m_write (v) VALUES (1)"), ("q", "SELECT * FROM m_write"), ("q", "SAVEPOINT a"),
                      ("q", "ROLLBACK TO a"), ("q", "COMMIT"), ("q", "START TRANSACTION READ ONLY"), ("q", "SELECT * FROM m_write"),
                      ("q", "INSERT INTO m_write (v) VALUES (2)"), ("q", "COMMIT"), ("q", "SET autocommit = 0"),
                      ("q", "SELECT * FROM m_write"), ("q", "SELECT 1"), ("q", "ROLLBACK"), ("q", "SET autocommit = 1"),
                      ("q", "START TRANSACTION WITH CONSISTENT SNAPSHOT"), ("q", "SELECT COUNT(*) FROM m_t"), ("q", "ROLLBACK AND CHAIN"),
                      ("q", "COMMIT"), ("q", "SELECT COUNT(*) FROM m_t")],
    "several results!": [("q", "SELECT 1 AS a; SELECT * FROM m_t; SELECT 3"), ("q", "DO 1; DO 2"), ("q", "SELECT 1; DO 2; SELECT 3"),
                         ("q", "SELECT 1; SELECT * FROM m_no_such; SELECT 3"), ("q", "INSERT INTO m_write (v) VALUES (1); SELECT * FROM m_write"),
                         ("q", "SET @z = 1; SELECT @z; USE demo; USE test"), ("q", "SELECT id FROM m_t WHERE 0; SELECT 2"), ("q", "SELECT 4;")],
    "CALL": [("q", "CALL m_two()"), ("q", "SET @o = 0, @p = 'p'"), ("q", "CALL m_out(21, @o, @p)"), ("q", "SELECT @o, @p"),
             ("q", "CALL m_fail()"), ("q", "CALL m_none()"), ("q", "CALL m_no_such()"), ("q", "SELECT 1")],
    "prepared CALL": [("p", "a", "CALL m_two()"), ("e", "a"), ("p", "b", "CALL m_out(?, ?, ?)"), ("e", "b", (21, 0, "q")),
                      ("e", "b", (4, None, "r")), ("p", "c", "CALL m_fail()"), ("e", "c"), ("q", "SELECT 1")],
    "PREPARE": [("p", "a", "SELECT 1"), ("p", "b", "SELECT id, a FROM m_t WHERE id = ?"), ("p", "c", "SELECT ?, ?, ?"),
                ("p", "d", "INSERT INTO m_write (v, s) VALUES (?, ?)"), ("p", "e", "DO 1"), ("p", "f", "SELEC"), ("p", "g", ""),
                ("p", "h", "SELECT * FROM m_no_such"), ("p", "i", "SELECT 1; SELECT 2"), ("p", "j", "SET @a = ?"),
                ("p", "k", "SHOW TABLES LIKE 'm_t'"), ("p", "l", wide(252)), ("p", "m", "SELECT " + ",".join(["?"] * 260)),
                ("p", "n", "BEGIN"), ("p", "o", "LOCK TABLES m_t READ"), ("close", "a"), ("e", "a"), ("q", "SELECT 1")],
    "EXECUTE": [("p", "a", "SELECT * FROM m_t WHERE id = ? OR a = ?"), ("e", "a", (1, "x")), ("e", "a", (2, "y")), ("e", "a", (77, None)),
                ("p", "b", "SELECT ?, ?, ?, ?"), ("e", "b", (1, 2.5, "three", None)), ("e", "b", ("a", "b", b"\0\xff", "")),
                ("e", "a", (3, "z")), ("e1", "a", (1, "x")), ("p", "c", "SELECT * FROM m_many"), ("e", "c"),
                ("p", "d", "SELECT (SELECT v FROM m_many x WHERE x.id <= m.id) FROM m_many m WHERE id < ? ORDER BY id"), ("e", "d", (9,)),
                ("p", "w", "SELECT CAST('1x' AS SIGNED)"), ("e", "w"), ("q", "SHOW WARNINGS"), ("reset", "a"), ("e1", "a", (1, "x")),
                ("e?", 0x7777), ("reset?", 0x7777), ("close?", 0x7777), ("q", "SELECT 1")],
    "EXECUTE of writes!": [("p", "a", "INSERT INTO m_write (v, s) VALUES (?, ?)"), ("e", "a", (1, "x")), ("e", "a", (2, None)),
                           ("e", "a", (3, "too long")), ("p", "b", "UPDATE m_write SET v = ? WHERE id >= ?"), ("e", "b", (9, 1)),
                           ("e", "b", (9, 1)), ("p", "c", "SELECT * FROM m_write"), ("e", "c"), ("p", "s", "SET NAMES latin1"), ("e", "s"),
                           ("p", "t", "BEGIN"), ("e", "t"), ("e", "a", (4, "y")), ("e", "c"), ("q", "ROLLBACK"), ("e", "c")],
    "cursors": [("p", "a", "SELECT id, v FROM m_many ORDER BY id LIMIT 10"), ("ec", "a"), ("fetch", "a", 3), ("fetch", "a", 3), ("fetch", "a", 9),
                ("fetch", "a", 1), ("ec", "a"), ("fetch", "a", 2), ("reset", "a"), ("fetch", "a", 2), ("p", "e", "SELECT id FROM m_t WHERE id < 0"),
                ("ec", "e"), ("fetch", "e", 5), ("p", "b", "SELECT id FROM m_t WHERE id = ?"), ("ec", "b", (1,)), ("ec", "a"),
                ("fetch", "b", 1), ("fetch", "a", 1), ("fetch", "b", 1), ("close", "b"), ("fetch", "a", 100), ("fetch?", 0x7777, 1),
                ("p", "w", "DO 1"), ("ec", "w"), ("p", "s", "SHOW TABLES LIKE 'm_t'"), ("ec", "s"), ("q", "SELECT 1")],
    "long data!": [("p", "a", "SELECT ?, ?"), ("long", "a", 0, b"first "), ("long", "a", 0, b"second"), ("e", "a", (rc.LongData, "5")),
                   ("long", "a", 1, b"x" * 70000), ("e", "a", ("s", rc.LongData)), ("long", "a", 0, b"gone"), ("reset", "a"),
                   ("e", "a", ("v", "w")), ("p", "b", "INSERT INTO m_write (v, s) VALUES (1, ?)"), ("long", "b", 0, b"ab"), ("long", "b", 0, b"cd"),
                   ("e", "b", (rc.LongData,)), ("long", "b", 7, b"no such parameter"), ("e", "b", ("z",)), ("q", "SELECT * FROM m_write")],
    "FIELD_LIST": [("fields", "m_t", ""), ("fields", "m_t", "a%"), ("fields", "m_no_such", ""), ("fields", "m_write", "%"), ("q", "SELECT 1")],
    "small commands": [("c", COM_PING, b""), ("c", COM_INIT_DB, b"demo"), ("q", "SELECT DATABASE()"), ("c", COM_INIT_DB, b"m_no_such"),
                       ("c", COM_INIT_DB, b""), ("c", COM_INIT_DB, b"test"), ("q", "SELECT COUNT(*) FROM m_t"), ("stat",), ("c", COM_PING, b"more bytes")],
    "SET_OPTION": [("q", "SELECT 1; SELECT 2"), ("c", COM_SET_OPTION, b"\1\0"), ("q", "SELECT 1; SELECT 2"), ("q", "SELECT 1"),
                   ("c", COM_SET_OPTION, b"\0\0"), ("q", "SELECT 1; SELECT 2"), ("c", COM_SET_OPTION, b"\7\0"), ("c", COM_SET_OPTION, b"\1"),
                   ("q", "SELECT 3")],
    "RESET_CONNECTION": [("q", "SELECT @@character_set_client, @@collation_connection"), ("q", "SET @a = 1, autocommit = 0"), ("q", "SET time_zone = '+03:00'"), ("p", "s", "SELECT 1"), ("c", COM_INIT_DB, b"demo"),
                         ("c", COM_RESET_CONNECTION, b""), ("q", "SELECT @a, @@autocommit, @@time_zone, DATABASE()"), ("e", "s"),
                         ("q", "SELECT COUNT(*) FROM test.m_t"), ("c", COM_RESET_CONNECTION, b""), ("q", "BEGIN"), ("c", COM_RESET_CONNECTION, b""),
                         ("q", "SELECT @@character_set_client, @@collation_connection"), ("q", "SELECT 1")],
    "CHANGE_USER": [("q", "SET @a = 1"), ("user", ""), ("q", "SELECT @a, DATABASE()"), ("user", "test"), ("q", "SELECT COUNT(*) FROM m_t"),
                    ("q", "SELECT DATABASE(), CURRENT_USER()")],
    "unknown commands": [("c", com, b"xyz") for com in (0, 32, 33, 77, 128, 250, 254, 255)] + [("q", "SELECT 1")],
    "commands of old": [("c", com, b"") for com in (11, 15, 16, 19, 20)] + [("c", COM_REFRESH, b"\1"), ("q", "SELECT 1")],
    "bodies too short": [("c", COM_STMT_RESET, b"\1"), ("c", 23, b"\1\0"), ("c", COM_STMT_FETCH, b"\1"), ("c", COM_SET_OPTION, b""), ("q", "SELECT 1")],
    "locks and tables": [("q", "LOCK TABLES m_t READ"), ("q", "SELECT id FROM m_t"), ("q", "SELECT 1 FROM m_many"), ("q", "UNLOCK TABLES"),
                         ("q", "SELECT GET_LOCK('m', 1)"), ("q", "SELECT IS_FREE_LOCK('m')"), ("q", "DO RELEASE_LOCK('m')"),
                         ("q", "CREATE TEMPORARY TABLE m_tmp (id INT)"), ("q", "INSERT INTO m_tmp VALUES (1)"), ("q", "SELECT * FROM m_tmp"),
                         ("q", "DROP TEMPORARY TABLE m_tmp"), ("q", "SELECT * FROM m_tmp")],
    "text PREPARE": [("q", "PREPARE s FROM 'SELECT id FROM m_t WHERE id = ?'"), ("q", "SET @i = 2"), ("q", "EXECUTE s USING @i"),
                     ("q", "DEALLOCATE PREPARE s"), ("q", "EXECUTE s")],
}
# beside the four kinds of client: other capability bits
FLAGS = {
    "FOUND_ROWS!": (dict(add=rc.FOUND_ROWS), [("q", "INSERT INTO m_write (v) VALUES (1), (2)"), ("q", "UPDATE m_write SET v = 1"),
                                               ("q", "UPDATE m_write SET v = 2 WHERE id = 1"), ("q", "SELECT ROW_COUNT()")]),
    "no MULTI_STATEMENTS": (dict(drop=rc.MULTI_STATEMENTS), [("q", "SELECT 1; SELECT 2"), ("q", "SELECT 1;"), ("c", COM_SET_OPTION, b"\0\0"),
                                                             ("q", "SELECT 1; SELECT 2"), ("q", "CALL m_two()")]),
    "IGNORE_SPACE": (dict(add=1 << 8), [("q", "SELECT COUNT (*) FROM m_t"), ("q", "SELECT @@sql_mode")]),
    "INTERACTIVE": (dict(add=rc.INTERACTIVE), [("q", "SELECT @@wait_timeout"), ("q", "SELECT 1")]),
    "no schema": (dict(database=None), [("q", "SELECT DATABASE()"), ("q", "SELECT * FROM m_t"), ("q", "SELECT * FROM test.m_t"),
                                        ("q", "USE test"), ("q", "SELECT * FROM m_t")]),
    "charset latin1": (dict(charset=8), [("q", "SELECT @@character_set_client, @@collation_connection"), ("q", b"SELECT '\xfc', LENGTH('\xfc')"),
                                         ("q", "SELECT a FROM m_t")]),
    "reset to which charset": (dict(charset=8), [("c", COM_RESET_CONNECTION, b""), ("q", b"SELECT '\xfc', LENGTH('\xfc')"),
                                                 ("q", "SELECT a FROM m_t"), ("q", "SELECT @@character_set_client, @@collation_connection"),
                                                 ("q", "SET NAMES gbk"), ("c", COM_RESET_CONNECTION, b""), ("q", "SELECT 'ü', a FROM m_t"),
                                                 ("q", "SELECT @@character_set_client, @@collation_connection")]),
    "charset utf8mb3": (dict(charset=33), [("q", "SELECT @@character_set_client, @@collation_connection"), ("q", "SELECT 'ü'")]),
    "attributes": (dict(attrs=((b"_client_name", b"raw"), (b"k", b"v" * 300))), [("q", "SELECT 1")]),
    "TLS": (dict(tls=True), [("q", "SELECT * FROM m_t"), ("q", "SELECT REPEAT('x', 100000)"), ("p", "a", "SELECT ?"), ("e", "a", (1,))]),
}
SIZES = [(1 << 24) + d for d in range(-8, 9)]
KINDS = {"new": 0, "no-eof-bit": rc.DEPRECATE_EOF, "no-track-bit": rc.SESSION_TRACK, "old": rc.DEPRECATE_EOF | rc.SESSION_TRACK}


class Runner:
    """One connection and its prepared statements by name."""

    def __init__(self, client, password):
        self.c, self.password, self.ids = client, password, {}

    def step(self, step):
        c, op, args = self.c, step[0], step[1:]
        if op == "q":
            return c.run(COM_QUERY, args[0], "query")
        if op == "p":
            stmt, packets = c.prepare(args[1])
            self.ids[args[0]] = stmt or 0
            if stmt:
                packets[0] = (packets[0][0], b"\0IDID" + packets[0][1][5:])
            return packets
        if op in ("e", "ec", "e1", "e?"):
            stmt = args[0] if op == "e?" else self.ids[args[0]]
            return self.clean(c.execute(stmt, args[1] if len(args) > 1 else (), cursor=1 if op == "ec" else 0, bound=op != "e1"), stmt)
        if op in ("fetch", "fetch?"):
            stmt = args[0] if op == "fetch?" else self.ids[args[0]]
            return self.clean(c.run(COM_STMT_FETCH, struct.pack("<II", stmt, args[1]), "rows"), stmt)
        if op in ("reset", "reset?"):
            stmt = args[0] if op == "reset?" else self.ids[args[0]]
            return self.clean(c.run(COM_STMT_RESET, struct.pack("<I", stmt)), stmt)
        if op in ("close", "close?"):
            return c.run(COM_STMT_CLOSE, struct.pack("<I", args[0] if op == "close?" else self.ids[args[0]]), "none")
        if op == "long":
            return c.run(COM_STMT_SEND_LONG_DATA, struct.pack("<IH", self.ids[args[0]], args[1]) + args[2], "none")
        if op == "fields":
            return c.run(COM_FIELD_LIST, args[0].encode() + b"\0" + args[1].encode(), "rows")
        if op == "stat":
            packets = c.run(COM_STATISTICS, kind="statistics")
            return [(packets[0][0], b"statistics" if packets[0][1].startswith(b"Uptime: ") else packets[0][1])]
        if op == "user":
            return [(0, c.change_user("demo", self.password, args[0]))]
        return c.run(args[0], args[1], "simple")

    @staticmethod
    def clean(packets, stmt):
        """An error that names the statement's id names another one through weir."""
        if packets and packets[0][1][:1] == b"\xff":
            seq, p = packets[0]
            packets[0] = (seq, re.sub(rb"\((\d+)\)", b"(ID)", p))
        return packets


def run_case(endpoint, password, steps, options):
    out = []
    options = dict(options)
    options.setdefault("database", "test")
    with Raw("127.0.0.1", endpoint, "demo", password, **options) as c:
        runner = Runner(c, password)
        out.append([(0, c.login_ok)])
        for step in steps:
            try:
                out.append(runner.step(step))
            except (rc.Gone, ConnectionError) as e:
                out.append([(-1, type(e).__name__.encode())])
                break
            except TimeoutError:
                out.append([(-1, b"no answer")])
                break
            except rc.LoginError as e:
                out.append([(-1, str(e).encode())])
                break
            except (struct.error, IndexError, KeyError) as e:  # no reply of the kind that was asked for
                out.append([(-1, b"not a reply: " + repr(e).encode())])
                break
    return out


def show(packet):
    seq, p = packet
    text = "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in p[:70])
    return f"seq {seq}, {len(p)} bytes: {text}"


def in_order(packets):
    """MariaDB reports the character sets of one SET in an order that changes from run to run."""
    return [(seq, p[:9] + b"".join(sorted(re.findall(rb"character_set_\w+?[\x04-\x09][a-z0-9]+", p[9:])))
             if p[:1] in (b"\x00", b"\xfe") and b"character_set_" in p else p) for seq, p in packets]


def difference(direct, weir, steps):
    """None, or what differs first, in words."""
    for i, (a, b) in enumerate(zip(direct, weir)):
        a, b = in_order(a), in_order(b)
        if a == b:
            continue
        what = "login" if i == 0 else str(steps[i - 1])[:90]
        for k in range(max(len(a), len(b))):
            x, y = a[k] if k < len(a) else None, b[k] if k < len(b) else None
            if x != y:
                return f"{what}: packet {k + 1} direct {show(x) if x else 'none'} | weir {show(y) if y else 'none'}"
    if len(direct) != len(weir):
        return f"{min(len(direct), len(weir)) - 1} replies, then one of them ended"
    return None


def all_differences(direct, weir, steps):
    found = []
    for i, (a, b) in enumerate(zip(direct, weir)):
        if in_order(a) != in_order(b):
            found.append(difference([[]] * i + [a], [[]] * i + [b], steps))
    if len(direct) != len(weir):
        found.append(f"{len(direct) - 1} replies direct, {len(weir) - 1} through weir")
    return found


def allowed(flavour, case, kind, text, table):
    for flav, name, kinds, part, _ in table:
        if flav in (flavour, "*") and name in (case, "*") and kind in kinds and part in text:
            return True
    return False


def size_steps(sizes):
    """Rows and commands whose packets are of every size about the limit of one frame."""
    steps = []
    for n in sizes:
        steps.append(("q", f"SELECT REPEAT('y', {n - 4})"))   # a row is 4 bytes of length and the text
        pad = n - 1 - len("SELECT LENGTH('')")
        steps.append(("q", "SELECT LENGTH('" + "z" * pad + "')"))
    return steps
