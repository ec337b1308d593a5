"""Does a caller get into a room that has a PIN, and which room does a rule give?"""

import asyncio

import pytest
from boxkit import eventually
from livekit import api
from phone import Phone
from room import Guest
from tones import share
from trunks import LiveKitSip

YOUR_TURN, IT_IS_OVER = 1000, 400


def hears(call, hz, seconds=0.1):
    return lambda: share(call.media.heard(seconds), hz, 8000) > 0.95


async def told(call, hz):
    """The prompt was heard to its end, which is a tone."""
    await eventually(hears(call, hz), why=f"a prompt that ends with {hz} Hz")
    call.media.frames.clear()


@pytest.mark.parametrize("how", ["rtp", "info"])
async def test_the_right_pin_opens_the_room(box, how):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"pin-{sip.tag}", pin="2468")
        async with Guest.invited(box, f"pin-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            assert call.status == 200
            await told(call, YOUR_TURN)
            assert not guest.others, "in the room before the PIN"
            if how == "rtp":
                await call.press("2468#")
            else:
                assert [await call.tell(key) for key in "2468#"] == [200] * 5
            await eventually(hears(call, 700, 1), why="the room is heard")
            who = next(iter(guest.others.values()))
            await eventually(lambda: who.attributes.get("sip.callStatus") == "active", why="sip.callStatus is active")
            await call.press("5")
            await eventually(lambda: guest.digits == "5", why=lambda: f"the PIN stays out of the room: {guest.digits}")
            await sip.delete_room(f"pin-{sip.tag}")
            await asyncio.wait_for(call.ended.wait(), 10)


async def test_a_second_try_is_enough_and_nobody_needs_to_hear_the_prompt_to_its_end(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"pin2-{sip.tag}", pin="2468")
        async with Guest.invited(box, f"pin2-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            await eventually(lambda: call.media.packets > 10, why="the prompt begins")
            await call.press("1#")
            await told(call, YOUR_TURN)
            await call.press("2468#")
            await eventually(hears(call, 700, 1), why="the room is heard")


async def test_three_wrong_pins_end_the_call(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"pinno-{sip.tag}", pin="2468")
        async with Guest.invited(box, f"pinno-{sip.tag}") as guest:
            await guest.speak(700)
            call = await phone.call(number, box.sip)
            for wrong in ("1#", "24680#", "#"):
                await told(call, YOUR_TURN)
                await call.press(wrong)
            await told(call, IT_IS_OVER)
            await asyncio.wait_for(call.ended.wait(), 10)
            assert 'cause=403;text="Wrong PIN"' in phone.bye().get("reason")
            assert not guest.others and not guest.gone, "never in the room"


async def test_a_caller_who_types_nothing_is_told_and_let_go(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"pinlate-{sip.tag}", pin="2468")
        call = await phone.call(number, box.sip)
        await told(call, YOUR_TURN)
        await eventually(hears(call, IT_IS_OVER), 30, "the caller is told")
        await asyncio.wait_for(call.ended.wait(), 10)
        assert 'text="No PIN entered"' in phone.bye().get("reason")


async def test_a_caller_may_hang_up_while_the_pin_is_asked(box):
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"pinbye-{sip.tag}", pin="2468")
        call = await phone.call(number, box.sip)
        await eventually(lambda: call.media.packets > 10, why="the prompt begins")
        assert await call.hangup() == 200
        assert f"pinbye-{sip.tag}" not in await sip.rooms()


@pytest.mark.parametrize("kind", ["individual", "callee"])
async def test_a_rule_makes_the_name_of_the_room(box, kind):
    async with LiveKitSip(box) as sip, Phone(user="+31687654321") as phone:
        prefix = f"{kind}-{sip.tag}"
        rule = {
            "individual": api.SIPDispatchRule(dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix=prefix)),
            "callee": api.SIPDispatchRule(dispatch_rule_callee=api.SIPDispatchRuleCallee(room_prefix=prefix)),
        }[kind]
        number, _ = await sip.inbound(None, rule=rule)
        call = await phone.dial(number, box.sip)
        await asyncio.wait_for(call.ringing.wait(), 10)

        async def room():
            return next((name for name in await sip.rooms() if name.startswith(prefix)), None)

        name = await eventually(room, why="the room is made")
        if kind == "individual":
            assert name.startswith(f"{prefix}_+31687654321_"), "one room for each call"
        else:
            assert name == f"{prefix}_{number}", "one room for each number"
        assert await call.cancel() == 200
