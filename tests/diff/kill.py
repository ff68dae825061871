# SPDX-License-Identifier: Apache-2.0
"""KILL by weir's ids: statements on replicas and on the primary, connections, other people's, Ctrl-C."""
import os
import pty
import select
import struct
import subprocess
import threading
import time

import rawclient as rc
import weirlab
from rawclient import COM_PROCESS_KILL, COM_QUERY, Raw

SLOW = {"primary": "/* weir:primary */ SELECT SLEEP(8)",
        "replica": "SELECT COUNT(*) FROM k_t a, k_t b, k_t c, k_t d, k_t e WHERE a.v + b.v + c.v + d.v + e.v = -1"}


def login(rig, port, user="demo", password=None):
    return Raw("127.0.0.1", port, user, rig.env["DB_PASSWORD"] if password is None else password, database="test", timeout=30)


def error_of(packets):
    p = packets[-1][1]
    return rc.err_of(p)[:2] if p[0] == 0xFF else None


def kill_while(rig, weir, role, kill):
    """Reply of the killed statement (an exception when the connection ended), seconds it took."""
    out = {}
    with login(rig, weir.port) as victim, login(rig, weir.port) as killer:
        def work():
            try:
                out["reply"] = victim.query(SLOW[role])
            except (rc.Gone, OSError) as e:
                out["reply"] = e
        thread = threading.Thread(target=work)
        begin = time.monotonic()
        thread.start()
        servers = rig.nodes[:1] if role == "primary" else rig.nodes[1:]
        weirlab.wait_for("the statement runs", lambda: any(
            r["Info"] == SLOW[role] for n in servers for r in n.rows("SHOW FULL PROCESSLIST")), 10)
        out["kill"] = kill(killer, victim.greeting.thread_id)
        thread.join(15)
        out["seconds"] = time.monotonic() - begin
        out["hangs"] = thread.is_alive()
        try:
            out["after"] = rc.text_rows(victim.query("SELECT 'alive'"), True)
        except (rc.Gone, OSError) as e:
            out["after"] = e
        out["left"] = weirlab_gone(servers, SLOW[role])
    return out


def weirlab_gone(servers, sql):
    """True when the statement still runs on a server two seconds later."""
    try:
        weirlab.wait_for("it is gone", lambda: not any(r["Info"] == sql for n in servers for r in n.rows("SHOW FULL PROCESSLIST")), 3)
        return False
    except AssertionError:
        return True


def check_query(out):
    problems = []
    reply = out["reply"]
    # SLEEP that is interrupted returns 1 on MySQL and MariaDB, anything else fails with 1317
    fine = isinstance(reply, list) and (error_of(reply) == (1317, "70100") or rc.text_rows(reply, True) == [[b"1"]])
    if not fine:
        problems.append(f"the statement ended with {reply!r}"[:200])
    if out["after"] != [[b"alive"]]:
        problems.append(f"the session afterwards: {out['after']!r}")
    if out["kill"][0][1][0] != 0:
        problems.append(f"KILL answered {error_of(out['kill'])}")
    return problems + common(out)


def check_connection(out):
    problems = [] if not isinstance(out["after"], list) else ["the session lives on"]
    return problems + common(out)


def common(out):
    return (["it hangs"] if out["hangs"] else []) + (["it still runs on a server"] if out["left"] else [])


