# SPDX-License-Identifier: Apache-2.0
"""Redis servers of a test's own, single or a cluster of six; and a connection to one."""
import contextlib
import os
import signal
import socket
import subprocess
import time

import rigcluster
import rigserver


class Redis:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()
        self.sock.close()

    def reply(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise AssertionError(rest.decode())
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest.decode()

    def __call__(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.sock.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.reply()


class Server(rigserver.RedisServer):
    def __init__(self, root, extra=""):
        os.makedirs(root, exist_ok=True)
        super().__init__(root)
        self.port, bus = rigcluster.free_ports(2)
        self.prepare((os.getuid(), os.getgid()))
        with open(self.cnf, "a", encoding="utf-8") as f:
            f.write(extra.format(bus=bus))

    def up(self):
        self.start([])
        self.wait_ready()
        return self

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *map(str, words)], capture_output=True, text=True,
                              timeout=60, check=True)
        return done.stdout.strip()


@contextlib.contextmanager
def servers(root, count, extra=""):
    found = [Server(os.path.join(root, f"r{n}"), extra) for n in range(count)]
    try:
        yield [s.up() for s in found]
    finally:
        for s in found:
            s.kill(signal.SIGCONT)
            s.kill(signal.SIGKILL)
            s.wait_gone(10)


@contextlib.contextmanager
def cluster(root):
    extra = "cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 1000\ncluster-config-file nodes.conf\n" \
            "repl-diskless-sync-delay 0\n"
    with servers(root, 6, extra) as nodes:
        subprocess.run(["redis-cli", "--cluster", "create", *(f"127.0.0.1:{n.port}" for n in nodes), "--cluster-replicas",
                        "1", "--cluster-yes"], check=True, capture_output=True, timeout=60)
        rigwait(lambda: sum("master_link_status:up" in n.cli("INFO", "replication") for n in nodes) == 3)
        yield nodes


def rigwait(holds, seconds=30):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def agree(nodes):
    """Redis' own tool moves nothing before they do; word of the last move needs a moment."""
    said = subprocess.run(["redis-cli", "--cluster", "check", f"127.0.0.1:{nodes[0].port}"], capture_output=True, text=True,
                          timeout=60, check=False).stdout
    return "All nodes agree" in said and "All 16384 slots covered" in said


def masters(nodes):
    """Living masters, by id."""
    found = {}
    for node in nodes:
        if node.pid():
            line = next(x for x in node.cli("CLUSTER", "NODES").splitlines() if "myself" in x)
            if "master" in line:
                found[line.split()[0]] = node
    return found


def reshard(nodes, source, target, slots):
    """That many slots go from one to the other, by their ids."""
    rigwait(lambda: agree(nodes))
    subprocess.run(["redis-cli", "--cluster", "reshard", f"127.0.0.1:{nodes[0].port}", "--cluster-from", source,
                    "--cluster-to", target, "--cluster-slots", str(slots), "--cluster-yes"], check=True,
                   capture_output=True, timeout=120)
