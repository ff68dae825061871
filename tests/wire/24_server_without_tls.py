# SPDX-License-Identifier: Apache-2.0
"""`tls: required` and a replica without TLS, or with words behind its greeting: it is not used.

The monitor is who asks here (its library logs in before it can be told that TLS is missing); test_conn has the same for sessions' own connections."""
import peer
from lab import Lab, is_right
from rawclient import LoginError
from weirlab import wait_for

HEARD = []


def lets_in(link):
    peer.accept_login(link, caps=peer.SERVER_CAPS & ~0x800)
    HEARD.append(link.read_packet())


def talks_early(link):
    link.send(peer.greeting(caps=peer.SERVER_CAPS | 0x800) + peer.ok(seq=1))
    HEARD.append(link.read_packet())


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
        for name, script in {"no TLS bit": lets_in, "words behind": talks_early}.items():
            other.weir.stop()
            other.replica.greet = script
            other.weir.wait_replicas = False
            other.weir.start()
            wait_for("a login works", lambda: can_log_in(other))
            wait_for(f"{name}: the replica is tried", lambda: HEARD)
            with other.session() as c:
                is_right(c, name)
            assert other.metric('weir_server_up{server="replica"}') == 0
            # nothing, a good-bye, or the 32 bytes that ask for TLS: never a statement, never a login
            assert all(x in (None, b"\x01") or len(x) == 32 for x in HEARD), f"{name}: {HEARD}"
            HEARD.clear()
