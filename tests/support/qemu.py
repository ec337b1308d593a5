"""`./box qemu`: the finished image as a machine on this one, reachable from here as a box on the desk would be.

A network namespace holds the local network; a veth joins this machine to it as 10.77.0.1. Ctrl-C pulls the plug and
takes the namespace away. The disk stays in BOX_CACHE/qemu and is used again; `--fresh` starts with a new one.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from guest import CACHE, Guest
from lan import BOX, Lan

NAMESPACE, HOST_END, LAN_END = "scaibox", "scaibox0", "scaibox1"
HERE = "10.77.0.1"
HOW = f"""
The box starts; under software emulation that takes some minutes. Its console follows.
When it shows its claim code, in another terminal:
  ./box claim CODE EMAIL                    make yourself its operator
  ./box call NUMBER --host {BOX} --port 5060
  curl -k https://{BOX}/v1/health
Ctrl-C here pulls the plug.
"""


def run(*command, check=True):
    subprocess.run(command, check=check, stderr=None if check else subprocess.DEVNULL)


def inside(options):
    """In the namespace: network, machine, console."""
    with Lan(link=LAN_END), Guest(CACHE / "qemu", image=options.image, memory=options.memory, echo=show) as guest:
        guest.start()
        try:
            guest.process.wait()
        except KeyboardInterrupt:
            guest.stop()


def show(raw):
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def outside(words):
    run("ip", "netns", "del", NAMESPACE, check=False)
    run("ip", "link", "del", HOST_END, check=False)
    run("ip", "netns", "add", NAMESPACE)
    try:
        run("ip", "link", "add", HOST_END, "type", "veth", "peer", "name", LAN_END, "netns", NAMESPACE)
        run("ip", "addr", "add", f"{HERE}/24", "dev", HOST_END)
        run("ip", "link", "set", HOST_END, "up")
        print(HOW, flush=True)
        child = subprocess.Popen(["ip", "netns", "exec", NAMESPACE, sys.executable, __file__, "--inside", *words])
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.terminate()  # a Ctrl-C has reached it already, a SIGTERM has not
            return child.wait()
    finally:
        run("ip", "netns", "del", NAMESPACE, check=False)


def main():
    options = argparse.ArgumentParser(prog="./box qemu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--image", type=Path, help="a disk image; the one that `./box image` made when left out")
    options.add_argument("--fresh", action="store_true", help="start with a new disk")
    options.add_argument("--memory", type=int, default=3072, help="MiB (default %(default)s)")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if not given.inside:
        return outside(sys.argv[1:])
    if not given.fresh and (CACHE / "qemu/disk.qcow2").exists():
        given.image = None
    elif given.image is None:
        given.image = Path(os.environ["IMAGE_DISK"])
    inside(given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
