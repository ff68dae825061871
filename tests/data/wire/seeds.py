#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""seeds.py - fuzz corpora of the protocol room, out of the recorded exchanges and logins."""
import hashlib
import os

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "..", "..", "fuzz", "corpus")
KINDS = ["none", "simple", "query", "execute", "prepare", "fetch", "field_list", "statistics"]


def unpack(text):
    out = b""
    for part in text.split():
        if "*" in part:
            byte, count = part.split("*")
            out += bytes.fromhex(byte) * int(count)
        else:
            out += bytes.fromhex(part)
    return out


def put(target, data, limit=1500):
    if len(data) > limit:
        return
    where = os.path.join(CORPUS, target)
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, hashlib.sha1(data).hexdigest()[:16]), "wb") as f:
        f.write(data)


def replies(path, server):
    name = kind = None
    n = 0
    for line in open(path):
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "exchange":
            name, kind, _ = rest.split()
            n += 1
        elif word == "cmd":
            command = unpack(rest) if "*" not in rest else b""
            put("command", command)
            if command[:1] == b"\x17":
                for params in (0, 1, 2):
                    put("execute", bytes([params, 0]) + command)
            if server == 0:
                put("frame", bytes([0x80 | 20]) + len(command).to_bytes(3, "little") + b"\0" + command)
        elif word == "new":
            data = unpack(rest)
            # every second exchange from each server, with one kind of client each
            if n % 2 == server:
                put("reply", bytes([KINDS.index(kind), n // 2 % 5, n & 0xFF]) + data)
            if kind in ("simple", "query") and data[4] in (0x00, 0xFF) and name:
                put("command", data[4:4 + int.from_bytes(data[:3], "little")])


def logins(path):
    for line in open(path):
        who, _, rest = line.rstrip("\n").partition(" ")
        if who not in ("C", "S"):
            continue
        data = unpack(rest)[4:]
        if who == "S" and data[:1] == b"\x0a":
            put("login", b"G" + data)
        elif who == "S":
            put("command", data)
        elif data[:1] == b"\x11":
            put("change_user", b"\x07" + data[1:])
        elif len(data) >= 32:
            put("login", b"T" + data)
            put("wire", bytes([6, 3, 3, 0, 6, 7, 6]) + data[:9] + data[32:])


for i, server in enumerate(("mariadb-10.11", "mysql-9.7")):
    replies(os.path.join(HERE, server, "replies.txt"), i)
    logins(os.path.join(HERE, server, "logins.txt"))
put("change_user", b"\x01u\0\0db\0")
put("wire", bytes([9, 0, 1, 2, 3, 4, 5, 6, 7, 26]) + bytes(range(1, 20)) + b"\x07ab\0\x02cdxyz")
put("frame", b"\x84\x00\x00\x00\x05")
