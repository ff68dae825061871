# SPDX-License-Identifier: Apache-2.0
"""Several clients at once on few connections, direct and through weir: every byte of every reply is equal.

Clients run scenes made from a fixed seed (pool_words.py). The run on direct connections decides the
order: statement by statement another client, except inside what holds a connection. Then the data
is made as it was and the same order is run through weir. In `shared` and `eager` all write the same
tables; in `eager` nothing is done at once for what a statement leaves behind to be asked about; in
`replicas` two of them only read. `beside` has the clients in threads of
their own instead, each with tables of its own. WEIR_SEEDS="1 8": these chapters only.
"""
import os
import random
import re
import threading

import pool_schema
import pool_words
import poollab
import rawclient as rc
import rawstmt as st
import session
import weirlab
from pool_words import FREE, HELD, LATE

EXCEPTIONS = __file__.replace("pool.py", "pool_exceptions.tsv")
CLIENTS = 3
SEEDS = [int(s) for s in os.environ.get("WEIR_SEEDS", "").split()]  # these chapters only
CHAPTER = 510  # steps in one chapter, all clients together
FAST = {"monitor": {"interval": "50ms", "catalogue_interval": "200ms"}, "limits": {"max_packet": "64MiB"}}
# name, read_after_write.scope, tables of the writers, weights of each client, is_eager, in threads
SHARED = ("shared", "global", (0, 0, 0), (pool_words.WRITER,) * 3, False, False)
MODES = (SHARED,
         ("replicas", "session", (None, None, 0), (pool_words.AWAY, pool_words.AWAY, pool_words.WRITER), False, False),
         ("eager", "global", (0, 0, 0), (pool_words.WRITER,) * 3, True, False),
         ("beside", "session", (0, 1, None), (pool_words.WRITER, pool_words.WRITER, pool_words.READER), False, True))
# the end of a column's definition: character set, length, type, flags, decimals, filler
COLUMN = re.compile(rb"(?s)\x0c(..)(.{4}[\xf5-\xff].{2}[\x00\x1f\x27]\0\0)(?=$|[\xfb\x00-\x20])")


def one_collation(m):
    number = int.from_bytes(m[1], "little")
    is_utf8mb4 = number in (45, 46) or 224 <= number <= 247 or 255 <= number <= 323
    return b"\x0c" + (b"\x2d\0" if is_utf8mb4 else m[1]) + m[2]


def exceptions(flavour):
    found = []
    with open(EXCEPTIONS, encoding="utf-8") as f:
        for line in f:
            if line.startswith("#"):
                continue
            only, statement, what, reason = line.rstrip("\n").split("\t")
            assert reason, f"no reason: {line}"
            if only in ("*", flavour):
                what, _, mask = what.partition(" ")
                found.append((re.compile(statement), what, re.compile(mask.encode()) if mask else None))
    return found


def text_of(step):
    """The step as people read it; what exceptions are matched with."""
    word = step[0]
    if word in ("q", "~"):
        return step[1]
    if word == "com":
        name = {rc.COM_STATISTICS: "COM_STATISTICS", rc.COM_DEBUG: "COM_DEBUG", rc.COM_INIT_DB: "COM_INIT_DB", rc.COM_RESET_CONNECTION: "COM_RESET_CONNECTION"}
        return f"{name.get(step[1], f'command {step[1]}')} {step[2]!r}"
    if word == "prep":
        return f"COM_STMT_PREPARE #{step[1]} {step[2]}"
    if word == "exec":
        return f"COM_STMT_EXECUTE #{step[1]} {step[2]} resend {step[4]}"
    if word == "bulk":
        return f"COM_STMT_BULK_EXECUTE #{step[1]} {len(step[2])} rows {step[2][-1]} resend {step[3]}"
    if word == "change":
        return f"COM_CHANGE_USER {step[1]}"
    if word == "pipe":
        return "pipelined " + "; ".join(str(c[1]) for c in step[1])
    return f"COM_STMT_{word} {step[1:]}"[:200]


