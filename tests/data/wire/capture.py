#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""capture.py SOCKET OUT - record what a real server answers, for every kind of client.

SOCKET is the unix socket of a throw-away MySQL 8+/9 or MariaDB 10.6+ server on which root has no
password; its database `lab` is dropped and made anew, and its binary log is reset. OUT gets one
text file of exchanges. The same statements run on one connection for each kind of client:

  new  DEPRECATE_EOF and SESSION_TRACK, with the trackers that weir switches on (a backend connection)
  def  the same flags, trackers as the server has them by default
  eof  DEPRECATE_EOF only
  trk  SESSION_TRACK only
  old  neither

Format, one exchange after the other (bytes in hex, `61*20` is a run of twenty 61):

  exchange NAME KIND STATUS   KIND as enum reply_kind, STATUS the flags before it, in hex
  cmd BYTES                   the command packet
  new BYTES                   ... and so on: each connection's whole reply
"""
import os
import re
import socket
import struct
import sys

CAPS = {"LONG_PASSWORD": 0, "LONG_FLAG": 2, "PROTOCOL_41": 9, "TRANSACTIONS": 13, "RESERVED": 14,
        "SECURE": 15, "MULTI_STATEMENTS": 16, "MULTI_RESULTS": 17, "PS_MULTI_RESULTS": 18,
        "PLUGIN_AUTH": 19}
BASE = sum(1 << b for b in CAPS.values())
SESSION_TRACK, DEPRECATE_EOF = 1 << 23, 1 << 24
MODES = {"new": SESSION_TRACK | DEPRECATE_EOF, "def": SESSION_TRACK | DEPRECATE_EOF,
         "eof": DEPRECATE_EOF, "trk": SESSION_TRACK, "old": 0}
MORE_RESULTS, CURSOR_EXISTS, PS_OUT_PARAMS = 0x0008, 0x0040, 0x1000


def lenenc(data, at):
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(data[at + 1:at + 1 + size], "little"), at + 1 + size


class Conn:
    """A raw connection; keeps every byte of a reply."""

    def __init__(self, path, caps):
        self.caps = caps
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(path)
        self.raw = b""
        greeting = self.packet()
        self.version = greeting[1:greeting.index(b"\0", 1)].decode()
        plugin = greeting.rstrip(b"\0").split(b"\0")[-1]
        body = struct.pack("<IIB23x", BASE | caps, 1 << 30, 45) + b"root\0" + b"\0" + plugin + b"\0"
        self.send(body, 1)
        answer = self.packet()
        while answer[0] in (0x01, 0xFE):
            if answer[0] == 0xFE:
                self.send(b"", 3)
            answer = self.packet()
        if answer[0] != 0:
            raise SystemExit("login refused: %r" % answer)
        self.status = 2
        self.note_ok(answer)

    def send(self, payload, seq=0):
        self.sock.sendall(struct.pack("<I", len(payload))[:3] + bytes([seq]) + payload)

    def exactly(self, count):
        parts = []
        while count:
            part = self.sock.recv(min(count, 1 << 20))
            if not part:
                raise SystemExit("server closed")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def packet(self):
        payload = b""
        while True:
            head = self.exactly(4)
            size = int.from_bytes(head[:3], "little")
            part = self.exactly(size)
            self.raw += head + part
            payload += part
            if size < 0xFFFFFF:
                return payload

    def note_ok(self, p):
        if p[0] == 0xFE and len(p) == 5:
            self.status = int.from_bytes(p[3:5], "little")
        else:
            _, at = lenenc(p, 1)
            _, at = lenenc(p, at)
            self.status = int.from_bytes(p[at:at + 2], "little")

    def eof_expected(self):
        if not self.caps & DEPRECATE_EOF:
            self.note_ok(self.packet())

    def rows(self):
        while True:
            p = self.packet()
            if p[0] == 0xFF:
                return False
            if p[0] == 0xFE and len(p) < 0xFFFFFF:
                self.note_ok(p)
                return bool(self.status & MORE_RESULTS)

    def result(self, kind):
        p = self.packet()
        if p[0] == 0xFF:
            return False
        if p[0] == 0x00:
            self.note_ok(p)
            return bool(self.status & MORE_RESULTS)
        if p[0] == 0xFB:
            self.send(b"1\tone\n", 2)
            self.send(b"", 3)
            return self.result(kind)
        count, _ = lenenc(p, 0)
        for _ in range(count):
            if self.packet()[0] == 0xFF:
                return False
        if not self.caps & DEPRECATE_EOF:
            self.note_ok(self.packet())
            if kind == "execute" and self.status & CURSOR_EXISTS:
                return False
            if self.status & PS_OUT_PARAMS:
                # MySQL tells old clients of the OK that follows in this EOF only.
                self.rows()
                return True
        return self.rows()

    def reply(self, kind):
        """Read one whole reply; returns its bytes."""
        self.raw = b""
        if kind in ("query", "execute"):
            while self.result(kind):
                pass
        elif kind == "simple":
            p = self.packet()
            if p[0] != 0xFF:
                self.note_ok(p)
        elif kind == "statistics":
            self.packet()
        elif kind in ("fetch", "field_list"):
            self.rows()
        elif kind == "prepare":
            p = self.packet()
            if p[0] == 0:
                self.stmt, columns, params = struct.unpack("<IHH", p[1:9])
                for count in (params, columns):
                    for _ in range(count):
                        self.packet()
                    if count:
                        self.eof_expected()
        return self.raw

    def run(self, kind, command):
        self.send(command)
        return self.reply(kind)

    def sql(self, text):
        raw = self.run("query", b"\x03" + text.encode())
        if raw[4] == 0xFF:
            raise SystemExit("%s: %r" % (text, raw))
        return raw


def execute(stmt, flags=0, types=b"", values=b"", params=0, nulls=None):
    body = struct.pack("<BIBI", 0x17, stmt, flags, 1)
    if params:
        body += (nulls or bytes((params + 7) // 8)) + b"\x01" + types + values
    return body


def query(text):
    return b"\x03" + text.encode()


STRING = b"\xfd\x00"
INT = b"\x03\x00"


def scenario(conn, is_mariadb):
    """Yields (name, kind, command); the statement ids are those of a fresh connection."""
    yield "select_one", "query", query("SELECT 1 AS one")
    yield "select_types", "query", query(
        "SELECT id, name, NULL AS n, d, ts, j, b FROM types ORDER BY id")
    yield "select_empty", "query", query("SELECT id FROM types WHERE id < 0")
    yield "select_many", "query", query("SELECT n, REPEAT('x', n % 50) AS pad FROM nums ORDER BY n")
    yield "select_wide", "query", query(
        "SELECT " + ", ".join("%d AS c%d" % (i, i) for i in range(300)))
    yield "select_long_field", "query", query("SELECT REPEAT('y', 70000) AS y, 1 AS one")
    yield "select_warning", "query", query("SELECT CAST('x' AS SIGNED) AS w, 1 AS one")
    yield "syntax_error", "query", query("SELEC 1")
    yield "error_mid_rows", "query", query("SELECT n, EXP(IF(n = 7, 1000, 1)) AS e FROM nums ORDER BY n")
    yield "insert", "query", query("INSERT INTO auto (v) VALUES ('a'), ('b')")
    yield "insert_dup", "query", query("INSERT INTO auto (id, v) VALUES (1, 'a')")
    yield "update_info", "query", query("UPDATE auto SET v = 'c' WHERE id <= 2")
    yield "use_db", "query", query("USE lab")
    yield "use_other", "query", query("USE mysql")
    yield "use_back", "query", query("USE lab")
    yield "init_db", "simple", b"\x02lab"
    yield "init_db_bad", "simple", b"\x02nosuchdb"
    yield "set_autocommit_off", "query", query("SET autocommit = 0")
    yield "select_in_trans", "query", query("SELECT id FROM types ORDER BY id")
    yield "select_in_trans2", "query", query("SELECT id FROM types ORDER BY id")
    yield "insert_in_trans", "query", query("INSERT INTO auto (v) VALUES ('t')")
    yield "rollback", "query", query("ROLLBACK")
    yield "set_autocommit_on", "query", query("SET autocommit = 1")
    yield "set_names", "query", query("SET NAMES latin1")
    yield "set_names_back", "query", query("SET NAMES utf8mb4")
    yield "set_tz", "query", query("SET time_zone = '+03:00'")
    yield "set_sql_mode", "query", query("SET sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'")
    yield "select_no_backslash", "query", query("SELECT 1 AS one")
    yield "set_sql_mode_back", "query", query("SET sql_mode = 'STRICT_ALL_TABLES'")
    yield "set_user_var", "query", query("SET @a = 5")
    yield "begin", "query", query("START TRANSACTION")
    yield "trx_insert", "query", query("INSERT INTO auto (v) VALUES ('u')")
    yield "trx_select", "query", query("SELECT COUNT(*) AS c FROM types")
    yield "commit", "query", query("COMMIT")
    yield "begin_ro", "query", query("START TRANSACTION READ ONLY")
    yield "select_ro", "query", query("SELECT id FROM types ORDER BY id")
    yield "commit_ro", "query", query("COMMIT")
    yield "set_isolation", "query", query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    yield "ddl_create", "query", query("CREATE TABLE IF NOT EXISTS made (a INT PRIMARY KEY)")
    yield "ddl_drop", "query", query("DROP TABLE made")
    yield "temp_table", "query", query("CREATE TEMPORARY TABLE tt (a INT)")
    yield "temp_drop", "query", query("DROP TEMPORARY TABLE tt")
    yield "multi", "query", query(
        "SELECT 1 AS a; INSERT INTO auto (v) VALUES ('m'); SELECT n FROM nums WHERE n < 4; DO 1")
    yield "multi_error", "query", query("SELECT 1 AS a; SELECT * FROM nosuch; SELECT 2 AS b")
    yield "multi_use", "query", query("USE mysql; USE lab; SELECT 1 AS one")
    yield "call_results", "query", query("CALL two_results()")
    yield "call_nothing", "query", query("CALL no_result()")
    yield "show_warnings", "query", query("SHOW WARNINGS")
    yield "explain", "query", query("EXPLAIN SELECT * FROM types WHERE id = 1")
    yield "ping", "simple", b"\x0e"
    yield "statistics", "statistics", b"\x09"
    yield "set_option_off", "simple", b"\x1b\x01\x00"
    yield "set_option_on", "simple", b"\x1b\x00\x00"
    yield "debug", "simple", b"\x0d"
    yield "unknown_command", "simple", b"\x7f"
    yield "field_list", "field_list", b"\x04types\0"
    yield "field_list_wild", "field_list", b"\x04types\0n%"
    yield "field_list_bad", "field_list", b"\x04nosuch\0"
    if is_mariadb:
        yield "insert_returning", "query", query("INSERT INTO auto (v) VALUES ('r') RETURNING id, v")
    yield "load_local", "query", query(
        "LOAD DATA LOCAL INFILE '/nonexistent/x' INTO TABLE loaded")

    yield "prepare_params", "prepare", b"\x16SELECT id, name, d, b FROM types WHERE id >= ? ORDER BY id"
    s = conn.stmt
    yield "execute_rows", "execute", execute(s, types=INT, values=struct.pack("<i", 1), params=1)
    yield "execute_empty", "execute", execute(s, types=INT, values=struct.pack("<i", 99), params=1)
    yield "execute_null", "execute", execute(s, types=INT, params=1, nulls=b"\x01")
    yield "execute_cursor", "execute", execute(s, 1, INT, struct.pack("<i", 1), 1)
    yield "fetch_one", "fetch", struct.pack("<BII", 0x1C, s, 1)
    yield "fetch_rest", "fetch", struct.pack("<BII", 0x1C, s, 100)
    yield "fetch_none", "fetch", struct.pack("<BII", 0x1C, s, 100)
    yield "execute_cursor_empty", "execute", execute(s, 1, INT, struct.pack("<i", 99), 1)
    yield "fetch_empty", "fetch", struct.pack("<BII", 0x1C, s, 10)
    yield "stmt_reset", "simple", struct.pack("<BI", 0x1A, s)
    yield "fetch_closed", "fetch", struct.pack("<BII", 0x1C, s, 10)
    yield "prepare_no_params", "prepare", b"\x16SELECT n FROM nums ORDER BY n"
    s = conn.stmt
    yield "execute_many", "execute", execute(s)
    yield "execute_cursor_many", "execute", execute(s, 1)
    yield "fetch_many", "fetch", struct.pack("<BII", 0x1C, s, 150)
    yield "prepare_no_columns", "prepare", b"\x16INSERT INTO auto (v) VALUES (?)"
    s = conn.stmt
    yield "execute_insert", "execute", execute(s, types=STRING, values=b"\x02zz", params=1)
    yield "prepare_nothing", "prepare", b"\x16SET @b = 7"
    yield "execute_set", "execute", execute(conn.stmt)
    yield "prepare_error", "prepare", b"\x16SELECT * FROM nosuch"
    yield "execute_unknown", "execute", execute(9999)
    yield "prepare_call_out", "prepare", b"\x16CALL out_params(?, ?)"
    s = conn.stmt
    yield "execute_call_out", "execute", execute(s, types=INT + STRING, values=struct.pack("<i", 5) + b"\0",
                                                 params=2)
    yield "prepare_call_both", "prepare", b"\x16CALL out_and_rows(?)"
    s = conn.stmt
    yield "execute_call_both", "execute", execute(s, types=INT, values=struct.pack("<i", 5), params=1)
    yield "prepare_error_mid", "prepare", b"\x16SELECT n, EXP(IF(n = 7, 1000, 1)) AS e FROM nums ORDER BY n"
    yield "execute_error_mid", "execute", execute(conn.stmt)
    yield "prepare_big", "prepare", b"\x16SELECT REPEAT('z', 40000) AS z, n FROM nums WHERE n < 3"
    yield "execute_big", "execute", execute(conn.stmt)
    yield "select_17m", "query", query("SELECT REPEAT('a', 17825792) AS big, 1 AS one")
    yield "select_exact_frame", "query", query("SELECT REPEAT('b', 16777206) AS big, 1 AS one")
    yield "reset_connection", "simple", b"\x1f"
    yield "kill_query_self", "query", query("KILL QUERY 4294967294")


SETUP = """DROP DATABASE IF EXISTS lab
CREATE DATABASE lab
USE lab
CREATE TABLE types (id INT PRIMARY KEY, name VARCHAR(40), d DOUBLE, ts DATETIME, j TEXT, b BLOB)
INSERT INTO types VALUES (1, 'one', 1.5, '2026-01-02 03:04:05', '{}', x'00ff'), (2, NULL, NULL, NULL, NULL, NULL), (3, REPEAT('n', 40), -0.25, '2026-01-02', '[1]', REPEAT('b', 300))
CREATE TABLE nums (n INT PRIMARY KEY)
INSERT INTO nums WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 200) SELECT n FROM r
CREATE TABLE auto (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(10))
CREATE TABLE loaded (a INT, b VARCHAR(10))
CREATE PROCEDURE two_results() BEGIN SELECT 1 AS a; SELECT n FROM nums WHERE n < 3; END
CREATE PROCEDURE no_result() BEGIN SET @x = 1; END
CREATE PROCEDURE out_params(OUT a INT, OUT b VARCHAR(10)) BEGIN SET a = 42; SET b = 'hello'; END
CREATE PROCEDURE out_and_rows(INOUT a INT) BEGIN SELECT n FROM nums WHERE n <= a ORDER BY n; SET a = a + 1; END"""

TRACK_MYSQL = ["SET session_track_gtids = OWN_GTID", "SET session_track_state_change = ON",
               "SET session_track_transaction_info = CHARACTERISTICS",
               "SET session_track_system_variables = 'autocommit,character_set_client,"
               "character_set_connection,character_set_results,collation_connection,sql_mode,"
               "time_zone,transaction_isolation,transaction_read_only'"]
TRACK_MARIADB = ["SET session_track_state_change = ON",
                 "SET session_track_transaction_info = CHARACTERISTICS",
                 "SET session_track_system_variables = 'autocommit,character_set_client,"
                 "character_set_connection,character_set_results,collation_connection,sql_mode,"
                 "time_zone,tx_isolation,tx_read_only,last_gtid'"]


def packed(raw):
    """Hex; runs of 100 and more equal bytes become XX*N."""
    out = []
    at = 0
    for m in re.finditer(rb"(.)\1{99,}", raw, re.S):
        if m.start() > at:
            out.append(raw[at:m.start()].hex())
        out.append("%02x*%d" % (m.group(1)[0], m.end() - m.start()))
        at = m.end()
    if at < len(raw):
        out.append(raw[at:].hex())
    return " ".join(out)


def main():
    path, target = sys.argv[1:3]
    seen = {}
    for mode, caps in MODES.items():
        root = Conn(path, 0)
        is_mariadb = "MariaDB" in root.version
        root.sql("SET GLOBAL local_infile = 1")
        for line in SETUP.splitlines():
            root.sql(line)
        root.sql("RESET MASTER" if is_mariadb else "RESET BINARY LOGS AND GTIDS")
        conn = Conn(path, caps | 1 << 7)
        conn.sql("USE lab")
        conn.sql("SET sql_mode = 'STRICT_ALL_TABLES'")
        if mode == "new":
            for line in TRACK_MARIADB if is_mariadb else TRACK_MYSQL:
                conn.sql(line)
        conn.sql("DO 0")
        for name, kind, command in scenario(conn, is_mariadb):
            status = conn.status
            raw = conn.run(kind, command)
            seen.setdefault(name, {"kind": kind, "cmd": command})[mode] = raw
            if mode == "new":
                seen[name]["status"] = status
        conn.sock.close()
    with open(target, "w") as f:
        f.write("# %s, by tests/data/wire/capture.py over a unix socket, user root\n" % root.version)
        for name, x in seen.items():
            f.write("exchange %s %s %04x\n" % (name, x["kind"], x["status"]))
            for key in ("cmd", *MODES):
                f.write("%s %s\n" % (key, packed(x[key])))
    print("%s: %d exchanges, %d bytes" % (target, len(seen), os.path.getsize(target)))


if __name__ == "__main__":
    main()
