"""Does an admin see what was said in a call, and nobody its secrets?"""

import asyncio
import shutil
import struct
import subprocess
from ipaddress import ip_address

from baresip import Baresip
from boxkit import eventually
from phone import Phone
from test_phones import assert_both_hear, desk_phone, number_of, registered
from test_secure import REQUIRE, by_tls, verified
from tones import sine

KEY = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


async def trace_of(box, call):
    return await asyncio.to_thread(box.api.get, f"/v1/calls/{call['id']}/trace")


async def capture_of(box, call):
    return await asyncio.to_thread(box.api.raw, "GET", f"/v1/calls/{call['id']}/trace.pcap")


def starts(trace, leg):
    """`> INVITE` was sent by the box, `< 180` came; 100 and repeats may or may not be there."""
    words = []
    for message in (message for message in trace["messages"] if message["leg_id"] == leg["id"]):
        first = message["first_line"].removeprefix("SIP/2.0 ").split()[0]
        words.append(f"{'>' if message['direction'] == 'sent' else '<'} {first}")
    return [word for at, word in enumerate(words) if not word.endswith(" 100") and word not in words[:at]]


def packets(capture):
    """What a capture holds, read by the book: (source, destination, payload, whether all of it is there)."""
    magic, major, minor, _, _, _, link = struct.unpack_from("<IHHIIII", capture)
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 1), "pcap 2.4, Ethernet"
    at, found, clock = 24, [], 0
    while at < len(capture):
        seconds, micros, length, whole = struct.unpack_from("<IIII", capture, at)
        assert clock <= seconds * 10**6 + micros, "in order of time"
        clock = seconds * 10**6 + micros
        frame, at = capture[at + 16:at + 16 + length], at + 16 + length
        assert frame[12:14] == b"\x08\x00" and frame[14] == 0x45 and frame[23] == 17, "IPv4 and UDP"
        assert sums_up(frame[14:34]), "the checksum of the IP header"
        assert struct.unpack_from("!H", frame, 16)[0] == whole - 14, "its length"
        ports = struct.unpack_from("!HH", frame, 34)
        assert struct.unpack_from("!H", frame, 38)[0] == whole - 34, "the datagram's length"
        if whole == length:
            assert sums_up(frame[26:34] + struct.pack("!HH", 17, length - 34) + frame[34:]), "the checksum of the datagram"
        ends = [(str(ip_address(frame[ip:ip + 4])), port) for ip, port in zip((26, 30), ports)]
        found.append((*ends, frame[42:], whole == length))
    return found


def sums_up(octets):
    """RFC 1071: with its checksum in it."""
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def address(end):
    return f"{end[0]}:{end[1]}"


async def a_call_between_two_phones(box, caller, callee, meanwhile=assert_both_hear):
    """A call that is answered, told a key and hung up, by one who has to prove a password."""
    await registered(box, caller)
    other = await registered(box, callee)
    call = await caller.call(other["number"], box.sip)
    assert call.status == 200
    await meanwhile(call, await callee.next_call())
    assert await call.tell("7") == 200
    assert await call.hangup() == 200
    ended = await box.ended_call(other["number"])
    return call, await eventually(lambda: asyncio.to_thread(told_to_the_end, box, ended), why="both legs have said their last")


def told_to_the_end(box, call):
    """The call, once each leg has the answer to its BYE and, where it heard something, its figures."""
    call, trace = (box.api.get(f"/v1/calls/{call['id']}{kind}") for kind in ("", "/trace"))
    last = {message["leg_id"]: message for message in trace["messages"]}
    heard = {media["leg_id"] for media in trace["media"] if any(stream["direction"] == "received" for stream in media["streams"])}
    over = all("200 OK" in message["first_line"] and " BYE\r\n" in message["text"] for message in last.values())
    return call if over and all(leg["stats"] for leg in call["legs"] if leg["id"] in heard) else None


async def in_silence(*_):
    """A phone that says it has keys and does not use them hears nothing."""


async def test_a_ladder_shows_both_legs_in_order_and_no_secret(box):
    caller = desk_phone()
    caller.attributes = (f"crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}",)
    async with caller, desk_phone() as callee:
        spoken, call = await a_call_between_two_phones(box, caller, callee, in_silence)
        trace = await trace_of(box, call)
    first, second = call["legs"]
    assert starts(trace, first) == ["< INVITE", "> 407", "< ACK", "> 180", "> 200", "< INFO", "< BYE"]
    assert starts(trace, second) == ["> INVITE", "< 180", "< 200", "> ACK", "> BYE"]
    times = [message["at"] for message in trace["messages"]]
    assert times == sorted(times)
    phone, gateway = f"{caller.host}:{caller.port}", f"{box.sip[0]}:{box.sip[1]}"
    assert [(m["from"], m["to"], m["transport"]) for m in trace["messages"][:1]] == [(phone, gateway, "udp")]

    text = "".join(message["text"] for message in trace["messages"])
    proof = spoken.first.get("proxy-authorization")
    response = proof.partition('response="')[2].partition('"')[0]
    assert len(response) == 32 and response not in text and 'response="' + 32 * "x" + '"' in text
    assert f'username="{caller.user}"' in text, "who asked is no secret"
    assert KEY not in text and "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xxxx" in text
    assert "Signal=x\r\nDuration=160" in text and "Signal=7" not in text


