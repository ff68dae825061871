# SPDX-License-Identifier: Apache-2.0
"""What disturbs the servers, weir and the wires between them, one class a kind.

begin() starts it, end() takes it back and returns when all is as it was; both may be called from a
thread. ERRORS: whether a client may see errors meanwhile (a session that is in a transaction on a
server that dies has to hear of it). Kinds that weir has no setting for yet are in ABSENT.
"""
import os
import signal
import threading
import time

import pymysql

import redislab
from weirlab import wait_for

class Stage:
    """What a kind works on."""

    def __init__(self, rig, weir, random, front=None, backs=None, beside=None, redis=None, wire=None):
        self.rig, self.weir, self.random = rig, weir, random
        self.front, self.backs = front, backs or {}
        self.weirs = [weir, beside] if beside else [weir]
        self.redis, self.wire = redis, wire  # where they keep answers for each other, and what is between
        self.killed = 0  # connections, one by one
        self.hits_before = 0  # of the cache of weirs that were stopped

    def replica(self):
        return self.random.choice(self.rig.replicas)

    def hits(self):
        return self.hits_before + self.sum("weir_cache_hits_total")

    def sum(self, name):
        return int(sum(weir.metrics().get(name, 0) for weir in self.weirs))


class Kind:
    ERRORS = False

    LOSSY = False  # what was acknowledged may get lost meanwhile
    HOLD = None  # from here to there, seconds; None: as the nemesis has it

    def __init__(self, stage):
        self.stage = stage
        self.rig = stage.rig

    def word(self):
        """As the judge calls it."""
        return "lossy" if self.LOSSY else "errors" if self.ERRORS else "calm"

    def is_mysql(self):
        return self.rig.flavour == "mysql"

    def begin(self):
        raise NotImplementedError

    def end(self):
        raise NotImplementedError


def stop(node, thread=""):
    node.execute(f"STOP {'REPLICA' if node.flavour == 'mysql' else 'SLAVE'} {thread}")


def start(node):
    node.execute(f"START {'REPLICA' if node.flavour == 'mysql' else 'SLAVE'}")


def delay(node, seconds):
    stop(node, "SQL_THREAD")
    if node.flavour == "mysql":
        node.execute(f"CHANGE REPLICATION SOURCE TO SOURCE_DELAY = {seconds}")
    else:
        stop(node)  # MariaDB wants both stopped
        node.execute(f"CHANGE MASTER TO MASTER_DELAY = {seconds}")
    start(node)


class Lag(Kind):
    """Both replicas apply a second late: within monitor.max_lag they still get reads."""
    SECONDS = 1

    def begin(self):
        for node in self.rig.replicas:
            delay(node, self.SECONDS)

    def end(self):
        for node in self.rig.replicas:
            delay(node, 0)


class LongLag(Lag):
    """The same, beyond monitor.max_lag: they get none."""
    SECONDS = 6


class OneLag(Lag):
    """One replica applies a second late: who reads here and there goes back in time."""

    def begin(self):
        self.victim = self.stage.replica()
        delay(self.victim, self.SECONDS)

    def end(self):
        delay(self.victim, 0)


class Applier(Kind):
    """The applier of one replica stands still; the other goes on."""

    def begin(self):
        self.victim = self.stage.replica()
        stop(self.victim, "SQL_THREAD")

    def end(self):
        start(self.victim)


class AllAppliers(Kind):
    """No replica applies anything."""

    def begin(self):
        for node in self.rig.replicas:
            stop(node, "SQL_THREAD")

    def end(self):
        for node in self.rig.replicas:
            start(node)


class Receiver(Applier):
    """A replica gets nothing more and says that it is 0 seconds behind, or NULL."""

    def begin(self):
        self.victim = self.stage.replica()
        stop(self.victim, "IO_THREAD")


class StopReplica(Kind):
    """SIGSTOP: nothing is refused, nothing is answered."""
    ERRORS = True

    def begin(self):
        self.pid = self.stage.replica().pid()
        os.kill(self.pid, signal.SIGSTOP)

    def end(self):
        os.kill(self.pid, signal.SIGCONT)


class KillReplica(Kind):
    """kill -9; it comes back with what it has."""
    ERRORS = True

    def begin(self):
        os.kill(self.stage.replica().pid(), signal.SIGKILL)

    def end(self):
        self.rig.cluster.up("free")


