"""Is a desk phone that moves to another address heard, rung and hung up there, and no more where it was?"""

import asyncio
import uuid

from boxkit import eventually
from phone import Phone
from test_phones import assert_both_hear, contacts, desk_phone, number_of, received, registered

ELSEWHERE = "127.0.0.2"


async def test_a_phone_that_tells_its_new_address_in_a_call_is_heard_and_hung_up_there(box):
    async with desk_phone() as desk, Phone() as caller:
        number, _, call, at_desk = await received(box, desk, caller)
        await assert_both_hear(call, at_desk)
        await desk.move(ELSEWHERE)
        assert await at_desk.reinvite("sendrecv") == (200, "sendrecv")
        await assert_both_hear(call, at_desk)
        assert await call.hangup() == 200
        await asyncio.wait_for(at_desk.ended.wait(), 15)
        assert desk.bye().uri == f"sip:{desk.user}@{ELSEWHERE}:{desk.port}"
    assert (await box.ended_call(number))["end_reason"] == "caller_hangup"


async def test_a_phone_may_hold_and_resume_in_one_breath(box):
    async with desk_phone() as desk, Phone() as caller:
        _, _, call, at_desk = await received(box, desk, caller)
        for _ in range(5):
            assert await call.reinvite("sendonly") == (200, "recvonly")
            assert await call.reinvite("sendrecv") == (200, "sendrecv")
        await assert_both_hear(call, at_desk)


async def test_a_caller_that_tells_its_new_address_in_a_call_is_heard_there_and_may_hang_up(box):
    async with desk_phone() as desk, Phone() as caller:
        _, _, call, at_desk = await received(box, desk, caller)
        await caller.move(ELSEWHERE)
        assert await call.reinvite("sendrecv") == (200, "sendrecv")
        await assert_both_hear(call, at_desk)
        assert await call.hangup() == 200
        await asyncio.wait_for(at_desk.ended.wait(), 15)


async def test_audio_from_an_address_that_nobody_told_is_not_heard(box):
    async with desk_phone() as desk, Phone() as caller:
        _, _, call, at_desk = await received(box, desk, caller)
        at_desk.media.tone(700)
        await eventually(lambda: any(call.media.heard(0.2)), why="the caller hears the desk phone")
        peer = at_desk.media.peer
        await at_desk.media.move(ELSEWHERE)
        sent = at_desk.media.sent
        await eventually(lambda: at_desk.media.sent > sent + 250 and not any(call.media.heard(1)), why="five seconds on, past any latch")
        await at_desk.media.move(desk.host)
        at_desk.media.start(peer)
        await eventually(lambda: any(call.media.heard(0.2)), why="it is heard from its own address again, at whatever port")


async def test_a_phone_that_says_which_one_it_is_has_one_contact_and_is_rung_where_it_is_now(box):
    me = f';+sip.instance="<urn:uuid:{uuid.uuid4()}>"'
    async with desk_phone() as desk, Phone() as caller:
        extension = await registered(box, desk)
        assert (await desk.register(box.sip, expires=0)).status == 200
        assert (await desk.register(box.sip, about=me)).status == 200
        old = f"{desk.host}:{desk.port}"
        await desk.move(ELSEWHERE)
        assert (await desk.register(box.sip, about=me)).status == 200
        [contact] = await contacts(box, extension)
        assert contact["source"] == f"{ELSEWHERE}:{desk.port}" and old not in contact["uri"]
        call = await caller.call(await number_of(box, extension), box.sip)
        assert call.status == 200
        await assert_both_hear(call, await desk.next_call())


async def test_a_phone_that_does_not_say_which_one_it_is_is_rung_at_both_places_and_answers_at_the_new_one(box):
    async with desk_phone() as desk, Phone() as caller:
        extension = await registered(box, desk)
        await desk.move(ELSEWHERE)
        assert (await desk.register(box.sip)).status == 200
        assert len(await contacts(box, extension)) == 2, "the old one goes when its time is over"
        call = await caller.call(await number_of(box, extension), box.sip)
        assert call.status == 200
        await assert_both_hear(call, await desk.next_call())
