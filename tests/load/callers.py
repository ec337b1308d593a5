"""The audio of many callers: tone bursts one way, counts and onsets the other.

Every caller is silent but for a burst of 60 ms a second. Its delay is from the burst's first sample to the first loud
packet at the other phone, packetisation included; a codec on the way does not matter.
"""

import asyncio
import struct
import time

from media import FRAME, PCMU, PTIME, sine

BURST = 3  # frames
PERIOD = 50
LOUD = 1500
LOUD_OCTETS = frozenset(octet for octet in range(256) if max(map(abs, PCMU.decode(bytes([octet])))) > LOUD)
TONE = [PCMU.encode(sine(400, 1)[n : n + FRAME]) for n in range(0, BURST * FRAME, FRAME)]
SILENCE = PCMU.encode([0] * FRAME)


class Caller(asyncio.DatagramProtocol):
    """One caller's audio socket."""

    def __init__(self, number):
        self.peer, self.other, self.phase = None, None, number * 7 % PERIOD
        self.first = self.last = self.began = self.ended = None
        self.received, self.sent, self.burst_at, self.loud_at, self.delays = 0, 0, None, 0.0, []

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, addr):
        if len(data) < 13 or data[1] & 0x7F != PCMU.number:
            return
        now = time.monotonic()
        (seq,) = struct.unpack_from("!H", data, 2)
        self.last = seq if self.last is None else self.last + ((seq - self.last + 0x8000) & 0xFFFF) - 0x8000
        self.first = self.last if self.first is None else min(self.first, self.last)
        self.began, self.ended, self.received = self.began or now, now, self.received + 1
        if not LOUD_OCTETS.isdisjoint(data[12:92]):
            self._loud(now)

    def _loud(self, now):
        sent = self.other.burst_at if self.other else None
        if sent and now - self.loud_at > PERIOD * PTIME / 2 and now - sent < PERIOD * PTIME / 2:
            self.delays.append(now - sent + PTIME)
        self.loud_at = now

    def speak(self, tick):
        if not self.peer:
            return
        frame = (tick + self.phase) % PERIOD
        if frame == 0:
            self.burst_at = time.monotonic()
        head = struct.pack("!BBHII", 0x80, PCMU.number, self.sent & 0xFFFF, self.sent * FRAME & 0xFFFFFFFF, self.port)
        self.transport.sendto(head + (TONE[frame] if frame < BURST else SILENCE), self.peer)
        self.sent += 1

    @property
    def missing(self):
        """Packets that never came: gaps in the numbers, or a stream that is slower than real time."""
        if not self.received:
            return 0
        numbered = self.last - self.first + 1
        timed = int((self.ended - self.began) / PTIME) - 1
        return max(numbered, timed) - self.received if max(numbered, timed) > self.received else 0


async def talk(callers):
    due, tick = time.monotonic(), 0
    while True:
        for caller in callers:
            caller.speak(tick)
        tick, due = tick + 1, due + PTIME
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def open_callers(count):
    loop = asyncio.get_running_loop()
    callers = [(await loop.create_datagram_endpoint(lambda n=n: Caller(n), local_addr=("127.0.0.1", 0)))[1] for n in range(count)]
    for one, other in zip(callers[::2], callers[1::2]):
        one.other, other.other = other, one
    return callers