class KillConnections(Kind):
    """KILL of the clients' connections on one server, again and again."""
    ERRORS = True

    def __init__(self, stage):
        super().__init__(stage)
        self.over = threading.Event()
        self.thread = None

    def node(self):
        return self.stage.random.choice(self.rig.nodes)

    def begin(self):
        node = self.node()

        def work():
            while not self.over.is_set():
                for row in node.rows("SELECT id AS id FROM information_schema.processlist "
                                     "WHERE user = %s ORDER BY RAND() LIMIT 4", self.rig.env["DB_USER"]):
                    try:
                        node.execute(f"KILL {row['id']}")
                        self.stage.killed += 1
                    except pymysql.MySQLError:
                        pass  # it has gone by itself
                self.over.wait(0.2)
        self.thread = threading.Thread(target=work)
        self.thread.start()

    def end(self):
        self.over.set()
        self.thread.join(20)


class Squeeze(Kind):
    """A server takes fewer connections than weir has open to it."""
    ERRORS = True

    def begin(self):
        victim = self.stage.random.choice(self.rig.nodes)
        self.inside = victim.connect()  # there may be no room for us later on
        with self.inside.cursor() as cur:
            cur.execute("SELECT @@global.max_connections")
            self.before = cur.fetchone()[0]
            cur.execute("SET GLOBAL max_connections = 12")  # MariaDB takes no fewer than 10

    def end(self):
        with self.inside as c, c.cursor() as cur:
            cur.execute(f"SET GLOBAL max_connections = {self.before}")


class Wire(Kind):
    """A fault of the toxic proxy, before weir (side front) or before one server (side back)."""
    SIDE = "front"

    def proxy(self):
        if self.SIDE == "front":
            return self.stage.front
        return self.stage.backs[self.stage.random.choice(sorted(self.stage.backs))]

    def toxics(self):
        raise NotImplementedError

    def begin(self):
        self.on = self.proxy()
        for name, kind, direction, keys in self.toxics():
            self.on.add(name, kind, direction, **keys)

    def end(self):
        self.on.reset()


class FrontSlices(Wire):
    def toxics(self):
        return [("slices", "slicer", "both", {"size": 7, "vary": 20, "us": 200})]


class BackSlices(FrontSlices):
    SIDE = "back"


class FrontLate(Wire):
    def toxics(self):
        return [("late", "latency", "both", {"ms": 5, "jitter": 10})]


class BackLate(Wire):
    SIDE = "back"

    def toxics(self):
        return [("late", "latency", "both", {"ms": 10, "jitter": 20})]


class FrontCuts(Wire):
    """Connections end at any byte, with a RST."""
    ERRORS = True

    def toxics(self):
        return [("cut", "reset_peer", "both", {"ms": 300})]


class BackCuts(FrontCuts):
    """Answers are on their way when the connection ends: what was asked for may have been done."""
    SIDE = "back"

    def toxics(self):
        return [("late", "latency", "down", {"ms": 20}), ("cut", "reset_peer", "both", {"ms": 300})]


class PrimaryLimits(Wire):
    """Each connection to the primary ends behind so many bytes: in the middle of an answer, so that what
    was asked for has been done, and nobody was told."""
    ERRORS = True

    def proxy(self):
        return self.stage.backs["primary"]

    def toxics(self):
        return [("limit", "limit_data", "down", {"bytes": 9000})]


class Reloads(Kind):
    """SIGHUP upon SIGHUP, with other weights each time."""

    def __init__(self, stage):
        super().__init__(stage)
        self.over = threading.Event()
        self.thread = None

    def begin(self):
        weir = self.stage.weir

        def work():
            n = 0
            while not self.over.is_set():
                n += 1
                for i, server in enumerate(weir.settings["servers"]):
                    server["weight"] = 50 + (n + i) % 3 * 50
                weir.write_conf()
                weir.process.send_signal(signal.SIGHUP)
                self.over.wait(0.2)
        self.thread = threading.Thread(target=work)
        self.thread.start()

    def end(self):
        self.over.set()
        self.thread.join(20)


class Restart(Kind):
    """SIGTERM, drain, and a new process."""
    ERRORS = True

    def begin(self):
        self.stage.hits_before = self.stage.hits()
        self.stage.weir.stop(60)
        self.stage.weir.start()

    def end(self):
        pass


# --- another primary: these want a rig whose primary may move (run, MovingRig) ---

