# SPDX-License-Identifier: Apache-2.0
"""Statements of every kind (session.sql, facts.tsv) direct and through weir: equal answers.

Both runs begin from the same fresh schema. What is compared is the bytes of every packet, after
what differs from one connection to the next has been made equal.
"""
import os
import random
import re
import struct

import rawclient as rc
import weirlab
from rawclient import COM_INIT_DB, COM_QUERY, COM_RESET_CONNECTION, Raw

HERE = os.path.dirname(os.path.abspath(__file__))
FACTS = os.path.join(os.path.dirname(HERE), "data", "sql", "facts.tsv")
FRESH = """
DROP DATABASE IF EXISTS test
DROP DATABASE IF EXISTS bar
CREATE DATABASE test
CREATE DATABASE bar
USE test
CREATE TABLE se_t (id INT PRIMARY KEY, v INT, s VARCHAR(20), ts TIMESTAMP NULL)
INSERT INTO se_t VALUES (1, 1, 'one', '2024-02-29 12:00:00'), (2, 2, 'two', NULL), (3, 2, 'three', NULL)
CREATE TABLE se_w (id INT PRIMARY KEY AUTO_INCREMENT, v INT, s VARCHAR(5))
CREATE TABLE se_trig (v INT, twice INT)
CREATE TRIGGER se_trig1 BEFORE INSERT ON se_trig FOR EACH ROW SET NEW.twice = NEW.v * 2, @se_seen = NEW.v
CREATE PROCEDURE se_two() BEGIN SELECT id FROM se_t ORDER BY id; SELECT 'second'; END
CREATE PROCEDURE se_out(IN i INT, OUT o INT) SET o = i + 1
CREATE PROCEDURE se_write(IN i INT) INSERT INTO se_w (v) VALUES (i)
CREATE PROCEDURE se_trans() BEGIN START TRANSACTION; INSERT INTO se_w (v) VALUES (11); COMMIT; END
CREATE PROCEDURE se_begin() BEGIN START TRANSACTION; INSERT INTO se_w (v) VALUES (12); END
CREATE PROCEDURE se_set() SET time_zone = '+07:00'
CREATE PROCEDURE se_setmode() SET sql_mode = 'ANSI_QUOTES'
CREATE PROCEDURE se_use() SELECT DATABASE()
CREATE PROCEDURE se_err() BEGIN INSERT INTO se_w (v) VALUES (13); SELECT 1; SELECT * FROM se_nothing; END
CREATE FUNCTION se_fread(i INT) RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM se_t) + i
CREATE FUNCTION se_fwrite(i INT) RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO se_w (v) VALUES (i); RETURN i; END
CREATE FUNCTION se_fvar(i INT) RETURNS INT NO SQL BEGIN SET @se_var = i; RETURN i; END
""".strip().splitlines()
# tables for the statements of facts.tsv: many of them then run, on a few rows
FACT_TABLES = ("t", "u", "v", "w", "a", "b", "c", "d", "t1", "t2", "t3", "sbtest1", "my table", "users")
FACT_COLUMNS = "id INT, a INT, b INT, c INT, d DATETIME, s VARCHAR(10), x INT, y INT, z INT, k INT, pad CHAR(5)"

# Accepted differences: flavour, part of the statement, part of the difference, why.
ALLOWED = [
    ("*", "COLLATION('a')", "COLLATION('a')", "the metadata names the collation of character_set_results, which has none to replay"),
    ("*", "KILL", "this form of KILL", "an expression as an id, and a KILL without one"),
    ("*", "", "SUPER privilege", "administration is refused by weir with 1227, which does not name the same privilege"),
    ("mariadb", "SET STATEMENT", "", "status and trackers show now what holds inside the statement, now what holds behind it"),
    ("mariadb", "REPAIR TABLE", "time_zone", "the report of what held behind a SET STATEMENT comes with the GTID, which weir has tracked"),
]


def groups(flavour):
    """[(name, [(statement, is_rough), ...]), ...] for a flavour"""
    found = []
    with open(os.path.join(HERE, "session.sql"), encoding="utf-8") as f:
        for line in f:
            line = line.rstrip("\n")
            if line.startswith("--- "):
                found.append((line[4:], []))
            elif line and not (line.startswith("#") and not found):
                only = re.match(r"@(mariadb|mysql) ", line)
                if only and only[1] != flavour:
                    continue
                line = line[only.end():] if only else line
                found[-1][1].append((line.lstrip("~"), line.startswith("~")))
    return found


