"""Can a desk phone hand its call over, and can nobody else?  REFER as RFC 5589 tells it."""

import asyncio

from boxkit import eventually
from phone import Phone
from room import Guest
from test_phones import accepted, assert_both_hear, desk_phone, number_of, received, registered
from test_wave import rung
from tones import share


async def told(call, last):
    """Everything that the phone heard of its REFER, once it ends so."""
    await eventually(lambda: call.notified and call.notified[-1][1] == last, why=lambda: f"{last}, but {call.notified}")
    assert call.notified[0] == ("active", "SIP/2.0 100 Trying")
    assert [state for state, _ in call.notified[:-1]] == ["active"] * (len(call.notified) - 1)
    assert call.notified[-1][0] == "terminated"
    return [line for _, line in call.notified]


def leg_of(record, extension):
    return next(leg for leg in record["legs"] if leg["extension_id"] == extension["id"])


async def test_a_desk_phone_hands_its_caller_to_another_extension(box):
    async with desk_phone() as anna, desk_phone() as bert, Phone() as caller:
        number, extension, outside, at_anna = await received(box, anna, caller)
        to_bert = await registered(box, bert)
        bert.incoming = "ring"
        assert await at_anna.refer(to_bert["number"]) == 202
        at_bert = await bert.next_call()
        assert at_bert.caller == caller.user, "the second phone shows who calls"
        await eventually(lambda: ("active", "SIP/2.0 180 Ringing") in at_anna.notified, why="Anna hears that it rings")
        await eventually(lambda: share(outside.media.heard(0.5), 425, 8000) > 0.9, why="the caller hears that it rings")
        await at_bert.answer()
        await told(at_anna, "SIP/2.0 200 OK")
        await asyncio.wait_for(at_anna.ended.wait(), 10)
        await assert_both_hear(outside, at_bert)
        assert await at_bert.hangup() == 200
        await asyncio.wait_for(outside.ended.wait(), 15)
    record = await box.ended_call(number)
    assert record["end_reason"] == "callee_hangup"
    assert leg_of(record, extension)["end_cause"] == "transferred"
    assert leg_of(record, to_bert)["answered_at"]


async def test_a_desk_phone_that_called_the_world_hands_it_to_another_extension(own_tenant):
    box = own_tenant
    async with desk_phone() as anna, desk_phone() as bert, Phone() as carrier:
        await asyncio.to_thread(
            box.number, {"action_type": "hangup"}, sip_server_address=f"{carrier.host}:{carrier.port}")
        await registered(box, anna)
        to_bert = await registered(box, bert)
        at_anna = await anna.call("+31612340000", box.sip)
        outside = await carrier.next_call()
        await at_anna.reinvite("sendonly")
        assert await at_anna.refer(to_bert["number"]) == 202
        assert await at_anna.hangup() == 200, "it does not wait for the outcome"
        at_bert = await bert.next_call()
        assert at_bert.caller == "+31612340000"
        await assert_both_hear(outside, at_bert)
        assert await outside.hangup() == 200
        await asyncio.wait_for(at_bert.ended.wait(), 15)
    record = await box.ended_call("+31612340000")
    assert record["end_reason"] == "caller_hangup", "who is left counts as the caller"


async def test_a_call_comes_back_when_the_other_extension_is_busy_or_unknown(box):
    async with desk_phone() as anna, desk_phone() as bert, Phone() as caller:
        number, _, outside, at_anna = await received(box, anna, caller)
        to_bert = await registered(box, bert, timeout_action="hangup")
        bert.incoming = 486
        assert await at_anna.refer(to_bert["number"]) == 202
        await told(at_anna, "SIP/2.0 486 Busy Here")
        assert await at_anna.refer("12") == 404
        await assert_both_hear(outside, at_anna)
        assert await at_anna.hangup() == 200
        await asyncio.wait_for(outside.ended.wait(), 15)
    assert (await box.ended_call(number))["end_reason"] == "callee_hangup"


async def test_a_carrier_whose_trunk_accepts_it_hands_its_end_to_an_extension(box):
    async with desk_phone() as anna, desk_phone() as bert, Phone() as caller:
        number, _, outside, at_anna = await received(box, anna, caller, accept_transfers=True)
        to_bert = await registered(box, bert)
        assert await outside.refer(to_bert["number"]) == 202
        at_bert = await bert.next_call()
        await told(outside, "SIP/2.0 200 OK")
        await asyncio.wait_for(outside.ended.wait(), 10)
        await assert_both_hear(at_anna, at_bert)
        assert await at_bert.hangup() == 200
        await asyncio.wait_for(at_anna.ended.wait(), 15)
    record = await box.ended_call(number)
    assert [leg["end_cause"] for leg in record["legs"]].count("transferred") == 1


