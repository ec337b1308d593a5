"""A private network behind a router that translates addresses, as an office or a home has it.

Two network namespaces, made and removed here: the router, and the network behind it. A veth joins the router to this
machine. The router gives every stream a port of its choice and lets nothing in that was not asked for.
"""

import contextlib
import ctypes
import os
import random
import shutil
import socket
import struct
import subprocess
from pathlib import Path

from media import udp

INSIDE, GATEWAY = "10.77.11.2", "10.77.11.1"
RULES = """
table ip nat {
    chain out { type nat hook postrouting priority srcnat; oifname "outer" masquerade fully-random; }
}
table ip filter {
    chain through { type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "inner" accept
    }
}
"""
CLONE_NEWNET = 0x40000000
NETLINK_NETFILTER, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST, NLM_F_ACK = 12, 1, 2, 1, 4
LIBC = ctypes.CDLL(None, use_errno=True)


def missing():
    """Why there can be none here, if so."""
    programs = [name for name in ("ip", "nft", "unshare") if not shutil.which(name)]
    if programs:
        return f"a NAT needs {', '.join(programs)}"
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        return "a NAT is made of network namespaces, and only root may make them"
    return None


def ip(*words, check=True):
    subprocess.run(["ip", *words], check=check, stderr=None if check else subprocess.DEVNULL)


class Nat:
    """`box` is this machine's address towards the router, `router` is whom this machine sees, `INSIDE` who is behind it."""

    def __init__(self):
        tag, network = f"{random.getrandbits(24):x}", random.getrandbits(14)
        third, fourth = network >> 6, (network & 63) * 4
        self.box, self.router = (f"198.18.{third}.{fourth + host}" for host in (1, 2))  # RFC 2544: neither private nor anybody's
        self.link, self.router_space, self.space = f"nat{tag}", f"scaibox-{tag}-router", f"scaibox-{tag}-phone"

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        ip("link", "del", self.link, check=False)
        for space in (self.space, self.router_space):
            ip("netns", "del", space, check=False)

    def _make(self):
        for space in (self.router_space, self.space):
            ip("netns", "add", space)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "outer", "netns", self.router_space)
        ip("-n", self.router_space, "link", "add", "inner", "type", "veth", "peer", "name", "phone", "netns", self.space)
        ip("addr", "add", f"{self.box}/30", "dev", self.link)
        ip("link", "set", self.link, "up")
        for space, device, address in [(self.router_space, "outer", f"{self.router}/30"), (self.router_space, "inner", f"{GATEWAY}/24"),
                                       (self.space, "phone", f"{INSIDE}/24")]:
            ip("-n", space, "addr", "add", address, "dev", device)
            ip("-n", space, "link", "set", device, "up")
        ip("-n", self.space, "route", "add", "default", "via", GATEWAY)
        with _entered(self.router_space):
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)

    def bind(self, host, port):
        """A socket of the private network: it stays there, though this thread comes back."""
        with _entered(self.space):
            return udp(host, port)

    def forget(self):
        """The router loses its memory: what is sent from now on gets other ports, and what goes to the old ones gets nowhere."""
        head = struct.pack("=IHHII", 20, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, 1, 0)
        with _entered(self.router_space), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
            kernel.send(head + bytes(4))  # of all families and protocols
            error = struct.unpack_from("=i", kernel.recv(4096), 16)[0]
        assert error == 0, os.strerror(-error)


@contextlib.contextmanager
def _entered(space):
    with open("/proc/thread-self/ns/net") as here, open(Path("/run/netns") / space) as there:
        _enter(there)
        try:
            yield
        finally:
            _enter(here)


def _enter(space):
    if LIBC.setns(space.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
