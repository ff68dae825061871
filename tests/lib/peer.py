# SPDX-License-Identifier: Apache-2.0
"""Scripted ends of a MySQL conversation: a fake server, or a raw client, that does what a script says.

Six verbs: send, expect, delay, close, reset, half_close. A script is a function that is given a
Peer, or a list of (verb, argument...) tuples:

    with FakeServer([("send", greeting()), ("expect", LOGIN), ("send", ok(seq=2)),
                     ("expect", b"\\x03SELECT 1"), ("send", text_result(["1"], [["1"]])[:20]),
                     ("reset",)]) as server:
        ... connect to server.port ...
    # leaving the block raises what went wrong in the script

    client = Peer.connect(port); client.expect(GREETING); client.send(login_packet(...))

FakeServer(scripts=[a, b]) plays a for the first connection and b for all later ones. serve() is a
script for the usual case: log in, then answer each command by a function. Standard library only;
packet helpers that a client needs as well come from rawclient.
"""
import re
import socket
import struct
import threading
import time

from rawclient import (COM_PING, COM_QUERY, COM_QUIT, CONNECT_ATTRS, CONNECT_WITH_DB, DEFAULT_CAPS,
                       DEPRECATE_EOF, PLUGIN_AUTH, FULL, Greeting, frames_of, lenenc, native_reply,
                       read_lenenc, sha2_reply)

NATIVE, SHA2 = "mysql_native_password", "caching_sha2_password"
NONCE = b"abcdefghijklmnopqrst"
AUTOCOMMIT = 0x0002
SERVER_CAPS = DEFAULT_CAPS | CONNECT_WITH_DB | CONNECT_ATTRS | 0x0002 | 0x0008 | 0x4000


class Mismatch(AssertionError):
    """An expectation of a script was not met."""


class _Anything:
    def __init__(self, name, test):
        self.name = name
        self.test = test

    def __repr__(self):
        return self.name


ANY = _Anything("ANY", lambda p: True)
GREETING = _Anything("GREETING", lambda p: p[:1] == b"\x0a")
LOGIN = _Anything("LOGIN", lambda p: len(p) > 32)
SSL_REQUEST = _Anything("SSL_REQUEST", lambda p: len(p) == 32)
OK = _Anything("OK", lambda p: p[:1] == b"\x00")
ERR = _Anything("ERR", lambda p: p[:1] == b"\xff")
CLOSED = _Anything("CLOSED", None)


# --- packets; each takes seq and gives bytes with the header ---------------------------------------


def packet(payload, seq=0):
    return frames_of(payload, seq)[0]


def greeting(version="9.7.4", plugin=NATIVE, nonce=NONCE, conn_id=7, caps=SERVER_CAPS, charset=255,
             status=AUTOCOMMIT, extended=0):
    return packet(b"\x0a" + version.encode() + b"\0" + struct.pack("<I", conn_id) + nonce[:8] + b"\0"
                  + struct.pack("<HBHHB", caps & 0xFFFF, charset, status, caps >> 16 & 0xFFFF,
                                len(nonce) + 1)
                  + bytes(6) + struct.pack("<I", extended) + nonce[8:] + b"\0" + plugin.encode() + b"\0")


def ok(seq=1, affected=0, insert_id=0, status=AUTOCOMMIT, warnings=0, info=b"", tracks=b"", header=0):
    """tracks: a block made by track(); sets the flag and needs SESSION_TRACK on the connection."""
    body = bytes([header]) + lenenc(affected) + lenenc(insert_id)
    body += struct.pack("<HH", status | (0x4000 if tracks else 0), warnings)
    if info or tracks:
        body += lenenc(len(info)) + info
    if tracks:
        body += lenenc(len(tracks)) + tracks
    return packet(body, seq)


def eof(seq=1, warnings=0, status=AUTOCOMMIT):
    return packet(b"\xfe" + struct.pack("<HH", warnings, status), seq)


def err(code, text="", state="HY000", seq=1):
    """state None: the form without SQLSTATE, as in place of a greeting."""
    mark = b"#" + state.encode() if state else b""
    return packet(b"\xff" + struct.pack("<H", code) + mark + text.encode(), seq)


def track(kind, *texts):
    """One session-state entry: track(0, "autocommit", "OFF"), track(1, "db"), track(3, gtids)."""
    data = b"\0" if kind == 3 else b""
    for text in texts:
        data += lenenc(len(text)) + text.encode()
    return bytes([kind]) + lenenc(len(data)) + data


def auth_switch(plugin, nonce=NONCE, seq=2):
    return packet(b"\xfe" + plugin.encode() + b"\0" + nonce + b"\0", seq)


