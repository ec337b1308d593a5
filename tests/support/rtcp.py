"""What does a phone tell of how it hears, and what is it told?  RTCP (RFC 3550 section 6) beside one audio stream.

Standard library only, as all of the phone.
"""

import asyncio
import struct
import time
from dataclasses import dataclass, field

SINCE_1900 = 2208988800


@dataclass
class Block:
    """What somebody says of a stream: the share lost since the last time in 256ths, and all that was lost."""

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    last_report: int = 0
    delay: int = 0

    @classmethod
    def read(cls, data):
        ssrc, loss, highest, jitter, last_report, delay = struct.unpack("!6I", data)
        lost = loss & 0xFFFFFF
        return cls(ssrc, loss >> 24, lost - (1 << 24) if lost >> 23 else lost, highest, jitter, last_report, delay)

    def write(self):
        loss = self.fraction << 24 | self.lost & 0xFFFFFF
        return struct.pack("!6I", self.ssrc, loss, self.highest, self.jitter, self.last_report, self.delay)


@dataclass
class Report:
    """One compound that came, and when."""

    ssrc: int
    packets: int | None = None
    ntp: int = 0
    blocks: list = field(default_factory=list)
    name: bytes = b""
    goodbye: bool = False
    at: float = 0.0
    muxed: bool = False


def is_rtcp(data):
    return len(data) >= 8 and 192 <= data[1] <= 223


def read(data, muxed):
    """Insists on what every compound must have: a report first, whole packets only."""
    found, at = None, 0
    while at < len(data):
        first, kind, words = struct.unpack_from("!BBH", data, at)
        body, at = data[at + 4 : at + 4 + words * 4], at + 4 + words * 4
        assert first >> 6 == 2 and at <= len(data), "a packet is cut short"
        if found is None:
            assert kind in (200, 201), f"begins with packet type {kind}"
            found = Report(struct.unpack_from("!I", body)[0], at=time.monotonic(), muxed=muxed)
            if kind == 200:
                found.ntp, _, found.packets, _ = struct.unpack_from("!QIII", body, 4)
            rest = body[24 if kind == 200 else 4 :]
            found.blocks = [Block.read(rest[n * 24 : n * 24 + 24]) for n in range(first & 31)]
        elif kind == 202 and body[4] == 1:
            found.name = body[6 : 6 + body[5]]
        elif kind == 203:
            found.goodbye = True
    return found


class Reports(asyncio.DatagramProtocol):
    """The RTCP of one `Media`."""

    def __init__(self, media):
        self.media, self.heard = media, []
        self.muxed, self.transport = False, None

    def datagram_received(self, data, addr):
        self.take(data, muxed=False)

    def take(self, data, muxed):
        self.heard.append(read(data, muxed))

    @property
    def newest(self):
        """The last one with figures of a stream that is sent."""
        return next((report for report in reversed(self.heard) if report.packets), None)

    @property
    def age(self):
        """Seconds since the newest came."""
        return time.monotonic() - self.newest.at

    def compound(self, lost, fraction=0, jitter=0, late=0.0):
        """A sender report with what is heard of the gateway; it claims to have had the gateway's own `late` seconds
        shorter than it did, so the way seems longer by that."""
        theirs, now = self.newest, time.time() + SINCE_1900
        delay = int((self.age - late) * 65536)
        block = Block(theirs.ssrc, fraction, lost, 0, jitter, theirs.ntp >> 16 & 0xFFFFFFFF, delay)
        figures = struct.pack("!QIII", int(now * 2**32) & 0xFFFFFFFFFFFFFFFF, 0, self.media.sent, self.media.sent * 160)
        body = struct.pack("!I", self.media.ssrc) + figures + block.write()
        named = struct.pack("!IBB", self.media.ssrc, 1, 5) + b"phone\0"
        return struct.pack("!BBH", 0x81, 200, len(body) // 4) + body + struct.pack("!BBH", 0x81, 202, len(named) // 4) + named

    def send(self, compound, by=None):
        """To where the gateway wants it; `by` another socket, as a stranger."""
        host, port = self.media.peer
        if by is not None:
            by.sendto(compound, (host, port if self.muxed else port + 1))
        elif self.muxed:
            self.media.transport.sendto(compound, (host, port))
        else:
            self.transport.sendto(compound, (host, port + 1))
