# SPDX-License-Identifier: Apache-2.0
"""An Aurora cluster made of scripted servers: what a monitor asks, answered as Aurora would.

    with Cluster(("i1", "i2", "i3")) as cluster, drive(Drive, cluster) as d:
        cluster.lag_ms["i2"] = 17; cluster.writer = "i3"; cluster.quiet["i2"] = "still"

No Aurora was there to compare with: the columns of information_schema.replica_host_status and the
values of aurora_server_id and innodb_read_only are those of its documentation.
"""
import re
import threading
import types

import peer

VARIABLES = {
    "read_only": "0", "innodb_read_only": "?", "server_id": "1", "max_connections": "1000",
    "sql_mode": "", "time_zone": "SYSTEM", "autocommit": "1", "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_0900_ai_ci", "lower_case_table_names": "0", "wait_timeout": "28800",
    "interactive_timeout": "28800", "max_allowed_packet": "67108864", "session_track": "",
    "super_read_only": "0", "server_uuid": "?", "isolation": "REPEATABLE-READ", "tx_read_only": "0",
}


class Cluster:
    """spread: each at the same port of an address of its own, by the name NAME.DOMAIN (see hosts())."""

    DOMAIN = "weir.example"

    def __init__(self, names, later=(), spread=False):
        self.names = list(names) + list(later)
        self.is_spread = spread
        self.members = list(names)
        self.writer = names[0]
        self.lag_ms = {}
        self.quiet = {}
        self.ticks = 0
        self.lock = threading.Lock()
        self.servers = []
        for i, name in enumerate(self.names):
            script = peer.serve(self._answers(name), version="8.0.39")
            where = {"host": f"127.0.1.{i + 1}", "port": self.servers[0].port if i else 0} if spread else {}
            self.servers.append(peer.FakeServer(script, **where))

    def _answers(self, name):
        def answer(link, command, body):
            if command != peer.COM_QUERY:
                return None
            found = self.result(name, body.decode("utf-8", "replace"))
            if isinstance(found, bytes):
                return found
            return None if found is None else peer.text_result(*found, caps=link.caps)
        return answer

    def hosts(self):
        """Lines for /etc/hosts."""
        return "127.0.0.1 localhost\n" + "".join(f"127.0.1.{i + 1} {name}.{self.DOMAIN}\n"
                                                 for i, name in enumerate(self.names))

    def status(self):
        """The rows of replica_host_status."""
        with self.lock:
            self.ticks += 1
            ticks = self.ticks
        rows = []
        for member in self.members:
            quiet = self.quiet.get(member)
            if quiet == "gone":
                continue
            stamp = "still" if quiet == "still" else ticks
            session = "MASTER_SESSION_ID" if member == self.writer else f"session-of-{member}"
            lag = None if quiet == "null" else self.lag_ms.get(member, 20)
            rows.append((member, session, f"2026-01-01 00:00:00.{stamp}", 0 if member == self.writer else lag))
        return ["SERVER_ID", "SESSION_ID", "LAST_UPDATE_TIMESTAMP", "REPLICA_LAG_IN_MILLISECONDS"], rows

    def result(self, name, sql):
        """(columns, rows), bytes, or None for OK."""
        if sql.startswith("SELECT @@version"):
            return ["@@version", "@@version_comment"], [("8.0.39", "Source distribution")]
        if "AS innodb_read_only" in sql:
            values = dict(VARIABLES, innodb_read_only=str(int(name != self.writer)),
                          server_uuid=f"uuid-of-{name}", server_id=str(self.names.index(name) + 1))
            asked = re.findall(r"AS (\w+)", sql)
            return asked, [tuple(values.get(a, "") for a in asked)]
        if "aurora_server_id" in sql:
            return ["Variable_name", "Value"], [("aurora_server_id", name)]
        if "replica_host_status" in sql:
            return self.status()
        if "COLLATIONS" in sql:
            return ["ID"], [("255",)]
        if sql.startswith("SELECT @@global.performance_schema"):
            return ["@@global.performance_schema"], [("0",)]
        if sql.startswith("SELECT @@global.gtid"):
            return ["gtid"], [("",)]
        if sql.startswith("SELECT"):
            return ["nothing"], []
        if sql.startswith("SHOW"):
            return ["Nothing"], []
        return None

    def __enter__(self):
        for server in self.servers:
            server.__enter__()
        return self

    def __exit__(self, *exc):
        for server in self.servers:
            server.stop()
            for link in server.peers:
                link.close()


def drive(make, cluster, **more):
    """A Drive (monitor_real) whose servers p, r1, r2 are the first three."""
    rig = types.SimpleNamespace(env={"MONITOR_USER": "weir", "MONITOR_PASSWORD": "weir"},
                                port=lambda i: cluster.servers[i].port, flavour="mysql")
    if cluster.is_spread:
        more["servers"] = [{"name": n, "address": f"{i}.{cluster.DOMAIN}:{cluster.servers[0].port}"}
                           for n, i in zip(("p", "r1", "r2"), cluster.names)]
    return make(rig, server={"tls": "off"}, **more)
