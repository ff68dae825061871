# SPDX-License-Identifier: Apache-2.0
"""Several clients by turns on one connection to each server, and direct: every byte of every reply is equal.

Clients run scenes made from a fixed seed (pool_words.py). Through weir, statement by statement, another client
has its turn, except inside what keeps a connection (a transaction, a temporary table, ...): the scene says
where that ends, and weir must agree (its SHOW SESSIONS is asked). Where it keeps the connection for something
that only a reset ends (pool_pins.tsv), COM_RESET_CONNECTION is sent, on both sides. Then the data is made as it
was and the same order is run on direct connections. In `shared` and `eager` all write the same tables; in
`eager` nothing is done at once for what a statement leaves behind to be asked about; in `replicas` two of them
only read. `beside` has the clients in threads of their own instead, each with tables of its own, on three
connections. The servers' logs say how often a statement ran right behind another client's on the same
connection; too few is a failure. WEIR_SEEDS="1 8": these chapters only.
"""
import bisect
import collections
import dataclasses
import os
import random
import re
import threading
import time

import pool_schema
import pool_words
import poollab
import rawclient as rc
import rawstmt as st
import session
import weirlab
from pool_words import HELD, LATE

EXCEPTIONS = __file__.replace("pool.py", "pool_exceptions.tsv")
ENDLESS = __file__.replace("pool.py", "pool_pins.tsv")
CLIENTS = 3
SEEDS = [int(s) for s in os.environ.get("WEIR_SEEDS", "").split()]  # these chapters only
CHAPTER = 510  # steps in one chapter, all clients together
FAST = {"monitor": {"interval": "50ms", "catalogue_interval": "200ms"}, "limits": {"max_packet": "64MiB"}}


@dataclasses.dataclass
class Mode:
    name: str
    scope: str  # read_after_write.scope
    writers: tuple  # tables of each client, None for one that only reads
    weights: tuple
    is_eager: bool = False
    is_beside: bool = False  # in threads
    size: int = 1  # connections to each server
    behind: float = 0.12  # so many of all statements must have run behind another client's on its connection


MODES = (Mode("shared", "global", (0, 0, 0), (pool_words.WRITER,) * 3),
         Mode("replicas", "session", (None, None, 0), (pool_words.AWAY, pool_words.AWAY, pool_words.WRITER), behind=0.06),
         Mode("eager", "global", (0, 0, 0), (pool_words.WRITER,) * 3, is_eager=True),
         Mode("beside", "session", (0, 1, None), (pool_words.WRITER, pool_words.WRITER, pool_words.READER), is_beside=True, size=3))
ASKS = re.compile(r"(?i)SHOW (COUNT|WARNINGS|ERRORS)|@@(warning|error)_count|(ROW_COUNT|FOUND_ROWS)\(\)")
CHANGES, RESETS = 0.25, 0.05  # of all statements by turns: so many at least change the client, so many at most are resets that weir needs
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


class Logs:
    """Who ran what on which connection, out of the servers' general logs."""

    KINDS = {"q": ("Query",), "~": ("Query",), "pipe": ("Query",), "exec": ("Execute",), "prep": ("Prepare",), "fetch": ("Fetch",)}

    def __init__(self, rig, users):
        self.log = weirlab.StatementLog(rig.nodes, users)
        self.steps, self.ends, self.resets = [], {n.name: [] for n in rig.nodes}, 0

    def __enter__(self):
        self.log.__enter__()
        return self

    def __exit__(self, *exc):
        self.log.__exit__(*exc)

    def mark(self, who, step):
        """This step is over: what is in the logs by now and was not before is its."""
        self.steps.append((who, step))
        for name, size in self.log.mark().items():
            self.ends[name].append(size)

    def is_own(self, step, kind, text):
        """The client's own statement, and nothing that weir has put before or behind it."""
        if kind not in self.KINDS.get(step[0], ()):
            return False
        if step[0] == "pipe":
            return any(text.strip() in str(sql) for _, sql, _ in step[1])
        return step[0] == "fetch" or kind == "Execute" or text.strip() in step[2 if step[0] == "prep" else 1]

    def count(self):
        """How often the client changed, and a statement ran right behind another client's on the same connection."""
        found = collections.Counter(steps=len(self.steps), resets=self.resets)
        found["changes"] = sum(a[0] != b[0] for a, b in zip(self.steps, self.steps[1:]))
        last = {}  # (server, thread): who
        for name, at, thread, _, kind, text in self.log.lines():
            n = bisect.bisect_right(self.ends[name], at)
            if n < len(self.steps) and self.is_own(self.steps[n][1], kind, text):
                who = self.steps[n][0]
                found["behind"] += last.setdefault((name, thread), who) != who
                last[name, thread] = who
        return found