async def test_a_ladder_tells_of_the_audio(box):
    async with desk_phone() as caller, desk_phone() as callee:
        spoken, call = await a_call_between_two_phones(box, caller, callee)
        trace = await trace_of(box, call)
    media = next(media for media in trace["media"] if media["leg_id"] == call["legs"][0]["id"])
    assert media["kept"] and media["left_out"] == 0
    heard, sent = sorted(media["streams"], key=lambda stream: stream["direction"])
    assert (heard["direction"], heard["codec"], heard["payload_type"]) == ("received", "PCMU/8000", 0)
    assert (sent["direction"], sent["codec"], sent["to"]) == ("sent", "PCMU/8000", heard["from"])
    assert heard["from"] == f"{caller.host}:{spoken.media.port}" and sent["from"] == heard["to"]
    last, stats = media["figures"][-1], call["legs"][0]["stats"]
    assert (last["packets_received"], last["lost"]) == (stats["packets"], stats["lost"])
    assert last["packets_sent"] > 0 and last["mos"] == stats["mos"]


async def test_a_capture_holds_the_same_messages_and_the_first_packets(box, tmp_path):
    async with desk_phone() as caller, desk_phone() as callee:
        _, call = await a_call_between_two_phones(box, caller, callee)
        trace, answer = await trace_of(box, call), await capture_of(box, call)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.tcpdump.pcap")
    found = packets(answer.content)
    said = [(address(source), address(to), payload.decode()) for source, to, payload, whole in found if whole]
    assert said == [(message["from"], message["to"], message["text"]) for message in trace["messages"]]
    begun = {(address(source), address(to), f"0x{payload[8:].hex()}") for source, to, payload, whole in found if not whole}
    streams = [stream for media in trace["media"] for stream in media["streams"]]
    assert begun == {(stream["from"], stream["to"], stream["ssrc"]) for stream in streams}
    assert all(len(payload) == 12 for *_, payload, whole in found if not whole), "headers, no audio"
    if shutil.which("tshark"):
        (tmp_path / "call.pcap").write_bytes(answer.content)
        shown = await asyncio.to_thread(subprocess.check_output, [
            "tshark", "-n", "-r", tmp_path / "call.pcap", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
            "-d", f"udp.port=={box.sip[1]},sip", "-T", "fields", "-e", "sip.Call-ID", "-e", "rtp.ssrc", "-e", "_ws.malformed"], text=True)
        rows = [line.split("\t") for line in shown.splitlines()]
        assert len([row for row in rows if row[0]]) == len(said) and not any(row[2] for row in rows), shown


async def test_a_call_that_goes_on_shows_every_phone_that_rang(box):
    async with desk_phone() as desk, Phone(transport="tcp") as caller:
        async with Phone(user=desk.user, password=desk.password) as kitchen:
            extension = await registered(box, desk)
            assert (await kitchen.register(box.sip)).status == 200
            desk.incoming = "ring"
            number = await number_of(box, extension)
            assert (await caller.call(number, box.sip)).status == 200
            at_desk = await desk.next_call()
            await asyncio.wait_for(at_desk.ended.wait(), 15)
            call = (await eventually(lambda: asyncio.to_thread(box.calls, number, state="active")))[0]
            trace, capture = await trace_of(box, call), (await capture_of(box, call)).content
            caller_leg, ringing = call["legs"]
            rung = [m for m in trace["messages"] if m["leg_id"] == ringing["id"] and m["first_line"].startswith("INVITE")]
            assert {m["to"] for m in rung} == {f"{phone.host}:{phone.port}" for phone in (desk, kitchen)}
            cancelled = {m["to"] for m in trace["messages"] if m["first_line"].startswith("CANCEL")}
            assert cancelled == {f"{desk.host}:{desk.port}"}
            by_tcp = [m for m in trace["messages"] if m["leg_id"] == caller_leg["id"]]
            assert {m["transport"] for m in by_tcp} == {"tcp"} and starts(trace, caller_leg)[0] == "< INVITE"
            ends = {(address(source), address(to)) for source, to, _, whole in packets(capture) if whole}
            assert {(m["from"], m["to"]) for m in by_tcp} <= ends, "by TCP, shown as UDP"


async def test_keys_of_an_encrypted_call_are_in_no_trace(box, tmp_path):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"}, **REQUIRE)
    phone = Baresip(tmp_path, sine(440, 20), by_tls(box, number), ";mediaenc=srtp-mand", verified(box), ["srtp"])
    with phone:
        await eventually(lambda: asyncio.to_thread(box.calls, number, state="active"), 30, phone.said)
    trace = await trace_of(box, await box.ended_call(number, 40))
    assert {message["transport"] for message in trace["messages"]} == {"tls"}
    lines = [line for message in trace["messages"] for line in message["text"].splitlines() if "inline:" in line]
    keys = [line.partition("inline:")[2].split()[0] for line in lines]
    assert len(keys) >= 2 and all(set(key) == {"x"} for key in keys), "theirs and ours"


async def test_a_trace_is_for_admins_of_its_tenant(box):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "hangup"})
    async with Phone() as phone:
        assert (await phone.call(number, box.sip)).status == 603
    call = await box.ended_call(number)

    async def refused():
        return starts(await trace_of(box, call), call["legs"][0]) == ["< INVITE", "> 603", "< ACK"]

    await eventually(refused, why="refused calls have a trace, too")
    path = f"/v1/calls/{call['id']}/trace"
    _, viewer = await asyncio.to_thread(box.user, "viewer")
    stranger = (await asyncio.to_thread(box.tenant)).api
    for ask in (viewer, stranger):
        for kind in ("", ".pcap"):
            answer = await asyncio.to_thread(ask.raw, "GET", path + kind)
            assert answer.status_code == (403 if ask is viewer else 404), answer.text
    audit = await asyncio.to_thread(box.api.get, "/v1/audit?limit=50")
    assert [row["action"] for row in audit["items"] if row["object_id"] == call["id"]] [:1] == ["call.trace"]
