# SPDX-License-Identifier: Apache-2.0
"""What a session is when its statement reaches another connection than the one before: what was
prepared under another schema or sql_mode, connections lost beside the one in use, clients that
send ahead and read late, a primary that changes under a transaction."""
import socket
import time

import pymysql
import weirlab
from rawclient import COM_INIT_DB, COM_QUERY, COM_STMT_CLOSE, Raw, command, text_rows

SETUP = ("DROP DATABASE IF EXISTS hz_a", "DROP DATABASE IF EXISTS hz_b", "CREATE DATABASE hz_a", "CREATE DATABASE hz_b",
         "CREATE TABLE hz_a.t (v VARCHAR(10))", "CREATE TABLE hz_b.t (v VARCHAR(10))",
         "INSERT INTO hz_a.t VALUES ('a')", "INSERT INTO hz_b.t VALUES ('b')", "CREATE TABLE hz_a.w (id INT)",
         "GRANT ALL ON hz_a.* TO demo", "GRANT ALL ON hz_b.* TO demo")
ROUNDS = 30


def login(rig, weir, **options):
    options.setdefault("database", "hz_a")
    return Raw("127.0.0.1", weir.port, "demo", rig.env["DB_PASSWORD"], timeout=30, **options)


def executed(client, stmt):
    """The value of the one row, or the error."""
    packets = client.execute(stmt)
    if packets[-1][1][:1] == b"\xff":
        return packets[-1][1]
    for _, p in packets[2:]:
        if p[:2] == b"\0\0" and len(p) > 3:
            return p[3:3 + p[2]]
    return None


def prepared_elsewhere(rig, weir):
    """A text means what it meant where and when it was prepared, on every server."""
    problems = []
    with login(rig, weir) as c:
        plain, _ = c.prepare("SELECT v FROM t")
        string, _ = c.prepare('SELECT "q"')
        c.run(COM_INIT_DB, "hz_b")
        c.query("SET sql_mode = 'ANSI_QUOTES'")
        quoted, _ = c.prepare('SELECT "v" FROM t')
        c.query("SET sql_mode = ''")
        c.run(COM_INIT_DB, "hz_a")
        c.run(COM_INIT_DB, "hz_b")
        for where in ("autocommit", "transaction"):
            if where == "transaction":
                c.query("BEGIN")
            for _ in range(ROUNDS if where == "autocommit" else 2):
                for name, stmt, want in (("schema", plain, b"a"), ("string", string, b"q"), ("quoted", quoted, b"b")):
                    got = executed(c, stmt)
                    if got != want:
                        problems.append(f"{where} {name}: {got!r}, not {want!r}")
        here = text_rows(c.query("SELECT DATABASE(), @@sql_mode"), c.is_new)
        if here != [[b"hz_b", b""]]:
            problems.append(f"the session's own state is {here!r}")
        c.query("COMMIT")
    return problems


def lost_beside(rig, weir):
    """Connections to replicas end while the primary works on a statement of the same session."""
    problems = []
    with login(rig, weir) as c:
        for i in range(8):
            c.query(f"SET time_zone = '+0{i}:00'")  # awaited on a replica by the read behind it
            c.query("SELECT v FROM t")
        c.send(command(COM_QUERY, "INSERT INTO w SELECT 7 + SLEEP(1)"))
        time.sleep(0.3)
        for node in rig.replicas:
            for row in node.rows("SELECT id FROM information_schema.processlist WHERE user = 'demo'"):
                try:
                    node.execute(f"KILL {list(row.values())[0] if isinstance(row, dict) else row[0]}")
                except pymysql.MySQLError:
                    pass
        reply = c.reply("query")
        if reply[-1][1][:1] != b"\0":
            problems.append(f"INSERT: {reply[-1][1]!r}")
        for i in range(5):
            got = text_rows(c.query(f"SELECT {i}, v FROM t"), c.is_new)
            if got != [[str(i).encode(), b"a"]]:
                problems.append(f"read {i} behind it: {got!r}")
        got = text_rows(c.query("SELECT COUNT(*) FROM w"), c.is_new)
        if got != [[b"1"]]:
            problems.append(f"rows written: {got!r}")
    return problems


def relayed(weir):
    return weir.metrics()['weir_traffic_relayed_bytes_total{side="client",direction="out"}']


def stalls(weir, before):
    """Until weir has written more for its clients than before, as much as they take, and no more."""
    seen = [before]

    def is_still():
        seen.append(relayed(weir))
        return seen[-1] > before and len(set(seen[-4:])) == 1
    weirlab.wait_for("nothing goes out any more", is_still, 20)


