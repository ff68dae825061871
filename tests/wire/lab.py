# SPDX-License-Identifier: Apache-2.0
"""What a conversation is given: real MariaDB behind two Middles, a weir in front, and short verbs.

Reads go to lab.replica, everything else to lab.primary. The table test.wire holds (1, 'one'),
(2, 'two'); a mark in a comment names the statement to the middles.
"""
import contextlib
import socket

import weirlab
from faultproxy import Fault
from middle import Middle
from rawclient import Gone, Raw, err_of, text_rows


class Lab:
    def __init__(self, rig, **settings):
        self.rig = rig
        self.user, self.password = rig.env["DB_USER"], rig.env["DB_PASSWORD"]
        self.primary = Middle(rig.primary.port, self.user)
        self.replica = Middle(rig.replicas[0].port, self.user)
        servers = [{"name": "primary", "address": f"127.0.0.1:{self.primary.port}", "tls": "off"},
                   {"name": "replica", "address": f"127.0.0.1:{self.replica.port}", "tls": "off"}]
        settings = weirlab.merge({"servers": servers, "users": {"source": ["server"]}, "drain": {"timeout": "1s"},
                                  "monitor": {"interval": "50ms", "failures": 100}},
                                 settings)
        self.weir = weirlab.Weir(rig, **settings)

    def __enter__(self):
        self.weir.__enter__()
        return self

    def __exit__(self, *exc):
        self.weir.__exit__(*exc)
        self.primary.stop()
        self.replica.stop()

    def session(self, **options):
        options.setdefault("database", "test")
        options.setdefault("timeout", 30)
        return Raw("127.0.0.1", self.weir.port, self.user, self.password, **options)

    def metric(self, name):
        return self.weir.metrics().get(name, 0)

    def is_alive(self):
        return self.weir.process.poll() is None

    def wait_ready(self):
        """Until weir sends reads to the replica again."""
        weirlab.wait_for("the replica is up again",
                         lambda: self.is_alive() and "target\treplica" in self.weir.explain("SELECT 1"), 15)

    def settle(self):
        self.primary.reset()
        self.replica.reset()
        assert self.is_alive(), "weir has ended:\n" + self.weir.log()[-3000:]
        self.wait_ready()

    def direct(self, sql):
        """One statement on the real primary, without weir; the rows."""
        with self.rig.connect(0, database="test") as c, c.cursor() as cur:
            cur.execute(sql)
            return cur.fetchall()


READ = "SELECT v FROM wire WHERE id = 1 /* {} */"


def rows(client, packets):
    return text_rows(packets, client.is_new)


def one(client, mark="plain"):
    """The value that READ gives, or the (code, state) of an error."""
    packets = client.query(READ.format(mark))
    if packets[-1][1][0] == 0xFF:
        return error(packets)
    return rows(client, packets)


def error(packets):
    assert packets[-1][1][0] == 0xFF, f"no error: {packets[-1][1][:100]!r}"
    code, state, _ = err_of(packets[-1][1])
    return code, state


RIGHT = [[b"one"]]


def is_right(client, mark="plain"):
    found = one(client, mark)
    assert found == RIGHT, f"{mark}: {found}"


def retried(lab, name, answer):
    """A read whose reply from the replica is `answer` gives the primary's row; the session goes on."""
    with lab.session() as c:
        is_right(c, "before")
        lab.replica.seen.clear()
        lab.replica.trap(name.encode(), answer)
        try:
            is_right(c, name)
        except (OSError, Gone) as e:
            raise AssertionError(f"{name}: {e!r}") from e
        assert len(lab.replica.seen) == 1, f"{name}: the replica was not asked"
        is_right(c, "after")


def sends(data, then="stay"):
    """A trap that answers with these bytes and then stays, closes or resets."""

    def answer(link, _payload):
        link.front.send(data)
        if then != "stay":
            getattr(link.front, then)()
            raise OSError("closed by the script")
    return answer


def op(lab, number):
    """How often the write with this number has happened."""
    return lab.direct(f"SELECT COUNT(*) FROM wire_ops WHERE op = {number}")[0][0]


def tcp(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


@contextlib.contextmanager
def through_fault(middle, with_monitor=False):
    """New connections through this middle take the way through a toxic proxy."""
    upstream = middle.upstream
    with Fault(upstream) as fault:
        middle.upstream = fault.port
        if with_monitor:
            middle.end_all()
        else:
            middle.reset()
        try:
            yield fault
        finally:
            middle.upstream = upstream
            middle.end_all()
