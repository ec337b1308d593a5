"""livekit-sip's place taken by our own gateway, which reads its configuration: where livekit-sip itself is not to be had."""

import os
import signal
from pathlib import Path

from boxkit import PROGRAMS, Box, until

SCRIPT = """#!/bin/sh
[ ! -e {folder}/broken ] || exit 3
echo '{{"level":"error","ts":1764141336.5,"logger":"sip","msg":"inbound call failed","error":"no answer from +31612345678","callID":"SCL_example"}}'
echo 'starting without JSON' >&2
exec {program} "$@"
"""


def stand_in(folder):
    """A program that says two lines, then becomes our gateway; while there is a file `broken` beside it, it only ends."""
    path = folder / "livekit-sip"
    path.write_text(SCRIPT.format(folder=folder, program=PROGRAMS / "sip-gateway"))
    path.chmod(0o755)
    return path


class LiveKitSipBox(Box):
    """A box whose calls are livekit-sip's: the given program's, or LIVEKIT_SIP_BIN's."""

    def __init__(self, program=None, *options):
        self.variables = {"LIVEKIT_SIP_BIN": str(program)} if program else {}
        super().__init__("--engine", "livekit-sip", *options)

    def engine_pid(self):
        """livekit-sip's process: the only child of its keeper."""
        children = children_of(self.pids()["sip-gateway"])
        return children[0] if len(children) == 1 else None

    def kill_engine(self):
        """kill -9; returns once another process has taken its place."""
        old = self.engine_pid()
        os.kill(old, signal.SIGKILL)
        return until(lambda: self.engine_pid() not in (None, old) and self.engine_pid(), 30, "a new livekit-sip")

    def ready(self):
        return self.api.raw("GET", "/v1/ready").json()


def children_of(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def runs(pid):
    """Is there such a process, and is it no zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