class Client:
    def __init__(self, port, users, schema):
        self.users = users
        self.raw = rc.Raw("127.0.0.1", port, *users[0], database=schema, timeout=25, add=rc.STMT_BULK)
        self.ids = {}
        self.over = None

    def close(self):
        self.raw.close()

    def play(self, step):
        """The packets of the reply; what is wrong with the connection in their place, from then on."""
        if self.over:
            return self.over
        try:
            return self.packets(step)
        except (rc.Gone, ConnectionError, rc.LoginError) as e:
            self.over = [(-1, b"closed: " + repr(e).encode())]
        except TimeoutError:
            self.over = [(-1, b"no answer")]
        return self.over

    def packets(self, step):
        c, word = self.raw, step[0]
        if word in ("q", "~"):
            return c.query(step[1])
        if word == "com":
            return c.run(step[1], step[2], "simple" if step[3] == "~" else step[3])
        if word == "prep":
            self.ids[step[1]], packets = c.prepare(step[2])
            return packets
        if word == "change":
            return [(0, c.change_user(*self.users[step[1]], database="pl_b"))]
        if word == "pipe":
            c.send(b"".join(rc.command(com, body) for com, body, _ in step[1]))
            return [p for _, _, kind in step[1] for p in c.reply(kind)]
        return self.prepared(word, step)

    def prepared(self, word, step):
        c, stmt = self.raw, self.ids.get(step[1]) or 0x00FFFFF0
        if word == "exec":
            return c.run(rc.COM_STMT_EXECUTE, st.bind(stmt, step[2], step[3], step[4]), "execute")
        if word == "bulk":
            return c.run(rc.COM_STMT_BULK_EXECUTE, st.bulk(stmt, step[2], step[3]), "execute")
        if word == "fetch":
            return c.run(rc.COM_STMT_FETCH, st.fetch_body(stmt, step[2]), "rows")
        if word == "sreset":
            return c.run(rc.COM_STMT_RESET, stmt.to_bytes(4, "little"))
        if word == "long":
            return c.run(rc.COM_STMT_SEND_LONG_DATA, st.long_body(stmt, step[2], step[3]), "none")
        assert word == "close", word
        return c.run(rc.COM_STMT_CLOSE, stmt.to_bytes(4, "little"), "none")


def status(packets):
    """(in a transaction, there is something to ask about) as the last packet says."""
    if not packets or packets[-1][0] < 0:
        return False, False
    p = packets[-1][1]
    if p[:1] == b"\xff":
        return False, True
    if p[:1] not in (b"\0", b"\xfe") or len(p) < 7:
        return False, False
    at = rc.read_lenenc(p, 1)[1]
    at = rc.read_lenenc(p, at)[1]
    flags, warnings = int.from_bytes(p[at:at + 2], "little"), int.from_bytes(p[at + 2:at + 4], "little")
    return bool(flags & 1), warnings > 0


def flat(scenes, is_eager):
    """[(step, the connection is kept behind it), ...]"""
    out = []
    for scene in scenes:
        is_held = scene.kind == HELD or (scene.kind == LATE and not is_eager)
        steps = list(scene.steps)
        if scene.reset:
            steps.append(("com", rc.COM_RESET_CONNECTION, b"", "simple"))
        out += [(s, is_held and n < len(steps)) for n, s in enumerate(steps, 1)]
    return out + [(("q", "DO 0"), False)]


def direct_run(clients, scripts, seed, is_eager):
    """[(client, step, packets), ...] in an order that a single connection could serve."""
    r, left, holder, out = random.Random(seed), [list(s) for s in scripts], None, []
    is_open = [False] * len(clients)
    while any(left):
        if holder is None or not left[holder]:
            holder = r.choice([i for i, s in enumerate(left) if s])
        step, is_kept = left[holder].pop(0)
        packets = clients[holder].play(step)
        in_transaction, has_news = status(packets)
        if packets and not packets[-1][1][:1] == b"\xff":  # an error says nothing about the transaction
            is_open[holder] = in_transaction
        out.append((holder, step, packets))
        if not (is_kept or is_open[holder] or (has_news and not is_eager)):
            holder = None
    return out


def is_refused(packets):
    """Nobody gave up a connection in time."""
    return packets[-1:] != [] and packets[-1][1][:3] == b"\xff\x10\x04"


def again(clients, order):
    out, bad = [], 0
    for i, step, expected in order:
        packets = clients[i].play(step)
        out.append(packets)
        bad += packets[-1:] == [(-1, b"no answer")] or (is_refused(packets) and not is_refused(expected))
        if bad > 2:  # somebody keeps the connection, and that has been seen
            break
    return out


def in_threads(clients, scripts):
    """Each client by itself; the result is sorted by client."""
    found = [[] for _ in clients]

    def work(i):
        for step, _ in scripts[i]:
            found[i].append((i, step, clients[i].play(step)))
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(clients))]
    for t in threads:
        t.start()
    for t in threads:
        t.join(300)
    return [x for one in found for x in one]


