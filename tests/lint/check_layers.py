#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes go down the ladder of layers.txt only; outside libraries stay in their rooms."""
import os
import re
import sys

import lintlib

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
# header, who may include it
LIBRARIES = [
    (r"^(event2/|event\.h|evhttp\.h|evdns\.h)", r"^src/io/"),
    (r"^openssl/", r"^src/(io/|util/crypto)"),
    (r"^yaml\.h$", r"^src/config/"),
    (r"^(mysql\.h|mysql/|mariadb/|errmsg\.h|mysqld_error\.h)", r"^src/(monitor/|verify/|cache/binlog)"),
    (r"^hiredis/", r"^src/redis/"),
    (r"^pcre2\.h$", r"^src/route/"),
    (r"^curl/", r"^src/observe/"),
]


def ladder():
    floors = {}
    with open(os.path.join(lintlib.ROOT, "tests/lint/layers.txt"), encoding="utf-8") as f:
        rows = [line.split() for line in f if line.strip() and not line.startswith("#")]
    for number, rooms in enumerate(rows):
        for room in rooms:
            floors[room] = number
    return floors


def room_of(name, floors):
    parts = name.split("/")
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else None
    return parts[2] if parts[2] in floors else parts[2]


def check_include(name, room, quote, target, floors):
    for header, place in LIBRARIES:
        if re.search(header, target) and not re.search(place, name):
            return f"<{target}> belongs to {place}"
    if quote != '"':
        return None
    if not target.startswith("weir/"):
        local = os.path.join(lintlib.ROOT, os.path.dirname(name), target)
        return None if os.path.exists(local) else f'"{target}" is not in this room'
    if not os.path.exists(os.path.join(lintlib.ROOT, "include", target)):
        return f'"{target}" does not exist'
    other = target.split("/")[1]
    if room is None or other == room:
        return None
    if other not in floors:
        return f"room {other} is not in layers.txt"
    if floors[other] > floors[room]:
        return f'"{target}" is upwards'
    if floors[other] == floors[room]:
        return f'"{target}" is a neighbour'
    return None


def main():
    floors = ladder()
    problems = []
    for name in lintlib.files(r"^src/.*\.[ch]$", r"^include/weir/.*\.h$"):
        room = room_of(name, floors)
        if room is not None and room not in floors:
            problems.append(f"{name}: room {room} is not in layers.txt")
            continue
        text = lintlib.read(name)
        for match in INCLUDE.finditer(text):
            why = check_include(name, room, match.group(1), match.group(2), floors)
            if why:
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{name}:{line}: {why}")
    return lintlib.report("layers", problems)


if __name__ == "__main__":
    sys.exit(main())
