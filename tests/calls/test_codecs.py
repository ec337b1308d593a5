"""Which codecs are spoken, and are G.722 and Opus heard in all their breadth?  Their phone is baresip; in the room is a LiveKit client."""

import asyncio
import contextlib
import re

import pytest
from baresip import Baresip, pair_of_ports
from boxkit import eventually
from phone import Phone
from room import Guest
from tones import filled, read_wav, sine
from trunks import LiveKitSip

WIDE, FULL = 16000, 48000
#: Tones that G.711 cannot carry, and tones that are lost wherever Opus is coded anew.
SAID, ANSWERED = 5000, 6000
SAID_HIGH, ANSWERED_HIGH = 9000, 10000


def heard(samples, hz, rate=WIDE):
    """Is there a second of this tone in the last two seconds?"""
    return len(samples) >= 2 * rate and filled(samples[-2 * rate :], hz, rate, 0.1) >= 0.5


def payload_types(sdp):
    return re.search(r"^m=audio \d+ \S+ ([\d ]+)", sdp, re.M).group(1).split()


@contextlib.asynccontextmanager
async def room(box, hz, rate):
    """Somebody in a room who says this tone, and the address that leads there."""
    async with LiveKitSip(box) as sip:
        number, _ = await sip.inbound(f"wide-{sip.tag}")
        async with Guest.invited(box, f"wide-{sip.tag}") as guest:
            guest.rate = rate
            await guest.speak(hz)
            yield guest, f"sip:{number}@{box.sip[0]}:{box.sip[1]}"


async def has_recorded(phone, rate):
    """Four seconds."""
    await eventually(lambda: (file := phone.heard()) and file.stat().st_size > 4 * 2 * rate, 40, phone.said)


def assert_recorded(phone, hz, wanted):
    samples, rate = read_wav(phone.heard().read_bytes())
    assert rate == wanted and heard(samples, hz, wanted)


async def test_tones_of_5_and_6_khz_cross_a_call_by_g722(box, tmp_path):
    async with room(box, ANSWERED, WIDE) as (guest, target):
        phone = Baresip(tmp_path, sine(SAID, 90, WIDE), target, modules=["g722"], codecs="G722/16000", rate=WIDE)
        with phone:
            await eventually(lambda: heard(guest.samples, SAID), 40, phone.said)
            await has_recorded(phone, WIDE)
        assert_recorded(phone, ANSWERED, WIDE)


def opus_phone(folder, target, seconds=90):
    """It speaks nothing else, and that with one channel."""
    return Baresip(
        folder, sine(SAID_HIGH, seconds, FULL), target, config="opus_stereo no\n", modules=["opus"], codecs="opus/48000/1", rate=FULL,
        console=pair_of_ports())


async def test_opus_goes_through_untouched_both_ways_and_keys_beside_it(box, tmp_path):
    async with room(box, ANSWERED_HIGH, FULL) as (guest, target):
        with opus_phone(tmp_path, target) as phone:
            await eventually(lambda: heard(guest.samples, SAID_HIGH, FULL), 40, phone.said)
            phone.press("5")
            await eventually(lambda: guest.digits == "5", 20, phone.said)
            await guest.press("7")
            await eventually(lambda: "received event: '7'" in phone.said(), 20, phone.said)
            await has_recorded(phone, FULL)
        assert "opus 48000Hz" in phone.said(), phone.said()
        assert_recorded(phone, ANSWERED_HIGH, FULL)


async def test_a_trunk_that_does_not_list_opus_takes_none(box, tmp_path):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"})
    with opus_phone(tmp_path, f"sip:{number}@{box.sip[0]}:{box.sip[1]}", 1) as phone:
        await eventually(lambda: "488" in phone.said(), 20, phone.said)


async def test_a_trunk_takes_the_codecs_it_lists_in_its_own_order(box):
    plan = {"action_type": "voicemail"}
    for codecs, spoken in ((["pcma", "pcmu"], "PCMA"), (["pcmu", "pcma"], "PCMU"), (["g722", "pcma"], "PCMA")):
        number, _ = await asyncio.to_thread(box.number, plan, codecs=codecs)
        async with Phone() as phone:
            call = await phone.call(number, box.sip)
            assert (call.status, call.media.law.name) == (200, spoken), codecs
            await call.hangup()


async def test_a_caller_without_any_codec_of_the_trunk_is_refused(box):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"}, codecs=["pcma"])
    async with Phone(laws=["PCMU"]) as phone:
        assert (await phone.call(number, box.sip)).status == 488


@pytest.mark.parametrize("codecs, offered", [
    (["g722", "pcma"], ["9", "8", "101"]),
    (["pcmu"], ["0", "101"]),
    (["pcma", "opus"], ["8", "111", "101", "102"]),
])
async def test_a_carrier_is_offered_what_its_trunk_lists_and_nothing_else(own_tenant, codecs, offered):
    async with Phone() as carrier:
        carrier.incoming = 486
        made = await asyncio.to_thread(own_tenant.browser_calls, carrier, codecs=codecs)
        async with Guest(made["livekit"]["url"], made["livekit"]["token"]) as guest:
            await guest.speak(700)
            call = await carrier.next_call()
            assert payload_types(call.invite.body) == offered, call.invite.body
