# SPDX-License-Identifier: Apache-2.0
"""demo.py mariadb|mysql [statements|failover], demo.py stop: what tests/demo does once weir is built."""
import os
import secrets
import signal
import socket
import subprocess
import sys
import textwrap
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
import data  # noqa: E402
import failover  # noqa: E402
import rigcluster  # noqa: E402
import rigserver  # noqa: E402
from prepared import execute_prepared  # noqa: E402
from statements import SESSIONS  # noqa: E402
from weirlab import REPO, RIG, StatementLog, wait_for, weir_binary  # noqa: E402

WEIR_PORT = 3310
HTTP_PORT = 9310
ADMIN_PORT = 3311
ADMIN_USER = "ops"
ENV = os.path.join(REPO, "build", "demo.env")
CONF = os.path.join(REPO, "build", "demo.yaml")
BINARY = weir_binary()
DRAIN_SECONDS = 5


class DemoError(Exception):
    pass


def base_dir():
    return os.path.join(rigserver.cache_dir(), "demo")


def parted(flavour):
    return os.path.join(base_dir(), f"{flavour}.parted")


def wipe(flavour):
    subprocess.run([RIG, "wipe", flavour, "--base", base_dir()], check=False)
    if os.path.exists(parted(flavour)):
        os.unlink(parted(flavour))


class Daemon(rigserver.Process):
    """weir itself; known again by pid, start time and the path of its configuration."""

    def __init__(self):
        super().__init__(base_dir(), "weir")
        os.makedirs(self.dir, exist_ok=True)
        self.log = os.path.join(self.dir, "out.log")
        self.socket = os.path.join(self.dir, "weir.sock")
        self.tls = os.path.join(self.dir, "tls")
        self.admin_password = os.path.join(self.dir, "admin.password")

    def begin(self):
        for port in (WEIR_PORT, HTTP_PORT, ADMIN_PORT):
            if not rigserver.port_free(port):
                raise DemoError(f"port {port} is in use by another program")
        if os.path.exists(self.log):
            os.rename(self.log, self.log + ".old")
        self.spawn([BINARY, "--config", CONF], CONF, [])
        wait_for("weir listens", self._listens, 20)

    def _listens(self):
        if self.child.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                raise DemoError(f"weir ended with {self.child.returncode}:\n{f.read()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", WEIR_PORT), timeout=1).close()
            return True
        except OSError:
            return False

    def end(self):
        self.stop(DRAIN_SECONDS + 5)


