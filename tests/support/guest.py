"""One box under QEMU: the finished image, OVMF, two processors in software emulation (KVM is not assumed).

`Guest` starts it, keeps every line of its serial console with the second it came, and waits for one.
Nothing in the image is changed for a test. What a test must tell the box goes in by SMBIOS, as a machine's maker
would: credentials (systemd.system-credentials(7)) and units for the first boot.
"""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from lan import MAC

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("BOX_CACHE") or Path.home() / ".cache" / "scaibox")
TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\r\x00]")
UUID = "6f1d1c1e-0b7a-4a55-9d51-3a7a4f1d2c33"  # the machine id follows from it
DISK_SIZE = "8G"


class BootFailed(AssertionError):
    """The console's last lines say why."""


def tools():
    found = os.environ.get("TOOLS")
    assert found, "TOOLS names the tools tree; `./box test image` sets it"
    return Path(found)


def in_tools(*command, **options):
    env = {**os.environ, "TOOLS": str(tools()), "ROOT": str(ROOT), "BOX_CACHE": str(CACHE)}
    return subprocess.Popen([str(ROOT / "image/in-tools"), *map(str, command)], env=env, **options)


def run_in_tools(*command):
    process = in_tools(*command, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate()
    assert process.returncode == 0, f"{command[0]} ended with {process.returncode}"
    return out


class Guest:
    """A machine whose disk starts as a copy of `image`; kept in `folder` (below BOX_CACHE) between power cycles."""

    def __init__(self, folder, image=None, tap="tap0", memory=3072, echo=None, uuid=UUID):
        self.folder, self.tap, self.memory, self.echo, self.uuid = Path(folder), tap, memory, echo, uuid
        self.process, self.lines, self.news = None, [], threading.Condition()
        self.credentials, self.units, self.kernel_words, self.devices = {}, {}, [], []
        self.folder.mkdir(parents=True, exist_ok=True)
        self.disk, self.vars, self.qmp = self.folder / "disk.qcow2", self.folder / "vars.fd", self.folder / "qmp"
        if image is not None:
            self.disk.unlink(missing_ok=True)
            self.vars.unlink(missing_ok=True)
            run_in_tools("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "raw", self.disk, DISK_SIZE)

    def settings(self, text):
        """/var/lib/scaibox/box.toml, written by systemd-tmpfiles before anything reads it."""
        body = base64.b64encode(text.encode()).decode()
        self.credentials["tmpfiles.extra"] = f"d /var/lib/scaibox 0755 root root -\nf+~ /var/lib/scaibox/box.toml 0600 root root - {body}\n"

    def unit(self, name, text):
        """A unit of the test's own, started with the machine."""
        self.units[name] = text

    def stick(self, image):
        """A USB stick, plugged in from the next start on."""
        self.devices += ["-device", "qemu-xhci", "-drive", f"if=none,id=stick,file={image},format=raw,readonly=on",
                         "-device", "usb-storage,drive=stick"]

    def _smbios(self):
        values = [f"io.systemd.credential.binary:{name}={base64.b64encode(text.encode()).decode()}" for name, text in self.credentials.items()]
        for name, text in self.units.items():
            values.append(f"io.systemd.credential.binary:systemd.extra-unit.{name}={base64.b64encode(text.encode()).decode()}")
        words = [f"systemd.wants={name}" for name in self.units if not name.endswith("@.service")] + self.kernel_words
        if words:
            values.append("io.systemd.stub.kernel-cmdline-extra=" + " ".join(words))
        return [word for value in values for word in ("-smbios", "type=11,value=" + value.replace(",", ",,"))]

    def start(self):
        firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd"
        if not self.vars.exists():
            shutil.copy(str(tools()) + "/usr/share/OVMF/OVMF_VARS_4M.fd", self.vars)
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", str(self.memory),
            "-uuid", self.uuid, "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-monitor", "none", "-qmp", f"unix:{self.qmp},server=on,wait=off",
            "-netdev", f"tap,id=n0,ifname={self.tap},script=no,downscript=no", "-device", f"virtio-net-pci,netdev=n0,mac={MAC}",
            "-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0",
            "-drive", f"if=none,id=d0,file={self.disk},format=qcow2,cache=unsafe,discard=unmap", "-device", "virtio-blk-pci,drive=d0",
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={firmware}",
            "-drive", f"if=pflash,format=raw,unit=1,file={self.vars}",
            *self.devices,
            *self._smbios(),
        ]
        self.began = time.monotonic()
        self.process = in_tools(*command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        with open(self.folder / "console.log", "a") as log:
            for raw in self.process.stdout:
                line = TERMINAL.sub("", raw.decode("utf8", "replace")).rstrip("\n")
                at = time.monotonic() - self.began
                log.write(f"{at:8.2f} {line}\n")
                log.flush()
                if self.echo:
                    self.echo(raw)
                with self.news:
                    self.lines.append((at, line))
                    self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def wait_for(self, pattern, limit, since=0):
        """The match in the first line from number `since` on; fails at once when the machine ends or panics."""
        wanted, until, seen = re.compile(pattern), time.monotonic() + limit, since
        with self.news:
            while True:
                while seen < len(self.lines):
                    at, line = self.lines[seen]
                    seen += 1
                    found = wanted.search(line)
                    if found:
                        return found
                    if re.search(r"Kernel panic|emergency mode|You are in rescue mode", line):
                        raise BootFailed(f"{line}\n{self.tail()}")
                if self.process.poll() is not None and not self.reader.is_alive():
                    raise BootFailed(f"QEMU ended with {self.process.returncode} before /{pattern}/\n{self.tail()}")
                if time.monotonic() > until:
                    raise BootFailed(f"not on the console within {limit} s: /{pattern}/\n{self.tail()}")
                self.news.wait(1)

    def said(self, pattern, since=0):
        """Is there such a line by now?"""
        with self.news:
            return any(re.search(pattern, line) for _, line in self.lines[since:])

    def ask(self, command, **arguments):
        """A command of QEMU's own (QMP)."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.qmp))
            talk = link.makefile("rw")
            json.loads(talk.readline())  # its greeting
            for one in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                talk.write(json.dumps(one))
                talk.flush()
                answer = json.loads(talk.readline())
                while "event" in answer:
                    answer = json.loads(talk.readline())
                assert "return" in answer, answer
        return answer["return"]

    def mark(self):
        """Where the console is now, for `since`."""
        with self.news:
            return len(self.lines)

    def tail(self, count=40):
        return "\n".join(f"{at:7.1f} {line}" for at, line in self.lines[-count:])

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cut_power(self):
        """As when somebody pulls the plug."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self.reader.join()

    stop = cut_power

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
