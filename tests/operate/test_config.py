# SPDX-License-Identifier: Apache-2.0
"""The configuration as an operator meets it: weir check, a start that must not happen, secrets."""
import os
import re
import resource
import signal
import socket
import shutil
import subprocess
import tempfile
import unittest

import rigcluster
import weirlab

CANARY = "c4nary-" + os.urandom(8).hex()
MINIMAL_MAX_LINES = 10
GOOD = """\
listeners: [{{address: "127.0.0.1:{port}"}}]
servers: [{{name: db1, address: "127.0.0.1:1"}}]
monitor: {{user: weir_monitor, password_file: monitor.password}}
http: {{address: off}}
tls: {{dir: "{dir}"}}
"""


def readme_config():
    """The minimal configuration that README.md shows."""
    with open(os.path.join(weirlab.REPO, "README.md"), encoding="utf-8") as f:
        return re.search(r"<!-- minimal configuration.*?```yaml\n(.*?)```", f.read(), re.S).group(1)


class Directory(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="weir-operate-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.path = self.write("monitor.password", CANARY + "\n")
        self.port = rigcluster.free_ports(1)[0]

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def weir(self, *args, seconds=20):
        return subprocess.run([weirlab.weir_binary(), *args], text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)

    def good(self):
        return GOOD.format(port=self.port, dir=self.dir)


class Check(Directory):
    def accept(self, text):
        done = self.weir("check", self.write("weir.yaml", text))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotRegex(done.stdout + done.stderr, r"weir\.yaml:\d+:\d+")

    def refuse(self, text, *expected, mode=0o600):
        path = self.write("weir.yaml", text, mode)
        done = self.weir("check", path)
        self.assertNotEqual(done.returncode, 0)
        said = done.stdout + done.stderr
        for line in expected:
            self.assertIn(path + line, said)
        return said

    def test_minimal_file_of_the_readme(self):
        text = readme_config()
        self.assertLessEqual(len(text.splitlines()), MINIMAL_MAX_LINES)
        self.accept(text.replace("/etc/weir/monitor.password", "monitor.password"))

    def test_shipped_file(self):
        with open(os.path.join(weirlab.REPO, "conf", "weir.yaml"), encoding="utf-8") as f:
            text = f.read()
        self.assertIn("/etc/weir/monitor.password", text)
        self.accept(text.replace("/etc/weir/monitor.password", "monitor.password"))

    def test_several_mistakes_at_once(self):
        self.refuse(self.good() + "balance: {policy: latancy}\nworkerz: 2\nlog: {level: loud}\n",
                    ":6:19: balance.policy is \"latancy\"; did you mean latency?",
                    ":7:1: unknown setting workerz; did you mean workers?",
                    ":8:14: log.level is \"loud\"; write one of: error warn info debug trace")

    def test_a_secret_that_others_may_read(self):
        text = self.good().replace("password_file: monitor.password", f"password: {CANARY}")
        said = self.refuse(text, ":3:41: a secret stands in a file that others may read", mode=0o644)
        self.assertNotIn(CANARY, said)
        self.accept(text)

    def test_no_such_file(self):
        done = self.weir("check", os.path.join(self.dir, "absent.yaml"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("absent.yaml: cannot be opened (No such file or directory)",
                      done.stdout + done.stderr)


class Explain(Directory):
    def test_reads_after_writes(self):
        """With servers that are well, the mode of the file is the one that applies; auto is GTIDs then."""
        for mode, want in (("auto", "gtid"), ("gtid", "gtid"), ("window", "window"), ("strict", "strict")):
            path = self.write("weir.yaml", self.good() + f"read_after_write: {{mode: {mode}}}\n")
            done = self.weir("explain", "--config", path, "SELECT 1")
            self.assertRegex(done.stdout, rf"(?m)^freshness +{want}$", mode + done.stderr)
        self.assertRegex(self.weir("explain", "SELECT 1").stdout, r"(?m)^freshness +gtid$")


class Start(Directory):
    def test_a_mistake_keeps_weir_from_starting(self):
        path = self.write("weir.yaml", self.good() + "wrokers: 2\n")
        done = self.weir("--config", path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(path + ":6:1: unknown setting wrokers; did you mean workers?", done.stderr)
        self.assertTrue(weirlab.rigserver.port_free(self.port))
        self.assertEqual(sorted(os.listdir(self.dir)), ["monitor.password", "weir.yaml"])

    def test_secrets_stay_inside(self):
        """Not in the process list, not in the log, not in a core."""
        text = (self.good() + "log: {level: trace}\nusers: {source: [list, passthrough], list: "
                f"[{{name: app, password: {CANARY}}}]}}\n")
        log = os.path.join(self.dir, "log")
        with open(log, "wb") as out:
            process = subprocess.Popen(
                [weirlab.weir_binary(), "--config", self.write("weir.yaml", text)], cwd=self.dir,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=lambda:
                resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        weirlab.wait_for("weir listens", lambda: process.poll() is not None or
                         not weirlab.rigserver.port_free(self.port), 15)
        self.assertIsNone(process.poll(), weirlab_read(log))
        for name in ("cmdline", "environ"):
            with open(f"/proc/{process.pid}/{name}", "rb") as f:
                self.assertNotIn(CANARY.encode(), f.read())
        process.send_signal(signal.SIGABRT)
        self.assertNotEqual(process.wait(20), 0)
        for name in os.listdir(self.dir):
            if name in ("weir.yaml", "monitor.password"):
                continue
            with open(os.path.join(self.dir, name), "rb") as f:
                self.assertNotIn(CANARY.encode(), f.read(), name)


    def begun(self, *signals):
        """Its log, when it has got the signals while it waited for a server that accepts and says nothing."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            text = self.good().replace("127.0.0.1:1\"", f"127.0.0.1:{silent.getsockname()[1]}\"")
            self.assertIn(str(silent.getsockname()[1]), text)
            log = os.path.join(self.dir, "log")
            with open(log, "wb") as out:
                process = subprocess.Popen([weirlab.weir_binary(), "--config", self.write("weir.yaml", text)],
                                           stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            silent.settimeout(20)
            with silent.accept()[0]:  # the first probe: weir waits for its outcome now
                for number in signals:
                    process.send_signal(number)
                self.assertEqual(process.wait(20), 0, weirlab_read(log))
        return weirlab_read(log)

    def test_ended_while_it_starts(self):
        said = self.begun(signal.SIGTERM)
        self.assertIn("ended by a signal before anybody was served", said)
        self.assertNotIn('event="ready"', said)

    def test_reloaded_while_it_starts(self):
        self.assertIn("weir is still starting", self.begun(signal.SIGHUP, signal.SIGTERM))


def weirlab_read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


class Grants:
    """conf/grants-*.sql as the rig applies it, and weir check --servers with it and with less."""
    flavour = None

    @classmethod
    def setUpClass(cls):
        cls.rig = weirlab.Rig(cls.flavour)
        cls.rig.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.rig.__exit__(None, None, None)

    def check(self):
        lab = weirlab.Weir(self.rig)
        self.addCleanup(shutil.rmtree, lab.dir, ignore_errors=True)
        lab.write_conf()
        return self.weir("check", "--servers", lab.conf, seconds=60)

    def test_grants_are_enough(self):
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("FAULT", done.stdout)
        for node in self.rig.nodes:
            self.assertRegex(done.stdout, rf"(?m)^{node.name}: reached: ")

    def test_a_hidden_view_is_told(self):
        # a schema of its own: the rig grants SELECT on those of the tests
        self.addCleanup(self.rig.primary.execute, "DROP DATABASE operate")
        self.rig.primary.execute("CREATE DATABASE operate",
                                 "CREATE VIEW operate.v AS SELECT 1 AS one")
        self.rig.settle()
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("catalogue: 1 views whose definition may not be read", done.stdout)

    def test_a_missing_right_is_told(self):
        right = "REPLICA MONITOR" if self.flavour == "mariadb" else "REPLICATION CLIENT"
        user = self.rig.env["MONITOR_USER"] + "@'%'"
        self.rig.primary.execute(f"REVOKE {right} ON *.* FROM {user}")
        self.addCleanup(self.rig.settle)
        self.addCleanup(self.rig.primary.execute, f"GRANT {right} ON *.* TO {user}")
        self.rig.settle()
        done = self.check()
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"FAULT \S+: cannot be probed: .*(SLAVE MONITOR|REPLICATION CLIENT)")


class GrantsMariadb(Grants, Directory):
    flavour = "mariadb"


class GrantsMysql(Grants, Directory):
    flavour = "mysql"


if __name__ == "__main__":
    unittest.main()