async def test_a_carrier_whose_trunk_accepts_it_joins_two_of_its_calls(box):
    async with desk_phone() as anna, desk_phone() as bert, Phone() as caller:
        trunk = {"accept_transfers": True}
        numbers = [await number_of(box, await registered(box, desk), **trunk) for desk in (anna, bert)]
        first, second = [await caller.call(number, box.sip) for number in numbers]
        at_anna, at_bert = await anna.next_call(), await bert.next_call()
        assert await first.refer("anybody", instead_of=second) == 481, "the calls of two trunks are not one carrier's"
        await assert_both_hear(first, at_anna)
        third = await caller.call(numbers[0], box.sip)
        at_anna_again = await anna.next_call()
        assert await first.refer("anybody", instead_of=third) == 202
        await told(first, "SIP/2.0 200 OK")
        for call in (first, third):
            await asyncio.wait_for(call.ended.wait(), 10)
        await assert_both_hear(at_anna, at_anna_again)
        for call in (at_bert, at_anna):
            assert await call.hangup() == 200


async def test_a_carriers_refer_is_declined_and_a_strangers_forbidden(box):
    async with desk_phone() as anna, Phone() as caller:
        number, _, outside, at_anna = await received(box, anna, caller)
        assert await outside.refer("+31900123456") == 603
        await assert_both_hear(outside, at_anna)
        stranger = Phone()
        async with stranger:
            call = await stranger.dial("+31900123456", box.sip)
            await asyncio.wait_for(call.final, 10)
            call.remote = f"<sip:{number}@{box.sip[0]}>"
            assert await call.refer("+31900123456") == 403


async def consulted(box, anna, bert, caller):
    """Anna has a caller on hold and Bert on another call: (number, Bert's extension, the caller's end, hers, hers, Bert's)."""
    number, _, outside, first = await received(box, anna, caller)
    to_bert = await registered(box, bert)
    assert await first.reinvite("sendonly") == (200, "recvonly")
    second = await anna.call(to_bert["number"], box.sip)
    assert second.status == 200
    return number, to_bert, outside, first, second, await bert.next_call()


async def test_a_desk_phone_joins_the_two_that_it_talks_to(box):
    async with desk_phone() as anna, desk_phone() as bert, Phone() as caller:
        number, to_bert, outside, first, second, at_bert = await consulted(box, anna, bert, caller)
        assert await first.refer(to_bert["number"], instead_of=second) == 202
        await told(first, "SIP/2.0 200 OK")
        for call in (first, second):
            await asyncio.wait_for(call.ended.wait(), 10)
        await assert_both_hear(outside, at_bert)
        left = await box.ended_call(number)
        assert left["end_reason"] == "transferred"
        assert await outside.hangup() == 200
        await asyncio.wait_for(at_bert.ended.wait(), 15)
    joined = await box.ended_call(to_bert["number"])
    assert joined["end_reason"] == "caller_hangup"
    assert [leg["end_cause"] for leg in joined["legs"]].count("transferred") == 1, "hers; the others hung up"
    assert len(joined["legs"]) == 3


async def test_another_phone_of_the_carrier_takes_over_a_call(box):
    async with desk_phone() as anna, Phone() as caller, Phone() as colleague, Phone() as stranger:
        number, extension, outside, at_anna = await received(box, anna, caller)
        colleague.says = [("Replaces", outside.as_seen_there()), ("Require", "replaces")]
        second = await colleague.call(number, box.sip)
        assert second.status == 200
        await asyncio.wait_for(outside.ended.wait(), 10)
        await assert_both_hear(second, at_anna)
        assert await at_anna.reinvite("sendonly") == (200, "recvonly"), "her own call goes on"
        assert await at_anna.reinvite("sendrecv") == (200, "sendrecv")
        named = second.as_seen_there()
        for value, status in [(named + ";early-only", 486), ("nobody@nowhere;to-tag=x;from-tag=y", 481), ("nothing", 400),
                              (outside.as_seen_there(), 481)]:
            stranger.says = [("Replaces", value)]
            assert (await stranger.call(number, box.sip)).status == status, value
        other = await number_of(box, extension)
        stranger.says = [("Replaces", named)]
        assert (await stranger.call(other, box.sip)).status == 481, "it is not a call of that trunk"
        await assert_both_hear(second, at_anna)
        assert await second.hangup() == 200
        await asyncio.wait_for(at_anna.ended.wait(), 15)
    record = await eventually(lambda: asyncio.to_thread(box.calls, number, end_reason="caller_hangup"), why="the call is over")
    answered = (await asyncio.to_thread(box.api.get, f"/v1/calls/{record[0]['id']}"))["legs"][0]
    assert (answered["address"], answered["end_cause"]) == (colleague.user, "peer_hangup")


