"""A softphone of others as a caller: baresip, without a screen or a sound card."""

import os
import random
import signal
import socket
import subprocess
import wave
from pathlib import Path



class Baresip:
    """`with Baresip(folder, says, target) as phone:` is a caller that speaks the samples; `heard` is what came back.

    `says` has `rate` samples a second, which is that of the codecs. With a `console`, a free port, it can press keys.
    Without a target it waits for calls and takes them; `aor` is then whom it registers as. `account` are more parameters of its account (`;mediaenc=srtp-mand`), `config` more lines of its configuration.
    """

    def __init__(self, folder, says, target=None, account="", config="", modules=(), aor="sip:+31612345678@127.0.0.1", codecs="pcmu", rate=8000, console=None):
        self.console = console
        if console:
            modules, config = (*modules, "cons"), config + f"cons_listen 127.0.0.1:{console}\n"
        self.folder, self.dial = folder, ["-e", f"/dial {target}"] if target else []
        write_wav(folder / "says.wav", says, rate)
        loaded = "".join(f"module {name}.so\n" for name in ("g711", "aufile", "sndfile", *modules))
        (folder / "config").write_text(
            f"module_path {baresip_modules()}\n{loaded}module_app account.so\nmodule_app menu.so\nmodule_tmp uuid.so\n"
            f"sip_listen 127.0.0.1:{pair_of_ports()}\naudio_source aufile,{folder}/says.wav\naudio_player aufile,{folder}/played.wav\n"
            f"audio_alert aufile,{folder}/alert.wav\nsnd_path {folder}\nrtp_ports 40000-40100\nnet_interface 127.0.0.1\n{config}")
        calls = ";regint=0" if target else ";regint=60;answermode=auto"
        (folder / "accounts").write_text(f"<{aor}>{calls};audio_codecs={codecs}{account}\n")

    def __enter__(self):
        self.process = subprocess.Popen(
            ["baresip", "-f", str(self.folder), *self.dial],
            stdin=subprocess.DEVNULL, stdout=open(self.folder / "out.txt", "wb"), stderr=subprocess.STDOUT)
        return self

    def said(self):
        """Its own log."""
        return (self.folder / "out.txt").read_text(errors="replace")

    def press(self, digit):
        """As somebody does at its console: the key goes down, and up again (EOT)."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as console:
            for key in (digit.encode(), b"\x04"):
                console.sendto(key, ("127.0.0.1", self.console))

    def heard(self):
        """The recording of what came in, as far as it is written; None before that."""
        return next(self.folder.glob("dump-*-dec.wav"), None)

    def __exit__(self, *_):
        """It hangs up and goes."""
        os.kill(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()


def pair_of_ports():
    """The lower of two that nobody has, below those of boxes and of the kernel: UDP and TCP, and TLS above."""
    for port in random.sample(range(10000, 18000, 2), 200):
        try:
            for kind, offset in ((socket.SOCK_DGRAM, 0), (socket.SOCK_STREAM, 0), (socket.SOCK_STREAM, 1)):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port + offset))
            return port
        except OSError:
            pass
    raise AssertionError("no two ports are free")


def write_wav(path, samples, rate=8000):
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(samples.tobytes())


def baresip_modules():
    """Where the distribution keeps them; the folder's name has the machine in it."""
    found = list(Path("/usr/lib").glob("*/baresip/modules")) + list(Path("/usr/lib/baresip").glob("modules"))
    assert found, "baresip-core is not installed"
    return found[0]
