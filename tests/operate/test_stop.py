# SPDX-License-Identifier: Apache-2.0
"""SIGTERM, where nothing is left that it would be right to wait for: the process is gone within five seconds."""
import fcntl
import os
import signal
import socket
import subprocess
import time
import unittest

import weirlab

LONG = {"drain": {"timeout": "30s"}, "monitor": {"timeout": "20s"}}


class Stop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = weirlab.Rig("mariadb")
        cls.rig.__enter__()
        cls.addClassCleanup(cls.rig.__exit__, None, None, None)

    def ends(self, weir):
        began = time.monotonic()
        weir.process.send_signal(signal.SIGTERM)
        self.assertEqual(weir.process.wait(60), 0)
        self.assertLess(time.monotonic() - began, 5)
        self.assertIn('event="stop"', weir.log())

    def weir(self, **more):
        return weirlab.Weir(self.rig, **LONG, **more)

    def test_silent_server(self):
        """One that accepts and says nothing: a monitor's thread waits for its greeting."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(30)
            servers = [{"name": n.name, "address": f"127.0.0.1:{n.port}"} for n in self.rig.nodes]
            servers.append({"name": "silent", "address": f"127.0.0.1:{silent.getsockname()[1]}"})
            with self.weir(servers=servers) as weir, silent.accept()[0]:
                self.ends(weir)

    def test_stopped_servers(self):
        """They hang in the middle of what they were asked."""
        with self.weir() as weir:
            for node in self.rig.nodes:
                node.kill(signal.SIGSTOP)
            try:
                weirlab.wait_for("they have been asked", lambda: all(self.asked(n.port) for n in self.rig.nodes))
                self.ends(weir)
            finally:
                for node in self.rig.nodes:
                    node.kill(signal.SIGCONT)

    def test_half_a_command(self):
        """A client that has sent the beginning of a command has not asked for anything yet."""
        with self.weir() as weir, weir.connect(ssl_disabled=True) as c:
            with c.cursor() as cur:
                cur.execute("SELECT 1")
                cur.fetchall()
            c._sock.sendall(b"\x40\0\0\0\x03SELECT")
            weirlab.wait_for("it has been read", lambda: self.unread(c) == 0)
            self.ends(weir)

    def test_login_that_does_not_come(self):
        with self.weir() as weir, socket.create_connection(("127.0.0.1", weir.port)) as c:
            self.assertTrue(c.recv(1))
            self.ends(weir)

    def test_log_that_nobody_reads(self):
        """Standard error is a pipe whose reader stands still: statements, SIGHUP and SIGTERM do not wait for it."""
        weir = self.weir(rules=[{"name": "all", "log": True}])
        self.addCleanup(weir.__exit__, None, None, None)
        weir.write_conf()
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        weir.process = subprocess.Popen([weir.binary, "--config", weir.conf], stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, start_new_session=True)
        os.close(writer)
        with open(weir.log_path, "wb"):
            pass
        weirlab.wait_for("weir listens", weir._is_up)
        weirlab.wait_for("weir sees its servers", weir._sees_servers)
        with weir.connect() as c, c.cursor() as cur:
            for i in range(500):
                cur.execute(f"SELECT {i}")
        lost = weirlab.wait_for("lines are dropped", lambda: weir.metrics()["weir_log_lines_dropped_total"])
        weir.process.send_signal(signal.SIGHUP)
        weirlab.wait_for("it is read again", lambda: weir.metrics()['weir_config_reloads_total{outcome="applied"}'] == 1)
        with weir.connect() as c, c.cursor() as cur:
            cur.execute("SELECT 1")
        self.assertGreater(lost, 0)
        began = time.monotonic()
        weir.process.send_signal(signal.SIGTERM)
        self.assertEqual(weir.process.wait(60), 0)
        self.assertLess(time.monotonic() - began, 5)

    @staticmethod
    def queued(local, peer=""):
        """Bytes that have come to a socket of this port and have not been taken out of it."""
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f.readlines()[1:]]
        return sum(int(r[4].split(":")[1], 16) for r in rows if r[1].endswith(f":{local:04X}") and r[2].endswith(peer) and r[3] == "01")

    def asked(self, port):
        return self.queued(port) > 0

    def unread(self, c):
        return self.queued(c._sock.getpeername()[1], f":{c._sock.getsockname()[1]:04X}")
