"""Does a probe name what is wrong with a carrier, that and nothing else, and do calls work all the same?"""

import asyncio
import random

import pytest
from boxkit import eventually, new_number
from carrier import EXPIRED, Carrier
from livekit.protocol import sip as lk
from room import Guest
from tones import share
from trunks import LiveKitSip

NUMBER = "+31612340000"
STEPS = ["dns", "transport", "tls", "options", "register", "call", "audio", "hold", "dtmf", "refer"]


def trunk(carrier, **changes):
    return {"name": f"Probed {random.getrandbits(40):x}", "sip_server_address": f"127.0.0.1:{carrier.port}",
            "sip_transport": carrier.kind, "auth_mode": "ip", "register": False, **changes}


CREDENTIALS = {"auth_mode": "credentials", "register": True, "sip_auth_username": "box", "sip_auth_password": "right"}


async def probe(box, body, path="/v1/trunks/probe", **kw):
    return await asyncio.to_thread(box.api.post, path, body, timeout=90, **kw)


def step(report, name):
    return next(step for step in report["steps"] if step["name"] == name)


def own_certificate(box):
    """The box's own, for 127.0.0.1 and by an authority that it trusts."""
    return box.data / "config/sip-tls.crt", box.data / "config/sip-tls.key"


# --- what the probe says -------------------------------------------------------------------------


@pytest.mark.parametrize("defect, named, outcome", [
    (None, [], "passed"),
    ("no_refer", ["no_refer"], "warning"),
    ("no_refer_unsaid", ["no_refer"], "warning"),
    ("private_sdp", ["private_address_in_sdp"], "warning"),
    ("hold_ignored", ["hold_ignored"], "warning"),
    ("only_183", ["no_ringing"], "warning"),
    ("ptime_30", ["odd_ptime"], "warning"),
    ("no_telephone_event", ["no_telephone_event"], "warning"),
    ("ack_lost", ["ack_lost"], "warning"),
    ("forked", ["answer_forked"], "warning"),
    ("wrong_contact", ["contact_unreachable"], "warning"),
])
async def test_a_probe_names_exactly_what_is_wrong(box, defect, named, outcome):
    async with Carrier(defect) as carrier:
        report = await probe(box, trunk(carrier, number=NUMBER))
        assert (report["defects"], report["outcome"]) == (named, outcome), report
        assert [step["name"] for step in report["steps"]] == STEPS
        assert "came back: audio goes both ways" in step(report, "audio")["saw"], report
        assert all(bool(step["hint"]) == bool(step["defects"]) for step in report["steps"]), report
        call = await carrier.next_call()
        await eventually(call.ended.is_set, why="the probe hangs up")
        assert all("probe.invalid" in target for target in call.refers), "nobody is transferred"
        if defect == "forked":
            await eventually(lambda: call.other[-1:] == ["BYE"], why=lambda: f"the second answer is hung up: {call.other}")


async def test_a_carrier_that_knows_us_by_password_passes_and_the_password_is_not_shown(box):
    async with Carrier(credentials=("box", "right")) as carrier:
        report = await probe(box, trunk(carrier, number=NUMBER, **CREDENTIALS))
        assert (report["defects"], report["outcome"]) == ([], "passed"), report
        assert step(report, "register")["saw"].startswith("200 OK")
        assert not any(request.get("contact") for request in carrier.requests if request.method == "REGISTER")
        assert "right" not in str(report)


async def test_a_wrong_password_is_told_before_anybody_is_called(box):
    async with Carrier(credentials=("box", "other")) as carrier:
        report = await probe(box, trunk(carrier, number=NUMBER, **CREDENTIALS))
        assert (report["outcome"], step(report, "call")["outcome"]) == ("failed", "skipped"), report
        assert set(report["defects"]) <= {"credentials_refused", "challenge_loop"} and report["defects"]
        assert carrier.taken.empty()


async def test_a_carrier_that_challenges_for_ever_is_told_and_is_not_asked_for_ever(box):
    async with Carrier("challenge_loop") as carrier:
        report = await probe(box, trunk(carrier, number=NUMBER, **CREDENTIALS))
        assert (report["defects"], report["outcome"]) == (["challenge_loop"], "failed"), report
        assert step(report, "call")["saw"] == "the carrier asks for the password again and again"
        assert len([request for request in carrier.requests if request.method == "REGISTER"]) <= 5


