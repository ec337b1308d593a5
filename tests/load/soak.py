"""`./box bench soak [--calls N] [--minutes M] [--short S]`: does anything grow, or stay behind?

N calls at once for M minutes, then S calls of a second each, ten a second; a sample of the gateway and of livekit-server
every minute, before, and 40 s after the last call. Then a verdict on each of what was measured; exit code 1 if one is bad.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import engines  # noqa: E402  (the path comes first)
from boxkit import eventually  # noqa: E402
from dialer import RATE, Dialer  # noqa: E402
from ramp import cpu_model, rss_mb  # noqa: E402
from trunks import LiveKitSip  # noqa: E402

AFTER = 40  # seconds: what a call holds must be free by then
SHORT = 1.0  # seconds
AT_ONCE = 30  # short calls, so that none begins where another has not ended
FLAT = 0.02
IDLE = 4  # connections that a program keeps open for its next request
HEAD = ("what", "minute", "gw fds", "gw MB", "lk fds", "lk MB", "RTP ports")


@dataclass
class Sample:
    what: str
    minute: int
    descriptors: dict  # by program
    memory: dict  # MB, by program
    ports: int

    def row(self):
        figures = [figure for name in self.memory for figure in (self.descriptors[name], self.memory[name])]
        cells = [self.minute, *figures, self.ports]
        return f"{self.what:<10}" + "".join(f"{cell:>10}" if isinstance(cell, int) else f"{cell:>10.1f}" for cell in cells)


class Watch:
    """The samples of an engine, printed as they are taken."""

    def __init__(self, engine):
        self.engine, self.samples = engine, []

    def ports(self):
        """Of phones' audio and reports."""
        rtp = self.engine.box.facts["rtp"]
        return len([port for port in engines.udp_ports() if rtp["start"] <= port <= rtp["end"]])

    def sample(self, what, minute=0):
        pids = self.engine.pids()
        descriptors = {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()}
        self.samples.append(Sample(what, minute, descriptors, {name: rss_mb(pid) for name, pid in pids.items()}, self.ports()))
        print(self.samples[-1].row(), flush=True)

    async def every_minute(self, what, minutes=None):
        minute = 0
        while minutes is None or minute <= minutes:
            self.sample(what, minute)
            minute += 1
            await asyncio.sleep(60)

    def named(self, what):
        return [sample for sample in self.samples if sample.what == what]


class Tally:
    """Which calls were answered, and when `wanted` of them had been."""

    def __init__(self, wanted):
        self.wanted, self.count, self.all = wanted, 0, asyncio.Event()

    def __call__(self, *_):
        self.count += 1
        if self.count == self.wanted:
            self.all.set()


async def held(engine, watch, sip, folder, count, minutes):
    """All up for the whole of the minutes; returns the verdict's line."""
    dialer, tally = await Dialer.made(engine.box, sip, count, folder), Tally(count)
    calling = asyncio.ensure_future(dialer.place(count, minutes * 60 + count / RATE + 5, tally))
    everybody = asyncio.ensure_future(tally.all.wait())
    await asyncio.wait([calling, everybody], return_when=asyncio.FIRST_COMPLETED)
    sampling = asyncio.ensure_future(watch.every_minute("held", minutes))
    code = await calling
    for task in (everybody, sampling):
        task.cancel()
    missing, received = (sum(getattr(caller, name) for caller in dialer.callers) for name in ("missing", "received"))
    dialer.close()
    loss = missing / max(1, missing + received)
    return code == 0 and tally.count == count, f"{tally.count} of {count} calls held for {minutes} min, {100 * loss:.4f} % of their packets lost"


async def short(engine, watch, sip, folder, count, what="short"):
    dialer, tally = await Dialer.made(engine.box, sip, AT_ONCE, folder), Tally(count)
    sampling = asyncio.ensure_future(watch.every_minute(what)) if what else None
    code = await dialer.place(count, SHORT, tally)
    if sampling:
        sampling.cancel()
    dialer.close()
    return code == 0 and tally.count == count, f"{tally.count} of {count} short calls answered, sipp ended with {code}"


def flat(samples, program):
    """Is the last half of them within 2 % of its mean?"""
    half = [sample.memory[program] for sample in samples[len(samples) // 2 :]]
    if len(half) < 2:
        return None, "too short to say"
    mean = sum(half) / len(half)
    worst = max(abs(value - mean) / mean for value in half)
    return worst <= FLAT, f"last half within {100 * worst:.1f} % of {mean:.1f} MB"


def verdicts(watch):
    before, after = watch.named("before")[0], watch.named("after")[0]
    for program in before.memory:
        for what in ("held", "short"):
            good, said = flat(watch.named(what), program)
            yield good, f"RSS of {program}, {what}: {said}"
        then, now = before.descriptors[program], after.descriptors[program]
        yield now <= then + IDLE, f"descriptors of {program}: {then} before, {now} after"
    yield after.ports == 0, f"RTP ports {AFTER} s after the last call: {after.ports}"


async def run(engine, options, folder):
    watch = Watch(engine)
    print(f"{HEAD[0]:<10}" + "".join(f"{word:>10}" for word in HEAD[1:]), flush=True)
    async with LiveKitSip(engine.box) as sip:
        await short(engine, watch, sip, folder, AT_ONCE, what=None)  # what is opened once and kept is open now
        await eventually(lambda: watch.ports() == 0, AFTER, "the first calls are gone")
        watch.sample("before")
        calls = [await held(engine, watch, sip, folder, options.calls, options.minutes), await short(engine, watch, sip, folder, options.short)]
        await asyncio.sleep(AFTER)
        watch.sample("after")
    return [*calls, *verdicts(watch)]


def main():
    asked = argparse.ArgumentParser(prog="./box bench soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--calls", type=int, default=50, help="held at once (default %(default)s)")
    asked.add_argument("--minutes", type=int, default=30, help="for so long (default %(default)s)")
    asked.add_argument("--short", type=int, default=5000, help="calls afterwards (default %(default)s)")
    options = asked.parse_args()
    for name in ("calls", "short"):
        if getattr(options, name) < 2 or getattr(options, name) % 2:
            asked.error(f"--{name} {getattr(options, name)}: two calls meet in a room, so it must be an even number")
    if options.minutes < 1:
        asked.error(f"--minutes {options.minutes}: at least one")
    print(f"{os.cpu_count()} cores, {cpu_model()}, load {os.getloadavg()[0]:.1f}")
    with engines.own("auto") as engine, tempfile.TemporaryDirectory(prefix="scaibox-soak-") as folder:
        found = asyncio.run(run(engine, options, Path(folder)))
    for good, said in found:
        print({True: "[ok]  ", False: "[bad] ", None: "[?]   "}[good] + said)
    return 0 if all(good is not False for good, _ in found) else 1


if __name__ == "__main__":
    sys.exit(main())
