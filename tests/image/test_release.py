"""Is a release complete, the same every time, and does nobody get past its signatures?

Runs release.py as `./box image` does: in the tools tree, with the tools of the suite that the image is made of.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("BOX_CACHE", Path.home() / ".cache/scaibox"))
A, B = "cb8655eaa72f144c7f9b439cc4b92974", "01781282-c64d-11f9-dcd4-ebd8dbe94cfa"
UPDATE = {"scaibox_7.efi", f"scaibox_7.root.{A}.raw.gz", f"scaibox_7.root-verity.{B}.raw.gz"}


@pytest.fixture(scope="module")
def work():
    """A folder that is in the same place inside the tools tree."""
    folder = CACHE / f"test-release-{os.getpid()}"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def tools():
    trees = [path.parent for path in CACHE.glob("tools-tree-*/ready")]
    assert trees, f"{CACHE} holds no tools tree; `./box image` makes it"
    environment = os.environ | {"TOOLS": str(trees[0]), "ROOT": str(ROOT), "BOX_CACHE": str(CACHE)}

    def run(*command):
        return subprocess.run([ROOT / "image/in-tools", *map(str, command)], env=environment, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def release_py(tools):
    def run(*arguments, fails=False):
        done = tools("env", "PYTHONDONTWRITEBYTECODE=1", "python3", "/scaibox/image/release.py", *arguments)
        assert bool(done.returncode) == fails, done.stderr
        return done.stdout + done.stderr

    return run


def make_output(folder):
    """What mkosi leaves behind, with data and holes."""
    folder.mkdir()
    for name in ("scaibox_7.raw", f"scaibox_7.root.{A}.raw", f"scaibox_7.root-verity.{B}.raw", "scaibox_7.esp.raw"):
        with open(folder / name, "wb") as file:
            file.write(name.encode() * 5000)
            file.seek(3 << 20)
            file.write(name.encode() * 3000)
            file.truncate(8 << 20)
    (folder / "scaibox_7.efi").write_bytes(b"MZ kernel")
    (folder / "scaibox_7.manifest").write_text("{}")
    (folder / "scaibox_7").symlink_to("scaibox_7.raw")


@pytest.fixture(scope="module")
def output(work):
    make_output(work / "out")
    return work / "out"


@pytest.fixture(scope="module")
def keys(work, release_py):
    release_py("keys", "--keys", work / "keys", "--development")
    return work / "keys"


@pytest.fixture(scope="module")
def made(work, output, release_py):
    said = release_py("make", "--output", output, "--version", "7", "--to", work / "release",
                      "--with", output / "scaibox_7.manifest")
    assert "image, compressed:" in said and "update set:" in said
    return work / "release"


@pytest.fixture
def signed(made, keys, release_py, work):
    """A copy to do harm to."""
    copy = work / "signed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(made, copy)
    said = release_py("sign", copy, "--keys", keys)
    assert said.count("DEVELOPMENT KEY - not for production") == 2
    return copy


def sums(folder):
    return {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}


def test_a_release_holds_the_disk_in_three_forms_and_all_it_was_given(made):
    expected = UPDATE | {"scaibox_7.raw", "scaibox_7.raw.zst", "scaibox_7.qcow2", "scaibox_7.manifest"}
    assert sums(made) == expected
    assert {path.name for path in made.iterdir()} == expected | {"SHA256SUMS", "update"}
    assert subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=made).returncode == 0


def test_the_update_set_is_what_a_box_fetches_and_no_more(made):
    assert sums(made / "update") == UPDATE
    assert {path.name for path in (made / "update").iterdir()} == UPDATE | {"SHA256SUMS"}


def test_the_compressed_forms_unpack_to_what_was_built(made, output, tools, work):
    with open(output / "scaibox_7.raw", "rb") as file:
        disk = file.read()
    assert subprocess.run(["zstd", "-dc", made / "scaibox_7.raw.zst"], stdout=subprocess.PIPE).stdout == disk
    for packed in (made / "update").glob("*.gz"):
        unpacked = subprocess.run(["gzip", "-dc", packed], stdout=subprocess.PIPE).stdout
        assert unpacked == (output / packed.stem).read_bytes()
    compared = tools("qemu-img", "compare", "-f", "raw", "-F", "qcow2", made / "scaibox_7.raw", made / "scaibox_7.qcow2")
    assert "identical" in compared.stdout


def test_the_same_build_makes_the_same_release_wherever_its_holes_are(made, output, release_py, work):
    shutil.copytree(output, work / "dense", symlinks=True)
    for path in (work / "dense").glob("*.raw"):
        subprocess.run(["cp", "--sparse=never", output / path.name, path], check=True)
        os.utime(path, (0, 0))
    release_py("make", "--output", work / "dense", "--version", "7", "--to", work / "again",
               "--with", output / "scaibox_7.manifest")
    assert (work / "again/SHA256SUMS").read_bytes() == (made / "SHA256SUMS").read_bytes()


def test_an_output_that_lacks_a_part_makes_no_release(output, release_py, work):
    shutil.copytree(output, work / "half", symlinks=True)
    (work / f"half/scaibox_7.root-verity.{B}.raw").unlink()
    said = release_py("make", "--output", work / "half", "--version", "7", "--to", work / "none", fails=True)
    assert "0 files fit" in said and "verity" in said
    assert not (work / "none").exists()


def test_a_signed_release_verifies(signed, keys, release_py):
    assert "every hash and every signature holds" in release_py("verify", signed, "--keys", keys)


def test_an_unsigned_release_does_not_verify(made, keys, release_py):
    release_py("verify", made, "--keys", keys, fails=True)


def test_a_changed_file_is_named(signed, keys, release_py):
    (signed / "update/scaibox_7.efi").write_bytes(b"MZ other")
    assert "not what was released: scaibox_7.efi" in release_py("verify", signed, "--keys", keys, fails=True)


def test_a_changed_list_breaks_its_signature(signed, keys, release_py):
    with open(signed / "update/SHA256SUMS", "a") as file:
        file.write(f"{'0' * 64}  scaibox_8.efi\n")
    assert "does not hold" in release_py("verify", signed, "--keys", keys, fails=True)


def test_a_file_that_no_list_names_is_noticed(signed, keys, release_py):
    (signed / "update/scaibox_8.efi").write_bytes(b"MZ extra")
    assert "scaibox_8.efi" in release_py("verify", signed, "--keys", keys, fails=True)


def test_the_signature_of_somebody_else_is_refused(signed, release_py, work):
    release_py("keys", "--keys", work / "other", "--development")
    assert "does not hold" in release_py("verify", signed, "--keys", work / "other", fails=True)


def test_a_key_is_made_once(keys, release_py):
    before = (keys / "import-pubring.gpg").read_bytes()
    release_py("keys", "--keys", keys, "--development")
    assert (keys / "import-pubring.gpg").read_bytes() == before


def test_release_keys_are_never_made_here(release_py, work):
    assert "release keys are not made here" in release_py("keys", "--keys", work / "absent", fails=True)
    assert not (work / "absent").exists()


def test_secret_keys_are_for_their_owner_only(keys):
    assert (keys / "gnupg").stat().st_mode & 0o077 == 0


def test_systemd_itself_installs_the_update_set_from_a_web_server(signed, keys, tools, work):
    """systemd-sysupdate, as the box runs it, checks the signature and unpacks every part to the bytes of the build."""
    script = ROOT / "tests/image/install-update.sh"
    keyring = keys / "import-pubring.gpg"
    done = tools("bash", f"/scaibox/{script.relative_to(ROOT)}", signed / "update", keyring, work / "box")
    assert done.returncode == 0, done.stdout + done.stderr
    for kind, uuid in (("root", A), ("root-verity", B)):
        assert (work / f"box/{kind}_7.raw").read_bytes() == (work / f"out/scaibox_7.{kind}.{uuid}.raw").read_bytes()
    assert (work / "box/scaibox_7+2-0.efi").read_bytes() == b"MZ kernel"