def auth_more(data, seq=2):
    return packet(b"\x01" + data, seq)


def column(name, kind=0xFD, seq=0):
    """A definition of text (0xFD) or number (8) without a table."""
    body = lenenc(3) + b"def" + b"\0\0\0" + lenenc(len(name)) + name.encode() + b"\0\x0c"
    body += struct.pack("<HIBHB", 45 if kind == 0xFD else 63, 1024, kind, 0, 0) + b"\0\0"
    return packet(body, seq)


def text_result(names, rows, caps=SERVER_CAPS, status=AUTOCOMMIT, seq=1, warnings=0, tracks=b""):
    """A whole text result set for a client with these flags; None in a row is NULL."""
    out = [packet(lenenc(len(names)), seq)]
    seq += 1
    for name in names:
        out.append(column(name, seq=seq))
        seq += 1
    if not caps & DEPRECATE_EOF:
        out.append(eof(seq, 0, status))
        seq += 1
    for row in rows:
        body = b""
        for value in row:
            data = value if isinstance(value, bytes) else str(value).encode()
            body += b"\xfb" if value is None else lenenc(len(data)) + data
        data, seq = frames_of(body, seq)
        out.append(data)
    if caps & DEPRECATE_EOF:
        out.append(ok(seq, status=status, warnings=warnings, tracks=tracks, header=0xFE))
    else:
        out.append(eof(seq, warnings, status))
    return b"".join(out)


def login_packet(hello, user, password="", database=None, caps=DEFAULT_CAPS, plugin=None, attrs=None,
                 auth=None, charset=45, seq=1):
    """A HandshakeResponse41 to a greeting's payload; auth overrides the computed answer."""
    seen = Greeting(hello)
    plugin = seen.plugin if plugin is None else plugin
    if auth is None:
        reply = sha2_reply if plugin == SHA2 else native_reply
        auth = reply(password.encode(), seen.nonce[:20])
    caps |= CONNECT_WITH_DB if database else 0
    caps |= CONNECT_ATTRS if attrs else 0
    body = struct.pack("<IIB23x", caps, 1 << 24, charset) + user.encode() + b"\0"
    body += lenenc(len(auth)) + auth
    body += database.encode() + b"\0" if database else b""
    body += plugin.encode() + b"\0" if caps & PLUGIN_AUTH else b""
    if attrs:
        block = b"".join(lenenc(len(t)) + t.encode() for pair in attrs.items() for t in pair)
        body += lenenc(len(block)) + block
    return packet(body, seq)


class Login:
    """A HandshakeResponse41 taken apart (the form with length-encoded auth, or with one byte)."""

    def __init__(self, payload):
        self.caps, self.max_packet, self.charset = struct.unpack_from("<IIB", payload)
        end = payload.index(0, 32)
        self.user = payload[32:end].decode()
        size, at = read_lenenc(payload, end + 1)
        self.auth = payload[at:at + size]
        at += size
        self.database = self.plugin = ""
        if self.caps & CONNECT_WITH_DB:
            end = payload.index(0, at)
            self.database, at = payload[at:end].decode(), end + 1
        if self.caps & PLUGIN_AUTH and 0 in payload[at:]:
            self.plugin = payload[at:payload.index(0, at)].decode()


# --- one end of a conversation ---------------------------------------------------------------------


