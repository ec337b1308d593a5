"""Is a carrier that is known by its name found where a name server says that it is, today and after it has moved?"""

import asyncio
import contextlib
import random

import pytest
from boxkit import Box, eventually, free_port
from carrier import Carrier
from livekit import api
from livekit.protocol import sip as lk
from names import NameServer, missing
from phone import Phone
from test_carriers import CREDENTIALS, probe, step
from test_trunks import status
from trunks import LiveKitSip

WHY_NOT = missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=str(WHY_NOT))
KINDS = {"udp": lk.SIP_TRANSPORT_UDP, "tcp": lk.SIP_TRANSPORT_TCP}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    with NameServer(tmp_path_factory.mktemp("names")) as server:
        yield server


@pytest.fixture(scope="module")
def box(names):
    """It asks this name server."""
    with Box(within=names.within) as running:
        yield running


def at(port, kind="udp", priority=10, weight=10, name="carrier.example", host="gw.carrier.example"):
    """Whoever asks for this transport is sent there."""
    return f"srv-host=_sip._{kind}.{name},{host},{port},{priority},{weight}"


GATEWAY = "host-record=gw.carrier.example,127.0.0.1"
CARRIER = "host-record=carrier.example,127.0.0.1"
BY_TCP = "naptr-record=carrier.example,10,10,s,SIP+D2T,,_sip._tcp.carrier.example"


@contextlib.asynccontextmanager
async def calling(box, kind="udp", name="carrier.example"):
    """A trunk of LiveKit's to this name; `await dial()` is how a call through it began, None if it did."""
    async with LiveKitSip(box) as sip:
        trunk = await sip.api.sip.create_outbound_trunk(lk.CreateSIPOutboundTrunkRequest(trunk=lk.SIPOutboundTrunkInfo(
            name=f"out {sip.tag}", address=name, numbers=["+31201110000"], transport=KINDS[kind])))
        sip.trunks.append(trunk.sip_trunk_id)

        async def dial(**more):
            await sip.dial(trunk.sip_trunk_id, f"names-{sip.tag}", **more)

        yield dial


def trunk(kind="udp", name="carrier.example", **more):
    return {"name": f"By its name {random.getrandbits(40):x}", "sip_server_address": name, "sip_transport": kind, "auth_mode": "ip", "register": False, **more}


async def taken(carrier):
    """The call that came, ended again."""
    call = await carrier.next_call()
    await eventually(call.acked.is_set, why="the answer is acknowledged")
    assert await call.hangup() == 200
    return call


async def test_a_carrier_is_called_by_the_transport_and_at_the_port_that_its_records_name(box, names):
    async with Carrier(transport="tcp") as carrier:
        names.knows(BY_TCP, at(carrier.port, "tcp"), GATEWAY)
        async with calling(box, "tcp") as dial:
            await dial()
            call = await taken(carrier)
        assert call.invite.uri.startswith("sip:+31612340000@carrier.example;"), "the name stays in the Request-URI"
        assert call.invite.get("via").startswith("SIP/2.0/TCP ")


async def test_a_probe_shows_every_record_and_names_a_transport_that_is_not_offered(box, names):
    async with Carrier(transport="tcp") as carrier:
        names.knows(BY_TCP, at(carrier.port, "tcp"), GATEWAY, "host-record=carrier.example,127.0.0.1,::1")
        report = await probe(box, trunk("tcp", number="+31612340000"))
        assert (report["defects"], report["outcome"]) == ([], "passed"), report
        saw = step(report, "dns")["saw"]
        for record in ('NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.carrier.example.', f"SRV 10 10 {carrier.port} gw.carrier.example.",
                       "A 127.0.0.1", "AAAA ::1", f"requests go to 127.0.0.1:{carrier.port}"):
            assert record in saw, saw
        report = await probe(box, trunk("udp"))
        assert "transport_not_in_naptr" in report["defects"] and "sip_transport" in step(report, "dns")["hint"], report
        names.knows(BY_TCP, at(carrier.port, "tcp"), GATEWAY)
        report = await probe(box, trunk("udp"))
        assert report["defects"] == ["transport_not_in_naptr", "name_unresolved"], report


async def test_the_lower_priority_is_called_first_whatever_its_weight(box, names):
    async with Carrier() as first, Carrier() as second:
        names.knows(at(second.port, priority=20, weight=100), at(first.port, priority=10, weight=0), GATEWAY)
        async with calling(box) as dial:
            for _ in range(3):
                await dial()
                await taken(first)
        assert second.taken.empty()


async def test_a_name_with_a_port_is_an_address_and_nothing_else(box, names):
    async with Carrier() as carrier:
        names.knows(at(free_port()), GATEWAY, CARRIER)
        async with calling(box, name=f"carrier.example:{carrier.port}") as dial:
            await dial()
            await taken(carrier)


