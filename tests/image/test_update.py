"""Does a new version take over only after it has proved itself, and does a broken one give way by itself?

One machine through five boots: 1 -> 2 (blessed by its call to itself) -> 3 (its gateway does not start, two tries) -> 2.
In between the plug is pulled while version 2 is being written.
"""

import pytest
from boxkit import until
from channel import Channel
from guest import CACHE, Guest
from remote_box import RemoteBox

BOOT_LIMIT = 600
UPDATE_LIMIT = 1200
# What an operator would type, once for each version that is announced.
OPERATOR = r"""[Unit]
Description=Operator of a test
After=boot-complete.target fleet-agent.service
[Service]
Type=exec
StandardOutput=journal+console
StandardError=journal+console
ExecStart=/bin/bash -c '. /usr/lib/os-release; next=$((IMAGE_VERSION + 1)); \
  echo OPERATOR runs $IMAGE_VERSION; scaibox update status; \
  [ $next -le 3 ] && [ ! -e /var/lib/scaibox/tried-$next ] || exit 0; \
  until scaibox update check >/dev/null && scaibox --json update status | grep -Eq "version.: ?.$next"; do sleep 2; done; \
  [ -e /var/lib/scaibox/cut-$next ] || [ $next = 3 ] || { touch /var/lib/scaibox/cut-$next; sync; cut=1; }; \
  [ -n "$cut" ] || { touch /var/lib/scaibox/tried-$next; sync; }; \
  scaibox update apply $next --now; echo OPERATOR asked for $next'
"""


@pytest.fixture(scope="module")
def channel(lan, work):
    made = Channel(work)
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def guest(lan, images, channel):
    with Guest(CACHE / "image/guests/update", image=images["1"] / "scaibox_1.raw") as machine:
        machine.settings(f'[update]\nchannel = "{channel.url}"\n')
        machine.unit("operator.service", OPERATOR)
        machine.start()
        yield machine


@pytest.fixture(scope="module")
def box(guest):
    return RemoteBox()


def test_version_1_is_claimed_and_takes_a_message(guest, box, tmp_path):
    box.claim(guest.wait_for(r"claim code (\S{5}-\S{5})", BOOT_LIMIT).group(1))
    box.number = box.voicemail_number()
    box.leave_tone(box.number, tmp_path)
    assert box.seconds_of_tone() >= 5


def test_a_power_cut_while_version_2_is_written_leaves_version_1(guest, box, channel, images, work):
    channel.publish("2", images, work)
    guest.wait_for(r"OPERATOR asked for 2", UPDATE_LIMIT)
    box.update(lambda now: now["state"] == "installing", "version 2 is being written", UPDATE_LIMIT, every=0.5)
    guest.cut_power()
    mark = guest.mark()
    guest.start()
    guest.wait_for(r"ScaiBox 1: ready", BOOT_LIMIT, since=mark)
    box.answers()
    assert box.seconds_of_tone() >= 5
    box.mark = guest.mark()


def test_version_2_takes_over_once_its_call_to_itself_went_through(guest, box):
    guest.wait_for(r"ScaiBox 2: ready", UPDATE_LIMIT, since=box.mark)
    box.answers()
    now = box.update(lambda now: now["blessed"] and now["current"] == "2", "version 2 is blessed")
    assert box.seconds_of_tone() >= 5
    assert now["failed"] == []


def test_version_3_whose_gateway_is_broken_gives_way_to_version_2_by_itself(guest, box, channel, images, work, tmp_path):
    mark = guest.mark()
    channel.publish("3", images, work)
    guest.wait_for(r"OPERATOR asked for 3", UPDATE_LIMIT, since=mark)
    guest.wait_for(r"ScaiBox 2: ready", UPDATE_LIMIT + 2 * BOOT_LIMIT, since=guest.mark())
    box.answers()
    now = box.update(lambda now: now["failed"], "the failure is reported")
    failed = now["failed"]
    assert [one["version"] for one in failed] == ["3"]
    assert "gateway" in failed[0]["reason"], failed
    assert now["current"] == "2"
    assert box.seconds_of_tone() >= 5
    box.leave_tone(box.number, tmp_path)
    until(lambda: len(box.messages()) == 2, BOOT_LIMIT, "the second message is stored", every=1)
    assert box.seconds_of_tone() >= 5