class Peer:
    """One connection and the six verbs. seq is the id that the next packet of ours should have."""

    def __init__(self, sock, timeout=10):
        self.sock = sock
        self.sock.settimeout(timeout)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seq = 0
        self.caps = 0
        self.login = None
        self.buffer = b""

    @classmethod
    def connect(cls, port, host="127.0.0.1", timeout=10):
        return cls(socket.create_connection((host, port), timeout=timeout), timeout)

    def send(self, data, pieces=None, pause=0.0):
        """Send bytes; pieces: how many bytes at a time, with a pause between."""
        if pieces is None:
            self.sock.sendall(data)
            return
        for at in range(0, len(data), pieces):
            self.sock.sendall(data[at:at + pieces])
            time.sleep(pause)

    def _exactly(self, count):
        while len(self.buffer) < count:
            try:
                part = self.sock.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            self.buffer += part
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_packet(self):
        """The next payload, frames joined; None when the other end is gone."""
        payload = b""
        while True:
            head = self._exactly(4)
            if head is None:
                return None
            size = int.from_bytes(head[:3], "little")
            part = self._exactly(size)
            if part is None:
                return None
            payload += part
            self.seq = head[3] + 1 & 255
            if size < FULL:
                return payload

    def expect(self, what=ANY):
        """One packet (its payload is returned): exact payload, a pattern of re, one of the names
        above or a function. A number: so many raw bytes. CLOSED: nothing more comes."""
        if isinstance(what, int):
            data = self._exactly(what)
            if data is None:
                raise Mismatch(f"expected {what} bytes, the other end is gone")
            return data
        try:
            payload = self.read_packet()
        except TimeoutError:
            raise Mismatch(f"expected {what!r}, nothing came") from None
        if what is CLOSED:
            if payload is not None:
                raise Mismatch(f"expected the end, got {payload[:200]!r}")
            return None
        if payload is None:
            raise Mismatch(f"expected {what!r}, the other end is gone")
        if isinstance(what, bytes):
            right = payload == what
        elif isinstance(what, re.Pattern):
            right = what.search(payload) is not None
        else:
            right = (what.test if isinstance(what, _Anything) else what)(payload)
        if not right:
            raise Mismatch(f"expected {what!r}, got {payload[:200]!r}")
        return payload

    def delay(self, seconds):
        time.sleep(seconds)

    def close(self):
        self.sock.close()

    def reset(self):
        """Close with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def play(self, script):
        if callable(script):
            script(self)
            return
        for verb, *args in script:
            if verb not in ("send", "expect", "delay", "close", "reset", "half_close"):
                raise ValueError(f"no such verb: {verb}")
            getattr(self, verb)(*args)


def accept_login(peer, password=None, plugin=NATIVE, nonce=NONCE, **hello):
    """The server's side of a login. password None: anything is right. Returns the Login."""
    peer.send(greeting(plugin=plugin, nonce=nonce, **hello))
    peer.login = Login(peer.expect(LOGIN))
    peer.caps = peer.login.caps
    auth = peer.login.auth
    if peer.login.plugin not in ("", plugin):
        peer.send(auth_switch(plugin, nonce, peer.seq))
        auth = peer.expect()
    reply = sha2_reply if plugin == SHA2 else native_reply
    if password is not None and auth != reply(password.encode(), nonce):
        peer.send(err(1045, "Access denied", "28000", peer.seq))
        peer.close()
        raise Mismatch(f"wrong password for {peer.login.user}")
    if plugin == SHA2 and auth:
        peer.send(auth_more(b"\x03", peer.seq))
        peer.seq += 1
    peer.send(ok(peer.seq))
    return peer.login


def serve(answer, password=None, **hello):
    """A script: log in, then answer(peer, command byte, body) gives the bytes of each reply. It may
    return None: PING and unknown queries get OK; or play verbs on the peer itself and return b""."""

    def script(peer):
        accept_login(peer, password, **hello)
        while True:
            payload = peer.read_packet()
            if payload is None or payload[0] == COM_QUIT:
                return
            reply = answer(peer, payload[0], payload[1:])
            if peer.sock.fileno() < 0:
                return
            if reply is None:
                known = payload[0] in (COM_PING, COM_QUERY)
                reply = ok() if known else err(1047, "Unknown command", "08S01")
            peer.send(reply)

    return script


class FakeServer:
    """Listens on a free port of 127.0.0.1 and plays a script on each connection, a thread each."""

    def __init__(self, script=None, scripts=None, timeout=10, host="127.0.0.1", port=0):
        self.scripts = scripts or [script]
        self.timeout = timeout
        self.listener = socket.create_server((host, port))
        self.port = self.listener.getsockname()[1]
        self.peers = []
        self.errors = []
        self.threads = []
        self.lock = threading.Lock()
        self.accepted = 0

    def __enter__(self):
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self.threads.append(thread)
        return self

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            script = self.scripts[min(self.accepted, len(self.scripts) - 1)]
            self.accepted += 1
            peer = Peer(sock, self.timeout)
            self.peers.append(peer)
            thread = threading.Thread(target=self._play, args=(peer, script), daemon=True)
            with self.lock:  # what has been said to a client, wait() knows the thread of
                thread.start()
                self.threads.append(thread)

    def _play(self, peer, script):
        try:
            peer.play(script)
        except (OSError, ValueError, AssertionError, IndexError, struct.error) as e:
            self.errors.append(e)
        finally:
            peer.close()

    def wait(self, seconds=20):
        """Until every script that has begun is over."""
        end = time.monotonic() + seconds
        with self.lock:
            threads = self.threads[1:]
        for thread in threads:
            thread.join(max(0, end - time.monotonic()))

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.wait()
        self.stop()
        for peer in self.peers:
            peer.close()
        if kind is None and self.errors:
            raise self.errors[0]
