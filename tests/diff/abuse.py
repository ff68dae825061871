# SPDX-License-Identifier: Apache-2.0
"""What no driver sends. weir answers or closes, counts it, leaks nothing and serves the others."""
import os
import random
import socket
import struct
import time

import rawclient as rc
import weirlab
from rawclient import Raw, command, frames_of


def fds(weir):
    return len(os.listdir(f"/proc/{weir.process.pid}/fd"))


def login(rig, weir, **options):
    return Raw("127.0.0.1", weir.port, "demo", rig.env["DB_PASSWORD"], database="test", timeout=10, **options)


def talk(sock, data, half=True):
    """Send, then read until the other end closes. False: it neither closed nor stayed within bounds."""
    sock.settimeout(20)
    try:
        sock.sendall(data)
        if half:
            sock.shutdown(socket.SHUT_WR)
        total = 0
        while True:
            got = sock.recv(65536)
            total += len(got)
            if not got:
                return True
            if total > 1 << 24:
                return False
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        sock.close()


def login_body(user=b"demo", reply=b"x" * 20, caps=rc.DEFAULT_CAPS, more=b"mysql_native_password\0"):
    return struct.pack("<IIB23x", caps, 1 << 24, 45) + user + b"\0" + rc.lenenc(len(reply)) + reply + more


def before_login(seed):
    """[(name, bytes behind the greeting), ...]"""
    r = random.Random(seed)
    good = frames_of(login_body(), 1)[0]
    ssl_request = frames_of(struct.pack("<IIB23x", rc.DEFAULT_CAPS | rc.SSL, 1 << 24, 45), 1)[0]
    cases = [("nothing", b""), ("one byte", b"\1"), ("an empty packet", b"\0\0\0\1"), ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
             ("a wrong sequence id", frames_of(login_body(), 7)[0]), ("64 MiB announced", b"\xff\xff\xff\1" + b"a" * 100000),
             ("16 MiB announced, little sent", b"\xff\xff\xff\1abc"), ("plaintext behind an SSLRequest", ssl_request + good),
             ("garbage behind an SSLRequest", ssl_request + r.randbytes(500)), ("an old client", frames_of(b"\5\0\0\0\0demo\0x\0", 1)[0]),
             ("a user of 60,000 bytes", frames_of(login_body(user=b"u" * 60000), 1)[0]),
             ("a reply of 255 bytes", frames_of(login_body(reply=b"r" * 255), 1)[0]),
             ("a length beyond the end", frames_of(login_body()[:37] + b"\xfe" + b"\xff" * 8, 1)[0]),
             ("attributes beyond the end", frames_of(login_body(caps=rc.DEFAULT_CAPS | rc.CONNECT_ATTRS) + b"\xfd\xff\xff\xff", 1)[0]),
             ("an unknown plugin", frames_of(login_body(more=b"no_such_plugin\0"), 1)[0]), ("all bits", frames_of(login_body(caps=0xFFFFFFFF & ~rc.SSL), 1)[0])]
    cases += [(f"a login cut at {n}", frames_of(login_body()[:n], 1)[0]) for n in range(0, len(login_body()), 3)]
    cases += [(f"a login sent to {n}", good[:n]) for n in range(1, len(good), 7)]
    cases += [(f"noise {i}", r.randbytes(r.randrange(1, 3000))) for i in range(25)]
    for i in range(40):
        bad = bytearray(good)
        for _ in range(r.randrange(1, 6)):
            bad[r.randrange(4, len(bad))] = r.randrange(256)
        cases.append((f"a mutated login {i}", bytes(bad)))
    return cases


def after_login(seed, count):
    r = random.Random(seed)
    keep = [c for c in range(256) if c not in (rc.COM_QUIT,)]
    cases = [("a wrong sequence id", command(rc.COM_PING, seq=3)), ("an empty packet", b"\0\0\0\0"),
             ("64 MiB in frames", b"".join(b"\xff\xff\xff" + bytes([i]) + b"\x03" * 0xFFFFFF for i in range(4))),
             ("a PING of 16 MiB", frames_of(b"\x0e" + b"x" * (1 << 24))[0]), ("half a header", b"\x05\0"), ("half a command", b"\x20\0\0\0\3SELECT"),
             ("a large query and no more", b"\xff\xff\xff\0\3" + b"S" * 100000), ("a second frame out of order", frames_of(b"\3" + b"x" * 0xFFFFFF)[0][:-3] + b"\0\0\x09"),
             ("CHANGE_USER cut", command(17, b"demo\0\x14abc")), ("CHANGE_USER without an end", command(17, b"demo")),
             ("EXECUTE without parameters", command(rc.COM_STMT_EXECUTE, struct.pack("<IBI", 1, 0, 1)))]
    cases += [(f"command {c} and noise", b"".join(command(c, r.randbytes(n)) for n in (0, 1, 3, 4, 9, 40))) for c in keep]
    for i in range(count):
        data = b"".join(command(r.choice(keep[:40]), r.randbytes(r.randrange(0, 60))) for _ in range(20))
        cases.append((f"noise {i}", data))
    return cases


