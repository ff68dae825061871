# SPDX-License-Identifier: Apache-2.0
"""A running weir reads its file again: whole or not at all, and clients see nothing of it."""
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import unittest

import pymysql
import weirlab
from test_config import Directory
from weirlab import wait_for


def certificate(directory, name):
    """A certificate for that name and its key."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                    "-keyout", key + ".new", "-out", cert + ".new"], check=True, capture_output=True)
    os.chmod(key + ".new", 0o600)
    os.replace(cert + ".new", cert)
    os.replace(key + ".new", key)
    return cert, key


class Diff(Directory):
    def diff(self, more_old, more_new):
        return self.weir("diff", self.write("old.yaml", self.good() + more_old),
                         self.write("new.yaml", self.good() + more_new))

    def test_what_would_change(self):
        done = self.diff("log: {level: info}\n", "log: {level: debug}\nrules: [{name: r, user: u, deny: no}]\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "rules[r]: new\nlog.level: info -> debug\n2 changes, 0 of them need a restart\n")

    def test_what_needs_a_restart(self):
        done = self.diff("", "workers: 2\ndrain: {timeout: 1s}\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("workers: auto -> 2 (needs a restart)\n", done.stdout)
        self.assertIn("drain.timeout: 30s -> 1s\n2 changes, 1 of them need a restart\n", done.stdout)

    def test_a_mistake(self):
        done = self.diff("", "rules: [{match: '('}]\n")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"new\.yaml:\d+:17: match is no regular expression: missing closing parenth")
        done = self.weir("diff", "one")
        self.assertEqual(done.returncode, 2)

    def test_check_compiles_expressions(self):
        done = self.weir("check", self.write("weir.yaml", self.good() + "rules:\n  - match: 'a'\n  - match: '*a'\n"))
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stdout, r"weir\.yaml:8:12: match is no regular expression: quantifier does not follow")


class Reload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = weirlab.Rig("mariadb").__enter__()
        with cls.rig.connect(database="test") as c, c.cursor() as cur:
            cur.execute("CREATE TABLE l_t (id INT PRIMARY KEY, v INT)")
            cur.execute("INSERT INTO l_t VALUES (1, 1)")
        cls.rig.settle()

    @classmethod
    def tearDownClass(cls):
        cls.rig.__exit__(None, None, None)

    def start(self, **settings):
        self.dir = tempfile.mkdtemp(prefix="weir-reload-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.weir = weirlab.Weir(self.rig, **settings)
        self.weir.__enter__()
        self.addCleanup(self.weir.__exit__, None, None, None)
        return self.weir

    def tearDown(self):
        self.weir.stop()
        self.assertNotRegex(self.weir.log(), "Sanitizer|runtime error")

    def count(self, outcome):
        return self.weir.metrics()[f'weir_config_reloads_total{{outcome="{outcome}"}}']

    def reload(self, outcome="applied"):
        """SIGHUP, and the log's words about it."""
        before, at = self.count(outcome), len(self.weir.log())
        self.weir.process.send_signal(signal.SIGHUP)
        wait_for(f"a reload that is {outcome}", lambda: self.count(outcome) == before + 1)
        wait_for("its last line", lambda: f'event="reload_{outcome}"' in self.weir.log()[at:])
        return self.weir.log()[at:]

    def change(self, outcome="applied", **settings):
        weirlab.merge(self.weir.settings, settings)
        self.weir.write_conf()
        return self.reload(outcome)

    def at(self, sql="SELECT v FROM test.l_t"):
        return re.search(r"^server\t(\S+)", self.weir.explain(sql), re.M)[1]

    def test_rules_weights_and_limits(self):
        self.start()
        with self.weir.connect(database="test") as c, c.cursor() as cur:
            cur.execute("SELECT v FROM l_t")
            said = self.change(rules=[{"name": "two", "table": "l_t", "class": "read", "route": "server replica2"},
                                      {"name": "no", "class": "delete", "deny": "no deletes"}],
                               log={"level": "debug"})
            self.assertIn("rules[two]: new", said)
            self.assertIn("log.level: info -> debug", said)
            self.assertIn("configuration 2 is in force: 3 changes", said)
            wait_for("every worker has it", lambda: {self.at() for _ in range(8)} == {"replica2"})
            with self.assertRaises(pymysql.MySQLError) as denied:  # a session from before
                cur.execute("DELETE FROM l_t")
            self.assertEqual(denied.exception.args, (1227, "no deletes"))
            self.assertEqual(self.weir.metrics()["weir_config_generation"], 2)
            self.change(rules=[])
            del self.weir.settings["rules"]
            for server, weight in zip(self.weir.settings["servers"], (100, 0, 100)):
                server["weight"] = weight
            self.change()
            wait_for("only replica2 has a weight", lambda: "weight 0.00 of 0" in self.weir.explain("SELECT 1"))
            self.assertEqual({self.at() for _ in range(20)}, {"replica2"})
            cur.execute("SELECT v FROM l_t")
        self.change(limits={"max_clients": 1})
        with self.weir.connect() as one:
            wait_for("the limit holds", self.refused)
            self.assertTrue(one.open)

    def refused(self):
        try:
            self.weir.connect().close()
        except pymysql.MySQLError as e:
            return e.args[0] == 1040
        return False

    def test_mistakes_leave_all_as_it_is(self):
        self.start(rules=[{"table": "l_t", "route": "server replica1"}])
        good = dict(self.weir.settings)
        with open(self.weir.conf, "a", encoding="utf-8") as f:
            f.write("balence: {}\nlog: {levle: info}\n")
        said = self.reload("refused")
        self.assertRegex(said, r"level=error .*weir\.yaml:\d+:1: unknown setting balence; did you mean balance\?")
        self.assertRegex(said, r"level=error .*weir\.yaml:\d+:\d+: .*levle|log is given twice")
        self.assertIn("configuration 1 stays in force", said)
        self.weir.settings = {**good, "rules": [{"route": "primary"}, {"match": "a("}]}
        said = self.change("refused")
        self.assertRegex(said, r"weir\.yaml:\d+:\d+: match is no regular expression")
        self.weir.settings = {**good, "tls": {**good["tls"], "cert": "/etc/hostname", "key": "/etc/hostname"}}
        self.assertRegex(self.change("refused"), 'event="(tls_failed|config_mistake)"')
        self.assertEqual(self.at(), "replica1")
        self.weir.settings = good
        self.change()
        self.assertEqual(self.at(), "replica1")

    def test_what_needs_a_restart_is_named(self):
        self.start()
        servers = self.weir.settings["servers"]
        said = self.change("refused", workers=3, listeners=self.weir.settings["listeners"][:1], servers=servers[:2],
                           rules=[{"class": "read", "route": "primary"}], log={"format": "json"})
        for what in ("workers needs a restart: auto -> 3", "needs a restart: (there) -> none",
                     "servers[replica2] needs a restart", "log.format needs a restart"):
            self.assertIn(what, said)
        self.assertEqual(len(re.findall('event="needs_restart"', said)), 4, said)
        self.assertIn("it changes what needs a restart; nothing of it was taken over", said)
        self.assertNotEqual(self.at(), "primary", "the rule of a refused file is in force")

    def subject(self):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.weir.port}", "-starttls", "mysql"],
                              input="", capture_output=True, text=True, timeout=20, check=False)
        found = re.search(r"subject=.*CN ?= ?(\S+)", done.stdout)
        return found and found[1]

    def test_a_certificate_is_renewed(self):
        directory = tempfile.mkdtemp(prefix="weir-reload-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        cert, key = certificate(directory, "one.example")
        self.start(tls={"cert": cert, "key": key})
        self.assertEqual(self.subject(), "one.example")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with self.weir.connect(ssl=context) as old, old.cursor() as cur:
            cur.execute("SELECT 1")
            certificate(directory, "two.example")
            self.assertEqual(self.subject(), "one.example", "it was read without being asked")
            self.reload()
            wait_for("new handshakes show the new one", lambda: self.subject() == "two.example")
            cur.execute("SELECT REPEAT('x', 100000)")  # under the old one
            self.assertEqual(len(cur.fetchone()[0]), 100000)
            self.change(listeners=[{**self.weir.settings["listeners"][0], "tls": "required"},
                                   self.weir.settings["listeners"][1]])
            wait_for("plain logins are refused", lambda: self.error_of(ssl_disabled=True) == 3159)
            cur.execute("SELECT 1")

    def error_of(self, **options):
        try:
            self.weir.connect(**options).close()
        except pymysql.MySQLError as e:
            return e.args[0]
        return 0

    def test_listed_users(self):
        user, password = self.rig.env["DB_USER"], self.rig.env["DB_PASSWORD"]
        self.start(users={"source": ["list"], "list": [{"name": user, "password": password}]})
        with self.weir.connect() as c, c.cursor() as cur:
            self.weir.settings["users"]["list"] = [{"name": "somebody", "password": "else"}]
            self.change()
            wait_for("the user is not let in any more", lambda: self.error_of() == 1045)
            cur.execute("SELECT 1")  # who is in stays in
            self.weir.settings["users"]["list"].append({"name": user, "password": password})
            self.change()
            wait_for("he is again", lambda: self.error_of() == 0)

    def test_the_log_moves(self):
        self.start()
        moved = os.path.join(self.dir, "other.log")
        self.weir.settings["log"]["file"] = moved
        self.weir.write_conf()
        self.weir.process.send_signal(signal.SIGHUP)
        wait_for("the new file", lambda: os.path.exists(moved) and 'event="reload_applied"' in open(moved).read())
        self.weir.settings["log"]["file"] = os.path.join(self.dir, "no", "such.log")
        self.weir.write_conf()
        self.weir.process.send_signal(signal.SIGHUP)
        wait_for("a refusal", lambda: 'event="reload_refused"' in open(moved).read())

    def test_a_storm_disturbs_nobody(self):
        self.start()
        over = threading.Event()
        wrong, done = [], [0] * 4

        def client(i):
            try:
                with self.weir.connect(database="test") as c, c.cursor() as cur:
                    cur.execute(f"CREATE TEMPORARY TABLE mine{i} (v INT)" if i == 0 else "DO 0")
                    while not over.is_set():
                        cur.execute("BEGIN")
                        cur.execute("UPDATE l_t SET v = v + 1 WHERE id = 1")
                        cur.execute("COMMIT")
                        cur.execute("SELECT v FROM l_t WHERE id = 1")
                        if len(cur.fetchall()) != 1:
                            raise AssertionError("no row")
                        done[i] += 1
            except Exception as e:  # whatever it is, it is wrong
                wrong.append(f"client {i}: {e!r}")

        threads = [threading.Thread(target=client, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        begin = self.weir.rss_kib()
        for n in range(60):
            self.weir.settings["rules"] = [{"name": f"r{k}", "table": f"t{n}_{k}", "match": f"word{n}[a-z]+{k}"}
                                           for k in range(50 + n % 7)] + [{"class": "read", "max_lag": "1h"}]
            self.weir.settings["servers"][1]["weight"] = 1 + n
            if n % 5 == 4:
                self.change("refused", workers=7)
                del self.weir.settings["workers"]
            else:
                self.change()
            if n == 20:
                begin = self.weir.rss_kib()
        wait_for("each client has done something", lambda: wrong or all(done), 20)
        over.set()
        for t in threads:
            t.join(60)
        self.assertEqual(wrong, [])
        self.assertTrue(all(done), done)
        self.assertEqual(self.weir.metrics()["weir_config_generation"], 1 + 48)
        with open(self.weir.binary, "rb") as f:
            is_sanitized = re.search(rb"__[at]san_init", f.read())  # those keep what was freed
        self.assertLess(self.weir.rss_kib() - begin, 1 << 20 if is_sanitized else 4096, "old configurations are kept")
        labels = [k for k in self.weir.metrics() if k.startswith("weir_rule_matches_total{")]
        self.assertLessEqual(len(labels), 128)
