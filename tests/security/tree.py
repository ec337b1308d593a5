"""Which units does the image get, and what do they say?

`Tree` is a folder staged by systemd/install.sh, as the image is, with Debian's units beside ours and empty
programs. `Unit` is one unit with its drop-ins read as systemd reads them: an empty value resets a list.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
UNITS = "usr/lib/systemd/system"


def in_tools(*command):
    """Runs a command of the tools tree; its status and what it said."""
    asked = [REPOSITORY / "image/in-tools", *command]
    env = {**os.environ, "ROOT": str(REPOSITORY)}
    done = subprocess.run(asked, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def our_units():
    """Names of the unit files in the repository."""
    return sorted(path.name for path in (REPOSITORY / "systemd").glob("*/*.service"))


class Tree:
    def __init__(self, folder, tools):
        self.root = Path(folder)
        for folder in (UNITS, "usr/lib/sysusers.d"):
            shutil.copytree(Path(tools) / folder, self.root / folder, symlinks=True)
        subprocess.run([REPOSITORY / "systemd/install.sh", self.root], check=True)
        for name in our_units():
            self._programs_of(self.unit(name))

    def _programs_of(self, unit):
        for key in ("ExecStart", "ExecStartPre", "ExecStop", "ExecStopPost"):
            for line in unit.all("Service", key):
                program = self.root / line.split()[0].lstrip("-+!@:/")
                program.parent.mkdir(parents=True, exist_ok=True)
                program.touch(mode=0o755)

    def unit(self, name):
        path = self.root / UNITS / name
        drop_ins = sorted((path.parent / f"{name}.d").glob("*.conf"))
        return Unit(name, [file for file in (path, *drop_ins) if file.exists()])

    def add(self, name, text, drop_in="99-test.conf"):
        """Changes a unit the way that a later drop-in does."""
        folder = self.root / UNITS / f"{name}.d"
        folder.mkdir(exist_ok=True)
        (folder / drop_in).write_text(text)

    def exposure(self, names):
        """`systemd-analyze security` of each unit."""
        status, said = in_tools("systemd-analyze", "security", "--offline=true", "--no-pager", f"--root={self.root}", *names)
        found = re.findall(r"exposure level for (\S+): (\d+\.\d+)", said)
        scores = {re.sub("@.+[.]service", "@.service", name): float(score) for name, score in found}
        assert sorted(scores) == sorted(names), f"status {status}: {said}"
        return scores

    def verify(self, names):
        """What `systemd-analyze verify` has to say against these units."""
        paths = [self.root / UNITS / name for name in names]
        return in_tools("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={self.root}", *paths)


class Unit:
    def __init__(self, name, files):
        self.name = name
        self.daemon = name.removesuffix(".service").removesuffix("@")
        self._values = {}
        for file in files:
            self._read(file.read_text())

    def _read(self, text):
        section = None
        for line in re.sub(r"\\\n", " ", text).splitlines():
            line = line.strip()
            if line.startswith("[") and line.endswith("]"):
                section = line[1:-1]
            elif line and line[0] not in "#;":
                key, _, value = line.partition("=")
                self._take((section, key.strip()), value.strip())

    def _take(self, key, value):
        if value:
            self._values.setdefault(key, []).append(value)
        else:
            self._values[key] = []

    def all(self, section, key):
        """Each assignment since the last empty one."""
        return self._values.get((section, key), [])

    def one(self, key, section="Service"):
        """The last assignment, as it counts for a setting with one value."""
        values = self.all(section, key)
        return values[-1] if values else None

    def words(self, key, section="Service"):
        """A list that several lines may fill."""
        return [word for line in self.all(section, key) for word in line.split()]


def tools_tree():
    """The tools tree that `./box` made, or the one that it names."""
    cache = Path(os.environ.get("BOX_CACHE", Path.home() / ".cache/scaibox"))
    trees = [Path(os.environ["TOOLS"])] if "TOOLS" in os.environ else sorted(cache.glob("tools-tree-*"))
    ready = [tree for tree in trees if (tree / "ready").exists()]
    assert ready, "there is no tools tree: run `./box test security` as root, which makes it"
    os.environ["TOOLS"], os.environ["BOX_CACHE"] = str(ready[0]), str(cache)
    return ready[0]