def statements(rig, weir, seed, count):
    """EXECUTEs whose bodies are cut or altered, on statements that are there."""
    r = random.Random(seed)
    for _ in range(count):
        c = login(rig, weir)
        one, _ = c.prepare("SELECT ?, ?, ?")
        body = bytearray(rc.execute_body(one, (1, "text", 2.5)))
        for _ in range(r.randrange(1, 4)):
            body[r.randrange(4, len(body))] = r.randrange(256)
        cut = bytes(body[:r.randrange(4, len(body) + 1)])
        if not talk(c.sock, command(rc.COM_STMT_EXECUTE, cut) + command(rc.COM_STMT_FETCH, bytes(body[:8])) + command(rc.COM_PING)):
            return ["an altered EXECUTE was neither answered nor closed"]
    return []


def alive(rig, weir):
    if weir.process.poll() is not None:
        return [f"weir ended with {weir.process.returncode}: {weir.log()[-1500:]}"]
    try:
        with login(rig, weir) as c:
            return [] if rc.text_rows(c.query("SELECT 'fine'"), True) == [[b"fine"]] else ["a query is not answered"]
    except (rc.Gone, rc.LoginError, OSError) as e:
        return [f"a client cannot work: {e!r}"]


def run(rig, binary, report, is_long):
    seed = random.SystemRandom().randrange(1 << 30) if is_long else 4711
    rig.primary.execute("CREATE DATABASE IF NOT EXISTS test")
    # idle connections to servers are no leak, but would be counted as one
    with weirlab.Weir(rig, binary=binary, pool={"idle": "300ms"}) as weir:
        name = f"diff {rig.flavour} abuse"
        print(f"    seed {seed}")
        alive(rig, weir)
        begin_fds, before = fds(weir), weir.metrics()
        problems = []
        for what, data in before_login(seed):
            if not talk(socket.create_connection(("127.0.0.1", weir.port)), data):
                problems.append(f"{what}: neither answered nor closed")
        report.check(f"{name} before the login", problems + alive(rig, weir))
        problems = []
        for what, data in after_login(seed, 400 if is_long else 40):
            if not talk(login(rig, weir).sock, data):
                problems.append(f"{what}: neither answered nor closed")
            if weir.process.poll() is not None:
                problems.append(f"{what}: weir ended")
                break
        report.check(f"{name} after the login", problems + alive(rig, weir))
        report.check(f"{name} altered EXECUTEs", statements(rig, weir, seed, 400 if is_long else 60) + alive(rig, weir))
        with login(rig, weir) as bystander:  # someone who does not end: no memory for what is only announced
            held, rss = [], weir.rss_kib()
            for _ in range(50):
                s = login(rig, weir).sock
                s.sendall(b"\xff\xff\xff\0\x03" + b"-" * 1000)
                held.append(s)
            time.sleep(0.3)
            grown = weir.rss_kib() - rss
            problems = [] if grown < 50 * 1024 else [f"{grown} KiB for 50 announcements of 16 MiB"]
            problems += [] if rc.text_rows(bystander.query("SELECT 1"), True) == [[b"1"]] else ["the bystander is not served"]
            for s in held:
                s.close()
        report.check(f"{name} announced sizes", problems)
        after = weir.metrics()
        problems = [f"{m} did not count" for m in ("weir_protocol_violations_total", "weir_logins_failed_total")
                    if after.get(m, 0) <= before.get(m, 0)]
        report.check(f"{name} is counted", problems)
        try:
            weirlab.wait_for("the descriptors are given back", lambda: fds(weir) <= begin_fds + 4, 10)
            report.ok(f"{name} leaks no descriptor")
        except AssertionError:
            report.fail(f"{name} leaks no descriptor", f"{begin_fds} before, {fds(weir)} after")
        text = weir.log()
        problems = [line for line in text.splitlines() if "ERROR: AddressSanitizer" in line or "runtime error" in line]
        status = weir.stop(20)
        text = weir.log()
        problems += [line for line in text.splitlines() if "LeakSanitizer" in line]
        report.check(f"{name} ends clean", problems + ([] if status == 0 else [f"status {status}"]))
