"""Who places the calls of a benchmark?  sipp, two callers to a room; `callers.py` is their audio."""

import asyncio
import subprocess
from pathlib import Path

import callers
from boxkit import free_port

SCENARIO = Path(__file__).resolve().with_name("pair.xml")
RATE = 10  # new calls a second
SLOW = 150  # seconds that all calls together may take longer than planned


class Dialer:
    """So many callers, and a number for each two of them."""

    def __init__(self, box, people, folder):
        self.box, self.callers, self.folder = box, people, folder

    @classmethod
    async def made(cls, box, sip, count, folder):
        """`sip` (a `LiveKitSip`) has the numbers."""
        people = await callers.open_callers(count)
        numbers = [(await sip.inbound(f"bench-{sip.tag}-{pair}"))[0] for pair in range((count + 1) // 2)]
        rows = [f"{numbers[n // 2]};{caller.port};+3161{n:07};" for n, caller in enumerate(people)]
        (folder / "callers.csv").write_text("SEQUENTIAL\n" + "\n".join(rows) + "\n")
        return cls(box, people, folder)

    async def place(self, calls, seconds, answered):
        """So many calls of `seconds` each, the callers in turn; `answered` gets the caller's place in the list and when it
        was dialled, rang (0: never) and was answered. Returns sipp's exit code: 0 when all calls went as they should."""
        log = self.folder / "answered.log"
        log.write_text("")
        process = subprocess.Popen(
            ["sipp", "{}:{}".format(*self.box.sip), "-sf", SCENARIO, "-inf", self.folder / "callers.csv", "-i", "127.0.0.1",
             "-p", str(free_port()), "-m", str(calls), "-l", str(len(self.callers)), "-r", str(RATE), "-d", str(int(seconds * 1000)),
             "-nostdin", "-trace_logs", "-log_file", log, "-timeout", f"{int(calls / RATE + seconds + SLOW)}s"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)
        talk = asyncio.ensure_future(callers.talk(self.callers))
        try:
            await self._follow(log, process, answered)
            return process.returncode
        finally:
            talk.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()

    async def _follow(self, log, process, answered):
        """sipp's log has a line per answered call: our port, the gateway's, and when it was dialled, rang and was answered."""
        places = {caller.port: n for n, caller in enumerate(self.callers)}
        ended, rest = False, ""
        with open(log) as lines:
            while not ended:
                ended = process.poll() is not None  # before the log is read, so that its last lines are
                *whole, rest = (rest + lines.read()).split("\n")
                for line in whole:
                    self._answered(places, line.split()[-8:], answered)
                await asyncio.sleep(0.05)

    def _answered(self, places, words, answered):
        place = places[int(words[0])]
        self.callers[place].peer = ("127.0.0.1", int(words[1]))
        answered(place, *(float(words[n]) + float(words[n + 1]) / 1e6 for n in (2, 4, 6)))

    def close(self):
        for caller in self.callers:
            caller.transport.close()
