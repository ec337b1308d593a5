"""The gateway in livekit-sip's place: started with livekit-sip's own configuration, without a control plane."""

import subprocess
from urllib.parse import urlsplit

import requests
from boxkit import free_port, until


def configuration(box, **changes):
    """livekit-sip's keys for the LiveKit and the Redis of a box whose own gateway is left out; JSON is YAML."""
    redis, livekit = urlsplit(box.facts["redis"]), box.facts["livekit"]
    return {
        "redis": {"address": f"{redis.hostname}:{redis.port}", "password": redis.password or ""},
        "api_key": livekit["api_key"],
        "api_secret": livekit["api_secret"],
        "ws_url": livekit["url"],
        "listen_ip": box.sip[0],
        "nat_1_to_1_ip": box.sip[0],
        "sip_port": box.sip[1],
        "rtp_port": box.facts["rtp"],
        "health_port": free_port("tcp"),
        "prometheus_port": free_port("tcp"),
        "max_cpu_utilization": 1.0,
        "logging": {"level": "debug"},
        **changes,
    }


class Swapped:
    """A running gateway; `configuration` is what it read."""

    def __init__(self, folder, configuration, body, program):
        self.configuration, self.log = configuration, folder / "gateway.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([program, "--config-body", body], stdout=log, stderr=log)

    def __enter__(self):
        until(lambda: self.health() == (200, "OK"), 20, "the gateway is healthy")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def health(self):
        """(status, word); (None, "") while nobody listens."""
        try:
            answer = self._look("health_port")
        except requests.ConnectionError:
            return None, ""
        return answer.status_code, answer.text

    def figure(self, name, **labels):
        """The sum of the samples `livekit_sip_NAME` that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in self._look("prometheus_port").text.splitlines() if line.startswith(f"livekit_sip_{name}{{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(want in line for want in wanted))

    def _look(self, port):
        return requests.get(f"http://127.0.0.1:{self.configuration[port]}/", timeout=5)
