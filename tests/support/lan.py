"""A local network for a box under QEMU: a bridge, a tap for the guest, addresses for its peers, and a DHCP server.

Everything is made in the network namespace that this process runs in (`unshare -n`, or `ip netns exec`), never in
the machine's own, and goes with it.
"""

import socket
import subprocess
import tempfile
from pathlib import Path

MAC = "52:54:00:5c:a1:b0"
BOX = "10.77.0.10"
NEIGHBOUR = "10.77.0.2"  # also the DHCP server, name server and router
CARRIER = "198.51.100.7"  # RFC 5737: an address from outside, reached through the router
STRANGER = "203.0.113.9"


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Lan:
    """`with Lan() as lan:` and the guest's tap is `lan.tap`; `link` joins a veth that somebody else made."""

    def __init__(self, tap="tap0", link=None):
        self.tap, self.link, self.dhcp = tap, link, None
        others = {name for _, name in socket.if_nameindex()} - {"lo", link}
        if others:
            raise RuntimeError(f"a Lan is made in a network namespace of its own, this one has {others}: start with `unshare -n`")

    def __enter__(self):
        ip("link", "set", "lo", "up")
        ip("link", "add", "br0", "type", "bridge")
        ip("tuntap", "add", self.tap, "mode", "tap")
        for name in filter(None, [self.tap, self.link]):
            ip("link", "set", name, "master", "br0")
            ip("link", "set", name, "up")
        ip("addr", "add", f"{NEIGHBOUR}/24", "dev", "br0")
        for address in (CARRIER, STRANGER):
            ip("addr", "add", f"{address}/32", "dev", "br0")
        ip("link", "set", "br0", "up")
        self.folder = tempfile.TemporaryDirectory(prefix="scaibox-lan-")
        self.dhcp = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--interface=br0", "--bind-interfaces", "--no-resolv", "--no-hosts",
             "--dhcp-authoritative", f"--dhcp-range={BOX},{BOX},1h", f"--dhcp-host={MAC},{BOX}", f"--dhcp-option=3,{NEIGHBOUR}",
             f"--dhcp-leasefile={self.folder.name}/leases", "--pid-file=", "--user=root", "--log-facility=" + str(Path(self.folder.name) / "log")],
            stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        if self.dhcp:
            self.dhcp.terminate()
            self.dhcp.wait()
            self.folder.cleanup()
        ip("link", "del", "br0")
        ip("link", "del", self.tap)
