"""Does a phone behind a NAT, which tells everybody its private address, call and get called?"""

import asyncio

import pytest
from boxkit import Box
from nat import INSIDE, Nat, missing
from phone import Phone
from test_phones import assert_both_hear, contacts, desk_phone, number_of, received, registered

WHY_NOT = missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=str(WHY_NOT))


@pytest.fixture(scope="module")
def nat():
    with Nat() as made:
        yield made


@pytest.fixture(scope="module")
def box(nat):
    """Its gateway listens where the router can reach it, and not on loopback."""
    with Box("--without", "sip-gateway") as running:
        port = running.sip[1]
        running.start_gateway((f'listen = "127.0.0.1:{port}"', f'listen = "{nat.box}:{port}"'), ('ip = "127.0.0.1"', f'ip = "{nat.box}"'),
                              ('"127.0.0.0/8"', '"198.18.0.0/15"'))
        running.sip = (nat.box, port)
        yield running


def behind(nat):
    """Where a phone is that is behind it."""
    return {"host": INSIDE, "bind": nat.bind}


async def assert_hung_up(by, other):
    """One hangs up, the other is told by a BYE of the box."""
    assert await by.hangup() == 200
    await asyncio.wait_for(other.ended.wait(), 15)
    assert other.phone.bye().get("call-id") == other.id


async def test_a_desk_phone_behind_a_nat_is_rung_and_both_hear_each_other_until_the_caller_hangs_up(box, nat):
    async with desk_phone(**behind(nat)) as desk, Phone(host=nat.box) as caller:
        extension = await registered(box, desk)
        [contact] = await contacts(box, extension)
        assert contact["source"].startswith(f"{nat.router}:") and INSIDE in contact["uri"], contact
        number = await number_of(box, extension, allowed_addresses=[f"{nat.box}/32"])
        call = await caller.call(number, box.sip)
        assert call.status == 200
        at_desk = await desk.next_call()
        await assert_both_hear(call, at_desk)
        await assert_hung_up(call, at_desk)
    assert (await box.ended_call(number))["end_reason"] == "caller_hangup"


async def test_a_caller_behind_a_nat_is_heard_and_hears_until_the_desk_phone_hangs_up(box, nat):
    async with Phone(**behind(nat)) as caller, desk_phone(host=nat.box) as desk:
        number, _, call, at_desk = await received(box, desk, caller, allowed_addresses=[f"{nat.router}/32"])
        await assert_both_hear(call, at_desk)
        await assert_hung_up(at_desk, call)
    assert (await box.ended_call(number))["end_reason"] == "callee_hangup"


async def test_two_desk_phones_behind_one_nat_call_each_other(box, nat):
    async with desk_phone(**behind(nat)) as anna, desk_phone(**behind(nat)) as bert:
        await registered(box, anna)
        to_bert = await registered(box, bert)
        call = await anna.call(to_bert["number"], box.sip)
        assert call.status == 200
        at_bert = await bert.next_call()
        await assert_both_hear(call, at_bert)
        await assert_hung_up(at_bert, call)
    assert (await box.ended_call(to_bert["number"]))["end_reason"] == "callee_hangup"


async def test_a_call_goes_on_after_the_nat_forgot_it_until_the_desk_phone_hangs_up(box, nat):
    async with desk_phone(**behind(nat)) as desk, Phone(host=nat.box) as caller:
        number, _, call, at_desk = await received(box, desk, caller, allowed_addresses=[f"{nat.box}/32"])
        await assert_both_hear(call, at_desk)
        nat.forget()
        await assert_both_hear(call, at_desk)
        await assert_hung_up(at_desk, call)
    assert (await box.ended_call(number))["end_reason"] == "callee_hangup"


async def test_a_desk_phone_that_registers_again_after_the_nat_forgot_it_is_rung_through_its_new_port(box, nat):
    async with desk_phone(**behind(nat)) as desk, Phone(host=nat.box) as caller:
        extension = await registered(box, desk)
        number = await number_of(box, extension, allowed_addresses=[f"{nat.box}/32"])
        [before] = await contacts(box, extension)
        nat.forget()
        assert (await desk.register(box.sip)).status == 200
        [after] = await contacts(box, extension)
        assert after["source"].startswith(f"{nat.router}:") and after["source"] != before["source"]
        call = await caller.call(number, box.sip)
        assert call.status == 200
        at_desk = await desk.next_call()
        await assert_both_hear(call, at_desk)
        await assert_hung_up(call, at_desk)


async def test_the_box_hangs_up_where_a_phone_is_that_spoke_up_after_the_nat_forgot_it(box, nat):
    async with desk_phone(**behind(nat)) as desk, Phone(host=nat.box) as caller:
        number, _, call, at_desk = await received(box, desk, caller, allowed_addresses=[f"{nat.box}/32"])
        nat.forget()
        assert await at_desk.reinvite("sendrecv") == (200, "sendrecv")
        await assert_both_hear(call, at_desk)
        await assert_hung_up(call, at_desk)
