"""Which Debian packages is a tree made of, and which bytes were they?

Names and versions come from mkosi's manifest, or from the dpkg database of a tree that still has one. The SHA-256 of
each `.deb` comes from the package lists that apt checked it against, or from the file itself where apt kept it.

A package is a dict: name, version, architecture, and later sha256, and source where that has another name.
"""

import gzip
import hashlib
import json
import lzma
import subprocess
from email.utils import parsedate_to_datetime
from pathlib import Path

from inventory import Unknown

APT_HELPER = "/usr/lib/apt/apt-helper"


def of_manifest(path):
    """The packages that mkosi wrote down: `OUT/scaibox_V.manifest`."""
    listed = json.loads(Path(path).read_text())["packages"]
    return [{key: one[key] for key in ("name", "version", "architecture")} for one in listed if one["type"] == "deb"]


def of_tree(root):
    """The packages installed in a tree: `ROOT/var/lib/dpkg/status`."""
    with open(Path(root) / "var/lib/dpkg/status", encoding="utf-8") as lines:
        installed = [one for one in stanzas(lines) if one.get("Status", "").endswith(" installed")]
    return [{"name": one["Package"], "version": one["Version"], "architecture": one["Architecture"]} for one in installed]


def with_hashes(packages, offered, debs=()):
    """The same packages with sha256 and source; [`Unknown`] names those of which no hash is found."""
    found = [known(one, offered, debs) for one in packages]
    missing = [f"{one['name']} {one['version']}" for one in found if "sha256" not in one]
    if missing:
        raise Unknown(f"no package list and no .deb says the SHA-256 of: {', '.join(sorted(missing))}; "
                      "give the lists that apt used (--lists) or its archive folder (--debs)")
    return sorted(found, key=lambda one: (one["name"], one["architecture"]))


def known(package, offered, debs):
    listed = [one for one in offered.get(package["name"], []) if one.items() >= package.items()]
    if listed:
        return listed[0]
    path = deb_path(package, debs)
    return package | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} if path else package


def deb_path(package, debs):
    """Where apt kept the file of this package, if it did: in one of these cache folders or its `archives`."""
    name = f"{package['name']}_{package['version'].replace(':', '%3a')}_{package['architecture']}.deb"
    places = [Path(folder) / place / name for folder in debs for place in (".", "archives")]
    return next((path for path in places if path.is_file()), None)


def offered_by(folders, names):
    """What the package lists in these folders offer, by name; only these names, the lists are long."""
    offered = {}
    for path in list_files(folders, "*_Packages*"):
        for one in stanzas(text_of(path).splitlines()):
            if one["Package"] in names:
                offered.setdefault(one["Package"], []).append(entry(one))
    return offered


def archive_date(folders):
    """When the newest archive that these lists came from was made, as snapshot archives write it: 20251125T081500Z."""
    dates = []
    for path in list_files(folders, "*Release"):
        with open(path, encoding="utf-8", errors="replace") as lines:
            dates += [parsedate_to_datetime(line[6:].strip()) for line in lines if line.startswith("Date: ")]
    return max(dates).strftime("%Y%m%dT%H%M%SZ") if dates else ""


FIELDS = ("Package", "Version", "Architecture", "Status", "Source", "SHA256")


def stanzas(lines):
    """The paragraphs of a Debian control file, with the fields we use."""
    one = {}
    for line in lines:
        if not line.strip():
            if one:
                yield one
            one = {}
        elif line[0] in "PVAS":
            field, colon, value = line.partition(": ")
            if colon and field in FIELDS:
                one[field] = value.strip()
    if one:
        yield one


def entry(stanza):
    found = {"name": stanza["Package"], "version": stanza["Version"], "architecture": stanza["Architecture"],
             "sha256": stanza["SHA256"]}
    source = stanza.get("Source", found["name"]).split(" ")[0]
    return found if source == found["name"] else found | {"source": source}


def list_files(folders, pattern):
    return sorted(path for folder in folders for path in Path(folder).rglob(pattern) if path.is_file())


def text_of(path):
    """A package list as text, however apt keeps it."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode()
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes()).decode()
    if path.suffix in (".lz4", ".zst", ".bz2"):
        return subprocess.run([APT_HELPER, "cat-file", path], check=True, stdout=subprocess.PIPE).stdout.decode()
    return path.read_text()
