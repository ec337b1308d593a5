"""Does a person in a browser get the call, and can they place one?  The browser is the official Python client."""

import asyncio
import contextlib

import pytest
from boxkit import Events, eventually
from phone import Phone
from room import Guest
from tones import typical_snr_db


class Desk:
    """A user with a `wave` extension and a number that rings it."""

    def __init__(self, box, **extension):
        self.user, self.api = box.user()
        self.extension = box.extension("wave", user_id=self.user["id"], **extension)
        ring = {"action_type": "ring_extension", "action_params": {"extension_id": self.extension["id"]}}
        self.number, self.ids = box.number(ring)
        self.events = Events(self.api)

    def ringing(self):
        return self.events.wait("leg.ringing", lambda leg: leg["extension_id"] == self.extension["id"])

    def answer(self, leg):
        keys = self.api.post(f"/v1/calls/{leg['call_id']}/legs/{leg['leg_id']}/answer")["livekit"]
        return Guest(keys["url"], keys["token"])


async def rung(box, phone, **extension):
    """A ringing desk; returns (desk, call, guest who has the ticket)."""
    desk = await asyncio.to_thread(Desk, box, **extension)
    call = await phone.dial(desk.number, box.sip)
    leg = await asyncio.to_thread(desk.ringing)
    return desk, call, await asyncio.to_thread(desk.answer, leg)


async def assert_good_sound(call, guest):
    """Three seconds of either tone, 30 dB above everything else, on both sides."""
    start, begun = len(guest.samples), call.media.packets
    await eventually(lambda: len(guest.samples) > start + 32000 and call.media.packets > begun + 200, 20, "audio both ways")
    at_phone = typical_snr_db(call.media.heard(3), 700, 8000)
    at_desk = typical_snr_db(guest.samples[-24000:], 440, 8000)
    assert at_phone >= 30 and at_desk >= 30, f"SNR at the phone {at_phone:.1f} dB, at the desk {at_desk:.1f} dB"


async def test_a_browser_answers_and_both_hear_each_other(box):
    async with Phone() as phone:
        desk, call, guest = await rung(box, phone)
        async with guest:
            await guest.speak(700)
            assert (await asyncio.wait_for(call.final, 15)).status == 200
            call.media.tone(440)
            await assert_good_sound(call, guest)
            await call.press("159*")
            await eventually(lambda: guest.digits == "159*", why=lambda: f"digits at the desk: {guest.digits}")
            await guest.press("42#")
            await eventually(lambda: call.media.digits == "42#", why=lambda: f"digits at the phone: {call.media.digits}")
            assert await call.hangup() == 200
            await asyncio.wait_for(guest.disconnected.wait(), 15)
        ended = await box.ended_call(desk.number)
        assert ended["end_reason"] == "caller_hangup"
        assert sorted(leg["kind"] for leg in ended["legs"]) == ["sip", "webrtc"]


async def test_a_browser_hangs_up_and_the_phone_is_told(box):
    async with Phone() as phone:
        desk, call, guest = await rung(box, phone)
        async with guest:
            await guest.speak(700)
            assert (await asyncio.wait_for(call.final, 15)).status == 200
        await asyncio.wait_for(call.ended.wait(), 15)
        assert (await box.ended_call(desk.number))["end_reason"] == "callee_hangup"


async def test_hanging_up_through_the_api_ends_the_phones_leg(box):
    async with Phone() as phone:
        desk, call, guest = await rung(box, phone)
        async with guest:
            await guest.speak(700)
            assert (await asyncio.wait_for(call.final, 15)).status == 200
            found = (await asyncio.to_thread(box.calls, desk.number))[0]
            await asyncio.to_thread(desk.api.post, f"/v1/calls/{found['id']}/hangup")
            await asyncio.wait_for(call.ended.wait(), 15)


async def test_a_rejected_call_is_busy(box):
    async with Phone() as phone:
        desk = await asyncio.to_thread(Desk, box, timeout_action="hangup")
        call = await phone.dial(desk.number, box.sip)
        leg = await asyncio.to_thread(desk.ringing)
        await asyncio.to_thread(desk.api.post, f"/v1/calls/{leg['call_id']}/legs/{leg['leg_id']}/reject")
        assert (await asyncio.wait_for(call.final, 15)).status == 486
        assert (await box.ended_call(desk.number))["end_reason"] == "busy"


async def test_a_call_nobody_answers_ends_with_480(box):
    async with Phone() as phone:
        desk = await asyncio.to_thread(Desk, box, ring_timeout_s=5, timeout_action="hangup")
        call = await phone.dial(desk.number, box.sip)
        assert (await asyncio.wait_for(call.final, 30)).status == 480
        assert (await box.ended_call(desk.number))["end_reason"] == "no_answer"


async def test_a_caller_who_gives_up_while_it_rings_has_cancelled(box):
    async with Phone() as phone:
        desk = await asyncio.to_thread(Desk, box)
        call = await phone.dial(desk.number, box.sip)
        await asyncio.to_thread(desk.ringing)
        await call.cancel()
        assert (await asyncio.wait_for(call.final, 10)).status == 487
        assert (await box.ended_call(desk.number))["end_reason"] == "cancelled"


async def test_do_not_disturb_is_busy(box):
    async with Phone() as phone:
        desk = await asyncio.to_thread(Desk, box, dnd=True, timeout_action="hangup")
        assert (await phone.call(desk.number, box.sip)).status == 486
        assert (await box.ended_call(desk.number))["end_reason"] == "dnd"


@contextlib.asynccontextmanager
async def dialled(box, phone):
    """A browser calls this phone, and both sound: (its call as `POST /v1/calls` made it, who is at the browser, the phone's call)."""
    made = await asyncio.to_thread(box.browser_calls, phone)
    async with Guest(made["livekit"]["url"], made["livekit"]["token"]) as guest:
        await guest.speak(700)
        call = await phone.next_call()
        call.media.tone(440)
        yield made["call"], guest, call


@pytest.mark.parametrize("who", ["phone", "desk"])
async def test_a_browser_calls_a_phone(own_tenant, who):
    box = own_tenant
    async with Phone() as phone:
        async with dialled(box, phone) as (made, guest, call):
            await assert_good_sound(call, guest)
            await call.press("7#")
            await eventually(lambda: guest.digits == "7#", why=lambda: f"digits at the desk: {guest.digits}")
            if who == "phone":
                assert await call.hangup() == 200
                await asyncio.wait_for(guest.disconnected.wait(), 15)
        await asyncio.wait_for(call.ended.wait(), 15)

        async def ended():
            now = await asyncio.to_thread(box.api.get, f"/v1/calls/{made['id']}")
            return now if now["state"] == "ended" else None

        record = await eventually(ended, why="the call ends")
        assert record["direction"] == "outbound"
        assert record["end_reason"] == ("callee_hangup" if who == "phone" else "caller_hangup")


async def test_without_a_synced_trunk_nobody_is_called(own_tenant):
    user, api = await asyncio.to_thread(own_tenant.user)
    extension = await asyncio.to_thread(own_tenant.extension, "wave", user_id=user["id"])
    refusal = await asyncio.to_thread(
        api.raw, "POST", "/v1/calls", json={"from_extension_id": extension["id"], "to": "+31612340000"})
    assert refusal.status_code == 422 and refusal.json()["code"] == "no_synced_outbound_trunk"
    assert "no synced outbound trunk" in refusal.text