def unescape(text):
    simple = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
    return re.sub(rb"\\(x[0-9A-Fa-f]{2}|.)", lambda m: bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x" and len(m[1]) == 3
                  else simple.get(m[1].decode(), m[1].decode()).encode(), text.encode())


def facts(flavour):
    """The statements of facts.tsv that are meant for this flavour's defaults."""
    found = []
    with open(FACTS, encoding="utf-8") as f:
        for line in f:
            cells = line.rstrip("\n").split("\t")
            if line.startswith("#") or len(cells) < 3 or cells[1] not in ("-", flavour):
                continue
            # waits, and what ends or changes more than a session
            if re.search(r"SLEEP|BENCHMARK|WAIT_FOR|GTID|_WAIT|DATABASE|SCHEMA|KILL|NOW\(|RAND|UUID|CURDATE|SYSDATE|TIMESTAMP|CONNECTION_ID"
                         r"|CURRENT_|CURTIME|LOCALTIME|PROCESSLIST|STATUS|EXPLAIN|ANALYZE|DESC|OUTFILE|DUMPFILE|EXPORT|weir|ROUTE"
                         r"|PSEUDO_THREAD|VARIABLES$|TRIGGERS|FOUND_ROWS|PASSWORD|ALTER USER|IDENTIFIED|RECURSIVE|PROFILE|SERVERS|TEMPORARY|LOAD|EVENT"
                         # answers that may differ when asked again: rows that tie, what is in a cache
                         r"|WINDOW w|OPEN TABLES", cells[0], re.I):
                continue
            found.append(unescape(cells[0]))
    return found


def fact_tables():
    """What makes the tables of these."""
    return [s for t in FACT_TABLES for s in (f"CREATE TABLE `{t}` ({FACT_COLUMNS})",
                                             f"INSERT INTO `{t}` (id, a, b, c) VALUES (1, 1, 2, 3), (2, 2, 3, 4)")]


def normal(packets, is_rough):
    out = []
    for seq, p in packets:
        if is_rough:
            out.append((seq if p[:1] == b"\xff" else 0, p[:9] if p[:1] == b"\xff" else p[:1]))
            if len(out) > 1:
                break
            continue
        if p[:1] == b"\x00" and p.endswith(b"\0\0") and len(p) == 9 and p[4] & 0x40:
            p = p[:4] + bytes([p[4] & 0xBF]) + p[5:7]  # state has changed, and nothing follows
        elif p[:1] in b"\x00\xfe" and b"character_set_" in p:
            p = p[:9] + b"".join(sorted(re.findall(rb"character_set_\w+?[\x04-\x09][a-z0-9]+", p[9:])))  # in any order
        if p[:1] == b"\xfe" and len(p) == 5:
            p = p[:3] + bytes([p[3] & 0xDF]) + p[4:]  # a flag of the optimiser in the first EOF
        if p[:1] == b"\xff":
            p = re.sub(rb"(thread id: |owner of thread |connection id |thread )\d+", rb"\1ID", p)
        out.append((seq, p))
    return out


def run_prepared(c, sql):
    """PREPARE, EXECUTE, CLOSE; as text what cannot be prepared."""
    if sql.startswith("CALL"):
        return c.run(COM_QUERY, sql, "query")  # matrix.py has those
    stmt, packets = c.prepare(sql)
    if stmt is None:
        return packets if rc.err_of(packets[0][1])[0] != 1295 else c.run(COM_QUERY, sql, "query")
    if packets[0][1][7:9] != b"\0\0":
        return packets[1:]  # it wants parameters
    packets = packets[1:] + c.execute(stmt)
    c.run(rc.COM_STMT_CLOSE, stmt.to_bytes(4, "little"), "none")
    return packets


def run_group(port, password, statements, is_prepared=False, drop=0):
    out = []
    with Raw("127.0.0.1", port, "demo", password, database="test", timeout=30, drop=drop) as c:
        for sql, is_rough in statements:
            try:
                out.append(normal(run_prepared(c, sql) if is_prepared else c.run(COM_QUERY, sql, "query"), is_rough))
            except (rc.Gone, ConnectionError, TimeoutError) as e:
                out.append([(-1, b"no answer" if isinstance(e, TimeoutError) else b"closed")])
                break
            except struct.error:  # MySQL answers PREPARE of a SET that fails twice over
                out.append([(-1, b"not a reply")])
                break
    return out


