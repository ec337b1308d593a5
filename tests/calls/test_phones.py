"""Do desk phones register, ring and dial?  They are our own phone, and baresip as one of others."""

import asyncio
import random

from baresip import Baresip
from boxkit import eventually
from phone import Phone
from test_secure import verified
from test_trunks import carrier, registrar, status  # noqa: F401  (registrar is a fixture)
from test_voicemail import stored_message
from tones import sine, typical_snr_db


def desk_phone(**more):
    return Phone(user=f"desk{random.getrandbits(40):x}", password=f"pw-{random.getrandbits(60):x}", **more)


async def extension_of(box, phone, **more):
    """An extension that this phone may register for."""
    return await asyncio.to_thread(
        box.extension, "sip_endpoint", sip_username=phone.user, sip_password=phone.password, **more)


async def registered(box, phone, **more):
    """As soon as the box knows of the extension."""
    extension = await extension_of(box, phone, **more)
    await eventually(lambda: accepted(box, phone), why="the phone registers")
    return extension


async def accepted(box, phone):
    return (await phone.register(box.sip)).status == 200


async def contacts(box, extension):
    return (await asyncio.to_thread(box.api.get, f"/v1/extensions/{extension['id']}/contacts"))["items"]


async def number_of(box, extension, **trunk):
    rule = {"action_type": "ring_extension", "action_params": {"extension_id": extension["id"]}}
    return (await asyncio.to_thread(box.number, rule, **trunk))[0]


async def received(box, desk, caller, **trunk):
    """A call from outside that the desk phone answered: (number, extension, the caller's end, the desk's end)."""
    extension = await registered(box, desk)
    number = await number_of(box, extension, **trunk)
    call = await caller.call(number, box.sip)
    assert call.status == 200
    return number, extension, call, await desk.next_call()


async def assert_both_hear(one, other):
    """Three seconds of either tone, 30 dB above everything else."""
    one.media.tone(440)
    other.media.tone(700)
    enough = [call.media.packets + 200 for call in (one, other)]
    await eventually(lambda: one.media.packets > enough[0] and other.media.packets > enough[1], 20, "audio both ways")
    heard = typical_snr_db(one.media.heard(3), 700, 8000), typical_snr_db(other.media.heard(3), 440, 8000)
    assert min(heard) >= 30, f"SNR {heard[0]:.1f} dB and {heard[1]:.1f} dB"


async def test_a_caller_rings_a_desk_phone_and_both_hear_each_other(box):
    async with desk_phone() as desk, Phone() as caller:
        number, _, call, at_desk = await received(box, desk, caller)
        assert at_desk.caller == caller.user, "the desk phone shows who calls"
        await assert_both_hear(call, at_desk)
        assert await at_desk.hangup() == 200
        await asyncio.wait_for(call.ended.wait(), 15)
    assert (await box.ended_call(number))["end_reason"] == "callee_hangup"


async def test_all_phones_of_an_extension_ring_and_the_first_to_answer_has_the_call(box):
    async with desk_phone() as desk, Phone() as caller:
        async with Phone(user=desk.user, password=desk.password) as kitchen:
            extension = await registered(box, desk)
            assert (await kitchen.register(box.sip)).status == 200
            desk.incoming = kitchen.incoming = "ring"
            call = await caller.dial(await number_of(box, extension), box.sip)
            at_desk, in_kitchen = await desk.next_call(), await kitchen.next_call()
            await in_kitchen.answer()
            await asyncio.wait_for(at_desk.ended.wait(), 15)
            assert (await asyncio.wait_for(call.final, 15)).status == 200
            await assert_both_hear(call, in_kitchen)


async def test_a_phone_that_is_gone_is_not_rung_and_the_caller_gets_what_comes_then(box):
    async with desk_phone() as desk, Phone() as caller:
        extension = await registered(box, desk, timeout_action="voicemail")
        assert [contact["source"] for contact in await contacts(box, extension)] == [f"{desk.host}:{desk.port}"]
        assert (await desk.register(box.sip, expires=0)).status == 200
        assert await contacts(box, extension) == []
        number = await number_of(box, extension)
        call = await caller.call(number, box.sip)
        assert call.status == 200 and desk.taken.empty()
        call.media.tone(440)
        await eventually(lambda: call.media.packets > 500, 30, "the greeting is heard")
        await call.hangup()
    await stored_message(box, (await box.ended_call(number))["id"])


