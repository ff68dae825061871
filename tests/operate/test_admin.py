# SPDX-License-Identifier: Apache-2.0
"""The admin listener in front of real servers: each answer against what is known to be true."""
import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import unittest

import pymysql
import rawclient
from weirlab import REPO, Rig, StatementLog, Weir, wait_for

sys.path.insert(0, os.path.join(REPO, "tests", "demo.d"))
from prepared import execute_prepared  # noqa: E402

HASHED = "*" + hashlib.sha1(hashlib.sha1(b"hash secret").digest()).hexdigest().upper()
READS = 400


def error_of(call, *args, **options):
    """(number, text) of the error that call ends in."""
    try:
        call(*args, **options)
    except pymysql.MySQLError as e:
        return e.args[0], str(e.args[1])
    raise AssertionError("no error")


class Admin:
    """Everything that holds for both kinds of servers."""

    flavour = None

    @classmethod
    def setUpClass(cls):
        cls.rig = cls.enterClassContext(Rig(cls.flavour)) if hasattr(cls, "enterClassContext") else Rig(cls.flavour)
        if not hasattr(cls, "enterClassContext"):
            cls.rig.__enter__()
            cls.addClassCleanup(cls.rig.__exit__, None, None, None)
        cls.weir = Weir(cls.rig)
        cls.weir.settings["admin"]["users"].append({"name": "hashed", "password_hash": HASHED})
        cls.weir.settings["admin"]["max_clients"] = 8
        cls.weir.settings["cache"] = {"memory": "8MiB"}
        cls.weir.__enter__()
        cls.addClassCleanup(cls.weir.__exit__, None, None, None)
        with cls.weir.connect(database="test") as c, c.cursor() as cur:
            cur.execute("CREATE TABLE IF NOT EXISTS operated (id INT PRIMARY KEY)")
            cur.execute("REPLACE INTO operated VALUES (1), (2)")
        cls.rig.settle()
        wait_for("the table is read from replicas", lambda: "target\treplica" in cls.weir.explain(
            "SELECT id FROM operated", database="test"), 20)

    def rows(self, statement, **options):
        return self.weir.admin(statement, **options)

    def read(self, c, times, sql="SELECT id FROM operated WHERE id = 1"):
        with c.cursor() as cur:
            for _ in range(times):
                cur.execute(sql)
                cur.fetchall()

    def session(self, c):
        """The row of this client's own session."""
        with c.cursor() as cur:
            cur.execute("SELECT CONNECTION_ID()")
            number = cur.fetchone()[0]
        found = [r for r in self.rows("SHOW SESSIONS") if int(r["id"]) == int(number)]
        self.assertEqual(len(found), 1)
        return found[0]

    def cli(self, program, statement, user="ops", password=None, more=()):
        return subprocess.run([program, "-h127.0.0.1", f"-P{self.weir.admin_port}", f"-u{user}",
                               f"-p{password or user + ' secret'}", *more, "-e", statement], text=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)

    # --- who may log in ---

    def test_logins(self):
        for user, secret in (("ops", "wrong"), ("nobody", "wrong"), ("hashed", "wrong")):
            number, text = error_of(self.weir.connect_admin, user, secret)
            self.assertEqual(number, 1045)
            self.assertEqual(text, f"Access denied for user '{user}'@'127.0.0.1' (using password: YES)")
        for user in ("ops", "nobody", "hashed"):
            with self.assertRaises(rawclient.LoginError) as caught:
                rawclient.Raw("127.0.0.1", self.weir.admin_port, user, "")
            self.assertEqual(caught.exception.code, 1045)
            self.assertIn("using password: NO", caught.exception.text)
        for user in ("ops", "look", "hashed"):
            secret = "hash secret" if user == "hashed" else f"{user} secret"
            for plugin in ("mysql_native_password", "caching_sha2_password"):
                for tls in (False, True):
                    for drop in (0, rawclient.DEPRECATE_EOF, rawclient.PLUGIN_AUTH):
                        if drop == rawclient.PLUGIN_AUTH and plugin != "mysql_native_password":
                            continue
                        with rawclient.Raw("127.0.0.1", self.weir.admin_port, user, secret, plugin=plugin,
                                           tls=tls, drop=drop) as raw:
                            reply = raw.query("SHOW VERSION")
                            self.assertNotEqual(reply[0][1][0], 0xFF, (user, plugin, tls))

    def test_roles(self):
        for statement in ("DRAIN replica1", "UNDRAIN replica1", "SET WEIGHT replica1 5", "KILL 1", "RELOAD",
                          "KILL QUERY 1", "CACHE FLUSH", "CACHE PURGE TABLE a.b", "CACHE PURGE SCHEMA a", "CACHE PURGE TAG 'a'"):
            number, text = error_of(self.rows, statement, user="look")
            self.assertEqual(number, 1227, statement)
            self.assertIn("role read", text)
        wait_for("all are up", lambda: {r["state"] for r in self.rows("SHOW SERVERS", user="look")} == {"up"})
        self.assertIn("replica1", str(self.rows("SHOW SERVERS", user="look")))

    def test_limit_of_clients(self):
        held = [self.weir.connect_admin() for _ in range(8)]
        try:
            self.assertEqual(error_of(self.weir.connect_admin)[0], 1040)
        finally:
            for c in held:
                c.close()
        wait_for("the places are free again", lambda: self.weir.metrics()["weir_admin_sessions_open"] == 0)
        self.assertEqual(self.rows("SHOW METRICS LIKE 'weir_admin_sessions_open'")[0]["value"], 1)

    # --- real clients ---

    def test_clients(self):
        for program in ("mariadb", "mysql"):
            done = self.cli(program, "SHOW SERVERS; USE weir; SHOW WARNINGS; SELECT DATABASE()")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("replica2", done.stdout)
            self.assertTrue(done.stdout.strip().endswith("weir"), done.stdout)
            done = self.cli(program, "SHOW SERVERZ")
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "1064.*did you mean SHOW SERVERS.*SHOW COMMANDS")
            status = self.cli(program, "\\s")
            self.assertEqual(status.returncode, 0, status.stderr)
            self.assertIn("weir", status.stdout)
        done = subprocess.run(["mycli", "-h127.0.0.1", f"-P{self.weir.admin_port}", "-uops", "-pops secret",
                               "-e", "SHOW EVENTS LIKE 'start'"], text=True, timeout=60, env={
                                   **os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "HOME": self.weir.dir},
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("start", done.stdout)

    def test_what_mycli_asks_for_its_completion(self):
        from mycli.sqlexecute import SQLExecute
        asks = SQLExecute("weir", "ops", "ops secret", "127.0.0.1", self.weir.admin_port, None, "utf8mb4", False, None,
                          None, None, None, None, None)
        self.assertEqual(list(asks.databases()), ["weir"])
        for question in (asks.tables, asks.table_columns, asks.users, asks.functions, asks.show_candidates):
            list(question())
        self.assertGreater(int(asks.connection_id or asks.get_connection_id() or 1), 0)

    def test_questions_of_clients(self):
        for statement in ("SELECT @@version_comment LIMIT 1", "SELECT @@max_allowed_packet, @@session.sql_mode AS `m`",
                          "SHOW VARIABLES LIKE 'lower_case_%'", "SHOW DATABASES", "SELECT DATABASE()", "SELECT USER()",
                          "SELECT CURRENT_USER()", "SELECT CONNECTION_ID()", "SELECT VERSION()", "SELECT 1",
                          "SET NAMES utf8mb4", "SET SESSION sql_mode = ''", "USE weir", "SHOW WARNINGS",
                          "SHOW STATUS LIKE 'Uptime'", "SHOW TABLES", "SHOW FULL TABLES FROM `weir` WHERE a != 'b'",
                          "SHOW GLOBAL STATUS", "SHOW SESSION VARIABLES", "SHOW ENGINES", "SHOW COLLATION",
                          "SHOW CHARACTER SET", "BEGIN", "COMMIT", "ROLLBACK", "START TRANSACTION READ ONLY",
                          "SELECT TABLE_NAME, COLUMN_NAME AS c FROM information_schema.columns WHERE 1 = 1",
                          "SELECT CONCAT(a, ',', b) x FROM `mysql`.`user`", "SELECT * FROM performance_schema.x",
                          "/* mysql-connector-java */ SELECT @@session.auto_increment_increment AS a, @@license AS l",
                          "SHOW PROCEDURE STATUS WHERE Db = 'x'", "SELECT NULL, 'a''b', @@no_such"):
            self.rows(statement)
        self.assertEqual(list(self.rows("SELECT @@no_such, 'a''b' AS q")[0].values()), [None, "a'b"])
        with self.weir.connect_admin() as c:
            c.ping()
            c.select_db("weir")
            self.assertEqual(error_of(c.select_db, "other")[0], 1049)
            with c.cursor() as cur:
                cur.execute("SELECT CONNECTION_ID(), USER()")
                self.assertEqual(cur.fetchone(), (str(c.thread_id()), "ops@127.0.0.1"))
        with rawclient.Raw("127.0.0.1", self.weir.admin_port, "ops", "ops secret") as raw:
            raw.send(rawclient.command(rawclient.COM_STATISTICS))
            self.assertIn(b"Uptime", raw.read_packet()[1])
            raw.send(rawclient.command(rawclient.COM_FIELD_LIST, b"t\0"))
            self.assertEqual(raw.read_packet()[1][0], 0xFE)
            raw.send(rawclient.command(rawclient.COM_STMT_PREPARE, b"SHOW SERVERS"))
            self.assertEqual(rawclient.err_of(raw.read_packet()[1])[0], 1295)
            raw.send(rawclient.command(0x44))
            self.assertEqual(rawclient.err_of(raw.read_packet()[1])[0], 1047)
            # one behind the other, without waiting
            raw.send(rawclient.command(rawclient.COM_QUERY, b"SHOW SESSIONS") * 3
                     + rawclient.command(rawclient.COM_PING))
            for _ in range(3):
                self.assertNotEqual(raw.reply("query")[0][1][0], 0xFF)
            self.assertEqual(raw.reply("simple")[0][1][0], 0)
        for statement in ("DELETE FROM t", "SELECT * FROM t", "SELECT SLEEP(1)", "", ";", "SHOW", "SHOW SERVERS x",
                          "SHOW SERVERS LIMIT x", "SELECT"):
            self.assertIn(error_of(self.rows, statement)[0], (1064, 1065, 1105, 1146), statement)

    # --- what is shown ---

    def test_servers(self):
        servers = {r["name"]: r for r in self.rows("SHOW SERVERS")}
        self.assertEqual(sorted(servers), ["primary", "replica1", "replica2"])
        for node in self.rig.nodes:
            row = servers[node.name]
            self.assertEqual(row["address"], f"127.0.0.1:{node.port}")
            self.assertEqual(row["role"], "primary" if node.name == "primary" else "replica")
            self.assertEqual(row["version"], node.value("SELECT VERSION()"))
            wait_for("a young sample", lambda n=node.name: int(self.rows(f"SHOW SERVERS LIKE '{n}'")[0]["sample_age_ms"]) < 2000)
            known = [""] if node.name == "primary" else ["log", "performance_schema", "seconds_behind"]
            self.assertIn(row["lag_source"], known)
        self.assertEqual([r["name"] for r in self.rows("SHOW SERVERS LIKE 'REPLICA_' LIMIT 1")], ["replica1"])
        self.assertEqual(self.rows("SHOW SERVERS LIKE 'up'"), [])  # the name, not any column

    def test_sessions(self):
        before = len(self.rows("SHOW SESSIONS"))
        clients = [self.weir.connect(database="test") for _ in range(5)]
        try:
            self.assertEqual(len(self.rows("SHOW SESSIONS")), before + 5)
            row = self.session(clients[0])
            self.assertEqual((row["user"], row["host"], row["schema"], row["state"], row["transaction"], row["pins"],
                              row["pin_digest"]),
                             (self.rig.env["DB_USER"], "127.0.0.1", "test", "idle", "", "", "0"))
            self.assertGreater(int(row["bytes_in"]), 0)
            self.assertGreater(int(row["bytes_out"]), 0)
            with clients[1].cursor() as cur:
                cur.execute("BEGIN")
                cur.execute("INSERT INTO operated VALUES (100) ON DUPLICATE KEY UPDATE id = 100")
            self.assertEqual(self.session(clients[1])["transaction"], "primary")
            clients[1].rollback()
            self.assertEqual(self.session(clients[1])["transaction"], "")
            with clients[2].cursor() as cur:
                cur.execute("CREATE TEMPORARY TABLE pinned_by_this (a INT)")
            row = self.session(clients[2])
            self.assertIn("temp_table", row["pins"])
            text = {r["digest"]: r["text"] for r in self.rows("SHOW DIGESTS")}[row["pin_digest"]]
            self.assertIn("TEMPORARY", text)
            self.assertIn("pinned_by_this", text)
            pins = {r["reason"]: int(r["sessions"]) for r in self.rows("SHOW PINS")}
            self.assertEqual(pins["temp_table"], 1)

            def times(reason):
                shown = [int(r["times"]) for r in self.rows("SHOW PINS") if r["reason"] == reason]
                self.assertEqual(shown, [self.weir.metrics()[f'weir_pins_taken_total{{reason="{reason}"}}']])
                return shown[0]

            taken = times("lock_tables")
            with clients[3].cursor() as cur:
                cur.execute("LOCK TABLES operated READ")
                self.assertEqual(self.session(clients[3])["pins"], "lock_tables")
                cur.execute("UNLOCK TABLES")
            row = self.session(clients[3])
            self.assertEqual((row["pins"], row["pin_digest"]), ("", "0"))
            self.assertEqual((times("lock_tables"), times("temp_table") > 0), (taken + 1, True))
        finally:
            for c in clients:
                c.close()
        wait_for("the sessions are gone", lambda: len(self.rows("SHOW SESSIONS")) == before)

    def test_what_keeps_a_connection(self):
        def cursor(c):
            stmt, _ = c.prepare("SELECT TABLE_NAME FROM information_schema.TABLES")
            c.execute(stmt, cursor=1)

        def query(*texts):
            return lambda c: [c.query(text) for text in texts]

        cases = {"": query("SELECT 1"), "transaction": query("BEGIN"), "set_transaction": query("SET TRANSACTION READ ONLY"), "statement": cursor,
                 "found_rows": query("SELECT SQL_CALC_FOUND_ROWS id FROM operated LIMIT 1"), "diagnostics": query("SELECT 1/0"),
                 "last_insert_id": query("INSERT INTO operated_ids VALUES ()"), "pin": query("LOCK TABLES operated READ")}
        self.rig.primary.execute("DROP TABLE IF EXISTS test.operated_ids", "CREATE TABLE test.operated_ids (id INT AUTO_INCREMENT PRIMARY KEY)")
        for want, play in [*cases.items(), ("transaction", query("START TRANSACTION READ ONLY"))]:
            with rawclient.Raw("127.0.0.1", self.weir.port, self.rig.env["DB_USER"], self.rig.env["DB_PASSWORD"], database="test") as c:
                play(c)

                def shown():
                    rows = [r for r in self.rows("SHOW SESSIONS") if int(r["id"]) == c.greeting.thread_id]
                    return rows and rows[0]["state"] == "idle" and rows[0]
                row = wait_for("it is idle", shown)
                self.assertEqual((row["keeps"], row["connections"] != ""), (want, want != ""))

    def test_a_running_statement_is_seen(self):
        with self.weir.connect() as c:
            thread = threading.Thread(target=lambda: c.query("SELECT SLEEP(1.5)"))
            thread.start()
            row = wait_for("it is seen", lambda: [r for r in self.rows("SHOW SESSIONS") if r["state"] == "relay"])[0]
            self.assertIn(row["server"], ("primary", "replica1", "replica2"))
            self.assertIn(row["server"], row["connections"])
            thread.join()
            self.assertIn("SLEEP", {r["digest"]: r["text"] for r in self.rows("SHOW DIGESTS")}[row["digest"]])

    def test_digests(self):
        def digest(text):
            return [r for r in self.rows("SHOW DIGESTS") if r["text"] == text]

        with self.weir.connect(database="test") as c:
            for i in range(7):
                self.read(c, 1, f"SELECT id /* {i} */ FROM operated WHERE id = {i} AND 'x' = 'x'")
            row = digest("SELECT id FROM operated WHERE id = ? AND ? = ?")[0]
            self.assertEqual((int(row["count"]), int(row["errors"])), (7, 0))
            self.assertEqual(int(row["on_replicas"]) + int(row["on_primary"]) + int(row["cache_hits"]), 7)
            self.assertEqual(int(row["on_replicas"]), 7)
            self.assertGreater(int(row["bytes"]), 7 * 20)
            self.assertLessEqual(float(row["p50_ms"]), float(row["p99_ms"]))
            self.assertLessEqual(float(row["p99_ms"]), float(row["max_ms"]))
            with c.cursor() as cur:
                for i in range(3):
                    self.assertEqual(error_of(cur.execute, f"SELECT {i} FROM no_such_table_here")[0], 1146)
            self.assertEqual([(int(r["count"]), int(r["errors"])) for r in digest("SELECT ? FROM no_such_table_here")],
                             [(3, 3)])
            for i in range(4):
                execute_prepared(c, "SELECT id + 5 FROM operated WHERE id = ?", [i])
            self.assertEqual([int(r["count"]) for r in digest("SELECT id + ? FROM operated WHERE id = ?")], [4])
            with c.cursor() as cur:
                cur.execute("SELECT SLEEP(0.3)")
            slow = digest("SELECT SLEEP(?)")
            self.assertGreaterEqual(max(float(r["max_ms"]) for r in slow), 300)
        times = [float(r["total_ms"]) for r in self.rows("SHOW DIGESTS")]
        self.assertEqual(times, sorted(times, reverse=True))
        self.assertEqual(len(self.rows("SHOW DIGESTS LIMIT 2")), 2)
        self.assertTrue(all("operated" in r["text"] for r in self.rows("SHOW DIGESTS LIKE '%operated%'")))

    def test_explain(self):
        def plain(rows):
            """Without what is drawn anew each time, and who asked."""
            return [(k, re.sub(r"replica[12]|lag \d+\w+", "*", v)) for k, v in rows if k != "user"]

        for sql in ("SELECT id FROM operated", "SELECT id FROM operated FOR UPDATE", "DELETE FROM operated",
                    "SELECT @a := 1", "SHOW STATUS", "SELECT /* weir:primary */ 1", "BEGIN"):
            with self.weir.connect(database="test") as c, c.cursor() as cur:
                cur.execute("EXPLAIN ROUTE " + sql)
                want = plain(cur.fetchall())
            for form in (f"EXPLAIN ROUTE {sql} IN test", f"EXPLAIN ROUTE AS app IN test {sql}",
                         f"EXPLAIN ROUTE {sql} AS app IN test;"):
                got = plain([tuple(r.values()) for r in self.rows(form, user="look")])
                drop = ("topology", "catalogue")
                self.assertEqual([r for r in got if r[0] not in drop], [r for r in want if r[0] not in drop], form)
        self.assertEqual(error_of(self.rows, "EXPLAIN ROUTE")[0], 1064)

    def test_explain_reads_after_writes(self):
        """With GTIDs, too, the answer is the one that a fresh session of that user gets, replicas late or not."""
        sql = "SELECT id FROM operated"

        def items(rows):
            return {k: re.sub(r"replica[12]|lag \d+\w+", "*", v) for k, v in rows if k not in ("user", "topology", "catalogue", "first")}

        def compare(weir, text, mode, target, step):
            with weir.connect(database="test") as c, c.cursor() as cur:
                cur.execute("EXPLAIN ROUTE " + text)
                want = items(cur.fetchall())
            got = items([tuple(r.values()) for r in weir.admin(f"EXPLAIN ROUTE AS {self.rig.env['DB_USER']} IN test {text}")])
            self.assertEqual(got, want)
            self.assertEqual((got.get("freshness"), got["target"]), (mode, target))
            self.assertIn(step, str(got))

        with Weir(self.rig, read_after_write={"mode": "auto", "scope": "user"}, monitor={"max_lag": "60s"}) as weir:
            wait_for("GTIDs are heard of", lambda: "freshness\tgtid" in weir.explain(sql, database="test"))
            compare(weir, sql, "gtid", "replica", "chosen among")
            compare(weir, "SELECT /* weir:read_after_write=window */ id FROM operated", "window", "replica", "chosen among")
            compare(weir, "SELECT /* weir:token='unknown' */ id FROM operated", "gtid", "primary", "no replica is known")
            with contextlib.ExitStack() as late:
                for node in self.rig.replicas:
                    late.enter_context(node.connect()).cursor().execute("LOCK TABLES test.operated READ")
                with weir.connect(database="test") as c, c.cursor() as cur:
                    cur.execute("INSERT INTO operated VALUES (3)")
                    compare(weir, sql, "gtid", "replica", "it waits until")
                    cur.execute("DELETE FROM operated WHERE id = 3")
                    cur.execute("/* weir:key=a */ DELETE FROM operated WHERE id = 4")
                compare(weir, sql, "gtid", "primary", "no replica is known")  # the last one wrote nothing: nobody knows where it is
                other = items([tuple(r.values()) for r in weir.admin("EXPLAIN ROUTE AS somebody IN test " + sql)])
                self.assertIn("chosen among", str(other))
                key = items([tuple(r.values()) for r in weir.admin("EXPLAIN ROUTE AS somebody IN test SELECT /* weir:key=a */ id FROM operated")])
                self.assertIn("no replica is known", str(key))
            self.rig.settle()
            wait_for("all have it", lambda: "chosen among" in str(weir.admin(f"EXPLAIN ROUTE AS {self.rig.env['DB_USER']} IN test {sql}")))

    def test_config_and_version(self):
        config = {r["setting"]: r["value"] for r in self.rows("SHOW CONFIG")}
        self.assertEqual(config["monitor.user"], self.rig.env["MONITOR_USER"])
        self.assertEqual(config["servers[1].name"], "replica1")
        text = str(self.rows("SHOW CONFIG"))
        for secret in ("ops secret", "look secret", HASHED[1:], self.rig.env["MONITOR_PASSWORD"]):
            self.assertNotIn(secret, text)
        version = {r["item"]: r["value"] for r in self.rows("SHOW VERSION")}
        self.assertEqual(int(version["pid"]), self.weir.process.pid)
        self.assertEqual(version["configuration"], self.weir.conf)
        shown = {r["name"] for r in self.rows("SHOW METRICS")}
        served = {k.split("{")[0] for k in self.weir.metrics()}
        self.assertFalse({n for n in shown if n + "_count" not in served} - served)
        commands = {r["command"]: r["role"] for r in self.rows("SHOW COMMANDS")}
        self.assertEqual((commands["KILL"], commands["SHOW POOLS"]), ("operate", "read"))
        self.assertEqual(self.rows("SHOW RULES"), [])

    def test_pools(self):
        def used():
            return {r["server"]: int(r["used"]) for r in self.rows("SHOW POOLS")}

        before = used()
        clients = [self.weir.connect() for _ in range(4)]
        for c in clients:
            c.begin()  # each keeps a connection until its transaction ends
            with c.cursor() as cur:
                cur.execute("DO 1")
        now = used()
        self.assertGreaterEqual(now["primary"], 4, before)
        self.assertEqual(now, {r["name"]: int(r["connections"]) for r in self.rows("SHOW SERVERS")})
        for c in clients:
            c.rollback()
            c.close()
        wait_for("they are idle", lambda: all(int(r["idle"]) == int(r["used"]) for r in self.rows("SHOW POOLS")))

    # --- what is changed ---

    def test_drain(self):
        readers = [self.weir.connect(database="test") for _ in range(6)]
        try:
            for c in readers:
                self.read(c, 12)
            with StatementLog(self.rig.nodes) as log:
                with self.weir.connect(database="test") as held, held.cursor() as cur:
                    # a read-only transaction on the replica goes on to its end
                    for i in range(60):
                        cur.execute("START TRANSACTION READ ONLY")
                        cur.execute(f"SELECT id + {i} FROM operated")
                        if log.where(f"SELECT id + {i} FROM operated") == ["replica1"]:
                            break
                        cur.execute("COMMIT")
                    self.rows("DRAIN replica1")
                    since = log.mark()
                    for c in readers:
                        self.read(c, 30)
                        self.read(c, 1, "SELECT /* weir:server=replica1 */ 5")
                    self.assertEqual(log.where("SELECT id FROM operated WHERE id = 1", since=since).count("replica1"), 0)
                    self.assertGreaterEqual(len(log.where("SELECT id FROM operated WHERE id = 1", since=since)), 180)
                    self.assertNotIn("replica1", log.where("SELECT /* weir:server=replica1 */ 5", since=since))
                    cur.execute("SELECT id + 77 FROM operated")
                    self.assertEqual(log.where("SELECT id + 77 FROM operated", since=since), ["replica1"])
                    cur.execute("COMMIT")
                row = self.rows("SHOW SERVERS LIKE 'replica1'")[0]
                self.assertEqual((row["state"], row["why"]), ("draining", "drained by an operator"))
                wait_for("nobody is left there",
                         lambda: self.rows("SHOW SERVERS LIKE 'replica1'")[0]["connections"] == 0)
                # it survives what the monitor publishes meanwhile
                generation = int(self.rows("SHOW VERSION LIKE 'topology%'")[0]["value"])
                wait_for("newer topologies", lambda: int(
                    self.rows("SHOW VERSION LIKE 'topology%'")[0]["value"]) > generation + 3)
                self.assertEqual(self.rows("SHOW SERVERS LIKE 'replica1'")[0]["state"], "draining")
                self.rows("DRAIN replica1")  # again: a warning, no error
                self.rows("UNDRAIN replica1")
                since = log.mark()
                for c in readers:
                    self.read(c, 30)
                self.assertIn("replica1", log.where("SELECT id FROM operated WHERE id = 1", since=since))
        finally:
            self.rows("UNDRAIN replica1")
            for c in readers:
                c.close()
        kinds = [r["kind"] for r in self.rows("SHOW EVENTS LIKE 'replica1'")]
        self.assertIn("drain", kinds)
        self.assertIn("undrain", kinds)
        self.assertRegex(error_of(self.rows, "DRAIN primary")[1], "is the primary")
        self.assertRegex(error_of(self.rows, "DRAIN nobody")[1], "no server 'nobody'")

    def test_weight(self):
        def spread(c):
            with StatementLog(self.rig.nodes) as log:
                self.read(c, READS)
                seen = log.where("SELECT id FROM operated WHERE id = 1")
            return seen.count("replica1") / len(seen)

        with self.weir.connect(database="test") as c:
            try:
                self.rows("SET WEIGHT replica1 300")
                self.assertEqual([int(r["weight"]) for r in self.rows("SHOW SERVERS LIKE 'replica%'")], [300, 100])
                # five standard deviations of a draw of READS
                self.assertAlmostEqual(spread(c), 0.75, delta=5 * (0.75 * 0.25 / READS) ** 0.5)
                self.rows("SET WEIGHT replica1 0")
                self.assertEqual(spread(c), 0)
            finally:
                self.rows("SET WEIGHT replica1 DEFAULT")
            self.assertAlmostEqual(spread(c), 0.5, delta=5 * (0.25 / READS) ** 0.5)
        for wrong in ("SET WEIGHT replica1", "SET WEIGHT replica1 1001", "SET WEIGHT replica1 x"):
            self.assertEqual(error_of(self.rows, wrong)[0], 1064)

    def test_kill(self):
        with self.weir.connect() as c:
            number = self.session(c)["id"]
            ended = []

            def wait():
                try:
                    c.query("SELECT SLEEP(300)")
                    ended.append(c._result.rows[0][0])  # MySQL's SLEEP says 1 when it is interrupted
                except pymysql.MySQLError as e:
                    ended.append(e.args[0])

            for statement, want in (("KILL QUERY", (1317, 1)), ("KILL", (1317, 1927, 2013, 1053))):
                thread = threading.Thread(target=wait)
                thread.start()
                wait_for("it runs", lambda: [r for r in self.rows("SHOW SESSIONS")
                                             if r["id"] == number and r["state"] == "relay"])
                self.rows(f"{statement} {number}")
                thread.join(120)
                self.assertFalse(thread.is_alive())
                self.assertIn(ended.pop(), want)
            self.assertIn(error_of(c.query, "SELECT 1")[0], (0, 2006, 2013))
        wait_for("it is gone", lambda: not [r for r in self.rows("SHOW SESSIONS") if r["id"] == number])
        for unknown in (number, 1, 99999999999, int(number) ^ 0x40):
            self.assertEqual(error_of(self.rows, f"KILL {unknown}")[0], 1094)
        with self.weir.connect_admin() as other:
            self.rows(f"KILL QUERY {other.thread_id()}")
            other.ping(reconnect=False)
            self.rows(f"KILL {other.thread_id()}")
            with self.assertRaises((pymysql.MySQLError, OSError)):
                other.ping(reconnect=False)
        self.assertIn("kill", [r["kind"] for r in self.rows("SHOW EVENTS")])

    def test_cache(self):
        def items(like="%"):
            return {r["item"]: r["value"] for r in self.rows(f"SHOW CACHE LIKE '{like}'", user="look")}

        shown = items()
        self.assertEqual(int(shown["memory_bytes"]), 8 << 20)
        self.assertLess(int(shown["bytes"]), 8 << 20)
        for name in ("entries", "hits", "misses_absent", "fills_refused_replica_behind", "passed_hints_off", "evicted"):
            self.assertGreaterEqual(int(shown[name]), 0, name)
        self.assertIn(shown["binlog_is_heard"], ("yes", "no"))
        self.assertNotIn(shown["binlog"], ("", None))
        self.assertIn(self.weir.metrics()["weir_cache_binlog_heard"], (0, 1))
        self.assertEqual(set(items("invalidations%")), {"invalidations_" + s for s in (
            "own", "binlog", "definition", "purge", "primary", "all")})
        before = int(shown["invalidations_purge"])
        self.assertRegex(self.rows("CACHE FLUSH")[0]["result"], r"^\d+ answers dropped$")
        for statement, what in (("TABLE test.operated", "read from test.operated"),
                                ("TABLE `test`.`operated`;", "read from test.operated"),
                                ("SCHEMA test", "read from tables of test"), ("TAG 'device:5:*'", "with the tag device:5:*"),
                                ("TAG devices", "with the tag devices")):
            with self.weir.connect_admin() as c, c.cursor() as cur:
                cur.execute(f"CACHE PURGE {statement}")
                self.assertEqual(cur.fetchall(), ((f"answers {what} are not given any more",),))
                cur.execute("SHOW WARNINGS")
                self.assertEqual(cur.fetchall(), ())
        with self.weir.connect_admin() as c, c.cursor() as cur:
            cur.execute("CACHE PURGE TABLE test.no_such_table_here")
            self.assertEqual(len(cur.fetchall()), 1)
            cur.execute("SHOW WARNINGS")
            self.assertIn("not seen to have a table test.no_such_table_here", str(cur.fetchall()))
        self.assertIn("nor any others", self.rows("CACHE PURGE SCHEMA 'sch\u00f6n'")[0]["result"])
        self.assertEqual(int(items()["invalidations_purge"]), before + 8)
        self.assertEqual(self.weir.metrics()['weir_cache_invalidations_total{source="purge"}'], before + 8)
        for wrong in ("CACHE FLUSH x", "CACHE PURGE TABLE", "CACHE PURGE TABLE operated", "CACHE PURGE TABLE a.b.c",
                      "CACHE PURGE SCHEMA", "CACHE PURGE SCHEMA a b", "CACHE PURGE TAG", "CACHE PURGE TAG '*'", "CACHE PURGE TAG 'a*'", "SHOW CACHE x", "CACHE"):
            self.assertEqual(error_of(self.rows, wrong)[0], 1064, wrong)

    def test_cache_is_off(self):
        with Weir(self.rig) as plain:
            for statement in ("SHOW CACHE", "CACHE FLUSH", "CACHE PURGE TABLE a.b", "CACHE PURGE SCHEMA a", "CACHE PURGE TAG 'a'"):
                number, text = error_of(plain.admin, statement)
                self.assertEqual(number, 1105, statement)
                self.assertIn("cache.memory is off; set it", text)
            self.assertEqual(plain.metrics()["weir_cache_bytes"], 0)

    def test_reload(self):
        self.rows("DRAIN replica2")
        self.rows("SET WEIGHT replica1 7")
        report = [r["report"] for r in self.rows("RELOAD")]
        self.assertRegex(report[-1], r"configuration \d+ is in force: 0 changes")
        self.assertEqual(self.rows("SHOW EVENTS LIMIT 1")[0]["kind"], "reload")
        servers = {r["name"]: r for r in self.rows("SHOW SERVERS")}
        self.assertEqual(servers["replica2"]["state"], "draining")
        self.assertEqual(int(servers["replica1"]["weight"]), 7, servers["replica1"])
        self.rows("UNDRAIN replica2")
        self.rows("SET WEIGHT replica1 DEFAULT")

    def test_reload_of_rules_and_weights(self):
        rules = [{"name": "ours", "user": "app", "class": "read", "table": ["operated", "x.*"], "route": "server replica2", "cache": "off", "cache_share": "g"},
                 {"match": "BENCH", "match_caseless": True, "deny": "not here"}]
        before = self.weir.settings["servers"][1]
        self.rows("SET WEIGHT replica1 7")
        self.rows("SET WEIGHT replica2 9")
        self.assertEqual(self.rows("SHOW RULES"), [])
        try:
            self.weir.settings["rules"] = rules
            self.weir.settings["servers"][1] = {**before, "weight": 50}
            self.weir.write_conf()
            report = [r["report"] for r in self.rows("RELOAD")]
            self.assertIn("rules[ours]: new", report)
            self.assertIn("servers[replica1].weight: 100 -> 50", report)
            wait_for("the file's newer weight holds", lambda: [int(r["weight"]) for r in self.rows("SHOW SERVERS")
                                                               if r["name"] != "primary"] == [50, 9])
            shown = [[str(v) for v in r.values()] for r in self.rows("SHOW RULES")]
            self.assertEqual([row[:4] for row in shown], [
                ["1", "ours", 'table: ["operated", "x.*"], user: ["app"], class: ["read"]', 'route: "server replica2", cache: off, cache_share: "g"'],
                ["2", "rule-2", 'match: "BENCH", match_caseless: true', 'deny: "not here"']])
            said = {r["item"]: r["value"] for r in self.rows(
                "EXPLAIN ROUTE AS app IN test SELECT id FROM operated")}
            self.assertEqual(said["server"], "replica2")
            self.assertEqual({r["item"]: r["value"] for r in self.rows("EXPLAIN ROUTE AS other SELECT 'bench'")}["target"],
                             "none")
            with self.weir.connect(database="test") as c:
                wait_for("the rule denies", lambda: error_of(c.query, "SELECT 'bench', x")[0] == 1227)
            denied = int(self.rows("SHOW RULES")[1]["hits"])
            self.assertGreaterEqual(denied, 1)
            self.weir.settings["workers"] = 7
            self.weir.settings["rules"] = []
            self.weir.write_conf()
            number, text = error_of(self.rows, "RELOAD")
            self.assertEqual(number, 1105)
            self.assertRegex(text, r"nothing was changed: workers needs a restart: \S+ -> 7")
            newest = self.rows("SHOW EVENTS LIMIT 1")[0]
            self.assertEqual(newest["kind"], "reload_failed")
            self.assertEqual(len(self.rows("SHOW RULES")), 2)
        finally:
            self.weir.settings["servers"][1] = before
            self.weir.settings.pop("workers", None)
            self.weir.settings.pop("rules", None)
            self.weir.write_conf()
            self.rows("RELOAD")
            self.rows("SET WEIGHT replica1 DEFAULT")
            self.rows("SET WEIGHT replica2 DEFAULT")

    # --- those who mean no good ---

    def test_garbage(self):
        rng = random.Random(7)
        logged_in = rawclient.Raw("127.0.0.1", self.weir.admin_port, "ops", "ops secret")
        for _ in range(150):
            with socket.create_connection(("127.0.0.1", self.weir.admin_port), timeout=10) as s:
                s.recv(4096)
                s.sendall(rng.randbytes(rng.randrange(1, 400)))
                if rng.random() < 0.5:
                    with contextlib.suppress(OSError):  # weir may have closed it already
                        s.shutdown(socket.SHUT_WR)

        def is_free():
            """All but this one and the one that asks have gone."""
            try:
                return self.rows("SHOW METRICS LIKE 'weir_admin_sessions_open'")[0]["value"] == 2
            except pymysql.err.OperationalError as e:
                if e.args[0] != 1040:  # there is no room yet
                    raise
                return False
        wait_for("the garbage is gone", is_free, 20)
        for i in range(60):
            if i % 10 == 9:
                wait_for("there is room", is_free, 20)
            with rawclient.Raw("127.0.0.1", self.weir.admin_port, "ops", "ops secret") as raw:
                raw.send(rawclient.command(rng.choice((3, 2, 4, rng.randrange(256))), rng.randbytes(rng.randrange(300))))
                raw.sock.settimeout(0.05)
                try:
                    raw.sock.recv(65536)
                except OSError:
                    pass
        with rawclient.Raw("127.0.0.1", self.weir.admin_port, "ops", "ops secret") as raw:
            raw.send(b"\xff\xff\xff\x00" + b"x" * 100)  # of 16 MiB; no more, or its end meets a closed socket
            self.assertEqual(rawclient.err_of(raw.read_packet()[1])[0], 1153)
        logged_in.send(rawclient.command(rawclient.COM_QUERY, b"SHOW VERSION"))
        self.assertNotEqual(logged_in.reply("query")[0][1][0], 0xFF)
        logged_in.close()
        wait_for("they are gone", lambda: self.rows("SHOW METRICS LIKE 'weir_admin_sessions_open'")[0]["value"] == 1)
        self.assertIsNone(self.weir.process.poll())

    # --- last, because the servers are not what they were ---

    def test_zz_events(self):
        def kinds(server):
            return [r["kind"] for r in self.rows(f"SHOW EVENTS LIKE '{server}'")]

        everything = [r["kind"] for r in self.rows("SHOW EVENTS")]
        self.assertIn("start", everything)
        self.assertIn("primary_found", kinds("primary"))
        # on a busy machine a server may have been down before
        before = kinds("replica2").count("server_down")
        os.kill(self.rig.nodes[2].pid(), signal.SIGKILL)
        wait_for("server_down", lambda: kinds("replica2").count("server_down") > before, 20)
        wait_for("it is down", lambda: self.rows("SHOW SERVERS LIKE 'replica2'")[0]["state"] == "down", 20)
        if self.flavour == "mariadb":
            self.rig.nodes[1].execute("STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = OFF")
        else:
            self.rig.nodes[1].execute("STOP REPLICA", "RESET REPLICA ALL", "SET GLOBAL super_read_only = OFF",
                                      "SET GLOBAL read_only = OFF")
        wait_for("split_brain", lambda: "split_brain" in kinds("replica1"), 20)
        self.assertGreaterEqual(self.weir.metrics()['weir_events_total{kind="split_brain"}'], 1)
        self.assertIn('event="split_brain"', self.weir.log())
        ended = 'weir_cache_invalidations_total{source="primary"}'
        before = self.weir.metrics()[ended]
        os.kill(self.rig.nodes[0].pid(), signal.SIGKILL)
        wait_for("another primary ends what was kept", lambda: self.weir.metrics()[ended] > before, 20)
        self.assertIn('event="cache_flushed"', self.weir.log())
        wait_for("primary gone", lambda: {"primary_lost", "switch"} & {r["kind"] for r in self.rows("SHOW EVENTS")}, 20)
        times = [r["time_utc"] for r in self.rows("SHOW EVENTS")]
        self.assertEqual(times, sorted(times, reverse=True))
        self.assertRegex(times[0], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$")


class MariaDb(Admin, unittest.TestCase):
    flavour = "mariadb"


class MySql(Admin, unittest.TestCase):
    flavour = "mysql"


class Listener(unittest.TestCase):
    """Where it listens, and when it does not."""

    def test_unix_socket_and_tls(self):
        with Rig("mariadb") as rig:
            weir = Weir(rig)
            path = os.path.join(weir.dir, "admin.sock")
            weir.settings["admin"]["address"] = "unix:" + path
            weir.settings["admin"]["users"].append({"name": "hashed", "password_hash": HASHED})
            weir.settings["observe"] = {"digests": 0}
            with weir:
                for plugin in ("mysql_native_password", "caching_sha2_password"):
                    for user, secret in (("ops", "ops secret"), ("hashed", "hash secret")):
                        with rawclient.Raw(None, None, user, secret, unix=path, plugin=plugin) as raw:
                            self.assertNotEqual(raw.query("SHOW DIGESTS")[0][1][0], 0xFF)
                with pymysql.connect(unix_socket=path, user="ops", password="ops secret") as c, c.cursor() as cur:
                    cur.execute("SHOW DIGESTS")
                    self.assertEqual(cur.fetchall(), ())
                    cur.execute("SHOW WARNINGS")
                    self.assertIn("observe.digests is 0", cur.fetchone()[2])
            self.assertFalse(os.path.exists(path))
            weir = Weir(rig)
            del weir.settings["admin"]
            with weir:
                with self.assertRaises(OSError):
                    socket.create_connection(("127.0.0.1", weir.admin_port), timeout=1)
            weir = Weir(rig)
            weir.settings["admin"]["tls"] = "required"
            with weir:
                self.assertEqual(error_of(weir.connect_admin)[0], 3159)
                with weir.connect_admin(ssl={"ca": os.path.join(weir.dir, "server-cert.pem")}) as c:
                    c.ping()


if __name__ == "__main__":
    unittest.main()
