"""Does the box come back whenever the plug is pulled?  `./box bench cuts N [SEED]`

A claimed box with a message is updated from version 1 to 2, once. Meanwhile its disk and its firmware's variables are kept at random
moments, from the order to a minute after the new version is ready: what a machine finds whose power went then. N of them are drawn,
and a machine is started from each, two at a time. Every one must boot by itself into one of the two versions, with its message.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from boxkit import until  # noqa: E402  (the path comes first)
from channel import Channel  # noqa: E402
from guest import CACHE, Guest, run_in_tools  # noqa: E402
from lan import Lan  # noqa: E402
from remote_box import RemoteBox  # noqa: E402

FOLDER = CACHE / "image/guests/cuts"
LIMIT = 900
PAUSE = 1  # seconds between two moments, on average
AFTER_IT = 60  # seconds of the new version
AT_ONCE = 2


def main(rounds, images, seed):
    chance = random.Random(seed)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    key, ages = one_update(images, chance)
    assert len(ages) >= rounds, f"the update was over after {len(ages)} moments: ask for no more cuts than that"
    drawn = sorted(chance.sample(sorted(ages), rounds))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        came_up = list(pool.map(lambda moment: in_a_network_of_its_own(moment, ages[moment], key), drawn))
    print(f"{rounds} cuts (seed {seed}): {came_up.count('1')} came up as version 1, {came_up.count('2')} as version 2, "
          f"{came_up.count('')} stayed down or lost the message")
    return 1 if "" in came_up else 0


def one_update(images, chance):
    """The operator's key, and the kept moments with their age in seconds since the order."""
    ages = {}
    with Lan(), Guest(FOLDER / "run", image=images / "1/scaibox_1.raw") as guest:
        channel, box = Channel(FOLDER), RemoteBox()
        guest.settings(f'[update]\nchannel = "{channel.url}"\n')
        furnish(guest, box)
        channel.publish("2", {"2": images / "2"}, FOLDER)
        mark, began, end = guest.mark(), order(box), None
        while end is None or time.monotonic() < end:
            time.sleep(chance.expovariate(1 / PAUSE))
            moment = len(ages) + 1
            ages[moment] = time.monotonic() - began
            keep(guest, moment)
            if end is None and guest.said(r"ScaiBox 2: ready", since=mark):
                end = time.monotonic() + AFTER_IT
            assert ages[moment] < LIMIT, f"no version 2 after {LIMIT} s\n{guest.tail()}"
        channel.server.shutdown()
    print(f"one update, kept at {len(ages)} moments in {ages[len(ages)]:.0f} s", flush=True)
    return box.key, ages


def furnish(guest, box):
    """A claimed box with one message, whose version has proved itself."""
    box.claim(guest.start().wait_for(r"claim code (\S{5}-\S{5})", LIMIT).group(1))
    box.leave_tone(box.voicemail_number(), FOLDER)
    until(box.messages, LIMIT, "the message is stored", every=1)
    until(lambda: box.api.get("/v1/update")["blessed"], LIMIT, "version 1 is blessed", every=1)


def order(box):
    """When version 2 was asked for."""
    box.api.post("/v1/update/check")
    until(lambda: (box.api.get("/v1/update")["available"] or {}).get("version") == "2", LIMIT, "version 2 is offered", every=1)
    box.api.post("/v1/update/apply", {"version": "2", "now": True})
    return time.monotonic()


def keep(guest, moment):
    guest.ask("blockdev-snapshot-internal-sync", device="d0", name=f"cut-{moment}")
    shutil.copy(guest.vars, FOLDER / f"{moment}.fd")


def in_a_network_of_its_own(moment, age, key):
    """The version that came up, or nothing."""
    child = [sys.executable, __file__, "--start", str(moment), key]
    done = subprocess.run(["unshare", "-n", *child], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    version = done.stdout.strip()
    said = f"came up as version {version}, message intact" if version else "DID NOT COME BACK: see the messages above"
    print(f"power gone {age:5.1f} s after the order: {said}", flush=True)
    return version


def start(moment, key):
    """A machine with the disk and the variables of that moment."""
    folder = FOLDER / f"cut-{moment}"
    with Lan(), Guest(folder) as guest:
        run_in_tools("qemu-img", "convert", "-U", "-l", f"snapshot.name=cut-{moment}", "-O", "qcow2", FOLDER / "run/disk.qcow2", guest.disk)
        shutil.copy(FOLDER / f"{moment}.fd", guest.vars)
        version = guest.start().wait_for(r"ScaiBox ([12]): ready", LIMIT).group(1)
        box = RemoteBox(key=key)
        box.answers(LIMIT)
        assert box.seconds_of_tone() >= 5
        assert len(box.messages()) == 1
    shutil.rmtree(folder)
    print(version)


if __name__ == "__main__":
    if sys.argv[1] == "--start":
        start(int(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(main(int(sys.argv[1]), Path(os.environ["IMAGES"]), int(sys.argv[2]) if len(sys.argv) > 2 else random.getrandbits(32)))
