"""A booted box as its peers see it: HTTPS, SIP, open ports. Nothing here looks inside."""

import secrets
import subprocess
import xml.etree.ElementTree as xml
from pathlib import Path

import requests
import urllib3
from boxkit import Api, until
from lan import BOX, NEIGHBOUR
from media import PCMU
from tones import read_wav, runs, sine

urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
SCENARIO = Path(__file__).resolve().parent / "sipp" / "leave-tone.xml"
SLOW = 120  # an emulated processor
TONE = 880


class RemoteBox:
    """`claim` it with the code of its console, then `api` is its operator's."""

    def __init__(self, host=BOX, key=None):
        self.host, self.origin, self.key = host, f"https://{host}", key
        self.api = self._api()

    def _api(self):
        api = Api(self.origin, self.key)
        api.http.verify = False  # the certificate is the box's own
        return api

    def answers(self, limit=SLOW):
        def health():
            try:
                return self.api.raw("GET", "/v1/health").ok
            except requests.RequestException:
                return False

        return until(health, limit, f"{self.origin} answers", every=1)

    def update(self, holds, why, limit=5 * SLOW, every=1):
        """What the API says of updates as soon as it holds; the box may be away meanwhile."""

        def look():
            try:
                now = self.api.get("/v1/update", timeout=60)
            except (OSError, AssertionError):
                return None
            return now if holds(now) else None

        return until(look, limit, why, every)

    def claim(self, code, email="operator@example.com"):
        password = secrets.token_urlsafe(12)
        answer = self.api.raw("POST", "/v1/setup/claim", json={"code": code, "email": email, "password": password}, timeout=SLOW)
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        session = self.api.post("/v1/session", {"email": email, "password": password}, timeout=SLOW)
        key = self.api.post("/v1/keys", {"name": "test", "role": "operator"}, timeout=SLOW, headers={"X-CSRF-Token": session["csrf_token"]})
        self.key = key["secret"]
        self.api = self._api()

    def voicemail_number(self, number="+31201234567", peer=NEIGHBOUR):
        """A number that records whoever calls from `peer`."""
        trunk = self.api.post("/v1/trunks", {
            "name": f"from {peer}", "sip_server_address": peer, "sip_transport": "udp", "auth_mode": "ip", "register": False,
            "allowed_addresses": [f"{peer}/32"]})
        extension = self.api.post("/v1/extensions", {"number": "100", "name": "Reception", "type": "voicemail"})
        dialplan = self.api.post("/v1/dialplans", {"name": "Always", "rules": [{
            "priority": 100, "enabled": True, "match_type": "always", "match_params": {},
            "action_type": "voicemail", "action_params": {"extension_id": extension["id"]}}]})
        self.api.post("/v1/dids", {"number": number, "label": "Main", "enabled": True, "trunk_id": trunk["id"], "dialplan_id": dialplan["id"]})

        def synced():
            now = self.api.get(f"/v1/trunks/{trunk['id']}")
            return now["sync_status"] == "synced"

        until(synced, SLOW, "the trunk is synced", every=1)
        return number

    def leave_tone(self, number, folder, peer=NEIGHBOUR):
        """sipp calls, sends a tone from the answer on, hangs up after a while."""
        (folder / "tone.ulaw").write_bytes(bytes(PCMU.encode(sine(TONE, 2).tolist())))
        errors = folder / "sipp-errors.txt"
        done = subprocess.run(
            ["sipp", f"{self.host}:5060", "-sf", SCENARIO, "-s", number, "-i", peer, "-mi", peer, "-m", "1", "-nostdin",
             "-timeout", "180s", "-trace_err", "-error_file", errors],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        assert done.returncode == 0, errors.read_text() if errors.exists() else done.returncode

    def shell(self, folder):
        """Opens SSH for a key made in `folder`."""
        key = folder / "id"
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self.api.ask("PUT", "/v1/ssh", json={"hours": 1, "key": key.with_suffix(".pub").read_text()}, timeout=SLOW)
        return Shell(self.host, key)

    def messages(self):
        return [one for one in self.api.get("/v1/voicemails")["items"] if one["stored"]]

    def message(self, index=0, limit=SLOW):
        """(samples, rate) of a stored message, newest first, fetched over HTTPS."""
        until(lambda: len(self.messages()) > index, limit, "the message is stored", every=1)
        answer = self.api.raw("GET", f"/v1/voicemails/{self.messages()[index]['id']}/audio?format=wav", timeout=SLOW)
        assert answer.status_code == 200, answer.text
        return read_wav(answer.content)

    def seconds_of_tone(self, index=0):
        """How long the tone of `leave_tone` is heard in a message, newest first."""
        samples, rate = self.message(index)
        return sum(run.length for run in runs(samples, rate, [TONE]))

    def open_ports(self, source, kind):
        """The ports of all 65535 that answer `source`: {"443": "open", …}; kind is "tcp" or "udp".

        A port whose packets are dropped says nothing and is not in the answer; "closed" is one that the firewall
        lets through to where nobody listens.
        """
        scan = {"tcp": ["-sS"], "udp": ["-sU"]}[kind]
        out = subprocess.run(
            ["nmap", *scan, "-n", "-Pn", "-p-", "-S", source, "-e", "br0", "--min-rate", "5000", "--max-retries", "1", "-oX", "-", self.host],
            check=True, capture_output=True, text=True).stdout
        answered, scan = {}, xml.fromstring(out)
        for port in scan.iter("port"):
            answered[port.get("portid")] = port.find("state").get("state")
        for many in scan.iter("extraports"):  # where many ports said the same, nmap gives their ranges
            for reason in many.iter("extrareasons"):
                answered |= dict.fromkeys(numbers(reason.get("ports")), many.get("state"))
        return {number: state for number, state in answered.items() if state in ("open", "closed")}


class Shell:
    """`shell("command")` is what it says on stdout; a command that fails, fails the test."""

    def __init__(self, host, key):
        quiet = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes", "IdentitiesOnly=yes"]
        self.ssh = ["ssh", "-i", key, *(word for option in quiet for word in ("-o", option)), f"root@{host}"]

    def __call__(self, command, given=b""):
        done = subprocess.run([*self.ssh, command], input=given, capture_output=True)
        assert done.returncode == 0, f"{command}: {done.returncode} {done.stderr.decode()}"
        return done.stdout

    def lost(self, command):
        """A command whose machine restarts under it."""
        subprocess.run([*self.ssh, command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def numbers(ranges):
    """"1-3,7" as {"1", "2", "3", "7"}."""
    bounds = [part.split("-") for part in ranges.split(",")]
    return {str(number) for first, *last in bounds for number in range(int(first), int(last[0] if last else first) + 1)}
