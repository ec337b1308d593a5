"""A whole box for a test: starts `box-run`, speaks its API, makes trunks and numbers, ends what it started."""

import asyncio
import copy
import http.client
import json
import os
import random
import select
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("BOX_CACHE") or Path.home() / ".cache" / "scaibox")
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target") / "debug"


def until(what, limit=15.0, why="", every=0.05):
    """Asks again until `what()` is true and returns it; the limit makes a broken box fail the test."""
    end = time.monotonic() + limit
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {limit} s: {why or what}"
        time.sleep(every)


async def eventually(what, limit=15.0, why="", every=0.05):
    """`until` for tests whose phones keep talking meanwhile; `what` may be a coroutine function."""
    end = time.monotonic() + limit
    while True:
        answer = what()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {limit} s: {why() if callable(why) else why or what}"
        await asyncio.sleep(every)


class Api:
    """The API as one key holder sees it. `get`, `post`… return parsed JSON and insist on a 2xx; `raw` does neither."""

    def __init__(self, origin, key=None, headers=None):
        self.origin, self.http = origin, requests.Session()
        self.http.trust_env = False
        if key:
            self.http.headers["Authorization"] = f"Bearer {key}"
        self.http.headers.update(headers or {})

    def raw(self, method, path, **kw):
        return self.http.request(method, self.origin + path, timeout=kw.pop("timeout", 15), **kw)

    def ask(self, method, path, **kw):
        answer = self.raw(method, path, **kw)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def get(self, path, **kw):
        return self.ask("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.ask("POST", path, json=body, **kw)

    def patch(self, path, body, **kw):
        return self.ask("PATCH", path, json=body, **kw)

    def delete(self, path):
        return self.ask("DELETE", path)

    def later(self, call, *args, **kw):
        """The same from a coroutine, without stopping its phones: `await api.later(api.get, "/v1/calls")`."""
        return asyncio.to_thread(call, *args, **kw)


class Events:
    """`GET /v1/events` from now on."""

    def __init__(self, api):
        self.answer = api.raw("GET", "/v1/events", stream=True, timeout=(10, 120))
        self.seen = []

    def wait(self, kind, fits=lambda data: True, limit=20.0):
        """The data of the first event of this type that fits; reads on until it comes."""
        for event in self.seen:
            if event["type"] == kind and fits(event["data"]):
                return event["data"]
        end = time.monotonic() + limit
        for event in self._read():
            self.seen.append(event)
            if event["type"] == kind and fits(event["data"]):
                return event["data"]
            assert time.monotonic() < end, f"no {kind} within {limit} s, but {[e['type'] for e in self.seen]}"
        raise AssertionError(f"the event stream ended before {kind}")

    def _read(self):
        fields = {}
        for line in self.answer.iter_lines(chunk_size=1, decode_unicode=True):
            if line:
                name, _, value = line.partition(":")
                fields[name] = fields[name] + "\n" + value.lstrip() if name in fields else value.lstrip()
            elif "data" in fields:
                event = json.loads(fields["data"])
                yield {"type": event["type"], "id": fields.get("id"), "data": event["data"]}
                fields = {}
            else:
                fields = {}

    def close(self):
        self.answer.close()


class Box:
    """A running box; `within` is put before its command."""

    variables = {}

    def __init__(self, *options, data=None, within=()):
        self._folder = None if data else tempfile.TemporaryDirectory(prefix="scaibox-test-")
        self.data = Path(data or self._folder.name)
        self.errors = open(self.data / "box-run.log", "ab")
        command = [*within, PROGRAMS / "box-run", "--json", "--data", self.data, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **self.variables})
        try:
            self.facts = json.loads(self._first_line(180))
        except BaseException:
            self.stop()
            raise
        self.api = Api(self.facts["api"], self.facts["api_key"])
        self.sip = (self.facts["sip"]["host"], self.facts["sip"]["port"])

    def _first_line(self, limit):
        ready, _, _ = select.select([self.process.stdout], [], [], limit)
        line = self.process.stdout.readline() if ready else b""
        assert line, f"the box did not start:\n{(self.data / 'box-run.log').read_text()}\n{self.tails()}"
        return line

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        if self._folder:
            self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # --- parts -----------------------------------------------------------------------------------

    def pids(self):
        return json.loads((self.data / "run" / "pids.json").read_text())

    def kill(self, part):
        """kill -9; returns once another process has taken its place."""
        old = self.pids()[part]
        os.kill(old, signal.SIGKILL)
        return until(lambda: self.pids().get(part) not in (None, old) and self.pids()[part], 30, f"a new {part}")

    def crash(self, part):
        """kill -9, and it stays away until `release`."""
        os.kill(self.pids()[part], signal.SIGKILL)
        self.hold(part)

    def hold(self, part):
        """Stops a part; it stays away until `release`."""
        (self.data / "run" / "hold" / part).touch()
        until(lambda: part not in self.pids(), 30, f"{part} ends")

    def release(self, part):
        (self.data / "run" / "hold" / part).unlink()
        until(lambda: part in self.pids(), 30, f"{part} starts")

    def start_gateway(self, *changes):
        """Of a box that was made `--without sip-gateway`: with each `(old, new)` line of its configuration changed."""
        file = self.data / "config" / "sip-gateway.toml"
        text = file.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{old} in {text}"
            text = text.replace(old, new)
        file.write_text(text)
        self.release("sip-gateway")

    def log(self, part):
        return (self.data / "log" / f"{part}.log").read_text(errors="replace")

    def tails(self):
        files = sorted((self.data / "log").glob("*.log"))
        return "\n".join(f"--- {f.stem}\n" + "\n".join(f.read_text(errors="replace").splitlines()[-30:]) for f in files)

    # --- things to call ----------------------------------------------------------------------------

    def trunk(self, **changes):
        body = {"name": f"Trunk {random.getrandbits(40):x}", "sip_server_address": "127.0.0.1", "sip_transport": "udp",
                "auth_mode": "ip", "register": False, "allowed_addresses": ["127.0.0.0/8"], **changes}
        return self.api.post("/v1/trunks", body)

    def synced(self, trunk, limit=30):
        """Waits until the trunk is in LiveKit as it is stored now."""
        self.api.post(f"/v1/trunks/{trunk['id']}/resync")

        def done():
            now = self.api.get(f"/v1/trunks/{trunk['id']}")
            return now if now["sync_status"] == "synced" else None

        return until(done, limit, "the trunk is synced")

    def dialplan(self, *rules):
        whole = [{"priority": 100 + n, "enabled": True, "match_type": "always", "match_params": {}, "action_params": {}, **rule}
                 for n, rule in enumerate(rules)]
        return self.api.post("/v1/dialplans", {"name": f"Plan {random.getrandbits(40):x}", "rules": whole})

    def extension(self, kind, **more):
        body = {"number": str(random.randint(1000, 999999)), "name": f"Extension {kind}", "type": kind, **more}
        return self.api.post("/v1/extensions", body)

    def number(self, *rules, **trunk):
        """A number that rings through to a dialplan of these rules; returns (number, ids)."""
        plan = self.dialplan(*rules)
        line = self.trunk(**trunk)
        number = new_number()
        did = self.api.post("/v1/dids", {"number": number, "trunk_id": line["id"], "dialplan_id": plan["id"], "label": "test", "enabled": True})
        self.synced(line)
        return number, {"trunk": line["id"], "did": did["id"], "dialplan": plan["id"]}

    def browser_calls(self, carrier, number="+31612340000", **trunk):
        """Somebody at a browser dials a number through a trunk of this carrier; returns what POST /v1/calls says."""
        self.synced(self.trunk(sip_server_address=f"{carrier.host}:{carrier.port}", **trunk))
        user, api = self.user()
        extension = self.extension("wave", user_id=user["id"])
        return api.post("/v1/calls", {"from_extension_id": extension["id"], "to": number})

    def operator(self):
        """An Api as the administrator who signed in, as a browser would use it."""
        answer = Api(self.facts["api"]).raw("POST", "/v1/session", json=self.facts["admin"])
        assert answer.status_code == 201, answer.text
        cookie = answer.headers["set-cookie"].split(";")[0]
        return Api(self.facts["api"], headers={"Cookie": cookie, "X-CSRF-Token": answer.json()["csrf_token"]})

    def tenant(self):
        """The same box as the admin of a new tenant sees it."""
        operator = self.operator()
        tenant = operator.post("/v1/tenants", {"name": f"Tenant {random.getrandbits(40):x}"})
        key = operator.post("/v1/keys", {"name": "test", "role": "admin"}, headers={"Scaibox-Tenant": tenant["id"]})
        other = copy.copy(self)
        other.api = Api(self.facts["api"], key["secret"])
        return other

    def user(self, role="user"):
        """Somebody with an API key of their own; returns (user, Api)."""
        email = f"user-{random.getrandbits(40):x}@example.org"
        user = self.api.post("/v1/users", {"email": email, "name": "Somebody", "role": role, "password": f"pw-{random.getrandbits(60):x}"})
        key = self.api.post("/v1/keys", {"name": email, "role": role, "user_id": user["id"]})
        return user, Api(self.facts["api"], key["secret"])

    def calls(self, number, **fits):
        """The calls to this number, newest first."""
        found = self.api.get("/v1/calls?limit=100")["items"]
        return [call for call in found if call["callee"] == number and all(call[k] == v for k, v in fits.items())]

    async def ended_call(self, number, limit=20):
        """The one call to this number, once it has ended."""
        found = await eventually(lambda: asyncio.to_thread(self.calls, number, state="ended"), limit, f"the call to {number} ends")
        return await asyncio.to_thread(self.api.get, f"/v1/calls/{found[0]['id']}")


def new_number():
    return f"+3120{random.randint(10**6, 10**7 - 1)}"


def ask_unix(path, method, target, body=None):
    """One request over a Unix socket; insists on 200 and returns what came."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(10)
    connection.sock.connect(str(path))
    given = None if body is None else json.dumps(body)
    connection.request(method, target, given, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 200, text
    return json.loads(text)


def free_port(kind="udp"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
