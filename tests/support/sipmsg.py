"""What does a SIP message say?  Reading and writing the text of RFC 3261, as much as a phone needs."""

import random
import re

COMPACT = {"i": "call-id", "f": "from", "t": "to", "v": "via", "m": "contact", "l": "content-length", "c": "content-type", "r": "refer-to"}


def fresh(prefix=""):
    """A new branch, tag or Call-ID."""
    return f"{prefix}{random.getrandbits(60):x}"


class Message:
    """One request or response: a start line, headers in order, a body."""

    def __init__(self, start, headers=(), body=""):
        self.start, self.headers, self.body = start, list(headers), body

    @classmethod
    def parse(cls, data):
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        headers = []
        for line in lines:
            if line[:1] in (" ", "\t") and headers:
                headers[-1] = (headers[-1][0], headers[-1][1] + " " + line.strip())
                continue
            name, _, value = line.partition(":")
            headers.append((name.strip(), value.strip()))
        return cls(start, headers, body)

    def encode(self):
        headers = [*self.headers, ("Content-Length", str(len(self.body.encode())))]
        return "\r\n".join([self.start, *(f"{name}: {value}" for name, value in headers), "", self.body]).encode()

    def all(self, name):
        return [value for key, value in self.headers if COMPACT.get(key.lower(), key.lower()) == name.lower()]

    def get(self, name, default=""):
        return next(iter(self.all(name)), default)

    @property
    def is_response(self):
        return self.start.startswith("SIP/2.0 ")

    @property
    def status(self):
        return int(self.start.split()[1])

    @property
    def reason(self):
        return self.start.split(maxsplit=2)[2]

    @property
    def method(self):
        return self.get("cseq").split()[-1] if self.is_response else self.start.split()[0]

    @property
    def uri(self):
        return self.start.split()[1]

    @property
    def cseq(self):
        return int(self.get("cseq").split()[0])

    @property
    def branch(self):
        return param(self.get("via"), "branch")


def param(header, name):
    """`branch` of a Via, `tag` of a To."""
    found = re.search(rf";\s*{name}=([^;,\s]+)", header)
    return found.group(1) if found else None


def uri_of(header):
    """The URI of a Contact, From or Refer-To, with or without angle brackets."""
    found = re.search(r"<([^>]+)>", header)
    return found.group(1) if found else header.split(";")[0].strip()


def digest_fields(header):
    """`realm`, `nonce`, … of a challenge or an answer to one."""
    return {name.lower(): quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', header)}
