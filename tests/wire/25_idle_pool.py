# SPDX-License-Identifier: Apache-2.0
"""AT-13: what a server says on connections that nobody uses is nobody's, and a half-dead one costs nothing.

One connection to each server where weir has a pool. Words with and without a close, parts of
packets, a half-closed end: the next statements, of the session that used the connection and of
others, as text, prepared and in a transaction, are right. Then the loop must be asleep: calls of
epoll_wait are counted by strace, and processor time is a ratio.
"""
import os
import signal
import subprocess
import tempfile
import time

import peer
import poollab
import rawclient as rc
from lab import RIGHT, Lab, is_right, one
from weirlab import wait_for

WORDS = {
    "4031": (peer.err(4031, "The client was disconnected by the server because of inactivity.", "HY000", 0), "close"),
    "4031, open": (peer.err(4031, "The client was disconnected by the server because of inactivity.", "HY000", 0), "stay"),
    "1927": (peer.err(1927, "Connection was killed", "70100", 1), "close"),
    "1053": (peer.err(1053, "Server shutdown in progress", "08S01", 1), "close"),
    "1053, half closed": (peer.err(1053, "Server shutdown in progress", "08S01", 1), "half"),
    "half closed": (b"", "half"),
    "closed": (b"", "close"),
    "half a header": (b"\7\0", "stay"),
    "a packet that never ends": (b"\xff\xff\xff\0abc", "stay"),
    "an ok": (peer.ok(), "stay"),
    "a result": (peer.text_result(["v"], [["stolen"]]), "stay"),
    "much": (os.urandom(200000), "stay"),
    "reset": (b"", "reset"),
}
SECONDS = 0.7


def say(middle, data, then):
    """To every idle connection of a client's session; how many there were."""
    found = []
    for link in middle.sessions():
        try:
            speak(middle, link, data, then)
            found.append(link)
        except OSError:
            pass  # weir has just let go of it by itself
    return found


def speak(middle, link, data, then):
    if data:
        link.front.send(data)
    if then == "half":
        link.front.half_close()
    elif then == "reset":
        link.front.sock.setsockopt(rc.socket.SOL_SOCKET, rc.socket.SO_LINGER, rc.struct.pack("ii", 1, 0))
        link.back.sock.shutdown(rc.socket.SHUT_RDWR)  # whose thread then closes, which is a reset now
    elif then == "close":
        middle.shut(link)


def begin(rig):
    lab = Lab(rig, **({"pool": {"wait": "5s"}} if poollab.knows_pool() else {}))
    if poollab.knows_pool():
        for server in lab.weir.settings["servers"]:
            server["max_connections"] = 1
    return lab


def uses(lab, sessions, n, name):
    """The next statements of every session, each kind by turns."""
    for k, c in enumerate(sessions):
        kind = (n + k) % 4
        if kind == 0:
            assert one(c, name) == RIGHT, f"{name}: session {k} got {one(c, name)}"
        elif kind == 1:
            packets = c.execute(c.stmt, (1,))
            assert any(b"one" in p for _, p in packets), f"{name}: session {k} EXECUTE got {packets}"
        elif kind == 2:
            for sql in ("BEGIN", f"INSERT INTO wire_ops (op) VALUES ({2500 + n})", "COMMIT"):
                p = c.query(sql)[-1][1]
                assert p[:1] == b"\0", f"{name}: session {k} {sql} got {p[:100]!r}"
        else:
            p = c.query(f"INSERT INTO wire_ops (op) VALUES ({2500 + n})")[-1][1]
            assert p[:1] == b"\0", f"{name}: session {k} INSERT got {p[:100]!r}"


def open_sessions(lab):
    found = []
    for _ in range(4):
        c = lab.session(timeout=10)
        c.stmt, _ = c.prepare("SELECT v, f FROM wire WHERE id = ?")
        is_right(c, "first")
        found.append(c)
    return found


def spoken(lab, sessions, n, name, data, then):
    """Connections to both servers are there, and idle, unless weir has thought of the word before as a change of primary."""
    uses(lab, sessions, n + 1, "before " + name)
    return [link for middle in (lab.primary, lab.replica) for link in say(middle, data, then)]


def run(lab):
    with begin(lab.rig) as other:
        sessions = open_sessions(other)
        for n, (name, (data, then)) in enumerate(WORDS.items()):
            other.wait_ready()
            heard = wait_for(f"{name}: somebody hears it", lambda: spoken(other, sessions, n, name, data, then), 10)
            wait_for(f"{name}: weir lets go", lambda: all(link.done.is_set() for link in heard), 10)
            uses(other, sessions, n, name)
            other.wait_ready()
            is_asleep(other.weir.process.pid, name)
        at_once(other, sessions)
        for c in sessions:
            c.close()
        assert lab.direct("SELECT COUNT(*) - COUNT(DISTINCT id) FROM wire_ops WHERE op >= 2500")[0][0] == 0


def at_once(lab, sessions):
    """The words and the statement cross: no wait between them."""
    for n in range(20):
        lab.wait_ready()
        c = sessions[n % 4]
        is_right(c, "idle")
        say(lab.replica, *WORDS["4031"])
        got = one(c, "crossing")
        assert got == RIGHT, f"crossing {n}: {got}"


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def epoll_calls(pid, seconds):
    """How often any thread asked for events while nobody did anything."""
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as out:
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-c", "-e", "trace=epoll_wait,epoll_pwait,epoll_pwait2", "-o", out.name, "-p", str(pid)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        return sum(int(line.split()[3]) for line in out.read().splitlines() if "epoll" in line and line.split()[3:])


def is_asleep(pid, name):
    """A loop that spins makes tens of thousands of calls; monitors, catalogue and timers some dozens."""
    if name not in ("1053, half closed", "a packet that never ends", "reset"):
        return
    calls = epoll_calls(pid, SECONDS)
    assert calls < 1000 * SECONDS, f"{name}: {calls} calls of epoll_wait in {SECONDS} s of idleness"
    before = cpu_ticks(pid)
    time.sleep(SECONDS)
    used = (cpu_ticks(pid) - before) / os.sysconf("SC_CLK_TCK") / SECONDS
    assert used < 0.3, f"{name}: {used:.0%} of a processor while idle"
