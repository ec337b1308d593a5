"""What happens to calls and to the API when a part of the box is away?"""

import asyncio
import contextlib

from boxkit import eventually, until
from livekit import api
from phone import Phone
from room import Guest
from test_phones import assert_both_hear, desk_phone, received
from test_wave import Desk
from tones import runs, share
from trunks import LiveKitSip


async def test_a_call_goes_on_while_the_control_plane_is_killed(own_box):
    box = await asyncio.to_thread(own_box)
    async with Phone() as phone:
        desk = await asyncio.to_thread(Desk, box)
        call = await phone.dial(desk.number, box.sip)
        leg = await asyncio.to_thread(desk.ringing)
        guest = await asyncio.to_thread(desk.answer, leg)
        async with guest:
            await guest.speak(700)
            assert (await asyncio.wait_for(call.final, 15)).status == 200
            await asyncio.to_thread(box.kill, "control-api")
            heard = call.media.packets
            await eventually(lambda: call.media.packets > heard + 100, why="audio goes on")
            assert share(call.media.heard(1), 700, 8000) > 0.9

            def listed():
                return box.api.raw("GET", "/v1/ready").status_code == 200 and box.calls(desk.number, state="active")

            await eventually(lambda: asyncio.to_thread(quiet(listed)), 60, "the call is listed after the restart")
            assert await call.hangup() == 200
        record = await box.ended_call(desk.number, 30)
        assert record["end_reason"] == "caller_hangup" and record["answered_at"] and record["ended_at"]
        assert record["legs"][0]["stats"]["packets"] > 0


@contextlib.asynccontextmanager
async def phone_to_phone(box):
    """A caller and a desk phone that hear each other through a room; yields (number, caller's call, desk's call)."""
    async with desk_phone() as desk, Phone() as caller:
        number, _, call, at_desk = await received(box, desk, caller)
        await assert_both_hear(call, at_desk)
        yield number, call, at_desk


def beeps(call, seconds):
    return [beep for beep in runs(call.media.heard(seconds), 8000, [425]) if beep.length < 0.4]


async def test_a_call_outlives_livekit_and_its_phones_hear_beeps_meanwhile(own_box):
    box = await asyncio.to_thread(own_box)
    async with phone_to_phone(box) as (number, call, at_desk):
        await asyncio.to_thread(box.crash, "livekit-server")
        for one in (call, at_desk):
            await eventually(lambda: beeps(one, 2), 10, "a beep")
        assert await call.reinvite("sendrecv") == (200, "sendrecv"), "the phone is served as ever"
        await asyncio.to_thread(box.release, "livekit-server")
        heard = [lambda: share(call.media.heard(0.5), 700, 8000) > 0.9, lambda: share(at_desk.media.heard(0.5), 440, 8000) > 0.9]
        for it in heard:
            await eventually(it, 20, "audio is back")
        await assert_both_hear(call, at_desk)
        [listed] = await asyncio.to_thread(box.calls, number)
        assert listed["state"] == "active"
        assert await call.hangup() == 200
        await asyncio.wait_for(at_desk.ended.wait(), 15)
        record = await box.ended_call(number)
        assert record["end_reason"] == "caller_hangup" and len(record["legs"]) == 2
        await eventually(lambda: no_room(box), why="no room is left")


async def no_room(box):
    """True when LiveKit has no room."""
    keys = box.facts["livekit"]
    async with api.LiveKitAPI(keys["url"].replace("ws", "http", 1), keys["api_key"], keys["api_secret"]) as livekit:
        return not (await livekit.room.list_rooms(api.ListRoomsRequest())).rooms


async def test_a_call_whose_room_stays_lost_ends_with_a_reason_and_leaves_nothing(own_box):
    box = await asyncio.to_thread(own_box, "--rejoin", "3")
    async with phone_to_phone(box) as (number, call, at_desk):
        await asyncio.to_thread(box.crash, "livekit-server")
        for one in (call, at_desk):
            await asyncio.wait_for(one.ended.wait(), 30)
            [bye] = [request for request in one.phone.requests if request.method == "BYE"]
            assert bye.get("reason").startswith("Q.850;cause=41")
        record = await box.ended_call(number)
        assert record["end_reason"] == "failed" and all(leg["state"] == "ended" for leg in record["legs"])
        await becomes_whole(box, "livekit-server")
        await eventually(lambda: no_room(box), 30, "no room is left")


