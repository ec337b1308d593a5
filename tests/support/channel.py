"""The signed update channel on a web server or a USB stick, as the vendor fills it."""

import functools
import http.server
import os
import shutil
import subprocess
import threading
from pathlib import Path

from boxkit import PROGRAMS
from guest import CACHE, run_in_tools
from lan import NEIGHBOUR

KEYS = Path(os.environ.get("IMAGE_KEYS") or CACHE / "keys")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def stick(channel, image):
    """The channel's files on a FAT disk with the label that boxes look for."""
    size = sum(file.stat().st_size for file in channel.rglob("*") if file.is_file()) // 2**20 + 64
    run_in_tools("truncate", "-s", f"{size}M", image)
    run_in_tools("mkfs.vfat", "-F", "32", "-n", "SCAIBOX", image)
    run_in_tools("mcopy", "-s", "-i", image, *sorted(channel.iterdir()), "::")


class Channel:
    """`publish` makes a version current; boxes read it at `url`."""

    def __init__(self, folder):
        self.folder = folder / "channel"
        shutil.copytree(KEYS / "channel", self.folder)
        handler = functools.partial(Quiet, directory=str(self.folder))
        self.server = http.server.ThreadingHTTPServer((NEIGHBOUR, 0), handler)
        self.url = f"http://{NEIGHBOUR}:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def publish(self, version, images, work):
        release, update = work / f"release-{version}", work / f"release-{version}/update"
        tool = "/scaibox/image/release.py"
        run_in_tools("python3", tool, "make", "--output", images[version], "--version", version, "--to", release)
        run_in_tools("python3", tool, "sign", release, "--keys", KEYS)
        subprocess.run([PROGRAMS / "channel", "publish", "--repository", self.folder, "--keys", KEYS / "tuf", "--release", update,
                        "--version", version, "--notes", "a test"], check=True)