class Watch:
    """What weir says of its sessions, over its admin listener."""

    def __init__(self, weir):
        self.admin = rc.Raw("127.0.0.1", weir.admin_port, "ops", "ops secret", timeout=20)
        names = rc.text_names(self.admin.query("SHOW SESSIONS"))
        self.at = {name: names.index(name) for name in ("id", "state", "transaction", "pins")}

    def close(self):
        self.admin.close()

    def row(self, client):
        number = str(client.raw.greeting.thread_id).encode()
        for row in rc.text_rows(self.admin.query("SHOW SESSIONS"), True):
            if row[self.at["id"]] == number:
                return {name: row[at].decode() for name, at in self.at.items()}
        return None

    def kept(self, client):
        """What keeps its connection, when its last statement is over for weir too; "" is nothing."""
        end = time.monotonic() + 10
        while True:
            row = self.row(client)
            if row is None or row["state"] == "idle" or time.monotonic() > end:
                break
        if row is None:
            return ""
        if row["state"] != "idle":
            return f"the session is in state {row['state']}"
        return ",".join(x for x in (row["transaction"] and "transaction", row["pins"]) if x)


def endless():
    """[(statement, pins)]: what is kept until a reset."""
    with open(ENDLESS, encoding="utf-8") as f:
        lines = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
    assert all(reason for _, _, reason in lines)
    return [(re.compile(statement), set(pins.split(","))) for statement, pins, _ in lines]