def masked(packets, text, rules):
    what = [(kind, mask) for statement, kind, mask in rules if statement.search(text)]
    if any(kind == "skip" for kind, _ in what):
        return []
    out = session.normal(packets, any(kind == "rough" for kind, _ in what))
    if any(kind == "plan" for kind, _ in what):
        out = [(seq, p[:3] + bytes([p[3] & 0xCF]) + p[4:] if p[:1] == b"\xfe" and 5 <= len(p) < 9 else p) for seq, p in out]
    if any(kind == "collation" for kind, _ in what):
        out = [(seq, COLUMN.sub(one_collation, p) if p[:4] == b"\3def" else p) for seq, p in out]
    for kind, mask in what:
        if kind == "mask":
            out = [(seq, mask.sub(b"#", p)) for seq, p in out]
    return out


def differences(order, found, rules):
    problems = []
    for n, (client, step, expected) in enumerate(order):
        text = text_of(step)
        a = masked(expected, text, rules)
        b = masked(found[n], text, rules) if n < len(found) else [(-1, b"over")]
        if a != b:
            k = next((k for k in range(max(len(a), len(b))) if a[k:k + 1] != b[k:k + 1]), 0)
            problems.append(f"step {n} client {client} {text}: packet {k + 1} direct {session.show(a[k:])} | weir {session.show(b[k:])}")
            if is_refused(b) or (b[-1:] and b[-1][0] < 0):
                problems.append("    what went before: " + " / ".join(f"{c}: {text_of(s)[:70]}" for c, s, _ in order[max(0, n - 12):n]))
                break
    return problems


def chapter(rig, weir, mode, seed, is_strict):
    """(statements run, problems)"""
    _, _, writers, weights, is_eager, is_beside = mode
    users = [(rig.env["DB_USER"], rig.env["DB_PASSWORD"]), (rig.env["AUTH_USERS"].split(",")[0], rig.env["AUTH_PASSWORD"])]
    scripts = [flat(pool_words.script(pool_words.Words(seed * 10 + i, writers[i], f"{i}", rig.flavour, is_strict), weights[i], CHAPTER // CLIENTS), is_eager)
               for i in range(CLIENTS)]
    results = []
    for port in (rig.port(0), weir.port):
        rig.primary.execute(*pool_schema.empty(len({w for w in writers if w is not None})))
        rig.settle()
        clients = [Client(port, users, "pl_a") for _ in range(CLIENTS)]
        try:
            if is_beside:
                results.append(in_threads(clients, scripts))
            elif not results:
                results.append(direct_run(clients, scripts, seed, is_eager))
            else:
                results.append(again(clients, results[0]))
        finally:
            for c in clients:
                c.close()
    order, found = results
    if is_beside:
        found = [packets for _, _, packets in found]
    return len(order), [f"seed {seed}, {p}" for p in differences(order, found, exceptions(rig.flavour))]


def ring(rig, binary, report, mode, chapters, size):
    name, scope = mode[0], mode[1]
    with weirlab.Weir(rig, **poollab.settings(rig, size, binary, {"wait": "5s"}, read_after_write={"scope": scope}, **FAST), binary=binary) as weir:
        weirlab.wait_for("the tables are known", lambda: "target\treplica" in weir.explain("SELECT * FROM pl_a.s_int"), 20)
        before, count, problems = weir.metrics(), 0, []
        for seed in SEEDS or range(1, chapters + 1):
            n, found = chapter(rig, weir, mode, seed, poollab.knows_pool(binary))
            count, problems = count + n, problems + found
            if weir.process.poll() is not None:
                problems.append(f"weir ended: {weir.log()[-1500:]}")
            if len(problems) > 30 or weir.process.poll() is not None:
                break
        report.check(f"diff {rig.flavour} pool {name} ({count} statements)", problems)
        if name == "replicas" and not problems:
            key = 'weir_server_queries_total{{server="{}"}}'
            away = sum(weir.metrics().get(key.format(n.name), 0) - before.get(key.format(n.name), 0) for n in rig.replicas)
            report.check(f"diff {rig.flavour} pool {name} used replicas", [] if away >= count / 50 else [f"{away} of {count} statements"])
    return count


def run(rig, binary, report, is_long):
    size = int(os.environ.get("WEIR_POOL_SIZE", "3"))
    users = (rig.env["DB_USER"], rig.env["AUTH_USERS"].split(",")[0])
    rig.primary.execute(*pool_schema.create(2, users))
    rig.settle()
    print(f"    {poollab.describe(binary, size)}")
    total = 0
    for mode in MODES:
        total += ring(rig, binary, report, mode, 10 if is_long else 1, size)
    print(f"    {rig.flavour} pool: {total} statements")
