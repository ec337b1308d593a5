"""Does a box without a network to the vendor take its update from a stick, and does it go back when it is told to?"""

import pytest
from channel import Channel, stick
from guest import CACHE, Guest
from remote_box import RemoteBox

BOOT_LIMIT = 600
UPDATE_LIMIT = 1200


@pytest.fixture(scope="module")
def image(lan, images, work):
    """A disk image with version 2 on it, as a technician would carry it."""
    channel = Channel(work)
    channel.server.shutdown()
    channel.publish("2", images, work)
    stick(channel.folder, work / "stick.img")
    return work / "stick.img"


@pytest.fixture(scope="module")
def guest(lan, images, image):
    with Guest(CACHE / "image/guests/stick", image=images["1"] / "scaibox_1.raw") as machine:
        machine.stick(image)
        yield machine.start()


@pytest.fixture(scope="module")
def box(guest, tmp_path_factory):
    """Claimed, and with a message that must stay."""
    box = RemoteBox()
    box.claim(guest.wait_for(r"claim code (\S{5}-\S{5})", BOOT_LIMIT).group(1))
    box.leave_tone(box.voicemail_number(), tmp_path_factory.mktemp("call"))
    assert box.seconds_of_tone() >= 5
    blessed(box, "1")
    return box


def blessed(box, version):
    """The update status once this version has proved itself."""
    return box.update(lambda now: now["blessed"] and now["current"] == version, f"version {version} is blessed")


def restarts_as(guest, box, version, mark):
    guest.wait_for(rf"ScaiBox {version}: ready", UPDATE_LIMIT, since=mark)
    box.answers()
    return blessed(box, version)


def test_an_update_comes_from_a_stick(guest, box):
    mark = guest.mark()
    box.api.post("/v1/update/apply", {"version": "2", "source": "usb", "now": True})
    assert restarts_as(guest, box, "2", mark)["previous"] == "1"
    assert box.seconds_of_tone() >= 5


def test_the_operator_takes_an_update_back(guest, box):
    mark = guest.mark()
    box.api.post("/v1/update/rollback")
    taken_back = restarts_as(guest, box, "1", mark)["failed"]
    assert [(one["version"], "operator" in one["reason"]) for one in taken_back] == [("2", True)]
    assert box.seconds_of_tone() >= 5