async def test_another_handset_of_an_extension_takes_over_its_call(box):
    async with desk_phone() as desk, Phone() as caller:
        handset = Phone(user=desk.user, password=desk.password)
        async with handset:
            _, _, outside, at_desk = await received(box, desk, caller)
            await eventually(lambda: accepted(box, handset), why="the handset registers")
            handset.says = [("Replaces", at_desk.as_seen_there())]
            second = await handset.call("me", box.sip)
            assert second.status == 200
            await asyncio.wait_for(at_desk.ended.wait(), 10)
            await assert_both_hear(outside, second)
            assert await outside.hangup() == 200
            await asyncio.wait_for(second.ended.wait(), 15)


async def transfer_of(box, number, caller):
    """The path that transfers who called this number."""
    call = (await asyncio.to_thread(box.calls, number))[0]["id"]
    legs = (await asyncio.to_thread(box.api.get, f"/v1/calls/{call}"))["legs"]
    theirs = next(leg for leg in legs if leg["address"] == caller.user)
    return f"/v1/calls/{call}/legs/{theirs['id']}/transfer"


async def test_two_calls_of_a_desk_phone_become_one_through_the_api(box):
    async with desk_phone() as anna, desk_phone() as bert, Phone() as caller:
        number, to_bert, outside, first, second, at_bert = await consulted(box, anna, bert, caller)
        path = await transfer_of(box, number, caller)
        there = (await asyncio.to_thread(box.calls, to_bert["number"]))[0]
        done = await asyncio.to_thread(box.api.post, path, {"mode": "attended", "to_call_id": there["id"]})
        assert done["end_reason"] == "transferred"
        for call in (first, second):
            await asyncio.wait_for(call.ended.wait(), 10)
        await assert_both_hear(outside, at_bert)
        assert await outside.hangup() == 200
        await asyncio.wait_for(at_bert.ended.wait(), 15)


async def test_two_calls_of_a_browser_become_one(own_tenant):
    box = own_tenant
    async with Phone() as outside, Phone() as carrier:
        line = {"sip_server_address": f"{carrier.host}:{carrier.port}"}
        await asyncio.to_thread(lambda: box.synced(box.trunk(**line)))
        desk, caller, guest = await rung(box, outside)
        async with guest:
            await guest.speak(700)
            assert (await asyncio.wait_for(caller.final, 15)).status == 200
            order = {"from_extension_id": desk.extension["id"], "to": "+31612340000"}
            made = await asyncio.to_thread(desk.api.post, "/v1/calls", order)
            async with Guest(made["livekit"]["url"], made["livekit"]["token"]) as second:
                await second.speak(800)
                asked = await carrier.next_call()
                path = await transfer_of(box, desk.number, outside)
                body = {"mode": "attended", "to_call_id": made["call"]["id"]}
                assert (await asyncio.to_thread(desk.api.post, path, body))["end_reason"] == "transferred"
                await asyncio.wait_for(second.disconnected.wait(), 15)
            await asyncio.wait_for(guest.disconnected.wait(), 15)
        await assert_both_hear(caller, asked)


async def test_a_call_that_is_none_of_ours_or_another_tenants_is_not_joined(box):
    other = await asyncio.to_thread(box.tenant)
    async with desk_phone() as anna, desk_phone() as bert, desk_phone() as eve, desk_phone() as emil, Phone() as caller:
        _, _, outside, first = await received(box, anna, caller)
        to_bert = await registered(box, bert)
        await registered(other, eve)
        to_emil = await registered(other, emil)
        at_eve = await eve.call(to_emil["number"], box.sip)
        await emil.next_call()
        assert await first.refer(to_bert["number"], instead_of=at_eve) == 481
        at_eve.id = "nobody@nowhere"
        assert await first.refer(to_bert["number"], instead_of=at_eve) == 481
        await assert_both_hear(outside, first)
