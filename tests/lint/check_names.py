#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Functions that other files can see start with a noun of their room; prototypes are somewhere."""
import os
import re
import sys

import lintlib

PROTOTYPE = re.compile(r"^(?![ \t#]|typedef|static|struct \w+ \{|enum)[^\n;{}=()]*?\b(\w+)\(", re.M)


def nouns(room):
    """Stems of the room's files, each of their words, and the structs its headers declare."""
    found = {room}
    for name in lintlib.files(rf"^src/{room}/", rf"^include/weir/{room}/"):
        stem = os.path.basename(name).split(".")[0].removesuffix("_priv")
        found.add(stem)
        found.add(stem.split("_")[0])
        if name.endswith(".h"):
            found.update(re.findall(r"^(?:struct|enum) (\w+)", lintlib.read(name), re.M))
    return found


def main():
    notes = []
    rooms = {name.split("/")[1] for name in lintlib.files(r"^src/[^/]+/.*\.c$")}
    for room in sorted(rooms):
        allowed = nouns(room)
        for name in lintlib.files(rf"^include/weir/{room}/.*\.h$", rf"^src/{room}/.*_priv\.h$"):
            for match in PROTOTYPE.finditer(lintlib.code_only(lintlib.read(name))):
                function = match.group(1)
                if function.startswith("__") or function.isupper():
                    continue
                if not any(function == n or function.startswith(n + "_") for n in allowed):
                    notes.append(f"{name}: {function}() names no noun of {room}")
    for note in notes:
        print("    " + note)
    print("ok names")
    return 0


if __name__ == "__main__":
    sys.exit(main())
