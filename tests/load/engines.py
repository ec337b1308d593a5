"""Which gateways are measured side by side?

`pcmu`: ours as the box runs it, PCMU goes through unchanged. `opus`: ours with Opus in the room. `livekit-sip`: the
program that LIVEKIT_SIP_BIN names, in our gateway's place. Each has RTP ports for more calls than a box of `./box run`.
"""

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

from boxkit import Box, until
from swapped import configuration

RTP = {"start": 10000, "end": 14001}  # below what boxes and the kernel give out


class Engine:
    """A box and the pids of the two programs that carry its calls."""

    def __init__(self, box, gateway):
        self.box, self.gateway = box, gateway

    def pids(self):
        return {"gateway": self.gateway, "livekit-server": self.box.pids()["livekit-server"]}


@contextlib.contextmanager
def own(codec, rtp=RTP):
    with Box("--room-codec", codec, "--without", "sip-gateway") as box:
        box.start_gateway(*((f"{name} = {box.facts['rtp'][name]}", f"{name} = {port}") for name, port in rtp.items()))
        box.facts["rtp"] = rtp
        until(lambda: answers(box.sip), 30, "the gateway answers")
        yield Engine(box, box.pids()["sip-gateway"])


@contextlib.contextmanager
def livekit_sip():
    with Box("--without", "sip-gateway") as box:
        log = box.data / "log" / "livekit-sip.log"
        with open(log, "ab") as out:
            program = subprocess.Popen(
                [os.environ["LIVEKIT_SIP_BIN"], "--config-body", json.dumps(configuration(box, rtp_port=RTP, max_cpu_utilization=0.99, logging={"level": "warn"}))],
                stdout=out, stderr=out)
        try:
            until(lambda: answers(box.sip), 30, f"livekit-sip answers; see {log}")
            yield Engine(box, program.pid)
        finally:
            program.send_signal(signal.SIGINT)
            try:
                program.wait(10)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()


def udp_ports():
    """Those of IPv4 on this machine that somebody holds, one for each socket."""
    return [int(line.split()[1].rpartition(":")[2], 16) for line in Path("/proc/net/udp").read_text().splitlines()[1:]]


def answers(sip):
    """Is there somebody on this UDP port?"""
    return sip[1] in udp_ports()


def chosen():
    """(name, context manager) of each gateway that can be measured here."""
    engines = [("pcmu", lambda: own("auto")), ("opus", lambda: own("opus"))]
    if os.environ.get("LIVEKIT_SIP_BIN"):
        engines.append(("livekit-sip", livekit_sip))
    return engines
