"""`./box bench calls N…` and `./box bench ramp [N…]`: what do N calls cost, and how many are too many?

sipp places the calls, two to a room, ten a second, SECONDS each, or as long as all of them need to be up together for
TOGETHER seconds; `callers.py` is their audio (PCMU, 50 packets a second each way). Every gateway of `engines.py` takes the
same steps, until one does not hold its quality. Prints tables; judges nothing but where to stop. The callers take processor
time, too ("bench %", of all cores): where they have none left, the knee is theirs.
"""

import asyncio
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import engines  # noqa: E402  (the path comes first)
from dialer import RATE, Dialer  # noqa: E402
from trunks import LiveKitSip  # noqa: E402

SECONDS, TOGETHER = 30, 20
STEPS = (10, 20, 50, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1000)
TICKS = os.sysconf("SC_CLK_TCK")
HEAD = ("calls", "up", "gw ms/s", "lk ms/s", "gw MB", "180 p50", "p95", "200 p50", "p95", "delay p50", "p95", "loss %", "MOS", "bench %")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else math.nan


def mos(loss, delay):
    """ITU-T G.107 with G.113 appendix I for G.711 with concealment (Ie 0, Bpl 25.1): loss 0 to 1, delay in seconds."""
    late = delay * 1000
    hurt = 0.024 * late + (0.11 * (late - 177.3) if late > 177.3 else 0) + 95 * 100 * loss / (100 * loss + 25.1)
    rating = max(0.0, min(100.0, 93.2 - hurt))
    return 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6


class Step:
    """Some calls and what they showed."""

    def __init__(self, count):
        self.count, self.rings, self.answers = count, [], []
        self.seconds = max(SECONDS, TOGETHER + count / RATE)

    async def run(self, engine, folder):
        async with LiveKitSip(engine.box) as sip:
            dialer = await Dialer.made(engine.box, sip, self.count, folder)
            self.callers = dialer.callers
            pids = engine.pids()
            before = [cpu_seconds(pid) for pid in pids.values()] + [time.process_time(), time.monotonic()]
            await dialer.place(self.count, self.seconds, self._answered)
            after = [cpu_seconds(pid) for pid in pids.values()] + [time.process_time(), time.monotonic()]
        self.gateway, self.livekit, self.own, self.wall = (b - a for a, b in zip(before, after))
        self.memory = rss_mb(pids["gateway"])
        dialer.close()

    def _answered(self, place, dialled, rang, answered):
        if place % 2:  # the first of a pair also waits for the second
            self.answers.append(1000 * (answered - dialled))
            self.rings += [1000 * (rang - dialled)] if rang else []

    # --- figures -------------------------------------------------------------------------------------

    @property
    def up(self):
        return len([caller for caller in self.callers if caller.received])

    @property
    def loss(self):
        missing = sum(caller.missing for caller in self.callers)
        return missing / max(1, missing + sum(caller.received for caller in self.callers))

    @property
    def delays(self):
        return [delay for caller in self.callers for delay in caller.delays]

    @property
    def mos(self):
        return mos(self.loss, statistics.median(self.delays)) if self.delays else math.nan

    def held(self):
        """Every call up, less than one packet in 200 lost, and the best that narrow band can be less a tenth."""
        return self.up == self.count and self.loss < 0.005 and self.mos > 4.3

    def row(self):
        seconds = self.seconds * max(1, self.up)
        late = [1000 * delay for delay in self.delays]
        cells = (self.count, self.up, 1000 * self.gateway / seconds, 1000 * self.livekit / seconds, self.memory,
                 percentile(self.rings, 0.5), percentile(self.rings, 0.95), percentile(self.answers, 0.5), percentile(self.answers, 0.95),
                 percentile(late, 0.5), percentile(late, 0.95), 100 * self.loss, self.mos,
                 100 * self.own / self.wall / os.cpu_count())
        return "".join(f"{cell:>10}" if isinstance(cell, int) else f"{cell:>10.2f}" for cell in cells)


def cpu_model():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def measure(name, start, steps):
    print(f"\n{name}: pairs of calls, PCMU phones, {SECONDS} s or more, {RATE} new calls a second; times in ms, delay from phone to phone by tone onset")
    print("".join(f"{word:>10}" for word in HEAD), flush=True)
    knee = broken = None
    with start() as engine:
        for count in steps:
            step = Step(count)
            with tempfile.TemporaryDirectory(prefix="scaibox-bench-") as folder:
                asyncio.run(step.run(engine, Path(folder)))
            print(step.row(), flush=True)
            if not step.held():
                broken = count
                break
            knee = count
    print(f"the last step that held its quality: {knee}" + (f"; {broken} did not" if broken else "; none larger was tried"))


def main(words):
    steps = [int(word) for word in words] or STEPS
    print(f"{os.cpu_count()} cores, {cpu_model()}, load {os.getloadavg()[0]:.1f}")
    for name, start in engines.chosen():
        measure(name, start, steps)


if __name__ == "__main__":
    main(sys.argv[1:])
