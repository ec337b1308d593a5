"""Can the gateway take livekit-sip's place with livekit-sip's own configuration, dashboards and signals?"""

import asyncio
import json
import os
import signal
import subprocess

import pytest
from boxkit import PROGRAMS, Box, eventually
from phone import Phone
from room import Guest
from swapped import Swapped, configuration
from test_contract import heard_by, hears
from trunks import LiveKitSip


@pytest.fixture(scope="module")
def bare_box():
    with Box("--without", "sip-gateway") as running:
        yield running


@pytest.fixture
def swapped(bare_box, tmp_path, request):
    """Ours; with the parameter `livekit-sip` the program that LIVEKIT_SIP_BIN names."""
    keys = configuration(bare_box)
    program = os.environ["LIVEKIT_SIP_BIN"] if getattr(request, "param", None) else PROGRAMS / "sip-gateway"
    with Swapped(tmp_path, keys, json.dumps(keys), program) as running:
        yield running


class Talk:
    """A phone and somebody in a room who hear each other."""

    def __init__(self, box):
        self.box = box

    async def __aenter__(self):
        self.sip = await LiveKitSip(self.box).__aenter__()
        room = f"swap-{self.sip.tag}"
        self.number, _ = await self.sip.inbound(room)
        self.phone = await Phone().__aenter__()
        self.guest = await Guest.invited(self.box, room).__aenter__()
        await self.guest.speak(700)
        self.call = await self.phone.call(self.number, self.box.sip)
        assert self.call.status == 200
        self.call.media.tone(440)
        await self.both_hear()
        return self

    async def __aexit__(self, *_):
        for part in (self.guest, self.phone, self.sip):
            await part.__aexit__(None, None, None)

    async def both_hear(self):
        await eventually(hears(self.call.media, 700), why="the phone hears the room")
        await eventually(heard_by(self.guest, 440), why="the room hears the phone")


async def test_a_call_is_served_and_counted_under_livekit_sips_names(bare_box, swapped):
    async with Talk(bare_box) as talk:
        assert swapped.figure("calls_active", dir="in") == 1
        assert swapped.figure("invite_accepted", dir="in") == 1
        assert swapped.figure("codec_offered_total", codec="PCMU/8000") == 1
        assert await talk.call.hangup() == 200
        await eventually(lambda: swapped.figure("calls_terminated", result="success", reason="hangup") == 1)
        assert swapped.figure("calls_active") == 0
        await eventually(lambda: swapped.figure("packets_rtp", op="recv", payload="PCMU/8000") >= 50, why="packets are counted")
        assert swapped.figure("available") == 1


async def test_SIGTERM_takes_no_new_calls_and_lets_the_old_ones_end(bare_box, swapped):
    async with Talk(bare_box) as talk, Phone() as late:
        swapped.process.send_signal(signal.SIGTERM)
        await eventually(lambda: swapped.health() == (503, "Stopped"), why="its health says that it stops")
        assert (await late.call(talk.number, bare_box.sip)).status == 503
        heard = talk.call.media.packets
        await eventually(lambda: talk.call.media.packets > heard + 100, why="audio goes on")
        await talk.both_hear()
        assert swapped.process.poll() is None
        assert await talk.call.hangup() == 200
        assert await asyncio.to_thread(swapped.process.wait, 20) == 0


async def test_SIGINT_ends_the_calls(bare_box, swapped):
    async with Talk(bare_box) as talk:
        swapped.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(talk.call.ended.wait(), 15)
        assert await asyncio.to_thread(swapped.process.wait, 20) == 0


def test_a_key_that_nobody_knows_is_named(bare_box):
    body = json.dumps(configuration(bare_box, sip_prot=5060))
    ended = subprocess.run([PROGRAMS / "sip-gateway", "--config-body", body], capture_output=True, text=True, timeout=30)
    assert ended.returncode != 0 and "`sip_prot`" in ended.stderr, ended
