# SPDX-License-Identifier: Apache-2.0
"""A reply that ends at every byte: an autocommit read never shows it when nothing was passed on."""
import rawclient
from lab import RIGHT, is_right, one


def cuts(size, then):
    def answer(link, payload):
        link.front.send(link.ask(payload)[:size])
        getattr(link.front, then)()
        raise OSError("closed by the script")
    return answer


def reply_size(lab):
    sizes = []

    def measure(link, payload):
        data = link.ask(payload)
        sizes.append(len(data))
        link.front.send(data)
    with lab.session() as c:
        lab.replica.trap(b"measure", measure)
        is_right(c, "measure")
    return sizes[0]


def run(lab):
    size = reply_size(lab)
    for then in ("close", "reset"):
        for at in range(0, size, 1 if then == "close" else 7):
            with lab.session() as c:
                lab.replica.seen.clear()
                lab.replica.trap(b"cut", cuts(at, then))
                try:
                    got = one(c, "cut")
                except rawclient.Gone as e:
                    got = str(e)
                assert lab.replica.seen, f"{then} at {at}: the replica was not asked"
                whole = got == RIGHT
                assert whole or at >= 4, f"{then} at {at} of {size}: {got}"
                assert whole or "closed" in str(got) or got[0] == 1158, f"{then} at {at} of {size}: {got}"
