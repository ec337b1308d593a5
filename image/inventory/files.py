"""Which binaries does a tree hold, and which Debian package brought each of them?

A binary is an ELF file, an EFI program or kernel (PE), or a kernel module, packed or not. Links are not followed: each
file counts once.
"""

import hashlib
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

MODULES = (".ko", ".ko.xz", ".ko.zst")
MERGED = ("bin", "sbin", "lib", "lib64")


@dataclass(frozen=True)
class Binary:
    """A file and its place in the tree, without a leading slash."""

    path: str
    sha1: str
    sha256: str


def binaries(root):
    found = []
    for folder, _, names in os.walk(root):
        for path in (Path(folder) / name for name in names):
            if path.is_file() and not path.is_symlink() and is_binary(path):
                found.append(hashed(path, str(path.relative_to(root))))
    return sorted(found, key=lambda one: one.path)


def is_binary(path):
    if path.name.endswith(MODULES):
        return True
    with open(path, "rb") as file:
        return file.read(4).startswith((b"\x7fELF", b"MZ"))


def hashed(path, name):
    content = path.read_bytes()
    return Binary(name, hashlib.sha1(content).hexdigest(), hashlib.sha256(content).hexdigest())


def of_deb(deb):
    """The paths that a .deb brings, and the text of its copyright file (None: it is a link to another package's)."""
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], check=True, stdout=subprocess.PIPE).stdout
    paths, text = set(), None
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
        for member in tar:
            path = merged(member.name)
            paths.add(path)
            if path.startswith("usr/share/doc/") and path.endswith("/copyright") and member.isfile():
                text = tar.extractfile(member).read().decode(errors="replace")
    return paths, text


def merged(name):
    """The place of a packaged file in the image: /bin and /lib are in /usr, mkosi keeps the kernel beside its modules."""
    path = name.removeprefix("./").strip("/")
    if path.startswith("boot/vmlinuz-"):
        return f"usr/lib/modules/{path.removeprefix('boot/vmlinuz-')}/vmlinuz"
    return f"usr/{path}" if path.split("/")[0] in MERGED else path


def copyright_in(root, package):
    """The copyright file of a package in a tree; documentation folders may be links to each other."""
    path = Path(root) / "usr/share/doc" / package
    if path.is_symlink():
        path = path.parent / os.path.basename(os.readlink(path))
    path = path / "copyright"
    if path.is_symlink():
        path = Path(root) / "usr/share/doc" / Path(os.readlink(path)).parent.name / "copyright"
    return path.read_text(errors="replace") if path.is_file() else None
