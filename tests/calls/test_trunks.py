"""Does a trunk say what the carrier said?  The carrier is kamailio, checking digest credentials."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest
from boxkit import eventually, free_port, until
from phone import Phone

CONFIG = Path(__file__).resolve().parents[1] / "support" / "kamailio" / "registrar.cfg"


@pytest.fixture
def registrar(tmp_path):
    """A registrar that knows user `box` with password `right`; gives its port."""
    port = free_port()
    text = CONFIG.read_text().replace("@PORT@", str(port))
    (tmp_path / "registrar.cfg").write_text(text)
    process = subprocess.Popen(
        ["kamailio", "-DD", "-E", "-f", tmp_path / "registrar.cfg", "-Y", tmp_path, "-w", tmp_path, "-m", "16", "-M", "8"],
        stdin=subprocess.DEVNULL, stdout=open(tmp_path / "log", "wb"), stderr=subprocess.STDOUT)

    async def answers():
        async with Phone() as phone:
            try:
                return await phone.options(("127.0.0.1", port), 1)
            except asyncio.TimeoutError:
                return None

    try:
        until(lambda: asyncio.run(answers()), 20, "kamailio answers")
        yield port
    finally:
        os.kill(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def status(box, trunk):
    return box.api.get(f"/v1/trunks/{trunk['id']}")


def carrier(port, **changes):
    return {"sip_server_address": f"127.0.0.1:{port}", "auth_mode": "credentials", "register": True, "allowed_addresses": [],
            "sip_auth_username": "box", "sip_auth_password": "right", **changes}


def test_wrong_credentials_are_told_in_the_carriers_own_words_and_heal(box, registrar):
    trunk = box.trunk(**carrier(registrar, sip_auth_password="wrong"))
    assert trunk["sync_status"] == "pending" and "sip_auth_password" not in trunk
    failed = until(lambda: (now := status(box, trunk))["sync_status"] == "error" and now, 30, "the trunk is in error")
    assert "Wrong Password, Friend" in failed["sync_last_error"], failed
    assert failed["sync_hint"] and failed["sip_trunk_id"] is None
    assert "scaidial_trunk_sync_failed" in box.log("control-api")

    box.api.patch(f"/v1/trunks/{trunk['id']}", {"sip_auth_password": "right"})
    box.api.post(f"/v1/trunks/{trunk['id']}/resync")
    synced = until(lambda: (now := status(box, trunk))["sync_status"] == "synced" and now, 30, "the trunk is synced")
    assert synced["registration"]["state"] == "registered" and synced["sync_last_error"] is None
    assert synced["sip_trunk_id"]


def test_a_carrier_that_does_not_answer_is_408_with_a_hint(box):
    trunk = box.trunk(**carrier(free_port()))
    failed = until(lambda: (now := status(box, trunk))["sync_status"] == "error" and now, 60, "the trunk is in error")
    assert "408" in failed["sync_last_error"] and failed["sync_hint"]


def test_a_carriers_name_that_does_not_resolve_is_503_with_a_hint(box):
    trunk = box.trunk(**carrier(5060, sip_server_address="nobody.invalid"))
    failed = until(lambda: (now := status(box, trunk))["sync_status"] == "error" and now, 60, "the trunk is in error")
    assert failed["sync_hint"]


async def test_a_caller_from_an_address_that_is_not_allowed_is_not_answered(box):
    number, _ = await asyncio.to_thread(
        box.number, {"action_type": "voicemail"}, sip_server_address="192.0.2.1", allowed_addresses=["192.0.2.0/24"])
    async with Phone() as phone:
        call = await phone.dial(number, box.sip)
        try:
            assert (await asyncio.wait_for(call.final, 5)).status >= 400
        except asyncio.TimeoutError:
            pass  # silence is an answer too


async def test_a_trunk_that_livekit_lost_is_made_again(own_box):
    box = await asyncio.to_thread(own_box)
    number, ids = await asyncio.to_thread(box.number, {"action_type": "hangup"})
    await asyncio.to_thread(box.kill, "redis")  # nothing in it is kept
    await asyncio.to_thread(box.synced, {"id": ids["trunk"]}, 120)

    async def rejected():
        async with Phone() as phone:
            call = await phone.dial(number, box.sip)
            try:
                return (await asyncio.wait_for(call.final, 5)).status == 603
            except asyncio.TimeoutError:
                return False

    await eventually(rejected, 60, "the number works again")


async def test_the_health_of_a_trunk_says_whether_its_carrier_answers(box):
    async with Phone() as carrier_phone:
        there = box.trunk(sip_server_address=f"127.0.0.1:{carrier_phone.port}")
        away = box.trunk(sip_server_address=f"127.0.0.1:{free_port()}")

        def health(trunk, reachable):
            now = box.api.get(f"/v1/trunks/{trunk['id']}")
            return now if now["health"] and now["health"]["reachable"] is reachable else None

        found = await eventually(lambda: asyncio.to_thread(health, there, True), 60, "the carrier answers OPTIONS")
        assert found["health"]["detail"].startswith("200 OK after ")
        found = await eventually(lambda: asyncio.to_thread(health, away, False), 60, "nobody answers")
        assert found["health"]["detail"] and found["sync_status"] == "synced"
