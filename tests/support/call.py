"""`./box call`: places a call, says a sentence, keeps what was heard."""

import argparse
import array
import asyncio
import os
import socket
import subprocess
import sys
import time
import wave

from media import RATE
from phone import Phone


def spoken(text):
    """The sentence as samples, by espeak-ng at its own rate, brought to 8 kHz."""
    out = subprocess.run(["espeak-ng", "--stdout", text], check=True, capture_output=True).stdout
    start = out.index(b"data") + 8
    rate = int.from_bytes(out[24:28], "little")
    samples = array.array("h", out[start : start + (len(out) - start) // 2 * 2])
    step = rate / RATE
    width = max(1, round(step))
    return [sum(samples[int(n * step) : int(n * step) + width]) // width for n in range(int(len(samples) / step) - 1)]


def quiet_for(media, seconds):
    """Was something said, and then nothing for this long?"""
    heard = media.heard()
    recent = heard[-int(seconds * RATE) :]
    return len(heard) > 2 * RATE and max(map(abs, heard)) > 500 and len(recent) == int(seconds * RATE) and max(map(abs, recent)) < 200


async def until(what, limit):
    end = time.monotonic() + limit
    while not what() and time.monotonic() < end:
        await asyncio.sleep(0.1)


def own_address(peer):
    """The address of this machine that `peer` can answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((peer, 9))
        return probe.getsockname()[0]


async def main(args):
    async with Phone(user=args.caller, host=own_address(args.host)) as phone:
        print(f"calling {args.number} at {args.host}:{args.port}")
        call = await phone.dial(args.number, (args.host, args.port))
        await asyncio.wait([asyncio.ensure_future(call.ringing.wait()), call.final], return_when=asyncio.FIRST_COMPLETED, timeout=30)
        if call.ringing.is_set():
            print("it rings")
        answer = await asyncio.wait_for(asyncio.shield(call.final), 60)
        if answer.status != 200:
            print(f"refused: {answer.status} {answer.reason}")
            return 1
        print(f"answered ({call.media.law.name}); listening to the greeting")
        await until(lambda: call.ended.is_set() or quiet_for(call.media, 0.7), 30)
        if not call.ended.is_set():
            print(f"saying: {args.say}")
            await call.media.play(spoken(args.say))
            await until(call.ended.is_set, args.stay)
        if not call.ended.is_set():
            await call.hangup()
        with wave.open(args.heard, "wb") as out:
            out.setparams((1, 2, RATE, 0, "NONE", ""))
            out.writeframes(array.array("h", call.media.heard()).tobytes())
        print(f"hung up; what was heard is in {os.path.abspath(args.heard)} ({len(call.media.heard()) / RATE:.1f} s)")
    return 0


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="./box call", description=__doc__)
    options.add_argument("number")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--caller", default="+31612345678")
    options.add_argument("--say", default="Hello, this is a test. Please call me back.")
    options.add_argument("--stay", type=float, default=1.0, help="seconds to stay after the last word")
    options.add_argument("--heard", default="heard.wav")
    sys.exit(asyncio.run(main(options.parse_args())))
