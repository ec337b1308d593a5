"""Runs an acceptance suite for LiveKit SIP gateways against a fresh box: `acceptance.py DIR [case…]`."""

import os
import subprocess
import sys
from pathlib import Path

from boxkit import Box

SUITE = "livekit_sip_contract.py"

folder = Path(sys.argv[1])
with Box() as box:
    keys = box.facts["livekit"]
    told = {"LIVEKIT_URL": keys["url"], "LIVEKIT_API_KEY": keys["api_key"], "LIVEKIT_API_SECRET": keys["api_secret"],
            "SIP_HOST": box.sip[0], "SIP_PORT": str(box.sip[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    status = subprocess.run([sys.executable, folder / SUITE, *sys.argv[2:]], env={**os.environ, **told}).returncode
    if status:
        print(box.tails(), file=sys.stderr)
sys.exit(status)