async def test_a_carrier_that_listens_on_tcp_only_is_told_and_passes_by_tcp(box):
    async with Carrier("tcp_only", transport="tcp") as carrier:
        report = await probe(box, trunk(carrier, number=NUMBER, sip_transport="udp"))
        assert (report["defects"], report["outcome"]) == (["tcp_only"], "failed"), report
        assert step(report, "options")["hint"] == "set sip_transport to tcp"
        assert step(report, "call")["outcome"] == "skipped"
        report = await probe(box, trunk(carrier, number=NUMBER))
        assert (report["defects"], report["outcome"]) == ([], "passed"), report


async def test_a_certificate_is_checked_and_its_fault_named(box):
    async with Carrier(transport="tls", tls=(EXPIRED,)) as carrier:
        report = await probe(box, trunk(carrier, number=NUMBER))
        assert (report["defects"], report["outcome"]) == (["certificate_expired"], "failed"), report
        assert all(step["outcome"] == "skipped" and step["saw"] for step in report["steps"][3:])
    async with Carrier(transport="tls", tls=own_certificate(box)) as carrier:
        report = await probe(box, trunk(carrier, number=NUMBER))
        assert (report["defects"], report["outcome"]) == ([], "passed"), report
        assert step(report, "tls")["saw"].startswith("TLSv1")
        report = await probe(box, trunk(carrier, sip_server_address=f"localhost:{carrier.port}"))
        assert report["defects"] == ["certificate_for_another_name"], report


async def test_a_name_that_does_not_resolve_ends_the_probe(box):
    async with Carrier() as carrier:
        report = await probe(box, trunk(carrier, sip_server_address="nobody.invalid"))
    assert (report["defects"], report["outcome"]) == (["name_unresolved"], "failed"), report
    assert {step["outcome"] for step in report["steps"][1:]} == {"skipped"}


# --- what is kept of it ----------------------------------------------------------------------------


async def test_a_probe_of_a_stored_trunk_is_its_card_and_its_call_is_on_record(box):
    number = new_number()
    async with Carrier(credentials=("box", "right")) as carrier:
        line = await asyncio.to_thread(box.trunk, **trunk(carrier, **CREDENTIALS))
        path = f"/v1/trunks/{line['id']}/probe"
        assert (await asyncio.to_thread(box.api.raw, "GET", path)).json()["code"] == "never_probed"
        key = {"Idempotency-Key": f"{random.getrandbits(60):x}"}
        card = await probe(box, {"number": number}, path, headers=key)
        assert card["report"]["outcome"] == "passed", card
        assert await probe(box, {"number": number}, path, headers=key) == card, "called once"
        assert carrier.taken.qsize() == 1
        assert await asyncio.to_thread(box.api.get, path) == card
        [call] = await asyncio.to_thread(box.calls, number)
        assert (call["trunk_id"], call["end_reason"], call["end_code"]) == (line["id"], "completed", "trunk_probe")
        await asyncio.to_thread(box.api.patch, f"/v1/trunks/{line['id']}", {"priority": 7})
        assert (await asyncio.to_thread(box.api.get, path))["outdated"] is True


# --- ordinary calls through the same carriers ------------------------------------------------------


def hears(media, hz):
    return lambda: len(media.frames) > 60 and share(media.heard(1), hz, 8000) > 0.9


@pytest.mark.parametrize("defect, transport", [
    (None, "udp"),
    ("private_sdp", "udp"),
    ("only_183", "udp"),
    ("ptime_30", "udp"),
    ("no_telephone_event", "udp"),
    ("ack_lost", "udp"),
    ("forked", "udp"),
    ("wrong_contact", "udp"),
    ("tcp_only", "tcp"),
])
async def test_a_call_through_such_a_carrier_is_answered_heard_and_hung_up(box, defect, transport):
    kinds = {"udp": lk.SIP_TRANSPORT_UDP, "tcp": lk.SIP_TRANSPORT_TCP}
    async with LiveKitSip(box) as sip, Carrier(defect, transport) as carrier:
        room, line = f"through-{sip.tag}", await sip.outbound(carrier, transport=kinds[transport])
        async with Guest.invited(box, room) as guest:
            await guest.speak(700)
            await sip.dial(line, room, wait_until_answered=True)
            call = await carrier.next_call()
            await eventually(hears(call.media, 700), why="the carrier hears the room")
            await eventually(lambda: len(guest.samples) > 8000 and share(guest.samples[-8000:], 700, 8000) > 0.9,
                             why="the room hears the carrier's echo")
            await eventually(call.acked.is_set, why="the answer is acknowledged")
            await sip.delete_room(room)
            await eventually(call.ended.is_set, why="the call is hung up")
            if defect == "forked":
                assert call.other[-1:] == ["BYE"], call.other