async def test_a_desk_phone_calls_another_by_its_extension(box):
    async with desk_phone() as anna, desk_phone() as bert:
        from_anna, to_bert = await registered(box, anna), await registered(box, bert)
        call = await anna.call(to_bert["number"], box.sip)
        assert call.status == 200
        at_bert = await bert.next_call()
        assert at_bert.caller == from_anna["number"]
        await assert_both_hear(call, at_bert)
        await call.hangup()
        await asyncio.wait_for(at_bert.ended.wait(), 15)
    record = await box.ended_call(to_bert["number"])
    assert (record["direction"], record["from_extension_id"]) == ("outbound", from_anna["id"])
    assert record["end_reason"] == "caller_hangup"


async def test_a_desk_phone_calls_the_world_through_the_trunk(own_tenant):
    box = own_tenant
    async with desk_phone() as desk, Phone() as carrier:
        number, ids = await asyncio.to_thread(
            box.number, {"action_type": "hangup"}, sip_server_address=f"{carrier.host}:{carrier.port}")
        await registered(box, desk)
        call = await desk.call("+31612340000", box.sip)
        assert call.status == 200
        outside = await carrier.next_call()
        assert outside.caller == number, "the world sees a number of ours"
        await assert_both_hear(call, outside)
        await outside.hangup()
        await asyncio.wait_for(call.ended.wait(), 15)
    record = await box.ended_call("+31612340000")
    assert (record["caller"], record["end_reason"]) == (number, "callee_hangup")


async def test_what_is_no_extension_and_no_number_is_404_and_kept(box):
    async with desk_phone() as desk:
        extension = await registered(box, desk)
        assert (await desk.call("12", box.sip)).status == 404
    record = await box.ended_call("12")
    assert (record["end_reason"], record["from_extension_id"]) == ("no_rule_matched", extension["id"])


async def test_a_wrong_password_neither_registers_nor_calls(box):
    async with desk_phone() as desk:
        await registered(box, desk)
        async with Phone(user=desk.user, password="a guess") as thief, Phone(user="nobody", password="a guess") as nobody:
            answers = [await phone.register(box.sip) for phone in (thief, nobody)]
            assert [answer.status for answer in answers] == [403, 403]
            assert (await thief.call("+31612340000", box.sip)).status == 403


async def test_two_extensions_cannot_register_under_one_name(box):
    async with desk_phone() as desk:
        await extension_of(box, desk)
        body = {"number": "4711", "name": "Other", "type": "sip_endpoint", "sip_username": desk.user, "sip_password": "long enough"}
        refusal = await asyncio.to_thread(box.api.raw, "POST", "/v1/extensions", json=body)
        assert (refusal.status_code, refusal.json()["errors"][0]["field"]) == (422, "sip_username")


async def test_a_phone_of_others_registers_by_tls_and_is_rung_with_srtp(box, tmp_path):
    async with desk_phone() as desk, Phone() as caller:
        extension = await extension_of(box, desk)
        server = f"{box.sip[0]}:{box.facts['sip']['tls_port']}"
        phone = Baresip(
            tmp_path, sine(700, 60), account=f";auth_pass={desk.password};mediaenc=srtp-mand", config=verified(box),
            modules=["srtp"], aor=f"sip:{desk.user}@{server};transport=tls")
        with phone:
            found = await eventually(lambda: contacts(box, extension), 30, phone.said)
            assert found[0]["transport"] == "tls" and "baresip" in found[0]["user_agent"]
            call = await caller.call(await number_of(box, extension), box.sip)
            assert call.status == 200
            call.media.tone(440)
            await eventually(lambda: call.media.packets > 200, 20, "audio from the phone")
            assert typical_snr_db(call.media.heard(3), 700, 8000) >= 30
            await call.hangup()


async def test_after_a_restart_of_the_gateway_phones_and_trunks_come_back(own_box, registrar):
    box = await asyncio.to_thread(own_box)
    async with desk_phone() as desk:
        extension = await registered(box, desk)
        trunk = await asyncio.to_thread(box.trunk, **carrier(registrar))
        first = (await asyncio.to_thread(box.synced, trunk))["registration"]
        await asyncio.to_thread(box.kill, "sip-gateway")
        await eventually(lambda: accepted(box, desk), 30, why="the phone registers again")
        assert len(await contacts(box, extension)) == 1

        async def again():
            now = (await asyncio.to_thread(status, box, trunk))["registration"]
            return now["state"] == "registered" and now["expires_at"] > first["expires_at"]

        await eventually(again, 30, why="the trunk is registered anew, long before its old registration would be refreshed")