class Change(Kind):
    ERRORS = True
    HOLD = (0.2, 0.5)  # begin() ends when it works again

    def node(self, index):
        return self.rig.nodes[index]

    def wait_works(self, count=30):
        """Clients have been served by the primary since then: it is a time with something under way."""
        weir, name = self.stage.weir, self.rig.primary.name
        label = f'weir_server_queries_total{{server="{name}"}}'
        target = weir.metrics().get(label, 0) + count
        wait_for(f"statements on {name}", lambda: weir.metrics().get(label, 0) >= target, 30)

    def wait_primary(self):
        weir, name = self.stage.weir, self.rig.primary.name
        wait_for(f"weir calls {name} the primary",
                 lambda: weir.metrics().get(f'weir_server_is_primary{{server="{name}"}}', 0) == 1, 30)

    def wait_down(self):
        weir, name = self.stage.weir, self.rig.primary.name
        wait_for(f"weir calls {name} down", lambda: weir.metrics().get(f'weir_server_up{{server="{name}"}}', 1) == 0, 30)


class Switchover(Change):
    """The planned way. One replica is late, and the old primary as a replica, too: whoever reads there shows it."""
    LAG = 1

    def begin(self):
        ops = self.rig.ops
        old = ops.at
        to, late = self.stage.random.sample([i for i in range(len(self.rig.nodes)) if i != old], 2)
        self.late = [self.node(late), self.node(old)]
        delay(self.node(late), self.LAG)
        self.wait_works()
        ops.switchover(to, self.LAG)
        self.wait_primary()
        self.wait_works()

    def end(self):
        for node in self.late:
            delay(node, 0)


class SecondWriter(Change):
    """A replica can be written to. Nobody writes there, and nobody hears of it."""
    ERRORS = False

    def begin(self):
        self.index = self.stage.random.choice([i for i in range(len(self.rig.nodes)) if i != self.rig.ops.at])
        self.rig.ops.read_only(self.index, False)
        weir = self.stage.weir
        wait_for("weir has seen it", lambda: any(e["kind"] == "split_brain" for e in weir.admin("SHOW EVENTS")), 30)
        self.wait_works()

    def end(self):
        self.rig.ops.read_only(self.index, True)


class Promotion(Change):
    """kill -9 of the primary while answers are on their way; then the replica that has received most is the primary.
    With semi_sync() before, nothing that was acknowledged is lost."""

    def begin(self):
        back = self.stage.backs[self.rig.primary.name]
        back.add("late", "latency", "down", ms=20)
        self.wait_works()
        self.check()
        back.add("cut", "reset_peer", "both", ms=0)
        self.old = self.rig.ops.crash()
        self.take_over()
        self.wait_works()

    def check(self):
        alone = self.rig.ops.unconfirmed()
        assert not alone, f"{alone} transactions without a replica's answer: that shows nothing"

    def take_over(self):
        self.wait_down()
        self.rig.gone.add(self.old)
        self.rig.ops.promote(self.rig.ops.most_advanced(self.rig.gone), self.rig.gone)
        self.wait_primary()

    def end(self):
        for back in self.stage.backs.values():
            back.reset()


class LossyPromotion(Promotion):
    """The same; replicas have received nothing for a while, so that acknowledged writes are gone."""
    LOSSY = True

    def check(self):
        before = self.rig.primary.gtid()
        for node in self.rig.replicas:
            stop(node, "IO_THREAD")
        self.wait_works(200)
        assert self.rig.primary.gtid() != before, "nothing was written"


class FrozenPromotion(Promotion):
    """SIGSTOP in place of kill -9: the old primary comes to itself when there is another, and takes writes."""
    HOLD = (4, 4)

    def begin(self):
        self.wait_works()
        self.check()
        self.old = self.rig.ops.at
        self.pid = self.rig.primary.pid()
        os.kill(self.pid, signal.SIGSTOP)
        try:
            self.take_over()
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        self.node(self.old).wait_gone(10)


class RedisDead(Kind):
    """kill -9; what it had is gone."""

    def begin(self):
        self.stage.redis.kill(signal.SIGKILL)
        self.stage.redis.wait_gone(10)

    def end(self):
        self.stage.redis.up()


class RedisStopped(Kind):
    """SIGSTOP: connections stay, nothing is answered."""

    def begin(self):
        self.stage.redis.kill(signal.SIGSTOP)

    def end(self):
        self.stage.redis.kill(signal.SIGCONT)


