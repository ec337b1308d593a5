"""`./box bench calls N`: what do N calls cost?

sipp places the calls, two to a room, for 30 seconds each; this program is their audio (PCMU, 50 packets a
second each way) and counts what comes back. Prints a table; judges nothing.
"""

import asyncio
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from boxkit import Box, free_port  # noqa: E402  (the path comes first)
from media import FRAME, PCMU, PTIME, sine  # noqa: E402
from trunks import LiveKitSip  # noqa: E402

SCENARIO = Path(__file__).resolve().with_name("pair.xml")
SECONDS = 30  # as long as the scenario pauses
WATCHED = ("sip-gateway", "livekit-server")
TICKS = os.sysconf("SC_CLK_TCK")


class Ear(asyncio.DatagramProtocol):
    """One caller's audio socket: counts what it gets, sends a tone once it knows where to."""

    def __init__(self):
        self.seen, self.peer, self.first, self.last, self.sent = set(), None, None, None, 0

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, addr):
        if len(data) > 12 and data[1] & 0x7F == 0:
            (seq,) = struct.unpack_from("!H", data, 2)
            base = self.last if self.last is not None else seq
            self.last = base + ((seq - base + 0x8000) & 0xFFFF) - 0x8000
            self.seen.add(self.last)
            self.first = self.first or time.monotonic()

    def speak(self, payload):
        if self.peer:
            head = struct.pack("!BBHII", 0x80, 0, self.sent & 0xFFFF, self.sent * FRAME & 0xFFFFFFFF, self.port)
            self.transport.sendto(head + payload, self.peer)
            self.sent += 1

    @property
    def lost(self):
        return max(self.seen) - min(self.seen) + 1 - len(self.seen) if self.seen else 0


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def speak(ears):
    tone = sine(400, 1)
    frames = [PCMU.encode(tone[n : n + FRAME]) for n in range(0, len(tone), FRAME)]
    due, n = time.monotonic(), 0
    while True:
        for ear in ears:
            ear.speak(frames[n % len(frames)])
        n, due = n + 1, due + PTIME
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def follow(log, ears, process):
    """sipp's log has a line per answered call: our port and the gateway's."""
    by_port, read = {ear.port: ear for ear in ears}, 0
    while process.poll() is None:
        text = log.read_text() if log.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        for line in whole[read:].splitlines():
            ours, theirs = line.split()[-2:]
            by_port[int(ours)].peer = ("127.0.0.1", int(theirs))
        read = len(whole)
        await asyncio.sleep(0.05)
    return process.returncode


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


async def measure(box, count, folder):
    loop = asyncio.get_running_loop()
    ears = [(await loop.create_datagram_endpoint(Ear, local_addr=("127.0.0.1", 0)))[1] for _ in range(count)]
    async with LiveKitSip(box) as sip:
        numbers = [(await sip.inbound(f"bench-{sip.tag}-{pair}"))[0] for pair in range((count + 1) // 2)]
        rows = [f"{numbers[n // 2]};{ear.port};+3161{n:07};" for n, ear in enumerate(ears)]
        (folder / "callers.csv").write_text("SEQUENTIAL\n" + "\n".join(rows) + "\n")
        pids = {name: box.pids()[name] for name in WATCHED}
        before, began = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.monotonic()
        process = subprocess.Popen(
            ["sipp", f"{box.sip[0]}:{box.sip[1]}", "-sf", SCENARIO, "-inf", folder / "callers.csv", "-i", "127.0.0.1",
             "-p", str(free_port()), "-m", str(count), "-l", str(count), "-r", str(max(2, count // 2)), "-nostdin",
             "-trace_logs", "-log_file", folder / "answered.log", "-trace_rtt", "-rtt_freq", "1", "-timeout", "120s"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        talk = asyncio.ensure_future(speak(ears))
        peak = asyncio.ensure_future(watch_memory(pids))
        try:
            status = await follow(folder / "answered.log", ears, process)
        finally:
            talk.cancel()
            peak.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    report(count, ears, cpu, peak_of(pids), setups(folder), status, time.monotonic() - began)


PEAKS = {}


async def watch_memory(pids):
    while True:
        for name, pid in pids.items():
            PEAKS[name] = max(PEAKS.get(name, 0.0), rss_mb(pid))
        await asyncio.sleep(0.5)


def peak_of(pids):
    return {name: PEAKS.get(name, 0.0) for name in pids}


def setups(folder):
    """Milliseconds from INVITE to 200, from sipp's own clock."""
    found = []
    for file in folder.glob("*_rtt.csv"):
        for line in file.read_text().splitlines()[1:]:
            found.append(float(line.split(";")[1]))
    return found


def report(count, ears, cpu, memory, setup, status, wall):
    answered = [ear for ear in ears if ear.peer]
    seconds = SECONDS * len(answered)
    packets, lost = sum(len(ear.seen) for ear in ears), sum(ear.lost for ear in ears)
    print(f"{count} calls in pairs, PCMU, {SECONDS} s: {len(answered)} answered, {seconds} call seconds in {wall:.0f} s, sipp status {status}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {cpu_model()}")
    print(f"{'process':16} {'CPU s':>8} {'ms CPU per call second':>24} {'RSS MB':>8}")
    for name in WATCHED:
        print(f"{name:16} {cpu[name]:8.2f} {1000 * cpu[name] / max(seconds, 1e-9):24.2f} {memory[name]:8.1f}")
    median = statistics.median(setup) if setup else float("nan")
    print(f"set-up: p50 {median:.0f} ms, p95 {percentile(setup, 0.95):.0f} ms (the first of a pair also waits for the second)")
    print(f"audio back: {packets} packets, {lost} lost, {len([ear for ear in answered if not ear.seen])} calls heard nothing")


def cpu_model():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    with Box() as running, tempfile.TemporaryDirectory(prefix="scaibox-bench-") as place:
        asyncio.run(measure(running, int(sys.argv[1]), Path(place)))
