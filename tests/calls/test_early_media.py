"""Is what a carrier says before the answer heard in the room, and is the call not taken for answered?"""

import asyncio

from boxkit import eventually
from media import Media
from phone import Phone
from room import Guest
from sipmsg import fresh
from test_contract import heard_by, hears
from trunks import LiveKitSip


def status_of(guest):
    return [who.attributes.get("sip.callStatus") for who in guest.others.values()]


async def rung(sip, phone, room):
    """The call as it arrives at a carrier that does not answer yet."""
    phone.incoming = "ring"
    await sip.dial(await sip.outbound(phone), room)
    return await phone.next_call()


async def test_an_announcement_is_heard_in_the_room_before_the_answer_and_acknowledged_by_prack(box):
    async with LiveKitSip(box) as sip, Phone() as carrier:
        room = f"early-{sip.tag}"
        async with Guest.invited(box, room) as guest:
            await guest.speak(700)
            call = await rung(sip, carrier, room)
            assert "100rel" in call.invite.get("supported")
            await call.early(rseq=71)
            call.media.tone(440)
            await eventually(heard_by(guest, 440), why="the room hears the announcement")
            assert status_of(guest) == ["ringing"], "not answered"
            prack = next(request for request in carrier.requests if request.method == "PRACK")
            assert prack.get("rack") == f"71 {call.invite.get('cseq')}"
            await call.answer(described=False)
            await eventually(lambda: status_of(guest) == ["active"], why="answered")
            call.media.tone(600)
            await eventually(heard_by(guest, 600), why="the room hears who answered")
            await eventually(hears(call.media, 700), why="and is heard")
            assert await call.hangup() == 200


async def test_of_two_early_branches_the_later_is_heard_and_then_the_one_that_answers(box):
    async with LiveKitSip(box) as sip, Phone() as carrier:
        room = f"fork-{sip.tag}"
        async with Guest.invited(box, room) as guest:
            call = await rung(sip, carrier, room)
            await call.early()
            call.media.tone(440)
            await eventually(heard_by(guest, 440), why="the first branch is heard")
            first, second = call.media, await Media(carrier.host, carrier.laws[0]).open()
            try:
                call.media = second
                await call.early(tag=fresh("p"))
                second.tone(700)
                await eventually(heard_by(guest, 700), why="the second branch is heard instead")
            finally:
                call.media = first
                second.close()
            await call.answer()
            await eventually(heard_by(guest, 440), why="the branch that answered is heard")
            assert status_of(guest) == ["active"]


async def test_a_call_that_is_refused_after_an_announcement_was_never_answered(own_tenant):
    box = own_tenant
    async with Phone() as carrier:
        carrier.incoming = "ring"
        made = await asyncio.to_thread(box.browser_calls, carrier)
        async with Guest(made["livekit"]["url"], made["livekit"]["token"]) as guest:
            await guest.speak(700)
            call = await carrier.next_call()
            await call.early()
            call.media.tone(440)
            await eventually(heard_by(guest, 440), why="the browser hears the announcement")
            now = await asyncio.to_thread(box.api.get, f"/v1/calls/{made['call']['id']}")
            assert (now["state"], now["answered_at"]) == ("ringing", None)
            await call.reject(486)
    record = await box.ended_call("+31612340000")
    assert (record["end_reason"], record["answered_at"]) == ("busy", None)
