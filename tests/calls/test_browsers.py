"""Are phones in browsers phones like others?  They are SIP.js in Debian's chromium, and come by WebSocket."""

import asyncio

from boxkit import eventually
from browser import RATE, WebPhone
from phone import Phone
from test_phones import contacts, desk_phone, extension_of, number_of, registered
from tones import level_db, typical_snr_db

ENOUGH_DB = 25
SILENCE_DB = -70
# A browser stretches time wherever packets come late; between two such places a tone is clean.
WINDOW = 0.1


async def in_browser(box, web):
    """An extension for the page's phone, which is registered for it."""
    account = desk_phone()
    extension = await extension_of(box, account)
    await eventually(lambda: accepted(box, web, account), 30, lambda: web.said)
    return extension


async def accepted(box, web, account):
    try:
        await web.register(box, account.user, account.password)
    except Exception as error:  # the box may not know the extension yet
        web.said.append(str(error))
        return False
    return True


def snr(samples, hz, rate):
    return typical_snr_db(samples, hz, rate, WINDOW)


async def is_silent(web):
    return level_db(await web.heard(0.5)) < SILENCE_DB


async def assert_both_hear(web, call):
    """Three seconds of either tone."""
    await web.ask("say", 700)
    call.media.tone(440)

    heard = []

    async def clear():
        heard[:] = snr(await web.heard(3), 440, RATE), snr(call.media.heard(3), 700, 8000)
        return min(heard) >= ENOUGH_DB

    await eventually(clear, 40, lambda: f"SNR in the browser and at the phone: {heard} dB; the page said {web.said}", 2)


async def test_a_caller_rings_a_browser_and_both_hear_each_other(box):
    async with WebPhone() as web, Phone() as caller:
        extension = await in_browser(box, web)
        assert [contact["transport"] for contact in await contacts(box, extension)] == ["wss"]
        number = await number_of(box, extension)
        call = await caller.dial(number, box.sip)
        await eventually(lambda: web.ask("rings"), 20, lambda: web.said)
        assert await web.ask("rings") == caller.user
        await web.ask("answer")
        assert (await asyncio.wait_for(call.final, 20)).status == 200
        await assert_both_hear(web, call)
        assert await web.ask("codec") == "audio/opus", "what it says gets into the room as it is"
        await web.ask("hangUp")
        await asyncio.wait_for(call.ended.wait(), 15)
    assert (await box.ended_call(number))["end_reason"] == "callee_hangup"


async def test_a_browser_calls_a_desk_phone_presses_keys_and_makes_it_wait(box):
    async with WebPhone() as web, desk_phone() as desk:
        from_web, at_desk = await in_browser(box, web), await registered(box, desk)
        await web.ask("call", at_desk["number"])
        there = await desk.next_call()
        assert there.caller == from_web["number"]
        await assert_both_hear(web, there)
        await web.ask("press", "5")
        await eventually(lambda: there.media.digits == "5", 20, lambda: f"{there.media.digits}; the page said {web.said[-20:]}")
        await web.ask("hold", True)
        await eventually(lambda: is_silent(web), 20, "nothing is said to a browser that makes others wait")
        await web.ask("hold", False)
        await assert_both_hear(web, there)
        await there.hangup()
        await eventually(lambda: web.ask("isOver"), 15, lambda: web.said)


async def test_a_browser_and_a_desk_phone_of_one_extension_ring_together(box):
    async with WebPhone() as web, desk_phone() as desk, Phone() as caller:
        extension = await registered(box, desk)
        await web.register(box, desk.user, desk.password)
        assert sorted(contact["transport"] for contact in await contacts(box, extension)) == ["udp", "wss"]
        desk.incoming = "ring"
        call = await caller.dial(await number_of(box, extension), box.sip)
        at_desk = await desk.next_call()
        await eventually(lambda: web.ask("rings"), 20, lambda: web.said)
        await web.ask("answer")
        await asyncio.wait_for(at_desk.ended.wait(), 15)
        assert (await asyncio.wait_for(call.final, 20)).status == 200
        await assert_both_hear(web, call)


async def test_a_browser_that_was_closed_is_not_rung(box):
    async with WebPhone() as web:
        extension = await in_browser(box, web)
        await web.page.close()

        async def gone():
            return await contacts(box, extension) == []

        await eventually(gone, 15, "the box knows that its connection is gone")
