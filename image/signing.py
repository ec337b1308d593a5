"""Who signs a release, and does a signature hold?

A key folder holds `gnupg/` (a GnuPG home with one secret key) and `import-pubring.gpg`, the public key as a box has it in
/etc/systemd. Development keys are made on first use and say what they are; release keys are made elsewhere, by hand,
and come with `IMAGE_KEYS=DIR`.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

DEVELOPMENT = "ScaiBox DEVELOPMENT KEY - not for production"
KEYRING = "import-pubring.gpg"


class NotSigned(Exception):
    """There is no key, or a signature does not hold."""


def prepare(keys, development):
    """Makes sure of a secret key and exports its public half; makes the key only for development."""
    home = keys / "gnupg"
    if not home.is_dir():
        if not development:
            raise NotSigned(f"{home} is missing: release keys are not made here; see image/signing.py for the layout")
        home.mkdir(mode=0o700, parents=True)
        gpg(home, "--passphrase", "", "--quick-generate-key", DEVELOPMENT, "ed25519", "sign", "never")
    fingerprint = signer(home)[0]
    (keys / KEYRING).write_bytes(gpg(home, "--export", "--export-options", "export-minimal", fingerprint))


def sign(file, keys):
    """`FILE.gpg` beside the file; answers whose signature it is."""
    home = keys / "gnupg"
    fingerprint, name = signer(home)
    gpg(home, "--yes", "--local-user", fingerprint, "--output", f"{file}.gpg", "--detach-sign", str(file))
    return name


def verify(file, keyring):
    """Asks as systemd-pull on the box asks, of the same program."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            ["gpg", f"--homedir={home}", "--no-options", "--no-default-keyring", "--no-auto-key-locate",
             "--no-auto-check-trustdb", "--batch", "--trust-model=always", f"--keyring={Path(keyring).resolve()}",
             "--verify", f"{file}.gpg", str(file)], capture_output=True, text=True)
    if done.returncode:
        raise NotSigned(f"the signature {file}.gpg does not hold: {done.stderr.strip()}")


def signer(home):
    """The fingerprint and the user id of the one secret key."""
    fields = [line.split(":") for line in gpg(home, "--with-colons", "--list-secret-keys").decode().splitlines()]
    secret = [one for one in fields if one[0] == "sec"]
    if len(secret) != 1:
        raise NotSigned(f"{home} holds {len(secret)} secret keys, it takes exactly one to know who signs")
    return next(one[9] for one in fields if one[0] == "fpr"), next(one[9] for one in fields if one[0] == "uid")


def gpg(home, *arguments):
    """GnuPG in this home only. Its agent would outlive it: it is asked to go."""
    done = subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments],
                          capture_output=True)
    if shutil.which("gpgconf"):
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True)
    if done.returncode:
        raise NotSigned(f"gpg {arguments[-1]}: {done.stderr.decode().strip()}")
    return done.stdout
