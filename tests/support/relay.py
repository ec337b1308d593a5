"""What does a bad network do to a call?  A relay between a phone's audio and the box: loss, delay, jitter, overtaking, outages.

The n-th packet of a direction has the same fate whenever the seed is the same. Reports (RTCP) only
suffer from delay and outages.
"""

import asyncio
import random
import struct
from collections import deque
from dataclasses import dataclass

from media import open_pair
from rtcp import is_rtcp


@dataclass(frozen=True)
class Weather:
    """Shares of packets that are lost or overtaken by the next one; seconds that all take, and up to so many more."""

    loss: float = 0.0
    overtaken: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0


class Way:
    """One direction: what came in, what became of it. Packets are counted from 0 in the order in which they were sent."""

    def __init__(self, weather, seed):
        self.weather, self.fate = weather, random.Random(seed)
        self.sent, self.dropped, self.delivered, self.overtaken = 0, [], [], []
        self.newest = None  # RTP number of the last one of `delivered` in order of sending
        self.blocked = 0  # so many more vanish
        self._held, self._queue, self._due = None, deque(), 0.0

    def take(self, data, send):
        """A packet of audio."""
        number, self.sent = self.sent, self.sent + 1
        lost, slow, late = (self.fate.random() for _ in range(3))
        held, self._held = self._held, None
        if self.blocked or lost < self.weather.loss:
            self.blocked = max(0, self.blocked - 1)
            self.dropped.append(number)
        elif held is None and slow < self.weather.overtaken:
            self._held = (number, data, send)
            return
        else:
            self._later(number, data, send, self.weather.delay + late * self.weather.jitter)
            if held:
                self.overtaken.append(held[0])
        if held:
            self._later(*held, self.weather.delay)

    def _later(self, number, data, send, wait):
        """Jitter does not change the order."""
        loop = asyncio.get_running_loop()
        self._queue.append((number, data, send))
        self._due = max(self._due, loop.time() + wait)
        loop.call_at(self._due, self._deliver)

    def _deliver(self):
        number, data, send = self._queue.popleft()
        if number > max(self.delivered, default=-1):
            self.newest = struct.unpack_from("!H", data, 2)[0]
        self.delivered.append(number)
        send(data)

    def flush(self):
        """Nobody speaks any more, so nobody overtakes; true when nothing is on its way."""
        if self._held:
            held, self._held = self._held, None
            self._later(*held, 0)
        return not self._queue

    @property
    def missing(self):
        """How many its listener can know to be lost: those between the first and the last that came."""
        first, last = min(self.delivered), max(self.delivered)
        return len([number for number in self.dropped if first < number < last])


class Link:
    """The network of one call's audio. The box sees the phone at its ports, the phone sees the box there."""

    def __init__(self, seed, to_box=Weather(), to_phone=Weather()):
        self.to_box, self.to_phone = Way(to_box, f"{seed} to the box"), Way(to_phone, f"{seed} to the phone")

    async def open(self, host, port):
        """For a phone with these ports (audio, and reports above); returns the one to tell the box."""
        self.audio, self.reports = Port(self, (host, port)), Port(self, (host, port + 1))
        *_, self.port = await open_pair(host, self.audio, self.reports)
        self.host = host
        return self.port

    def towards(self, box):
        """The box is there; returns where the phone is to send."""
        self.audio.box, self.reports.box = box, (box[0], box[1] + 1)
        return self.host, self.port

    def cut(self, packets):
        """Nothing gets through until so many packets have vanished each way."""
        self.to_box.blocked = self.to_phone.blocked = packets

    @property
    def is_cut(self):
        return self.to_box.blocked > 0 or self.to_phone.blocked > 0

    def close(self):
        self.audio.transport.close()
        self.reports.transport.close()


class Port(asyncio.DatagramProtocol):
    """A socket of the relay, between two addresses."""

    def __init__(self, link, phone):
        self.link, self.phone, self.box = link, phone, None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        way, to = (self.link.to_box, self.box) if addr == self.phone else (self.link.to_phone, self.phone)
        if to is None:
            return
        if not is_rtcp(data):
            way.take(data, lambda data: self._send(data, to))
        elif not way.blocked:
            asyncio.get_running_loop().call_later(way.weather.delay, self._send, data, to)

    def _send(self, data, to):
        if not self.transport.is_closing():
            self.transport.sendto(data, to)
