# SPDX-License-Identifier: Apache-2.0
"""What an operator, or a failover tool, does to a rig's servers; and clients that keep count meanwhile.

    ops = Operator(rig); ops.switchover(1); ops.crash(); ops.promote(2); ops.rejoin(0)
    ops.semi_sync(); ops.crash(); ops.promote(ops.most_advanced())
    with Load(connect, writers=4) as load: ...; load.acked, load.errors, load.longest()

The operator knows who is the primary by what it did itself; weir finds it out by its probes.
"""
import collections
import itertools
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rigserver  # noqa: E402
from weirlab import wait_for  # noqa: E402


class Operator:
    def __init__(self, rig):
        self.rig, self.flavour = rig, rig.flavour
        self.at = 0

    @property
    def primary(self):
        return self.rig.nodes[self.at]

    def read_only(self, index, yes):
        node = self.rig.nodes[index]
        if self.flavour == "mysql":
            node.execute(*(["SET GLOBAL super_read_only = 1"] if yes
                           else ["SET GLOBAL super_read_only = 0", "SET GLOBAL read_only = 0"]))
        else:
            node.execute(f"SET GLOBAL read_only = {int(yes)}")

    def stop_replica(self, index):
        self.rig.nodes[index].execute("STOP REPLICA")

    def forget_source(self, index):
        self.rig.nodes[index].execute("STOP REPLICA", "RESET REPLICA ALL")

    def follow(self, index, source=None, late=None):
        """late: seconds; None: as it was."""
        node, source = self.rig.nodes[index], self.rig.nodes[self.at if source is None else source]
        password = self.rig.env["REPL_PASSWORD"]
        delay = "" if late is None else f", {'SOURCE' if self.flavour == 'mysql' else 'MASTER'}_DELAY={late}"
        if self.flavour == "mysql":
            node.execute("STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', "
                         f"SOURCE_PORT={source.port}, SOURCE_USER='repl', SOURCE_PASSWORD='{password}', "
                         "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1, "
                         f"SOURCE_RETRY_COUNT=864000{delay}", "START REPLICA")
        else:
            demote = ", MASTER_DEMOTE_TO_SLAVE=1" if not node.replica_status() else ""
            node.execute("STOP SLAVE", "CHANGE MASTER TO MASTER_HOST='127.0.0.1', "
                         f"MASTER_PORT={source.port}, MASTER_USER='repl', MASTER_PASSWORD='{password}', "
                         f"MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1{demote}{delay}", "START SLAVE")

    def switchover(self, to, late=None):
        """The planned way: the old one read-only, the new one has everything, the new one writable. late: by so
        many seconds the old one follows."""
        old, new = self.at, self.rig.nodes[to]
        self.read_only(old, True)
        if not new.wait_gtid(self.rig.nodes[old].gtid(), 30):
            raise AssertionError(f"{new.name} did not catch up")
        self.forget_source(to)
        self.read_only(to, False)
        self.at = to
        for index in range(len(self.rig.nodes)):
            if index != to and self.rig.nodes[index].pid():
                self.follow(index, late=late if index == old else None)

    def crash(self):
        os.kill(self.primary.pid(), signal.SIGKILL)
        self.primary.wait_gone(10)
        return self.at

    def promote(self, to, without=()):
        """After a crash: whatever the replica has is what there is. without: nodes that do not answer."""
        self.forget_source(to)
        self.read_only(to, False)
        self.at = to
        for index in range(len(self.rig.nodes)):
            if index != to and index not in without and self.rig.nodes[index].pid():
                self.follow(index)

    def semi_sync(self, timeout_ms=600000):
        """What the primary acknowledges has been received by a replica, and nobody has seen it before. Where
        none answers for so long, it goes on alone."""
        words = {"mariadb": ("master", "slave"), "mysql": ("source", "replica")}[self.flavour]
        thread = "SLAVE" if self.flavour == "mariadb" else "REPLICA"
        for index, node in enumerate(self.rig.nodes):
            word = words[index != self.at]
            if self.flavour == "mysql":
                if index != self.at:
                    self.read_only(index, False)
                node.execute("SET sql_log_bin = 0",
                             f"INSTALL PLUGIN rpl_semi_sync_{word} SONAME 'semisync_{word}.so'")
                if index != self.at:
                    self.read_only(index, True)
            if index == self.at:
                node.execute(f"SET GLOBAL rpl_semi_sync_{word}_timeout = {timeout_ms}",
                             f"SET GLOBAL rpl_semi_sync_{word}_wait_point = AFTER_SYNC",
                             f"SET GLOBAL rpl_semi_sync_{word}_enabled = 1")
            else:
                node.execute(f"SET GLOBAL rpl_semi_sync_{word}_enabled = 1", f"STOP {thread} IO_THREAD",
                             f"START {thread} IO_THREAD")
        wait_for("replicas answer semi-synchronously", lambda: self._semi_sync_status("clients") == "2", 30)

    def _semi_sync_status(self, what):
        word = "master" if self.flavour == "mariadb" else "source"
        return self.primary.rows(f"SHOW GLOBAL STATUS LIKE 'rpl_semi_sync_{word}_{what}'")[0]["Value"]

    def unconfirmed(self):
        """How many transactions the primary has acknowledged alone since semi_sync()."""
        return int(self._semi_sync_status("no_tx"))

    def most_advanced(self, without=()):
        """Which replica has received most; it has applied that by then. For a primary that is gone."""
        def seen(index):
            node = self.rig.nodes[index]
            row = node.rows("SHOW REPLICA STATUS")[0]
            got = row["Retrieved_Gtid_Set"] if self.flavour == "mysql" else row["Gtid_IO_Pos"]
            if got and not node.wait_gtid(got.replace("\n", ""), 30):
                raise AssertionError(f"{node.name} does not apply what it has: {node.replica_status()}")
            return node.gtid()

        def has(index, gtid):
            if self.flavour == "mysql":
                return self.rig.nodes[index].value(f"SELECT GTID_SUBSET('{gtid}', @@global.gtid_executed)") == 1
            return int(self.rig.nodes[index].gtid().rpartition("-")[2]) >= int(gtid.rpartition("-")[2])

        found = {index: seen(index) for index, node in enumerate(self.rig.nodes)
                 if index != self.at and index not in without and node.pid()}
        return next(index for index in found if all(has(index, gtid) for gtid in found.values()))

    def start(self, index, read_only=True):
        """It comes back as its file says: node 0 writable."""
        node = self.rig.nodes[index]
        node.start(rigserver.run_as()[0])
        node.wait_ready()
        if read_only:
            self.read_only(index, True)

    def rejoin(self, index):
        self.start(index)
        self.follow(index)
        self.rig.cluster._write()

    def settle(self, seconds=30):
        gtid = self.primary.gtid()
        for index, node in enumerate(self.rig.nodes):
            if index != self.at and node.pid() and not node.wait_gtid(gtid, seconds):
                raise AssertionError(f"{node.name} did not catch up: {node.replica_status()}")


