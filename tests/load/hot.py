"""`./box bench hot [CALLS]`: where does the gateway's time go while it carries calls?

perf samples the process for SECONDS of CALLS quiet calls of PCMU (50), with the kernel's share. Prints the functions
with the most time of their own, and leaves the stacks, one per line with its count, in FILE: the form that every
flame graph viewer takes (speedscope.app opens it as it is). Needs perf (Debian: linux-perf) and the right to use it.
"""

import asyncio
import collections
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import engines  # noqa: E402  (the path comes first)
from dialer import Dialer  # noqa: E402
from trunks import LiveKitSip  # noqa: E402

CALLS, WARM_UP, SECONDS, RATE = 50, 5, 20, 997
TOP = 20
FILE = Path("hot.folded")


async def recorded(engine, count, folder):
    """perf's own file, of calls that are all up."""
    async with LiveKitSip(engine.box) as sip:
        dialer = await Dialer.made(engine.box, sip, count, folder)
        calls = asyncio.ensure_future(dialer.place(count, WARM_UP + SECONDS + count // 10 + 10, lambda *_: None))
        await asyncio.sleep(count / 10 + WARM_UP)
        data = folder / "perf.data"
        command = ["perf", "record", "-q", "-F", str(RATE), "--call-graph", "dwarf,16384", "-o", data,
                   "-p", str(engine.pids()["gateway"]), "--", "sleep", str(SECONDS)]
        await (await asyncio.create_subprocess_exec(*command)).wait()
        await calls
        dialer.close()
    return data


def folded(data):
    """Stacks, outermost first, with their number of samples."""
    text = subprocess.run(["perf", "script", "--no-inline", "-F", "comm,ip,sym", "-i", data], capture_output=True, text=True, check=True).stdout
    stacks = collections.Counter()
    for sample in text.split("\n\n"):
        thread, *frames = sample.strip().split("\n")
        names = [named(frame) for frame in frames]
        if names:
            stacks[";".join([thread.strip(), *reversed(names)])] += 1
    return stacks


def named(frame):
    """`  7f1c… media::phone::ToPhone::tick+0x12` without the address and the hash of its crate."""
    symbol = frame.strip().partition(" ")[2].replace(";", ",") or "[unknown]"
    return re.sub(r"::h[0-9a-f]{16}$", "", symbol)


def table(stacks):
    total = sum(stacks.values())
    own = collections.Counter()
    for stack, count in stacks.items():
        own[stack.rpartition(";")[2]] += count
    print(f"{total} samples in {SECONDS} s at {RATE} a second: {100 * total / RATE / SECONDS:.1f} % of a core\n")
    print("| own time | function |\n|---|---|")
    for name, count in own.most_common(TOP):
        print(f"| {100 * count / total:.1f} % | `{name}` |")
    print("\n| with all it calls | function |\n|---|---|")
    whole = collections.Counter()
    for stack, count in stacks.items():
        whole.update(dict.fromkeys(set(stack.split(";")), count))
    for name, count in whole.most_common(2 * TOP):
        print(f"| {100 * count / total:.1f} % | `{name}` |")


def main(count):
    with tempfile.TemporaryDirectory(prefix="scaibox-profile-") as folder, engines.own("auto") as engine:
        stacks = folded(asyncio.run(recorded(engine, count, Path(folder))))
    FILE.write_text("".join(f"{stack} {number}\n" for stack, number in stacks.most_common()))
    table(stacks)
    print(f"\nstacks: {FILE.resolve()}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)
