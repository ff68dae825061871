# SPDX-License-Identifier: Apache-2.0
"""A MySQL client that hides nothing: chosen capability bits, packets as they are on the wire.

    c = Raw("127.0.0.1", port, "user", "secret", database="test", drop=DEPRECATE_EOF)
    c.query("SELECT 1")              -> [(seq, payload), ...]  every packet of the reply
    c.send(command(COM_QUERY, b"SELECT 1") + command(COM_PING)); c.reply("query"); c.reply("simple")

Logs in with mysql_native_password or caching_sha2_password (fast, over TLS, over RSA). Standard
library only. A packet that was split into frames is returned joined; frames holds the last one's sizes.
"""
import base64
import hashlib
import os
import socket
import ssl
import struct

LONG_PASSWORD, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB = 1, 2, 4, 8
COMPRESS, LOCAL_FILES, PROTOCOL_41, INTERACTIVE, SSL = 1 << 5, 1 << 7, 1 << 9, 1 << 10, 1 << 11
TRANSACTIONS, SECURE_CONNECTION, MULTI_STATEMENTS = 1 << 13, 1 << 15, 1 << 16
MULTI_RESULTS, PS_MULTI_RESULTS, PLUGIN_AUTH = 1 << 17, 1 << 18, 1 << 19
CONNECT_ATTRS, PLUGIN_AUTH_LENENC, SESSION_TRACK = 1 << 20, 1 << 21, 1 << 23
DEPRECATE_EOF = 1 << 24
STMT_BULK, EXTENDED_METADATA, BULK_UNIT_RESULTS = 1 << 34, 1 << 35, 1 << 37  # MariaDB's, beyond 32 bits
DEFAULT_CAPS = (LONG_PASSWORD | LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | MULTI_STATEMENTS
                | MULTI_RESULTS | PS_MULTI_RESULTS | PLUGIN_AUTH | PLUGIN_AUTH_LENENC | SESSION_TRACK
                | DEPRECATE_EOF)

(COM_SLEEP, COM_QUIT, COM_INIT_DB, COM_QUERY, COM_FIELD_LIST, COM_CREATE_DB, COM_DROP_DB, COM_REFRESH,
 COM_SHUTDOWN, COM_STATISTICS, COM_PROCESS_INFO, COM_CONNECT, COM_PROCESS_KILL, COM_DEBUG, COM_PING, COM_TIME,
 COM_DELAYED_INSERT, COM_CHANGE_USER, COM_BINLOG_DUMP, COM_TABLE_DUMP, COM_CONNECT_OUT, COM_REGISTER_SLAVE,
 COM_STMT_PREPARE, COM_STMT_EXECUTE, COM_STMT_SEND_LONG_DATA, COM_STMT_CLOSE, COM_STMT_RESET, COM_SET_OPTION,
 COM_STMT_FETCH, COM_DAEMON, COM_BINLOG_DUMP_GTID, COM_RESET_CONNECTION) = range(32)
COM_STMT_BULK_EXECUTE = 0xFA

MORE_RESULTS, CURSOR_EXISTS, OUT_PARAMS = 0x0008, 0x0040, 0x1000
FULL = 0xFFFFFF


class Gone(Exception):
    """The other end closed the connection."""


class LoginError(Exception):
    def __init__(self, packet):
        self.code, self.state, self.text = err_of(packet)
        super().__init__(f"{self.code} ({self.state}): {self.text}")


def lenenc(number):
    if number < 0xFB:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + struct.pack("<H", number)
    if number < 1 << 24:
        return b"\xfd" + struct.pack("<I", number)[:3]
    return b"\xfe" + struct.pack("<Q", number)


def read_lenenc(data, at):
    """(value or None for NULL, position behind it)"""
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    if first == 0xFB:
        return None, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(data[at + 1:at + 1 + size], "little"), at + 1 + size


def frames_of(payload, seq=0):
    """The payload as frames, split where it must be; the second result is the next sequence id."""
    out = []
    while True:
        part, payload = payload[:FULL], payload[FULL:]
        out.append(struct.pack("<I", len(part))[:3] + bytes([seq & 255]) + part)
        seq += 1
        if len(part) < FULL:
            return b"".join(out), seq


def command(com, body=b"", seq=0):
    if isinstance(body, str):
        body = body.encode()
    return frames_of(bytes([com]) + body, seq)[0]


def err_of(payload):
    code = struct.unpack_from("<H", payload, 1)[0]
    if payload[3:4] == b"#":
        return code, payload[4:9].decode(), payload[9:].decode(errors="replace")
    return code, "", payload[3:].decode(errors="replace")


