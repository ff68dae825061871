# SPDX-License-Identifier: Apache-2.0
"""A whole weir under callgrind: instructions of its worker per statement, by load of a fixed length.

    with CountedWeir(rig, rules=[...]) as weir:
        weir.each(clients=1, kind="text", statements=1000)      instructions per statement
        weir.reload(rules=[...])

Counted is what bytes from clients and servers set off (io/stream's on_read_event), so that monitors,
snapshots, timers and how often the loop turns do not matter, and the machine's load does not either; with
is_all, everything that the workers do. Two loads of different length are subtracted: logins and what
happens once do not count.
"""
import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPO, "tests", "lib"))
import poollab  # noqa: E402
import weirlab  # noqa: E402

BUILD = os.environ.get("WEIR_BUILD") or os.path.join(REPO, "build")
WRAPPER = """#!/bin/sh
exec valgrind -q --tool=callgrind --instr-atstart=no %(toggle)s --separate-threads=yes --compress-strings=no --callgrind-out-file='%(out)s' '%(weir)s' "$@"
"""


def fill(rig):
    with rig.connect(database="sbtest") as c, c.cursor() as cur:
        cur.execute("DROP TABLE IF EXISTS bw_t")
        cur.execute("CREATE TABLE bw_t (id INT PRIMARY KEY, k INT NOT NULL, pad CHAR(60) NOT NULL)")
        cur.executemany("INSERT INTO bw_t VALUES (%s, 0, 'pad')", [(i,) for i in range(1, 201)])
    rig.settle()


def settings_of(rig, size, settings):
    """size: connections to each server; plain TCP to them, one worker unless settings say else."""
    more = poollab.settings(rig, size, os.path.join(BUILD, "weir"))
    for server in more["servers"]:
        server["tls"] = "off"
    return weirlab.merge(weirlab.merge({"workers": 1, "log": {"level": "warn"}}, more), settings)


def plain_weir(rig, size, **settings):
    """The same without callgrind."""
    return weirlab.Weir(rig, binary=os.path.join(BUILD, "weir"), **settings_of(rig, size, settings))


class CountedWeir(weirlab.Weir):
    """settings as weirlab.Weir's."""

    SQL = "SELECT pad FROM bw_t WHERE id = 57"

    def __init__(self, rig, size=0, is_all=False, **settings):
        super().__init__(rig, **settings_of(rig, size, settings))
        self.binary = os.path.join(self.dir, "weir-counted")
        self.out = os.path.join(self.dir, "callgrind.out")
        with open(self.binary, "w", encoding="ascii") as f:
            f.write(WRAPPER % {"out": self.out, "toggle": "" if is_all else "--toggle-collect=on_read_event", "weir": os.path.join(BUILD, "weir")})
        os.chmod(self.binary, 0o700)

    def start(self):
        super().start()
        self.connect().close()  # its users' verifier is known
        weirlab.wait_for("the table is known", lambda: "target\treplica" in self.explain("SELECT k FROM sbtest.bw_t"), 60)
        self.tell("instrumentation on")

    def stop(self, seconds=60):
        return super().stop(seconds)

    def tell(self, command):
        done = subprocess.run(["vgdb", f"--pid={self.process.pid}", *command.split()], capture_output=True, text=True,
                              timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"vgdb {command}: {done.stdout}{done.stderr}")

    def reload(self, **settings):
        """With these settings instead of what they were."""
        self.settings.update(settings)
        self.write_conf()
        self.admin("RELOAD")

    def load(self, clients, kind, statements, sql):
        env = dict(os.environ, BENCH_PASSWORD=self.rig.env["DB_PASSWORD"])
        done = subprocess.run([os.path.join(BUILD, "bench_load"), str(self.port), self.rig.env["DB_USER"], "BENCH_PASSWORD", "sbtest",
                               str(clients), f"{statements}q", kind, "noeof", *sql], env=env, text=True, capture_output=True, check=False)
        if done.returncode or " errors=0 " not in done.stdout:
            raise RuntimeError(f"load: {done.stdout}{done.stderr}")
        return int(re.search(r"queries=(\d+)", done.stdout)[1])

    def count(self, clients, kind, statements, sql):
        """Instructions of the workers while the load runs, and how many statements it had."""
        for old in glob.glob(self.out + "*"):
            os.unlink(old)
        self.tell("zero")
        done = self.load(clients, kind, statements, sql)
        self.tell("dump")
        return self.collected(), done

    def collected(self):
        total = 0
        for path in glob.glob(self.out + "*"):
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
            if "fn=classify_sql\n" in text or "fn=reply_feed\n" in text:  # a worker's
                total += int(re.search(r"^(?:summary|totals): (\d+)", text, re.M)[1])
        return total

    def each(self, clients=1, kind="text", statements=1000, sql=None):
        sql = sql or [self.SQL]
        few, many = statements // 4, statements + statements // 4
        self.load(clients, kind, few, sql)  # connections are open, what is made once has been made
        first, done_first = self.count(clients, kind, few, sql)
        second, done_second = self.count(clients, kind, many, sql)
        return (second - first) / (done_second - done_first)
