#!/usr/bin/env python3
"""What does a release consist of?

    release.py make --output OUT --version V --to RELEASE [--with FILE…]   from mkosi's output, unsigned
    release.py keys --keys DIR [--development]                             the key folder, see image/signing.py
    release.py sign RELEASE --keys DIR                                     the signatures, a step of its own
    release.py verify RELEASE --keys DIR                                   every hash and every signature
    release.py sizes RELEASE

RELEASE holds the disk (.raw, .raw.zst, .qcow2), what SBOMs and locks `--with` names, and SHA256SUMS over all of it.
RELEASE/update is what a box fetches: the kernel, the root and its verity hashes, under the names that
systemd-sysupdate matches, with a SHA256SUMS of their own. The same output makes the same release, byte for byte.

Needs cp, gzip, zstd, qemu-img and gpg in PATH: the tools tree has them.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import signing  # noqa: E402  (the path comes first)

# Any number of threads gives the same bytes, but none at all (--single-thread) others.
ZSTD = ["zstd", "--quiet", "-9", "-T2"]
# For the update set: systemd 257 knows gzip, bzip2 and xz, and writes a .zst to the partition as it is, without a word.
# The root is compressed already, xz would save 6 % and take ten times as long. -n: no name and no time inside.
GZIP = ["gzip", "-n", "-6", "-c"]
QCOW2 = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "compat=1.1,lazy_refcounts=off"]
SUMS = "SHA256SUMS"
COMPRESSED_LIMIT_MB = 350


class NoRelease(Exception):
    """The output is not what a release is made of, or a release is not what it was."""


def main(argv=None):
    args = arguments(argv)
    try:
        args.run(args)
    except (NoRelease, signing.NotSigned, OSError, subprocess.CalledProcessError) as problem:
        print(f"release.py: {problem}", file=sys.stderr)
        return 1
    return 0


def make(args):
    """Works beside the place and moves there at the end: a release is whole or absent."""
    parts = parts_of(args.output, args.version)
    making = args.to.with_name(f"{args.to.name}.partial")
    shutil.rmtree(making, ignore_errors=True)
    (making / "update").mkdir(parents=True)
    fill(making, parts, args.version)
    for file in args.extra:
        copy(file, making / file.name)
    write_sums(making)
    write_sums(making / "update")
    shutil.rmtree(args.to, ignore_errors=True)
    making.rename(args.to)
    print_sizes(args.to)


def keys(args):
    signing.prepare(args.keys, args.development)


def sign(args):
    for sums in sums_of(args.release):
        print(f"{sums}: signed by {signing.sign(sums, args.keys)}")


def verify(args):
    for sums in sums_of(args.release):
        signing.verify(sums, args.keys / signing.KEYRING)
        check_sums(sums)
    print(f"{args.release}: every hash and every signature holds")


def sizes(args):
    print_sizes(args.release)


# --- the files ------------------------------------------------------------------------------------


def parts_of(output, version):
    """The four files of mkosi's output that make a release: by name in the release, without `.gz`."""
    hexes = r"([0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12})"
    wanted = {".raw": r"\.raw", ".efi": r"\.efi", ".root.{}.raw": rf"\.root(?:-x86-64)?\.{hexes}\.raw",
              ".root-verity.{}.raw": rf"\.root(?:-x86-64)?-verity\.{hexes}\.raw"}
    names = sorted(os.listdir(output))
    return {kind: only_one(output, names, f"scaibox_{re.escape(version)}{pattern}") for kind, pattern in wanted.items()}


def only_one(output, names, pattern):
    found = [match for match in (re.fullmatch(pattern, name) for name in names) if match]
    if len(found) != 1:
        raise NoRelease(f"{output}: {len(found)} files fit {pattern}, a release takes one; did mkosi end well?")
    return output / found[0][0], *found[0].groups()


def fill(release, parts, version):
    name = release / f"scaibox_{version}"
    disk = f"{name}.raw"
    copy(parts[".raw"][0], disk)
    run([*QCOW2, disk, f"{name}.qcow2"])
    run([*ZSTD, disk, "-o", f"{disk}.zst"])
    copy(parts[".efi"][0], release / "update" / f"scaibox_{version}.efi")
    for kind in (".root.{}.raw", ".root-verity.{}.raw"):
        path, uuid = parts[kind]
        with open(release / "update" / f"scaibox_{version}{kind.format(uuid)}.gz", "wb") as packed:
            run([*GZIP, path], stdout=packed)
    for file in sorted((release / "update").iterdir()):
        os.link(file, release / file.name)


def copy(source, target):
    """Mostly holes: they stay holes."""
    run(["cp", "--sparse=always", "--reflink=auto", "--no-preserve=all", source, target])


def run(command, **options):
    subprocess.run(command, check=True, **options)


def write_sums(folder):
    files = sorted(path for path in folder.iterdir() if path.is_file())
    (folder / SUMS).write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files))


def check_sums(sums):
    """Every line holds, and nothing lies there that no line names."""
    lines = dict(reversed(line.split("  ", 1)) for line in sums.read_text().splitlines())
    there = {path.name for path in sums.parent.iterdir() if path.is_file()} - {SUMS, f"{SUMS}.gpg"}
    if there != lines.keys():
        raise NoRelease(f"{sums} and its folder differ in {', '.join(sorted(there ^ lines.keys()))}")
    changed = [name for name, digest in sorted(lines.items()) if sha256(sums.parent / name) != digest]
    if changed:
        raise NoRelease(f"{sums}: not what was released: {', '.join(changed)}")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums_of(release):
    return release / SUMS, release / "update" / SUMS


def print_sizes(release):
    compressed, update = megabytes(release.glob("*.raw.zst")), megabytes((release / "update").glob("scaibox_*"))
    print(f"image, compressed: {compressed:.1f} MB (limit {COMPRESSED_LIMIT_MB} MB)\nupdate set: {update:.1f} MB")


def megabytes(paths):
    return sum(path.stat().st_size for path in paths) / 1e6


# --- the command line -----------------------------------------------------------------------------


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    for verb in (make, keys, sign, verify, sizes):
        one = verbs.add_parser(verb.__name__)
        one.set_defaults(run=verb)
        if verb in (sign, verify, sizes):
            one.add_argument("release", type=Path)
        if verb in (keys, sign, verify):
            one.add_argument("--keys", type=Path, required=True, metavar="DIR")
        if verb is keys:
            one.add_argument("--development", action="store_true", help="make a development key where there is none")
        if verb is make:
            one.add_argument("--output", type=Path, required=True, help="mkosi's output directory")
            one.add_argument("--version", required=True)
            one.add_argument("--to", type=Path, required=True, help="the release folder; an old one is replaced")
            one.add_argument("--with", dest="extra", type=Path, action="append", default=[], metavar="FILE")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
