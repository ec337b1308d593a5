"""What do the phone and the room learn of each other beside the audio?"""

import asyncio
import json

import pytest
from boxkit import eventually
from livekit import api, rtc
from phone import Phone
from room import Guest
from trunks import LiveKitSip


async def caller_of(guest):
    return next(iter((await eventually(lambda: guest.others, why="the caller is there")).values()))


async def test_headers_go_both_ways_and_follow_the_attributes(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.says = [("X-Customer", "42"), ("X-Twilio-CallSid", "CA1"), ("Subject", "secret")]
        room = f"head-{sip.tag}"
        number, _ = await sip.inbound(
            room, headers={"X-Box": "yes"}, attributes_to_headers={"desk": "X-Desk"}, headers_to_attributes={"X-Customer": "customer"},
            include_headers=api.SIPHeaderOptions.SIP_X_HEADERS)
        async with Guest.invited(box, room) as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            assert (call.answer_message.get("x-box"), call.answer_message.get("x-desk")) == ("yes", "left")
            who = await caller_of(guest)
            shown = dict(who.attributes)
            assert (shown["customer"], shown["sip.h.x-customer"], shown["sip.twilio.callSid"]) == ("42", "42", "CA1")
            assert "sip.h.subject" not in shown
            await sip.set_attributes(room, who.identity, {"desk": "right"})
            await eventually(lambda: who.attributes.get("desk") == "right", why="the attribute is set")
            await sip.delete_room(room)
            await asyncio.wait_for(call.ended.wait(), 10)
            assert phone.bye().get("x-desk") == "right"


async def test_all_headers_of_an_answer_become_attributes(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.says = [("Subject", "hello"), ("X-Agent", "7")]
        trunk = await sip.outbound(phone, headers_to_attributes={"X-Agent": "agent"}, include_headers=api.SIPHeaderOptions.SIP_ALL_HEADERS)
        async with Guest.invited(box, f"answer-{sip.tag}") as guest:
            await guest.speak(700)
            await sip.dial(trunk, f"answer-{sip.tag}")
            await phone.next_call()
            who = await caller_of(guest)
            await eventually(lambda: who.attributes.get("agent") == "7", why="the header is an attribute")
            assert who.attributes["sip.h.subject"] == "hello"


async def test_a_hidden_number_is_nowhere_in_the_room(box):
    async with LiveKitSip(box) as sip, Phone(user="+31687654321") as phone:
        phone.says = [("P-Asserted-Identity", "<tel:+31687654321>"), ("X-Ok", "1")]
        room = f"hide-{sip.tag}"
        number, _ = await sip.inbound(room, ruled={"hide_phone_number": True}, include_headers=api.SIPHeaderOptions.SIP_ALL_HEADERS)
        async with Guest.invited(box, room) as guest:
            await guest.speak(700)
            await phone.call(number, box.sip)
            who = await caller_of(guest)
            assert who.name == "Phone 4321" and who.attributes["sip.h.x-ok"] == "1"
            headers = await guest.ask(who.identity, "lk.sip.GetRemoteHeaders")
            told = json.dumps([who.identity, who.name, dict(who.attributes), headers])
            assert "687654321" not in told, told


async def test_somebody_in_the_room_reads_the_callers_headers_and_ends_the_call(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        phone.says = [("X-Customer", "42"), ("X-Other", "43")]
        number, _ = await sip.inbound(f"rpc-{sip.tag}")
        async with Guest.invited(box, f"rpc-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            who = (await caller_of(guest)).identity
            assert await guest.ask(who, "lk.sip.GetRemoteHeaders", {"include": ["x-customer"]}) == {"headers": {"X-Customer": "42"}}
            all_but = (await guest.ask(who, "lk.sip.GetRemoteHeaders", {"exclude": ["X-Other"]}))["headers"]
            assert all_but["X-Customer"] == "42" and "X-Other" not in all_but and "Via" not in all_but
            with pytest.raises(rtc.RpcError) as refusal:
                await guest.ask(who, "lk.sip.Fly")
            assert refusal.value.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD
            assert await guest.ask(who, "lk.sip.EndCall", {"headers": {"X-Why": "done"}}) == {}
            await asyncio.wait_for(call.ended.wait(), 10)
            assert phone.bye().get("x-why") == "done"
            await eventually(lambda: guest.gone, why="the caller has left")
