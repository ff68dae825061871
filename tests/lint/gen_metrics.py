#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of metrics in src/util/README.md, out of include/weir/util/metric.h.
--check: only compare."""
import os
import re
import sys

import lintlib

SOURCE = "include/weir/util/metric.h"
TARGET = "src/util/README.md"
BEGIN = "<!-- metrics: made by tests/lint/gen_metrics.py -->\n"
END = "<!-- end of metrics -->\n"
ROW = re.compile(r'X\((\w+),\s*"(\w+)",\s*(COUNTER|GAUGE|HISTOGRAM),\s*(\w+),\s*((?:"[^"]*"\s*)+)\)')
LABEL = re.compile(r'X\((\w+), (\w+), "((?:[^"\\]|\\.)*)"\)')


def idle(text):
    """Metrics and label values that no room writes: a promise that nobody keeps."""
    code = "".join(lintlib.read(name) for name in lintlib.files(r"^src/(?!util/).*\.[ch]$"))
    used = set(re.findall(r"\bMETRIC_\w+", code))
    wanted = ["METRIC_" + match[0] for match in ROW.findall(text)]
    wanted += [f"METRIC_{match.group(1)}_{match.group(2)}" for match in LABEL.finditer(text)]
    return [name for name in wanted if name not in used]


def main():
    text = re.sub(r"\\\n", " ", lintlib.read(SOURCE))
    labels = {}
    for match in LABEL.finditer(text):
        keys = re.findall(r"(\w+)=", match.group(3))
        labels[match.group(1)] = ", ".join(keys)
    labels["SERVER"] = "server"
    labels["RULE"] = "rule"
    table = "| metric | kind | labels | what |\n| --- | --- | --- | --- |\n"
    names = set()
    for _, name, kind, label_set, text_of in ROW.findall(text):
        said = "".join(re.findall(r'"([^"]*)"', text_of))
        table += f"| `{name}` | {kind.lower()} | {labels.get(label_set, '')} | {said} |\n"
        if name in names or (kind == "COUNTER") != name.endswith("_total"):
            print(f"{SOURCE}: {name} is there twice, or a counter without _total (or the reverse)")
            return 1
        names.add(name)
    readme = lintlib.read(TARGET)
    start, end = readme.index(BEGIN) + len(BEGIN), readme.index(END)
    if readme[start:end] != table and "--check" in sys.argv:
        print(f"{TARGET}: the table of metrics is not that of {SOURCE}; run tests/lint/gen_metrics.py")
        return 1
    if readme[start:end] != table:
        with open(os.path.join(lintlib.ROOT, TARGET), "w", encoding="utf-8") as f:
            f.write(readme[:start] + table + readme[end:])
    if idle(text):
        print(f"{SOURCE}: nothing writes {', '.join(idle(text))}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
