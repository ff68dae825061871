# SPDX-License-Identifier: Apache-2.0
"""A primary, two replicas and a Redis in one base directory: up, down, status, wipe.

rig.env in the base directory says where everything is (ports, pids, sockets, users and their
passwords, mode 0600); it is the only thing that a test reads about a rig.
"""
import fcntl
import hashlib
import os
import random
import re
import secrets
import shutil
import time

import rigserver
from rigserver import RedisServer, RigError, SqlServer

REPO = os.path.dirname(os.path.dirname(rigserver.HERE))
DEMO_PORTS = {"PRIMARY_PORT": 23306, "REPLICA1_PORT": 23307, "REPLICA2_PORT": 23308, "REDIS_PORT": 26380}
PORT_KEYS = tuple(DEMO_PORTS)
DATABASES = ("demo", "sbtest", "test", "bar")
# users that tests log in with: name, what stands behind IDENTIFIED, and what follows, by flavour
AUTH_USERS = {
    "mariadb": (("u_native", "VIA mysql_native_password USING PASSWORD({pw})", ""),
                ("u_empty", "BY ''", ""),
                ("u_locked", "BY {pw}", "ACCOUNT LOCK"),
                ("u_expired", "BY {pw}", "PASSWORD EXPIRE"),
                ("u_tls", "BY {pw}", "REQUIRE SSL")),
    "mysql": (("u_sha2", "WITH caching_sha2_password BY {pw}", ""),
              ("u_empty", "BY ''", ""),
              ("u_locked", "BY {pw}", "ACCOUNT LOCK"),
              ("u_expired", "BY {pw}", "PASSWORD EXPIRE"),
              ("u_tls", "BY {pw}", "REQUIRE SSL")),
}


def quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def read_env(path):
    """The shell assignments of an env file as a dictionary; {} when there is none."""
    found = {}
    try:
        with open(path, encoding="utf-8") as f:
            for line in f:
                key, sep, value = line.rstrip("\n").partition("=")
                if sep:
                    found[key] = value.strip("'")
    except FileNotFoundError:
        pass
    return found


def write_env(path, values):
    """Values are of a kind that needs no quoting in a shell, or are put between single quotes."""
    new = path + ".new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        os.fchmod(fd, 0o600)
        for key, value in values.items():
            text = str(value)
            if "'" in text or "\n" in text:
                raise RigError(f"{key} cannot be written as a shell assignment")
            f.write(f"{key}={text}\n" if re.fullmatch(r"[\w./:@,-]*", text) else f"{key}='{text}'\n")
    os.rename(new, path)


def free_ports(count):
    """Ports that nobody listens on, below the range that outgoing connections take theirs from."""
    chosen = []
    while len(chosen) < count:
        port = random.SystemRandom().randrange(11000, 32000)
        if port not in chosen and port not in DEMO_PORTS.values() and rigserver.port_free(port):
            chosen.append(port)
    return chosen


