# SPDX-License-Identifier: Apache-2.0
"""A server with a scripted tongue: relays between weir and a real server until a script takes over.

    middle.greet = script      new connections are played by the script instead (the monitor's open one is not)
    middle.trap(b"mark", f)    the next command that holds the mark is not relayed: f(link, payload) answers it
    middle.early = f            f(link) is called when a command of several frames has only begun
    middle.say(data)           bytes to weir on every idle connection of a client's session

One thread a connection, so that a script owns both ends while it runs. Packets to the server are
read whole, bytes from it are passed on as they come.
"""
import select
import socket
import struct
import threading

from peer import Login, Mismatch, Peer
from rawclient import FULL, frames_of


def whole_reply(back):
    """The server's reply to one query, as bytes: OK, ERR or one result set, with DEPRECATE_EOF."""
    out = b""

    def one():
        nonlocal out
        payload = back.read_packet()
        if payload is None:
            raise Mismatch("the real server is gone")
        count = len(payload) // FULL + 1
        out += frames_of(payload, (back.seq - count) & 255)[0]
        return payload

    first = one()
    if first[0] in (0x00, 0xFF):
        return out
    for _ in range(first[0]):
        one()
    while True:
        row = one()
        if row[0] == 0xFF or (row[0] == 0xFE and len(row) < FULL):
            return out


class Link:
    """One connection through the middle. done is set when it is over."""

    def __init__(self, front, back):
        self.front, self.back = front, back
        self.user = None
        self.done = threading.Event()

    def ask(self, payload):
        """Send the command on and return the server's whole reply."""
        self.back.send(frames_of(payload)[0])
        return whole_reply(self.back)


class Middle:
    def __init__(self, upstream, client_user):
        self.upstream, self.client_user = upstream, client_user
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.links, self.traps, self.errors, self.seen = [], [], [], []
        self.greet = self.early = None
        self.greeted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self):
        """Back to a plain relay; sessions' connections are closed, what went wrong is raised."""
        self.greet, self.early, self.greeted = None, None, 0
        with self.lock:
            self.traps.clear()
            self.seen.clear()
            errors, self.errors = self.errors, []
        for link in self.sessions():
            self.shut(link)
            link.done.wait(5)
        if errors:
            raise errors[0]

    def end_all(self):
        """Every connection ends, the monitor's as well."""
        with self.lock:
            links = [x for x in self.links if not x.done.is_set()]
        for link in links:
            self.shut(link)
            link.done.wait(5)

    def stop(self):
        self.listener.close()
        for link in list(self.links):
            self.shut(link)

    @staticmethod
    def shut(link):
        for peer in (link.front, link.back):
            try:
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def trap(self, mark, answer, times=1):
        with self.lock:
            self.traps += [(mark, answer)] * times

    def sessions(self):
        with self.lock:
            return [x for x in self.links if x.user == self.client_user and not x.done.is_set()]

    def leave(self):
        """End every session's connection, and wait until weir has let go of it."""
        for link in self.sessions():
            self.shut(link)
            link.done.wait(10)

    def say(self, data, close=False):
        """Unasked for, to every session's connection; returns them."""
        found = self.sessions()
        for link in found:
            link.front.send(data)
            if close:
                self.shut(link)
        return found

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        front = Peer(sock, 30)
        if self.greet:
            self.greeted += 1
            try:
                front.play(self.greet)
            except (OSError, ValueError, IndexError, struct.error, Mismatch):
                pass  # weir may leave when it has seen enough
            front.close()
            return
        back = Peer.connect(self.upstream, timeout=30)
        link = Link(front, back)
        with self.lock:
            self.links.append(link)
        try:
            self._relay(link)
        except (OSError, ValueError):
            pass
        except AssertionError as e:
            self.errors.append(e)
        finally:
            link.done.set()  # first: whoever finds it open may still speak
            front.close()
            back.close()

    def _relay(self, link):
        front, back = link.front, link.back
        while True:
            ready, _, _ = select.select([front.sock, back.sock], [], [])
            if back.sock in ready:
                data = back.sock.recv(1 << 18)
                if not data:
                    return
                front.send(data)
            while front.buffer or front.sock in ready:
                if front.sock in ready and self.early and front.sock.recv(3, socket.MSG_PEEK) == b"\xff\xff\xff":
                    self.early(link)
                ready = []
                payload = front.read_packet()
                if payload is None:
                    return
                self._from_weir(link, payload)

    def _from_weir(self, link, payload):
        seq = (link.front.seq - len(payload) // FULL - 1) & 255
        if link.user is None:
            link.user = Login(payload).user
        with self.lock:
            found = [t for t in self.traps if t[0] in payload] if seq == 0 else []
            if found:
                self.traps.remove(found[0])
                self.seen.append(payload)
        if found:
            found[0][1](link, payload)
        else:
            link.back.send(frames_of(payload, seq)[0])
