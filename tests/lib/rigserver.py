# SPDX-License-Identifier: Apache-2.0
"""One server of the rig: a mysqld, a mariadbd or a redis-server that this rig started.

Nothing here is durable: no fsync, no doublewrite. A process is ours when its pid, its start time
and its command line are the ones written down when it was started; only such a one is ended.
"""
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SID_RUN = os.path.join(os.path.dirname(HERE), "rig", "sid-run")
MAX_CONNECTIONS = 4200  # 2,000 weir clients, as many direct ones beside them, and monitors


class RigError(Exception):
    """Something that the caller should print and end with."""


def run_as():
    """Prefix of a command that leaves root behind, and the (uid, gid) it runs as."""
    if os.getuid() != 0:
        return [], (os.getuid(), os.getgid())
    for name in ("mysql", "nobody"):
        try:
            who = pwd.getpwnam(name)
        except KeyError:
            continue
        return (["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--"],
                (who.pw_uid, who.pw_gid))
    raise RigError("neither a user mysql nor nobody to run the servers as")


def cache_dir():
    """Where templates of data directories and package caches are kept, outside the repository."""
    for path in (os.environ.get("WEIR_CACHE"), "/var/cache/weir", os.path.expanduser("~/.cache/weir")):
        if not path:
            continue
        try:
            os.makedirs(path, exist_ok=True)
        except OSError:
            continue
        if os.access(path, os.W_OK):
            return path
    raise RigError("no directory to cache templates in: set WEIR_CACHE")


def sid_dir():
    return subprocess.run([SID_RUN, "--dir"], check=True, capture_output=True, text=True).stdout.strip()