class Cluster:
    def __init__(self, flavour, base):
        if flavour not in ("mariadb", "mysql"):
            raise RigError("the flavour is mariadb or mysql")
        if not os.path.isabs(base):
            raise RigError(f"the base directory must be absolute: {base}")
        self.flavour = flavour
        self.base = base
        self.root = os.path.join(base, flavour)
        self.env_path = os.path.join(self.root, "rig.env")
        if len(os.path.join(self.root, "replica1", "s")) > 100:
            raise RigError(f"the base directory is too long for a unix socket below it: {base}")
        self.nodes = [SqlServer(self.root, flavour, i) for i in range(3)]
        self.redis = RedisServer(self.root)
        self.env = read_env(self.env_path)
        self._take_ports()

    @property
    def primary(self):
        return self.nodes[0]

    @property
    def replicas(self):
        return self.nodes[1:]

    def _take_ports(self):
        for key, process in zip(PORT_KEYS, [*self.nodes, self.redis]):
            process.port = int(self.env.get(key) or 0) or None

    def lock(self):
        os.makedirs(self.root, exist_ok=True)
        for path in (self.base, self.root):
            os.chmod(path, 0o755)  # the servers run as another user and must get through
        handle = open(os.path.join(self.root, "lock"), "w", encoding="utf-8")
        fcntl.flock(handle, fcntl.LOCK_EX)
        self.env = read_env(self.env_path)
        self._take_ports()
        return handle

    def up(self, ports="free"):
        with self.lock():
            as_user, owner = rigserver.run_as()
            path = rigserver.template(self.flavour, as_user, owner)
            for attempt in range(4):
                running = [p for p in (*self.nodes, self.redis) if p.pid()]
                self._choose_ports(ports, running)
                try:
                    self._start(path, as_user, owner)
                    break
                except RigError as e:
                    # somebody else took a port between our look and the server's bind
                    taken = re.search(r"in use|bind on TCP|Can't start server: Bind|redis ended", str(e))
                    if ports != "free" or attempt == 3 or not taken:
                        raise
                    self._stop_all()
                    self.env = {k: v for k, v in self.env.items() if k not in PORT_KEYS}
            self._write()
            self._accounts()
            gtid = self.primary.gtid()
            for node in self.replicas:
                node.follow(self.primary.port, self.env["REPL_PASSWORD"])
            for node in self.replicas:
                # a receiver that has just lost its primary may be between two tries
                end = time.monotonic() + 30
                status = {}
                while time.monotonic() < end and (status.get("io") != "Yes" or status.get("sql") != "Yes"):
                    if gtid and node.wait_gtid(gtid, 30):
                        status = node.replica_status()
                    time.sleep(0.05)
                if status.get("io") != "Yes" or status.get("sql") != "Yes":
                    raise RigError(f"{node.name} does not replicate: {node.replica_status()}")
            self._write()

    def _choose_ports(self, ports, running):
        if ports == "demo":
            wanted = dict(DEMO_PORTS)
            if running and any(str(self.env.get(k)) != str(v) for k, v in wanted.items()):
                raise RigError(f"this rig already runs on other ports: take it down first ({self.base})")
        elif all(self.env.get(k) for k in PORT_KEYS):
            wanted = {k: int(self.env[k]) for k in PORT_KEYS}
        else:
            wanted = dict(zip(PORT_KEYS, free_ports(len(PORT_KEYS))))
        for (key, port), process in zip(wanted.items(), [*self.nodes, self.redis]):
            if process not in running and not rigserver.port_free(port):
                if ports == "demo":
                    raise RigError(f"port {port} ({key}) is in use by another program")
                if running:
                    raise RigError(f"port {port} of this rig was taken by another program")
                self.env = {k: v for k, v in self.env.items() if k not in PORT_KEYS}
                return self._choose_ports(ports, running)
        self.env.update({k: str(v) for k, v in wanted.items()})
        self._take_ports()
        return None

    def _start(self, path, as_user, owner):
        started = []
        for node in self.nodes:
            if not node.pid():
                node.prepare(path, owner)
                node.start(as_user)
            started.append(node)
        if not self.redis.pid():
            self.redis.prepare(owner)
            self.redis.start(as_user)
        for process in (*started, self.redis):
            process.wait_ready()

    def _write(self):
        env = {"FLAVOUR": self.flavour, "RIG_BASE": self.base, "RIG_ROOT": self.root}
        env.update({k: self.env[k] for k in PORT_KEYS})
        for node in self.nodes:
            name = node.name.upper()
            env[f"{name}_PID"] = node.pid() or ""
            env[f"{name}_SOCKET"] = node.socket
        env["REDIS_PID"] = self.redis.pid() or ""
        env["SERVER_CA"] = os.path.join(self.root, "ca.pem")
        # every node's certificate comes from the same template
        shutil.copyfile(os.path.join(self.primary.dir, "data", "ca.pem"), env["SERVER_CA"])
        env["SERVER_VERSION"] = self.primary.value("SELECT @@version")
        env["DB_USER"] = "demo"
        env["DB_NAME"] = "demo"
        env["MONITOR_USER"] = self.env.get("MONITOR_USER", "")
        env["ACCOUNTS"] = self.env.get("ACCOUNTS", "")
        env["AUTH_USERS"] = ",".join(u[0] for u in AUTH_USERS[self.flavour])
        for key in ("DB_PASSWORD", "MONITOR_PASSWORD", "REPL_PASSWORD", "AUTH_PASSWORD"):
            env[key] = self.env.get(key) or secrets.token_urlsafe(18)
        self.env = {k: str(v) for k, v in env.items()}
        write_env(self.env_path, self.env)

    def _accounts(self):
        """Repeatable, and nothing is written again unless something changed."""
        pw = {k: quote(self.env[k]) for k in ("DB_PASSWORD", "MONITOR_PASSWORD", "REPL_PASSWORD",
                                             "AUTH_PASSWORD")}
        sql = [f"CREATE DATABASE IF NOT EXISTS {d}" for d in DATABASES]
        sql += ["CREATE USER IF NOT EXISTS repl@'%'", f"ALTER USER repl@'%' IDENTIFIED BY {pw['REPL_PASSWORD']}",
                "GRANT REPLICATION SLAVE ON *.* TO repl@'%'",
                f"CREATE USER IF NOT EXISTS demo@'%' IDENTIFIED BY {pw['DB_PASSWORD']}",
                f"ALTER USER demo@'%' IDENTIFIED BY {pw['DB_PASSWORD']}"]
        sql += [f"GRANT ALL ON {d}.* TO demo@'%'" for d in DATABASES]
        for name, identified, more in AUTH_USERS[self.flavour]:
            sql += [f"DROP USER IF EXISTS {name}@'%'",
                    f"CREATE USER {name}@'%' IDENTIFIED {identified.format(pw=pw['AUTH_PASSWORD'])} {more}",
                    f"GRANT SELECT ON test.* TO {name}@'%'"]
        user, grants = self._monitor_grants()
        sql += [*grants, f"ALTER USER {user} IDENTIFIED BY {pw['MONITOR_PASSWORD']}"]
        # a root that may come in over TCP without a password is none of ours
        for row in self.primary.rows("SELECT user, host FROM mysql.user WHERE user IN ('root', '')"):
            name, host = row.values()
            if name == "" or host != "localhost":
                sql.append(f"DROP USER {quote(name)}@{quote(host)}")
        self.env["MONITOR_USER"] = user.split("@")[0].strip("'`\"")
        digest = hashlib.sha256("\n".join(sql).encode()).hexdigest()[:16]
        if self.env.get("ACCOUNTS") != digest:
            self.primary.execute(*sql)
            self.env["ACCOUNTS"] = digest

    def _monitor_grants(self):
        """The account of weir's monitor as the operator is told to make it."""
        path = os.path.join(REPO, "conf", f"grants-{self.flavour}.sql")
        try:
            with open(path, encoding="utf-8") as f:
                text = "\n".join(line for line in f.read().splitlines()
                                 if not line.lstrip().startswith("--"))
        except FileNotFoundError:
            grants = "SELECT, PROCESS, SHOW VIEW, SHOW DATABASES, REPLICATION CLIENT, REPLICATION SLAVE"
            if self.flavour == "mariadb":
                grants += ", REPLICA MONITOR"
            return "weir_monitor@'%'", ["CREATE USER IF NOT EXISTS weir_monitor@'%'",
                                        f"GRANT {grants} ON *.* TO weir_monitor@'%'"]
        statements = [s.strip() for s in text.split(";") if s.strip()]
        made = re.search(r"CREATE\s+USER\s+(?:IF\s+NOT\s+EXISTS\s+)?(\S+@\S+)", text, re.I)
        if not made:
            raise RigError(f"{path} makes no user")
        statements = [re.sub(r"CREATE\s+USER\s+(?!IF)", "CREATE USER IF NOT EXISTS ", s, flags=re.I)
                      for s in statements]
        user = made.group(1)
        # what that file leaves to the operator: the bodies of views, the binary log for the cache, and
        # (on MariaDB, where clients log in by mysql_native_password) the account table
        statements.append(f"GRANT REPLICATION SLAVE ON *.* TO {user}")
        statements += [f"GRANT SELECT ON {d}.* TO {user}" for d in DATABASES]
        if self.flavour == "mariadb":
            statements.append(f"GRANT SELECT ON mysql.global_priv TO {user}")
        return user, statements

    def status(self, out):
        """Print a line per process; 0 when everything is as it should be, else 3."""
        bad = 0
        for node in self.nodes:
            pid = node.pid()
            if not pid:
                out(f"{self.flavour} {node.name} port={node.port} down")
                bad = 3
                continue
            try:
                line = (f"{self.flavour} {node.name} port={node.port} pid={pid} "
                        f"version={node.value('SELECT @@version')} "
                        f"read_only={node.value('SELECT @@read_only')} gtid={node.gtid()}")
                if node.index:
                    s = node.replica_status()
                    line += f" io={s.get('io')} sql={s.get('sql')} behind={s.get('behind')}"
                    if s.get("io") != "Yes" or s.get("sql") != "Yes":
                        bad = 3
                out(line)
            except Exception as e:  # whatever the driver says
                out(f"{self.flavour} {node.name} port={node.port} pid={pid} no answer: {e}")
                bad = 3
        pid = self.redis.pid()
        out(f"redis port={self.redis.port} " + (f"pid={pid}" if pid else "down"))
        return bad if pid else 3

    def _stop_all(self, sig_kill=False):
        import signal
        if sig_kill:
            for process in (*self.nodes, self.redis):
                process.kill(signal.SIGKILL)
            for process in (*self.nodes, self.redis):
                process.wait_gone(10)
            return
        for node in self.replicas:
            node.kill(signal.SIGTERM)
        self.redis.stop(10)
        for node in self.replicas:
            node.stop()
        if self.primary.pid():
            try:
                self.primary.drop_dump_threads()
            except Exception:  # a server that does not answer is ended all the same
                pass
            self.primary.stop()

    def down(self):
        if os.path.isdir(self.root):
            with self.lock():
                self._stop_all()

    def wipe(self):
        if os.path.isdir(self.root):
            with self.lock():
                self._stop_all(sig_kill=True)
                known = os.path.exists(self.env_path) or os.path.isdir(self.primary.dir)
            if known:
                shutil.rmtree(self.root)
