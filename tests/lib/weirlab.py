# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests that need real servers: Rig, Weir, StatementLog, counters.

    with Rig("mariadb") as rig, Weir(rig) as weir:
        with weir.connect(database="test") as c: ...
        weir.metrics()["weir_..."]

Everything listens on 127.0.0.1 and free ports, lives in a directory of its own below /tmp, and is
gone when the block ends. Nothing here starts a database server: tests/rig/rig does.
"""
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import rigcluster
import rigserver

REPO = rigcluster.REPO
RIG = os.path.join(REPO, "tests", "rig", "rig")


def weir_binary():
    return os.environ.get("WEIR_BIN") or os.path.join(REPO, "build", "weir")


PATIENCE = 4  # a busy machine needs longer; who waits for an event loses nothing by it


def wait_for(what, check, seconds=10.0, pause=0.02):
    """Poll until check() is true and return its value; say what was missing otherwise. seconds: more
    than enough on a quiet machine."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


@contextlib.contextmanager
def environ(**names):
    """These in the environment of whatever is started meanwhile; None: not there."""
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ.update({name: value for name, value in names.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class Rig:
    """Servers of one flavour. With base the rig there is used and left as it was found."""

    def __init__(self, flavour, base=None):
        self.flavour = flavour
        self.is_ours = base is None
        self.base = base or tempfile.mkdtemp(prefix="weir-", dir="/tmp")
        self.cluster = None
        self.env = {}

    def __enter__(self):
        done = subprocess.run([RIG, "up", self.flavour, "--base", self.base], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            self.__exit__(None, None, None)
            raise RuntimeError(f"rig up {self.flavour}:\n{done.stdout}")
        self.cluster = rigcluster.Cluster(self.flavour, self.base)
        self.env = self.cluster.env
        return self

    def __exit__(self, *exc):
        if self.is_ours:
            subprocess.run([RIG, "wipe", self.flavour, "--base", self.base], check=False)
            shutil.rmtree(self.base, ignore_errors=True)

    @property
    def nodes(self):
        """The SqlServer objects: primary, replica1, replica2."""
        return self.cluster.nodes

    @property
    def primary(self):
        return self.cluster.primary

    @property
    def replicas(self):
        return self.cluster.replicas

    def port(self, index):
        return self.nodes[index].port

    def connect(self, index=0, **options):
        """As DB_USER, straight to a server, over TCP."""
        import pymysql
        options.setdefault("user", self.env["DB_USER"])
        options.setdefault("password", self.env["DB_PASSWORD"])
        return pymysql.connect(host="127.0.0.1", port=self.port(index), autocommit=True, **options)

    def settle(self, seconds=30):
        """Wait until both replicas have applied all that the primary has committed."""
        gtid = self.primary.gtid()
        for node in self.replicas:
            if gtid and not node.wait_gtid(gtid, seconds):
                raise AssertionError(f"{node.name} did not catch up within {seconds} s")


def merge(into, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value
    return into


class Weir:
    """A weir in front of a rig. settings are merged over the configuration below."""

    def __init__(self, rig, binary=None, wait_replicas=True, **settings):
        self.rig = rig
        self.binary = binary or weir_binary()
        self.wait_replicas = wait_replicas
        self.dir = tempfile.mkdtemp(prefix="weir-", dir="/tmp")
        self.port, self.http_port, self.admin_port = rigcluster.free_ports(3)
        self.socket = os.path.join(self.dir, "weir.sock")
        self.conf = os.path.join(self.dir, "weir.yaml")
        self.log_path = os.path.join(self.dir, "weir.log")
        self.settings = merge(self.defaults(), settings)
        self.process = None

    def defaults(self):
        return {
            "listeners": [{"address": f"127.0.0.1:{self.port}"}, {"address": f"unix:{self.socket}"}],
            "tls": {"dir": self.dir},
            "servers": [{"name": n.name, "address": f"127.0.0.1:{n.port}"} for n in self.rig.nodes],
            "monitor": {"user": self.rig.env["MONITOR_USER"], "password": self.rig.env["MONITOR_PASSWORD"]},
            "http": {"address": f"127.0.0.1:{self.http_port}"},
            "admin": {"address": f"127.0.0.1:{self.admin_port}", "users": [
                {"name": "ops", "role": "operate", "password": "ops secret"},
                {"name": "look", "role": "read", "password": "look secret"}]},
            # most tests are about where statements run, and know windows; fresh_real is about the default
            "read_after_write": {"mode": os.environ.get("WEIR_READ_AFTER_WRITE", "window")},
            "log": {"level": os.environ.get("WEIR_LOG_LEVEL", "info")},
        }

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exc):
        if self.process and self.process.poll() is None:
            self.stop(seconds=5)
        if os.environ.get("WEIR_KEEP_LOG"):
            shutil.copy(self.log_path, f"{os.environ['WEIR_KEEP_LOG']}.{os.getpid()}.{id(self)}")
        shutil.rmtree(self.dir, ignore_errors=True)

    def write_conf(self):
        import yaml
        fd = os.open(self.conf, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            yaml.safe_dump(self.settings, f, sort_keys=False)

    def start(self):
        self.write_conf()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.binary, "--config", self.conf], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        wait_for("weir listens", self._is_up, 15)
        if self.wait_replicas:
            wait_for("weir sees its servers", self._sees_servers, 15)

    def _is_up(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"weir ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def _sees_servers(self):
        """A read goes to a replica, the catalogue is there, and mode auto has heard of the primary's GTIDs."""
        import pymysql
        try:
            text = self.explain("SELECT 1")
        except (pymysql.MySQLError, OSError):
            return False
        by_window = self.settings["read_after_write"]["mode"] == "auto" and "freshness\twindow" in text
        return "target\treplica" in text and "catalogue\t0" not in text and not by_window

    def stop(self, seconds=15):
        """SIGTERM and the exit status; a weir that does not end is killed and that is an error."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"weir did not end within {seconds} s of SIGTERM") from None

    def endpoint(self):
        """Where a client connects, as the driver suite wants it."""
        return {"host": "127.0.0.1", "port": self.port, "socket": self.socket,
                "ca": os.path.join(self.dir, "server-cert.pem")}

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def connect(self, **options):
        """As DB_USER, through weir."""
        import pymysql
        options.setdefault("user", self.rig.env["DB_USER"])
        options.setdefault("password", self.rig.env["DB_PASSWORD"])
        options.setdefault("autocommit", True)
        options.setdefault("connect_timeout", 10)
        return pymysql.connect(host="127.0.0.1", port=self.port, **options)

    def connect_admin(self, user="ops", password=None, **options):
        """As an operator, at the admin listener."""
        import pymysql
        return pymysql.connect(host="127.0.0.1", port=self.admin_port, user=user,
                               password=password or f"{user} secret", connect_timeout=10, **options)

    def admin(self, statement, user="ops"):
        """Rows of one admin statement, each a dict."""
        import pymysql
        with self.connect_admin(user) as c, c.cursor(pymysql.cursors.DictCursor) as cur:
            cur.execute(statement)
            return list(cur.fetchall())

    def explain(self, sql, connection=None, **options):
        """What EXPLAIN ROUTE says, as one text."""
        c = connection or self.connect(**options)
        try:
            with c.cursor() as cur:
                cur.execute("EXPLAIN ROUTE " + sql)
                return "\n".join("\t".join(str(v) for v in row) for row in cur.fetchall())
        finally:
            if connection is None:
                c.close()

    def http(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=20) as r:
            return r.read().decode()

    def metrics(self):
        return parse_metrics(self.http("/metrics"))

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def parse_metrics(text):
    """Prometheus text as {'name': sum over labels, 'name{labels}': value}."""
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        key, _, value = line.rpartition(" ")
        found[key] = float(value)
        name = key.split("{")[0]
        if name != key:
            found[name] = found.get(name, 0.0) + float(value)
    return found


def counters(rig, names=("Com_select", "Com_insert", "Com_update", "Com_delete", "Questions")):
    """{server: {name: value}} as the servers count, monitors and all included."""
    return {n.name: {r["Variable_name"]: int(r["Value"]) for r in n.rows("SHOW GLOBAL STATUS")
                     if r["Variable_name"] in names} for n in rig.nodes}


class StatementLog:
    """What each server was sent, out of its own general log, while the block runs.

    entries() gives {server: [(user, kind, text)]}; kind is Query, Execute, Prepare, Init DB, ...
    Monitors and replication are left out unless users says otherwise.
    """

    LINE = re.compile(rb"^[^\t]*\t+ *(\d+) (Query|Execute|Prepare|Connect|Init DB|Change user|Quit|Kill"
                      rb"|Reset connection|Reset stmt|Close stmt|Field List|Statistics|Ping|Set option"
                      rb"|Long Data|Fetch|Processlist|Refresh|Debug|Binlog Dump[^\t]*|Register Slave)"
                      rb"(?:\t(.*))?$", re.S)

    def __init__(self, nodes, users=("demo",)):
        self.nodes = nodes
        self.users = users
        self.start = {}
        self.who = {}

    def __enter__(self):
        for n in self.nodes:
            n.execute("SET GLOBAL general_log = ON")
            self.start[n.name] = os.path.getsize(n.general_log)
            self.who[n.name] = {str(r["id"]): r["user"] for r in n.rows(
                "SELECT id AS id, user AS user FROM information_schema.processlist")}
        return self

    def __exit__(self, *exc):
        for n in self.nodes:
            try:
                n.execute("SET GLOBAL general_log = OFF")
            except Exception:  # a test may have ended the server
                pass

    def mark(self):
        """A place in the logs to look from later."""
        return {n.name: os.path.getsize(n.general_log) for n in self.nodes}

    def entries(self, since=None):
        found = {n.name: [] for n in self.nodes}
        for name, at, _, user, kind, text in self.lines():
            if at >= (since or self.start)[name]:
                found[name].append((user, kind, text))
        return found

    def lines(self):
        """(server, place in its log, its thread, user, kind, text), a server's in their order."""
        for n in self.nodes:
            who = dict(self.who[n.name])
            for at, conn, kind, text in self._lines(n):
                if kind in ("Connect", "Change user"):
                    who[conn] = text.split("@")[0]
                if who.get(conn) in self.users:
                    yield n.name, at, conn, who[conn], kind, text

    def _lines(self, node):
        with open(node.general_log, "rb") as f:
            f.seek(self.start[node.name])
            current = None
            at = self.start[node.name]
            for line in f:
                begin, at = at, at + len(line)
                m = self.LINE.match(line.rstrip(b"\n"))
                if m:
                    if current:
                        yield current
                    current = (begin, m[1].decode(), m[2].decode(), (m[3] or b"").decode(errors="replace"))
                elif current:  # a statement with line ends in it
                    current = (*current[:3], current[3] + "\n" + line.rstrip(b"\n").decode(errors="replace"))
            if current:
                yield current

    def where(self, text, kinds=("Query", "Execute", "Init DB"), since=None):
        """Names of the servers that were sent exactly this statement, one for each time."""
        return [name for name, entries in self.entries(since).items()
                for _, kind, seen in entries if kind in kinds and seen.strip() == text.strip()]
