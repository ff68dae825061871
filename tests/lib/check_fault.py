#!/usr/bin/env -S /usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Every fault of the toxic proxy between a client and an echoing server, under ASan."""
import socket
import sys
import tempfile
import threading
import time

from faultproxy import Fault, compile_into


class Echo:
    """Sends back what comes; on the end of the input it says "bye" and closes."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.got = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.got.append(b"")
            threading.Thread(target=self._serve, args=(sock, len(self.got) - 1), daemon=True).start()

    def _serve(self, sock, index):
        try:
            while data := sock.recv(65536):
                self.got[index] += data
                sock.sendall(data)
            sock.sendall(b"bye")
        except OSError:
            self.got[index] += b"<reset>"
        sock.close()


def connect(fault):
    sock = socket.create_connection(("127.0.0.1", fault.port), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(65536)
        if not part:
            break
        data += part
    return data


def echo(sock, data):
    """The time that an echo took."""
    begun = time.monotonic()
    sock.sendall(data)
    assert read(sock, len(data)) == data
    return time.monotonic() - begun


def nothing_comes(sock, seconds=0.3):
    sock.settimeout(seconds)
    try:
        return not sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(5)


def relays(fault, _server):
    with connect(fault) as sock:
        big = bytes(range(256)) * 8192
        threading.Thread(target=sock.sendall, args=(big,), daemon=True).start()
        assert read(sock, len(big)) == big
        sock.shutdown(socket.SHUT_WR)
        assert read(sock, 10) == b"bye"
    stats = fault.stats()
    assert stats["up"] == len(big) and stats["down"] == len(big) + 3, stats


def latency(fault, _server):
    with connect(fault) as sock:
        assert echo(sock, b"x") < 0.1
        fault.add("late", "latency", "down", ms=150)
        assert 0.15 <= echo(sock, b"x") < 1
        fault.add("late", "latency", "both", ms=100, jitter=50)
        assert 0.2 <= echo(sock, b"x") < 1
        fault.remove("late")
        assert echo(sock, b"x") < 0.1


def bandwidth(fault, _server):
    fault.add("slow", "bandwidth", "up", rate=100000)
    with connect(fault) as sock:
        assert 0.25 <= echo(sock, b"x" * 30000) < 20


def slow_close(fault, _server):
    fault.add("lazy", "slow_close", "up", ms=200)
    with connect(fault) as sock:
        begun = time.monotonic()
        sock.shutdown(socket.SHUT_WR)
        assert read(sock, 3) == b"bye"
        assert time.monotonic() - begun >= 0.2


def timeout(fault, _server):
    fault.add("hang", "timeout", "down", ms=300)
    with connect(fault) as sock:
        begun = time.monotonic()
        sock.sendall(b"x")
        assert sock.recv(1) == b""
        assert 0.2 <= time.monotonic() - begun < 20
    fault.add("hang", "timeout", "down", ms=0)
    with connect(fault) as sock:
        sock.sendall(b"x")
        assert nothing_comes(sock)
        fault.remove("hang")
        assert read(sock, 1) == b"x"


def reset_peer(fault, server):
    with connect(fault) as sock:
        echo(sock, b"x")
        fault.add("rst", "reset_peer", "both", ms=50)
        try:
            sock.recv(1)
            raise AssertionError("no reset")
        except ConnectionResetError:
            pass
        time.sleep(0.1)
        assert server.got[-1].endswith(b"<reset>")


def slicer(fault, _server):
    fault.add("cut", "slicer", "down", size=1, us=2000)
    with connect(fault) as sock:
        sock.sendall(b"0123456789")
        parts = []
        while sum(map(len, parts)) < 10:
            parts.append(sock.recv(100))
        assert b"".join(parts) == b"0123456789"
        assert len(parts) >= 5, parts
    fault.add("cut", "slicer", "both", size=1)
    with connect(fault) as sock:
        echo(sock, bytes(range(256)) * 40)  # more pieces than the queue has places


def limit_data(fault, server):
    fault.add("limit", "limit_data", "up", bytes=5)
    with connect(fault) as sock:
        sock.sendall(b"0123456789")
        data = read(sock, 20)
        assert data in (b"01234", b""), data
        time.sleep(0.1)
        assert server.got[-1].startswith(b"01234") and b"5" not in server.got[-1]


def corrupt(fault, _server):
    fault.add("bad", "corrupt", "up", at=2, every=4)
    with connect(fault) as sock:
        sock.sendall(b"\0" * 4)
        sock.sendall(b"\0" * 4)
        assert read(sock, 8) == b"\0\0\xff\0\0\0\xff\0"


def half_close(fault, server):
    fault.add("half", "half_close", "up", bytes=3)
    with connect(fault) as sock:
        sock.sendall(b"abcdef")
        assert read(sock, 10) == b"abcbye"
        assert server.got[-1] == b"abc"


def stall(fault, _server):
    fault.add("stall", "stall", "down", bytes=4)
    with connect(fault) as sock:
        sock.sendall(b"abcdef")
        assert read(sock, 4) == b"abcd"
        assert nothing_comes(sock)


def down_and_up(fault, _server):
    with connect(fault) as sock:
        echo(sock, b"x")
        fault.down()
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass
        try:
            connect(fault).close()
            raise AssertionError("still listening")
        except ConnectionRefusedError:
            pass
    fault.up()
    with connect(fault) as sock:
        echo(sock, b"x")


def commands(fault, _server):
    fault.add("a", "latency", "up", ms=1)
    fault.add("b", "stall", bytes=1000)
    assert fault.list() == ["a latency up", "b stall both"]
    for wrong in ("add x", "add x nokind up", "add x latency sideways", "add x latency up ms=", "dance",
                  "add x latency up speed=1", "del x", "add " + "n" * 40 + " latency up"):
        try:
            fault.command(wrong)
            raise AssertionError(f"accepted: {wrong}")
        except ValueError:
            pass
    fault.reset()
    assert fault.list() == []


def nobody_upstream(fault, server):
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    with Fault(port, program=fault.program) as lonely:
        try:
            assert connect(lonely).recv(1) == b""
        except ConnectionResetError:
            pass
    assert server.got == []


def main():
    checks = (relays, latency, bandwidth, slow_close, timeout, reset_peer, slicer, limit_data, corrupt,
              half_close, stall, down_and_up, commands, nobody_upstream)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="weir-fault-", dir="/tmp") as scratch:
        program = compile_into(scratch, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
        for check in checks:
            server = Echo()
            try:
                with Fault(server.port, program=program) as fault:
                    check(fault, server)
                print(f"ok fault_{check.__name__}", flush=True)
            except Exception as e:  # a check that breaks is a check that failed
                print(f"FAIL fault_{check.__name__}: {type(e).__name__}: {e}", flush=True)
                failed = 1
            server.listener.close()
    return failed


if __name__ == "__main__":
    sys.exit(main())
