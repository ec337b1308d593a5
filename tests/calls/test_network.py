"""Do calls stand what networks do to them, and does the call's record say how bad it was?

A phone behind a bad network (`relay.Link`) calls a desk phone on a good one.
"""

import asyncio
import contextlib
from dataclasses import dataclass

import pytest
from boxkit import eventually
from media import sine
from phone import Call, Phone
from relay import Link, Weather
from test_phones import desk_phone, number_of, registered
from test_rtcp import reported
from tones import filled, level_db, share

SEED = 20261126
ENOUGH = 500  # packets of a test: ten seconds


@dataclass
class Talk:
    box: object
    number: str
    link: Link
    far: Call
    desk: Call

    async def go_on(self, packets=ENOUGH):
        """Until either has heard so many more."""
        at_far, at_desk = (call.media.packets + packets for call in (self.far, self.desk))
        await eventually(lambda: self.far.media.packets >= at_far and self.desk.media.packets >= at_desk, 60, "audio both ways")

    def assert_understood(self, seconds):
        """Nine tenths of what either heard last is what the other says."""
        heard = filled(self.far.media.heard(seconds), 700, 8000), filled(self.desk.media.heard(seconds), 440, 8000)
        assert min(heard) > 0.9, heard

    async def measured(self):
        """The far phone falls silent and hangs up once the box has counted all of it; its leg's figures."""
        self.far.media.sends = False
        to_box = self.link.to_box
        await eventually(lambda: to_box.sent == self.far.media.sent and to_box.flush(), why="nothing is on its way")
        await reported(self.far, lambda report: report.blocks and report.blocks[0].highest & 0xFFFF == to_box.newest)
        assert await self.far.hangup() == 200
        record = await self.box.ended_call(self.number)
        assert record["end_reason"] == "caller_hangup"
        return next(leg["stats"] for leg in record["legs"] if leg["direction"] == "inbound")


@contextlib.asynccontextmanager
async def talk(box, to_box=Weather(), to_phone=Weather()):
    link = Link(SEED, to_box, to_phone)
    async with desk_phone() as desk, Phone(link=link) as phone:
        number = await number_of(box, await registered(box, desk))
        call = await phone.call(number, box.sip)
        assert call.status == 200
        at_desk = await desk.next_call()
        call.media.tone(440)
        at_desk.media.tone(700)
        yield Talk(box, number, link, call, at_desk)


def assert_all_counted(it, stats):
    """The record and the phone know exactly what the network did, and nothing else was lost."""
    to_box = it.link.to_box
    assert (stats["packets"], stats["lost"]) == (len(to_box.delivered), to_box.missing), stats
    assert it.far.media.lost == it.link.to_phone.missing


async def endured(box, weather):
    """Ten seconds of such weather both ways, in which either is understood; the talk and its leg's figures."""
    async with talk(box, weather, weather) as it:
        await it.go_on()
        it.assert_understood(8)
        stats = await it.measured()
    assert_all_counted(it, stats)
    return it, stats


@pytest.mark.parametrize(("percent", "least"), [(1, 4.0), (5, 3.5), (20, 2.0)])
async def test_a_call_is_understood_in_spite_of_losses_and_its_record_counts_them(box, percent, least):
    it, stats = await endured(box, Weather(loss=percent / 100))
    assert it.link.to_box.missing > 0 and it.link.to_phone.missing > 0
    assert stats["mos"] >= least, stats


async def test_a_call_whose_packets_come_unevenly_is_understood_and_nothing_counts_as_lost(box):
    _, stats = await endured(box, Weather(jitter=0.05))
    assert stats["lost"] == 0 and stats["jitter_ms"] > 10 and stats["mos"] >= 4.0, stats


async def test_packets_that_overtake_each_other_are_not_counted_as_lost(box):
    it, stats = await endured(box, Weather(overtaken=0.05))
    assert it.link.to_box.overtaken and it.link.to_phone.overtaken
    assert stats["lost"] == 0 and stats["mos"] >= 4.0, stats


async def test_a_long_way_is_measured_and_heard(box):
    far = Weather(delay=0.15)
    async with talk(box, far, far) as it:
        await it.go_on()
        it.assert_understood(8)
        await reported(it.far)
        it.far.media.reports.send(it.far.media.reports.compound(lost=0))
        await reported(it.far, lambda report: report.blocks and report.blocks[0].last_report)
        stats = await it.measured()
    assert_all_counted(it, stats)
    assert stats["lost"] == 0 and stats["rtt_ms"] >= 299 and stats["mos"] >= 4.0, stats


async def test_a_network_that_is_gone_for_ten_seconds_does_not_end_the_call(box):
    async with talk(box) as it:
        await it.go_on(100)
        it.link.cut(500)
        await eventually(lambda: not it.link.is_cut, 60, "the network is back")
        await it.go_on(200)
        it.assert_understood(3)
        stats = await it.measured()
    assert it.link.to_box.missing == it.link.to_phone.missing == 500
    assert_all_counted(it, stats)


async def test_a_network_that_stays_away_ends_the_call_and_the_record_says_why(box):
    async with talk(box) as it:
        await it.go_on(100)
        it.link.cut(10**6)
        for call in (it.far, it.desk):
            await asyncio.wait_for(call.ended.wait(), 60)
        record = await it.box.ended_call(it.number)
    assert record["end_reason"] == "media_timeout"
    stats = next(leg["stats"] for leg in record["legs"] if leg["direction"] == "inbound")
    assert (stats["packets"], stats["lost"]) == (len(it.link.to_box.delivered), 0), stats


#: One for each packet.
TONES = [300 + 100 * n for n in range(10)]


async def test_packets_that_overtake_each_other_are_heard_in_the_order_in_which_they_were_said(box):
    async with talk(box, Weather(overtaken=0.05)) as it:
        await it.go_on(50)
        await it.far.media.play([sample for _ in range(50) for hz in TONES for sample in sine(hz, 0.02)])
        await it.go_on(50)
        heard = it.desk.media.heard()
    parts = (heard[n : n + 160] for n in range(0, len(heard), 160))
    best = [max((share(part, hz, 8000), hz) for hz in TONES) for part in parts]
    frames = [hz for clear, hz in best if clear > 0.9]
    back = [pair for pair in zip(frames, frames[1:]) if (pair[1] - pair[0]) % 1000 > 500]
    overtaken = len(it.link.to_box.overtaken)
    assert overtaken > 15 and not back and len(frames) > 500 - overtaken / 2, f"{len(frames)} of 500 frames, {overtaken} were overtaken: {back}"


async def test_what_is_lost_on_the_way_to_the_box_is_no_silence_at_the_desk_phone(own_box):
    box = await asyncio.to_thread(own_box, "--room-codec", "opus")
    async with talk(box, Weather(loss=0.05)) as it:
        await it.go_on()
        heard = it.desk.media.heard(8)
    silent = [n for n in range(0, len(heard), 160) if level_db(heard[n : n + 160]) < -45]
    assert it.link.to_box.missing and not silent, f"{len(silent)} of 400 frames are silent, {it.link.to_box.missing} were lost"
