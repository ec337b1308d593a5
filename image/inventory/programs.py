"""What is inside our own programs and the bundled servers?

Ours: `cargo metadata` knows the crates of each program. Go programs carry the list of their modules: `go version -m`.
"""

import json
import re
import subprocess
from pathlib import Path

from inventory import Unknown


def cargo_metadata(root, target="x86_64-unknown-linux-gnu"):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise Unknown(f"cargo metadata fails; does Cargo.lock fit Cargo.toml? It says:\n{done.stderr.strip()}")
    return json.loads(done.stdout)


def our_programs(metadata):
    """`program name -> id of the workspace package that builds it`."""
    ours = set(metadata["workspace_members"])
    return {target["name"]: package["id"] for package in metadata["packages"] if package["id"] in ours
            for target in package["targets"] if "bin" in target["kind"]}


def crates_of(package, metadata):
    """The ids of all packages that this one is linked from, itself left out."""
    normal = {node["id"]: [one["pkg"] for one in node["deps"] if any(kind["kind"] is None for kind in one["dep_kinds"])]
              for node in metadata["resolve"]["nodes"]}
    seen, waiting = set(), [package]
    while waiting:
        new = set(normal[waiting.pop()]) - seen
        seen |= new
        waiting += new
    return seen - {package}


def go_modules_of(binary):
    """`(main module, other modules, Go's version)` of a Go program, each module `(path, version)`; None for other files."""
    done = subprocess.run(["go", "version", "-m", binary], capture_output=True, text=True)
    lines = [line.split("\t")[1:] for line in done.stdout.splitlines()[1:]]
    main = [(one[1], one[2]) for one in lines if one[0] == "mod"]
    if done.returncode or not main:
        return None
    # A replaced module is followed by what is there in its place.
    modules = []
    for one in lines:
        if one[0] == "dep":
            modules.append((one[1], one[2]))
        elif one[0] == "=>":
            modules[-1] = (one[1], one[2])
    return main[0], modules, re.search(r"go(\d\S*)", done.stdout.splitlines()[0])[1]


def is_ours(path, programs):
    """Our programs stand in /usr/lib/scaibox or /usr/bin under the names that Cargo gave them."""
    return str(Path(path).parent) in ("usr/lib/scaibox", "usr/bin") and Path(path).name in programs
