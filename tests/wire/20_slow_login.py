# SPDX-License-Identifier: Apache-2.0
"""300 sockets that never say a word, or half a login, do not keep a good client out."""
import peer
from lab import is_right, tcp


def run(lab):
    idle = [tcp(lab.weir.port) for _ in range(300)]
    try:
        for n, sock in enumerate(idle):
            if n % 2:
                sock.sendall(peer.packet(b"x" * 60, 1)[:1 + n % 60])
        for n in range(5):
            with lab.session() as c:
                is_right(c, f"good {n}")
    finally:
        for sock in idle:
            sock.close()
