#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Words that have no place: unsafe libc calls, bare TODOs, missing licence lines, shared magics."""
import re
import sys

import lintlib

BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|strerror|atoi|atol|gets|gmtime|"
                    r"localtime|asctime|ctime|rand|srand|alloca|tmpnam|mktemp)\s*\(|\bvolatile\b")
# attr.h declares the sanitizer's own functions as its runtime has them
VOLATILE_OK = {"src/core/panic.c", "include/weir/util/attr.h"}
MAGIC = re.compile(r"^[ \t]*#define[ \t]+(\w+_MAGIC)[ \t]+(?:UINT32_C\()?(0x[0-9a-fA-F]+)", re.M)


def main():
    problems = []
    magics = {}
    for name in lintlib.files(r"^(src|include|tests)/.*\.[ch]$"):
        text = lintlib.read(name)
        code = lintlib.code_only(text)
        if not text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n"):
            problems.append(f"{name}:1: no licence line")
        for number, line in enumerate(code.split("\n"), 1):
            found = BANNED.search(line)
            if found and not name.startswith("tests/"):
                word = found.group(0).rstrip("( ")
                if word != "volatile" or name not in VOLATILE_OK:
                    problems.append(f"{name}:{number}: {word}")
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b(?!\(\w)", line):
                problems.append(f"{name}:{number}: a TODO without a name")
        for match in MAGIC.finditer(code):
            other = magics.setdefault(match.group(2).lower(), f"{name} {match.group(1)}")
            if other != f"{name} {match.group(1)}":
                problems.append(f"{name}: {match.group(1)} has the value of {other}")
    for name in lintlib.files(r"^tests/.*\.(py|sh)$", r"^tests/([^/]+/)?run$", r"^\.ci/run$",
                              r"CMakeLists\.txt$"):
        if "SPDX-License-Identifier: Apache-2.0" not in lintlib.read(name)[:300]:
            problems.append(f"{name}:1: no licence line")
    return lintlib.report("words", problems)


if __name__ == "__main__":
    sys.exit(main())