def proc_start(pid):
    """Start time of a process in clock ticks, or None: pids are reused, (pid, start) is not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return int(f.read().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def proc_is(pid, start, marker):
    """Is this the process that was written down: same start time, marker among its arguments."""
    if not pid or proc_start(pid) != start:
        return False
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return marker.encode() in f.read().split(b"\0")
    except OSError:
        return False


def port_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Process:
    """A daemon with a directory of its own, a pid file written by us and a marker argument."""

    def __init__(self, root, name):
        self.dir = os.path.join(root, name)
        self.name = name
        self.note = os.path.join(self.dir, "process.json")

    def recorded(self):
        try:
            with open(self.note, encoding="utf-8") as f:
                return json.load(f)
        except (OSError, ValueError):
            return {}

    def pid(self):
        note = self.recorded()
        if note and proc_is(note["pid"], note["start"], note["marker"]):
            return note["pid"]
        return None

    def spawn(self, argv, marker, as_user):
        log = open(os.path.join(self.dir, "out.log"), "ab")
        raise_limits = "ulimit -n 65536 2>/dev/null || ulimit -n $(ulimit -Hn); exec \"$@\""
        with log:
            child = subprocess.Popen(["sh", "-c", raise_limits, "sh", *as_user, *argv], cwd=self.dir,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        note = {"pid": child.pid, "start": proc_start(child.pid), "marker": marker}
        with open(self.note + ".new", "w", encoding="utf-8") as f:
            json.dump(note, f)
        os.rename(self.note + ".new", self.note)
        self.child = child
        return child.pid

    def is_alive(self):
        """Alive, also before exec has given the process its command line."""
        child = getattr(self, "child", None)
        return child.poll() is None if child else self.pid() is not None

    def kill(self, sig):
        pid = self.pid()
        if pid:
            os.kill(pid, sig)
        return pid

    def wait_gone(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            child = getattr(self, "child", None)
            if child:
                child.poll()
            if self.pid() is None:
                return True
            time.sleep(0.02)
        return False

    def stop(self, seconds=30):
        if self.kill(signal.SIGTERM) and not self.wait_gone(seconds):
            self.kill(signal.SIGKILL)
            self.wait_gone(10)


class SqlServer(Process):
    """A node of the cluster: index 0 is the primary."""

    NAMES = ("primary", "replica1", "replica2")

    def __init__(self, root, flavour, index):
        super().__init__(root, self.NAMES[index])
        self.flavour = flavour
        self.index = index
        self.port = None
        self.socket = os.path.join(self.dir, "s")
        self.cnf = os.path.join(self.dir, "my.cnf")
        self.marker = f"--defaults-file={self.cnf}"
        self.general_log = os.path.join(self.dir, "general.log")

    def settings(self):
        common = {
            "datadir": f"{self.dir}/data", "socket": self.socket, "pid-file": f"{self.dir}/pid",
            "log-error": f"{self.dir}/err.log", "tmpdir": f"{self.dir}/tmp",
            "secure-file-priv": f"{self.dir}/tmp", "general-log-file": self.general_log,
            "general-log": "OFF", "log-output": "FILE", "port": self.port,
            "bind-address": "127.0.0.1", "server-id": self.index + 1, "report-host": "127.0.0.1",
            "report-port": self.port, "skip-name-resolve": "ON", "log-bin": "binlog",
            "relay-log": "relay", "relay-log-recovery": "ON", "max-connections": MAX_CONNECTIONS,
            "max-connect-errors": 1000000, "back-log": 2000, "table-open-cache": 2000,
            "open-files-limit": 30000, "character-set-server": "utf8mb4",
            "max-allowed-packet": "64M", "local-infile": "OFF",
            "log-bin-trust-function-creators": "ON", "innodb-buffer-pool-size": "192M",
            "innodb-flush-log-at-trx-commit": 2, "innodb-doublewrite": "OFF", "sync-binlog": 0,
            "max-binlog-size": "256M",
        }
        if self.flavour == "mysql":
            usr = sid_dir() + "/usr"
            common.update({
                "basedir": usr, "plugin-dir": f"{usr}/lib/mysql/plugin",
                "lc-messages-dir": f"{usr}/share/mysql",
                "character-sets-dir": f"{usr}/share/mysql/charsets", "mysqlx": "OFF",
                "gtid-mode": "ON", "enforce-gtid-consistency": "ON", "log-replica-updates": "ON",
                "binlog-row-image": "FULL", "binlog-expire-logs-seconds": 86400,
                "innodb-redo-log-capacity": "96M", "replica-parallel-workers": 2,
                "replica-preserve-commit-order": "ON",
                # the applier timestamps that weir's monitor reads the lag from
                "performance-schema": "ON",
                # and not its history: 500 MB resident per node became 285
                "performance-schema-digests-size": 1000, "innodb-log-buffer-size": "8M",
                "performance-schema-events-statements-history-long-size": 100,
                "performance-schema-events-transactions-history-long-size": 100,
                "performance-schema-events-waits-history-long-size": 100,
                "performance-schema-error-size": 0, "performance-schema-max-memory-classes": 0,
            })
            if self.index:
                common.update({"read-only": "ON", "super-read-only": "ON"})
        else:
            common.update({
                "binlog-format": "ROW", "gtid-strict-mode": "ON", "gtid-domain-id": 0,
                "log-slave-updates": "ON", "expire-logs-days": 1, "innodb-log-file-size": "96M",
                "performance-schema": "OFF", "ssl-ca": f"{self.dir}/data/ca.pem",
                "ssl-cert": f"{self.dir}/data/server-cert.pem",
                "ssl-key": f"{self.dir}/data/server-key.pem",
            })
            if self.index:
                common["read-only"] = "ON"
        return common

    def prepare(self, template, owner):
        os.makedirs(os.path.join(self.dir, "tmp"), exist_ok=True)
        data = os.path.join(self.dir, "data")
        if not os.path.exists(os.path.join(data, "ready")):
            shutil.rmtree(data, ignore_errors=True)
            subprocess.run(["cp", "-a", "--reflink=auto", "--sparse=always", template, data], check=True)
        with open(self.cnf, "w", encoding="utf-8") as f:
            f.write("[mysqld]\n" + "".join(f"{k}={v}\n" for k, v in self.settings().items()))
        # 0700: root comes in by the socket without a password, and only its owner reaches it
        for path in (self.dir, os.path.join(self.dir, "tmp")):
            os.chown(path, *owner)
            os.chmod(path, 0o700)

    def start(self, as_user):
        for name in ("s", "s.lock", "pid"):
            try:
                os.unlink(os.path.join(self.dir, name))
            except FileNotFoundError:
                pass
        program = [SID_RUN, "mysqld"] if self.flavour == "mysql" else [mariadbd()]
        self.spawn([*program, self.marker], self.marker, as_user)

    def error_tail(self, lines=12):
        try:
            with open(os.path.join(self.dir, "err.log"), encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""

    def connect(self, **more):
        """As root, over the unix socket."""
        import pymysql
        return pymysql.connect(unix_socket=self.socket, user="root", autocommit=True,
                               connect_timeout=20, **more)

    def wait_ready(self, seconds=90):
        import pymysql
        end = time.monotonic() + seconds
        while True:
            try:
                self.connect().close()
                return
            except (pymysql.MySQLError, OSError) as e:
                if not self.is_alive():
                    raise RigError(f"{self.name} ended at once:\n{self.error_tail()}") from e
                if time.monotonic() > end:
                    raise RigError(f"{self.name} does not answer: {e}\n{self.error_tail()}") from e
                time.sleep(0.05)

    def rows(self, sql, *args):
        """Rows of one statement as dictionaries."""
        import pymysql
        with self.connect(cursorclass=pymysql.cursors.DictCursor) as c, c.cursor() as cur:
            cur.execute(sql, args or None)
            return list(cur.fetchall())

    def value(self, sql, *args):
        rows = self.rows(sql, *args)
        return next(iter(rows[0].values())) if rows else None

    def execute(self, *statements):
        with self.connect() as c, c.cursor() as cur:
            for sql in statements:
                cur.execute(sql)

    def gtid(self):
        if self.flavour == "mysql":
            return self.value("SELECT @@global.gtid_executed").replace("\n", "")
        return self.value("SELECT @@global.gtid_current_pos")

    def replica_status(self):
        """One dictionary with the same keys on both flavours, or {} on a primary."""
        rows = self.rows("SHOW REPLICA STATUS")
        if not rows:
            return {}
        r = rows[0]
        if self.flavour == "mysql":
            return {"io": r["Replica_IO_Running"], "sql": r["Replica_SQL_Running"],
                    "behind": r["Seconds_Behind_Source"],
                    "error": r["Last_IO_Error"] or r["Last_SQL_Error"]}
        return {"io": r["Slave_IO_Running"], "sql": r["Slave_SQL_Running"],
                "behind": r["Seconds_Behind_Master"], "error": r["Last_IO_Error"] or r["Last_SQL_Error"]}

    def wait_gtid(self, gtid, seconds=30):
        """Has this replica applied everything in gtid within so many seconds."""
        if self.flavour == "mysql":
            return self.value(f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{gtid}', {seconds})") == 0
        return self.value(f"SELECT MASTER_GTID_WAIT('{gtid}', {seconds})") == 0

    def follow(self, primary_port, password):
        status = self.replica_status()
        if status.get("io") == "Yes" and status.get("sql") == "Yes":
            return
        if self.flavour == "mysql":
            self.execute("STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', "
                         f"SOURCE_PORT={primary_port}, SOURCE_USER='repl', "
                         f"SOURCE_PASSWORD='{password}', SOURCE_AUTO_POSITION=1, "
                         "GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1, "
                         "SOURCE_RETRY_COUNT=864000", "START REPLICA")
        else:
            self.execute("STOP SLAVE", "CHANGE MASTER TO MASTER_HOST='127.0.0.1', "
                         f"MASTER_PORT={primary_port}, MASTER_USER='repl', "
                         f"MASTER_PASSWORD='{password}', MASTER_USE_GTID=slave_pos, "
                         "MASTER_CONNECT_RETRY=1", "START SLAVE")

    def drop_dump_threads(self, user="%"):
        """A left-over dump thread would hold a primary's shutdown for ten seconds."""
        for r in self.rows("SELECT id FROM information_schema.processlist "
                           f"WHERE command LIKE 'Binlog Dump%' AND user LIKE '{user}'"):
            try:
                self.execute(f"KILL {next(iter(r.values()))}")
            except Exception:  # it ended by itself
                pass


