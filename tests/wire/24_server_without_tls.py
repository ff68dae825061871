# SPDX-License-Identifier: Apache-2.0
"""`tls: required` and a replica without TLS, or with words behind its greeting: no login goes out to it.

The monitor is who asks here; test_conn has the same for sessions' own connections."""
import peer
from lab import Lab, is_right
from rawclient import LoginError
from weirlab import wait_for

HEARD = []


def greets(more, caps):
    def script(link):
        link.send(peer.greeting(caps=caps) + more)
        HEARD.append(link.read_packet())
    return script


def can_log_in(lab):
    """The primary is up and its accounts have been read."""
    try:
        lab.session().close()
        return True
    except LoginError:
        return False


def run(lab):
    HEARD.clear()
    with Lab(lab.rig) as other:
        for server in other.weir.settings["servers"]:
            if server["name"] == "replica":
                server["tls"] = "required"
        for name, script in {"no TLS bit": greets(b"", peer.SERVER_CAPS & ~0x800),
                             "words behind": greets(peer.ok(seq=1), peer.SERVER_CAPS | 0x800)}.items():
            other.weir.stop()
            other.replica.greet = script
            other.weir.wait_replicas = False
            other.weir.start()
            wait_for("a login works", lambda: can_log_in(other))
            wait_for(f"{name}: the replica is tried", lambda: HEARD)
            with other.session() as c:
                is_right(c, name)
            assert other.metric('weir_server_up{server="replica"}') == 0
            # at most the 32 bytes that ask for TLS, never a login
            assert all(x is None or len(x) <= 32 for x in HEARD), f"{name}: {HEARD}"
            HEARD.clear()
