#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what is larger than aimed at. Never fails: a size is a question, not a mistake."""
import re
import sys

import lintlib

FUNCTION = re.compile(r"^(?![ \t#}/*])[^\n;{}=]*?\b(\w+)\([^;{}]*\)\s*\n\{\n(.*?)^\}", re.S | re.M)


def main():
    notes = []
    for name in lintlib.files(r"^src/.*\.c$"):
        text = lintlib.read(name)
        lines = text.count("\n")
        if lines > 700:
            notes.append(f"{name}: {lines} lines (700)")
        for match in FUNCTION.finditer(text):
            body = match.group(2).count("\n")
            if body > 100:
                notes.append(f"{name}: {match.group(1)}() has {body} lines (100)")
    for name in lintlib.files(r"^include/weir/.*\.h$"):
        lines = lintlib.read(name).count("\n")
        if lines > 250:
            notes.append(f"{name}: {lines} lines (250)")
    for name in lintlib.files(r"^src/main\.c$"):
        lines = lintlib.read(name).count("\n")
        if lines > 60:
            notes.append(f"{name}: {lines} lines (60)")
    for note in notes:
        print("    larger than aimed at: " + note)
    code = sum(lintlib.read(n).count("\n") for n in lintlib.files(r"^(src|include)/.*\.[ch]$"))
    test = sum(lintlib.read(n).count("\n") for n in lintlib.files(r"^tests/.*\.(c|h|py)$"))
    print(f"    {code} lines of C in src and include, {test} of C and Python in tests")
    print("ok sizes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
