"""What does a phone hear and say?  RTP with G.711 and RFC 4733 digits over one UDP socket.

Standard library only: `./box call` uses it on a machine that has nothing but python3.
"""

import array
import asyncio
import bisect
import math
import random
import socket
import struct
import time

from rtcp import Reports, is_rtcp

RATE = 8000
FRAME = 160
PTIME = 0.020
DIGITS = "0123456789*#ABCD"


def _ulaw_value(code):
    code ^= 0xFF
    magnitude = (((code & 15) << 1) + 33 << (code >> 4 & 7)) - 33
    return -(magnitude << 2) if code & 0x80 else magnitude << 2


def _alaw_value(code):
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    magnitude = (step << 1 | 1) if segment == 0 else ((step << 1 | 33) << (segment - 1))
    return magnitude << 3 if code & 0x80 else -(magnitude << 3)


class G711:
    """One law: a table each way; encoding takes the nearest value there is."""

    def __init__(self, name, number, value):
        self.name, self.number = name, number
        self.values = [value(code) for code in range(256)]
        ladder = sorted((value, code) for code, value in enumerate(self.values))
        steps = [value for value, _ in ladder]

        def nearest(sample):
            right = min(bisect.bisect_left(steps, sample), 255)
            left = max(right - 1, 0)
            return ladder[left if sample - steps[left] <= steps[right] - sample else right][1]

        # Every 8th value is finer than either law's finest step needs to be told apart.
        self.codes = [nearest(sample << 3) for sample in range(-4096, 4096)]

    def encode(self, samples):
        return bytes(self.codes[(max(-32768, min(32767, int(sample))) >> 3) + 4096] for sample in samples)

    def decode(self, payload):
        return [self.values[code] for code in payload]


PCMU = G711("PCMU", 0, _ulaw_value)
PCMA = G711("PCMA", 8, _alaw_value)
LAWS = {law.name: law for law in (PCMU, PCMA)}


def sine(hz, seconds, level=8000, rate=RATE):
    return [int(level * math.sin(2 * math.pi * hz * n / rate)) for n in range(int(seconds * rate))]