class Turns:
    """Clients by turns, on connections that are lent to one of them at a time."""

    def __init__(self, weir, clients, scripts, seed, is_eager, logs):
        self.watch, self.clients, self.left, self.is_eager, self.logs = Watch(weir), clients, [list(s) for s in scripts], is_eager, logs
        self.r, self.endless = random.Random(seed), endless()
        self.is_open = [False] * len(clients)
        self.order, self.found, self.problems, self.bad = [], [], [], 0
        self.since = [[] for _ in clients]  # statements since it was known to keep nothing
        self.schema = ["pl_a"] * len(clients)
        self.texts = {}  # of prepared statements and the schema there and then, by client and slot
        self.has_asked = [False] * len(clients)  # about the statement before
        self.has_news = [False] * len(clients)  # there is something to ask about

    def step(self, who, step):
        packets = self.clients[who].play(step)
        self.order.append((who, step))
        self.found.append(packets)
        self.logs.mark(who, step)
        text = text_of(step)
        self.since[who].append(text + self.where(who, step, packets))
        in_transaction, has_news = status(packets)
        if packets and not packets[-1][1][:1] == b"\xff":  # an error says nothing about the transaction
            self.is_open[who] = in_transaction
        if step[:2] == ("com", rc.COM_RESET_CONNECTION) or step[0] == "change":
            self.has_asked[who] = self.has_news[who] = False
        elif step[0] in ("q", "~", "pipe", "exec", "bulk", "prep", "fetch") or step[:2] == ("com", rc.COM_INIT_DB):  # the others leave it
            is_about_last = ASKS.search(text) is not None
            self.has_asked[who] |= is_about_last
            # of a bulk UPDATE or DELETE only the server knows ROW_COUNT()
            is_hidden = step[0] == "bulk" and self.texts.get((who, step[1]), ("",))[0].startswith(("UPDATE", "DELETE"))
            self.has_news[who] = has_news or is_hidden or (is_about_last and self.has_news[who])
        self.bad += packets[-1:] == [(-1, b"no answer")] or is_refused(packets)

    def where(self, who, step, packets):
        """For an EXECUTE, what it executes; for the other steps "", and what they change is noted."""
        if step[0] == "exec":
            text, schema = self.texts.get((who, step[1]), ("none", self.schema[who]))
            return f" of {text}" + (" in another schema" if schema != self.schema[who] else "")
        if step[0] == "prep":
            self.texts[who, step[1]] = step[2], self.schema[who]
        elif step[0] == "change":
            self.schema[who] = "pl_b"
        elif packets and packets[-1][1][:1] == b"\0" and step[:2] == ("com", rc.COM_INIT_DB):
            self.schema[who] = step[2].decode()
        elif packets and packets[-1][1][:1] == b"\0" and step[0] == "q" and step[1].startswith("USE "):
            self.schema[who] = step[1].split()[1]
        return ""

    def let_go(self, who):
        """Nothing is kept, by what the runner knows; where weir keeps something that has no other end, a reset."""
        kept = self.watch.kept(self.clients[who])
        if kept:
            known = set().union(*(pins for statement, pins in self.endless if any(statement.search(text) for text in self.since[who])))
            if not set(kept.split(",")) <= known:
                self.problems.append(f"step {len(self.order) - 1} client {who}: weir keeps {kept} behind " + " / ".join(t[:100] for t in self.since[who][-12:]))
            self.step(who, ("com", rc.COM_RESET_CONNECTION, b"", "simple"))
            self.logs.resets += 1
            kept = self.watch.kept(self.clients[who])
            if kept:
                self.problems.append(f"step {len(self.order) - 1} client {who}: kept behind a reset: {kept}")
        self.since[who] = []

    def run(self):
        holder = None
        while any(self.left) and self.bad <= 2 and len(self.problems) < 20:
            if holder is None or not self.left[holder]:
                holder = self.r.choice([i for i, s in enumerate(self.left) if s])
            step, is_kept = self.left[holder].pop(0)
            self.step(holder, step)
            has_news = self.has_news[holder] and (not self.is_eager or self.has_asked[holder])
            has_count = "SQL_CALC_FOUND_ROWS" in text_of(step)
            if not (is_kept or self.is_open[holder] or has_news or has_count):
                if self.clients[holder].over is None:
                    self.let_go(holder)
                holder = None
        self.watch.close()


def is_refused(packets):
    """Nobody gave up a connection in time."""
    return packets[-1:] != [] and packets[-1][1][:3] == b"\xff\x10\x04"


def in_threads(clients, scripts):
    """Each client by itself: (what was run, replies), sorted by client."""
    found = [[] for _ in clients]

    def work(i):
        for step, _ in scripts[i]:
            found[i].append((i, step, clients[i].play(step)))
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(clients))]
    for t in threads:
        t.start()
    for t in threads:
        t.join(300)
    played = [x for one in found for x in one]
    return [x[:2] for x in played], [x[2] for x in played]


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


def differences(order, direct, found, rules):
    problems = []
    for n, (client, step) in enumerate(order):
        text = text_of(step)
        a, b = (masked(side[n], text, rules) if n < len(side) else [(-1, b"over")] for side in (direct, found))
        if a != b:
            k = next((k for k in range(max(len(a), len(b))) if a[k:k + 1] != b[k:k + 1]), 0)
            problems.append(f"step {n} client {client} {text}: packet {k + 1} direct {session.show(a[k:])} | weir {session.show(b[k:])}")
            if is_refused(b) or (b[-1:] and b[-1][0] < 0):
                problems.append("    what went before: " + " / ".join(f"{c}: {text_of(s)[:70]}" for c, s in order[max(0, n - 12):n]))
                break
    return problems


