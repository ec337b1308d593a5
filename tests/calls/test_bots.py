"""Does a bot answer when a worker serves it, and is it told when none does?"""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from boxkit import eventually
from google.protobuf.duration_pb2 import Duration
from livekit import api
from phone import Phone
from tones import share
from trunks import LiveKitSip

WORKER = Path(__file__).resolve().parents[1] / "support" / "bot_worker.py"


def bot_number(box, agent):
    bot = box.api.post("/v1/bots", {"name": f"Bot {agent}", "agent_name": agent, "enabled": True})
    return box.number({"action_type": "ring_bot", "action_params": {"bot_id": bot["id"]}})[0]


@pytest.fixture
def worker(box, tmp_path):
    """A minimal livekit-agents worker that hums at 550 Hz; gives its agent name."""
    name, keys = f"hummer-{tmp_path.name}", box.facts["livekit"]
    log = open(tmp_path / "worker.log", "wb")
    process = subprocess.Popen(
        [sys.executable, WORKER, name, keys["url"], keys["api_key"], keys["api_secret"]],
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    yield name
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def test_a_bot_answers_and_is_heard(box, worker):
    number = await asyncio.to_thread(bot_number, box, worker)

    async def heard():
        """The worker registers when it is ready; until then a call fails as it should."""
        async with Phone() as phone:
            call = await phone.call(number, box.sip, 40)
            if call.status != 200:
                return False
            await eventually(lambda: len(call.media.frames) > 100 and share(call.media.heard(1), 550, 8000) > 0.9, 20, "the bot hums")
            return await call.hangup() == 200

    await eventually(heard, 90, "a call that the bot answers")

    async def answered():
        ended = await asyncio.to_thread(box.calls, number, state="ended")
        return [call for call in ended if call["answered_at"]]

    assert (await eventually(answered, 20, "the answered call in the history"))[0]["end_reason"] == "caller_hangup"


async def test_without_a_worker_the_call_fails_and_says_why(box):
    number = await asyncio.to_thread(bot_number, box, "nobody-serves-this")
    async with Phone() as phone:
        assert (await phone.call(number, box.sip, 40)).status == 503
    call = await box.ended_call(number)
    assert call["end_reason"] == "failed" and call["end_code"] == "no_bot_worker"


async def test_an_agent_that_a_dispatch_rule_names_comes_to_the_caller(box, worker):
    """The rule's room configuration travels in the caller's token."""
    config = api.RoomConfiguration(agents=[api.RoomAgentDispatch(agent_name=worker)])

    async def heard():
        """Until the worker has registered nobody comes."""
        async with LiveKitSip(box) as sip, Phone() as phone:
            trunk = {"ringing_timeout": Duration(seconds=10)}
            number, _ = await sip.inbound(f"agent-{sip.tag}", ruled={"room_config": config}, **trunk)
            call = await phone.call(number, box.sip, 20)
            if call.status != 200:
                return False
            await eventually(lambda: len(call.media.frames) > 100 and share(call.media.heard(1), 550, 8000) > 0.9, 20, "the agent hums")
            return await call.hangup() == 200

    await eventually(heard, 90, "a call that the agent answers")
