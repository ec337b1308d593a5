"""What can LiveKit's API ask of an outbound call, and of a transfer?"""

import asyncio

import pytest
from boxkit import eventually
from google.protobuf.duration_pb2 import Duration
from livekit import api, rtc
from phone import Phone
from room import Guest
from tones import share
from trunks import LiveKitSip

RING_TONE = 425


async def test_a_string_of_digits_is_pressed_before_the_call_is_active(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        trunk = await sip.outbound(phone)
        async with Guest.invited(box, f"dtmf-{sip.tag}") as guest:
            await guest.speak(700)
            seen = []
            guest.room.on("participant_attributes_changed", lambda changed, _: seen.append(changed.get("sip.callStatus")))
            await sip.dial(trunk, f"dtmf-{sip.tag}", dtmf="w12w#")
            call = await phone.next_call()
            await eventually(lambda: call.media.digits == "12#", why=lambda: f"digits at the phone: {call.media.digits}")
            await eventually(lambda: "active" in seen, why=lambda: f"statuses: {seen}")
            assert [status for status in seen if status][-2:] == ["automation", "active"]


async def test_the_room_hears_that_the_phone_rings_until_it_answers(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.incoming = "ring"
        trunk = await sip.outbound(phone)
        async with Guest.invited(box, f"tone-{sip.tag}") as guest:
            await sip.dial(trunk, f"tone-{sip.tag}", play_dialtone=True)
            call = await phone.next_call()
            await eventually(lambda: share(guest.samples[-4000:], RING_TONE, 8000) > 0.95 and len(guest.samples) > 4000, why="ringing is heard")
            await call.answer()
            call.media.tone(700)
            await eventually(lambda: share(guest.samples[-4000:], 700, 8000) > 0.95, why="the phone is heard")


@pytest.mark.parametrize("asked, shown", [({}, '"+31201110000" <'), ({"display_name": "Front desk"}, '"Front desk" <'), ({"display_name": ""}, "<")])
async def test_the_phone_is_shown_the_name_that_was_asked_for(box, asked, shown):
    async with LiveKitSip(box) as sip, Phone() as phone:
        await sip.dial(await sip.outbound(phone), f"name-{sip.tag}", **asked)
        call = await phone.next_call()
        assert call.invite.get("from").startswith(f"{shown}sip:+31201110000@")


async def test_addresses_that_are_spelled_out_go_out_as_they_are(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        await sip.dial(
            await sip.outbound(phone), f"spelled-{sip.tag}",
            sip_request_uri=api.SIPRequestDest(raw="<sip:900@pbx.example;user=phone>"),
            sip_from_header=api.SIPNamedDest(display_name="Front desk", raw="sip:desk@box.example"),
            sip_to_header=api.SIPNamedDest(values=api.SIPUri(user="sales", host="pbx.example")))
        invite = (await phone.next_call()).invite
        assert invite.uri == "sip:900@pbx.example;user=phone", "and it still goes to the trunk's address"
        assert invite.get("from").startswith('"Front desk" <sip:desk@box.example>;tag=')
        assert invite.get("to") == "<sip:sales@pbx.example>"


@pytest.mark.parametrize("answer, reason", [(603, "USER_REJECTED"), (480, "USER_UNAVAILABLE")])
async def test_the_room_is_told_why_a_phone_did_not_come(box, answer, reason):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.incoming = "ring"
        async with Guest.invited(box, f"why-{sip.tag}") as guest:
            why = []
            guest.room.on("participant_disconnected", lambda who: why.append(who.disconnect_reason))
            await sip.dial(await sip.outbound(phone), f"why-{sip.tag}")
            call = await phone.next_call()
            await eventually(lambda: guest.others, why="the participant is there while the phone rings")
            await call.reject(answer)
            await eventually(lambda: why, why="the phone has left")
            assert why == [rtc.DisconnectReason.Value(reason)]


async def test_a_call_ends_at_its_longest_duration(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"max-{sip.tag}", max_call_duration=Duration(seconds=2))
        async with Guest.invited(box, f"max-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            assert call.status == 200
            await asyncio.wait_for(call.ended.wait(), 15)


async def test_nobody_in_the_room_means_no_answer_after_the_ringing_timeout(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"ringt-{sip.tag}", ringing_timeout=Duration(seconds=2))
        assert (await phone.call(number, box.sip)).status == 480


async def test_the_phone_hears_ringing_instead_of_the_room_while_it_is_transferred(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.refer = (202, [(0.05, "SIP/2.0 180 Ringing"), (3, "SIP/2.0 486 Busy Here")])
        room = f"reftone-{sip.tag}"
        number, _ = await sip.inbound(room)
        async with Guest.invited(box, room) as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            who = next(iter(await eventually(lambda: guest.others)))
            first = asyncio.ensure_future(sip.transfer(room, who, "tel:+31209998877", play_dialtone=True))
            await eventually(lambda: share(call.media.heard(0.5), RING_TONE, 8000) > 0.95, why="ringing is heard")
            with pytest.raises(api.TwirpError) as other:
                await sip.transfer(room, who, "tel:+31201111111")
            assert other.value.code == "invalid_argument"
            second = asyncio.ensure_future(sip.transfer(room, who, "tel:+31209998877"))
            refused = await asyncio.gather(first, second, return_exceptions=True)
            assert [error.metadata.get("sip_status_code") for error in refused] == ["486", "486"]
            assert len(call.refers) == 1
            await eventually(lambda: share(call.media.heard(0.5), 700, 8000) > 0.95, why="the room is back")
