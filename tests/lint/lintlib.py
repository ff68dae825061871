# SPDX-License-Identifier: Apache-2.0
"""What the checks share: the list of files, and C without its comments and strings."""
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIP_DIRS = {".git", "node_modules", "__pycache__", ".cache"}


def files(*patterns):
    """Tracked files (all files where git cannot tell) whose path matches a regex, sorted."""
    try:
        out = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True,
                             capture_output=True, text=True).stdout
        names = [name for name in out.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for top, dirs, leaves in os.walk(ROOT):
            dirs[:] = [d for d in dirs if d not in SKIP_DIRS and not d.startswith("build")]
            names += [os.path.relpath(os.path.join(top, leaf), ROOT) for leaf in leaves]
    return sorted(name for name in names
                  if any(re.search(p, name) for p in patterns)
                  and os.path.isfile(os.path.join(ROOT, name)))


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as f:
        return f.read()


TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def code_only(text):
    """C text with comments and literals blanked; the lines stay where they were."""
    def blank(match):
        token = match.group(0)
        newlines = "\n" * token.count("\n")
        return '""' if token[0] == '"' else "0" if token[0] == "'" else " " + newlines
    return TOKEN.sub(blank, text)


def report(name, problems):
    """Prints one test line; the exit status of a check."""
    if problems:
        for problem in problems:
            print("    " + problem)
        print(f"FAIL {name}: {len(problems)} problem{'s' if len(problems) > 1 else ''}")
        return 1
    print(f"ok {name}")
    return 0
