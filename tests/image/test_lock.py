"""Does the lock notice every change, and does it name it?"""

import gzip
import hashlib
import json
import lzma
import subprocess
import sys
from pathlib import Path

import pytest

IMAGE = Path(__file__).resolve().parents[2] / "image"
sys.path.insert(0, str(IMAGE))

import lock  # noqa: E402  (the path comes first)
from inventory import Unknown, debs, sources  # noqa: E402

KERNEL, SHELL, KEYS = "linux-image-amd64", "bash", "debian-archive-keyring"


def stanza(name, version, architecture="amd64", source=""):
    digest = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    more = f"Source: {source}\n" if source else ""
    return (f"Package: {name}\n{more}Version: {version}\nArchitecture: {architecture}\n"
            f"Description: one\n of two lines\nSHA256: {digest}\n\n")


def manifest(path, packages):
    listed = [{"type": "deb", "name": name, "version": version, "architecture": arch} for name, version, arch in packages]
    path.write_text(json.dumps({"manifest_version": 1, "packages": listed}))
    return path


@pytest.fixture
def build(tmp_path):
    """The manifest, the package lists and the lock of a small image; `build(verb, …)` runs lock.py on them."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "archive_InRelease").write_text("Origin: Debian\nDate: Sat, 08 Nov 2025 08:15:00 UTC\n")
    (lists / "security_InRelease").write_text("Origin: Debian\nDate: Sun, 09 Nov 2025 10:00:00 UTC\n")
    (lists / "main_Packages").write_text(stanza(KERNEL, "6.12.48-1", source="linux-signed-amd64 (6.12.48+1)"))
    (lists / "updates_Packages.gz").write_bytes(gzip.compress(stanza(SHELL, "5.2.37-2+b5").encode()))
    (lists / "security_Packages.xz").write_bytes(lzma.compress(
        (stanza(KEYS, "2025.1", "all") + stanza(KERNEL, "6.12.57-1", source="linux-signed-amd64 (6.12.57+1)")).encode()))
    packages = [(KERNEL, "6.12.48-1", "amd64"), (SHELL, "5.2.37-2+b5", "amd64"), (KEYS, "2025.1", "all")]
    image, initrd = tmp_path / "image.manifest", manifest(tmp_path / "initrd.manifest", packages[1:])

    def run(verb, *more, packages=packages, sets=("image", "initrd")):
        manifest(image, packages)
        given = {"image": f"--manifest=image={image}", "initrd": f"--manifest=initrd={initrd}"}
        where = [given[name] for name in sets] if verb in ("write", "check") else []
        return lock.main(["--lock", str(tmp_path / "image.lock"), verb, "--lists", str(lists), *where, *more])

    run.packages, run.lists, run.lock = packages, lists, tmp_path / "image.lock"
    return run


def test_a_build_like_the_locked_one_passes(build):
    assert build("write") == 0
    assert build("check") == 0


def test_a_newer_package_is_refused_by_name_with_both_ways_out(build, capsys):
    build("write")
    assert build("check", packages=[(KERNEL, "6.12.57-1", "amd64"), *build.packages[1:]]) == 1
    said = capsys.readouterr().err
    assert "linux-image-amd64 6.12.48-1 -> 6.12.57-1 (debian/image)" in said
    assert "bash" not in said
    assert "./box image --relock" in said and "IMAGE_SNAPSHOT=URL" in said and "20251109T100000Z" in said


def test_packages_that_came_and_went_are_named(build, capsys):
    build("write")
    assert build("check", packages=build.packages[:2]) == 1
    assert "debian-archive-keyring 2025.1 is gone (debian/image)" in capsys.readouterr().err


def test_other_bytes_under_the_same_version_are_refused(build, capsys):
    build("write")
    path = build.lists / "main_Packages"
    path.write_text(path.read_text().replace("SHA256: ", "SHA256: 00"))
    assert build("check") == 1
    assert "linux-image-amd64 6.12.48-1: sha256" in capsys.readouterr().err


def test_a_forgotten_set_is_not_taken_for_an_empty_one(build, capsys):
    build("write")
    assert build("check", sets=("image",)) == 2
    assert "--manifest initrd=FILE" in capsys.readouterr().err


def test_a_package_without_a_hash_cannot_be_locked(build, capsys):
    assert build("write", packages=[*build.packages, ("mystery", "1", "amd64")]) == 2
    assert "mystery 1" in capsys.readouterr().err
    assert not build.lock.exists()


def test_the_lock_is_the_same_whenever_and_in_whatever_order_it_is_written(build):
    build("write")
    first = build.lock.read_bytes()
    (build.lists / "archive_InRelease").write_text("Date: Mon, 10 Nov 2025 08:15:00 UTC\n")
    build("write", packages=build.packages[::-1])
    assert build.lock.read_bytes() == first
    items = [line for line in first.decode().splitlines() if KERNEL in line]
    assert len(items) == 1 and '"source": "linux-signed-amd64"' in items[0]


def test_the_pins_choose_the_locked_versions(build, capsys):
    build("write")
    capsys.readouterr()
    assert build("pins") == 0
    paragraphs = capsys.readouterr().out.strip().split("\n\n")
    assert "Package: linux-image-amd64\nPin: version 6.12.48-1\nPin-Priority: 1001" in paragraphs
    assert len(paragraphs) == 3


def test_a_mirror_that_dropped_a_locked_version_is_noticed_before_the_build(build, capsys):
    build("write")
    assert build("available") == 0
    (build.lists / "main_Packages").write_text("")
    assert build("available") == 1
    assert "linux-image-amd64 6.12.48-1: the lists offer 6.12.57-1" in capsys.readouterr().err


def test_apt_unpacks_lists_that_python_cannot(tmp_path):
    path = tmp_path / "main_Packages.zst"
    subprocess.run(["zstd", "-q", "-o", path], input=stanza(SHELL, "1").encode(), check=True)
    assert debs.offered_by([tmp_path], {SHELL})[SHELL][0]["version"] == "1"


def test_the_hash_of_a_package_file_that_apt_kept_serves_too(tmp_path):
    (tmp_path / "procps_2%3a4.0.4-9_amd64.deb").write_bytes(b"a package")
    package = {"name": "procps", "version": "2:4.0.4-9", "architecture": "amd64"}
    found = debs.with_hashes([package], {}, [tmp_path])
    assert found[0]["sha256"] == hashlib.sha256(b"a package").hexdigest()


def test_only_installed_packages_of_a_tree_count(tmp_path):
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(
        "Package: mkosi\nStatus: install ok installed\nArchitecture: all\nVersion: 25.3-7\n\n"
        "Package: old\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n")
    assert debs.of_tree(tmp_path) == [{"name": "mkosi", "version": "25.3-7", "architecture": "all"}]


def test_modules_and_crates_come_with_the_hashes_that_go_and_cargo_check():
    modules = sources.go_modules(IMAGE / "bundle/minio")
    assert len(modules) > 100 and all(one["hash"].startswith("h1:") for one in modules)
    crates = sources.crates(IMAGE.parent / "Cargo.lock")
    assert len(crates) > 300 and all(len(one["checksum"]) == 64 for one in crates)
    assert "sip-gateway" not in {one["name"] for one in crates}


def test_a_module_without_a_hash_is_named(tmp_path):
    (tmp_path / "go.mod").write_text("module m\n\ngo 1.26\n\nrequire example.org/a v1.0.0\n")
    (tmp_path / "go.sum").write_text("example.org/a v1.0.0/go.mod h1:x=\n")
    with pytest.raises(Unknown, match="example.org/a v1.0.0"):
        sources.go_modules(tmp_path)


def test_another_compiler_than_the_repository_asks_for_is_refused(tmp_path):
    (tmp_path / "rust-toolchain.toml").write_text('[toolchain]\nchannel = "1.0.0"\n')
    with pytest.raises(Unknown, match="rustc"):
        sources.toolchain(tmp_path)