def write_private(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        os.fchmod(fd, 0o600)
        f.write(text)


def write_conf(cluster, daemon):
    secret = os.path.join(daemon.dir, "monitor.password")
    write_private(secret, cluster.env["MONITOR_PASSWORD"])
    write_private(daemon.admin_password, secrets.token_hex(12))
    os.makedirs(daemon.tls, exist_ok=True)
    servers = "".join(f'  - {{name: {n.name}, address: "127.0.0.1:{n.port}"}}\n' for n in cluster.nodes)
    write_private(CONF, f"""# The demo's configuration, written by tests/demo. conf/weir.yaml has every setting.
listeners:
  - {{address: "127.0.0.1:{WEIR_PORT}"}}
  - {{address: "unix:{daemon.socket}"}}
servers:
{servers}monitor:
  user: {cluster.env["MONITOR_USER"]}
  password_file: {secret}
{"users: {source: [passthrough, server]}" if cluster.flavour == "mariadb" else "users: {source: passthrough}"}
tls: {{dir: {daemon.tls}}}
http: {{address: "127.0.0.1:{HTTP_PORT}"}}
redis: {{address: "127.0.0.1:{cluster.env["REDIS_PORT"]}"}}
admin:
  address: "127.0.0.1:{ADMIN_PORT}"
  users: [{{name: {ADMIN_USER}, role: operate, password_file: {daemon.admin_password}}}]
drain: {{timeout: {DRAIN_SECONDS}s}}
""")


def certificate(daemon):
    """What a client that verifies has to trust: weir's own certificate, made at its first start."""
    path = os.path.join(daemon.tls, "server-cert.pem")
    return path if os.path.exists(path) else ""


def admin_password(daemon):
    with open(daemon.admin_password, encoding="ascii") as f:
        return f.read()


def write_env(cluster, daemon):
    env = cluster.env
    rigcluster.write_env(ENV, {
        "WEIR_HOST": "127.0.0.1", "WEIR_PORT": WEIR_PORT, "WEIR_SOCKET": daemon.socket,
        "WEIR_TLS_CA": certificate(daemon), "PRIMARY_PORT": env["PRIMARY_PORT"],
        "REPLICA1_PORT": env["REPLICA1_PORT"], "REPLICA2_PORT": env["REPLICA2_PORT"],
        "REDIS_PORT": env["REDIS_PORT"], "ADMIN_PORT": ADMIN_PORT, "HTTP_PORT": HTTP_PORT,
        "DB_USER": env["DB_USER"], "DB_PASSWORD": env["DB_PASSWORD"], "DB_NAME": env["DB_NAME"],
        "FLAVOUR": cluster.flavour, "ADMIN_USER": ADMIN_USER, "ADMIN_PASSWORD": admin_password(daemon),
        "WEIR_PID": daemon.pid() or "", "PRIMARY_PID": env["PRIMARY_PID"],
        "REPLICA1_PID": env["REPLICA1_PID"], "REPLICA2_PID": env["REPLICA2_PID"], "WEIR_CONF": CONF})


def connect(cluster, **options):
    import pymysql
    return pymysql.connect(host="127.0.0.1", port=WEIR_PORT, user=cluster.env["DB_USER"],
                           password=cluster.env["DB_PASSWORD"], database="demo", autocommit=True,
                           connect_timeout=10, **options)


def explain(connection, sql):
    """EXPLAIN ROUTE as (target, server, [reasons]); target is "either" when that depends on which replica has, or gets in
    time, what the read must see."""
    with connection.cursor() as cur:
        cur.execute("EXPLAIN ROUTE " + sql)
        rows = [(str(k), str(v)) for k, v in cur.fetchall()]
    said = dict(rows)
    reasons = [v for k, v in rows if k.startswith("step") or k == "first"]
    is_open = "first" in said or any("it waits until" in r for r in reasons)
    return ("either" if is_open else said["target"]), said["server"], reasons


def is_ready(cluster):
    import pymysql
    try:
        with connect(cluster) as c:
            return explain(c, "SELECT id FROM devices WHERE id = 1")[0] == "replica"
    except (pymysql.MySQLError, OSError, KeyError):
        return False


def run_statement(connection, sql, kind):
    """Run it; an error of the server's is an answer too. Returns how it ended, in a few words."""
    import pymysql
    try:
        if kind == "prepared":
            return f"{execute_prepared(connection, sql, [7] if '?' in sql else [])} rows"
        with connection.cursor() as cur:
            cur.execute(sql)
            count = len(cur.fetchall()) if cur.description else cur.rowcount
            while cur.nextset():
                pass
            return f"{count} rows"
    except pymysql.MySQLError as e:
        return f"error {e.args[0]}"


def agrees(target, server, saw, where):
    """Did it run where weir said, and where it belongs: complaints, or []."""
    wrong = []
    place = {"primary": {"primary"}, "replica": {"replica1", "replica2"}, "either": {"primary", "replica1", "replica2"}}
    if not saw or len(set(saw)) != 1 or len(saw) > 1:
        return [f"the servers saw it {len(saw)} times: {', '.join(saw) or 'none did'}"]
    # which replica a read takes is drawn anew for each; that it is a replica is not
    allowed = place.get(target, {server})
    if saw[0] not in allowed:
        wrong.append(f"weir said {target}, {saw[0]} ran it")
    where = "either" if where == "replica" and target == "either" else where
    if where is not None and saw[0] not in place.get(where, {where}):
        wrong.append(f"it belongs on {where}")
    return wrong


def seen_text(sql, kind):
    return sql.replace("?", "7") if kind == "prepared" else sql


def show(cluster, say):
    """Every statement: what weir said, what the servers saw. Returns (statements, differences)."""
    total = bad = 0
    spread = {}
    with StatementLog(cluster.nodes, (cluster.env["DB_USER"],)) as log:
        for title, statements in SESSIONS:
            say(f"\n-- {title}")
            with connect(cluster) as c:
                for sql, kind, where in statements:
                    total += 1
                    target, server, reasons = explain(c, sql)
                    before = log.mark()
                    ended = run_statement(c, sql, kind)
                    saw = log.where(seen_text(sql, kind), since=before)
                    wrong = agrees(target, server, saw, where)
                    bad += bool(wrong)
                    for name in saw:
                        spread[name] = spread.get(name, 0) + 1
                    say(("   " if not wrong else "!! ") + textwrap.shorten(sql, 100)
                        + (" [prepared]" if kind == "prepared" else ""))
                    say(f"        servers saw: {', '.join(saw) or 'nothing':10}  weir said: {target}  ({ended})")
                    say(textwrap.fill("why: " + "; ".join(reasons), 110, initial_indent=" " * 8,
                                      subsequent_indent=" " * 13))
                    for complaint in wrong:
                        say(f"        DIFFERENT: {complaint}")
    say("\nexecuted by: " + ", ".join(f"{k} {v}" for k, v in sorted(spread.items())))
    return total, bad


def stop():
    daemon = Daemon()
    pid = daemon.pid()
    daemon.end()
    print(f"weir {'(pid %d) stopped' % pid if pid else 'was not running'}")
    for flavour in ("mariadb", "mysql"):
        if os.path.isdir(os.path.join(base_dir(), flavour)):
            subprocess.run([RIG, "down", flavour, "--base", base_dir()], check=True)
            print(f"{flavour} servers stopped")
    for path in (ENV, CONF):
        if os.path.exists(path):
            os.unlink(path)
    return 0


def admin_events(daemon):
    import pymysql
    with pymysql.connect(host="127.0.0.1", port=ADMIN_PORT, user=ADMIN_USER, password=admin_password(daemon),
                         cursorclass=pymysql.cursors.DictCursor) as c, c.cursor() as cur:
        cur.execute("SHOW EVENTS")
        return list(cur.fetchall())


def show_failover(cluster, daemon):
    """Returns (switchovers, complaints), as show() does. One that does not come to its end leaves servers behind that
    have parted: the next demo makes them anew."""
    write_private(parted(cluster.flavour), "")
    wrong = failover.show(cluster, lambda: connect(cluster), lambda: admin_events(daemon),
                          lambda text: print(text, flush=True))
    for complaint in wrong:
        print(f"   DIFFERENT: {complaint}")
    if not wrong:
        os.unlink(parted(cluster.flavour))
    return 2, len(wrong)


def start(flavour, what):
    began = time.monotonic()
    print(f"== servers: {flavour}", flush=True)
    other = "mysql" if flavour == "mariadb" else "mariadb"
    daemon = Daemon()
    daemon.end()
    if os.path.isdir(os.path.join(base_dir(), other)):
        subprocess.run([RIG, "down", other, "--base", base_dir()], check=True)
    if os.path.exists(parted(flavour)):
        wipe(flavour)
    up = [RIG, "up", flavour, "--base", base_dir(), "--ports", "demo"]
    if subprocess.run(up, check=False).returncode:
        print("demo: once more, with new servers", flush=True)
        wipe(flavour)
        if subprocess.run(up, check=False).returncode:
            raise DemoError("the servers did not start")
    cluster = rigcluster.Cluster(flavour, base_dir())
    print("== weir", flush=True)
    write_conf(cluster, daemon)
    subprocess.run([BINARY, "check", CONF], check=True, stdout=subprocess.DEVNULL)
    daemon.begin()
    print(f"listens on 127.0.0.1:{WEIR_PORT} and {daemon.socket}, pid {daemon.pid()}")
    write_env(cluster, daemon)
    print("== data, through weir", flush=True)
    with connect(cluster) as c:
        print(f"{data.load(c)} rows of {data.DEVICES} devices")
    gtid = cluster.primary.gtid()
    for node in cluster.replicas:
        node.wait_gtid(gtid, 30)
    # a table is read from replicas once weir's catalogue knows it
    wait_for("weir reads from its replicas", lambda: is_ready(cluster), 40, 0.2)
    if what == "failover":
        print("== the primary changes", flush=True)
        total, bad = show_failover(cluster, daemon)
        summary = f"{total} switchovers, {bad or 'no'} complaints"
    else:
        print("== statements", flush=True)
        total, bad = show(cluster, print)
        summary = f"{total} statements, {total - bad} ran where weir said and where they belong, {bad} did not"
    write_env(cluster, daemon)
    print(f"\n{summary}; {time.monotonic() - began:.0f} s")
    print(f"\nRunning: weir on port {WEIR_PORT}, metrics http://127.0.0.1:{HTTP_PORT}/metrics; "
          f"{os.path.relpath(ENV, REPO)} has users and ports.\n"
          f"  . build/demo.env; mariadb -h $WEIR_HOST -P $WEIR_PORT -u $DB_USER -p\"$DB_PASSWORD\" $DB_NAME\n"
          f"  . build/demo.env; mariadb -h $WEIR_HOST -P $ADMIN_PORT -u $ADMIN_USER -p\"$ADMIN_PASSWORD\" -e 'SHOW SERVERS'\n"
          f"  tests/demo stop")
    return 1 if bad else 0


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        if sys.argv[1:] == ["stop"]:
            return stop()
        return start(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "statements")
    except (DemoError, rigserver.RigError, AssertionError, subprocess.CalledProcessError) as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
