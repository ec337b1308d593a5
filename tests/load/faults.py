"""`./box bench faults [ROUNDS]`: how long do calls and carriers wait after livekit-server or the gateway was killed?

livekit-server is killed (kill -9) in a call of two phones that speak a tone each, and stays away for AWAY seconds:
from the moment its port is open again until each phone hears the other's tone. The gateway is killed with TRUNKS
registered: from the kill until a new call is answered (by voicemail), and until every trunk has registered. The gateway's times
include the quarter of a second after which box-run starts what has died; systemd takes a tenth.
"""

import asyncio
import contextlib
import os
import signal
import statistics
import sys
import time
from pathlib import Path

for folder in ("support", "calls"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))

from boxkit import Box, eventually  # noqa: E402  (the path comes first)
from carrier import Carrier  # noqa: E402
from media import PTIME  # noqa: E402
from phone import Phone  # noqa: E402
from ramp import cpu_model  # noqa: E402
from test_phones import desk_phone, number_of, registered  # noqa: E402
from tones import level_db, share  # noqa: E402

ROUNDS, AWAY, TRUNKS, PATIENCE = 5, 5, 10, 60
TONES = (700, 1000)  # far from the beep that tells of an outage
LIFE = 20  # seconds after which box-run forgets that a part died before


def hears(call, hz):
    """In its last three packets."""
    last = call.media.heard(3 * PTIME)
    return level_db(last) > -40 and share(last, hz, 8000) > 0.9


async def seconds_until(what, since):
    await eventually(what, PATIENCE, every=0.01)
    return time.monotonic() - since


def row(number, words):
    print(f"{number:>6}" + "".join(f"{value:>24.2f}" for value in words), flush=True)


def table(title, heads, rounds):
    """Prints the rounds as they come, then what is typical and what is worst."""
    print(f"\n{title}, s\n{'round':>6}" + "".join(f"{head:>24}" for head in heads), flush=True)
    seen = []

    def add(values):
        seen.append(values)
        row(len(seen), values)
        if len(seen) == rounds:
            row("p50", [statistics.median(column) for column in zip(*seen)])
            row("max", [max(column) for column in zip(*seen)])

    return add


# --- livekit-server --------------------------------------------------------------------------------


async def listens(port):
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True


async def livekit_comes_back(box, calls, port):
    """How long each phone then waits for the other's tone."""
    await asyncio.to_thread(box.crash, "livekit-server")
    await asyncio.sleep(AWAY)
    assert not any(hears(call, hz) for call, hz in zip(calls, TONES)), "nothing is heard without livekit-server"
    released = asyncio.ensure_future(asyncio.to_thread(box.release, "livekit-server"))
    await eventually(lambda: listens(port), PATIENCE, every=0.01)
    since = time.monotonic()
    waits = await asyncio.gather(*(seconds_until(lambda one=one: hears(*one), since) for one in zip(calls, TONES)))
    await released
    return waits


async def lives_of_livekit(box, rounds):
    port = int(box.facts["livekit"]["url"].rpartition(":")[2].strip("/"))
    async with desk_phone() as desk, Phone() as caller:
        call = await caller.call(await number_of(box, await registered(box, desk)), box.sip)
        calls = call, await desk.next_call()
        for one, hz in zip(calls, reversed(TONES)):
            one.media.tone(hz)
        add = table(f"livekit-server, away for {AWAY} s: from its return", ["the caller hears", "the desk phone hears"], rounds)
        for _ in range(rounds):
            for one, hz in zip(calls, TONES):
                await eventually(lambda: hears(one, hz), PATIENCE)
            add(await livekit_comes_back(box, calls, port))


# --- sip-gateway -----------------------------------------------------------------------------------


async def answered(box, number):
    """A caller who tries a new call as long as nothing comes back."""
    async with Phone() as phone:
        call = await phone.dial(number, box.sip)
        await eventually(lambda: call.provisional or call.final.done(), 0.2, every=0.01)
        return (await asyncio.wait_for(call.final, PATIENCE)).status == 200


async def is_answered(box, number):
    with contextlib.suppress(AssertionError):
        return await answered(box, number)


async def gateway_comes_back(box, number, carrier):
    carrier.requests.clear()
    since = time.monotonic()
    os.kill(box.pids()["sip-gateway"], signal.SIGKILL)
    return await asyncio.gather(
        seconds_until(lambda: is_answered(box, number), since), seconds_until(lambda: len(registered_trunks(carrier)) == TRUNKS, since))


def registered_trunks(carrier):
    return {request.get("call-id") for request in carrier.requests if request.method == "REGISTER"}


async def lives_of_the_gateway(box, rounds):
    async with Carrier() as carrier:
        number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"})
        for name in range(TRUNKS):
            await asyncio.to_thread(
                box.trunk, sip_server_address=f"127.0.0.1:{carrier.port}", auth_mode="credentials", register=True,
                sip_auth_username=f"box{name}", sip_auth_password="right", allowed_addresses=[])
        await eventually(lambda: len(registered_trunks(carrier)) == TRUNKS, PATIENCE, "all trunks are registered")
        await eventually(lambda: is_answered(box, number), PATIENCE, "voicemail has found livekit-server again")
        heads = ["a new call is answered", f"{TRUNKS} trunks registered"]
        add = table("sip-gateway: from kill -9", heads, rounds)
        for _ in range(rounds):
            add(await gateway_comes_back(box, number, carrier))
            await asyncio.sleep(LIFE)


def main(rounds):
    print(f"{os.cpu_count()} cores, {cpu_model()}, load {os.getloadavg()[0]:.1f}")
    with Box() as box:
        asyncio.run(lives_of_livekit(box, rounds))
        asyncio.run(lives_of_the_gateway(box, rounds))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
