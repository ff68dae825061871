# SPDX-License-Identifier: Apache-2.0
"""Commands sent ahead: every one is answered, in order, with its own tag."""
import random
import socket
import struct
import threading

import rawclient as rc
import weirlab
from rawclient import COM_INIT_DB, COM_PING, COM_QUERY, COM_STMT_EXECUTE, DEPRECATE_EOF, SESSION_TRACK, Raw, command

SETUP = ("DROP TABLE IF EXISTS p_t, p_w", "CREATE TABLE p_t (id INT PRIMARY KEY, v VARCHAR(20))",
         "INSERT INTO p_t VALUES " + ",".join(f"({i}, 'v{i}')" for i in range(1, 101)),
         "CREATE TABLE p_w (id INT PRIMARY KEY AUTO_INCREMENT, tag INT)")


class Mix:
    """Commands with what their replies must be. Each carries a tag that its reply has in it."""

    def __init__(self, client, seed, owner=0):
        self.random, self.c, self.owner = random.Random(seed), client, owner
        self.read, _ = client.prepare("SELECT ?, v FROM p_t WHERE id = ?")
        self.write, _ = client.prepare("INSERT INTO p_w (tag) VALUES (?)")
        self.bytes, self.expected, self.in_tx, self.kept, self.pending = [], [], False, [], []

    def add(self, com, body, kind, check):
        self.bytes.append(command(com, body))
        self.expected.append((kind, check))

    def rows(self, sql, row):
        self.add(COM_QUERY, sql, "query", lambda p, new: rc.text_rows(p, new) == [[str(x).encode() for x in row]])

    def ok(self, sql):
        self.add(COM_QUERY, sql, "query", lambda p, new: len(p) == 1 and p[0][1][0] == 0)

    def error(self, sql, code, part):
        self.add(COM_QUERY, sql, "query",
                 lambda p, new: p[-1][1][0] == 0xFF and rc.err_of(p[-1][1])[0] == code and part in rc.err_of(p[-1][1])[2])

    def step(self, n):
        tag = self.owner * 100000 + n
        k = self.random.randrange(1, 101)
        kind = self.random.randrange(14)
        if kind < 4:
            self.rows(f"SELECT {tag}, v FROM p_t WHERE id = {k}", (tag, f"v{k}"))
        elif kind == 4:
            self.ok(f"INSERT INTO p_w (tag) VALUES ({tag})")
            (self.pending if self.in_tx else self.kept).append(tag)
        elif kind == 5:
            self.error(f"SELECT tag_{tag} FROM p_t", 1054, f"tag_{tag}")
        elif kind == 6:
            self.error(f"SELEC tag_{tag}", 1064, f"tag_{tag}")
        elif kind == 7:
            self.add(COM_STMT_EXECUTE, rc.execute_body(self.read, (tag, k)), "execute",
                     lambda p, new: p[3 if new else 4][1] == b"\0\0" + struct.pack("<q", tag) + rc.lenenc(len(f"v{k}")) + f"v{k}".encode())
        elif kind == 8:
            self.add(COM_STMT_EXECUTE, rc.execute_body(self.write, (tag,)), "execute", lambda p, new: len(p) == 1 and p[0][1][0] == 0)
            (self.pending if self.in_tx else self.kept).append(tag)
        elif kind == 9 and not self.in_tx:
            self.ok("BEGIN")
            self.in_tx = True
        elif kind in (9, 10) and self.in_tx:
            keep = self.random.random() < 0.5
            self.ok("COMMIT" if keep else "ROLLBACK")
            self.kept += self.pending if keep else []
            self.pending, self.in_tx = [], False
        elif kind == 11:
            self.rows(f"SELECT COUNT(*), {tag} FROM p_w WHERE tag = {tag}", (0, tag))
        elif kind == 12:
            self.add(COM_PING, b"", "simple", lambda p, new: len(p) == 1 and p[0][1][0] == 0)
        else:
            self.add(COM_INIT_DB, b"test", "simple", lambda p, new: len(p) == 1 and p[0][1][0] == 0)

    def finish(self):
        if self.in_tx:
            self.ok("COMMIT")
            self.kept += self.pending
            self.in_tx, self.pending = False, []

    def read_all(self):
        problems = []
        for i, (kind, check) in enumerate(self.expected):
            packets = self.c.reply(kind)
            seqs = [s for s, _ in packets]
            if seqs != [(1 + n) & 255 for n in range(len(seqs))]:
                problems.append(f"reply {i}: sequence ids {seqs[:9]}")
            elif not check(packets, self.c.is_new):
                problems.append(f"reply {i}: {packets[:5]} to {self.bytes[i][:80]}")
        return problems


def login(rig, weir, drop=0):
    return Raw("127.0.0.1", weir.port, "demo", rig.env["DB_PASSWORD"], database="test", drop=drop, timeout=60)


def tags_of(rig, low, high):
    return sorted(r["tag"] for r in rig.primary.rows(f"SELECT tag FROM test.p_w WHERE tag BETWEEN {low} AND {high}"))


def one_write(rig, weir, report, drop, name):
    with login(rig, weir, drop) as c:
        mix = Mix(c, 7, owner=1)
        for n in range(500):
            mix.step(n)
        mix.finish()
        writer = threading.Thread(target=c.send, args=(b"".join(mix.bytes),))
        writer.start()
        problems = mix.read_all()
        writer.join(30)
        stored = tags_of(rig, 100000, 199999)
        if stored != sorted(mix.kept):
            problems.append(f"{len(mix.kept)} tags were acknowledged, {len(stored)} are there")
    report.check(f"diff {rig.flavour} pipeline {name}", problems)


