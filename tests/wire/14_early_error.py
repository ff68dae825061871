# SPDX-License-Identifier: Apache-2.0
"""A server that answers an upload before it has read it: the client sees that error, once, and others go on."""
import threading

import peer
import rawclient
from lab import is_right
from rawclient import COM_QUERY, command


def refuses(link):
    link.front.send(peer.err(1153, "Got a packet bigger than 'max_allowed_packet' bytes", "08S01", 1))
    while link.front.sock.recv(1 << 18):
        pass
    raise OSError("all of it was thrown away")


def run(lab):
    upload = command(COM_QUERY, b"INSERT INTO wire_ops (op) VALUES (1401) /* " + b"x" * (40 << 20) + b" */")
    lab.primary.early = refuses
    with lab.session(timeout=30) as c:

        def send():
            try:
                c.send(upload)
            except OSError:
                pass  # weir may close when it has said what there is to say
        sender = threading.Thread(target=send)
        sender.start()
        try:
            code, _, _ = rawclient.err_of(c.reply("query")[-1][1])
            assert code == 1153, code
        finally:
            sender.join(30)
    lab.primary.early = None
    with lab.session() as c:
        is_right(c, "another")
    assert lab.direct("SELECT COUNT(*) FROM wire_ops WHERE op = 1401")[0][0] == 0
