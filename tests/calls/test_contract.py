"""Does the gateway keep livekit-sip's contract?  LiveKit's public API on one side, a phone on the other."""

import asyncio
import contextlib

import pytest
from boxkit import eventually
from livekit import api, rtc
from phone import Phone
from room import Guest
from tones import keys, share
from trunks import LiveKitSip


def hears(media, hz):
    return lambda: len(media.frames) > 60 and share(media.heard(1), hz, 8000) > 0.95


def heard_by(guest, hz):
    return lambda: share(guest.samples[-8000:], hz, 8000) > 0.95 if len(guest.samples) > 8000 else False


async def talk(box, **phone):
    """Somebody in a room and a phone hear each other by a rule of LiveKit's."""
    async with LiveKitSip(box) as sip, Phone(**phone) as phone:
        number, _ = await sip.inbound(f"in-{sip.tag}")
        async with Guest.invited(box, f"in-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            assert call.status == 200
            call.media.tone(440)
            await eventually(hears(call.media, 700), why="the phone hears the room's tone")
            await eventually(heard_by(guest, 440), why="the room hears the phone's tone")
            assert await call.hangup() == 200
            await eventually(lambda: guest.gone, why="the caller leaves the room")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
async def test_an_inbound_call_carries_audio_both_ways(box, transport, law):
    await talk(box, transport=transport, laws=[law])


async def test_a_caller_hears_ringing_until_somebody_speaks(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"ring-{sip.tag}")
        async with Guest.invited(box, f"ring-{sip.tag}") as guest:
            call = await phone.dial(number, box.sip)
            await asyncio.wait_for(call.ringing.wait(), 10)
            await eventually(lambda: guest.others, why="the caller is in the room")
            assert not call.final.done(), "answered although nobody speaks"
            await guest.speak(500)
            assert (await asyncio.wait_for(call.final, 15)).status == 200


async def test_two_phones_in_one_room_answer_each_other(box):
    """Nobody else is there: another SIP participant counts as somebody who speaks."""
    async with LiveKitSip(box) as sip, Phone("+31600000001") as one, Phone("+31600000002") as other:
        number, _ = await sip.inbound(f"pair-{sip.tag}")
        calls = [await phone.dial(number, box.sip) for phone in (one, other)]
        for call, hz in zip(calls, (440, 700)):
            assert (await asyncio.wait_for(call.final, 20)).status == 200
            call.media.tone(hz)
        await eventually(hears(calls[0].media, 700), why="the first hears the second")
        await eventually(hears(calls[1].media, 440), why="the second hears the first")


async def test_the_caller_has_the_documented_attributes(box):
    async with LiveKitSip(box) as sip, Phone(user="+31687654321") as phone:
        number, trunk = await sip.inbound(f"attr-{sip.tag}")
        async with Guest.invited(box, f"attr-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            who = next(iter((await eventually(lambda: guest.others)).values()))
            await eventually(lambda: who.attributes.get("sip.callStatus") == "active", why="sip.callStatus is active")
            found = dict(who.attributes)
            assert who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
            assert found["sip.phoneNumber"] == "+31687654321"
            assert found["sip.trunkPhoneNumber"] == number
            assert found["sip.trunkID"] == trunk
            assert found["sip.callIDFull"] == call.id
            assert found["sip.callID"].startswith("SCL_")
            assert found["desk"] == "left"


@pytest.mark.parametrize("password, answer", [("open sesame", 200), ("wrong", (401, 403, 407))])
async def test_a_trunk_password_is_checked(box, password, answer):
    async with LiveKitSip(box) as sip, Phone(user="alice", password=password) as phone:
        number, _ = await sip.inbound(f"auth-{sip.tag}", auth_username="alice", auth_password="open sesame")
        async with Guest.invited(box, f"auth-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            assert call.status in (answer if isinstance(answer, tuple) else (answer,))


async def test_a_caller_can_cancel_while_it_rings(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"cancel-{sip.tag}")
        async with Guest.invited(box, f"cancel-{sip.tag}") as guest:
            call = await phone.dial(number, box.sip)
            await eventually(lambda: guest.others, why="the caller shows while it rings")
            assert await call.cancel() == 200
            assert (await asyncio.wait_for(call.final, 10)).status == 487
            await eventually(lambda: not guest.others, why="the caller is gone")


async def test_deleting_the_room_hangs_up_the_phone(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"del-{sip.tag}")
        async with Guest.invited(box, f"del-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            await sip.delete_room(f"del-{sip.tag}")
            await asyncio.wait_for(call.ended.wait(), 10)


@contextlib.asynccontextmanager
async def spoken_with(box, phone):
    """Somebody in a room and a call of the phone's to there, once the phone hears them."""
    async with LiveKitSip(box) as sip:
        number, _ = await sip.inbound(f"talk-{sip.tag}")
        async with Guest.invited(box, f"talk-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            await eventually(hears(call.media, 700), why="audio flows")
            yield guest, call


async def test_digits_go_both_ways_in_order(box):
    async with Phone() as phone, spoken_with(box, phone) as (guest, call):
        await call.press("1590#*")
        await eventually(lambda: guest.digits == "1590#*", why=lambda: f"digits in the room: {guest.digits}")
        await guest.press("42#")
        await eventually(lambda: call.media.digits == "42#", why=lambda: f"digits at the phone: {call.media.digits}")


async def test_digits_told_by_info_reach_the_room_but_not_beside_those_by_rtp(box):
    async with Phone() as phone, spoken_with(box, phone) as (guest, call):
        assert [await call.tell("5"), await call.tell("#", "application/dtmf")] == [200, 200]
        await eventually(lambda: guest.digits == "5#", why=lambda: f"digits in the room: {guest.digits}")
        await call.press("7")
        await eventually(lambda: guest.digits == "5#7", why=lambda: f"digits in the room: {guest.digits}")
        assert await call.tell("7") == 200, "the same key once more, by a phone that tells both ways"
        await call.press("8")
        await eventually(lambda: guest.digits == "5#78", why=lambda: f"digits in the room: {guest.digits}")


async def test_digits_that_a_phone_without_events_sounds_reach_the_room(box):
    async with Phone(events=False) as phone, spoken_with(box, phone) as (guest, call):
        await call.media.play(keys("1590#*").tolist())
        await eventually(lambda: guest.digits == "1590#*", why=lambda: f"digits in the room: {guest.digits}")


async def test_tones_of_a_phone_with_events_are_sound_and_no_digits(box):
    async with Phone() as phone, spoken_with(box, phone) as (guest, call):
        await call.media.play(keys("159").tolist())
        await call.press("7")
        await eventually(lambda: guest.digits == "7", why=lambda: f"digits in the room: {guest.digits}")


async def test_an_outbound_call_carries_audio_both_ways(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        trunk = await sip.outbound(phone)
        async with Guest.invited(box, f"out-{sip.tag}") as guest:
            await guest.speak(700)
            await sip.dial(trunk, f"out-{sip.tag}")
            call = await phone.next_call()
            call.media.tone(440)
            await eventually(hears(call.media, 700), why="the phone hears the room's tone")
            await eventually(heard_by(guest, 440), why="the room hears the phone's tone")
            await eventually(lambda: guest.others["phone"].attributes.get("sip.callStatus") == "active", why="active")


async def test_a_busy_phone_is_told(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.incoming = 486
        with pytest.raises(api.TwirpError) as refusal:
            await sip.dial(await sip.outbound(phone), f"busy-{sip.tag}", wait_until_answered=True)
        assert refusal.value.metadata.get("sip_status_code") == "486"


async def test_a_phone_nobody_answers_is_cancelled(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.incoming = "ring"
        with pytest.raises(api.TwirpError):
            await sip.dial(await sip.outbound(phone), f"noans-{sip.tag}", ringing=2, wait_until_answered=True)
        await eventually(lambda: any(request.method == "CANCEL" for request in phone.requests), why="CANCEL comes")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_digest_challenge_is_answered(box, algorithm):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.challenge = {"realm": "carrier", "nonce": "4711", "algorithm": algorithm, "qop": "auth", "user": "box", "password": "pw"}
        trunk = await sip.outbound(phone, auth_username="box", auth_password="pw")
        async with Guest.invited(box, f"dig-{sip.tag}") as guest:
            await guest.speak(700)
            await sip.dial(trunk, f"dig-{sip.tag}", wait_until_answered=True)
            assert (await phone.next_call()).answered


async def test_a_transfer_is_referred_and_the_leg_ends(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"ref-{sip.tag}")
        async with Guest.invited(box, f"ref-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            who = next(iter(await eventually(lambda: guest.others)))
            await sip.transfer(f"ref-{sip.tag}", who, "tel:+31209998877")
            assert "+31209998877" in call.refers[0]
            await asyncio.wait_for(call.ended.wait(), 10)


async def test_a_refused_transfer_is_told_and_the_call_goes_on(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.refer = (202, [(0.05, "SIP/2.0 100 Trying"), (0.2, "SIP/2.0 603 Decline")])
        number, _ = await sip.inbound(f"refno-{sip.tag}")
        async with Guest.invited(box, f"refno-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            who = next(iter(await eventually(lambda: guest.others)))
            with pytest.raises(api.TwirpError):
                await sip.transfer(f"refno-{sip.tag}", who, "tel:+31209998877")
            before = call.media.packets
            await eventually(lambda: call.media.packets > before + 25, why="audio goes on")
            assert not call.ended.is_set()


async def test_hold_stops_the_audio_and_unhold_brings_it_back(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"hold-{sip.tag}")
        async with Guest.invited(box, f"hold-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            call.media.tone(440)
            await eventually(hears(call.media, 700), why="audio flows")
            status, answered = await call.reinvite("sendonly")
            assert status == 200 and answered in ("recvonly", "inactive")
            at_hold = call.media.packets
            # What was on its way may still come; a second of the phone's own packets is the clock.
            sent = call.media.sent
            await eventually(lambda: call.media.sent > sent + 50 or not call.media.sends)
            assert call.media.packets - at_hold < 25
            assert await call.reinvite("sendrecv") == (200, "sendrecv")
            resumed = call.media.packets
            await eventually(lambda: call.media.packets > resumed + 25, why="audio is back")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_options_is_answered(box, transport):
    async with Phone(transport=transport) as phone:
        assert await phone.options(box.sip) == 200


async def test_short_calls_leave_nobody_behind(box):
    async with LiveKitSip(box) as sip:
        number, _ = await sip.inbound(f"many-{sip.tag}")
        async with Guest.invited(box, f"many-{sip.tag}") as guest:
            await guest.speak(700)
            for _ in range(10):
                async with Phone() as phone:
                    call = await phone.call(number, box.sip)
                    assert call.status == 200 and await call.hangup() == 200

            async def alone():
                return len(await sip.guests(f"many-{sip.tag}")) == 1

            await eventually(alone, why="every caller has left")