def ctrl_c(rig, weir):
    """The mariadb client on a terminal: Ctrl-C ends the statement, not the client."""
    master, slave = pty.openpty()
    env = dict(os.environ, MYSQL_PWD=rig.env["DB_PASSWORD"], TERM="dumb")
    client = subprocess.Popen(["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{weir.port}", "-udemo", "--skip-ssl", "-A", "test"],
                              stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
                              preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
    os.close(slave)
    seen = b""

    def read_until(what, seconds):
        nonlocal seen
        end = time.monotonic() + seconds
        while what not in seen and time.monotonic() < end:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    seen += os.read(master, 65536)
                except OSError:
                    break
        found = what in seen
        seen = seen.split(what, 1)[1] if found else seen
        return found
    try:
        if not read_until(b"> ", 10):
            return [f"no prompt: {seen[-200:]!r}"]
        os.write(master, SLOW["replica"].encode() + b";\n")
        weirlab.wait_for("the statement runs", lambda: any(
            r["Info"] == SLOW["replica"] for n in rig.nodes for r in n.rows("SHOW FULL PROCESSLIST")), 10)
        os.write(master, b"\x03")
        problems = [] if read_until(b"1317", 10) else [f"no 1317 after Ctrl-C: {seen[-300:]!r}"]
        os.write(master, b"SELECT CONCAT('ali', 've');\n")
        return problems + ([] if read_until(b"| alive", 10) else [f"the client does not go on: {seen[-300:]!r}"])
    finally:
        client.kill()
        client.wait()
        os.close(master)


def foreign(rig, weir):
    """Somebody else's id is 1095, an unknown one 1094, one's own works."""
    problems = []
    name = rig.env["AUTH_USERS"].split(",")[0]
    with login(rig, weir.port) as c, login(rig, weir.port, name, rig.env["AUTH_PASSWORD"]) as other:
        for what, number in (("KILL", 1095), ("KILL QUERY", 1095), ("KILL CONNECTION", 1095)):
            got = error_of(c.query(f"{what} {other.greeting.thread_id}"))
            if got is None or got[0] != number:
                problems.append(f"{what} of another user's session: {got}")
        if rc.text_rows(other.query("SELECT 1"), True) != [[b"1"]]:
            problems.append("the other user's session is gone")
        server_id = int(rig.primary.rows("SELECT MAX(ID) AS i FROM information_schema.PROCESSLIST WHERE USER = 'demo'")[0]["i"] or 1)
        for bad in (1, 4000000000, server_id):
            got = error_of(c.query(f"KILL {bad}"))
            if got is None or got[0] != 1094:
                problems.append(f"KILL {bad}: {got}")
            got = error_of(c.run(COM_PROCESS_KILL, struct.pack("<I", bad)))
            if got is None or got[0] != 1094:
                problems.append(f"COM_PROCESS_KILL {bad}: {got}")
        if rc.text_rows(c.query("SELECT 1"), True) != [[b"1"]]:
            problems.append("the session is gone")
    with login(rig, weir.port) as c:
        got = c.query(f"KILL QUERY {c.greeting.thread_id}")
        if error_of(got) not in ((1317, "70100"), None):
            problems.append(f"KILL QUERY of oneself: {error_of(got)}")
        try:
            got = c.query(f"KILL {c.greeting.thread_id}")
            if error_of(got) is None or error_of(got)[0] not in (1317, 1927, 3169):
                problems.append(f"KILL of oneself: {got}")
            c.query("SELECT 1")
            problems.append("KILL of oneself: the session lives on")
        except (rc.Gone, OSError):
            pass
    return problems


def ids_agree(rig, weir):
    """CONNECTION_ID() is the greeting's id, as text and prepared."""
    with login(rig, weir.port) as c:
        text = rc.text_rows(c.query("SELECT CONNECTION_ID()"), True)
        stmt, _ = c.prepare("SELECT connection_id()")
        binary = c.execute(stmt)[-2][1]
        mine = c.greeting.thread_id
        return ([] if text == [[str(mine).encode()]] else [f"text: {text}, greeting {mine}"]) + \
            ([] if struct.pack("<I", mine) in binary else [f"prepared: {binary!r}, greeting {mine}"])


def races(rig, weir, count):
    """KILL QUERY against statements that are about to be done: nobody else is hit, all goes on."""
    problems = []
    with login(rig, weir.port) as victim, login(rig, weir.port) as bystander, login(rig, weir.port) as killer:
        for i in range(count):
            victim.send(rc.command(COM_QUERY, f"SELECT COUNT(*), {i} FROM k_t WHERE v >= 0"))
            bystander.send(rc.command(COM_QUERY, f"SELECT COUNT(*), {i} FROM k_t WHERE v >= 0"))
            killer.query(f"KILL QUERY {victim.greeting.thread_id}")
            got = victim.reply("query")
            if error_of(got) not in (None, (1317, "70100")):
                problems.append(f"victim {i}: {error_of(got)}")
            got = rc.text_rows(bystander.reply("query"), True)
            if not got or got[0][1] != str(i).encode():
                problems.append(f"bystander {i}: {got}")
    return problems


def run(rig, binary, report, is_long):
    rig.primary.execute("CREATE DATABASE IF NOT EXISTS test", "USE test", "DROP TABLE IF EXISTS k_t", "CREATE TABLE k_t (v INT)",
                        "INSERT INTO k_t VALUES " + ",".join(f"({i})" for i in range(300)))
    rig.settle()
    with weirlab.Weir(rig, binary=binary) as weir:
        weirlab.wait_for("the table is in the catalogue", lambda: "target\treplica" in weir.explain("SELECT * FROM test.k_t"), 10)
        for role in ("primary", "replica"):
            out = kill_while(rig, weir, role, lambda c, i: c.query(f"KILL QUERY {i}"))
            report.check(f"diff {rig.flavour} kill a statement on a {role}", check_query(out))
            out = kill_while(rig, weir, role, lambda c, i: c.query(f"KILL {i}"))
            report.check(f"diff {rig.flavour} kill a connection busy on a {role}", check_connection(out))
        out = kill_while(rig, weir, "replica", lambda c, i: c.run(COM_PROCESS_KILL, struct.pack("<I", i)))
        report.check(f"diff {rig.flavour} kill by COM_PROCESS_KILL", check_connection(out))
        report.check(f"diff {rig.flavour} kill others and nobody", foreign(rig, weir))
        report.check(f"diff {rig.flavour} kill ids", ids_agree(rig, weir))
        report.check(f"diff {rig.flavour} kill races", races(rig, weir, 2000 if is_long else 100))
        report.check(f"diff {rig.flavour} kill by Ctrl-C", ctrl_c(rig, weir))
        if weir.process.poll() is not None:
            report.fail(f"diff {rig.flavour} kill weir lives", weir.log()[-500:])
