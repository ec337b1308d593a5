"""`./box bench overload [CALLS]`: what do callers get, and how fast, who are too many, and do the others notice?

The gateway has RTP ports for CALLS calls (50). All of them are up, in pairs, as in `ramp.py`, once by themselves and once while
half as many again are tried, ten a second. Prints a row for each, and what the refused ones were told.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import engines  # noqa: E402  (the path comes first)
from boxkit import eventually  # noqa: E402
from dialer import RATE  # noqa: E402
from phone import Phone  # noqa: E402
from ramp import HEAD, Step, cpu_model, percentile  # noqa: E402
from trunks import LiveKitSip  # noqa: E402

CALLS = 50


class Crowded(Step):
    """A step during which `more` callers find no place."""

    def __init__(self, count, more):
        super().__init__(count)
        self.more, self.refusals, self.waits = more, [], []

    async def run(self, engine, folder):
        knocking = asyncio.ensure_future(self._knock(engine.box))
        await super().run(engine, folder)
        await knocking

    async def _knock(self, box):
        await eventually(lambda: len(self.answers) == self.count // 2, 60, "all calls are up", every=0.5)
        async with LiveKitSip(box) as sip, Phone() as phone:
            number, _ = await sip.inbound(f"late-{sip.tag}")
            await asyncio.gather(*(self._refused(phone, number, box, n / RATE) for n in range(self.more)))

    async def _refused(self, phone, number, box, later):
        await asyncio.sleep(later)
        began = time.monotonic()
        call = await phone.call(number, box.sip)
        self.waits.append(1000 * (time.monotonic() - began))
        self.refusals.append(call.final.result())

    def told(self):
        codes = sorted(answer.status for answer in self.refusals)
        timed = len([answer for answer in self.refusals if answer.get("retry-after")])
        return (f"{len(codes)} more calls: " + ", ".join(f"{codes.count(code)} got {code}" for code in sorted(set(codes)))
                + f", {timed} with Retry-After; INVITE to answer, ms: p50 {percentile(self.waits, 0.5):.1f}, p95 {percentile(self.waits, 0.95):.1f}, "
                + f"longest {max(self.waits):.1f}")


def main(count):
    if count < 4 or count % 2:
        sys.exit(f"{count} calls: two meet in a room, so it must be an even number, 4 or more")
    print(f"{os.cpu_count()} cores, {cpu_model()}, load {os.getloadavg()[0]:.1f}; RTP ports for {count} calls")
    print("".join(f"{word:>10}" for word in HEAD), flush=True)
    alone, crowded = Step(count), Crowded(count, count // 2)
    with engines.own("auto", {"start": 10000, "end": 10000 + 2 * count - 1}) as engine:
        for step in (alone, crowded):
            with tempfile.TemporaryDirectory(prefix="scaibox-bench-") as folder:
                asyncio.run(step.run(engine, Path(folder)))
            print(step.row(), flush=True)
    print(crowded.told())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)
