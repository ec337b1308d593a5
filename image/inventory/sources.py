"""Which Go modules, crates and tools are our programs built from?

Go modules: `image/bundle/*/go.mod` says which, `go.sum` says which bytes. Crates: `Cargo.lock`. Tools: those of this
machine, asked for their versions; the tools of the image itself are Debian packages (`inventory.debs`).
"""

import os
import re
import subprocess
import tomllib
from pathlib import Path

from inventory import Unknown


def go_modules(folder):
    """The modules of one `image/bundle/NAME`, each with the hash that Go checks its files against."""
    sums = {}
    for line in (Path(folder) / "go.sum").read_text().splitlines():
        module, version, digest = line.split()
        sums[module, version] = digest
    required = re.findall(r"^(?:require)?\s+(\S+) (v\S+)", (Path(folder) / "go.mod").read_text(), re.MULTILINE)
    missing = [f"{module} {version}" for module, version in required if (module, version) not in sums]
    if missing:
        raise Unknown(f"{folder}/go.sum has no hash for {', '.join(missing)}; run `go mod tidy` there")
    return [{"name": module, "version": version, "hash": sums[module, version]} for module, version in sorted(required)]


def crates(cargo_lock):
    """The crates of Cargo.lock that come from a registry; our own have no checksum."""
    packages = tomllib.loads(Path(cargo_lock).read_text())["package"]
    return sorted(({"name": one["name"], "version": one["version"], "checksum": one["checksum"]}
                   for one in packages if "checksum" in one), key=lambda one: (one["name"], one["version"]))


# What shapes the bytes of our programs: `(command, which part of its answer)`.
TOOLS = {
    "rustc": (["rustc", "--version"], r"rustc (\S+)"),
    "go": (["go", "env", "GOVERSION"], r"go(\S+)"),
    "gcc": (["gcc", "-dumpfullversion", "-dumpversion"], r"(\S+)"),
    "g++": (["g++", "-dumpfullversion", "-dumpversion"], r"(\S+)"),
    "binutils": (["ld", "--version"], r"(\S+)\n"),
    "cmake": (["cmake", "--version"], r"cmake version (\S+)"),
}


def toolchain(root):
    """The tools that compile our programs. rustc must be the one that rust-toolchain.toml asks for."""
    found = [{"name": name, "version": version_of(name, root)} for name in sorted(TOOLS)]
    wanted = tomllib.loads((Path(root) / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    rustc = next(one["version"] for one in found if one["name"] == "rustc")
    if rustc != wanted:
        raise Unknown(f"rustc is {rustc}, rust-toolchain.toml asks for {wanted}; run `rustup toolchain install {wanted}`")
    return found


def version_of(name, root):
    command, pattern = TOOLS[name]
    try:
        answer = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True,
                                env=os.environ | {"GOTOOLCHAIN": "local", "LC_ALL": "C"}).stdout
    except (OSError, subprocess.CalledProcessError) as problem:
        raise Unknown(f"{command[0]} does not say its version: {problem}; install it, the image needs it") from problem
    version = re.search(pattern, answer)
    if not version:
        raise Unknown(f"`{' '.join(command)}` answers {answer!r}, in which there is no version")
    return version[1]