class RedisEmptied(Kind):
    """FLUSHALL again and again, as an eviction of everything would be."""

    def begin(self):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        with redislab.Redis(self.stage.redis.port) as r:
            while not self.over.wait(0.02):
                self.turn(r)

    def turn(self, r):
        r("FLUSHALL")

    def end(self):
        self.over.set()
        self.thread.join()


class RedisOld(RedisEmptied):
    """What lay there first comes back all the time, as from a replica that has lost everything since."""

    def begin(self):
        self.olds = {}
        super().begin()

    def turn(self, r):
        for name in r("KEYS", "*"):
            value = r("GET", name) if name not in self.olds else None
            if value is not None:
                self.olds[name] = value
            elif name in self.olds:
                r("SET", name, self.olds[name])


class RedisSlow(Kind):
    """Its replies are later than the budget, and come in pieces."""

    def begin(self):
        self.stage.wire.add("slow", "latency", "down", ms=self.stage.random.choice((3, 30)))
        self.stage.wire.add("sliced", "slicer", "both", size=self.stage.random.randrange(8, 200))

    def end(self):
        self.stage.wire.reset()


class RedisCut(Kind):
    """Its connections are reset at any byte."""

    def begin(self):
        self.stage.wire.add("cut", "reset_peer", "both", ms=self.stage.random.randrange(20, 200))

    def end(self):
        self.stage.wire.reset()


class LogCuts(Kind):
    """The connections for the primary's log are killed, again and again."""

    def begin(self):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.over.wait(0.3):
            self.rig.primary.drop_dump_threads(self.rig.env["MONITOR_USER"])

    def end(self):
        self.over.set()
        self.thread.join()


KINDS = {
    "redis_dead": RedisDead, "redis_stopped": RedisStopped, "redis_emptied": RedisEmptied, "redis_old": RedisOld,
    "redis_slow": RedisSlow, "redis_cut": RedisCut, "log_cuts": LogCuts,
    "switchover": Switchover, "second_writer": SecondWriter, "promotion": Promotion,
    "lossy_promotion": LossyPromotion, "frozen_promotion": FrozenPromotion,
    "lag": Lag, "one_lag": OneLag, "long_lag": LongLag, "applier": Applier, "all_appliers": AllAppliers, "receiver": Receiver,
    "stop_replica": StopReplica, "kill_replica": KillReplica, "kill_connections": KillConnections,
    "squeeze": Squeeze, "front_slices": FrontSlices, "back_slices": BackSlices, "front_late": FrontLate,
    "back_late": BackLate, "front_cuts": FrontCuts, "back_cuts": BackCuts, "primary_limits": PrimaryLimits,
    "reloads": Reloads, "restart": Restart,
}


class Nemesis(threading.Thread):
    """Runs kinds one after the other, with quiet between, until their time is over and a few have been.
    tell() is what the judge hears: `begin ID errors|calm`, `end ID`."""

    def __init__(self, stage, kinds, seconds, tell, fault=(1.5, 3.5), quiet=(0.5, 1.0), least=0):
        super().__init__()
        self.stage, self.kinds, self.tell = stage, kinds, tell
        self.until = time.monotonic() + seconds
        self.fault, self.quiet, self.least = fault, quiet, least
        self.over = threading.Event()
        self.did = []
        self.ended = time.monotonic()  # the last fault
        self.error = None

    def run(self):
        random = self.stage.random
        try:
            for i, name in enumerate(self.kinds):
                is_over = time.monotonic() > self.until and len(self.did) >= self.least
                if self.over.wait(random.uniform(*self.quiet)) or is_over:
                    return
                kind = KINDS[name](self.stage) if isinstance(name, str) else name
                self.tell(f"begin f{i} {kind.word()}")
                self.did.append(name if isinstance(name, str) else type(name).__name__)
                try:
                    kind.begin()
                    self.over.wait(min(random.uniform(*(kind.HOLD or self.fault)), max(1.0, self.until - time.monotonic())))
                finally:
                    kind.end()
                    self.tell(f"end f{i}")
                    self.ended = time.monotonic()
        except Exception as e:  # noqa: BLE001 - the run is over then, and says why
            self.error = e

    def finish(self):
        self.over.set()
        self.join(120)
        if self.error:
            raise self.error


def settled(rig, seconds=180):
    """Every server answers and both replicas replicate."""
    def good():
        for node in rig.replicas:
            status = node.replica_status()
            if status.get("io") != "Yes" or status.get("sql") != "Yes":
                return False
        return True
    wait_for("replicas replicate", good, seconds)
    rig.settle(seconds)