def status_of(payload, deprecate_eof):
    """The status of an OK, an EOF, or an OK in the place of an EOF."""
    if payload[0] == 0xFE and (not deprecate_eof or len(payload) == 5):
        return struct.unpack_from("<H", payload, 3)[0]
    at = read_lenenc(payload, 1)[1]
    at = read_lenenc(payload, at)[1]
    return struct.unpack_from("<H", payload, at)[0]


def native_reply(password, nonce):
    if not password:
        return b""
    one = hashlib.sha1(password).digest()
    mask = hashlib.sha1(nonce + hashlib.sha1(one).digest()).digest()
    return bytes(a ^ b for a, b in zip(one, mask))


def sha2_reply(password, nonce):
    if not password:
        return b""
    one = hashlib.sha256(password).digest()
    mask = hashlib.sha256(hashlib.sha256(one).digest() + nonce).digest()
    return bytes(a ^ b for a, b in zip(one, mask))


def rsa_encrypt(pem, text):
    """RSAES-OAEP with SHA-1, as the servers want it; the key comes as PEM."""
    der = base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))

    def item(at):
        size, at = der[at + 1], at + 2
        if size & 0x80:
            size, at = int.from_bytes(der[at:at + (size & 0x7F)], "big"), at + (size & 0x7F)
        return at, at + size
    inner, _ = item(0)
    _, after = item(inner)          # the algorithm
    bits, _ = item(after)           # the bit string: one byte of padding count, then the key
    key, _ = item(bits + 1)
    first, end = item(key)
    modulus = int.from_bytes(der[first:end], "big")
    first, last = item(end)
    exponent = int.from_bytes(der[first:last], "big")
    size = (modulus.bit_length() + 7) // 8

    def mask(seed, count):
        out = b"".join(hashlib.sha1(seed + struct.pack(">I", i)).digest() for i in range(count // 20 + 1))
        return out[:count]
    block = hashlib.sha1(b"").digest() + bytes(size - len(text) - 42) + b"\x01" + text
    seed = os.urandom(20)
    block = bytes(a ^ b for a, b in zip(block, mask(seed, len(block))))
    seed = bytes(a ^ b for a, b in zip(seed, mask(block, 20)))
    return pow(int.from_bytes(b"\0" + seed + block, "big"), exponent, modulus).to_bytes(size, "big")


class Greeting:
    def __init__(self, p):
        end = p.index(0, 1)
        self.version = p[1:end].decode()
        self.thread_id = struct.unpack_from("<I", p, end + 1)[0]
        low, self.charset, self.status, high, size = struct.unpack_from("<HBHHB", p, end + 14)
        self.caps = low | high << 16
        self.reserved = p[end + 22:end + 32]
        if not self.caps & LONG_PASSWORD:
            self.caps |= struct.unpack_from("<I", self.reserved, 6)[0] << 32
        self.nonce = p[end + 5:end + 13] + p[end + 32:end + 32 + max(12, size - 9)]
        self.plugin = p[end + 45:].split(b"\0")[0].decode()


class Raw:
    def __init__(self, host, port, user=None, password="", **options):
        """With user None only the greeting is read; login() does the rest."""
        self.timeout = options.pop("timeout", 20)
        self.max_reply = options.pop("max_reply", 1 << 30)  # bytes; more is an error here
        self.max_packets = options.pop("max_packets", 1 << 24)
        unix = options.pop("unix", None)
        if unix:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(unix)
        else:
            self.sock = socket.create_connection((host, port), timeout=self.timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.at = 0
        self.frames = []
        self.caps = 0
        self.seq = 0
        _, payload = self.read_packet()
        if payload[0] == 0xFF:
            raise LoginError(payload)
        self.asked = []  # the scrambles of switches, in order
        self.greeting = Greeting(payload)
        self.login_ok = None
        if user is not None:
            try:
                self.login(user, password, **options)
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    # --- bytes and packets ---------------------------------------------------------------------------
    def send(self, data):
        self.sock.sendall(data)

    def need(self, count):
        while len(self.buffer) - self.at < count:
            if self.at > 1 << 20:
                del self.buffer[:self.at]
                self.at = 0
            data = self.sock.recv(1 << 18)
            if not data:
                raise Gone(f"closed with {len(self.buffer) - self.at} bytes left")
            self.buffer += data

    def read_packet(self):
        """(sequence id of its first frame, payload with its frames joined)"""
        parts, first, self.frames = [], None, []
        while True:
            self.need(4)
            size = int.from_bytes(self.buffer[self.at:self.at + 3], "little")
            seq = self.buffer[self.at + 3]
            self.need(4 + size)
            parts.append(bytes(self.buffer[self.at + 4:self.at + 4 + size]))
            self.at += 4 + size
            if self.at == len(self.buffer):
                self.buffer.clear()
                self.at = 0
            self.frames.append((seq, size))
            first = seq if first is None else first
            self.seq = (seq + 1) & 255
            if size < FULL:
                return first, parts[0] if len(parts) == 1 else b"".join(parts)

    # --- login ---------------------------------------------------------------------------------------
    def start_tls(self, caps, charset):
        self.send(frames_of(struct.pack("<IIB19xI", (caps | SSL) & 0xFFFFFFFF, 1 << 24, charset, caps >> 32), self.seq)[0])
        self.seq += 1
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)

    def auth_reply(self, plugin, password, nonce):
        if plugin == "mysql_native_password":
            return native_reply(password, nonce)
        if plugin == "caching_sha2_password":
            return sha2_reply(password, nonce)
        raise ValueError(f"plugin {plugin}")

    def login(self, user, password="", database=None, caps=DEFAULT_CAPS, drop=0, add=0, tls=False, charset=45,
              attrs=None, plugin=None):
        caps = (caps | add) & ~drop
        for flag, wanted in ((CONNECT_WITH_DB, database is not None), (CONNECT_ATTRS, attrs is not None)):
            caps = caps | flag if wanted else caps & ~flag
        if caps >> 32:  # who has the first bit set has no extended ones
            caps &= self.greeting.caps | 0xFFFFFFFE
            caps |= 0 if caps >> 32 else LONG_PASSWORD
        self.caps = caps & (self.greeting.caps | LONG_PASSWORD)
        password = password.encode()
        plugin = plugin or self.greeting.plugin
        nonce = self.greeting.nonce[:20]
        if tls:
            self.start_tls(caps, charset)
            caps |= SSL
        reply = self.auth_reply(plugin, password, nonce)
        body = struct.pack("<IIB19xI", caps & 0xFFFFFFFF, 1 << 24, charset, caps >> 32) + user.encode() + b"\0"
        body += lenenc(len(reply)) + reply
        if database is not None:
            body += database.encode() + b"\0"
        if caps & PLUGIN_AUTH:
            body += plugin.encode() + b"\0"
        if attrs is not None:
            inner = b"".join(lenenc(len(x)) + x for pair in attrs for x in pair)
            body += lenenc(len(inner)) + inner
        self.send(frames_of(body, self.seq)[0])
        self.login_ok = self.finish_login(plugin, password, nonce, tls)

    def finish_login(self, plugin, password, nonce, tls):
        """Answer what the server asks until its OK, which is returned."""
        while True:
            _, p = self.read_packet()
            if p[0] == 0xFF:
                raise LoginError(p)
            if p[0] == 0x00:
                return p
            if p[0] == 0xFE:
                name, _, rest = p[1:].partition(b"\0")
                plugin, nonce = name.decode(), rest[:20]
                self.asked.append(nonce)
                answer = self.auth_reply(plugin, password, nonce)
            elif p[:2] == b"\x01\x03":
                continue
            elif p[:2] == b"\x01\x04":
                answer = password + b"\0" if tls or self.sock.family == socket.AF_UNIX else b"\x02"
            elif p[0] == 0x01:
                text = password + b"\0"
                mask = nonce * (len(text) // 20 + 1)
                answer = rsa_encrypt(p[1:], bytes(a ^ b for a, b in zip(text, mask)))
            else:
                raise LoginError(b"\xff\0\0" + b"unexpected " + p[:40].hex().encode())
            self.send(frames_of(answer, self.seq)[0])

    # --- replies -------------------------------------------------------------------------------------
    @property
    def is_new(self):
        return bool(self.caps & DEPRECATE_EOF)

    def reply(self, kind="query"):
        """Every packet of one reply. kind: query execute prepare simple rows statistics none."""
        if kind == "none":
            return []
        out = [self.read_packet()]
        first = out[0][1]
        if kind in ("simple", "statistics") or first[:1] == b"\xff":
            return out
        if kind == "prepare":
            return self._prepare(out)
        if kind == "rows":
            return self._rows(out, out.pop())
        return self._results(out, kind)

    def _prepare(self, out):
        columns, params = struct.unpack_from("<HH", out[0][1], 5)
        for count in (params, columns):
            if count:
                out += [self.read_packet() for _ in range(count + (0 if self.is_new else 1))]
        return out

    def _rows(self, out, packet=None):
        limit = FULL if self.is_new else 9
        total = 0
        while True:
            packet = packet or self.read_packet()
            out.append(packet)
            total += len(packet[1])
            if total > self.max_reply:
                raise Gone("a reply that is too large")
            p, packet = packet[1], None
            if p[:1] == b"\xff" or (p[:1] == b"\xfe" and len(p) < limit):
                return out

    def _results(self, out, kind):
        while True:
            if len(out) > self.max_packets:  # a loop of small results has no end either
                raise Gone("a reply of too many packets")
            p = out[-1][1]
            if p[0] == 0xFF:
                return out
            if p[0] == 0xFB:
                raise Gone("the server asks for a file")
            if p[0] != 0x00:
                count = read_lenenc(p, 0)[0]
                out += [self.read_packet() for _ in range(count)]
                status = 0
                if not self.is_new:
                    out.append(self.read_packet())
                    status = status_of(out[-1][1], False) if out[-1][1][0] == 0xFE else 0
                if not (kind == "execute" and status & CURSOR_EXISTS) and out[-1][1][0] != 0xFF:
                    self._rows(out)
                if out[-1][1][0] == 0xFF:
                    return out
                if status & OUT_PARAMS:  # MySQL leaves MORE_RESULTS out of the EOF behind such a row
                    out.append(self.read_packet())
                    continue
            if not status_of(out[-1][1], self.is_new) & MORE_RESULTS:
                return out
            out.append(self.read_packet())

    # --- commands ------------------------------------------------------------------------------------
    def run(self, com, body=b"", kind="simple"):
        self.send(command(com, body))
        return self.reply(kind)

    def query(self, sql):
        return self.run(COM_QUERY, sql, "query")

    def prepare(self, sql):
        """(statement id or None, packets)"""
        packets = self.run(COM_STMT_PREPARE, sql, "prepare")
        p = packets[0][1]
        return (struct.unpack_from("<I", p, 1)[0] if p[0] == 0 else None), packets

    def execute(self, stmt, params=(), cursor=0, bound=True):
        return self.run(COM_STMT_EXECUTE, execute_body(stmt, params, cursor, bound), "execute")

    def change_user(self, user, password="", database="", charset=45, plugin=None):
        plugin = plugin or self.greeting.plugin
        reply = self.auth_reply(plugin, password.encode(), self.greeting.nonce[:20])
        body = user.encode() + b"\0" + bytes([len(reply)]) + reply + database.encode() + b"\0"
        body += struct.pack("<H", charset) + plugin.encode() + b"\0"
        self.send(command(COM_CHANGE_USER, body))
        return self.finish_login(plugin, password.encode(), self.greeting.nonce[:20],
                                 isinstance(self.sock, ssl.SSLSocket))


class LongData:
    """A parameter whose value was sent ahead with COM_STMT_SEND_LONG_DATA."""


def execute_body(stmt, params=(), cursor=0, bound=True):
    body = struct.pack("<IBI", stmt, cursor, 1)
    if not params:
        return body
    nulls = bytearray((len(params) + 7) // 8)
    types, values = b"", b""
    for i, value in enumerate(params):
        if value is None:
            nulls[i // 8] |= 1 << i % 8
            types += b"\x06\0"
        elif value is LongData:
            types += b"\xfc\0"
        elif isinstance(value, int):
            types += b"\x08\0"
            values += struct.pack("<q", value)
        elif isinstance(value, float):
            types += b"\x05\0"
            values += struct.pack("<d", value)
        else:
            value = value.encode() if isinstance(value, str) else value
            types += b"\xfd\0"
            values += lenenc(len(value)) + value
    return body + bytes(nulls) + (b"\x01" + types if bound else b"\x00") + values


# --- reading results -----------------------------------------------------------------------------------
def text_names(packets):
    """The names of the columns of the first result set."""
    names = []
    for _, p in packets[1:1 + read_lenenc(packets[0][1], 0)[0]]:
        at = 0
        for _ in range(5):
            size, begin = read_lenenc(p, at)
            at = begin + size
        names.append(p[begin:at].decode())
    return names


def text_rows(packets, is_new):
    """The rows of the first result set of a text reply, as lists of bytes or None."""
    if not packets or packets[0][1][0] in (0x00, 0xFF):
        return []
    at = 1 + read_lenenc(packets[0][1], 0)[0] + (0 if is_new else 1)
    rows = []
    for _, p in packets[at:]:
        if p[:1] == b"\xff" or (p[:1] == b"\xfe" and len(p) < (FULL if is_new else 9)):
            break
        row, i = [], 0
        while i < len(p):
            size, i = read_lenenc(p, i)
            row.append(None if size is None else p[i:i + size])
            i += size or 0
        rows.append(row)
    return rows