class Chapter:
    """One seed's scripts, through weir and direct."""

    def __init__(self, rig, weir, mode, seed, is_strict):
        self.rig, self.weir, self.mode, self.seed = rig, weir, mode, seed
        self.users = [(rig.env["DB_USER"], rig.env["DB_PASSWORD"]), (rig.env["AUTH_USERS"].split(",")[0], rig.env["AUTH_PASSWORD"])]
        self.scripts = []
        for i in range(CLIENTS):
            words = pool_words.Words(seed * 10 + i, mode.writers[i], f"{i}", rig.flavour, is_strict)
            self.scripts.append(flat(pool_words.script(words, mode.weights[i], CHAPTER // CLIENTS), mode.is_eager))
        self.counts = collections.Counter()

    def on(self, port, play):
        """play(clients) on the data as they are at first."""
        self.rig.primary.execute(*pool_schema.empty(len({w for w in self.mode.writers if w is not None})))
        self.rig.settle()
        clients = [Client(port, self.users, "pl_a") for _ in range(CLIENTS)]
        try:
            return play(clients)
        finally:
            for c in clients:
                c.close()

    def by_turns(self, clients):
        with Logs(self.rig, [user for user, _ in self.users]) as logs:
            turns = Turns(self.weir, clients, self.scripts, self.seed, self.mode.is_eager, logs)
            turns.run()
            self.counts = logs.count()
        return turns

    def run(self):
        """(statements run, problems)"""
        if self.mode.is_beside:
            problems, (order, found) = [], self.on(self.weir.port, lambda clients: in_threads(clients, self.scripts))
            _, direct = self.on(self.rig.port(0), lambda clients: in_threads(clients, self.scripts))
        else:
            turns = self.on(self.weir.port, self.by_turns)
            problems, order, found = turns.problems, turns.order, turns.found
            direct = self.on(self.rig.port(0), lambda clients: [clients[who].play(step) for who, step in order])
        problems = problems + differences(order, direct, found, exceptions(self.rig.flavour))
        return len(order), [f"seed {self.seed}, {p}" for p in problems]


def too_few(counts, behind):
    """Was it shown at all that connections are shared?"""
    steps = counts["steps"]
    limits = (("changes", CHANGES), ("behind", behind))
    return ([f"{counts[what]} {what} in {steps} statements, fewer than {share:.0%}" for what, share in limits if counts[what] < steps * share]
            + ([f"{counts['resets']} resets in {steps} statements"] if counts["resets"] > steps * RESETS else []))


def ring(rig, binary, report, mode, chapters, size):
    is_strict = poollab.knows_pool(binary)
    settings = poollab.settings(rig, size, binary, {"wait": "5s"}, read_after_write={"scope": mode.scope}, **FAST)
    with weirlab.Weir(rig, **settings, binary=binary) as weir:
        weirlab.wait_for("the tables are known", lambda: "target\treplica" in weir.explain("SELECT * FROM pl_a.s_int"), 20)
        before, count, problems, counts = weir.metrics(), 0, [], collections.Counter()
        for seed in SEEDS or range(1, chapters + 1):
            chapter = Chapter(rig, weir, mode, seed, is_strict)
            n, found = chapter.run()
            count, problems, counts = count + n, problems + found, counts + chapter.counts
            if weir.process.poll() is not None:
                problems.append(f"weir ended: {weir.log()[-1500:]}")
            if len(problems) > 30 or weir.process.poll() is not None:
                break
        name = f"diff {rig.flavour} pool {mode.name}"
        report.check(f"{name} ({count} statements, {poollab.describe(binary, size)})", problems)
        if not mode.is_beside:
            print(f"    {counts['changes']} changes of client, {counts['behind']} statements right behind another client's on the same connection,"
                  f" {counts['resets']} resets for what has no other end")
            if is_strict and not problems and size == mode.size:
                report.check(f"{name} shares", too_few(counts, mode.behind))
        if mode.name == "replicas" and not problems:
            key = 'weir_server_queries_total{{server="{}"}}'
            away = sum(weir.metrics().get(key.format(n.name), 0) - before.get(key.format(n.name), 0) for n in rig.replicas)
            report.check(f"{name} used replicas", [] if away >= count / 50 else [f"{away} of {count} statements"])
    return count


def run(rig, binary, report, is_long):
    size = os.environ.get("WEIR_POOL_SIZE")
    users = (rig.env["DB_USER"], rig.env["AUTH_USERS"].split(",")[0])
    rig.primary.execute(*pool_schema.create(2, users))
    rig.settle()
    total = 0
    for mode in MODES:
        total += ring(rig, binary, report, mode, 10 if is_long else 1, int(size) if size else mode.size)
    print(f"    {rig.flavour} pool: {total} statements")
