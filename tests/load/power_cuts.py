"""Does the box come back whenever the plug is pulled?  `./box bench cuts N [SEED]`

A claimed box with a message is updated from version 1 to 2, N times from the same disk; each time the power goes at a random moment
between the order and the first minute of the new version. Every time it must boot by itself into one of the two, with its message.
"""

import random
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from boxkit import until  # noqa: E402  (the path comes first)
from channel import Channel  # noqa: E402
from guest import CACHE, Guest  # noqa: E402
from lan import Lan  # noqa: E402
from remote_box import RemoteBox  # noqa: E402

FOLDER = CACHE / "image/guests/cuts"
LIMIT = 900
LONGEST = 240  # seconds from the order to a minute after the reboot
ORDER = r"""[Unit]
Description=An update, again and again
After=boot-complete.target fleet-agent.service
[Service]
Type=exec
StandardOutput=journal+console
ExecStart=/bin/bash -c '. /usr/lib/os-release; [ $IMAGE_VERSION = 1 ] || exit 0; \
  until scaibox update check >/dev/null && scaibox --json update status | grep -Eq "version.: ?.2"; do sleep 2; done; \
  scaibox update apply 2 --now; echo ORDERED'
"""


def prepare(guest, box):
    """A claimed box with one message, shut down cleanly enough: its disk is the start of every round."""
    box.claim(guest.start().wait_for(r"claim code (\S{5}-\S{5})", LIMIT).group(1))
    box.leave_tone(box.voicemail_number(), FOLDER)
    until(box.messages, LIMIT, "the message is stored", every=1)
    guest.cut_power()
    shutil.copy(guest.disk, FOLDER / "start.qcow2")


def one_round(guest, box, after):
    shutil.copy(FOLDER / "start.qcow2", guest.disk)
    mark = guest.mark()
    guest.start().wait_for(r"ORDERED", LIMIT, since=mark)
    time.sleep(after)
    guest.cut_power()
    mark = guest.mark()
    version = guest.start().wait_for(r"ScaiBox ([12]): ready", LIMIT, since=mark).group(1)
    box.answers(LIMIT)
    assert len(until(box.messages, LIMIT, "the API lists the message", every=1)) == 1
    guest.cut_power()
    return version


def main(rounds, images, seed):
    chance = random.Random(seed)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with Lan(), Guest(FOLDER / "guest", image=images / "1/scaibox_1.raw") as guest:
        channel, box, came_up = Channel(FOLDER), RemoteBox(), {"1": 0, "2": 0}
        guest.settings(f'[update]\nchannel = "{channel.url}"\n')
        prepare(guest, box)
        channel.publish("2", {"2": images / "2"}, FOLDER)
        guest.unit("order.service", ORDER)
        for number in range(1, rounds + 1):
            after = chance.uniform(0, LONGEST)
            version = one_round(guest, box, after)
            came_up[version] += 1
            print(f"cut {number}: {after:5.1f} s after the order, came up as version {version}, message intact", flush=True)
    print(f"{rounds} cuts (seed {seed}): {came_up['1']} came up as version 1, {came_up['2']} as version 2, 0 stayed down")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else random.getrandbits(32))
