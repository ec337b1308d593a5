#!/usr/bin/env python3
"""Is the image made of what the lock records?

`image/image.lock` lists every Debian package (of the image, its initrd and the tools tree), Go module, crate and
compiler by version and hash. Two builds from one lock are the same bytes.

    lock.py write      records what this build is made of
    lock.py check      exits 1 and names every difference; --sources: only modules, crates and compilers (no build needed)
    lock.py available  exits 1 and names the locked packages that the package lists do not offer
    lock.py pins       prints apt preferences that choose the locked versions

What there is to record: `image/inventory/`. Exit status 2: something could not be found out, nothing was compared.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from inventory import Unknown, debs, named, sources  # noqa: E402  (the path comes first)

ROOT = Path(__file__).resolve().parent.parent
RENEW = "renew the lock with `./box image --relock`"
SNAPSHOT = "build what it records from a dated archive with `IMAGE_SNAPSHOT=URL ./box image`"


def main(argv=None):
    args = arguments(argv)
    try:
        return args.run(args)
    except (Unknown, OSError) as problem:
        print(f"lock.py: {problem}", file=sys.stderr)
        return 2


def write(args):
    """A lock that says the same is left alone: its archive date still serves."""
    old = read(args.lock) if args.lock.exists() else None
    new = {"archive_date": debs.archive_date(args.lists), "sections": source_sections() | debian_sections(args)}
    if not old or old["sections"] != new["sections"]:
        args.lock.write_text(render(new))
    for line in differences(old["sections"], new["sections"]) if old else []:
        print(line)
    print(f"{args.lock}: {sum(len(items) for items in new['sections'].values())} items")
    return 0


def check(args):
    lock = read(args.lock)
    recorded = lock["sections"]
    if args.sources:
        recorded = {name: items for name, items in recorded.items() if not name.startswith("debian/")}
        found = source_sections()
    else:
        found = source_sections() | debian_sections(args)
        refuse_missing_sets(recorded.keys() - found.keys())
    return report("this build is not what it records", differences(recorded, found), lock)


def refuse_missing_sets(sections):
    """A set that was forgotten would pass for one whose packages are all gone."""
    sets = sorted(name.removeprefix("debian/") for name in sections if name.startswith("debian/"))
    if sets:
        raise Unknown(f"the lock also has {', '.join(sets)}; give --manifest {sets[0]}=FILE or --tree {sets[0]}=DIR")


def available(args):
    lock = read(args.lock)
    wanted = debian_items(lock, args.set)
    offered = debs.offered_by(args.lists, {one["name"] for one in wanted})
    gone = [f"{one['name']} {one['version']}: {offer_of(one, offered)}"
            for one in wanted if one not in offered.get(one["name"], [])]
    return report("the package lists do not offer what it records", sorted(set(gone)), lock)


def pins(args):
    """1001: also an older version than the newest one on offer."""
    versions = sorted({(one["name"], one["version"]) for one in debian_items(read(args.lock), args.set)})
    for name, version in versions:
        print(f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n")
    return 0


# --- the lock as a file -----------------------------------------------------------------------


def read(path):
    if not path.exists():
        raise Unknown(f"{path} is missing; make it with `./box image --relock`")
    return json.loads(path.read_text())


def render(lock):
    """JSON with one line per item, so that a change of the lock reads well."""
    parts = [f"    {json.dumps(name)}: [\n{render_items(items)}\n    ]" for name, items in sorted(lock["sections"].items())]
    head = f'  "archive_date": {json.dumps(lock["archive_date"])},\n  "sections": {{\n'
    return "{\n" + head + ",\n".join(parts) + "\n  }\n}\n"


def render_items(items):
    return ",\n".join(f"      {json.dumps(one)}" for one in items)


# --- what is there, and what differs -------------------------------------------------------------


def source_sections():
    sections = {f"go/{path.parent.name}": sources.go_modules(path.parent)
                for path in sorted(ROOT.glob("image/bundle/*/go.mod"))}
    return sections | {"crates": sources.crates(ROOT / "Cargo.lock"), "toolchain": sources.toolchain(ROOT)}


def debian_sections(args):
    sets = {name: debs.of_manifest(path) for name, path in args.manifest}
    sets |= {name: debs.of_tree(path) for name, path in args.tree}
    names = {one["name"] for packages in sets.values() for one in packages}
    offered = debs.offered_by(args.lists, names)
    return {f"debian/{name}": debs.with_hashes(packages, offered, args.debs) for name, packages in sets.items()}


def debian_items(lock, sets):
    return [one for name in sets for one in lock["sections"].get(f"debian/{name}", [])]


def differences(old, new):
    """One line per difference; one that several sections share is said once."""
    said = {}
    for section in sorted(old.keys() | new.keys()):
        for line in changes(by_name(old.get(section, [])), by_name(new.get(section, []))):
            said.setdefault(line, []).append(section)
    return sorted(f"{line} ({', '.join(sections)})" for line, sections in said.items())


def by_name(items):
    named = {}
    for one in items:
        named.setdefault((one["name"], one.get("architecture")), {})[one["version"]] = one
    return named


def changes(old, new):
    for key in old.keys() | new.keys():
        yield from version_changes(key[0], old.get(key, {}), new.get(key, {}))


def version_changes(name, old, new):
    gone, came = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    if len(gone) == len(came) == 1:
        yield f"{name} {gone[0]} -> {came[0]}"
    else:
        yield from (f"{name} {version} is gone" for version in gone)
        yield from (f"{name} {version} is new" for version in came)
    for version in old.keys() & new.keys():
        if old[version] != new[version]:
            yield f"{name} {version}: {digest(old[version])} -> {digest(new[version])}"


def digest(item):
    return next((f"{key} {item[key]}" for key in ("sha256", "hash", "checksum") if key in item), "no hash")


def offer_of(package, offered):
    """What the lists say instead."""
    same = [one for one in offered.get(package["name"], []) if one["version"] == package["version"]]
    if same:
        return f"the lists offer it as {digest(same[0])}, not {digest(package)}"
    others = sorted({one["version"] for one in offered.get(package["name"], [])})
    return f"the lists offer {', '.join(others)}" if others else "the lists do not have it"


def report(what, lines, lock):
    if not lines:
        return 0
    print(f"image.lock: {what}:", *(f"  {line}" for line in lines), sep="\n", file=sys.stderr)
    date = f" (it was made from the archive of {lock['archive_date']})" if lock["archive_date"] else ""
    print(f"Either {RENEW}, or {SNAPSHOT}{date}.", file=sys.stderr)
    return 1


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", type=Path, default=ROOT / "image/image.lock", help="default: image/image.lock")
    verbs = parser.add_subparsers(required=True)
    for verb in (write, check, available, pins):
        one = verbs.add_parser(verb.__name__)
        one.set_defaults(run=verb)
        one.add_argument("--lists", type=Path, action="append", default=[], help="folder with apt's package lists")
        one.add_argument("--debs", type=Path, action="append", default=[], help="where apt kept the .deb files")
        if verb in (write, check):
            one.add_argument("--manifest", type=named, action="append", default=[], metavar="SET=FILE")
            one.add_argument("--tree", type=named, action="append", default=[], metavar="SET=DIR")
        else:
            one.add_argument("--set", action="append", help="default: image and initrd")
        if verb is check:
            one.add_argument("--sources", action="store_true")
    args = parser.parse_args(argv)
    if args.run in (available, pins):
        args.set = args.set or ["image", "initrd"]
    return args


if __name__ == "__main__":
    sys.exit(main())
