"""What do callers get when more come than the gateway has RTP ports for, and what do those who are in notice of it?"""

import asyncio
import contextlib

import pytest
from boxkit import Box, ask_unix, eventually
from livekit import api
from media import udp
from phone import Phone
from test_phones import desk_phone, registered
from tones import share
from trunks import LiveKitSip

CAP = 8  # calls: a port for audio and one for reports each
CROWD = CAP * 3 // 2


@pytest.fixture(scope="module")
def small_box():
    """A box whose gateway has ports for CAP calls."""
    with Box("--without", "sip-gateway") as running:
        rtp = running.facts["rtp"]
        running.ports = range(rtp["start"], rtp["start"] + 2 * CAP)
        running.start_gateway((f"end = {rtp['end']}", f"end = {running.ports[-1]}"))
        yield running


@contextlib.asynccontextmanager
async def crowd(count=CROWD):
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Phone(user=f"+3161234{n:04}")) for n in range(count)]


async def all_call(phones, number, box):
    """At once; (calls that were answered, final answers of the others)."""
    calls = await asyncio.gather(*(phone.call(number, box.sip) for phone in phones))
    return [call for call in calls if call.status == 200], [call.final.result() for call in calls if call.status != 200]


async def assert_each_is_heard_by_the_next(calls):
    """All of them are in one room; one speaks, the next one listens."""
    for one, other in zip(calls, [*calls[1:], calls[0]]):
        one.media.tone(440)
        await eventually(lambda: share(other.media.heard(0.5), 440, 8000) > 0.9, why=f"{one.phone.user} is heard by {other.phone.user}")
        one.media.tone(None)
        await eventually(lambda: not any(other.media.heard(0.2)), why=f"{one.phone.user} has stopped")


def free_pairs(box):
    """Of RTP ports, as the gateway counts them."""
    return ask_unix(box.data / "run" / "gateway.sock", "GET", "/v1/health")["rtp_ports_free"]


async def hang_up(calls, box):
    assert await asyncio.gather(*(call.hangup() for call in calls)) == [200] * len(calls)
    await eventually(lambda: free_pairs(box) == CAP, why="all ports are free again")


@contextlib.asynccontextmanager
async def full(box):
    """While the gateway has all the calls that it can have."""
    async with LiveKitSip(box) as sip, crowd(CAP) as phones:
        number, _ = await sip.inbound(f"full-{sip.tag}")
        calls, refusals = await all_call(phones, number, box)
        assert not refusals
        yield sip
        await hang_up(calls, box)


async def test_half_as_many_again_as_fit_are_refused_the_others_talk_and_as_many_fit_afterwards(small_box):
    async with LiveKitSip(small_box) as sip, crowd() as phones:
        number, _ = await sip.inbound(f"crowd-{sip.tag}")
        for turn in (phones, phones[::-1]):
            calls, refusals = await all_call(turn, number, small_box)
            assert (len(calls), {answer.status for answer in refusals}) == (CAP, {503})
            assert await calls[0].reinvite("sendrecv") == (200, "sendrecv"), "it is served as ever"
            await assert_each_is_heard_by_the_next(calls)
            assert not any(call.ended.is_set() for call in calls)
            await hang_up(calls, small_box)


async def test_a_number_and_a_desk_phone_get_503_while_all_ports_are_taken_and_the_record_says_why(small_box):
    number, _ = await asyncio.to_thread(small_box.number, {"action_type": "voicemail"})
    async with desk_phone() as desk, Phone() as caller:
        await registered(small_box, desk)
        async with full(small_box):
            for call in (await caller.call(number, small_box.sip), await desk.call("+31612340000", small_box.sip)):
                assert call.status == 503
        record = await small_box.ended_call(number)
        assert (record["end_reason"], record["answered_at"]) == ("limit_reached", None)
        call = await caller.call(number, small_box.sip)
        assert call.status == 200, "and is served once somebody has hung up"
        await hang_up([call], small_box)


async def test_whoever_dials_out_is_told_503_while_all_ports_are_taken(small_box):
    async with full(small_box) as sip, Phone() as phone:
        with pytest.raises(api.TwirpError) as refusal:
            await sip.dial(await sip.outbound(phone), f"out-{sip.tag}", wait_until_answered=True)
        assert refusal.value.metadata.get("sip_status_code") == "503" and not phone.requests
        assert f"out-{sip.tag}" not in await sip.rooms()


async def test_ports_that_another_program_holds_are_a_503_and_served_as_soon_as_they_are_free(small_box):
    async with LiveKitSip(small_box) as sip, crowd() as phones:
        number, _ = await sip.inbound(f"held-{sip.tag}")
        with contextlib.ExitStack() as held:
            for port in small_box.ports[::2]:
                held.enter_context(udp("127.0.0.1", port))
            calls, refusals = await all_call(phones, number, small_box)
            assert not calls and {answer.status for answer in refusals} == {503}
        calls, refusals = await all_call(phones, number, small_box)
        assert (len(calls), {answer.status for answer in refusals}) == (CAP, {503})
        await hang_up(calls, small_box)


async def test_a_caller_who_is_refused_is_told_when_to_come_again(small_box):
    async with full(small_box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"late-{sip.tag}")
        call = await phone.call(number, small_box.sip)
        assert (call.status, call.final.result().get("retry-after")) == (503, "5")