def many(rig, weir, report, count, depth):
    problems, lock = [], threading.Lock()

    def work(i):
        try:
            with login(rig, weir, (DEPRECATE_EOF | SESSION_TRACK) if i % 2 else 0) as c:
                mix = Mix(c, 100 + i, owner=100 + i)
                for n in range(depth):
                    mix.step(n)
                mix.finish()
                c.send(b"".join(mix.bytes))
                found = mix.read_all()
                stored = tags_of(rig, (100 + i) * 100000, (101 + i) * 100000 - 1)
                if stored != sorted(mix.kept):
                    found.append(f"connection {i}: {sorted(mix.kept)} acknowledged, {stored} are there")
        except Exception as e:  # told below
            found = [f"connection {i}: {e!r}"]
        with lock:
            problems.extend(found)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(90)
    report.check(f"diff {rig.flavour} pipeline {depth} deep on {count} connections", problems)


def half_closed(rig, weir, owner):
    with login(rig, weir) as c:
        mix = Mix(c, 5, owner=owner)
        for n in range(60):
            mix.step(n)
        mix.finish()
        c.send(b"".join(mix.bytes))
        c.sock.shutdown(socket.SHUT_WR)
        try:
            return mix.read_all() + ([] if c.sock.recv(1) == b"" else ["bytes behind the last answer"])
        except (rc.Gone, ConnectionError, TimeoutError) as e:
            return [repr(e)]


def half_close(rig, weir, report):
    """A read that takes half a second behind the end of its client is ended: a busy machine may be that slow, but not each time."""
    for owner in (2, 50, 51):
        problems = half_closed(rig, weir, owner)
        if not problems or "Gone" not in problems[0]:
            break
    report.check(f"diff {rig.flavour} pipeline half-closed behind 60 commands", problems)


def in_pieces(rig, weir, report):
    """The same bytes, cut anywhere: in small pieces, and with a QUIT behind them."""
    with login(rig, weir) as c:
        mix = Mix(c, 9, owner=3)
        for n in range(40):
            mix.step(n)
        mix.finish()
        data = b"".join(mix.bytes) + command(rc.COM_QUIT)
        cut = random.Random(3)

        def send():
            at = 0
            while at < len(data):
                size = cut.randrange(1, 30)
                c.send(data[at:at + size])
                at += size
        writer = threading.Thread(target=send)
        writer.start()
        problems = mix.read_all()
        writer.join(30)
        problems += [] if c.sock.recv(1) == b"" else ["bytes behind the last answer"]
    report.check(f"diff {rig.flavour} pipeline in small pieces, then QUIT", problems)


def behind_login(rig, weir, report):
    """Commands behind the login packet; the fast path of caching_sha2 and native need no more words."""
    with login(rig, weir):
        pass  # a verifier is there now
    problems = []
    c = Raw("127.0.0.1", weir.port, timeout=20)
    try:
        sent = []
        c.send = sent.append
        c.finish_login = lambda *a: None
        c.login("demo", rig.env["DB_PASSWORD"], database="test")
        c.sock.sendall(b"".join(sent) + command(COM_QUERY, "SELECT 'behind', 1") + command(COM_PING))
        del c.finish_login
        c.finish_login(c.greeting.plugin, b"", b"", False)
        if rc.text_rows(c.reply("query"), True) != [[b"behind", b"1"]]:
            problems.append("the SELECT behind the login was not answered")
        c.reply("simple")
    except (rc.Gone, rc.LoginError, OSError) as e:
        problems.append(repr(e))
    finally:
        c.close()
    report.check(f"diff {rig.flavour} pipeline behind the login", problems)


def large_in_the_middle(rig, weir, report):
    """A command of 17 MiB between small ones, and a reply as large."""
    with login(rig, weir) as c:
        big = "x" * (17 << 20)
        data = (command(COM_QUERY, "SELECT 1, 'first'") + command(COM_QUERY, f"SELECT LENGTH('{big}')") + command(COM_QUERY, "SELECT 2")
                + command(COM_QUERY, "SELECT REPEAT('y', 17825792)") + command(COM_QUERY, "SELECT 3"))
        writer = threading.Thread(target=c.send, args=(data,))
        writer.start()
        got = [rc.text_rows(c.reply("query"), True) for _ in range(5)]
        writer.join(30)
        got[3] = [[len(got[3][0][0])]]
        problems = [] if got == [[[b"1", b"first"]], [[b"17825792"]], [[b"2"]], [[17825792]], [[b"3"]]] else [str(got)[:300]]
    report.check(f"diff {rig.flavour} pipeline with a command of 17 MiB in the middle", problems)


def run(rig, binary, report, is_long):
    rig.primary.execute("USE test", *SETUP)
    rig.settle()
    with weirlab.Weir(rig, binary=binary) as weir:
        for name, drop in (("500 in one write", 0), ("500 in one write, old client", DEPRECATE_EOF | SESSION_TRACK)):
            rig.primary.execute("TRUNCATE TABLE test.p_w")
            one_write(rig, weir, report, drop, name)
        many(rig, weir, report, 60 if is_long else 20, 50)
        half_close(rig, weir, report)
        in_pieces(rig, weir, report)
        behind_login(rig, weir, report)
        large_in_the_middle(rig, weir, report)
        m = weir.metrics()
        on_replicas = sum(m[f'weir_server_queries_total{{server="{n.name}"}}'] for n in rig.replicas)
        if on_replicas < 50:
            report.fail(f"diff {rig.flavour} pipeline reached replicas", f"only {on_replicas} times")
        else:
            report.ok(f"diff {rig.flavour} pipeline reached replicas")
