# SPDX-License-Identifier: Apache-2.0
"""tests/demo as README.md says it: every statement ran where weir said and where it belongs; the primary changes
under load; it stops."""
import os
import socket
import subprocess
import unittest

import weirlab

DEMO = os.path.join(weirlab.REPO, "tests", "demo")
PORTS = (3310, 3311, 9310)


def run(*words):
    return subprocess.run([DEMO, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False)


def is_taken(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Demo(unittest.TestCase):
    def shows(self, flavour):
        if any(is_taken(port) for port in PORTS):
            self.skipTest("its ports are taken: a demo is running, or something else")
        self.addCleanup(run, "stop")
        done = run(flavour)
        self.assertEqual(done.returncode, 0, "\n".join(line for line in done.stdout.splitlines() if "!!" in line or "DIFFERENT" in line)
                         or done.stdout[-800:])
        self.assertIn(" 0 did not", done.stdout)
        self.assertTrue(is_taken(PORTS[0]))
        stopped = run("stop")
        self.assertEqual(stopped.returncode, 0, stopped.stdout)
        self.assertFalse(is_taken(PORTS[0]))

    def test_failover(self):
        if any(is_taken(port) for port in PORTS):
            self.skipTest("its ports are taken: a demo is running, or something else")
        self.addCleanup(run, "stop")
        done = run("failover")
        self.assertEqual(done.returncode, 0, done.stdout[-1500:])
        self.assertNotIn("DIFFERENT", done.stdout)

    def test_mariadb(self):
        self.shows("mariadb")

    def test_mysql(self):
        self.shows("mysql")
