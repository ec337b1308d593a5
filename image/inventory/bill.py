"""What does a bill of materials say, whatever its format?

A [`Bill`] is the image, its components and the files they brought. `inventory.cyclonedx` and `inventory.spdx` write it
down; `image/sbom.py` fills it. Equal bills give equal documents: the identity of a document is a hash of its bill.
"""

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from urllib.parse import quote


@dataclass
class Component:
    """Something with a version that can have a vulnerability. `purl` names it in both formats."""

    purl: str
    name: str
    version: str
    program: bool = False
    licence: str | None = None
    sha256: str | None = None
    depends: list = field(default_factory=list)
    trees: list = field(default_factory=list)
    files: list = field(default_factory=list)


@dataclass
class Bill:
    """`files` are those of the image itself: its partitions and its kernel."""

    name: str
    version: str
    epoch: int
    components: dict = field(default_factory=dict)
    files: list = field(default_factory=list)

    @property
    def purl(self):
        """Not `own`: the command line tool is a `scaibox` too."""
        return f"pkg:generic/{part(self.name)}@{part(self.version)}"

    def add(self, component):
        """One that is there already stays: several programs share most of their crates."""
        return self.components.setdefault(component.purl, component)

    def sorted(self):
        return [self.components[purl] for purl in sorted(self.components)]

    def identity(self):
        """The same for the same content."""
        content = repr((self.name, self.version, self.epoch, self.sorted(), self.files))
        return uuid.UUID(bytes=hashlib.sha256(content.encode()).digest()[:16], version=5)

    def made_at(self):
        return datetime.fromtimestamp(self.epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def own(name, version):
    return f"pkg:generic/scaibox/{part(name)}@{part(version)}"


def deb(package):
    source = f"&upstream={part(package['source'])}" if "source" in package else ""
    return (f"pkg:deb/debian/{part(package['name'])}@{part(package['version'])}"
            f"?arch={package['architecture']}&distro=debian-13{source}")


def crate(name, version):
    return f"pkg:cargo/{part(name)}@{part(version)}"


def go_module(path, version):
    return f"pkg:golang/{'/'.join(part(one) for one in path.lower().split('/'))}@{part(version)}"


def part(text):
    return quote(text, safe=":~.-_")
