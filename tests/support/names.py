"""A name server of our own, and a box that asks it and nobody else: dnsmasq, and a mount namespace with its /etc/resolv.conf."""

import os
import random
import shutil
import socket
import struct
import subprocess
from pathlib import Path

from boxkit import until


def missing():
    """Why there can be none here, if so."""
    programs = [name for name in ("dnsmasq", "unshare") if not shutil.which(name)]
    if programs:
        return f"a name server of our own needs {', '.join(programs)}"
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        return "port 53 and a mount namespace are only root's"
    return None


class NameServer:
    """dnsmasq at an address of its own. It knows the zone and what `knows` says, all with a TTL of 0, and nothing else."""

    def __init__(self, folder, zone="example"):
        self.folder, self.zone, self.process = Path(folder), zone, None
        self.address = f"127.53.{random.randint(0, 255)}.{random.randint(1, 254)}"
        self.resolv = self.folder / "resolv.conf"
        self.resolv.write_text(f"nameserver {self.address}\noptions timeout:1 attempts:2\n")

    def __enter__(self):
        self.knows()
        return self

    def __exit__(self, *_):
        self.stop()

    def knows(self, *records):
        """From now on, and only that: `host-record=sip.example,127.0.0.1`, as in dnsmasq's configuration."""
        self.stop()
        lines = ["port=53", f"listen-address={self.address}", "bind-interfaces", "no-resolv", "no-hosts", "user=root", "pid-file",
                 f"local=/{self.zone}/", f"host-record=ready.{self.zone},127.0.0.1", *records]
        (self.folder / "dnsmasq.conf").write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", f"--conf-file={self.folder / 'dnsmasq.conf'}", "--log-facility=-", "--log-queries"],
            stdin=subprocess.DEVNULL, stdout=open(self.folder / "dnsmasq.log", "ab"), stderr=subprocess.STDOUT)
        until(self._answers, 10, f"dnsmasq answers; see {self.folder / 'dnsmasq.log'}")

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "dnsmasq.log").read_text()
        labels = b"".join(bytes([len(label)]) + label.encode() for label in f"ready.{self.zone}".split("."))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.2)
            try:
                asking.connect((self.address, 53))
                asking.send(struct.pack("!6H", 1, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1))
                return len(asking.recv(512)) > 12
            except OSError:
                return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    @property
    def within(self):
        """Put before a command: whom it asks is this server."""
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(self.resolv)]
