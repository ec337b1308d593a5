"""Does a box's data survive the box?  Machine A is saved and thrown away, machine B becomes A, then as new again."""

import pytest
from guest import CACHE, Guest
from remote_box import RemoteBox

BOOT_LIMIT = 600
PASSPHRASE = b"correct horse battery staple\n"
SPARE = "0f3e6a52-7a0e-4b0c-9a51-7d2d4f1d2c34"


def new_box(images, name, **options):
    version = min(images)
    return Guest(CACHE / f"image/guests/{name}", image=images[version] / f"scaibox_{version}.raw", **options)


def claimed(guest):
    box = RemoteBox()
    box.claim(guest.start().wait_for(r"claim code (\S{5}-\S{5})", BOOT_LIMIT).group(1))
    return box


@pytest.fixture(scope="module")
def owner(lan, images, work):
    """Machine A as its operator knows it, gone; `backup` is all that is left."""
    with new_box(images, "data-a") as guest:
        box = claimed(guest)
        box.leave_tone(box.voicemail_number(), work)
        assert box.seconds_of_tone() >= 5
        shell = box.shell(work)
        shell("scaibox backup create --to /tmp/box.age --passphrase-file /dev/stdin", PASSPHRASE)
        box.backup = shell("cat /tmp/box.age")
        box.api.delete("/v1/ssh")
        assert box.api.get("/v1/ssh")["until"] is None
    return box


@pytest.fixture(scope="module")
def spare(owner, lan, images):
    with new_box(images, "data-b", uuid=SPARE) as guest:
        yield guest


def test_another_machine_becomes_the_box_in_the_backup(owner, spare, work):
    box = claimed(spare)
    shell = box.shell(work)
    shell("cat > /tmp/box.age", owner.backup)
    restore = "scaibox backup restore /tmp/box.age --passphrase-file /dev/stdin"
    with pytest.raises(AssertionError, match="--force"):
        shell(restore, PASSPHRASE)
    shell(f"{restore} --force", PASSPHRASE)
    owner.answers()
    assert owner.seconds_of_tone() >= 5
    assert box.api.raw("GET", "/v1/voicemails").status_code == 401, "who operated the spare machine is nobody here"


def test_it_is_still_that_box_after_a_power_cut(owner, spare):
    spare.cut_power()
    mark = spare.mark()
    spare.start().wait_for(r"ScaiBox \S+: ready", BOOT_LIMIT, since=mark)
    owner.answers()
    assert owner.seconds_of_tone() >= 5


def test_a_factory_reset_leaves_a_new_box_with_nothing_of_the_old_one(owner, spare, work):
    mark = spare.mark()
    owner.shell(work).lost("scaibox factory-reset --yes")
    code = spare.wait_for(r"claim code (\S{5}-\S{5})", BOOT_LIMIT, since=mark).group(1)
    box = RemoteBox()
    box.answers()
    owner.answers()
    assert owner.api.raw("GET", "/v1/voicemails").status_code == 401
    box.claim(code)
    assert box.messages() == []
    assert box.api.get("/v1/trunks")["items"] == []
