#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every path that a README names exists; every generated table is what its generator makes.

A generator is a program tests/lint/gen_*.py that, with --check, exits with 0 when all its tables
are up to date and else says which are not."""
import glob
import os
import re
import subprocess
import sys

import lintlib

TOPS = r"(?:src|include|tests|conf|docker|\.ci|\.github)"
PATH = re.compile(rf"(?<![\w./-])((?:\./)?{TOPS}/[\w./*{{}},<>-]*[\w*/}}>])")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
TICKED = re.compile(r"`([\w-]+\.(?:c|h|py|txt|tsv|yaml|sql))`")
MADE = re.compile(r"<!-- [\w ]+: made by .*?<!-- /?[\w ]+ -->", re.S)
ROOM_README_LINES = 120


def exists(path):
    return bool(glob.glob(os.path.join(lintlib.ROOT, path)))


def expand(path):
    """a/{b,c}.d -> a/b.d, a/c.d"""
    match = re.search(r"\{([^{}]*)\}", path)
    if not match:
        return [path]
    return [out for word in match.group(1).split(",")
            for out in expand(path[:match.start()] + word + path[match.end():])]


def check_file(name, basenames):
    text = lintlib.read(name)
    here = os.path.dirname(name)
    for match in PATH.finditer(text):
        path = match.group(1).removeprefix("./").rstrip("/.")
        if "<" in path or path.startswith("tests/rig/data"):
            continue
        for one in expand(path):
            if not exists(one) and not exists(os.path.join(here, one)):
                yield match.start(), f"{one} does not exist"
    for match in LINK.finditer(text):
        if not exists(os.path.join(here, match.group(1))):
            yield match.start(), f"link to {match.group(1)} leads nowhere"
    if name.startswith(("src/", "tests/")):
        for match in TICKED.finditer(text):
            if match.group(1) not in basenames:
                yield match.start(), f"there is no file {match.group(1)}"


def main():
    problems = []
    basenames = {os.path.basename(name) for name in lintlib.files(r".")}
    for name in lintlib.files(r"\.md$"):
        text = lintlib.read(name)
        for at, why in check_file(name, basenames):
            line = text.count("\n", 0, at) + 1
            problems.append(f"{name}:{line}: {why}")
        written = MADE.sub("", text)  # what is made from a list is as long as the list
        if re.match(r"src/[^/]+/README\.md$", name) and written.count("\n") > ROOM_README_LINES:
            problems.append(f"{name}: longer than {ROOM_README_LINES} lines")
    for room in sorted({name.split("/")[1] for name in lintlib.files(r"^src/[^/]+/.*\.c$")}):
        if not exists(f"src/{room}/README.md"):
            problems.append(f"src/{room} has no README.md")
    status = lintlib.report("docs paths", problems)

    for generator in sorted(glob.glob(os.path.join(lintlib.ROOT, "tests/lint/gen_*.py"))):
        done = subprocess.run([sys.executable, generator, "--check"], capture_output=True,
                              text=True, cwd=lintlib.ROOT, check=False)
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        wrong = (said or ["says nothing"]) if done.returncode else []
        status |= lintlib.report("docs " + os.path.basename(generator), wrong)
    return status


if __name__ == "__main__":
    sys.exit(main())
