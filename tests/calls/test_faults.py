"""What happens to calls and to the API when a part of the box is away?"""

import asyncio

from boxkit import eventually, until
from phone import Phone
from room import Guest
from test_wave import Desk
from tones import share
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