def reads_late(rig, weir):
    """Commands of 40 MB of replies sent ahead, half the connection closed, and only then read."""
    problems = []
    for close in (False, True):
        with login(rig, weir) as c:
            count = 400 if not close else 40
            before = relayed(weir)
            c.send(b"".join(command(COM_QUERY, f"SELECT {i}, REPEAT('x', 100000)") for i in range(count)))
            if close:
                c.sock.shutdown(socket.SHUT_WR)
            stalls(weir, before)
            for i in range(count):
                got = text_rows(c.reply("query"), c.is_new)
                if len(got) != 1 or got[0][0] != str(i).encode() or len(got[0][1]) != 100000:
                    problems.append(f"reply {i} of {count}, half closed {close}: {str(got)[:100]}")
                    break
    return problems


def releases_late(rig, weir):
    """A session that ends itself while replies are still queued for it."""
    with login(rig, weir) as c:
        for size in (200000, 700000, 1500000, 3000000):
            with login(rig, weir) as c:
                c.send(command(COM_QUERY, f"SELECT REPEAT('x', {size})") * 3 + command(COM_QUERY, "COMMIT RELEASE"))
                time.sleep(0.3)
                for _ in range(3):
                    c.reply("query")
    return [] if weir.process.poll() is None else [f"weir ended with {weir.process.returncode}"]


def primary_moves(rig, weir):
    """An open transaction is on the server that was the primary: nothing of it runs elsewhere."""
    old, new = rig.primary, rig.replicas[0]
    problems = []

    def primary_is(node):
        return f"server\t{node.name}" in weir.explain("INSERT INTO hz_a.w VALUES (1)")

    with login(rig, weir) as c:
        c.query("BEGIN")
        c.query("INSERT INTO w VALUES (100)")
        try:
            old.execute("SET GLOBAL read_only = 1")
            new.execute("SET GLOBAL super_read_only = 0" if rig.flavour == "mysql" else "DO 1", "SET GLOBAL read_only = 0")
            weirlab.wait_for("weir sees the other primary", lambda: primary_is(new), 20)
            first = c.query("INSERT INTO w VALUES (101)")[-1][1]
            if first[:1] != b"\xff" or first[1:3] != (1213).to_bytes(2, "little"):
                problems.append(f"the transaction went on: {first!r}")
        finally:
            new.execute("SET GLOBAL read_only = 1")
            old.execute("SET GLOBAL read_only = 0")
        weirlab.wait_for("weir sees the first primary", lambda: primary_is(old), 20)
        for node in (old, new):
            if node.value("SELECT COUNT(*) FROM hz_a.w WHERE id >= 100") != 0:
                problems.append(f"{node.name} has a part of the transaction")
    return problems


def prepares_much(rig, weir):
    """The texts that weir keeps have a bound, and what is closed is given back."""
    with login(rig, weir) as c:
        kept, packets = [], None
        for i in range(80):
            stmt, packets = c.prepare(f"SELECT {i} /* {'x' * 1000000} */")
            if stmt is None:
                break
            kept.append(stmt)
        code = int.from_bytes(packets[-1][1][1:3], "little") if packets[-1][1][:1] == b"\xff" else 0
        problems = [] if code == 1461 and 60 <= len(kept) <= 70 else [f"{len(kept)} kept, then {code}"]
        for stmt in kept:
            c.run(COM_STMT_CLOSE, stmt.to_bytes(4, "little"), "none")
        stmt, packets = c.prepare("SELECT 1")
        return problems if stmt is not None else problems + [f"after closing all: {packets!r}"]


CASES = (prepared_elsewhere, lost_beside, reads_late, releases_late, prepares_much, primary_moves)


def run(rig, binary, report, is_long):
    del is_long
    rig.primary.execute(*SETUP)
    rig.settle()
    with weirlab.Weir(rig, binary=binary) as weir:
        weirlab.wait_for("the tables are known", lambda: "target\treplica" in weir.explain("SELECT v FROM hz_a.t"), 20)
        for case in CASES:
            name = f"diff {rig.flavour} hazard {case.__name__}"
            try:
                problems = case(rig, weir)
            except Exception as e:  # the other cases still run
                problems = [repr(e)[:300]]
            report.check(name, problems)
            if weir.process.poll() is not None:
                report.fail(name, f"weir ended: {weir.log()[-2000:]}")
                return
