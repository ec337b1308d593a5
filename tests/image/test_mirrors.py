"""Where do the packages of the image come from?"""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELL = """set -eu; IMAGE_SUITE=trixie; refuse() { echo "$*" >&2; exit 2; }
pin_locked_versions() { :; }
eval "$(sed -n '/^find_mirrors()/,/^}/p' image/tools.sh)"
eval "$(sed -n '/^write_apt_sources()/,/^}/p; /^apt_source()/,/^}/p' image/build.sh)"
find_mirrors; write_apt_sources "$1"; cat "$1/etc/apt/sources.list.d/mkosi.sources" """


def sources(folder, snapshot):
    env = {**os.environ, "IMAGE_SNAPSHOT": snapshot}
    return subprocess.run(["bash", "-c", SHELL, "bash", folder], cwd=ROOT, env=env, capture_output=True, text=True)


def test_a_dated_archive_takes_the_place_of_the_mirrors_and_may_be_old(tmp_path):
    said = sources(tmp_path, "https://snapshot.debian.org/archive/debian/20251109T100000Z").stdout
    assert [line.split()[1] for line in said.splitlines() if line.startswith("URIs")] == [
        "https://snapshot.debian.org/archive/debian/20251109T100000Z/",
        "https://snapshot.debian.org/archive/debian-security/20251109T100000Z/"]
    assert said.count("Check-Valid-Until: no") == 2


def test_the_mirrors_of_the_host_must_be_fresh(tmp_path):
    said = sources(tmp_path, "").stdout
    assert said.count("URIs: http") == 2 and "Check-Valid-Until" not in said


def test_an_archive_that_cannot_be_one_is_refused_with_the_form_it_should_have(tmp_path):
    refused = sources(tmp_path, "https://snapshot.debian.org/")
    assert refused.returncode == 2
    assert "IMAGE_SNAPSHOT: write it as https://snapshot.debian.org/archive/debian/" in refused.stderr