async def test_a_carrier_that_moved_is_called_where_it_is_now(box, names):
    async with Carrier() as old, Carrier() as new:
        async with calling(box) as dial:
            for carrier in (old, new, old):
                names.knows(at(carrier.port), GATEWAY)
                await dial()
                await taken(carrier)


async def test_a_carrier_with_only_an_ipv6_address_is_asked_there(box, names):
    async with Carrier(transport="tcp", credentials=("box", "right")) as carrier:
        server = await asyncio.start_server(carrier._accepted, "::1", carrier.port)
        async with server:
            names.knows(at(carrier.port, "tcp"), "host-record=gw.carrier.example,::1")
            report = await probe(box, trunk("tcp", **CREDENTIALS))
        assert step(report, "dns")["saw"].endswith(f"requests go to [::1]:{carrier.port}"), report
        assert (report["defects"], step(report, "register")["outcome"]) == ([], "passed"), report


class Registrar(Carrier):
    """Registrations hold for seconds only."""

    async def reply(self, request, status, peer, tag=None, headers=(), **more):
        short = [("Expires", "4")] if (request.method, status) == ("REGISTER", 200) else []
        return await super().reply(request, status, peer, tag, [*headers, *short], **more)


async def test_a_trunk_registers_where_the_records_say_and_the_next_time_where_they_say_then(box, names):
    async with Registrar(credentials=("box", "right")) as old, Registrar(credentials=("box", "right")) as new:
        names.knows(at(old.port), GATEWAY, CARRIER)
        line = await asyncio.to_thread(box.trunk, **trunk(allowed_addresses=[], **CREDENTIALS))
        found = await asyncio.to_thread(box.synced, line)
        assert found["registration"]["state"] == "registered" and registers(old) and not registers(new)
        names.knows(at(new.port), GATEWAY, CARRIER)
        await eventually(lambda: registers(new), 30, "it registers at the new place")
        assert registers(new)[-1].uri == "sip:carrier.example"
        await asyncio.to_thread(box.api.delete, f"/v1/trunks/{line['id']}")


def registers(carrier):
    return [request for request in carrier.requests if request.method == "REGISTER"]


async def test_a_name_that_nobody_knows_is_told_and_heals_when_somebody_does(box, names):
    names.knows()
    line = await asyncio.to_thread(box.trunk, **trunk(name="later.example"))

    async def trouble():
        now = await asyncio.to_thread(status, box, line)
        return now if now["sync_status"] == "error" else None

    failed = await eventually(trouble, 30, "the trunk is in error")
    assert failed["sync_last_error"].startswith("503 later.example does not resolve") and "DNS" in failed["sync_hint"], failed
    async with calling(box, name="later.example") as dial:
        with pytest.raises(api.TwirpError):
            await dial(wait_until_answered=True)
        async with Carrier() as carrier:
            names.knows(at(carrier.port, name="later.example"), GATEWAY, "host-record=later.example,127.0.0.1")
            assert (await asyncio.to_thread(box.synced, line))["sync_last_error"] is None
            await dial()
            await taken(carrier)


async def test_the_next_record_is_tried_when_nobody_takes_the_connection(box, names):
    async with Carrier(transport="tcp") as carrier:
        names.knows(at(free_port("tcp"), "tcp", priority=10), at(carrier.port, "tcp", priority=20), GATEWAY)
        async with calling(box, "tcp") as dial:
            for _ in range(2):
                await dial()
                await taken(carrier)
        assert carrier.connections == 1, "one is enough for all that is said"


async def test_an_address_that_did_not_answer_a_call_is_passed_over_by_the_next(box, names):
    async with Carrier() as carrier:
        names.knows(at(free_port(), priority=10), at(carrier.port, priority=20), GATEWAY)
        async with calling(box) as dial:
            with pytest.raises(api.TwirpError):
                await dial(wait_until_answered=True, ringing=5)
            await dial()
            await taken(carrier)


async def test_a_trunk_whose_name_has_only_srv_records_is_synced_and_its_carrier_may_call_us(box, names):
    async with Phone(host="127.0.0.9") as carrier, Phone() as stranger:
        names.knows(at(carrier.port), "host-record=gw.carrier.example,127.0.0.9")
        number, ids = await asyncio.to_thread(
            box.number, {"action_type": "voicemail"}, sip_server_address="carrier.example", allowed_addresses=[])
        assert (await asyncio.to_thread(status, box, {"id": ids["trunk"]}))["sync_last_error"] is None
        assert (await carrier.call(number, box.sip)).status == 200
        assert (await stranger.call(number, box.sip)).status >= 400
