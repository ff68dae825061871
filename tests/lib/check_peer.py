#!/usr/bin/env -S /usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""peer.py against itself and against a real driver: every verb, and that failures are seen."""
import socket
import sys
import time

import peer as p

try:
    import pymysql
except ImportError:
    pymysql = None


def raises(kind, function):
    try:
        function()
    except kind:
        return True
    return False


def verbs():
    script = [("send", p.greeting()), ("expect", p.LOGIN), ("send", p.ok(2)), ("expect", b"\x03SELECT 1"),
              ("delay", 0.05), ("send", p.text_result(["a"], [["1"], [None]]), 3), ("half_close",),
              ("expect", p.CLOSED)]
    with p.FakeServer(script) as server:
        client = p.Peer.connect(server.port)
        hello = client.expect(p.GREETING)
        client.send(p.login_packet(hello, "u", "secret", "db", attrs={"k": "v"}))
        client.expect(p.OK)
        begun = time.monotonic()
        client.send(p.packet(b"\x03SELECT 1"))
        assert client.expect() == b"\x01"
        assert time.monotonic() - begun >= 0.05
        client.expect()
        assert client.expect() == b"\x011"
        assert client.expect() == b"\xfb"
        assert client.expect()[0] == 0xFE
        client.expect(p.CLOSED)
        client.close()


def reset_is_a_reset():
    def meet():  # connect() itself may meet it already
        client = p.Peer.connect(server.port)
        for _ in range(3):
            client.sock.recv(1000)
    with p.FakeServer([("send", p.greeting()), ("reset",)]) as server:
        assert raises(ConnectionResetError, meet)
        server.wait()


def mismatches_are_raised():
    def run():
        with p.FakeServer([("send", p.greeting()), ("expect", b"\x03SELECT 2")]) as server:
            client = p.Peer.connect(server.port)
            client.expect(p.GREETING)
            client.send(p.packet(b"\x03SELECT 1"))
            client.expect(p.CLOSED)
    assert raises(p.Mismatch, run)

    def early():
        with p.FakeServer([("send", p.greeting()), ("expect", p.ANY)]) as server:
            client = p.Peer.connect(server.port)
            client.expect(p.GREETING)
            client.close()
    assert raises(p.Mismatch, early)

    def verb():
        with p.FakeServer([("shout", b"")]) as server:
            p.Peer.connect(server.port).expect(p.CLOSED)
    assert raises(ValueError, verb)


def later_connections_get_later_scripts():
    with p.FakeServer(scripts=[[("send", p.err(1040, "full", None, 0))], [("send", p.greeting())]]) as server:
        assert p.Peer.connect(server.port).expect(p.ERR)[3:] == b"full"
        for _ in range(2):
            p.Peer.connect(server.port).expect(p.GREETING)
        assert server.accepted == 3


def big_packets():
    big = b"x" * (p.FULL + 5)
    with p.FakeServer([("expect", big), ("send", p.packet(big[:p.FULL]))], timeout=30) as server:
        client = p.Peer.connect(server.port, timeout=30)
        client.send(p.packet(big))
        assert client.expect() == big[:p.FULL]
        client.close()


def driver(plugin):
    asked = []

    def answer(_peer, com, body):
        asked.append((com, body))
        if body == b"SELECT 41":
            return p.text_result(["answer"], [["41"], [None]], caps=_peer.caps)
        if body == b"BAD":
            return p.err(1146, "no such table", "42S02")
        return None

    with p.FakeServer(p.serve(answer, "secret", plugin=plugin)) as server:
        conn = pymysql.connect(host="127.0.0.1", port=server.port, user="u", password="secret",
                               autocommit=None)
        with conn.cursor() as cursor:
            cursor.execute("SELECT 41")
            assert cursor.fetchall() == (("41",), (None,))
            assert raises(pymysql.err.ProgrammingError, lambda: cursor.execute("BAD"))
        conn.close()
        assert (p.COM_QUERY, b"SELECT 41") in asked
    with p.FakeServer(p.serve(answer, "other", plugin=plugin)) as server:
        assert raises(pymysql.err.OperationalError,
                      lambda: pymysql.connect(host="127.0.0.1", port=server.port, user="u", password="secret"))
        server.wait()
        assert isinstance(server.errors.pop(), p.Mismatch)


def main():
    socket.setdefaulttimeout(20)
    checks = [("verbs", verbs), ("reset", reset_is_a_reset), ("mismatch", mismatches_are_raised),
              ("scripts", later_connections_get_later_scripts), ("big", big_packets)]
    if pymysql:
        checks += [("driver_native", lambda: driver(p.NATIVE)), ("driver_sha2", lambda: driver(p.SHA2))]
    failed = 0
    for name, check in checks:
        try:
            check()
            print(f"ok peer_{name}", flush=True)
        except Exception as e:  # a check that breaks is a check that failed
            print(f"FAIL peer_{name}: {type(e).__name__}: {e}", flush=True)
            failed = 1
    if not pymysql:
        print("skip peer_driver: no pymysql")
    return failed


if __name__ == "__main__":
    sys.exit(main())
