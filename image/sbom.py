#!/usr/bin/env python3
"""What is in the image, down to each binary?  Written as CycloneDX 1.6 and SPDX 2.3.

    sbom.py --version V --root image=DIR --debs DIR --part FILE… --to DIR

Packages come from `image/image.lock`, binaries from the unpacked trees, the crates of our programs from Cargo, the
modules of the bundled servers from the servers themselves. Licences come from the packages' copyright files and from
Cargo; those of Go modules are not said. Exit status 1: a binary that no package and no program of ours explains.

The same image gives the same documents: their time is SOURCE_DATE_EPOCH, their identity a hash of their content.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from inventory import Unknown, bill, cyclonedx, debs, files, licences, named, programs, sources, spdx  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def main(argv=None):
    args = arguments(argv)
    try:
        made, strangers = describe(args)
    except (Unknown, OSError) as problem:
        print(f"sbom.py: {problem}", file=sys.stderr)
        return 2
    if strangers:
        print("sbom.py: no package and no program of ours brought:", *(f"  {path}" for path in strangers),
              sep="\n", file=sys.stderr)
        return 1
    save(args.to / f"scaibox_{args.version}.cdx.json", cyclonedx.document(made))
    save(args.to / f"scaibox_{args.version}.spdx.json", spdx.document(made))
    return 0


def describe(args):
    """The bill, and the binaries that nothing in it explains."""
    made = bill.Bill("scaibox", args.version, int(os.environ.get("SOURCE_DATE_EPOCH", 0)))
    made.files = [files.hashed(path, path.name) for path in sorted(args.part)]
    owners = add_packages(made, args)
    metadata = args.cargo_metadata or programs.cargo_metadata(ROOT)
    known = programs.our_programs(metadata)
    checksums = {(one["name"], one["version"]): one["checksum"] for one in sources.crates(ROOT / "Cargo.lock")}
    strangers = []
    for tree, root in args.root:
        for binary in files.binaries(root):
            place = Path(root) / binary.path
            if binary.path in owners:
                owner = owners[binary.path]
            elif programs.is_ours(binary.path, known):
                owner = add_ours(made, known[place.name], metadata, checksums)
            elif module := programs.go_modules_of(place):
                owner = add_go(made, *module)
            else:
                strangers.append(f"{tree}: /{binary.path}")
                continue
            owner.files.append(in_tree(tree, binary))
    return made, strangers


def in_tree(tree, binary):
    return binary if tree == "image" else files.Binary(f"{tree}/{binary.path}", binary.sha1, binary.sha256)


# --- Debian packages ----------------------------------------------------------------------------


def add_packages(made, args):
    """Adds what the lock lists for the image and its initrd; answers `path -> component`."""
    sections, owners = json.loads(args.lock.read_text())["sections"], {}
    for tree, package in [(tree, one) for tree in ("image", "initrd") for one in sections.get(f"debian/{tree}", [])]:
        if (purl := bill.deb(package)) not in made.components:
            paths, text = unpacked(package, args)
            one = made.add(bill.Component(purl, package["name"], package["version"],
                                          licence=text and licences.of_copyright(text), sha256=package["sha256"]))
            owners |= dict.fromkeys(paths, one)
        made.components[purl].trees.append(tree)
    return owners


def unpacked(package, args):
    """What a package brought, and its copyright file: its own, or the one that it shares with another package."""
    path = debs.deb_path(package, args.debs)
    if not path:
        raise Unknown(f"{package['name']} {package['version']}: its .deb is in no folder of --debs")
    paths, text = files.of_deb(path)
    trees = (root for _, root in args.root)
    return paths, text or next(filter(None, (files.copyright_in(root, package["name"]) for root in trees)), None)


# --- programs -----------------------------------------------------------------------------------


def add_ours(made, package, metadata, checksums):
    """One of our programs with everything that it is linked from."""
    described = {one["id"]: one for one in metadata["packages"]}
    inside = programs.crates_of(package, metadata)
    for one in inside:
        made.add(of_crate(described[one], checksums))
    component = made.add(of_crate(described[package], checksums))
    component.program = True
    component.depends = sorted({of_crate(described[one], checksums).purl for one in inside})
    return component


def of_crate(described, checksums):
    name, version = described["name"], described["version"]
    purl = bill.crate(name, version) if described["source"] else bill.own(name, version)
    return bill.Component(purl, name, version, licence=licences.of_crate(described["license"]),
                          sha256=checksums.get((name, version)))


def add_go(made, main, modules, go):
    inside = [made.add(bill.Component(bill.go_module(*one), *one)) for one in [*modules, ("stdlib", go)]]
    component = made.add(bill.Component(bill.go_module(*main), *main, program=True))
    component.depends = sorted(one.purl for one in inside)
    return component


# --- the command line ---------------------------------------------------------------------------


def save(path, document):
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True, help="of the image")
    parser.add_argument("--root", type=named, action="append", required=True, metavar="SET=DIR",
                        help="an unpacked tree: image or initrd")
    parser.add_argument("--debs", type=Path, action="append", default=[], help="where apt kept the .deb files")
    parser.add_argument("--part", type=Path, action="append", default=[], help="a file of the release itself")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--lock", type=Path, default=ROOT / "image/image.lock", help="default: image/image.lock")
    parser.add_argument("--cargo-metadata", type=lambda path: json.loads(Path(path).read_text()), metavar="FILE",
                        help="default: asked of cargo")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
