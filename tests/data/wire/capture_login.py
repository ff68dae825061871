#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""capture_login.py PORT OUT - record how real clients log in to a real server.

PORT is the TCP port on 127.0.0.1 of a throw-away server with a user lab (password lab-secret) and a
database lab. Each client connects through a small recorder on a TCP port; the packets up to the
server's verdict are written, and what follows a COM_CHANGE_USER. Clients that are not installed
are left out. Format: `login CLIENT`, then C (client) and S (server) lines in hex, in order; once a
client has asked for TLS nothing more is recorded.
"""
import os
import socket
import subprocess
import sys
import threading

PYMYSQL = """import pymysql
c = pymysql.connect(host='127.0.0.1', port=%d, user='lab', password='lab-secret', %s)
c.query('SELECT 1')"""
MYSQLDB = """import MySQLdb
c = MySQLdb.connect(host='127.0.0.1', port=%d, user='lab', passwd='lab-secret', %s)
c.query('SELECT 1'); c.store_result()
c.change_user('lab', 'lab-secret', 'lab')
c.query('SELECT 2'); c.store_result()"""
MYSQL2 = """const m = require('mysql2');
const c = m.createConnection({host: '127.0.0.1', port: %d, user: 'lab', password: 'lab-secret', database: 'lab'});
c.query('SELECT 1', () => c.changeUser({user: 'lab', password: 'lab-secret'}, () => c.end()));"""
PHP = """$c = new mysqli('127.0.0.1', 'lab', 'lab-secret', 'lab', %d);
$c->query('SELECT 1'); $c->change_user('lab', 'lab-secret', 'lab'); $c->query('SELECT 2');"""
NPM = next((d for d in os.environ.get("NODE_PATH", "").split(":") if d), "")


def clients(port):
    p = str(port)
    yield "pymysql", ["/usr/bin/python3", "-c", PYMYSQL % (port, "database='lab'")]
    yield "pymysql-nodb", ["/usr/bin/python3", "-c", PYMYSQL % (port, "")]
    yield "mysqlclient", ["/usr/bin/python3", "-c", MYSQLDB % (port, "db='lab'")]
    yield "mariadb-cli", ["mariadb", "--no-defaults", "--skip-ssl", "-h127.0.0.1", "-P" + p, "-ulab",
                          "-plab-secret", "lab", "-e", "SELECT 1"]
    yield "mysql-cli", [os.environ.get("MYSQL", "mysql"), "--no-defaults", "--ssl-mode=DISABLED",
                        "--get-server-public-key", "-h127.0.0.1", "-P" + p, "-ulab", "-plab-secret",
                        "lab", "-e", "SELECT 1"]
    yield "mysql-cli-tls", [os.environ.get("MYSQL", "mysql"), "--no-defaults", "-h127.0.0.1", "-P" + p,
                            "-ulab", "-plab-secret", "lab", "-e", "SELECT 1"]
    yield "php-mysqli", ["php", "-r", PHP % port]
    yield "npm-mysql2", ["node", "-e", MYSQL2 % port]


def packets(data):
    while len(data) >= 4:
        size = int.from_bytes(data[:3], "little")
        if len(data) < 4 + size:
            return
        yield data[:4 + size]
        data = data[4 + size:]


class Recorder:
    """One connection, both directions, in order of arrival."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.log = []

    def serve(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.server_port))

        def pump(src, dst, who):
            while True:
                try:
                    data = src.recv(65536)
                except OSError:
                    break
                if not data:
                    break
                self.log.append((who, data))
                dst.sendall(data)
            try:
                dst.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        up = threading.Thread(target=pump, args=(client, server, "C"), daemon=True)
        up.start()
        pump(server, client, "S")
        up.join(5)


def record(server_port, name, out):
    recorder = Recorder(server_port)
    command = dict(clients(recorder.port))[name]
    thread = threading.Thread(target=recorder.serve, daemon=True)
    thread.start()
    try:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        pass
    thread.join(2)
    if not recorder.log:
        print("left out:", name)
        return
    out.write("login %s\n" % name)
    is_in = False  # logged in: only a COM_CHANGE_USER starts recording again
    for who, data in recorder.log:
        for packet in packets(data):
            if who == "C" and is_in and packet[3] == 0:
                is_in = packet[4] != 0x11
            if is_in:
                continue
            out.write("%s %s\n" % (who, packet.hex()))
            if who == "C" and packet[3] == 1 and len(packet) == 36:
                return
            if who == "S" and packet[3] > 0 and packet[4] in (0x00, 0xFF):
                is_in = True


def main():
    server_port, target = int(sys.argv[1]), sys.argv[2]
    with open(target, "w") as out:
        out.write("# by tests/data/wire/capture_login.py; user lab, password lab-secret\n")
        for name, _ in clients(0):
            record(server_port, name, out)


if __name__ == "__main__":
    main()
