"""Do the bills of materials cover every binary, and are they what their formats ask for?

The tree is made here: a Debian package, one of our programs with its crates, a Go server with its modules.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IMAGE = Path(__file__).resolve().parents[2] / "image"
sys.path.insert(0, str(IMAGE))

import sbom  # noqa: E402  (the path comes first)
from inventory import licences, programs  # noqa: E402

COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Files: *
License: GPL-2+ or Artistic
Files: debian/*
License: Expat
Files: odd/*
License: Some-Odd-One
"""


def elf(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF" + content)


def make_deb(folder, work):
    """hello 1:1.0 with a library, a program, a script and a kernel module."""
    root = work / "hello"
    elf(root / "lib/x86_64-linux-gnu/libhello.so.1", b"library")
    elf(root / "usr/bin/hello", b"program")
    elf(root / "usr/lib/modules/6/hello.ko.xz", b"module")
    (root / "usr/bin/script").write_text("#!/bin/sh\n")
    (root / "usr/share/doc/hello").mkdir(parents=True)
    (root / "usr/share/doc/hello/copyright").write_text(COPYRIGHT)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text("Package: hello\nVersion: 1:1.0\nArchitecture: amd64\nMaintainer: a <a@b>\n"
                                         "Description: a test\n")
    deb = folder / "hello_1%3a1.0_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, deb], check=True, stdout=subprocess.PIPE)
    return hashlib.sha256(deb.read_bytes()).hexdigest()


def go_server(target, work):
    work.mkdir()
    (work / "go.mod").write_text("module example.org/Server\n\ngo 1.21\n")
    (work / "main.go").write_text("package main\n\nfunc main() {}\n")
    subprocess.run(["go", "build", "-buildvcs=false", "-o", target, "."], cwd=work, check=True)


METADATA = {
    "workspace_members": ["gateway#0.1.0", "scaibox#1"],
    "packages": [
        {"id": "gateway#0.1.0", "name": "gateway", "version": "0.1.0", "source": None, "license": "Apache-2.0",
         "targets": [{"name": "sip-gateway", "kind": ["bin"]}]},
        {"id": "scaibox#1", "name": "scaibox", "version": "1", "source": None, "license": "Apache-2.0",
         "targets": [{"name": "scaibox", "kind": ["bin"]}]},
        {"id": "hex", "name": "hex", "version": "0.4.3", "source": "registry", "license": "MIT/Apache-2.0", "targets": []},
        {"id": "serde", "name": "serde", "version": "9.9.9", "source": "registry", "license": None, "targets": []},
        {"id": "insta", "name": "insta", "version": "1.0.0", "source": "registry", "license": "MIT", "targets": []},
    ],
    "resolve": {"nodes": [
        {"id": "gateway#0.1.0", "deps": [{"pkg": "hex", "dep_kinds": [{"kind": None}]},
                                         {"pkg": "insta", "dep_kinds": [{"kind": "dev"}]}]},
        {"id": "hex", "deps": [{"pkg": "serde", "dep_kinds": [{"kind": None}]}]},
        {"id": "serde", "deps": []}, {"id": "insta", "deps": []}, {"id": "scaibox#1", "deps": []},
    ]},
}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """An unpacked image and all that sbom.py wants to know about it."""
    work = tmp_path_factory.mktemp("sbom")
    (work / "debs").mkdir()
    digest = make_deb(work / "debs", work)
    root = work / "root"
    shutil.copytree(work / "hello/usr", root / "usr")
    shutil.copytree(work / "hello/lib", root / "usr/lib", dirs_exist_ok=True)
    elf(root / "usr/lib/scaibox/sip-gateway", b"gateway")
    elf(root / "usr/bin/scaibox", b"a tool named as the image is")
    go_server(root / "usr/lib/scaibox/server", work / "go")
    (root / "usr/bin/link").symlink_to("hello")
    (work / "scaibox_1.efi").write_bytes(b"MZ kernel")
    package = {"name": "hello", "version": "1:1.0", "architecture": "amd64", "sha256": digest, "source": "greetings"}
    (work / "lock").write_text(json.dumps({"sections": {"debian/image": [package], "debian/initrd": [package],
                                                         "debian/tools": [package | {"name": "mkosi"}]}}))
    (work / "metadata").write_text(json.dumps(METADATA))
    return work


def write(image, to, monkeypatch):
    to.mkdir(exist_ok=True)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764028800")
    return sbom.main(["--version", "1", "--root", f"image={image / 'root'}", "--debs", str(image / "debs"),
                      "--part", str(image / "scaibox_1.efi"), "--to", str(to), "--lock", str(image / "lock"),
                      "--cargo-metadata", str(image / "metadata")])


@pytest.fixture
def bills(image, tmp_path, monkeypatch):
    assert write(image, tmp_path, monkeypatch) == 0
    return [json.loads((tmp_path / f"scaibox_1.{kind}.json").read_text()) for kind in ("cdx", "spdx")]


def elf_files(root):
    """Found here in a way of its own: no test should ask the code under test what there is."""
    found = subprocess.run(["grep", "-rlUP", r"\A\x7fELF", root], capture_output=True, text=True, check=True).stdout
    return {str(Path(line).relative_to(root)) for line in found.splitlines() if not Path(line).is_symlink()}


def files_of_cyclonedx(bom):
    owners = [bom["metadata"]["component"], *bom["components"]]
    return {file["name"]: (owner["name"], file) for owner in owners for file in owner.get("components", [])}


def test_every_binary_of_the_tree_is_in_both_with_its_hash(image, bills):
    there = elf_files(image / "root")
    assert len(there) == 6
    listed = files_of_cyclonedx(bills[0])
    assert listed.keys() == there | {"scaibox_1.efi"}
    spdx = {one["fileName"].removeprefix("./"): one["checksums"] for one in bills[1]["files"]}
    assert spdx.keys() == listed.keys()
    for path in there:
        digest = hashlib.sha256((image / "root" / path).read_bytes()).hexdigest()
        assert listed[path][1]["hashes"] == [{"alg": "SHA-256", "content": digest}]
        assert {"algorithm": "SHA256", "checksumValue": digest} in spdx[path]


def test_each_binary_belongs_to_what_brought_it(bills):
    owners = {path: owner for path, (owner, _) in files_of_cyclonedx(bills[0]).items()}
    assert owners == {"usr/bin/hello": "hello", "usr/lib/x86_64-linux-gnu/libhello.so.1": "hello",
                      "usr/lib/modules/6/hello.ko.xz": "hello", "usr/lib/scaibox/sip-gateway": "gateway",
                      "usr/bin/scaibox": "scaibox",
                      "usr/lib/scaibox/server": "example.org/Server", "scaibox_1.efi": "scaibox"}


def test_packages_crates_and_modules_have_names_that_scanners_know(bills):
    said = {one["purl"] for one in bills[0]["components"]}
    assert "pkg:deb/debian/hello@1:1.0?arch=amd64&distro=debian-13&upstream=greetings" in said
    assert {"pkg:generic/scaibox/gateway@0.1.0", "pkg:cargo/hex@0.4.3", "pkg:cargo/serde@9.9.9"} <= said
    assert any(purl.startswith("pkg:golang/example.org/server@") for purl in said)
    assert any(purl.startswith("pkg:golang/stdlib@1.") for purl in said)
    assert "pkg:cargo/insta@1.0.0" not in said and not any("mkosi" in purl for purl in said)
    in_spdx = {one["externalRefs"][0]["referenceLocator"] for one in bills[1]["packages"]}
    assert in_spdx == said | {"pkg:generic/scaibox@1"}


def test_a_package_says_in_which_trees_it_is(bills):
    hello = next(one for one in bills[0]["components"] if one["name"] == "hello")
    assert [one["value"] for one in hello["properties"]] == ["image", "initrd"]


def test_a_program_depends_on_the_crates_of_its_crates(bills):
    on = {one["ref"]: one["dependsOn"] for one in bills[0]["dependencies"]}
    assert on["pkg:generic/scaibox/gateway@0.1.0"] == ["pkg:cargo/hex@0.4.3", "pkg:cargo/serde@9.9.9"]


def test_licences_are_told_in_words_of_spdx(bills):
    told = {one["name"]: one["licenseDeclared"] for one in bills[1]["packages"]}
    assert told["hello"] == "(Artistic-1.0-Perl OR GPL-2.0-or-later) AND LicenseRef-debian-Some-Odd-One AND MIT"
    assert told["hex"] == "MIT OR Apache-2.0"
    assert told["serde"] == "NOASSERTION"
    assert [one["licenseId"] for one in bills[1]["hasExtractedLicensingInfos"]] == ["LicenseRef-debian-Some-Odd-One"]


def test_a_copyright_file_in_free_text_is_no_reason_to_guess():
    assert licences.of_copyright("This package is under the GPL, see /usr/share/common-licenses/GPL-2.") is None


def test_cyclonedx_has_what_its_schema_requires(bills):
    bom = bills[0]
    assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", bom["serialNumber"])
    assert bom["metadata"]["timestamp"] == "2025-11-25T00:00:00Z"
    everything = [bom["metadata"]["component"], *bom["components"]]
    everything += [file for one in everything for file in one.get("components", [])]
    assert all({"type", "name", "bom-ref"} <= one.keys() for one in everything)
    assert {one["type"] for one in everything} == {"operating-system", "library", "application", "file"}
    refs = [one["bom-ref"] for one in everything]
    assert len(refs) == len(set(refs))
    assert {other for one in bom["dependencies"] for other in (one["ref"], *one["dependsOn"])} <= set(refs)


def test_spdx_has_what_its_schema_requires(bills):
    doc = bills[1]
    assert (doc["spdxVersion"], doc["dataLicense"], doc["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert doc["documentNamespace"].startswith("urn:uuid:") and "#" not in doc["documentNamespace"]
    assert doc["creationInfo"] == {"created": "2025-11-25T00:00:00Z", "creators": ["Tool: scaibox-sbom"]}
    assert all({"name", "SPDXID", "downloadLocation"} <= one.keys() for one in doc["packages"])
    assert all([sum["algorithm"] for sum in one["checksums"]] == ["SHA1", "SHA256"] for one in doc["files"])
    ids = [one["SPDXID"] for one in doc["packages"] + doc["files"]] + ["SPDXRef-DOCUMENT"]
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", one) for one in ids)
    ends = {one[end] for one in doc["relationships"] for end in ("spdxElementId", "relatedSpdxElement")}
    assert ends == set(ids)
    assert [one["relationshipType"] for one in doc["relationships"]].count("DESCRIBES") == 1


def test_the_same_image_gives_the_same_bytes_and_another_one_another_identity(image, tmp_path, monkeypatch):
    for name in ("a", "b"):
        assert write(image, tmp_path / name, monkeypatch) == 0
    for kind in ("cdx", "spdx"):
        assert (tmp_path / f"a/scaibox_1.{kind}.json").read_bytes() == (tmp_path / f"b/scaibox_1.{kind}.json").read_bytes()
    before = json.loads((tmp_path / "a/scaibox_1.cdx.json").read_text())["serialNumber"]
    monkeypatch.setitem(METADATA["packages"][2], "version", "0.4.4")
    (tmp_path / "metadata").write_text(json.dumps(METADATA))
    for name in ("root", "debs", "scaibox_1.efi", "lock"):
        (tmp_path / name).symlink_to(image / name)
    assert write(tmp_path, tmp_path / "c", monkeypatch) == 0
    assert json.loads((tmp_path / "c/scaibox_1.cdx.json").read_text())["serialNumber"] != before


def test_a_binary_that_nobody_brought_is_refused_by_name(image, tmp_path, monkeypatch, capsys):
    shutil.copytree(image / "root", tmp_path / "root", symlinks=True)
    elf(tmp_path / "root/usr/lib/stranger", b"who is it")
    for name in ("debs", "scaibox_1.efi", "lock", "metadata"):
        (tmp_path / name).symlink_to(image / name)
    assert write(tmp_path, tmp_path / "to", monkeypatch) == 1
    assert "image: /usr/lib/stranger" in capsys.readouterr().err
    assert not list((tmp_path / "to").iterdir())


def test_the_crates_of_our_real_programs_are_found():
    metadata = programs.cargo_metadata(IMAGE.parent)
    ours = programs.our_programs(metadata)
    assert {"sip-gateway", "control-api", "voice-worker"} <= ours.keys()
    names = {one["name"] for one in metadata["packages"] if one["id"] in programs.crates_of(ours["sip-gateway"], metadata)}
    assert {"sip", "media", "rsipstack", "tokio"} <= names
    assert "insta" not in names