class RedisServer(Process):
    def __init__(self, root):
        super().__init__(root, "redis")
        self.port = None
        self.cnf = os.path.join(self.dir, "redis.conf")

    def prepare(self, owner):
        os.makedirs(self.dir, exist_ok=True)
        with open(self.cnf, "w", encoding="utf-8") as f:
            f.write(f"bind 127.0.0.1\nport {self.port}\ndir {self.dir}\nsave \"\"\nappendonly no\n"
                    f"maxclients 4000\nmaxmemory 256mb\nset-proc-title no\n"
                    f"logfile {self.dir}/redis.log\n")
        os.chown(self.dir, *owner)

    def start(self, as_user):
        self.spawn(["redis-server", self.cnf], self.cnf, as_user)

    def wait_ready(self, seconds=15):
        end = time.monotonic() + seconds
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
                    s.sendall(b"PING\r\n")
                    if s.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            if not self.is_alive():
                raise RigError("redis ended at once")
            if time.monotonic() > end:
                raise RigError("redis does not answer")
            time.sleep(0.02)


def mariadbd():
    for path in ("/usr/sbin/mariadbd", "/usr/sbin/mysqld"):
        if os.access(path, os.X_OK):
            return path
    raise RigError("no mariadbd: install mariadb-server")


def version_of(flavour):
    program = [SID_RUN, "mysqld"] if flavour == "mysql" else [mariadbd()]
    try:
        out = subprocess.run([*program, "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as e:
        raise RigError(f"no server program for {flavour}: {e}") from e
    return out.split("Ver ")[1].split()[0]


def make_certificates(data):
    """A CA and a server certificate, under the names that MySQL gives its own."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=data)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=rig CA",
            "-keyout", "ca-key.pem", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=rig server",
            "-keyout", "server-key.pem", "-out", "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
            "-CAcreateserial", "-days", "3650", "-out", "server-cert.pem")


def template(flavour, as_user, owner):
    """An initialised data directory that every node's is copied from; made once per version."""
    import fcntl
    path = os.path.join(cache_dir(), f"data-{flavour}-{version_of(flavour)}-{owner[0]}")
    ready = os.path.join(path, "ready")
    with open(path + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(ready):
            return path
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        os.chown(path, *owner)
        if flavour == "mysql":
            usr = sid_dir() + "/usr"
            argv = [SID_RUN, "mysqld", "--no-defaults", "--initialize-insecure", f"--datadir={path}",
                    f"--basedir={usr}", f"--lc-messages-dir={usr}/share/mysql",
                    f"--character-sets-dir={usr}/share/mysql/charsets",
                    f"--plugin-dir={usr}/lib/mysql/plugin", "--skip-log-bin",
                    "--innodb-doublewrite=OFF", "--innodb-redo-log-capacity=96M"]
        else:
            argv = ["mariadb-install-db", "--no-defaults", f"--datadir={path}",
                    "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-log-bin",
                    "--innodb-log-file-size=96M"]
        done = subprocess.run([*as_user, *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, cwd="/", check=False)
        if done.returncode:
            raise RigError(f"cannot initialise a data directory:\n{done.stdout[-2000:]}")
        if flavour == "mariadb":
            make_certificates(path)
        if os.path.exists(os.path.join(path, "auto.cnf")):
            os.unlink(os.path.join(path, "auto.cnf"))  # every node makes its own identity
        with open(ready, "w", encoding="utf-8"):
            pass
        for name in os.listdir(path):
            if os.path.isfile(os.path.join(path, name)):
                os.chown(os.path.join(path, name), *owner)
        return path
