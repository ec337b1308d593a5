"""Do phone and box tell each other how they hear (RTCP), and does the call's record show it?"""

import asyncio
import socket

import pytest
from boxkit import eventually
from phone import Phone
from test_wave import rung


async def voicemail_call(box, phone):
    """A call with sound both ways; returns (number, call)."""
    number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"})
    call = await phone.call(number, box.sip)
    assert call.status == 200
    call.media.tone(440)
    return number, call


async def reported(call, fits=lambda report: report.packets and report.blocks):
    """The first report of the gateway that fits."""
    found = lambda: next((report for report in call.media.reports.heard if fits(report)), None)
    return await eventually(found, 30, lambda: f"reports: {call.media.reports.heard}")


async def stats_after(box, number, call):
    assert await call.hangup() == 200
    await reported(call, lambda report: report.goodbye)
    record = await box.ended_call(number)
    return next(leg["stats"] for leg in record["legs"] if leg["kind"] == "sip")


@pytest.mark.parametrize("attributes", [(), ("rtcp-mux",)], ids=["on the port above", "on the port of the audio"])
async def test_a_phone_is_told_how_it_is_heard_and_tells_how_it_hears(box, attributes):
    async with Phone(attributes=attributes) as phone:
        number, call = await voicemail_call(box, phone)
        reports = call.media.reports
        report = await reported(call)
        assert reports.muxed == report.muxed == bool(attributes)
        block = report.blocks[0]
        assert (block.ssrc, block.fraction, block.lost) == (call.media.ssrc, 0, 0)
        assert report.name and b"127.0.0.1" not in report.name
        await eventually(lambda: reports.age >= 0.05)
        reports.send(reports.compound(lost=40, fraction=51, jitter=80, late=0.05))
        answered = await reported(call, lambda later: later.blocks and later.blocks[0].last_report)
        assert answered.blocks[0].delay > 0 and answered.blocks[0].highest > block.highest
        stats = await stats_after(box, number, call)
    assert stats["packets"] > 0 and stats["lost"] == 0 and stats["mos"] >= 4.3, stats
    assert stats["rtt_ms"] >= 49, stats  # the 50 that it claimed, but for rounding
    assert (stats["far_end"]["lost"], stats["far_end"]["jitter_ms"]) == (40, 10.0) and 1 <= stats["far_end"]["mos"] < 4, stats


async def test_every_fifth_packet_lost_on_the_way_is_told_to_the_phone_and_heard_in_the_score(box):
    async with Phone() as phone:
        number, call = await voicemail_call(box, phone)
        call.media.drop_every = 5
        await reported(call)
        report = await reported(call, lambda report: len(call.media.reports.heard) > 1 and report is call.media.reports.heard[-1])
        block = report.blocks[0]
        assert block.lost == len([number for number in call.media.dropped if number <= block.highest]) > 0
        assert 45 <= block.fraction <= 57, f"a fifth is 51/256: {block}"
        stats = await stats_after(box, number, call)
    assert stats["lost"] > 0 and stats["mos"] < 3.5, stats
    assert stats["rtt_ms"] is None and stats["far_end"] is None, "the phone told nothing"


async def test_what_strangers_report_changes_nothing(box):
    async with Phone() as phone:
        number, call = await voicemail_call(box, phone)
        await reported(call)
        reports = call.media.reports
        reports.send(reports.compound(lost=3))
        await reported(call, lambda report: report.blocks and report.blocks[0].last_report)
        await eventually(lambda: reports.age >= 1.0)
        for host in ("127.0.0.1", "127.0.0.2"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.bind((host, 0))
                reports.send(reports.compound(lost=9999, late=1.0), by=stranger)
        seen = len(reports.heard)
        await eventually(lambda: len(reports.heard) > seen, 20, "one more report")
        stats = await stats_after(box, number, call)
    assert stats["far_end"]["lost"] == 3 and stats["rtt_ms"] < 1000, stats


async def test_a_phone_that_sends_no_audio_is_not_kept_by_its_reports_alone(box):
    async with Phone() as phone:
        desk, call, guest = await rung(box, phone)
        async with guest:
            await guest.speak(700)
            assert (await asyncio.wait_for(call.final, 15)).status == 200
            await reported(call)
            call.media.sends = False
            ended = asyncio.ensure_future(call.ended.wait())
            while not ended.done():
                call.media.reports.send(call.media.reports.compound(lost=0))
                await asyncio.wait([ended], timeout=2)
        assert (await box.ended_call(desk.number))["end_reason"] == "media_timeout"
