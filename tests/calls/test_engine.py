"""What does a box do whose calls are carried by livekit-sip?  Our gateway, with livekit-sip's configuration, plays it."""

import asyncio
import json
import os
import signal

import pytest
from boxkit import ask_unix, eventually, free_port, until
from livekit_sip import LiveKitSipBox, runs, stand_in
from phone import Phone
from test_contract import heard_by, talk
from test_voicemail import TO_VOICEMAIL, leave_message, stored_message
from test_wave import dialled


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="module")
def engine_box(folder):
    with LiveKitSipBox(stand_in(folder)) as running:
        yield running


async def test_a_call_by_livekits_own_rule_carries_audio_both_ways(engine_box):
    await talk(engine_box)


async def test_a_dialplan_decides_and_its_call_is_on_record(engine_box):
    number, _ = await asyncio.to_thread(engine_box.number, TO_VOICEMAIL)
    await leave_message(engine_box, number)
    call = await engine_box.ended_call(number)
    assert call["end_reason"] == "voicemail" and call["answered_at"] is not None
    assert await stored_message(engine_box, call["id"])

    def over():
        legs = engine_box.api.get(f"/v1/calls/{call['id']}")["legs"]
        return legs if all(leg["state"] == "ended" for leg in legs) else None

    legs = await eventually(lambda: asyncio.to_thread(over), why="all legs have ended")
    assert all(leg["codec"] is None for leg in legs), "what livekit-sip does not tell is unknown"


async def test_whom_a_dialplan_refuses_is_let_go_and_the_record_says_why(engine_box):
    number, _ = await asyncio.to_thread(engine_box.number, {"action_type": "hangup"})
    async with Phone() as phone:
        assert (await phone.call(number, engine_box.sip)).status >= 400
    assert (await engine_box.ended_call(number))["end_reason"] == "blocked"


async def test_a_browser_calls_a_phone(engine_box):
    box = await asyncio.to_thread(engine_box.tenant)
    async with Phone() as phone:
        async with dialled(box, phone) as (made, guest, call):
            await eventually(heard_by(guest, 440), why="the browser hears the phone")
            path = f"/v1/calls/{made['id']}"
            await eventually(lambda: states(box, path, "active"), why="the call is active on record")
            assert await call.hangup() == 200
            await eventually(lambda: states(box, path, "ended"), why="the call is over on record")
    record = await asyncio.to_thread(box.api.get, path)
    assert record["end_reason"] == "callee_hangup" and record["answered_at"]


async def states(box, path, wanted):
    return (await asyncio.to_thread(box.api.get, path))["state"] == wanted


async def test_an_engine_that_is_killed_comes_back_and_the_log_says_so(engine_box):
    await asyncio.to_thread(engine_box.kill_engine)
    await eventually(lambda: "scaidial_livekit_sip_exited" in engine_box.log("sip-gateway"), why="its end is in the log")
    assert "signal: 9 (SIGKILL)" in engine_box.log("sip-gateway")
    await eventually(lambda: engine_box.log("sip-gateway").count("scaidial_livekit_sip_ready") >= 2, why="it is ready again")
    await talk(engine_box)


async def test_an_engine_that_does_not_start_is_named_until_it_does(engine_box, folder):
    (folder / "broken").touch()
    os.kill(engine_box.engine_pid(), signal.SIGKILL)
    wanted = "livekit-sip does not run: exit status: 3; it is started again"
    await eventually(lambda: engine_box.ready()["cause"] == wanted, 20, lambda: engine_box.ready())
    (folder / "broken").unlink()
    await eventually(lambda: engine_box.ready()["ready"], 30, lambda: engine_box.ready())


def test_an_engine_that_hangs_is_named_and_killed_in_the_end(engine_box):
    hung = engine_box.engine_pid()
    os.kill(hung, signal.SIGSTOP)
    trouble = "livekit-sip takes no calls: its health port does not answer"
    until(lambda: (engine_box.ready()["cause"] or "").startswith(trouble), 20, "its silence is told")
    until(lambda: not runs(hung), 60, "it is killed")
    until(lambda: engine_box.ready()["ready"], 30, "another one serves")
    assert "killed: its health port was silent for 30 s" in engine_box.log("sip-gateway")