async def test_redis_can_be_killed_in_a_call_and_the_next_call_works(own_box):
    box = await asyncio.to_thread(own_box)
    async with phone_to_phone(box) as (number, call, at_desk):
        before = call.media.lost + at_desk.media.lost
        await asyncio.to_thread(box.kill, "redis")
        await assert_both_hear(call, at_desk)
        assert call.media.lost + at_desk.media.lost - before == 0 and not beeps(call, None)
        await eventually(lambda: served(box, number), 60, "a new call comes through")
        await assert_both_hear(call, at_desk)
        assert await call.hangup() == 200
        await asyncio.wait_for(at_desk.ended.wait(), 15)
    record = [one for one in await asyncio.to_thread(box.calls, number, state="ended") if one["answered_at"]][-1]
    assert record["end_reason"] == "caller_hangup"


async def served(box, number):
    async with Phone() as another:
        call = await another.call(number, box.sip)
        return call.status == 200


def quiet(what):
    """False while nobody listens."""

    def ask():
        try:
            return what()
        except (OSError, AssertionError):
            return False

    return ask


def refused_as_not_initialized(box):
    answer = box.api.raw("POST", "/v1/calls", json={"from_extension_id": "ext_01arz3ndektsv4rrffq69g5fav", "to": "+31612340000"})
    return answer.status_code == 503 and answer.json()["code"] == "scaidial_not_initialized" and "retry-after" in answer.headers


async def becomes_whole(box, part):
    await asyncio.to_thread(box.release, part)
    ready = quiet(lambda: box.api.raw("GET", "/v1/ready").status_code == 200)
    await eventually(lambda: asyncio.to_thread(ready), 90, "the box is ready")
    number, _ = await asyncio.to_thread(box.number, {"action_type": "hangup"})
    async with Phone() as phone:
        assert (await phone.call(number, box.sip)).status == 603


async def test_a_box_without_redis_says_so_and_heals(own_box):
    box = await asyncio.to_thread(own_box, "--without", "redis")
    assert await asyncio.to_thread(refused_as_not_initialized, box)
    assert (await asyncio.to_thread(box.api.get, "/v1/trunks"))["items"] == [], "reads keep working"
    await eventually(lambda: "scaidial_start_failed" in box.log("control-api"), 30, "the log says why")
    await becomes_whole(box, "redis")


async def test_a_box_without_livekit_says_so_and_heals(own_box):
    box = await asyncio.to_thread(own_box, "--without", "livekit-server")
    assert await asyncio.to_thread(refused_as_not_initialized, box)
    await eventually(lambda: "scaidial_start_failed" in box.log("control-api"), 30, "the log says why")
    await becomes_whole(box, "livekit-server")


async def test_the_gateway_serves_livekits_own_trunks_without_the_control_plane(own_box):
    box = await asyncio.to_thread(own_box)
    await asyncio.to_thread(box.hold, "control-api")
    async with LiveKitSip(box) as sip, Phone() as phone:
        number, _ = await sip.inbound(f"alone-{sip.tag}")
        async with Guest.invited(box, f"alone-{sip.tag}") as guest:
            await guest.speak(700)
            assert (await phone.call(number, box.sip)).status == 200


def test_a_box_keeps_its_state_in_its_folder(own_box, tmp_path):
    from boxkit import Box

    with Box(data=tmp_path) as first:
        trunk, key = first.trunk(), first.facts["api_key"]
    with Box(data=tmp_path) as second:
        assert second.facts["api_key"] == key
        assert until(lambda: [t for t in second.api.get("/v1/trunks")["items"] if t["id"] == trunk["id"]])