def fresh(rig, weir=None, more=()):
    rig.primary.execute(*FRESH, *more)
    rig.settle()
    if weir:
        weirlab.wait_for("the new tables are in the catalogue", lambda: "target\treplica" in weir.explain("SELECT * FROM test.se_t"), 10)


def show(packets):
    parts = []
    for seq, p in packets[:8]:
        text = "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in p[:90])
        parts.append(f"[{seq}] {text}")
    return " ".join(parts)[:330]


def compare(rig, direct, weir, statements):
    problems = []
    for i, (sql, _) in enumerate(statements):
        a = direct[i] if i < len(direct) else [(-1, b"over")]
        b = weir[i] if i < len(weir) else [(-1, b"over")]
        if a == b:
            continue
        # a server that breaks the protocol: weir says so and closes that connection of its own
        if a == [(-1, b"not a reply")] and (b[0][1][:3] == b"\xff\x86\x04" or b[0][0] == -1):
            break
        k = next((k for k in range(max(len(a), len(b))) if a[k:k + 1] != b[k:k + 1]), 0)
        text = f"{sql if isinstance(sql, str) else sql.decode(errors='replace')}: packet {k + 1} direct {show(a[k:])} | weir {show(b[k:])}"
        if not any(f in (rig.flavour, "*") and s in text.split(": packet")[0] and d in text for f, s, d, _ in ALLOWED):
            problems.append(text)
    return problems


def run_facts(port, password, statements):
    out = []
    c = None
    for sql in statements:
        try:
            if c is None:
                c = Raw("127.0.0.1", port, "demo", password, database="test", timeout=30, max_reply=1 << 22, max_packets=20000)
            out.append(normal(c.run(COM_QUERY, sql, "query"), False))
            c.run(COM_RESET_CONNECTION)
            c.run(COM_INIT_DB, b"test")
        except (rc.Gone, ConnectionError, TimeoutError) as e:
            out.append([(-1, b"no answer" if isinstance(e, TimeoutError) else b"closed")])
            if c:
                c.close()
            c = None
    return out


def prepared(rig, weir, report):
    """The same by PREPARE and EXECUTE; MariaDB with a client of old."""
    drop = rc.DEPRECATE_EOF | rc.SESSION_TRACK if rig.flavour == "mariadb" else 0
    results = []
    for port in (rig.port(0), weir.port):
        fresh(rig, weir)
        results.append([run_group(port, rig.env["DB_PASSWORD"], statements, True, drop)
                        for _, statements in groups(rig.flavour)])
    problems = []
    for (_, statements), a, b in zip(groups(rig.flavour), *results):
        problems += compare(rig, a, b, statements)
    report.check(f"diff {rig.flavour} session prepared", problems)


def shuffled(rig, weir, report, seed):
    """Statements of all groups in one session, in an order that nobody thought of."""
    everything = [s for name, statements in groups(rig.flavour) if name not in ("kill", "administration", "release") for s in statements
                  if not re.search("^(DROP|CREATE) DATABASE|^XA ", s[0])]
    statements = random.Random(seed).sample(everything, 250)
    results = []
    for port in (rig.port(0), weir.port):
        fresh(rig, weir)
        results.append(run_group(port, rig.env["DB_PASSWORD"], statements))
    report.check(f"diff {rig.flavour} session shuffled, seed {seed}", compare(rig, *results, statements))


def run(rig, binary, report, is_long):
    password = rig.env["DB_PASSWORD"]
    with weirlab.Weir(rig, binary=binary) as weir:
        direct, through = [], []
        for port, results in ((rig.port(0), direct), (weir.port, through)):
            fresh(rig, weir)
            for _, statements in groups(rig.flavour):
                results.append(run_group(port, password, statements))
        for (name, statements), a, b in zip(groups(rig.flavour), direct, through):
            report.check(f"diff {rig.flavour} session {name} ({len(statements)})", compare(rig, a, b, statements))
        prepared(rig, weir, report)
        for seed in range(1, 41 if is_long else 4):
            shuffled(rig, weir, report, seed)
        if os.path.exists(FACTS):
            statements = facts(rig.flavour)
            results = []
            for port in (rig.port(0), weir.port):
                fresh(rig, weir, fact_tables())
                results.append(run_facts(port, password, statements))
            report.check(f"diff {rig.flavour} session statements of facts.tsv ({len(statements)})",
                         compare(rig, *results, [(s, False) for s in statements]))
        if weir.process.poll() is not None:
            report.fail(f"diff {rig.flavour} session weir lives", weir.log()[-500:])
