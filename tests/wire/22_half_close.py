# SPDX-License-Identifier: Apache-2.0
"""A client that ends its side behind three pipelined commands has all three replies, then the end."""
import socket

import rawclient
from lab import READ, op
from rawclient import COM_QUERY, command


def run(lab):
    with lab.session() as c:
        c.send(command(COM_QUERY, READ.format("first")) + command(COM_QUERY, "INSERT INTO wire_ops (op) VALUES (2201)")
               + command(COM_QUERY, READ.format("last")))
        c.sock.shutdown(socket.SHUT_WR)
        replies = [c.reply("query") for _ in range(3)]
        assert rawclient.text_rows(replies[0], c.is_new) == [[b"one"]], replies[0]
        assert replies[1][-1][1][0] == 0, replies[1]
        assert rawclient.text_rows(replies[2], c.is_new) == [[b"one"]], replies[2]
        try:
            c.read_packet()
            raise AssertionError("the connection is still open")
        except rawclient.Gone:
            pass
    assert op(lab, 2201) == 1
