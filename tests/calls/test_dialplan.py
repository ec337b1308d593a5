"""Does the dialplan decide what a caller gets?  Callers are sipp, baresip and our own phone."""

import asyncio
import subprocess
from pathlib import Path

import numpy as np
from baresip import Baresip
from boxkit import eventually, free_port
from phone import Phone
from tones import level_db, sine

SCENARIOS = Path(__file__).resolve().parents[1] / "support" / "sipp"


async def ended(process, limit=60):
    """The exit status of a caller's program; it is ended by its pid when it does not end."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(process.wait), limit)
    except asyncio.TimeoutError:
        process.kill()
        await asyncio.to_thread(process.wait)
        raise


async def test_a_sipp_caller_rings_a_number_and_is_answered(box, tmp_path):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"})
    host, port = box.sip
    process = subprocess.Popen(
        ["sipp", f"{host}:{port}", "-sf", SCENARIOS / "caller.xml", "-s", number, "-i", "127.0.0.1", "-p", str(free_port()),
         "-m", "1", "-nostdin", "-timeout", "60s", "-trace_err", "-error_file", tmp_path / "errors.txt"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    status = await ended(process)
    assert status == 0, (tmp_path / "errors.txt").read_text() if (tmp_path / "errors.txt").exists() else status
    call = await box.ended_call(number)
    assert call["answered_at"] and call["legs"][0]["kind"] == "sip"


async def test_a_baresip_caller_rings_a_number_and_is_answered(box, tmp_path):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"})
    host, port = box.sip
    with Baresip(tmp_path, sine(440, 60), f"sip:{number}@{host}:{port}") as phone:
        await eventually(lambda: asyncio.to_thread(box.calls, number, state="active"), 30, phone.said)
    call = await box.ended_call(number, 40)
    assert call["caller"] == "+31612345678"


async def test_no_rule_that_matches_is_404_with_a_stored_trace(box):
    never = {"match_type": "caller_prefix", "match_params": {"prefix": "+999"}, "action_type": "voicemail"}
    number, ids = await asyncio.to_thread(box.number, never)
    async with Phone() as phone:
        assert (await phone.call(number, box.sip)).status == 404
    call = await box.ended_call(number)
    assert call["end_reason"] == "no_rule_matched" and call["sip_code"] == 404
    assert call["dialplan_id"] == ids["dialplan"] and call["matched_rule_id"] is None
    assert "+999" in str(call["trace"]) and "skipped" in str(call["trace"])
    await eventually(lambda: "scaidial_dialplan_no_match" in box.log("control-api"), why="the log says so")
    lines = [line for line in box.log("control-api").splitlines() if "scaidial_dialplan_no_match" in line]
    assert any(call["correlation_id"] in line for line in lines), lines


async def test_a_hangup_rule_rejects_with_603(box):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "hangup"})
    async with Phone() as phone:
        assert (await phone.call(number, box.sip)).status == 603
    call = await box.ended_call(number)
    assert call["end_reason"] == "blocked" and call["sip_code"] == 603


async def test_the_first_rule_that_matches_wins(box):
    number, _ = await asyncio.to_thread(
        box.number,
        {"match_type": "caller_prefix", "match_params": {"prefix": "+32"}, "action_type": "voicemail"},
        {"match_type": "caller_prefix", "match_params": {"prefix": "+316"}, "action_type": "hangup"},
        {"action_type": "voicemail"})
    async with Phone(user="+31699999999") as phone:
        assert (await phone.call(number, box.sip)).status == 603


async def test_a_message_is_spoken_and_the_call_ends(box):
    play = {"action_type": "play_message", "action_params": {"text": "We are closed today.", "voice_id": None}}
    number, _ = await asyncio.to_thread(box.number, play)
    async with Phone() as phone:
        call = await phone.call(number, box.sip)
        assert call.status == 200
        await asyncio.wait_for(call.ended.wait(), 30)
        assert level_db(np.array(call.media.heard())) > -45, "something was said"
        assert len(call.media.heard()) > 4000
    assert (await box.ended_call(number))["end_reason"] == "message_played"


async def test_a_number_that_no_trunk_has_is_not_answered(box):
    async with Phone() as phone:
        call = await phone.dial("+31209999999", box.sip)
        try:
            answer = await asyncio.wait_for(call.final, 5)
            assert answer.status >= 400
        except asyncio.TimeoutError:
            pass  # silence is an answer too
    await eventually(lambda: "scaidial_inbound_dispatch_decision" in box.log("control-api"), why="the log says why")