def test_a_new_public_address_reaches_the_engine(engine_box):
    def tell(egress):
        before = engine_box.engine_pid()
        ask_unix(engine_box.data / "run" / "gateway.sock", "PUT", "/v1/addresses", {"egress": egress, "networks": [], "online": True})
        until(lambda: engine_box.engine_pid() not in (None, before), 30, "livekit-sip is started anew")
        return json.loads((engine_box.data / "run" / "livekit-sip.yaml").read_text()).get("nat_1_to_1_ip")

    assert tell("203.0.113.9") == "203.0.113.9"
    assert tell(None) == engine_box.sip[0]
    until(lambda: engine_box.ready()["ready"], 30, "it serves")


def test_what_the_engine_says_is_in_the_log_without_numbers(engine_box):
    log = engine_box.log("sip-gateway")
    failed = next(line for line in log.splitlines() if "scaidial_livekit_sip_call_failed" in line)
    assert "ERROR" in failed and "SCL_example" in failed and "inbound call failed" in failed
    assert "+31612345678" not in log and "+xxxxxxxxx78" in failed
    assert any("starting without JSON" in line and "scaidial_livekit_sip_log" in line for line in log.splitlines())


def test_its_configuration_is_for_its_owner_alone(engine_box):
    written = engine_box.data / "run" / "livekit-sip.yaml"
    assert written.stat().st_mode & 0o777 == 0o600
    assert engine_box.facts["livekit"]["api_secret"] in written.read_text()


def refused(answer):
    """It is not available, and the answer says what to do."""
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (501, "not_available"), problem
    assert 'sip.engine = "sip-gateway"' in problem["detail"], problem
    return problem["detail"]


async def test_what_the_engine_cannot_do_is_not_available(engine_box):
    api = engine_box.api
    number, ids = await asyncio.to_thread(engine_box.number, TO_VOICEMAIL)
    async with Phone() as phone:
        await phone.call(number, engine_box.sip)
        (found,) = await eventually(lambda: api.later(engine_box.calls, number, state="active"), why="the call is active")
        call = await api.later(api.get, f"/v1/calls/{found['id']}")
        leg = next(leg for leg in call["legs"] if leg["kind"] == "sip")
        for verb, body, words in [("hold", None, "hold a call"), ("unhold", None, "hold a call"), ("dtmf", {"digits": "1"}, "press keys")]:
            answer = await api.later(api.raw, "POST", f"/v1/calls/{call['id']}/legs/{leg['id']}/{verb}", json=body)
            assert words in refused(answer)
        assert "show what was said" in refused(await api.later(api.raw, "GET", f"/v1/calls/{call['id']}/trace"))
        assert "try a carrier out" in refused(await api.later(api.raw, "POST", f"/v1/trunks/{ids['trunk']}/probe"))
        assert (await api.later(api.raw, "POST", f"/v1/calls/{call['id']}/hangup")).ok
        await eventually(call_over(phone), why="the phone is hung up by the API")


def call_over(phone):
    return lambda: any(request.method == "BYE" for request in phone.requests)


def test_a_trunk_that_should_register_says_that_this_engine_cannot(engine_box):
    line = engine_box.trunk(sip_server_address=f"127.0.0.1:{free_port()}", auth_mode="credentials", register=True, allowed_addresses=[],
                            sip_auth_username="box", sip_auth_password="secret")

    def now():
        found = engine_box.api.get(f"/v1/trunks/{line['id']}")
        return found if found["sync_status"] == "error" else None

    found = until(now, 20, "the trunk's status")
    assert found["sync_last_error"] == "not available: livekit-sip registers with no carrier"
    assert 'sip.engine = "sip-gateway"' in found["sync_hint"]
    assert found["registration"]["state"] == "not_available"
    assert found["health"] is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(engine_box, how):
    keeper, engine = engine_box.pids()["sip-gateway"], engine_box.engine_pid()
    os.kill(keeper, how)
    until(lambda: not runs(keeper) and not runs(engine), 20, "both are gone")
    until(lambda: engine_box.pids().get("sip-gateway") not in (None, keeper) and engine_box.engine_pid(), 30, "both are back")


@pytest.mark.skipif(not os.environ.get("LIVEKIT_SIP_BIN"), reason="set LIVEKIT_SIP_BIN to the path of livekit-sip: it carries a call, "
                    "the engine-neutral stories run against it, too, and a table of what each engine does is printed")
async def test_livekit_sip_itself_carries_a_call():
    with LiveKitSipBox() as box:
        await talk(box)