def udp(host, port):
    """A socket of this machine."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.bind((host, port))
    except BaseException:
        made.close()
        raise
    return made


async def open_pair(host, audio, reports, bind=udp):
    """Two ports, one above the other, for these two protocols; returns their transports and the lower port."""
    loop = asyncio.get_running_loop()
    while True:
        lower = bind(host, 0)
        port = lower.getsockname()[1]
        try:
            upper = bind(host, port + 1)
        except (OSError, OverflowError):
            lower.close()  # somebody else has it
            continue
        pair = [(await loop.create_datagram_endpoint(lambda one=one: one, sock=sock))[0] for one, sock in ((audio, lower), (reports, upper))]
        return *pair, port


class Media(asyncio.DatagramProtocol):
    """One audio stream of a call. `link` is a network on its way (`relay.Link`), `bind` makes its sockets."""

    def __init__(self, host, law, link=None, bind=udp):
        self.host, self.law, self.digit_type = host, law, 101
        self.link, self.bind = link, bind
        self.peer = None
        self.sends = True
        self.packets = 0
        self.frames = {}  # extended sequence number -> samples
        self.digits = ""
        self.first_at = None
        self._cycles, self._newest, self._digit_stamps, self._seen = 0, None, set(), set()
        self._source, self._done = None, None
        self._seq, self._stamp, self._ssrc = random.getrandbits(15), random.getrandbits(30), random.getrandbits(32)
        self._task, self._pressing = None, False
        self.sent, self.dropped = 0, []
        self.drop_every = None  # every n-th frame is lost on the way: its number is in `dropped`
        self.reports = Reports(self)

    async def open(self):
        """Takes a port for audio and the one above it for reports."""
        self.transport, self.reports.transport, self.port = await open_pair(self.host, self, self.reports, self.bind)
        if self.link:
            self.port = await self.link.open(self.host, self.port)
        return self

    async def move(self, host):
        """To ports of another address."""
        self.transport.close()
        self.reports.transport.close()
        self.host = host
        await self.open()

    def start(self, peer):
        """Sends to `peer` from now on: what is played, silence otherwise."""
        self.peer = self.link.towards(peer) if self.link else peer
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    def close(self):
        if self._task:
            self._task.cancel()
        self.transport.close()
        self.reports.transport.close()
        if self.link:
            self.link.close()

    # --- hearing ---------------------------------------------------------------------------------

    def datagram_received(self, data, addr):
        if len(data) < 12 or data[0] >> 6 != 2:
            return
        if is_rtcp(data):
            return self.reports.take(data, muxed=True)
        kind, seq, stamp = data[1] & 0x7F, *struct.unpack_from("!HI", data, 2)
        seq = self._extended(seq)
        self._seen.add(seq)
        payload = data[12 + 4 * (data[0] & 15) :]
        if kind == self.digit_type:
            self._digit(payload, stamp)
        elif kind == self.law.number:
            self.packets += 1
            self.first_at = self.first_at or time.monotonic()
            self.frames[seq] = self.law.decode(payload)

    def _extended(self, seq):
        if self._newest is not None:
            if seq < self._newest - 0x8000:
                self._cycles += 0x10000
            elif seq > self._newest + 0x8000:
                return self._cycles - 0x10000 + seq
        self._newest = seq
        return self._cycles + seq

    def _digit(self, payload, stamp):
        """A digit counts once, when its first packet arrives."""
        if len(payload) >= 4 and stamp not in self._digit_stamps and payload[0] < len(DIGITS):
            self._digit_stamps.add(stamp)
            self.digits += DIGITS[payload[0]]

    def heard(self, seconds=None):
        """The newest samples, in order; all of them without `seconds`."""
        order = sorted(self.frames)
        if seconds is not None:
            order = order[-int(seconds / PTIME) :]
        return [sample for seq in order for sample in self.frames[seq]]

    @property
    def ssrc(self):
        return self._ssrc

    @property
    def lost(self):
        return max(self._seen) - min(self._seen) + 1 - len(self._seen) if self._seen else 0

    # --- speaking --------------------------------------------------------------------------------

    def tone(self, hz, level=8000):
        """Speaks a tone until something else is played; None is silence."""
        self._source, self._done = (self._sine(hz, level) if hz else None), None

    async def play(self, samples):
        """Speaks these samples; returns when the last one is sent."""
        whole = array.array("h", samples)
        whole.extend([0] * (-len(whole) % FRAME))
        self._done = asyncio.get_running_loop().create_future()
        self._source = iter([whole[n : n + FRAME] for n in range(0, len(whole), FRAME)])
        await self._done

    @staticmethod
    def _sine(hz, level):
        step, n = 2 * math.pi * hz / RATE, 0
        while True:
            yield [int(level * math.sin(step * (n + i))) for i in range(FRAME)]
            n += FRAME

    def _next_frame(self):
        frame = next(self._source, None) if self._source else None
        if frame is None and self._source:
            self._source = None
            if self._done and not self._done.done():
                self._done.set_result(None)
        return self.law.encode(frame if frame is not None else [0] * FRAME)

    async def _run(self):
        due = time.monotonic()
        while True:
            if self.sends and not self._pressing:
                self._packet(self.law.number, self._next_frame(), self._stamp)
                self.sent += 1
            self._stamp += FRAME
            due += PTIME
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _packet(self, kind, payload, stamp, marker=False):
        head = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), self._seq & 0xFFFF, stamp & 0xFFFFFFFF, self._ssrc)
        self._seq += 1
        if self.drop_every and self._seq % self.drop_every == 0:
            self.dropped.append(self._seq - 1)
        elif self.peer and not self.transport.is_closing():
            self.transport.sendto(head + payload, self.peer)

    async def press(self, digits, length=0.1, pause=0.1):
        """RFC 4733: a packet every 20 ms while the key is down, the last one three times."""
        for digit in digits:
            event, stamp, steps = DIGITS.index(digit), self._stamp, max(2, round(length / PTIME))
            self._pressing = True
            for step in range(1, steps + 1):
                last = step == steps
                for _ in range(3 if last else 1):
                    self._packet(self.digit_type, struct.pack("!BBH", event, (0x80 if last else 0) | 10, step * FRAME), stamp, step == 1)
                await asyncio.sleep(PTIME)
            self._pressing = False
            await asyncio.sleep(pause)