class Load:
    """Clients that insert numbered rows by autocommit, one connection each, and keep book."""

    numbers = itertools.count(1)  # no op of one load is another's

    def __init__(self, connect, table="fo", writers=4, readers=2, pause=0.0, limit=None, locking=False):
        self.connect, self.table, self.pause, self.limit, self.locking = connect, table, pause, limit, locking
        self.allowed = limit and limit * writers  # statements; a test may let them go bit by bit
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.acked, self.unknown = set(), set()
        self.errors = []        # (op or None, error)
        self.codes = collections.Counter()
        self.times = []         # (begin, end) of each statement
        self.reads = self.reconnects = 0
        self.threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(writers)]
        self.threads += [threading.Thread(target=self._read, args=(n,), daemon=True) for n in range(readers)]
        self.writers = writers
        self.first = next(Load.numbers) * 1000000000

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        for t in self.threads:
            t.join(60)
        if any(t.is_alive() for t in self.threads):
            raise AssertionError("a client hangs")

    def more(self, count, seconds=30):
        """So many more acknowledged writes."""
        target = len(self.acked) + count
        wait_for(f"{count} more writes", lambda: len(self.acked) >= target, seconds)

    def wait(self, seconds=300):
        """Until every writer has done its part of limit."""
        for t in self.threads[:self.writers]:
            t.join(seconds)

    def longest(self):
        return max((end - begin for begin, end in self.times), default=0.0)

    def _done(self, begin):
        end = time.monotonic()
        if end - begin > 0.05 or len(self.times) < 1000:
            self.times.append((begin, end))

    def _failed(self, op, error):
        code = error.args[0] if error.args else 0
        self.codes[code] += 1
        self.errors.append((op, error))
        if op is not None:
            self.unknown.add(op)

    def _write(self, n):
        import pymysql
        c, i = None, 0
        while not self.over.is_set() and (self.limit is None or i < self.limit):
            op = None
            if self.allowed is not None and i * self.writers >= self.allowed:
                time.sleep(0.001)
                continue
            try:
                if c is None:
                    c = self.connect()
                op, i = self.first + n * 1000000 + i, i + 1
                begin = time.monotonic()
                with c.cursor() as cur:
                    cur.execute(f"INSERT INTO {self.table} (op) VALUES ({op})")
                with self.lock:
                    self.acked.add(op)
                    self._done(begin)
            except (pymysql.MySQLError, OSError) as e:
                with self.lock:
                    self._failed(op, e)
                if not isinstance(e, pymysql.MySQLError) or not e.args or e.args[0] in (0, 2006, 2013, 2014, 2003):
                    with self.lock:
                        self.reconnects += 1
                    c = None
            if self.pause:
                time.sleep(self.pause)
        if c:
            c.close()

    def _read(self, n):
        import pymysql
        c = None
        while not self.over.is_set():
            try:
                c = c or self.connect()
                begin = time.monotonic()
                with c.cursor() as cur:
                    # one on a replica, one on the primary
                    where = f"SELECT op FROM {self.table} WHERE id = {n + 1}"
                    if n % 2 == 0:
                        where = f"{where} FOR UPDATE" if self.locking else f"/* weir:primary */ {where}"
                    cur.execute(where)
                    cur.fetchall()
                with self.lock:
                    self.reads += 1
                    self._done(begin)
            except (pymysql.MySQLError, OSError) as e:
                with self.lock:
                    self._failed(None, e)
                c = None
            time.sleep(0.005)

    def found(self, node):
        """{op: how often} on a server."""
        return {r["op"]: r["n"] for r in node.rows(f"SELECT op AS op, COUNT(*) AS n FROM test.{self.table} GROUP BY op")}

    def complaints(self, node, may_lose=False):
        """Each acknowledged write once, each other at most once."""
        found = self.found(node)
        twice = sorted(op for op, n in found.items() if n > 1)
        lost = sorted(self.acked - set(found))
        wrong = [f"{len(twice)} written twice: {twice[:5]}"] if twice else []
        if lost and not may_lose:
            wrong.append(f"{len(lost)} acknowledged writes are not there: {lost[:5]}")
        return wrong
