# SPDX-License-Identifier: Apache-2.0
"""A server that asks for more than it may: no password in clear, no unknown plugin, no endless talk."""
import peer
from lab import is_right

NATIVE = [("send", peer.greeting()), ("expect", peer.LOGIN)]
HEARD = []


def asks_clear(link):
    link.send(peer.greeting())
    link.expect(peer.LOGIN)
    link.send(peer.auth_switch("mysql_clear_password", b""))
    HEARD.append(link.read_packet())


LOGINS = {
    "clear password": asks_clear,
    "unknown plugin": NATIVE + [("send", peer.auth_switch("no_such_plugin"))],
    "old password": NATIVE + [("send", peer.packet(b"\xfe", 2))],
    "two switches": NATIVE + [("send", peer.auth_switch("mysql_native_password")), ("expect", peer.ANY),
                              ("send", peer.auth_switch("mysql_native_password", seq=4))],
    "ok with a wrong id": NATIVE + [("send", peer.ok(seq=9))],
    "short ok": NATIVE + [("send", peer.packet(b"\x00", 2))],
    "a result": NATIVE + [("send", peer.text_result(["a"], [["b"]], seq=2))],
    "local infile": NATIVE + [("send", peer.packet(b"\xfb/etc/passwd", 2))],
    "more data unasked": NATIVE + [("send", peer.auth_more(b"\x04"))],
    "1045": NATIVE + [("send", peer.err(1045, "Access denied", "28000", 2))],
    "gone after the login": NATIVE + [("close",)],
}


def run(lab):
    for name, script in LOGINS.items():
        lab.wait_ready()
        lab.replica.leave()  # a connection that is there already would be used
        lab.replica.greeted = 0
        lab.replica.greet = script
        with lab.session() as c:
            is_right(c, name)
            assert lab.replica.greeted >= 1, f"{name}: the replica was not tried"
            lab.replica.greet = None
            is_right(c, "after")
    assert HEARD and not any(lab.password.encode() in (x or b"") for x in HEARD), HEARD
