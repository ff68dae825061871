# SPDX-License-Identifier: Apache-2.0
"""What tests/demo failover shows: a switchover and the way back under load, as its clients see it."""
import threading
import time
import types

import failoverlab

STEP = 0.1
LONG = 0.05  # worth a word


class Shown(failoverlab.Operator):
    """An operator who says what it does."""

    def __init__(self, rig, say):
        super().__init__(rig)
        self.say = say

    def read_only(self, index, yes):
        self.say(f"operator: {self.rig.nodes[index].name} {'takes no writes any more' if yes else 'takes writes'}")
        super().read_only(index, yes)

    def follow(self, index, source=None, late=None):
        self.say(f"operator: {self.rig.nodes[index].name} follows {self.primary.name}")
        super().follow(index, source, late)


class View(threading.Thread):
    """A line for each tenth of a second, until it is stopped."""

    def __init__(self, load, say):
        super().__init__(daemon=True)
        self.load, self.say = load, say
        self.over = threading.Event()
        self.writes, self.reads, self.errors = len(load.acked), load.reads, len(load.errors)
        self.looked = len(load.times)

    def run(self):
        while not self.over.wait(STEP):
            self.line()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.join()

    def line(self):
        load = self.load
        with load.lock:
            writes, reads, errors = len(load.acked), load.reads, len(load.errors)
            pauses = [end - begin for begin, end in load.times[self.looked:]]
            self.looked = len(load.times)
        self.say(f"clients:  {writes - self.writes:5} writes {reads - self.reads:4} reads {errors - self.errors:3} errors"
                 + (f"   one took {max(pauses) * 1000:.0f} ms" if pauses and max(pauses) > LONG else ""))
        self.writes, self.reads, self.errors = writes, reads, errors


def show(cluster, connect, events, say):
    """Returns complaints."""
    began = time.monotonic()

    def at(text):
        say(f"  {time.monotonic() - began:6.2f} s  {text}")
    rig = types.SimpleNamespace(nodes=cluster.nodes, flavour=cluster.flavour, env=cluster.env, cluster=cluster)
    cluster.primary.execute("DROP TABLE IF EXISTS demo.fo",
                            "CREATE TABLE demo.fo (id BIGINT AUTO_INCREMENT PRIMARY KEY, op BIGINT, KEY (op))")
    ops = Shown(rig, at)
    ops.settle()
    last = max((e["number"] for e in events()), default=0)
    with failoverlab.Load(connect, writers=8, readers=4, pause=0.002) as load:
        load.more(100)
        for to in (1, 0):
            with View(load, at):
                load.more(800)
                ops.switchover(to)
                load.more(800)
            for e in reversed([e for e in events() if e["number"] > last]):
                last = e["number"]
                if e["kind"] in ("primary_lost", "primary_found", "switch"):
                    at(f"weir:     {e['kind']} {e['server']}: {e['text']}")
            ops.settle()
    found = {r["op"]: r["n"] for r in ops.primary.rows("SELECT op AS op, COUNT(*) AS n FROM demo.fo GROUP BY op")}
    twice = sum(n > 1 for n in found.values())
    lost = len(load.acked - set(found))
    say(f"\n{len(load.acked)} writes by autocommit, {load.reads} reads, 2 switchovers: {len(load.errors)} errors, "
        f"{lost} lost, {twice} twice; longest pause {load.longest() * 1000:.0f} ms")
    return [f"{op}: {e!r}" for op, e in load.errors[:5]] + [f"{lost} lost"] * bool(lost) + [f"{twice} twice"] * bool(twice)
